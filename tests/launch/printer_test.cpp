#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <run/descriptor.h>
#include <run/printer.h>
#include <termios.h>
#include <unistd.h>

#include <thread>

namespace lockstep::launch {
namespace {

/// A printer whose output can be read back.
struct Printed {
  explicit Printed(Prefix prefix, bool terminal = false) : ends(terminal ? make_terminal() : make_pipe()), printer(prefix, ends.write.number(), ends.write.number()) {
    fcntl(ends.read.number(), F_SETFL, O_NONBLOCK);
  }
  static Pipe make_terminal() {
    int master = -1, slave = -1;
    termios raw{};
    cfmakeraw(&raw);
    EXPECT_EQ(openpty(&master, &slave, nullptr, &raw, nullptr), 0);
    return {Descriptor(master), Descriptor(slave)};
  }
  std::string text() {
    std::string all;
    char bytes[4096];
    for (ssize_t count; (count = read(ends.read.number(), bytes, sizeof bytes)) > 0;) all.append(bytes, std::size_t(count));
    return all;
  }
  Pipe ends;
  Printer printer;
};

TEST(Printer, PutsTheRankBeforeTheLinesOfAllButRankZero) {
  Printed printed(Prefix::others);
  printed.printer.rank_output(0, false, "zero\n");
  printed.printer.rank_output(2, false, "two\nand more\n");
  EXPECT_EQ(printed.text(), "zero\n[2] two\n[2] and more\n");
}

TEST(Printer, PutsTheRankBeforeAllLinesOrNoneIfAsked) {
  Printed all(Prefix::all), none(Prefix::none);
  for (Printer* printer : {&all.printer, &none.printer}) printer->rank_output(0, false, "zero\n"), printer->rank_output(1, false, "one\n");
  EXPECT_EQ(all.text(), "[0] zero\n[1] one\n");
  EXPECT_EQ(none.text(), "zero\none\n");
}

TEST(Printer, WaitsForTheEndOfALineOfAnotherRank) {
  Printed printed(Prefix::others);
  printed.printer.rank_output(1, false, "half ");
  printed.printer.rank_output(0, false, "zero\n");
  EXPECT_EQ(printed.text(), "zero\n");
  printed.printer.rank_output(1, false, "a line\nrest");
  EXPECT_EQ(printed.text(), "[1] half a line\n");
  printed.printer.finish();
  EXPECT_EQ(printed.text(), "[1] rest\n");
}

TEST(Printer, KeepsAnotherRankOutOfALineOfRankZeroInAFile) {
  Printed printed(Prefix::others);
  printed.printer.rank_output(0, false, "first\nsecond ");
  printed.printer.rank_output(1, false, "one\n");
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  printed.printer.due();
  printed.printer.rank_output(0, false, "half\n");
  EXPECT_EQ(printed.text(), "first\n[1] one\nsecond half\n");
}

TEST(Printer, ShowsATerminalEveryByteOfRankZeroAtOnce) {
  Printed printed(Prefix::others, true);
  printed.printer.rank_output(0, false, "\r1/3");
  EXPECT_EQ(printed.text(), "\r1/3");
  printed.printer.rank_output(0, false, "\r2/3");
  EXPECT_EQ(printed.text(), "\r2/3");
}

TEST(Printer, BreaksALineThatRewritesItselfAfterAWhileForTheLineOfAnotherRank) {
  Printed printed(Prefix::others, true);
  printed.printer.rank_output(0, false, "\r1/3");
  printed.printer.rank_output(1, true, "careful\n");
  printed.printer.due();
  EXPECT_EQ(printed.text(), "\r1/3");
  EXPECT_GT(printed.printer.wait_ms(), 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  EXPECT_EQ(printed.printer.wait_ms(), 0);
  printed.printer.due();
  EXPECT_EQ(printed.text(), "\n[1] careful\n");
}

TEST(Printer, LeavesTheLastStateOfALineThatAnotherRankRewrites) {
  Printed printed(Prefix::others);
  printed.printer.rank_output(1, false, "\r1/3\r2/3\r3/3\r\n");
  EXPECT_EQ(printed.text(), "[1] 3/3\n");
}

}  // namespace
}  // namespace lockstep::launch
