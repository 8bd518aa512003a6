#pragma once
// The output of the ranks, as one reader wants it: rank 0's as it comes, byte by byte, like that of a program alone (a line that rewrites
// itself after \r stays one); the lines of the others whole, behind their rank, between the lines of rank 0.

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lockstep::launch {

enum class Prefix { others, all, none };

class Printer {
 public:
  /// Writes to the descriptors `out` and `err`.
  Printer(Prefix prefix, int out, int err);

  /// What a rank has written to its standard output, or to its standard error.
  void rank_output(int rank, bool err, std::string_view bytes);
  /// A line of the launcher's own, to the standard error.
  void say(std::string_view line);
  /// Milliseconds until due() has something to do, -1 if nothing waits.
  int wait_ms() const;
  /// Writes lines that have waited long enough for rank 0 to end its own.
  void due();
  /// Writes everything that is left.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    int stream;
    std::string line;
  };
  bool verbatim(int rank) const { return prefix_ == Prefix::none || (prefix_ == Prefix::others && rank == 0); }
  void line(int stream, std::string text);
  void write_waiting();
  void write(int stream, std::string_view bytes);
  bool& open(int stream) { return open_[terminal_[0] && terminal_[1] ? 0 : stream]; }

  Prefix prefix_;
  int descriptors_[2];
  bool terminal_[2];
  bool open_[2] = {};  // the last thing written was not the end of a line
  std::map<std::pair<int, int>, std::string> partial_;  // of (rank, stream)
  std::vector<Waiting> waiting_;
  Clock::time_point since_;  // that the first of them waits
};

}  // namespace lockstep::launch
