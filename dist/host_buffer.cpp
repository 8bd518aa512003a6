#include <lockstep/dist/host_buffer.h>

#include <lockstep/tensor/device_plugin.h>

namespace lockstep::dist {

HostBuffer::HostBuffer(std::size_t nbytes) : data_(device_plugin().allocate_pinned(nbytes)) {}
HostBuffer::~HostBuffer() {
  if (data_) device_plugin().deallocate_pinned(data_);
}

}  // namespace lockstep::dist
