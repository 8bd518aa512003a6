// The table on the emulated device: every rank sends what it has to all others, and adds for itself.

#include <memory>
#include <vector>

#include <lockstep/dist/cuda/nccl_table.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/nccl.h>
#include <lockstep/tensor/cuda/stream.h>

namespace lockstep::cuda {
namespace {

struct Communicator {
  NcclTable::Options options;
  runtime::Stream stream = nullptr;
};
Communicator& of(void* handle) { return *static_cast<Communicator*>(handle); }

template <class F>
void enqueue_on(void* handle, F&& work) {
  runtime::enqueue(of(handle).stream, std::forward<F>(work));
}

/// The parts of all ranks.
std::vector<std::byte> gathered(const Communicator& each, const void* in, std::size_t nbytes) {
  std::vector<std::byte> all(nbytes * std::size_t(each.options.size));
  each.options.gather(in, all.data(), nbytes);
  return all;
}

/// out[i] = the sum of element first + i of each part.
void add_parts(const std::vector<std::byte>& all, void* out, std::int64_t first, std::int64_t count, std::int64_t stride, DType dtype) {
  const auto add = [&]<class T>(TypeTag<T>) {
    const auto* from = reinterpret_cast<const T*>(all.data());
    const std::int64_t parts = std::int64_t(all.size() / sizeof(T)) / stride;
    for (std::int64_t i = 0; i < count; ++i) {
      T sum = from[first + i];
      for (std::int64_t p = 1; p < parts; ++p) sum = T(sum + from[p * stride + first + i]);
      static_cast<T*>(out)[i] = sum;
    }
  };
  if (dtype == float32) add(TypeTag<float>());
  else if (dtype == float64) add(TypeTag<double>());
  else if (dtype == int32) add(TypeTag<std::int32_t>());
  else add(TypeTag<std::int64_t>());
}

}  // namespace

const NcclTable& nccl_table() {
  static const NcclTable all{
      .open = [](const NcclTable::Options& options) -> void* {
        const Current current(options.device);
        return new Communicator{options, runtime::create_stream()};
      },
      .close = [](void* handle) noexcept { delete static_cast<Communicator*>(handle); },
      .abort = [](void*) noexcept {},
      .trouble = [](void*) { return std::string(); },
      .adds = [](DType dtype) { return dtype == float32 || dtype == float64 || dtype == int32 || dtype == int64; },
      .follow = [](void* handle) { order(of(handle).options.device, of(handle).stream, compute_stream(of(handle).options.device)); },
      .lead = [](void* handle) { order(of(handle).options.device, compute_stream(of(handle).options.device), of(handle).stream); },
      .group = [](void*, bool) {},
      .all_reduce =
          [](void* handle, const void* in, void* out, std::int64_t count, DType dtype) {
            enqueue_on(handle, [=] { add_parts(gathered(of(handle), in, std::size_t(count) * itemsize(dtype)), out, 0, count, count, dtype); });
          },
      .reduce_scatter =
          [](void* handle, const void* in, void* out, std::int64_t count, DType dtype) {
            enqueue_on(handle, [=] {
              const std::int64_t whole = count * of(handle).options.size;
              add_parts(gathered(of(handle), in, std::size_t(whole) * itemsize(dtype)), out, count * of(handle).options.rank, count, whole, dtype);
            });
          },
      .all_gather = [](void* handle, const void* in, void* out, std::size_t nbytes) { enqueue_on(handle, [=] { of(handle).options.gather(in, out, nbytes); }); },
      .broadcast =
          [](void* handle, void* data, std::size_t nbytes, int root) {
            enqueue_on(handle, [=] {
              const std::vector<std::byte> all = gathered(of(handle), data, nbytes);
              std::copy_n(all.data() + std::size_t(root) * nbytes, nbytes, static_cast<std::byte*>(data));
            });
          },
      .copy_on_device = [](void* handle, void* to, const void* from, std::size_t nbytes) { runtime::copy(to, from, nbytes, runtime::Copy::on_device, of(handle).stream); },
      .copy_to_host = [](void* handle, void* to, const void* from, std::size_t nbytes) { runtime::copy(to, from, nbytes, runtime::Copy::device_to_host, of(handle).stream); },
      .copy_to_device = [](void* handle, void* to, const void* from, std::size_t nbytes) { runtime::copy(to, from, nbytes, runtime::Copy::host_to_device, of(handle).stream); },
      // NCCL goes on by itself; here a rank that waits for nothing would keep the others waiting, so each call runs where all ranks make it.
      .mark = [](void* handle) -> void* {
        runtime::wait(of(handle).stream);
        return runtime::record(of(handle).stream);
      },
      .done = [](void*) { return true; },  // nothing is late that nobody has waited for
      .wait = [](void* mark) { runtime::wait(static_cast<runtime::Event*>(mark)); },
      .forget = [](void* mark) noexcept { runtime::destroy(static_cast<runtime::Event*>(mark)); },
  };
  return all;
}

std::string nccl_version() { return "no NCCL"; }

}  // namespace lockstep::cuda
