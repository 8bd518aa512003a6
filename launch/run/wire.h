#pragma once
// What the agents tell the supervisor, through mpirun's standard output: the output of their rank, and how it began and ended. mpirun cuts
// the ranks' output into chunks anywhere, mixes the chunks and puts "[1,RANK]<stdout>:" before each (and behind each line feed, for
// which it may run out of room and drop the rest). So a record has no line feed in it and no "[": it comes back whole.

#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace lockstep::launch {

enum class RecordKind : char {
  out = 'o',      // bytes of standard output
  err = 'e',      // bytes of standard error
  start = 's',    // "PID HOST"
  refused = 'f',  // errno: the program could not be started
  exit = 'x',     // exit code
  signal = 'k',   // the signal that it died of
  told = 't',     // like exit or signal, 128 + the signal in that case, after mpirun had told the rank to end
};

/// One record as text.
std::string encode(RecordKind kind, std::string_view payload);

/// Puts the records of all ranks together again.
class Decoder {
 public:
  using Receive = std::function<void(int rank, RecordKind kind, std::string_view payload)>;
  explicit Decoder(Receive receive) : receive_(std::move(receive)) {}
  /// The next bytes of mpirun's standard output, cut anywhere.
  void add(std::string_view bytes);

 private:
  struct Partial {
    std::string text;
    bool escaped = false;
    int high = -1;  // the first digit of an escaped byte
  };
  void take(Partial& partial, int rank, char byte);

  Receive receive_;
  std::map<int, Partial> partial_;
  std::string tag_;
  bool in_tag_ = false;
  int rank_ = -1;
};

}  // namespace lockstep::launch
