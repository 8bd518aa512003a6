// A communicator's queue, what it leaves behind, and what several members of one process do together.
#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <thread>

#include <unistd.h>

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/dist/collectives.h>
#include <lockstep/dist/communicator.h>
#include <lockstep/dist/recorder.h>
#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

using namespace lockstep;
using dist::ReduceOp;

namespace {

/// Threads that start calls, two at a time, and wait for them the other way round.
void expect_copies(dist::Communicator& communicator) {
  constexpr int kThreads = 4, kCalls = 200;
  std::vector<int> wrong(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&communicator, &mine = wrong[std::size_t(t)], t] {
      for (int call = 0; call < kCalls; ++call) {
        std::vector<std::int64_t> first(50), second(70), first_copy(50), second_copy(70);
        std::iota(first.begin(), first.end(), t * kCalls + call), std::iota(second.begin(), second.end(), -call);
        const auto a = communicator.start({.kind = dist::Collective::all_gather, .dtype = int64, .count = 50, .input = first.data(), .output = first_copy.data()});
        const auto b = communicator.start({.kind = dist::Collective::all_gather, .dtype = int64, .count = 70, .input = second.data(), .output = second_copy.data()});
        communicator.wait(b);
        communicator.wait(a);
        mine += first != first_copy || second != second_copy;
      }
    });
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(wrong, std::vector<int>(kThreads));
}

TEST(Queue, TakesCallsFromSeveralThreads) { expect_copies(*dist::single_communicator()); }

TEST(Queue, TakesCallsFromSeveralThreadsWhileOneOfItsOwnRunsThem) { expect_copies(*dist::single_communicator("threaded", {.thread = true})); }

TEST(Barrier, IsLeftByNobodyBeforeTheLastHasCome) {
  dist::Communicator& world = dist::communicator();
  const auto now = [] { return std::int64_t(std::chrono::steady_clock::now().time_since_epoch().count()); };  // one clock: the ranks share a machine
  for (int late = 0; late < world.size(); ++late) {
    world.barrier();
    if (world.rank() == late) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::int64_t came = now();
    world.barrier();
    const std::int64_t left = now();
    std::vector<std::int64_t> all_came(std::size_t(world.size())), all_left(all_came);
    world.all_gather(&came, all_came.data(), 1, int64);
    world.all_gather(&left, all_left.data(), 1, int64);
    EXPECT_LE(*std::max_element(all_came.begin(), all_came.end()), *std::min_element(all_left.begin(), all_left.end())) << "rank " << late << " came last";
  }
}

TEST(Queue, IsRunByItsThreadWhileNobodyWaits) {
  const auto communicator = dist::single_communicator("threaded", {.thread = true});
  const std::vector<double> input(10, 3.0);
  std::vector<double> output(10);
  const auto ticket = communicator->start({.kind = dist::Collective::all_gather, .dtype = float64, .count = 10, .input = input.data(), .output = output.data(), .label = "run by the thread"});
  const auto done = [] {
    const std::vector<dist::Record> records = dist::flight_recorder().records();
    return records.back().call.label == "run by the thread" && records.back().state == dist::CallState::done;
  };
  for (int wait = 0; wait < 5000 && !done(); ++wait) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(done());
  communicator->wait(ticket);
  EXPECT_EQ(output, input);
}

TEST(FlightRecorder, WritesLabelsThatEndInTheMiddleOfACharacter) {
  dist::FlightRecorder recorder;
  recorder.add(1, "world", {.label = "\xa4hne"});
  const std::string path = testing::TempDir() + "lockstep-recorder-test-" + std::to_string(getpid()) + ".json";
  recorder.write(path, 0, "half of \xc3");
  const auto json = nlohmann::json::parse(std::ifstream(path));
  unlink(path.c_str());
  EXPECT_EQ(json["records"][0]["label"], "\xef\xbf\xbdhne");
}

/// The mean over members of one process that joint_collective gives.
Tensor joint_mean(const std::vector<Tensor>& members) {
  dist::register_collectives();
  const OpDef& op = find_op("all_reduce");
  AttrList attrs;
  for (const AttrDef& each : op.attrs) attrs.push_back({each.name, each.name == "op" ? AttrValue(std::string("mean")) : each.fallback});
  std::vector<Tensor> results;
  std::vector<const void*> in;
  std::vector<void*> out;
  for (const Tensor& member : members) {
    results.push_back(Tensor::empty(member.shape(), member.dtype(), member.device()));
    in.push_back(member.raw()), out.push_back(results.back().mutable_raw());
  }
  std::vector<const void* const*> inputs;
  std::vector<void* const*> outputs;
  for (std::size_t m = 0; m < members.size(); ++m) inputs.push_back(&in[m]), outputs.push_back(&out[m]);
  dist::joint_collective(op, attrs, std::array{members[0].spec()}, inputs, outputs, int(members.size()) * dist::world_size(), members[0].device());
  return results.back();
}

TEST(JointCollective, RoundsTheMeanOf16BitFloatsOnce) {
  const int ranks = dist::world_size();
  const Tensor large = full({5}, 40000.0, float16);  // twice that has no place in a float16
  EXPECT_TRUE(reduce_all(equal(joint_mean({large, large}), large)).item<bool>());
  // Rank 0's sum, 257, has none in a bfloat16.
  const Tensor mean = joint_mean({full({5}, dist::rank() == 0 ? 256.0 : 1.0, bfloat16), full({5}, dist::rank() == 0 ? 1.0 : 0.0, bfloat16)});
  const Tensor expected = cast(full({5}, double(float(256 + ranks) * float(0.5 / ranks)), float32), bfloat16);
  EXPECT_TRUE(reduce_all(equal(mean, expected)).item<bool>());
}

}  // namespace
