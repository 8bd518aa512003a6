#pragma once
// Memory of the host on the way between a GPU and other ranks: pinned, so that copies need no detour.

#include <cstddef>
#include <utility>

namespace lockstep::dist {

class HostBuffer {
 public:
  /// Throws ResourceExhaustedError, UnavailableError where there is no GPU.
  explicit HostBuffer(std::size_t nbytes);
  HostBuffer(HostBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)) {}
  HostBuffer& operator=(HostBuffer&&) = delete;
  ~HostBuffer();
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

}  // namespace lockstep::dist
