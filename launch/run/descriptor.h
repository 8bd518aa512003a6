#pragma once
// A file descriptor that is closed once, and the few calls on it that the launcher repeats.

#include <string_view>
#include <utility>

namespace lockstep::launch {

/// Owns an open file descriptor; -1 is none. Moving empties the source.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() { close(); }

  int number() const noexcept { return number_; }
  explicit operator bool() const noexcept { return number_ >= 0; }
  void close() noexcept;

 private:
  int number_ = -1;
};

/// Both ends of a new pipe, closed in programs that are started.
struct Pipe {
  Descriptor read, write;
};
Pipe make_pipe();

/// Writes all of `bytes`. False if the reader is gone.
bool write_all(int descriptor, std::string_view bytes);

}  // namespace lockstep::launch
