// Every collective x dtype x size against what one process computes of the data of all ranks.
#include <gtest/gtest.h>

#include <lockstep/autodiff/control_flow.h>
#include <lockstep/autodiff/function.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/dist/collectives.h>
#include <lockstep/dist/world.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/print.h>
#include <lockstep/tensor/random.h>

#include "support.h"

using namespace lockstep;
using dist::ReduceOp;

namespace {

/// What rank `r` brings: small whole numbers, so that sums are exact in every dtype, and different from element to element.
Tensor brought(int r, const Shape& shape, DType dtype) {
  const Tensor whole = reshape(mod(range(0, shape.numel()) * 7 + r * 3, scalar(11, int32)), Ints(shape.begin(), shape.end()));
  return dtype == boolean ? equal(whole, scalar(3, int32)) : cast(whole, dtype);
}

/// The tree over ranks, in the dtype that it is added in.
Tensor reduced(ReduceOp op, const Shape& shape, DType dtype) {
  Tensor result = brought(0, shape, dtype);
  const DType wide = dtype == float16 || dtype == bfloat16 ? float32 : dtype;
  if (wide != dtype) result = cast(result, wide);
  for (int r = 1; r < dist::world_size(); ++r) {
    Tensor next = brought(r, shape, dtype);
    if (wide != dtype) next = cast(next, wide);
    if (op == ReduceOp::max) result = dtype == boolean ? logical_or(result, next) : maximum(result, next);
    else if (op == ReduceOp::min) result = dtype == boolean ? logical_and(result, next) : minimum(result, next);
    else result = result + next;
  }
  if (op == ReduceOp::mean) result = result * (1.0 / dist::world_size());
  return wide != dtype ? cast(result, dtype) : result;
}

constexpr DType kDTypes[] = {boolean, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64, complex64, complex128};
constexpr std::int64_t kSizes[] = {0, 1, 7, 8191, 100003, 1 << 20};

bool has(ReduceOp op, DType dtype) {
  try {
    dist::check_reduction(op, dtype);
    return true;
  } catch (const InvalidArgumentError&) {
    return false;
  }
}

class EveryDType : public testing::TestWithParam<DType> {};

TEST_P(EveryDType, IsReducedOverAllRanks) {
  for (const std::int64_t size : kSizes)
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::mean, ReduceOp::max, ReduceOp::min}) {
      if (!has(op, GetParam())) continue;
      const Shape shape{size};
      const Tensor result = dist::all_reduce(brought(dist::rank(), shape, GetParam()), op, {.label = "test"});
      EXPECT_TRUE(same_bits(result, reduced(op, shape, GetParam()))) << dist::name(op) << " of " << size;
    }
}

TEST_P(EveryDType, IsBroadcastFromAnyRank) {
  for (const std::int64_t size : kSizes)
    for (int root = 0; root < dist::world_size(); ++root)
      EXPECT_TRUE(same_bits(dist::broadcast(brought(dist::rank(), {size}, GetParam()), root), brought(root, {size}, GetParam()))) << size << " from " << root;
}

TEST_P(EveryDType, IsGatheredInTheOrderOfTheRanks) {
  for (const std::int64_t size : kSizes) {
    std::vector<Tensor> parts;
    for (int r = 0; r < dist::world_size(); ++r) parts.push_back(brought(r, {size, 1}, GetParam()));
    EXPECT_TRUE(same_bits(dist::all_gather(brought(dist::rank(), {size, 1}, GetParam())), concat(parts, 0))) << size;
    EXPECT_TRUE(same_bits(dist::gather_replicas(brought(dist::rank(), {size, 1}, GetParam()), dist::world_size()), concat(parts, 0))) << size;
  }
}

TEST_P(EveryDType, IsReducedAndScattered) {
  const int ranks = dist::world_size();
  for (const std::int64_t size : {std::int64_t(0), std::int64_t(1), std::int64_t(777), std::int64_t(1) << 18})
    for (const ReduceOp op : {ReduceOp::sum, ReduceOp::max}) {
      if (!has(op, GetParam())) continue;
      const Tensor all = reduced(op, {ranks * size, 2}, GetParam());
      const Tensor own = dist::reduce_scatter(brought(dist::rank(), {ranks * size, 2}, GetParam()), op);
      EXPECT_TRUE(same_bits(own, all[slice(dist::rank() * size, (dist::rank() + 1) * size)])) << size;
    }
}

