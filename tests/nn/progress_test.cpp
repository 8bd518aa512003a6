// The progress line: what Keras 3.15 prints at the same times, the plain line of log files, and what the callback makes of them.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

/// A stream and a clock that a test reads and sets.
struct Screen {
  std::ostringstream stream;
  double now = 100;
  ProgressOutput output(bool terminal = true) {
    return {.stream = &stream, .terminal = terminal, .clock = [this] { return now; }};
  }
  std::string take() {
    std::string text = stream.str();
    stream.str("");
    return text;
  }
};

Logs shown(std::initializer_list<std::pair<const char*, double>> entries) {
  Logs result;
  for (const auto& [name, value] : entries) result.set(name, value);
  return result;
}

std::string back(std::size_t count) { return std::string(count, '\b'); }
std::string times(const char* text, int count) {
  std::string result;
  while (count-- > 0) result += text;
  return result;
}
const std::string kGreen = "\x1b[32m", kGrey = "\x1b[37m", kBold = "\x1b[1m", kEnd = "\x1b[0m";

TEST(ProgressBar, RewritesItsLineAsKerasDoes) {
  Screen screen;
  ProgressBar bar({.steps = 12, .output = screen.output()});
  screen.now = 102;
  bar.update(1, shown({{"loss", 0.123456}}));
  EXPECT_EQ(screen.take(), "\r" + kBold + " 1/12" + kEnd + " " + kGreen + "━" + kEnd + kGrey + times("━", 19) + kEnd + " " + kBold + "22s" + kEnd + " 2s/step - loss: 0.1235");
  screen.now = 102.5;
  bar.update(6, shown({{"loss", 0.0001}}));
  EXPECT_EQ(screen.take(), back(53) + "\r" + kBold + " 6/12" + kEnd + " " + kGreen + times("━", 10) + kEnd + kGrey + times("━", 10) + kEnd + " " + kBold + "0s" + kEnd + " 100ms/step - loss: 1.0000e-04");
  screen.now = 103.1;
  bar.update(12);
  screen.take();
  bar.finish(shown({{"loss", 0.25}, {"val_loss", -0.5}}));
  EXPECT_EQ(screen.take(), back(59) + "\r" + kBold + "12/12" + kEnd + " " + kGreen + times("━", 20) + kEnd + kGrey + kEnd + " " + kBold + "3s" + kEnd + " 100ms/step - loss: 0.2500 - val_loss: -0.5000\n");
}

TEST(ProgressBar, WipesWhatIsLeftOfALongerLine) {
  Screen screen;
  ProgressBar bar({.steps = 4, .output = screen.output()});
  screen.now = 101;
  bar.update(1, shown({{"loss", 123456}}));
  screen.take();
  screen.now = 102;
  bar.finish(shown({{"loss", 1}}));
  const std::string line = screen.take();
  EXPECT_TRUE(line.ends_with("loss: 1.0000     \n")) << line;
}

TEST(ProgressBar, CountsWithoutAnEndUntilItIsKnown) {
  Screen screen;
  ProgressBar bar({.output = screen.output()});
  screen.now = 100.5;
  bar.update(1, shown({{"accuracy", 0}}));
  EXPECT_EQ(screen.take(), "\r      1/Unknown " + kBold + "0s" + kEnd + " 500ms/step - accuracy: 0.0000e+00");
  screen.now = 101;
  bar.update(3, shown({{"accuracy", 123456}}));
  EXPECT_EQ(screen.take(), back(52) + "\r      3/Unknown " + kBold + "1s" + kEnd + " 250ms/step - accuracy: 123456.0000");
  screen.now = 101.6;
  bar.finish(shown({{"accuracy", 1}}));
  EXPECT_EQ(screen.take(), back(53) + "\r" + kBold + "3/3" + kEnd + " " + kGreen + times("━", 20) + kEnd + kGrey + kEnd + " " + kBold + "2s" + kEnd + " 550ms/step - accuracy: 1.0000\n");
}

TEST(ProgressBar, ShowsTimesFromMicrosecondsToHours) {
  Screen screen;
  screen.now = 0.1;
  ProgressBar bar({.steps = 100000, .output = screen.output()});
  screen.now = 0.3;
  bar.update(1);
  EXPECT_EQ(screen.take(), "\r" + kBold + "     1/100000" + kEnd + " " + kGrey + times("━", 20) + kEnd + " " + kBold + "5:33:19" + kEnd + " 200ms/step");
  screen.now = 1.5;
  bar.update(90000, shown({{"x", -std::nan("")}, {"y", std::numeric_limits<double>::infinity()}}));
  EXPECT_NE(screen.take().find(kBold + "0s" + kEnd + " 13us/step - x: nan - y: inf"), std::string::npos);
  ProgressBar slow({.steps = 10, .output = screen.output()});
  screen.now = 151.5;
  slow.update(5);
  EXPECT_NE(screen.take().find(kBold + "2:30" + kEnd + " 30s/step"), std::string::npos);
}

