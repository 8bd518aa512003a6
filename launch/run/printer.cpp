#include "printer.h"

#include <unistd.h>

#include <algorithm>

#include "descriptor.h"

namespace lockstep::launch {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(200);
constexpr std::size_t kLongestLine = 1 << 16;

}  // namespace

Printer::Printer(Prefix prefix, int out, int err) : prefix_(prefix), descriptors_{out, err}, terminal_{isatty(out) == 1, isatty(err) == 1} {}

void Printer::rank_output(int rank, bool err, std::string_view bytes) {
  const int stream = err ? 1 : 0;
  std::string& partial = partial_[{rank, stream}];
  partial += bytes;
  if (verbatim(rank)) {
    // Who watches a terminal sees every byte at once. A file gets whole lines, or the line of another rank would stand in the middle of one.
    std::size_t ready = partial.size();
    if (!terminal_[stream] && ready < kLongestLine) ready = partial.find_last_of("\r\n") + 1;
    write(stream, std::string_view(partial).substr(0, ready));
    partial.erase(0, ready);
    if (!open(stream)) write_waiting();
    return;
  }
  for (std::size_t end; (end = partial.find('\n')) != std::string::npos; partial.erase(0, end + 1)) {
    std::string text = partial.substr(0, end);
    if (text.ends_with('\r')) text.pop_back();
    text.erase(0, text.rfind('\r') + 1);  // what it rewrote is gone
    line(stream, "[" + std::to_string(rank) + "] " + text + "\n");
  }
  if (partial.size() > kLongestLine) line(stream, "[" + std::to_string(rank) + "] " + std::exchange(partial, {}) + "\n");
}

void Printer::say(std::string_view text) { line(1, "lockstep run: " + std::string(text) + "\n"); }

void Printer::line(int stream, std::string text) {
  if (waiting_.empty() && !open(stream)) return write(stream, text);
  if (waiting_.empty()) since_ = Clock::now();
  waiting_.push_back({stream, std::move(text)});
}

int Printer::wait_ms() const {
  if (waiting_.empty()) return -1;
  return int(std::max<std::chrono::milliseconds::rep>(0, std::chrono::ceil<std::chrono::milliseconds>(since_ + kPatience - Clock::now()).count()));
}

void Printer::due() {
  if (wait_ms() == 0) write_waiting();
}

void Printer::write_waiting() {
  for (const Waiting& each : std::exchange(waiting_, {})) {
    if (open(each.stream)) write(each.stream, "\n");
    write(each.stream, each.line);
  }
}

void Printer::write(int stream, std::string_view bytes) {
  if (bytes.empty()) return;
  write_all(descriptors_[stream], bytes);
  open(stream) = bytes.back() != '\n';
}

void Printer::finish() {
  for (const auto& [key, text] : std::exchange(partial_, {})) {
    if (verbatim(key.first)) write(key.second, text);
    else if (!text.empty()) line(key.second, "[" + std::to_string(key.first) + "] " + text.substr(text.rfind('\r') + 1) + "\n");
  }
  write_waiting();
}

}  // namespace lockstep::launch
