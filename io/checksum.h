#pragma once
// Inside checkpoints: the checksum of bytes, XXH3 with 128 bits.

#include <cstddef>
#include <memory>
#include <string>

struct XXH3_state_s;

namespace lockstep::io {

class Checksum {
 public:
  Checksum();
  void add(const void* bytes, std::size_t count);
  /// Of all that was added, in hexadecimal digits.
  std::string text() const;

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace lockstep::io
