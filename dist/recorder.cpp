#include <lockstep/dist/recorder.h>

#include <unistd.h>

#include <fstream>

#include <nlohmann/json.hpp>

#include <lockstep/tensor/base/error.h>

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

std::uint64_t FlightRecorder::add(Record record) {
  const std::lock_guard lock(mutex_);
  record.queued = now();
  ring_[next_ % kRecords] = std::move(record);
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
    json["records"].push_back({{"sequence", each.sequence}, {"communicator", each.communicator}, {"what", each.what}, {"label", each.label},
                               {"bytes", each.bytes}, {"state", name(each.state)}, {"queued", each.queued}, {"started", each.started}, {"ended", each.ended}});
  std::ofstream file(path);
  // (A long label loses its beginning on the way, and with it perhaps half a character.)
  file << json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << "\n";
  if (!file.flush()) throw UnavailableError("cannot write the flight recorder to " + path);
}

FlightRecorder& flight_recorder() {
  static auto* recorder = new FlightRecorder;
  return *recorder;
}

}  // namespace lockstep::dist
