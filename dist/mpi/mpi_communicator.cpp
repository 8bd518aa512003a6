#include <lockstep/dist/mpi/mpi_communicator.h>

#include <algorithm>
#include <map>
#include <optional>

#include <lockstep/dist/mpi/copy.h>
#include <lockstep/dist/mpi/local_group.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/small_vector.h>

namespace lockstep::dist {
namespace {

constexpr int kHeaderTag = 1, kDataTag = 2, kResultTag = 3, kNoTag = 4;
/// Up to here, or among so few ranks, every rank adds for itself what all have published, in one round. More ranks add a slice each and publish
/// that: less to read (32 MiB with four ranks on two hardware threads: 17 - 19 ms instead of 23 - 46; with two it is the same).
constexpr std::int64_t kSmallBytes = 16 << 10;
constexpr int kFewRanks = 2;
constexpr std::int64_t kLine = 64;
/// Bytes that a rank sends at once to another host: a small part of what a message takes that is worth cutting.
constexpr std::int64_t kCrossing = 128 << 10;

/// Copies between contiguous memory and the bytes [begin, end) of parts that lie one behind the other.
template <class Copy>
void for_parts(const std::vector<Part>& parts, std::int64_t begin, std::int64_t end, const Copy& copy) {
  std::int64_t at = 0;
  for (const Part& part : parts) {
    const std::int64_t from = std::max(begin, at), to = std::min(end, at + part.nbytes);
    if (from < to) copy(static_cast<std::byte*>(part.data) + (from - at), from - begin, to - from);
    at += part.nbytes;
    if (at >= end) return;
  }
}
void gather(const std::vector<Part>& parts, std::int64_t begin, std::int64_t end, std::byte* target) {
  for_parts(parts, begin, end, [&](std::byte* mine, std::int64_t offset, std::int64_t n) { copy_bytes(target + offset, mine, std::size_t(n)); });
}
void scatter(const std::vector<Part>& parts, std::int64_t begin, std::int64_t end, const std::byte* source) {
  for_parts(parts, begin, end, [&](std::byte* mine, std::int64_t offset, std::int64_t n) { copy_bytes(mine, source + offset, std::size_t(n)); });
}

/// [begin, end)
struct Range {
  std::int64_t begin, end;
  std::int64_t size() const { return end - begin; }
};
/// Part `k` of `n` of [0, bytes), cut at cache lines.
Range slice_of(std::int64_t bytes, int k, int n) {
  const std::int64_t lines = (bytes + kLine - 1) / kLine;
  return {std::min(bytes, lines * k / n * kLine), std::min(bytes, lines * (k + 1) / n * kLine)};
}

/// Part of a host's sum on its way between the hosts.
struct Crossing {
  std::int64_t first, last;  // the rounds whose sums it holds
  std::byte *sum, *received;
  std::int64_t count = 0;  // elements
  std::vector<MPI_Request> requests = {};
};

void grow(std::vector<std::byte>& memory, std::int64_t bytes) { memory.resize(std::max(memory.size(), std::size_t(bytes))); }

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(MpiComm comm, std::string host, std::string name, Topology topology, CommunicatorOptions options);
  ~MpiCommunicator() override { stop(); }

  std::unique_ptr<Communicator> split(int color, const std::string& name) override;
  void leave(std::chrono::milliseconds longest) {
    local_->leave();
    local_->await_leaving(longest);
  }

 protected:
  void perform(const Call& call, std::int64_t sequence) override;

 private:
  using Clock = std::chrono::steady_clock;
  int hosts() const { return topology().hosts(); }
  /// The rank on `host` with this one's number there.
  int counterpart(int host) const { return host * topology().local_size + topology().local_rank; }

  void agree_locally() const;
  void begin_headers();
  void finish_headers();
  void await(std::vector<MPI_Request>& requests, const std::string& whom);
  void progress();
  void reduce_published(std::int64_t begin, std::int64_t bytes, void* target, int ranks, const std::byte* own, DType to);

