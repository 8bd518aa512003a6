// Every element becomes one given value.

#include <algorithm>
#include <cstring>

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/runtime.h>

namespace lockstep::cuda::runtime {
namespace {

template <class T>
__global__ void fill_elements(T* to, T element, std::size_t count) {
  for (std::size_t i = blockIdx.x * std::size_t(blockDim.x) + threadIdx.x; i < count; i += std::size_t(gridDim.x) * blockDim.x) to[i] = element;
}

template <class T>
void launch_fill(void* to, const void* element, std::size_t count, Stream stream) {
  T value;
  std::memcpy(&value, element, sizeof value);
  constexpr unsigned kThreads = 256;
  const std::size_t blocks = std::min<std::size_t>((count + kThreads - 1) / kThreads, std::size_t(multiprocessors()) * 16);
  fill_elements<<<unsigned(blocks), kThreads, 0, stream>>>(static_cast<T*>(to), value, count);
  check_launch("fill");
}

}  // namespace

void fill(void* to, const void* element, std::size_t itemsize, std::size_t count, Stream stream) {
  if (count == 0) return;
  switch (itemsize) {
    case 1: return launch_fill<unsigned char>(to, element, count, stream);
    case 2: return launch_fill<unsigned short>(to, element, count, stream);
    case 4: return launch_fill<unsigned int>(to, element, count, stream);
    case 8: return launch_fill<unsigned long long>(to, element, count, stream);
    default: return launch_fill<ulonglong2>(to, element, count, stream);
  }
}

}  // namespace lockstep::cuda::runtime