TEST_P(EveryDType, IsExchangedPartByPart) {
  const int ranks = dist::world_size();
  for (const std::int64_t size : {std::int64_t(0), std::int64_t(1), std::int64_t(777), std::int64_t(1) << 17}) {
    std::vector<Tensor> parts;
    for (int r = 0; r < ranks; ++r) parts.push_back(brought(r, {ranks * size, 2}, GetParam())[slice(dist::rank() * size, (dist::rank() + 1) * size)]);
    EXPECT_TRUE(same_bits(dist::all_to_all(brought(dist::rank(), {ranks * size, 2}, GetParam())), concat(parts, 0))) << size;
  }
}

INSTANTIATE_TEST_SUITE_P(Collectives, EveryDType, testing::ValuesIn(kDTypes), [](const auto& info) { return std::string(name(info.param)); });

TEST(AllReduce, AddsInTheOrderOfATreeWhateverTheSize) {
  // Numbers whose sum depends on the order; the tree's is ((0 + 1) + (2 + 3)).
  const auto value = [](int r, std::int64_t i) { return float(std::pow(-1.7, double((i + 5 * r) % 40))); };
  const auto tree = [&](auto&& self, int first, int last, std::int64_t i) -> float {
    if (last - first == 1) return value(first, i);
    const int middle = first + dist::tree_split(last - first);
    return self(self, first, middle, i) + self(self, middle, last, i);
  };
  for (const std::int64_t size : {3, 5000, 300001}) {
    std::vector<float> own;
    for (std::int64_t i = 0; i < size; ++i) own.push_back(value(dist::rank(), i));
    const Tensor result = dist::all_reduce(constant(own));
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < size; ++i) wrong += result.data<float>()[std::size_t(i)] != tree(tree, 0, dist::world_size(), i);
    EXPECT_EQ(wrong, 0) << size;
  }
}

TEST(AllReduce, RoundsSumsOfSixteenBitsOnceWhateverTheHosts) {
  // Between hosts, too: a host's sum that were rounded on its way would be another one than four ranks of one host have.
  const auto brought_by = [](int r, std::int64_t size, DType dtype) { return cast(sin(cast(range(0, size) * 3 + r, float32)), dtype); };
  const auto tree = [&](auto&& self, int first, int last, std::int64_t size, DType dtype) -> Tensor {
    if (last - first == 1) return cast(brought_by(first, size, dtype), float32);
    const int middle = first + dist::tree_split(last - first);
    return self(self, first, middle, size, dtype) + self(self, middle, last, size, dtype);
  };
  for (const DType dtype : {bfloat16, float16})
    for (const std::int64_t size : {3, 5000, 3000001}) {
      const Tensor result = dist::all_reduce(brought_by(dist::rank(), size, dtype), ReduceOp::mean);
      const Tensor expected = cast(tree(tree, 0, dist::world_size(), size, dtype) * (1.0f / float(dist::world_size())), dtype);
      EXPECT_TRUE(same_bits(result, expected)) << name(dtype) << " x " << size;
    }
}

TEST(AllReduce, ReducesSeveralTensorsAsOneMessage) {
  const Tensor a = brought(dist::rank(), {3, 5}, float32), b = brought(dist::rank(), {70001}, float32), c = brought(dist::rank(), {}, float32);
  const Tensors started = dist::all_reduce_start(std::array{a, b, c});
  const Tensors sums = dist::all_reduce_wait(started);
  EXPECT_TRUE(same_bits(sums[0], reduced(ReduceOp::sum, {3, 5}, float32)));
  EXPECT_TRUE(same_bits(sums[1], reduced(ReduceOp::sum, {70001}, float32)));
  EXPECT_TRUE(same_bits(sums[2], reduced(ReduceOp::sum, {}, float32)));
  EXPECT_TRUE(same_bits(a, brought(dist::rank(), {3, 5}, float32))) << "the input was overwritten";
}

