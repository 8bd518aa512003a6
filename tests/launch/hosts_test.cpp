#include <gtest/gtest.h>
#include <run/hosts.h>

#include <lockstep/tensor/base/error.h>

namespace lockstep::launch {
namespace {

std::string listed(const std::vector<Host>& hosts) {
  std::string text;
  for (const Host& host : hosts) text += host.name + "*" + std::to_string(host.slots) + " ";
  return text;
}

TEST(Hosts, TakeOneRankUnlessTheySayMore) { EXPECT_EQ(listed(parse_hosts("h1:2,h2,10.0.0.3:16")), "h1*2 h2*1 10.0.0.3*16 "); }

TEST(Hosts, ThatStandTwiceTakeTheRanksOfBoth) { EXPECT_EQ(listed(parse_hosts("h1:2,h2:1,h1")), "h1*3 h2*1 "); }

TEST(Hosts, RefusesWhatIsNoHost) {
  for (const char* text : {"", ",", "h1,,h2", "h1:", "h1:0", "h1:-1", "h1:x", "h1:2:3x", "-oProxyCommand=id", "h1 h2", ":3", "h1:99999999999"}) EXPECT_THROW(parse_hosts(text), InvalidArgumentError) << text;
}

TEST(Hosts, ReadsAFileInEitherManner) {
  EXPECT_EQ(listed(parse_host_file("# mine\nh1 slots=2 max_slots=4\n\n  h2:3  # fast\nh3\n", "f")), "h1*2 h2*3 h3*1 ");
}

TEST(Hosts, NamesTheLineOfTheFileThatIsWrong) {
  try {
    parse_host_file("h1\nh2 cores=2\n", "my/hosts");
    FAIL();
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("my/hosts:2"), std::string::npos) << error.what();
  }
  EXPECT_THROW(parse_host_file("# none\n", "f"), InvalidArgumentError);
}

TEST(Hosts, CountsTheRanksThatFit) { EXPECT_EQ(total_slots(parse_hosts("h1:2,h2:5")), 7); }

}  // namespace
}  // namespace lockstep::launch
