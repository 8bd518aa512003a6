// NCCL behind the table. Communicators do not block: what a call begins is waited for here with a deadline, so that a rank whose peers are gone says so.

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>

#include <lockstep/dist/cuda/nccl_table.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/cuda/nccl.h>
#include <lockstep/tensor/cuda/stream.h>

namespace lockstep::cuda {
namespace {

struct Communicator {
  ncclComm_t comm = nullptr;
  int device = 0;
  int rank = 0;
  double timeout = 300;
  runtime::Stream stream = nullptr;
};
Communicator& of(void* handle) { return *static_cast<Communicator*>(handle); }

[[noreturn]] void fail(ncclResult_t code, const char* what, ncclComm_t comm = nullptr) {
  const char* detail = comm ? ncclGetLastError(comm) : "";
  throw UnavailableError(std::string(what) + " failed: " + ncclGetErrorString(code) + (detail && *detail ? std::string(" (") + detail + ")" : ""), {},
                         "NCCL_DEBUG=INFO says more; LOCKSTEP_NCCL=0 sends sums through the host");
}

/// Waits until what a call began on the host's side is settled.
void settle(Communicator& each, ncclResult_t code, const char* what) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(each.timeout);
  while (code == ncclInProgress) {
    ncclResult_t state = ncclSuccess;
    if (const ncclResult_t asked = ncclCommGetAsyncError(each.comm, &state); asked != ncclSuccess) fail(asked, what, each.comm);
    code = state;
    if (code != ncclInProgress) break;
    if (std::chrono::steady_clock::now() > deadline)
      throw DeadlineExceededError(std::string(what) + ": rank " + std::to_string(each.rank) + " has waited " + std::to_string(each.timeout) + " s for the other GPUs", {}, "LOCKSTEP_TIMEOUT sets the time");
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  if (code != ncclSuccess) fail(code, what, each.comm);
}

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::int8: return ncclInt8;
    case DType::uint8: return ncclUint8;
    case DType::int32: return ncclInt32;
    case DType::uint32: return ncclUint32;
    case DType::int64: return ncclInt64;
    case DType::uint64: return ncclUint64;
    case DType::float16: return ncclFloat16;
    case DType::bfloat16: return ncclBfloat16;
    case DType::float32: return ncclFloat32;
    case DType::float64: return ncclFloat64;
    default: throw InternalError("NCCL adds no " + std::string(name(dtype)));
  }
}

void* open(const NcclTable::Options& options) {
  const Current current(options.device);
  // NCCL refuses two ranks on one GPU of one host.
  if (options.share_gpu) setenv("NCCL_HOSTID", ("lockstep-" + std::to_string(options.rank)).c_str(), 1);
  ncclUniqueId id{};
  if (options.rank == 0)
    if (const ncclResult_t code = ncclGetUniqueId(&id); code != ncclSuccess) fail(code, "ncclGetUniqueId");
  std::vector<ncclUniqueId> ids(std::size_t(options.size));
  options.gather(&id, ids.data(), sizeof id);
  auto each = std::make_unique<Communicator>();
  each->device = options.device;
  each->rank = options.rank;
  each->timeout = options.timeout;
  each->stream = runtime::create_stream();
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  const ncclResult_t begun = ncclCommInitRankConfig(&each->comm, options.size, ids[0], options.rank, &config);
  try {
    settle(*each, begun, "ncclCommInitRankConfig");
  } catch (...) {
    if (each->comm) static_cast<void>(ncclCommAbort(each->comm));
    throw;
  }
  return each.release();
}

void close(void* handle) noexcept {
  const std::unique_ptr<Communicator> each(static_cast<Communicator*>(handle));
  if (each->comm) static_cast<void>(ncclCommDestroy(each->comm));
}

void copy(void* handle, void* to, const void* from, std::size_t nbytes, runtime::Copy kind) {
  const Current current(of(handle).device);
  runtime::copy(to, from, nbytes, kind, of(handle).stream);
}