  void all_reduce_whole(const Call& call);
  void all_reduce_local(const Call& call);
  void all_reduce_hosts(const Call& call);
  void all_reduce_flat(const Call& call);
  void post(std::vector<MPI_Request>& requests, bool receive, std::byte* data, std::int64_t bytes, int peer, int tag);
  bool crosses_whole(const Crossing& crossing) const;
  Range part_of(const Crossing& crossing, int host) const;
  void send_sums(Crossing& crossing);
  void combine(Crossing& crossing);
  void local(const Call& call);
  void between_hosts(const Call& call);
  void to_all(const std::byte* input, std::byte* output, std::int64_t each);

  MpiComm comm_;
  std::string host_;
  std::unique_ptr<LocalGroup> local_;
  bool aligned_;  // may the hosts' sums be parts of one tree?

  // Of the call that runs.
  CallHeader header_;
  const Call* call_ = nullptr;
  std::vector<CallHeader> their_headers_;
  std::vector<MPI_Request> header_requests_;

  // What MPI reads and writes. It may still do so after a wait that failed, when the caller's memory is gone.
  std::vector<std::byte> sums_, received_, outbox_, inbox_;
};

MpiCommunicator::MpiCommunicator(MpiComm comm, std::string host, std::string name, Topology topology, CommunicatorOptions options)
    : Communicator(std::move(name), std::move(topology), options), comm_(std::move(comm)), host_(std::move(host)) {
  MPI_Comm local = MPI_COMM_NULL;
  {
    const std::lock_guard lock(mpi_mutex());
    check_mpi(MPI_Comm_split(comm_.get(), this->topology().host, rank(), &local));
  }
  const MpiComm owner(local);
  std::vector<int> ranks;
  for (int r = 0; r < size(); ++r)
    if (this->topology().host_of[std::size_t(r)] == this->topology().host) ranks.push_back(r);
  // Messages to other hosts travel only while MPI is called: a rank that waits for its neighbours would hold up its counterparts, they their
  // neighbours, and these the ones it waits for.
  std::function<void()> progress;
  if (hosts() > 1) progress = [this] { this->progress(); };
  local_ = std::make_unique<LocalGroup>(local, [ranks](int index) { return ranks[std::size_t(index)]; }, options.timeout, progress);
  const int each = this->topology().local_size;
  aligned_ = this->topology().uniform() && (each & (each - 1)) == 0;
}

std::unique_ptr<Communicator> MpiCommunicator::split(int color, const std::string& name) {
  barrier("split " + name);  // nothing is under way, and all of them split
  MPI_Comm part = MPI_COMM_NULL;
  {
    const std::lock_guard lock(mpi_mutex());
    check_mpi(MPI_Comm_split(comm_.get(), color, rank(), &part));
  }
  const MpiComm owner(part);
  return mpi_communicator(part, host_, name, options());
}

// ---- agreeing

void MpiCommunicator::agree_locally() const {
  bool same = true;
  for (int peer = 0; peer < local_->size(); ++peer) same = same && local_->header(peer).agrees(header_);
  if (same) return;
  std::vector<std::string> said;
  for (int peer = 0; peer < local_->size(); ++peer) {
    int r = 0, index = -1;
    for (r = 0; r < size(); ++r)
      if (topology().host_of[std::size_t(r)] == topology().host && ++index == peer) break;
    said.push_back("rank " + std::to_string(r) + " is in " + to_string(local_->header(peer)));
  }
  throw AbortedError("the ranks of '" + name() + "' are out of step: " + joined(said), {}, "every rank must make the same calls in the same order");
}

void MpiCommunicator::begin_headers() {
  header_requests_.clear();
  their_headers_.assign(std::size_t(hosts()), {});
  if (hosts() == 1) return;
  const std::lock_guard lock(mpi_mutex());
  // Where hosts have different numbers of ranks, the first ranks of each talk to one another; the others hear of it through them.
  if (!topology().uniform() && topology().local_rank != 0) return;
  for (int host = 0; host < hosts(); ++host) {
    if (host == topology().host) continue;
    const int peer = topology().uniform() ? counterpart(host) : int(std::find(topology().host_of.begin(), topology().host_of.end(), host) - topology().host_of.begin());
    header_requests_.resize(header_requests_.size() + 2);
    MPI_Request* pair = &header_requests_[header_requests_.size() - 2];
    check_mpi(MPI_Irecv(&their_headers_[std::size_t(host)], sizeof(CallHeader), MPI_BYTE, peer, kHeaderTag, comm_.get(), pair));
    check_mpi(MPI_Isend(&header_, sizeof(CallHeader), MPI_BYTE, peer, kHeaderTag, comm_.get(), pair + 1));
  }
}

void MpiCommunicator::finish_headers() {
  if (header_requests_.empty()) return;
  await(header_requests_, "the other hosts");
  for (int host = 0; host < hosts(); ++host) {
    if (host == topology().host || their_headers_[std::size_t(host)].agrees(header_)) continue;
    const std::string text = "the ranks of '" + name() + "' are out of step: host " + std::to_string(topology().host) + " is in " + to_string(header_) + "; host " + std::to_string(host) + " is in " +
                             to_string(their_headers_[std::size_t(host)]) + " - every rank must make the same calls in the same order";
    local_->report(text, false);
    throw AbortedError(text);
  }
}

void MpiCommunicator::await(std::vector<MPI_Request>& requests, const std::string& whom) {
  const auto since = Clock::now();
  for (Patience patience;; patience.pause()) {
    int done = 0;
    {
      const std::lock_guard lock(mpi_mutex());
      check_mpi(MPI_Testall(int(requests.size()), requests.data(), &done, MPI_STATUSES_IGNORE));
    }
    if (done) return requests.clear();
    if (patience.worth_a_look()) local_->check(header_, since, [&] { return whom; });
  }
}

void MpiCommunicator::progress() {
  const std::lock_guard lock(mpi_mutex());
  int found = 0;
  check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, kNoTag, comm_.get(), &found, MPI_STATUS_IGNORE));  // looks for nothing, and moves everything
}

