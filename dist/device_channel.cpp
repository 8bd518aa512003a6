#include <lockstep/dist/device_channel.h>

#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string_view>

#include <lockstep/dist/cuda/nccl_table.h>
#include <lockstep/dist/host_buffer.h>
#include <lockstep/dist/recorder.h>
#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::dist {
namespace {

constexpr std::int64_t kChunk = std::int64_t(4) << 20;  // bytes that cross between hosts at once, while others are on their way to and from the device

struct Channels {
  std::mutex mutex;
  std::map<std::pair<const Communicator*, int>, std::unique_ptr<DeviceChannel>> open;  // null: through the host
};
Channels& channels() {
  static auto* instance = new Channels;
  return *instance;
}

bool is_set(const char* name, std::string_view value) {
  const char* text = std::getenv(name);
  return text && text == value;
}

double seconds_now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

NcclTable::Gather gather_of(Communicator& communicator) {
  return [&communicator](const void* mine, void* all, std::size_t nbytes) { communicator.all_gather(mine, all, std::int64_t(nbytes), uint8, "between GPUs"); };
}

}  // namespace

DeviceChannel* DeviceChannel::of(Communicator& communicator, Device device) {
  if (device.is_cpu() || communicator.size() == 1) return nullptr;
  Channels& all = channels();
  {
    const std::lock_guard lock(all.mutex);
    const auto found = all.open.find({&communicator, device.index()});
    if (found != all.open.end()) return found->second.get();
  }
  std::unique_ptr<DeviceChannel> channel;
  const Topology& topology = communicator.topology();
  const bool inside_hosts = is_set("LOCKSTEP_NCCL", "host") && topology.hosts() > 1 && topology.uniform() && topology.local_size > 1;
  if (!is_set("LOCKSTEP_NCCL", "0") && device_plugin().nccl) channel.reset(new DeviceChannel(communicator, device, inside_hosts));
  const std::lock_guard lock(all.mutex);
  return (all.open[{&communicator, device.index()}] = std::move(channel)).get();
}

void DeviceChannel::close_all() {
  const std::lock_guard lock(channels().mutex);
  channels().open.clear();
}

DeviceChannel::DeviceChannel(Communicator& communicator, Device device, bool inside_hosts) : communicator_(communicator), device_(device), table_(*device_plugin().nccl) {
  const Topology& topology = communicator.topology();
  if (inside_hosts) {
    inside_ = communicator.split(topology.host, communicator.name() + "/host");
    across_ = communicator.split(topology.local_rank, communicator.name() + "/across");
  }
  Communicator& ranks = inside_ ? *inside_ : communicator;
  nccl_ = table_.open({.device = device.index(), .rank = ranks.rank(), .size = ranks.size(), .timeout = communicator.timeout(), .share_gpu = is_set("LOCKSTEP_SHARE_GPU", "1"), .gather = gather_of(ranks)});
  watcher_ = std::thread([this] { watch(); });
}

DeviceChannel::~DeviceChannel() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  watcher_.join();
  for (const Watched& each : watched_) table_.forget(each.mark);
  table_.close(nccl_);
}

bool DeviceChannel::takes(Collective kind, ReduceOp op, DType dtype) const {
  if (kind == Collective::all_gather || kind == Collective::broadcast) return !inside_;
  if (kind == Collective::reduce_scatter && inside_) return false;
  if (kind != Collective::all_reduce && kind != Collective::reduce_scatter) return false;
  // NCCL adds in the order of its rings; of two there is only one order.
  if (op_determinism() && communicator_.size() > 2) return false;
  return (op == ReduceOp::sum || op == ReduceOp::mean) && table_.adds(dtype);
}

void DeviceChannel::begin(Collective kind, DType dtype, std::int64_t count, const std::string& label) {
  const Call call{.kind = kind, .dtype = dtype, .count = count, .label = label};
  now_ = {.mark = nullptr, .deadline = seconds_now() + communicator_.timeout(), .record = flight_recorder().add(++sequence_, communicator_.name() + "/nccl", call), .what = to_string(call)};
  flight_recorder().started(now_.record);
  table_.follow(nccl_);
}

void DeviceChannel::end() {
  now_.mark = table_.mark(nccl_);
  const std::lock_guard lock(mutex_);
  watched_.push_back(std::move(now_));
  wake_.notify_all();
}

void DeviceChannel::all_reduce(std::span<const void* const> in, std::span<void* const> out, std::span<const std::int64_t> counts, DType dtype, const std::string& label) {
  std::int64_t all = 0;
  for (const std::int64_t count : counts) all += count;
  begin(Collective::all_reduce, dtype, all, label);
  if (inside_) {
    for (std::size_t i = 0; i < counts.size(); ++i) cross(in[i], out[i], counts[i], dtype, label);
  } else {
    table_.group(nccl_, true);
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] > 0) table_.all_reduce(nccl_, in[i], out[i], counts[i], dtype);
    table_.group(nccl_, false);
  }
  end();
}

void DeviceChannel::reduce_scatter(const void* in, void* out, std::int64_t count, DType dtype, const std::string& label) {
  begin(Collective::reduce_scatter, dtype, count, label);
  if (count > 0) table_.reduce_scatter(nccl_, in, out, count, dtype);
  end();
}

void DeviceChannel::all_gather(const void* in, void* out, std::int64_t nbytes, const std::string& label) {
  begin(Collective::all_gather, uint8, nbytes, label);
  if (nbytes > 0) table_.all_gather(nccl_, in, out, std::size_t(nbytes));
  end();
}

