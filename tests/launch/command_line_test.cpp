#include <gtest/gtest.h>
#include <run/command_line.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <lockstep/tensor/base/error.h>

namespace lockstep::launch {
namespace {

RunOptions options() {
  RunOptions options;
  options.mpirun = "/bin/true";  // a program that is there
  options.program = {"/bin/echo", "a b", "$(id)", "--", "-n"};
  return options;
}

Command command(const RunOptions& options, bool terminal = false, int restart = 0) { return mpirun_command(options, plan_job(options), "/opt/lockstep", terminal, restart); }

bool has(const Command& command, const std::vector<std::string>& words) {
  return std::search(command.arguments.begin(), command.arguments.end(), words.begin(), words.end()) != command.arguments.end();
}

TEST(CommandLine, EndsWithTheProgramAndItsArgumentsAsTheyAre) {
  const std::vector<std::string> arguments = command(options()).arguments;
  EXPECT_EQ(std::vector<std::string>(arguments.end() - 8, arguments.end()), (std::vector<std::string>{"/opt/lockstep", "agent", "pipe", "/bin/echo", "a b", "$(id)", "--", "-n"}));
  EXPECT_TRUE(has(command(options(), true), {"agent", "terminal", "/bin/echo"}));
}

TEST(CommandLine, HasAsManySlotsHereAsRanks) {
  RunOptions four = options();
  four.ranks = 4;
  EXPECT_TRUE(has(command(four), {"-n", "4"}));
  EXPECT_TRUE(has(command(four), {"--host", "localhost:4"}));
  EXPECT_TRUE(has(command(four), {"--mca", "btl", "self,vader"}));
}

TEST(CommandLine, TakesAnEnvironmentAsItFindsIt) {
  char odd[] = "NO_EQUALS_SIGN", own[] = "LOCKSTEP_OF_A_TEST=1";
  char* entries[] = {odd, own, nullptr};
  char** const before = std::exchange(environ, entries);
  const Command found = mpirun_command(options(), {.ranks = 1, .hosts = {}, .mpirun = "/bin/true"}, "/opt/lockstep", false, 0);
  environ = before;
  EXPECT_TRUE(has(found, {"-x", "LOCKSTEP_OF_A_TEST"}));
}

TEST(CommandLine, FillsTheHostsOneAfterTheOther) {
  RunOptions two = options();
  two.hosts = "h1:2,h2:3";
  two.interface = "eth1";
  const Command built = command(two);
  EXPECT_TRUE(has(built, {"-n", "5"}));
  EXPECT_TRUE(has(built, {"--map-by", "slot", "--host", "h1:2,h2:3"}));
  EXPECT_TRUE(has(built, {"--mca", "btl_tcp_if_include", "eth1"}));
  EXPECT_FALSE(has(built, {"--mca", "btl", "self,vader"}));
}

TEST(CommandLine, LeavesToTheUserWhatTheUserHasSet) {
  RunOptions mine = options();
  mine.mca = {"btl=self,tcp"};
  EXPECT_TRUE(has(command(mine), {"--mca", "btl", "self,tcp"}));
  EXPECT_FALSE(has(command(mine), {"--mca", "btl", "self,vader"}));
  setenv("OMPI_MCA_pml", "ucx", 1);
  EXPECT_FALSE(has(command(options()), {"--mca", "pml", "ob1"}));
  unsetenv("OMPI_MCA_pml");
}

TEST(CommandLine, ExportsWhatTheRanksNeedAndNoMore) {
  setenv("LOCKSTEP_SOMETHING", "1", 1);
  setenv("OTHER_THING", "1", 1);
  RunOptions mine = options();
  mine.exports = {"WITH_VALUE=a;b c"};
  const Command built = command(mine, false, 3);
  EXPECT_TRUE(has(built, {"-x", "LOCKSTEP_SOMETHING"}));
  EXPECT_TRUE(has(built, {"-x", "LOCKSTEP_RESTART"}));
  EXPECT_TRUE(has(built, {"-x", "WITH_VALUE"}));
  EXPECT_FALSE(has(built, {"-x", "OTHER_THING"}));
  const std::vector<std::pair<std::string, std::string>> expected{{"LOCKSTEP_RESTART", "3"}, {"WITH_VALUE", "a;b c"}};
  EXPECT_EQ(built.environment, expected);
  unsetenv("LOCKSTEP_SOMETHING");
  unsetenv("OTHER_THING");
}

TEST(CommandLine, RefusesWhatCannotWork) {
  const auto refuses = [](auto change) {
    RunOptions wrong = options();
    change(wrong);
    EXPECT_THROW(command(wrong), InvalidArgumentError);
  };
  refuses([](RunOptions& o) { o.program.clear(); });
  refuses([](RunOptions& o) { o.hosts = "h1:2", o.ranks = 3; });
  refuses([](RunOptions& o) { o.hosts = "h1", o.host_file = "f"; });
  refuses([](RunOptions& o) { o.host_file = "/no/such/file"; });
  refuses([](RunOptions& o) { o.mca = {"btl"}; });
  refuses([](RunOptions& o) { o.exports = {"NO_SUCH_VARIABLE_HERE"}; });
  refuses([](RunOptions& o) { o.exports = {"=x"}; });
  refuses([](RunOptions& o) { o.ssh_config = "/a path"; });
  refuses([](RunOptions& o) { o.ssh_config = "/no/such/file"; });
  RunOptions missing = options();
  missing.mpirun = "no-such-mpirun";
  EXPECT_THROW(plan_job(missing), NotFoundError);
  missing = options();
  missing.program = {"no-such-program"};
  EXPECT_THROW(plan_job(missing), NotFoundError);
}

TEST(CommandLine, IsShownAsAShellWouldTakeIt) { EXPECT_EQ(shown({"a", "b c", "it's", ""}), "a 'b c' 'it'\\''s' ''"); }

}  // namespace
}  // namespace lockstep::launch