// ---- all-reduce

/// The reduction of bytes [begin, begin + bytes) of what all ranks of the host have published, in dtype `to`; `own`: where this rank has its own
/// instead.
void MpiCommunicator::reduce_published(std::int64_t begin, std::int64_t bytes, void* target, int ranks, const std::byte* own, DType to) {
  SmallVector<const void*, 16> sources;
  for (int peer = 0; peer < local_->size(); ++peer) sources.push_back(own && peer == local_->index() ? own : local_->buffer(peer) + begin);
  // Only the root of the tree over all ranks divides.
  const ReduceOp op = call_->op == ReduceOp::mean && ranks != size() ? ReduceOp::sum : call_->op;
  reduce_sources(op, call_->dtype, to, sources, target, bytes / std::int64_t(itemsize(call_->dtype)), size());
}

/// Every rank adds all for itself, a portion a round. Between two ranks no more bytes go from one to the other than when each adds a half.
void MpiCommunicator::all_reduce_whole(const Call& call) {
  const std::int64_t total = call.nbytes(), portion = std::int64_t(LocalGroup::kBuffer);
  std::int64_t at = 0;
  do {
    const std::int64_t end = std::min(total, at + portion);
    gather(call.parts, at, end, local_->buffer());
    local_->publish(header_);
    if (at == 0) agree_locally();
    for_parts(call.parts, at, end, [&](std::byte* mine, std::int64_t offset, std::int64_t n) { reduce_published(offset, n, mine, local_->size(), mine, call.dtype); });
    at = end;
  } while (at < total);
}