void DeviceChannel::broadcast(void* data, std::int64_t nbytes, int root, const std::string& label) {
  if (root < 0 || root >= communicator_.size()) throw InvalidArgumentError("there is no rank " + std::to_string(root) + " among " + std::to_string(communicator_.size()), communicator_.name());
  begin(Collective::broadcast, uint8, nbytes, label);
  if (nbytes > 0) table_.broadcast(nccl_, data, std::size_t(nbytes), root);
  end();
}

void DeviceChannel::lead() { table_.lead(nccl_); }

void DeviceChannel::divide(void* data, std::int64_t count, DType dtype) {
  if (count == 0) return;
  static const OpDef& op = find_op("divide");
  const DeviceScope scope(device_);
  const Tensor sum = Tensor::borrow(data, {count}, dtype, {}, device_);
  const Tensor mean = compute(op, std::array{sum, scalar(communicator_.size(), dtype)}, {}).front();
  copy_bytes(device_, data, device_, mean.raw(), mean.nbytes());
}

/// The sum over all ranks: over those of the host by NCCL, a part for each; of that part over the hosts; and together again.
void DeviceChannel::cross(const void* in, void* out, std::int64_t count, DType dtype, const std::string& label) {
  if (count == 0) return;
  const std::int64_t ranks = inside_->size(), part = (count + ranks - 1) / ranks, size = std::int64_t(itemsize(dtype));
  const auto reserve = [&](Tensor& tensor, std::int64_t nbytes) {
    if (tensor.defined() && tensor.numel() >= nbytes) return;
    synchronize(device_);
    tensor = Tensor::empty({nbytes}, uint8, device_);
    table_.follow(nccl_);  // the memory is the stream's from here on
  };
  reserve(buffer_, part * ranks * size);
  reserve(shard_, part * size);
  auto *whole = static_cast<std::byte*>(buffer_.mutable_raw()), *shard = static_cast<std::byte*>(shard_.mutable_raw());
  table_.copy_on_device(nccl_, whole, in, std::size_t(count * size));
  table_.reduce_scatter(nccl_, whole, shard, part, dtype);
  add_over_hosts(shard, part, dtype, label);
  table_.all_gather(nccl_, shard, whole, std::size_t(part * size));
  table_.copy_on_device(nccl_, out, whole, std::size_t(count * size));
}

/// In chunks through two pinned buffers: one comes from the device while the other is added.
void DeviceChannel::add_over_hosts(std::byte* shard, std::int64_t count, DType dtype, const std::string& label) {
  const std::int64_t size = std::int64_t(itemsize(dtype)), step = std::max<std::int64_t>(1, kChunk / size), chunks = (count + step - 1) / step;
  const HostBuffer buffers[2] = {HostBuffer(std::size_t(std::min(step, count) * size)), HostBuffer(std::size_t(std::min(step, count) * size))};
  void* arrived[2] = {nullptr, nullptr};
  const auto elements = [&](std::int64_t chunk) { return std::min(step, count - chunk * step); };
  const auto fetch = [&](std::int64_t chunk) {
    table_.copy_to_host(nccl_, buffers[chunk % 2].data(), shard + chunk * step * size, std::size_t(elements(chunk) * size));
    arrived[chunk % 2] = table_.mark(nccl_);
  };
  fetch(0);
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
    // (The next chunk's buffer is free when its last way to the device is done: the stream does one after the other.)
    if (chunk + 1 < chunks) fetch(chunk + 1);
    table_.wait(arrived[chunk % 2]);
    table_.forget(std::exchange(arrived[chunk % 2], nullptr));
    across_->all_reduce(buffers[chunk % 2].data(), elements(chunk), dtype, ReduceOp::sum, label);
    table_.copy_to_device(nccl_, shard + chunk * step * size, buffers[chunk % 2].data(), std::size_t(elements(chunk) * size));
  }
  void* const done = table_.mark(nccl_);
  table_.wait(done);  // the buffers go
  table_.forget(done);
}

void DeviceChannel::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, watched_.empty() ? std::chrono::milliseconds(1000) : std::chrono::milliseconds(50));
    std::string why;
    try {
      while (!watched_.empty() && table_.done(watched_.front().mark)) {
        flight_recorder().ended(watched_.front().record, false);
        table_.forget(watched_.front().mark);
        watched_.pop_front();
      }
      why = watched_.empty() ? "" : table_.trouble(nccl_);
    } catch (const std::exception& error) {
      why = error.what();
    }
    if (why.empty() && !watched_.empty() && seconds_now() > watched_.front().deadline)
      why = "rank " + std::to_string(communicator_.rank()) + " has waited " + std::to_string(int(communicator_.timeout())) + " s for " + watched_.front().what + " between the GPUs";
    if (!why.empty()) give_up(why);
  }
}

void DeviceChannel::give_up(const std::string& why) {
  for (const Watched& each : watched_) flight_recorder().ended(each.record, true);
  write_recorder(communicator_.rank(), why);
  std::fprintf(stderr, "lockstep: %s\n", why.c_str());
  std::fflush(nullptr);
  // Peers hear of it sooner by an abort, which may itself wait for what is broken.
  std::thread([table = &table_, comm = nccl_] {
    table->abort(comm);
    _exit(kExitLostPeers);
  }).detach();
  std::this_thread::sleep_for(std::chrono::seconds(5));
  _exit(kExitLostPeers);
}

}  // namespace lockstep::dist