const NcclTable& table() {
  static const NcclTable all{
      .open = open,
      .close = close,
      .abort =
          [](void* handle) noexcept {
            if (of(handle).comm) static_cast<void>(ncclCommAbort(std::exchange(of(handle).comm, nullptr)));
          },
      .trouble = [](void* handle) -> std::string {
        ncclResult_t state = ncclSuccess;
        const ncclResult_t code = ncclCommGetAsyncError(of(handle).comm, &state);
        if (code != ncclSuccess) state = code;
        return state == ncclSuccess || state == ncclInProgress ? "" : std::string("NCCL: ") + ncclGetErrorString(state) + " " + ncclGetLastError(of(handle).comm);
      },
      .adds =
          [](DType dtype) {
            constexpr std::array kAdded = {DType::int8, DType::uint8, DType::int32, DType::uint32, DType::int64, DType::uint64, DType::float16, DType::bfloat16, DType::float32, DType::float64};
            return std::find(kAdded.begin(), kAdded.end(), dtype) != kAdded.end();
          },
      .follow = [](void* handle) { order(of(handle).device, of(handle).stream, compute_stream(of(handle).device)); },
      .lead = [](void* handle) { order(of(handle).device, compute_stream(of(handle).device), of(handle).stream); },
      .group =
          [](void* handle, bool begin) {
            // What is in the group lies in the stream only when its end is settled.
            settle(of(handle), begin ? ncclGroupStart() : ncclGroupEnd(), begin ? "ncclGroupStart" : "ncclGroupEnd");
          },
      .all_reduce =
          [](void* handle, const void* in, void* out, std::int64_t count, DType dtype) {
            settle(of(handle), ncclAllReduce(in, out, std::size_t(count), type_of(dtype), ncclSum, of(handle).comm, of(handle).stream), "ncclAllReduce");
          },
      .reduce_scatter =
          [](void* handle, const void* in, void* out, std::int64_t count, DType dtype) {
            settle(of(handle), ncclReduceScatter(in, out, std::size_t(count), type_of(dtype), ncclSum, of(handle).comm, of(handle).stream), "ncclReduceScatter");
          },
      .all_gather =
          [](void* handle, const void* in, void* out, std::size_t nbytes) {
            settle(of(handle), ncclAllGather(in, out, nbytes, ncclUint8, of(handle).comm, of(handle).stream), "ncclAllGather");
          },
      .broadcast =
          [](void* handle, void* data, std::size_t nbytes, int root) {
            settle(of(handle), ncclBroadcast(data, data, nbytes, ncclUint8, root, of(handle).comm, of(handle).stream), "ncclBroadcast");
          },
      .copy_on_device = [](void* handle, void* to, const void* from, std::size_t nbytes) { copy(handle, to, from, nbytes, runtime::Copy::on_device); },
      .copy_to_host = [](void* handle, void* to, const void* from, std::size_t nbytes) { copy(handle, to, from, nbytes, runtime::Copy::device_to_host); },
      .copy_to_device = [](void* handle, void* to, const void* from, std::size_t nbytes) { copy(handle, to, from, nbytes, runtime::Copy::host_to_device); },
      .mark = [](void* handle) -> void* {
        const Current current(of(handle).device);
        return runtime::record(of(handle).stream);
      },
      .done = [](void* mark) { return runtime::done(static_cast<runtime::Event*>(mark)); },
      .wait = [](void* mark) { runtime::wait(static_cast<runtime::Event*>(mark)); },
      .forget = [](void* mark) noexcept { runtime::destroy(static_cast<runtime::Event*>(mark)); },
  };
  return all;
}

}  // namespace

const NcclTable& nccl_table() { return table(); }

std::string nccl_version() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "NCCL of an unknown version";
  return "NCCL " + std::to_string(version / 10000) + "." + std::to_string(version % 10000 / 100) + "." + std::to_string(version % 100);
}

}  // namespace lockstep::cuda