/// Round k publishes what the others add of portion k, and behind it this rank's slice of the sum of portion k - 1: one wait a portion. A rank's
/// own slice never takes the way over shared memory: it is added where it lies.
void MpiCommunicator::all_reduce_local(const Call& call) {
  const int ranks = local_->size(), own = local_->index();
  const std::int64_t total = call.nbytes();
  const std::int64_t portion = std::int64_t(LocalGroup::kBuffer) * ranks / (ranks + 1) / (kLine * ranks) * (kLine * ranks) - kLine * ranks;
  const std::int64_t rounds = (total + portion - 1) / portion;
  const auto range = [&](std::int64_t k) { return Range{k * portion, std::min(total, (k + 1) * portion)}; };
  for (std::int64_t k = 0; k <= rounds; ++k) {
    const Range present = k < rounds ? range(k) : Range{total, total}, mine = slice_of(present.size(), own, ranks);
    gather(call.parts, present.begin, present.begin + mine.begin, local_->buffer());
    gather(call.parts, present.begin + mine.end, present.end, local_->buffer() + mine.end);
    local_->publish(header_);
    if (k == 0) agree_locally();
    std::byte* const sum = local_->buffer() + portion;
    for_parts(call.parts, present.begin + mine.begin, present.begin + mine.end, [&](std::byte* data, std::int64_t offset, std::int64_t n) {
      reduce_published(mine.begin + offset, n, data, ranks, data, call.dtype);
      copy_bytes(sum + offset, data, std::size_t(n));
    });
    if (k == 0) continue;
    for (int peer = 0; peer < ranks; ++peer) {
      const Range theirs = slice_of(range(k - 1).size(), peer, ranks);
      if (peer != own) scatter(call.parts, range(k - 1).begin + theirs.begin, range(k - 1).begin + theirs.end, local_->buffer(peer) + portion);
    }
  }
}

/// Every rank adds its slice of each portion inside the host, and then with its counterparts on the other hosts: slices travel while the next
/// portions are added, and while those that came are given to the neighbours.
void MpiCommunicator::all_reduce_hosts(const Call& call) {
  const int ranks = local_->size();
  const std::int64_t total = call.nbytes(), portion = std::int64_t(LocalGroup::kBuffer) / (kLine * ranks) * (kLine * ranks);
  const std::int64_t rounds = std::max<std::int64_t>(1, (total + portion - 1) / portion);
  const std::int64_t together = std::max<std::int64_t>(1, kCrossing * ranks / portion);
  const auto range = [&](std::int64_t k) { return Range{std::min(total, k * portion), std::min(total, (k + 1) * portion)}; };
  const auto mine = [&](std::int64_t k) { return slice_of(range(k).size(), local_->index(), ranks); };
  const auto element = std::int64_t(itemsize(call.dtype)), wide = std::int64_t(itemsize(wide_dtype(call.dtype)));
  grow(sums_, rounds * (portion / ranks) / element * wide);
  grow(received_, rounds * (portion / ranks) / element * wide * hosts());
  std::vector<Crossing> crossings;
  const auto give = [&](const Crossing& crossing) {
    std::int64_t at = 0;
    for (std::int64_t k = crossing.first; k < crossing.last; at += mine(k).size(), ++k) {
      copy_bytes(local_->buffer(), crossing.sum + at, std::size_t(mine(k).size()));
      local_->publish(header_);
      for (int peer = 0; peer < ranks; ++peer) {
        const Range theirs = slice_of(range(k).size(), peer, ranks);
        scatter(call.parts, range(k).begin + theirs.begin, range(k).begin + theirs.end, local_->buffer(peer));
      }
    }
  };
  begin_headers();
  std::int64_t used = 0;
  for (std::int64_t first = 0; first < rounds; first += together) {
    Crossing& crossing = crossings.emplace_back(Crossing{.first = first, .last = std::min(rounds, first + together), .sum = sums_.data() + used * wide, .received = received_.data() + used * wide * hosts()});
    for (std::int64_t k = crossing.first; k < crossing.last; ++k) {
      gather(call.parts, range(k).begin, range(k).end, local_->buffer());
      local_->publish(header_);
      if (k == 0) agree_locally(), finish_headers();
      reduce_published(mine(k).begin, mine(k).size(), crossing.sum + crossing.count * wide, ranks, nullptr, wide_dtype(call.dtype));
      crossing.count += mine(k).size() / element;
    }
    used += crossing.count;
    send_sums(crossing);
    progress();
  }
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    combine(crossings[i]);
    if (i > 0) await(crossings[i - 1].requests, "the other hosts' results"), give(crossings[i - 1]);
  }
  await(crossings.back().requests, "the other hosts' results");
  give(crossings.back());
}