TEST(AllReduce, IsSettledWhenWhatFollowsItFails) {
  // What was begun writes into memory that the next call uses again, unless it has ended before.
  const auto f = autodiff::function([](const Tensor& x, const Tensor& index) {
    const Tensors started = dist::all_reduce_start(std::array{x * 2.0f});
    const Tensor picked = gather(x, index);  // throws where there is no such element
    return Tensors{dist::all_reduce_wait(started)[0], picked};
  });
  const Tensor x = brought(dist::rank(), {1000}, float32);
  for (int time = 0; time < 3; ++time) {
    // (A kernel on a GPU refuses no index: there nothing fails, and the sums have to be right all the same.)
    if (default_device().is_cpu()) {
      EXPECT_THROW(f(x + 1.0f, constant({1000})), InvalidArgumentError);
    }
    const Tensors results = f(x, constant({7}));
    EXPECT_TRUE(same_bits(results[0], reduced(ReduceOp::sum, {1000}, float32) * 2.0f));
  }
  // Outside functions the tensors live until somebody waits, which nobody does here.
  for (int time = 0; time < 3; ++time) dist::all_reduce_start(std::array{x + 1.0f});
  EXPECT_TRUE(same_bits(dist::all_reduce_wait(dist::all_reduce_start(std::array{x}))[0], reduced(ReduceOp::sum, {1000}, float32)));
}

TEST(AllReduce, OfNothingAtAllNeedsNoWait) {
  const Tensors first = dist::all_reduce_start(std::array{zeros({0}, float32), zeros({0, 3}, float32)});
  const Tensors second = dist::all_reduce_start(std::array{zeros({0}, float32), brought(dist::rank(), {9}, float32)});
  EXPECT_TRUE(same_bits(dist::all_reduce_wait(second)[1], reduced(ReduceOp::sum, {9}, float32)));
  EXPECT_EQ(dist::all_reduce_wait(first)[1].shape(), (Shape{0, 3}));
}

TEST(AllReduce, RunsInsideATracedFunctionAndOverlapsWithWhatDoesNotNeedIt) {
  const auto f = autodiff::function([](const Tensor& x) {
    const Tensors started = dist::all_reduce_start(std::array{x * 2.0f, x + 1.0f});
    const Tensor meanwhile = reduce_sum(square(x));
    const Tensors sums = dist::all_reduce_wait(started);
    return Tensors{sums[0] + meanwhile, sums[1]};
  });
  const Tensor x = brought(dist::rank(), {1000}, float32);
  for (int call = 0; call < 3; ++call) {
    const Tensors results = f(x);
    EXPECT_TRUE(same_bits(results[0], reduced(ReduceOp::sum, {1000}, float32) * 2.0f + reduce_sum(square(x))));
    EXPECT_TRUE(same_bits(results[1], reduced(ReduceOp::sum, {1000}, float32) + float(dist::world_size())));
  }
}

TEST(AllReduce, UnrollsAScanInWhoseStepsItStands) {
  const auto f = autodiff::function([](const Tensor& x) {
    return autodiff::scan([](std::span<const Tensor> state, std::span<const Tensor> slices) -> autodiff::Scanned { return {{state[0] + dist::all_reduce(slices[0])}, {}}; },
                          {zeros({2}, float32)}, {x}).state[0];
  });
  const Tensor x = brought(dist::rank(), {3, 2}, float32);
  EXPECT_TRUE(same_bits(f(x), reduce_sum(reduced(ReduceOp::sum, {3, 2}, float32), {0})));
  const std::vector<std::string> names = f.concrete_function(x).graph().op_names();
  EXPECT_EQ(std::count(names.begin(), names.end(), "all_reduce"), 3) << "ranks meet in the order of one graph";
}

TEST(AllReduce, HasTheGradientOfItsReduction) {
  const Tensor x = cast(brought(dist::rank(), {12, 2}, int32), float64) + 0.01 * dist::rank(), weight = scalar(dist::rank() + 1, float64);
  double weights = 0;
  for (int r = 0; r < dist::world_size(); ++r) weights += r + 1;
  autodiff::GradientTape tape({.persistent = true});
  tape.watch(x);
  const Tensor sum = weight * reduce_sum(dist::all_reduce(x)), mean = weight * reduce_sum(dist::all_reduce(x, ReduceOp::mean));
  const Tensor largest = weight * reduce_sum(dist::all_reduce(x, ReduceOp::max));
  EXPECT_TRUE(same_bits(tape.gradient(sum, x).dense(), full({12, 2}, weights, float64)));
  EXPECT_NEAR(reduce_max(abs(tape.gradient(mean, x).dense() - weights / dist::world_size())).item<double>(), 0, 1e-12);
  const Tensor total = dist::all_reduce(tape.gradient(largest, x).dense());
  EXPECT_NEAR(reduce_max(abs(total - weights)).item<double>(), 0, 1e-12) << "it goes to the ranks that have the maximum";
}

