#include <lockstep/dist/host_buffer.h>

#include <lockstep/tensor/base/allocator.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::dist {

HostBuffer::HostBuffer(std::size_t nbytes, Device device) : nbytes_(nbytes), pinned_(!device.is_cpu()) { data_ = pinned_ ? device_plugin().allocate_pinned(nbytes) : allocate(nbytes); }

HostBuffer::~HostBuffer() {
  if (!data_) return;
  if (pinned_) device_plugin().deallocate_pinned(data_);
  else deallocate(data_, nbytes_);
}

}  // namespace lockstep::dist