/// Messages of at most a megabyte: MPI moves what is longer in one piece, behind which others wait.
void MpiCommunicator::post(std::vector<MPI_Request>& requests, bool receive, std::byte* data, std::int64_t bytes, int peer, int tag) {
  constexpr std::int64_t kMessage = 60 << 10;
  for (std::int64_t at = 0; at < bytes; at += kMessage) {
    const int length = int(std::min(kMessage, bytes - at));
    requests.emplace_back();
    if (receive) check_mpi(MPI_Irecv(data + at, length, MPI_BYTE, peer, tag, comm_.get(), &requests.back()));
    else check_mpi(MPI_Isend(data + at, length, MPI_BYTE, peer, tag, comm_.get(), &requests.back()));
  }
}

/// Two hosts exchange their sums whole, unless they are wider than the results; otherwise each adds a part.
bool MpiCommunicator::crosses_whole(const Crossing& crossing) const {
  const DType wide = wide_dtype(call_->dtype);
  return (hosts() == 2 && wide == call_->dtype) || crossing.count * std::int64_t(itemsize(wide)) <= kSmallBytes;
}

/// What `host` adds of a crossing, in elements.
Range MpiCommunicator::part_of(const Crossing& crossing, int host) const { return crosses_whole(crossing) ? Range{0, crossing.count} : slice_of(crossing.count, host, hosts()); }

void MpiCommunicator::send_sums(Crossing& crossing) {
  const std::lock_guard lock(mpi_mutex());
  const auto wide = std::int64_t(itemsize(wide_dtype(call_->dtype)));
  const std::int64_t mine = part_of(crossing, topology().host).size() * wide;
  for (const bool receive : {true, false})
    for (int host = 0; host < hosts(); ++host) {
      if (host == topology().host) continue;
      const Range theirs = part_of(crossing, host);
      if (receive) post(crossing.requests, true, crossing.received + host * mine, mine, counterpart(host), kDataTag);
      else post(crossing.requests, false, crossing.sum + theirs.begin * wide, theirs.size() * wide, counterpart(host), kDataTag);
    }
}

/// Adds what the hosts sent, and sends the results, which lie at the sum's place in the call's own dtype.
void MpiCommunicator::combine(Crossing& crossing) {
  await(crossing.requests, "the other hosts' sums");
  const DType wide = wide_dtype(call_->dtype);
  const auto element = std::int64_t(itemsize(call_->dtype)), wide_size = std::int64_t(itemsize(wide));
  const int own = topology().host;
  const Range part = part_of(crossing, own);
  SmallVector<const void*, 16> sources;
  for (int host = 0; host < hosts(); ++host) sources.push_back(host == own ? crossing.sum + part.begin * wide_size : crossing.received + host * part.size() * wide_size);
  // The narrow results start where the wide sums do, and never overtake them.
  reduce_sources(call_->op, wide, call_->dtype, sources, crossing.sum + part.begin * element, part.size(), size());
  if (crosses_whole(crossing)) return;
  const std::lock_guard lock(mpi_mutex());
  for (const bool receive : {true, false})
    for (int host = 0; host < hosts(); ++host) {
      if (host == own) continue;
      const Range range = receive ? part_of(crossing, host) : part;
      post(crossing.requests, receive, crossing.sum + range.begin * element, range.size() * element, counterpart(host), kResultTag);
    }
}

/// Where the hosts' sums are no parts of the tree: every rank adds a slice of all ranks' data.
void MpiCommunicator::all_reduce_flat(const Call& call) {
  const auto element = std::int64_t(itemsize(call.dtype));
  const std::int64_t each = (call.count + size() - 1) / size(), padded = each * size() * element;
  std::vector<std::byte> input(static_cast<std::size_t>(padded)), contributions(static_cast<std::size_t>(padded));
  gather(call.parts, 0, call.nbytes(), input.data());
  to_all(input.data(), contributions.data(), each * element);
  SmallVector<const void*, 16> sources;
  for (int r = 0; r < size(); ++r) sources.push_back(contributions.data() + r * each * element);
  reduce_sources(call.op, call.dtype, sources, contributions.data(), each, size());
  for (int r = 0; r < size(); ++r) copy_bytes(input.data() + r * each * element, contributions.data(), std::size_t(each * element));
  std::vector<std::byte> results(static_cast<std::size_t>(padded));
  to_all(input.data(), results.data(), each * element);
  scatter(call.parts, 0, call.nbytes(), results.data());
}

