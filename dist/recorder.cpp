#include <lockstep/dist/recorder.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>

namespace lockstep::dist {
namespace {

const char* name(CallState state) {
  switch (state) {
    case CallState::queued: return "queued";
    case CallState::running: return "running";
    case CallState::done: return "done";
    case CallState::failed: break;
  }
  return "failed";
}

}  // namespace

std::uint64_t FlightRecorder::add(std::int64_t sequence, const std::string& communicator, const Call& call) {
  const std::lock_guard lock(mutex_);
  Record& record = ring_[next_ % kRecords];
  record.sequence = sequence;
  record.communicator = communicator;
  record.call.kind = call.kind, record.call.op = call.op, record.call.dtype = call.dtype, record.call.root = call.root, record.call.count = call.count;
  record.call.label = call.label;
  record.state = CallState::queued;
  record.queued = now(), record.started = record.ended = 0;
  return next_++;
}

void FlightRecorder::started(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  if (Record* record = find(ticket)) {
    record->state = CallState::running;
    record->started = now();
  }
}

void FlightRecorder::ended(std::uint64_t ticket, bool failed) {
  const std::lock_guard lock(mutex_);
  if (Record* record = find(ticket)) {
    record->state = failed ? CallState::failed : CallState::done;
    record->ended = now();
  }
}

std::vector<Record> FlightRecorder::records() const {
  const std::lock_guard lock(mutex_);
  std::vector<Record> result;
  for (std::uint64_t k = next_ < kRecords ? 0 : next_ - kRecords; k < next_; ++k) result.push_back(ring_[k % kRecords]);
  return result;
}

void FlightRecorder::write(const std::string& path, int rank, const std::string& reason) const {
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  nlohmann::ordered_json json{{"rank", rank}, {"host", host}, {"process", getpid()}, {"reason", reason}, {"records", nlohmann::ordered_json::array()}};
  for (const Record& each : records())
    json["records"].push_back({{"sequence", each.sequence}, {"communicator", each.communicator}, {"what", to_string(each.call)}, {"label", each.call.label},
                               {"bytes", each.call.nbytes()}, {"state", name(each.state)}, {"queued", each.queued}, {"started", each.started}, {"ended", each.ended}});
  std::ofstream file(path);
  // (A long label loses its beginning on the way, and with it perhaps half a character.)
  file << json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  if (!file.flush()) throw UnavailableError("cannot write the flight recorder to " + path);
}

FlightRecorder& flight_recorder() {
  static auto* recorder = new FlightRecorder;
  return *recorder;
}

void write_recorder(int rank, const std::string& reason) {
  const char* folder = std::getenv("LOCKSTEP_RECORDER_DIR");
  const std::string path = std::string(folder ? folder : ".") + "/lockstep-recorder-rank-" + std::to_string(rank) + ".json";
  try {
    flight_recorder().write(path, rank, reason);
    warn("dist", "the last collectives of rank " + std::to_string(rank) + " are in " + path);
  } catch (const std::exception& error) {
    warn("dist", error.what());
  }
}

}  // namespace lockstep::dist
