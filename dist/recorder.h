#pragma once
// The flight recorder: the last thousand collectives of this process. Written to a file when one of them does not come to an end, it tells
// which rank waited where.

#include <array>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include <lockstep/dist/communicator.h>

namespace lockstep::dist {

/// What became of a collective.
enum class CallState : std::uint8_t { queued, running, done, failed };

/// One collective of this rank.
struct Record {
  std::int64_t sequence = 0;    // counts from 1 within its communicator
  std::string communicator;
  Call call;                    // without its buffers
  CallState state = CallState::queued;
  double queued = 0, started = 0, ended = 0;  // seconds since the process began to record; 0: not yet
};

/// A ring of records; thread-safe.
class FlightRecorder {
 public:
  static constexpr std::size_t kRecords = 1000;
  /// Returns the record's ticket for the calls below. A ticket whose record has been overwritten is ignored. Allocates nothing once the ring is full.
  std::uint64_t add(std::int64_t sequence, const std::string& communicator, const Call& call);
  void started(std::uint64_t ticket);
  void ended(std::uint64_t ticket, bool failed);
  /// Oldest first.
  std::vector<Record> records() const;
  /// Everything as JSON: rank, host, process, reason, records. Throws UnavailableError if the file cannot be written.
  void write(const std::string& path, int rank, const std::string& reason) const;

 private:
  double now() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  Record* find(std::uint64_t ticket) { return ticket + kRecords >= next_ && ticket < next_ ? &ring_[ticket % kRecords] : nullptr; }

  mutable std::mutex mutex_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::uint64_t next_ = 0;
  std::array<Record, kRecords> ring_;
};

/// The process's own.
FlightRecorder& flight_recorder();
/// What led to a failure, in a file of LOCKSTEP_RECORDER_DIR (default: here): the ranks' files side by side show where they parted. Does not throw.
void write_recorder(int rank, const std::string& reason);

}  // namespace lockstep::dist