TEST(Collectives, HaveTheGradientsOfTheirOpposites) {
  const int ranks = dist::world_size(), own = dist::rank();
  double weights = 0;
  for (int r = 0; r < ranks; ++r) weights += r + 1;
  const Tensor weight = scalar(own + 1, float64);
  const Tensor x = cast(brought(own, {12, 2}, int32), float64);
  autodiff::GradientTape tape({.persistent = true});
  tape.watch(x);
  const Tensor from_last = weight * reduce_sum(dist::broadcast(x, ranks - 1));
  const Tensor gathered = weight * reduce_sum(dist::all_gather(x)), scattered = weight * reduce_sum(dist::reduce_scatter(x)), exchanged = weight * reduce_sum(dist::all_to_all(x));
  EXPECT_TRUE(same_bits(tape.gradient(from_last, x).dense(), full({12, 2}, own == ranks - 1 ? weights : 0.0, float64)));
  EXPECT_TRUE(same_bits(tape.gradient(gathered, x).dense(), full({12, 2}, weights, float64)));
  std::vector<Tensor> parts;
  for (int r = 0; r < ranks; ++r) parts.push_back(full({12 / ranks, 2}, double(r + 1), float64));
  EXPECT_TRUE(same_bits(tape.gradient(scattered, x).dense(), concat(parts, 0)));
  EXPECT_TRUE(same_bits(tape.gradient(exchanged, x).dense(), concat(parts, 0)));
}

TEST(Collectives, RefuseWhatHasNoMeaning) {
  EXPECT_THROW(dist::all_reduce(constant(std::vector<std::string>{"a"})), TypeError);
  EXPECT_THROW(dist::all_reduce(constant({1, 2}), ReduceOp::mean), InvalidArgumentError);
  EXPECT_THROW(dist::all_reduce(constant({true}), ReduceOp::sum), InvalidArgumentError);
  EXPECT_THROW(dist::all_gather(constant(1.0f)), InvalidArgumentError);
  EXPECT_THROW(dist::broadcast(constant(1.0f), dist::world_size()), InvalidArgumentError);
  if (dist::world_size() > 1) {
    EXPECT_THROW(dist::reduce_scatter(zeros({dist::world_size() + 1})), InvalidArgumentError);
  }
  EXPECT_TRUE(same_bits(dist::all_reduce(ones({3})), full({3}, double(dist::world_size()), float32))) << "a refusal leaves the ranks in step";
}

TEST(Group, HoldsTheRanksOfOneColor) {
  const int own = dist::rank(), color = own % 2;
  const dist::Group group = dist::Group::split(color, "parity");
  std::int64_t sum = 0;
  int members = 0;
  for (int r = color; r < dist::world_size(); r += 2) sum += r, ++members;
  EXPECT_EQ(group.size(), members);
  EXPECT_EQ(group.rank(), own / 2);
  EXPECT_EQ(dist::all_reduce(constant(std::int64_t(own)), ReduceOp::sum, {.group = group}).item<std::int64_t>(), sum);
}

TEST(Communicator, GathersTextsOfAnyLength) {
  const auto texts = dist::communicator().gather_texts(std::string(std::size_t(dist::rank()) * 3, char('a' + dist::rank())));
  ASSERT_EQ(int(texts.size()), dist::world_size());
  for (int r = 0; r < dist::world_size(); ++r) EXPECT_EQ(texts[std::size_t(r)], std::string(std::size_t(r) * 3, char('a' + r)));
  EXPECT_EQ(dist::communicator().broadcast_text("from " + std::to_string(dist::rank()), dist::world_size() - 1), "from " + std::to_string(dist::world_size() - 1));
}

TEST(Launch, IsToldFromTheEnvironment) {
  static std::map<std::string, std::string> variables;
  const auto lookup = [](const char* name) -> const char* { return variables.contains(name) ? variables[name].c_str() : nullptr; };
  EXPECT_EQ(dist::detect_launch(lookup), dist::Launch::alone);
  variables = {{"OMPI_COMM_WORLD_SIZE", "2"}};
  EXPECT_EQ(dist::detect_launch(lookup), dist::Launch::mpi);
  variables = {{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}};
  EXPECT_EQ(dist::detect_launch(lookup), dist::Launch::slurm_without_pmix);
  variables["PMIX_RANK"] = "0", variables["PMIX_NAMESPACE"] = "slurm";
  EXPECT_EQ(dist::detect_launch(lookup), dist::Launch::mpi);
  variables = {{"SLURM_STEP_NUM_TASKS", "1"}, {"SLURM_PROCID", "0"}};
  EXPECT_EQ(dist::detect_launch(lookup), dist::Launch::alone);
}

}  // namespace
