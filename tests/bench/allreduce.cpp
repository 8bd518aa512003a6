// `lockstep bench allreduce`: the all-reduce beside MPI's own and beside a copy in memory, size by size, as nccl-tests and the OSU benchmarks
// measure it. What is compared takes turns within one run, so that ratios hold while the machine's speed drifts.

#include <mpi.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>

#include <lockstep/dist/mpi/check.h>
#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

#include "bench.h"
#include "ranks.h"
#include "timing.h"

namespace lockstep::bench {
namespace {

using dist::ReduceOp;

// ---- correctness

/// A multiple of the period of its values: whole numbers below 11, exact in every dtype, different from rank to rank.
constexpr std::int64_t kPattern = 11 * 1024;

Tensor pattern_of(int rank, DType dtype) {
  std::vector<std::int32_t> values;
  for (std::int64_t i = 0; i < kPattern; ++i) values.push_back(std::int32_t((i * 7 + rank * 3) % 11));
  return cast(constant(values), dtype);
}

/// The ranks' patterns, reduced here; 16-bit floats as the communicator does it, in float32.
Tensor expected_pattern(ReduceOp op, DType dtype, int ranks) {
  const DType wide = is_float(dtype) && itemsize(dtype) == 2 ? float32 : dtype;
  Tensor result = pattern_of(0, wide);
  for (int r = 1; r < ranks; ++r) {
    const Tensor next = pattern_of(r, wide);
    result = op == ReduceOp::max ? maximum(result, next) : op == ReduceOp::min ? minimum(result, next) : result + next;
  }
  if (op == ReduceOp::mean) result = result * (1.0 / ranks);
  return cast(result, dtype);
}

/// Calls `visit(offset, n)` for the pieces of [0, bytes) that begin with a pattern.
void each_piece(std::int64_t bytes, std::int64_t piece, const std::function<void(std::int64_t, std::int64_t)>& visit) {
  for (std::int64_t at = 0; at < bytes; at += piece) visit(at, std::min(piece, bytes - at));
}

bool reduces_correctly(std::byte* data, std::int64_t bytes, DType dtype, ReduceOp op) {
  dist::Communicator& communicator = dist::communicator();
  const Tensor mine = pattern_of(communicator.rank(), dtype), wanted = expected_pattern(op, dtype, communicator.size());
  each_piece(bytes, std::int64_t(mine.nbytes()), [&](std::int64_t at, std::int64_t n) { std::memcpy(data + at, mine.raw(), std::size_t(n)); });
  communicator.all_reduce(data, bytes / std::int64_t(itemsize(dtype)), dtype, op, "check");
  double wrong = 0;
  each_piece(bytes, std::int64_t(mine.nbytes()), [&](std::int64_t at, std::int64_t n) { wrong += std::memcmp(data + at, wanted.raw(), std::size_t(n)) != 0; });
  communicator.all_reduce(&wrong, 1, float64, ReduceOp::sum, "wrong");
  return wrong == 0;
}

// ---- time

/// One of the ways that are compared, as often as `calls` says.
using Way = std::function<void(int calls)>;

/// Seconds of a call of one way, over the repetitions, of each the slowest rank's.
struct Time {
  double median, least;
};

/// The ways take turns.
std::vector<Time> times_of(const std::vector<Way>& ways, double seconds) {
  constexpr double kLongEnough = 300e-6;  // of one timing, so that the clock and the ranks' different starts do not count
  dist::Communicator& communicator = dist::communicator();
  const auto timed = [&](const Way& way, int calls) {
    communicator.barrier("start");
    const auto start = Clock::now();
    way(calls);
    return seconds_since(start) / calls;
  };
  std::vector<std::int64_t> plan;  // calls of each way in one timing, and then the number of repetitions
  double round = 0;
  for (const Way& way : ways) {
    double once = 1e9;
    for (int k = 0; k < 3; ++k) once = std::min(once, timed(way, 1));
    plan.push_back(std::clamp<std::int64_t>(std::int64_t(kLongEnough / once), 1, 1000));
    round += once * double(plan.back());
  }
  plan.push_back(std::clamp<std::int64_t>(std::int64_t(seconds / round), 3, 500));
  communicator.broadcast(plan.data(), std::int64_t(plan.size()), int64, 0, "plan");
  std::vector<std::vector<double>> times(ways.size());
  for (std::int64_t k = 0; k < plan.back(); ++k)
    for (std::size_t w = 0; w < ways.size(); ++w) times[w].push_back(timed(ways[w], int(plan[w])));
  std::vector<Time> result;
  for (std::vector<double>& each : times) {
    communicator.all_reduce(each.data(), std::int64_t(each.size()), float64, ReduceOp::max, "times");
    result.push_back({median(each), *std::min_element(each.begin(), each.end())});
  }
  return result;
}

/// Seconds that the messages between the hosts take at least: each sends (and receives) all of its sum but its own part, and the same of results.
double link_seconds(std::int64_t bytes, int hosts, double gbps) { return 8.0 * double(bytes) * 2 * (hosts - 1) / hosts / (gbps * 1e9); }

MPI_Op mpi_op(ReduceOp op) { return op == ReduceOp::max ? MPI_MAX : op == ReduceOp::min ? MPI_MIN : MPI_SUM; }

struct Buffers {
  std::vector<std::byte> ours, others;  // the second for MPI and as the target of copies
  /// Calls in flight at once, each with its own part of `ours`.
  static int in_flight(std::int64_t bytes) { return bytes <= std::int64_t(64) << 20 ? 4 : 2; }
};

std::vector<Way> ways_of(Buffers& buffers, std::int64_t bytes, DType dtype, ReduceOp op) {
  dist::Communicator& communicator = dist::communicator();
  const std::int64_t count = bytes / std::int64_t(itemsize(dtype));
  std::byte *const ours = buffers.ours.data(), *const others = buffers.others.data();
  const Way blocking = [=, &communicator](int calls) {
    for (int k = 0; k < calls; ++k) communicator.all_reduce(ours, count, dtype, op, "bench");
  };
  const Way in_flight = [=, &communicator](int calls) {
    std::array<dist::Communicator::Ticket, 4> tickets{};
    const int most = Buffers::in_flight(bytes);
    for (int done = 0; done < calls; done += most) {
      const int now = std::min(most, calls - done);
      for (int k = 0; k < now; ++k)
        tickets[std::size_t(k)] = communicator.start({.kind = dist::Collective::all_reduce, .op = op, .dtype = dtype, .count = count, .parts = {{ours + k * bytes, bytes}}, .label = "bench"});
      for (int k = 0; k < now; ++k) communicator.wait(tickets[std::size_t(k)]);
    }
  };
  const Way mpi = [=](int calls) {
    const std::lock_guard lock(dist::mpi_mutex());
    for (int k = 0; k < calls; ++k) dist::check_mpi(MPI_Allreduce(MPI_IN_PLACE, others, int(bytes / 4), MPI_FLOAT, mpi_op(op), MPI_COMM_WORLD));
  };
  const Way copy = [=](int calls) {
    for (int k = 0; k < calls; ++k) std::memcpy(others, ours, std::size_t(bytes));
  };
  // At least as many calls as may be in flight.
  return {blocking, [=](int calls) { in_flight(calls * Buffers::in_flight(bytes)); }, mpi, copy};
}

void measure(const AllReduceOptions& options) {
  dist::Communicator& communicator = dist::communicator();
  const DType dtype = dtype_from_name(options.dtype);
  const ReduceOp op = dist::reduce_op(options.op);
  dist::check_reduction(op, dtype);
  const int ranks = communicator.size();
  const double bus = 2.0 * (ranks - 1) / ranks;
  if (!options.json && communicator.rank() == 0)
    std::printf("%s of %s, %d ranks%s; us a call, GB/s of the bus; ratio: MPI's time to ours\n%12s %12s %8s %12s %8s %12s %8s %7s %12s\n", options.op.c_str(), options.dtype.c_str(), ranks,
                communicator.topology().hosts() > 1 ? " on several hosts" : "", "bytes", "us", "GB/s", "in flight", "GB/s", "MPI us", "GB/s", "ratio", "copy GB/s");
  for (const std::int64_t bytes : all_reduce_sizes(options.least, options.most)) {
    const int in_flight = Buffers::in_flight(bytes);
    Buffers buffers{std::vector<std::byte>(std::size_t(bytes * in_flight)), std::vector<std::byte>(std::size_t(bytes))};
    const bool correct = reduces_correctly(buffers.ours.data(), bytes, dtype, op);
    std::fill(buffers.ours.begin(), buffers.ours.end(), std::byte(0));  // added up again and again, zeros stay what they are
    std::vector<double> us, least;
    for (const Time& each : times_of(ways_of(buffers, bytes, dtype, op), options.seconds)) {
      const double calls = us.size() == 1 ? in_flight : 1;
      us.push_back(1e6 * each.median / calls);
      least.push_back(1e6 * each.least / calls);
    }
    const auto gigabytes = [&](double time) { return 1e-3 * double(bytes) / time; };
    if (communicator.rank() == 0) {
      nlohmann::ordered_json line{{"bench", "allreduce"}, {"ranks", ranks}, {"hosts", communicator.topology().hosts()}, {"dtype", options.dtype}, {"op", options.op}, {"bytes", bytes},
                                        {"us", us[0]}, {"least_us", least[0]}, {"algorithm_GBps", gigabytes(us[0])}, {"bus_GBps", bus * gigabytes(us[0])},
                                        {"in_flight", in_flight}, {"in_flight_us", us[1]}, {"in_flight_bus_GBps", bus * gigabytes(us[1])},
                                        {"mpi_us", us[2]}, {"mpi_least_us", least[2]}, {"mpi_bus_GBps", bus * gigabytes(us[2])}, {"ratio", us[2] / us[0]}, {"in_flight_ratio", us[2] / us[1]},
                                        {"copy_us", us[3]}, {"copy_GBps", gigabytes(us[3])}, {"correct", correct}};
      const int hosts = communicator.topology().hosts();
      const bool linked = options.link_gbps > 0 && hosts > 1;
      const double share = 1e6 * link_seconds(bytes, hosts, options.link_gbps) / us[0];
      if (linked) line["link_share"] = share;
      if (options.json) std::printf("%s\n", line.dump().c_str());
      else
        std::printf("%12ld %12.2f %8.2f %12.2f %8.2f %12.2f %8.2f %7.2f %12.2f%s%s\n", long(bytes), us[0], bus * gigabytes(us[0]), us[1], bus * gigabytes(us[1]), us[2], bus * gigabytes(us[2]), us[2] / us[0],
                    gigabytes(us[3]), linked ? ("  " + std::to_string(int(100 * share + 0.5)) + " % of the link").c_str() : "", correct ? "" : "  WRONG");
      std::fflush(stdout);
    }
    if (!correct) throw InternalError("the " + options.op + " of " + std::to_string(bytes) + " bytes of " + options.dtype + " is wrong", "bench allreduce");
  }
}

}  // namespace

std::vector<std::int64_t> all_reduce_sizes(std::int64_t least, std::int64_t most) {
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = std::int64_t(1) << 10; size <= std::int64_t(1) << 28; size *= 4) sizes.push_back(size);
  sizes.insert(sizes.end(), {std::int64_t(4) << 20, std::int64_t(32) << 20});
  std::sort(sizes.begin(), sizes.end());
  sizes.erase(std::unique(sizes.begin(), sizes.end()), sizes.end());
  std::erase_if(sizes, [&](std::int64_t size) { return size < least || size > most; });
  if (sizes.empty()) throw InvalidArgumentError("no size from 1 KiB to 256 MiB that is a power of 4 lies between " + std::to_string(least) + " and " + std::to_string(most) + " bytes", "bench allreduce");
  return sizes;
}

void run_all_reduce(const AllReduceOptions& options) {
  if (is_rank()) measure(options);
  else run_as_ranks(options.ranks, {});
}

}  // namespace lockstep::bench