TEST(ProgressBar, IsShownAtMostEveryTwentiethOfASecond) {
  Screen screen;
  int asked = 0;
  const BatchLogs counted(0, [&] {
    ++asked;
    return shown({{"loss", 1}});
  });
  ProgressBar bar({.steps = 100, .output = screen.output()});
  for (int step = 1; step <= 100; ++step) {
    screen.now = 100 + step * 0.01;
    bar.update(step, BatchLogs(counted));
  }
  // Steps 1, 6, 11, ..., give or take one by the rounding of times.
  EXPECT_GE(asked, 17);
  EXPECT_LE(asked, 20);
}

TEST(ProgressBar, DoesNotAskForLogsThatItDoesNotShow) {
  for (const bool terminal : {false, true})
    for (const int verbose : {0, 2}) {
      Screen screen;
      ProgressBar bar({.steps = 2, .verbose = verbose, .output = screen.output(terminal)});
      bar.update(1, BatchLogs(0, []() -> Logs { throw InternalError("asked"); }));
      EXPECT_EQ(screen.take(), "");
    }
}

TEST(ProgressBar, WritesOnePlainLineWhereThereIsNoTerminal) {
  Screen screen;
  ProgressBar bar({.steps = 20, .output = screen.output(false)});
  for (int step = 1; step <= 20; ++step) {
    screen.now += 0.25;
    bar.update(step, shown({{"loss", 0.5}}));
  }
  EXPECT_EQ(screen.take(), "");
  bar.finish(shown({{"loss", 0.5}, {"val_loss", -0.25}}));
  EXPECT_EQ(screen.take(), "20/20 - 5s - 250ms/step - loss: 0.5000 - val_loss: -0.2500\n");
}

TEST(ProgressBar, WritesKerasSingleLineWithVerboseTwo) {
  Screen screen;
  ProgressBar bar({.steps = 2, .verbose = 2, .output = screen.output()});
  screen.now = 100.066;
  bar.update(2);
  bar.finish(shown({{"loss", 0.9984}, {"val_loss", -0.9926}}));
  EXPECT_EQ(screen.take(), "2/2 - 0s - 33ms/step - loss: 0.9984 - val_loss: -9.9260e-01\n");
}

TEST(ProgressBar, SaysHowManySamplesASecondThereAreWithoutTheTimeOfValidation) {
  Screen screen;
  ProgressBar bar({.steps = 5, .verbose = 2, .batch_size = 32, .output = screen.output()});
  screen.now = 110;  // the first step traces
  bar.update(1);
  for (int step = 2; step <= 5; ++step) {
    screen.now += 0.01;
    bar.update(step);
  }
  screen.now += 0.36;
  bar.finish();
  EXPECT_EQ(screen.take(), "5/5 - 10s - 100ms/step - 3200 samples/s\n");
}

TEST(ProgressBar, PutsValidationAndLearningRatesBehindTheRest) {
  Screen screen;
  ProgressBar bar({.steps = 1, .verbose = 2, .output = screen.output()});
  bar.update(1);
  bar.finish(shown({{"learning_rate", 0.5}, {"loss", 1}, {"val_loss", 2}, {"weighted_mae", 3}}));
  EXPECT_EQ(screen.take(), "1/1 - 0s - 0s/step - loss: 1.0000 - weighted_mae: 3.0000 - val_loss: 2.0000 - learning_rate: 0.5000\n");
}

TEST(ProgressBar, SaysWhereItStoppedWhenItStoppedEarly) {
  Screen screen;
  ProgressBar bar({.steps = 100, .verbose = 2, .output = screen.output()});
  bar.update(7);
  bar.finish();
  EXPECT_TRUE(screen.take().starts_with("  7/100 - "));
}

TEST(ProgressBar, RefusesWhatItCannotShow) {
  EXPECT_THROW(ProgressBar({.verbose = 3}), InvalidArgumentError);
  EXPECT_THROW(ProgressBar({.steps = -1}), InvalidArgumentError);
  EXPECT_THROW(ProgressBar({.batch_size = -1}), InvalidArgumentError);
  EXPECT_THROW(ProgressBar({.width = -1}), InvalidArgumentError);
  EXPECT_THROW(ProgressBar({.interval = std::nan("")}), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep::nn
