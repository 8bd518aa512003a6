#pragma once
// Memory of the host on the way between a device and other ranks: pinned where there is a GPU, so that copies need no detour.

#include <cstddef>
#include <utility>

#include <lockstep/tensor/device.h>

namespace lockstep::dist {

class HostBuffer {
 public:
  /// For copies from and to `device`. Throws ResourceExhaustedError.
  HostBuffer(std::size_t nbytes, Device device);
  HostBuffer(HostBuffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), nbytes_(other.nbytes_), pinned_(other.pinned_) {}
  HostBuffer& operator=(HostBuffer&&) = delete;
  ~HostBuffer();
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  std::size_t nbytes_ = 0;
  bool pinned_ = false;
};

}  // namespace lockstep::dist