/// `each` bytes for every rank, over MPI.
void MpiCommunicator::to_all(const std::byte* input, std::byte* output, std::int64_t each) {
  if (each == 0) return;
  const std::int64_t all = each * size();
  grow(outbox_, all), grow(inbox_, all);
  copy_bytes(outbox_.data(), input, std::size_t(all));
  std::vector<MPI_Request> requests;
  {
    const std::lock_guard lock(mpi_mutex());
    for (const bool receive : {true, false})
      for (int k = 0; k < size(); ++k) {
        const int peer = (rank() + k) % size();
        post(requests, receive, (receive ? inbox_ : outbox_).data() + peer * each, each, peer, kDataTag);
      }
  }
  await(requests, "the other ranks' data");
  copy_bytes(output, inbox_.data(), std::size_t(all));
}

// ---- the other collectives

/// On one host: in each round a rank publishes what others need of it.
void MpiCommunicator::local(const Call& call) {
  const int ranks = local_->size(), own = local_->index();
  const auto element = std::int64_t(itemsize(call.dtype));
  const std::int64_t total = call.nbytes();
  const auto* input = static_cast<const std::byte*>(call.input);
  auto* output = static_cast<std::byte*>(call.output);
  const bool to_each = call.kind == Collective::reduce_scatter || call.kind == Collective::all_to_all;
  const std::int64_t room = std::int64_t(LocalGroup::kBuffer) / (to_each ? ranks : 1) / (kLine * 2) * (kLine * 2);
  std::int64_t at = 0;
  do {
    const std::int64_t n = std::min(room, total - at);
    switch (call.kind) {
      case Collective::broadcast:
        if (own == call.root) gather(call.parts, at, at + n, local_->buffer());
        break;
      case Collective::all_gather:
        if (n > 0) copy_bytes(local_->buffer(), input + at, std::size_t(n));
        break;
      case Collective::reduce_scatter:
      case Collective::all_to_all:
        for (int peer = 0; peer < ranks && n > 0; ++peer) copy_bytes(local_->buffer() + peer * n, input + peer * total + at, std::size_t(n));
        break;
      case Collective::all_reduce:
      case Collective::barrier: break;
    }
    local_->publish(header_);
    if (at == 0) agree_locally();
    if (call.kind == Collective::broadcast && own != call.root) scatter(call.parts, at, at + n, local_->buffer(call.root));
    if (call.kind == Collective::all_gather)
      for (int peer = 0; peer < ranks && n > 0; ++peer) copy_bytes(output + peer * total + at, local_->buffer(peer), std::size_t(n));
    if (call.kind == Collective::all_to_all)
      for (int peer = 0; peer < ranks && n > 0; ++peer) copy_bytes(output + peer * total + at, local_->buffer(peer) + own * n, std::size_t(n));
    if (call.kind == Collective::reduce_scatter) {
      SmallVector<const void*, 16> sources;
      for (int peer = 0; peer < ranks; ++peer) sources.push_back(local_->buffer(peer) + own * n);
      reduce_sources(call.op, call.dtype, sources, output + at, n / element, size());
    }
    at += n;
  } while (at < total);
}

void MpiCommunicator::between_hosts(const Call& call) {
  // A rank with a counterpart everywhere speaks for itself; the first of an uneven host for all of it, so that they must have come.
  if (topology().uniform()) begin_headers();
  local_->publish(header_);
  agree_locally();
  if (!topology().uniform()) begin_headers();
  finish_headers();
  local_->publish(header_);  // all ranks of this host know now that all of the other hosts have come, or that they disagree
  const auto element = std::int64_t(itemsize(call.dtype));
  const std::int64_t bytes = call.nbytes();
  const auto* input = static_cast<const std::byte*>(call.input);
  auto* output = static_cast<std::byte*>(call.output);
  switch (call.kind) {
    case Collective::barrier: break;
    case Collective::broadcast: {
      grow(outbox_, bytes);
      if (rank() == call.root) gather(call.parts, 0, bytes, outbox_.data());
      constexpr std::int64_t kMessage = 1 << 20;
      std::vector<MPI_Request> requests;
      {
        const std::lock_guard lock(mpi_mutex());
        for (std::int64_t at = 0; at < bytes; at += kMessage) {
          requests.emplace_back();
          check_mpi(MPI_Ibcast(outbox_.data() + at, int(std::min(kMessage, bytes - at)), MPI_BYTE, call.root, comm_.get(), &requests.back()));
        }
      }
      await(requests, "rank " + std::to_string(call.root) + "'s data");
      if (rank() != call.root) scatter(call.parts, 0, bytes, outbox_.data());
      break;
    }
    case Collective::all_gather: {
      std::vector<std::byte> copies(std::size_t(bytes) * std::size_t(size()));
      for (int r = 0; r < size() && bytes > 0; ++r) copy_bytes(copies.data() + r * bytes, input, std::size_t(bytes));
      to_all(copies.data(), output, bytes);
      break;
    }
    case Collective::all_to_all: to_all(input, output, bytes); break;
    case Collective::reduce_scatter: {
      std::vector<std::byte> contributions(std::size_t(bytes) * std::size_t(size()));
      to_all(input, contributions.data(), bytes);
      SmallVector<const void*, 16> sources;
      for (int r = 0; r < size(); ++r) sources.push_back(contributions.data() + r * bytes);
      reduce_sources(call.op, call.dtype, sources, output, bytes / element, size());
      break;
    }
    case Collective::all_reduce: all_reduce_flat(call); break;
  }
}

void MpiCommunicator::perform(const Call& call, std::int64_t sequence) {
  header_ = CallHeader(call, sequence);
  call_ = &call;
  if (hosts() > 1) {
    if (call.kind == Collective::all_reduce && aligned_) all_reduce_hosts(call);
    else between_hosts(call);
    return;
  }
  if (call.kind != Collective::all_reduce) return local(call);
  if (local_->size() <= kFewRanks || call.nbytes() <= kSmallBytes) all_reduce_whole(call);
  else all_reduce_local(call);
}

}  // namespace

std::unique_ptr<Communicator> mpi_communicator(MPI_Comm comm, const std::string& host, std::string name, CommunicatorOptions options) {
  constexpr std::size_t kName = 256;
  MPI_Comm own = MPI_COMM_NULL;
  Topology topology;
  std::vector<char> names;
  {
    const std::lock_guard lock(mpi_mutex());
    check_mpi(MPI_Comm_dup(comm, &own));
    check_mpi(MPI_Comm_set_errhandler(own, MPI_ERRORS_RETURN));
    check_mpi(MPI_Comm_rank(own, &topology.rank));
    check_mpi(MPI_Comm_size(own, &topology.world_size));
    std::vector<char> mine(kName, '\0');
    std::copy_n(host.begin(), std::min(host.size(), kName - 1), mine.begin());
    names.resize(kName * std::size_t(topology.world_size));
    check_mpi(MPI_Allgather(mine.data(), int(kName), MPI_CHAR, names.data(), int(kName), MPI_CHAR, own));
  }
  topology.host_of.clear();
  std::map<std::string, int> hosts;
  std::vector<int> counts;
  for (int r = 0; r < topology.world_size; ++r) {
    const std::string each = names.data() + kName * std::size_t(r);
    const auto [place, fresh] = hosts.emplace(each, int(hosts.size()));
    if (fresh) topology.host_names.push_back(each), counts.push_back(0);
    topology.host_of.push_back(place->second);
    if (r == topology.rank) topology.local_rank = counts[std::size_t(place->second)];
    ++counts[std::size_t(place->second)];
  }
  topology.host = topology.host_of[std::size_t(topology.rank)];
  topology.local_size = counts[std::size_t(topology.host)];
  return std::make_unique<MpiCommunicator>(MpiComm(own), host, std::move(name), std::move(topology), options);
}

void leave(Communicator& communicator, std::chrono::milliseconds longest) {
  if (auto* mpi = dynamic_cast<MpiCommunicator*>(&communicator)) mpi->leave(longest);
}

}  // namespace lockstep::dist
