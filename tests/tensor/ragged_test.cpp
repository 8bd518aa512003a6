// Ragged tensors: how they are made, indexed, joined and reduced; round trips; what is refused.

#include <gtest/gtest.h>

#include <random>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using autodiff::GradientTape;
using Ints64 = std::vector<std::int64_t>;
using Floats = std::vector<float>;

Tensor splits(const Ints64& values) { return constant(values); }
RaggedTensor rows() { return RaggedTensor::from_row_splits(constant({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}), splits({0, 3, 3, 4, 6})); }
/// [[[1, 2], [3]], [], [[], [4, 5, 6]]]
RaggedTensor nested() { return RaggedTensor::from_row_splits(RaggedTensor::from_row_splits(constant({1.f, 2.f, 3.f, 4.f, 5.f, 6.f}), splits({0, 2, 3, 3, 6})), splits({0, 2, 2, 4})); }

TEST(RaggedTensor, PrintsItsRows) {
  EXPECT_EQ(to_string(rows()), "<RaggedTensor [[1.0, 2.0, 3.0], [], [4.0], [5.0, 6.0]]>");
  EXPECT_EQ(to_string(nested()), "<RaggedTensor [[[1.0, 2.0], [3.0]], [], [[], [4.0, 5.0, 6.0]]]>");
}

TEST(RaggedTensor, IsMadeOfSplitsLengthsIdsStartsOrLimits) {
  const Tensor values = constant({1.f, 2.f, 3.f, 4.f, 5.f, 6.f});
  const std::string text = to_string(rows());
  EXPECT_EQ(to_string(RaggedTensor::from_row_lengths(values, constant({3, 0, 1, 2}))), text);
  EXPECT_EQ(to_string(RaggedTensor::from_value_rowids(values, constant({0, 0, 0, 2, 3, 3}))), text);
  EXPECT_EQ(to_string(RaggedTensor::from_row_starts(values, constant({0, 3, 3, 4}))), text);
  EXPECT_EQ(to_string(RaggedTensor::from_row_limits(values, constant({3, 3, 4, 6}))), text);
  EXPECT_EQ(to_string(RaggedTensor::from_uniform_row_length(values, 3)), "<RaggedTensor [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]>");
}

TEST(RaggedTensor, RefusesSplitsThatAreNone) {
  const Tensor values = constant({1.f, 2.f});
  for (const Ints64& bad : {Ints64{0, 3}, Ints64{0, 1}, Ints64{1, 2}, Ints64{0, 2, 1, 2}, Ints64{0, -1, 2}, Ints64{}, Ints64{0, INT64_MAX}, Ints64{0, INT64_MIN, 2}})
    EXPECT_THROW(RaggedTensor::from_row_splits(values, splits(bad)), InvalidArgumentError);
  EXPECT_THROW(RaggedTensor::from_row_splits(values, constant({0.f, 2.f})), TypeError);
  EXPECT_THROW(RaggedTensor::from_row_splits(scalar(1, float32), splits({0, 1})), InvalidArgumentError);
  EXPECT_THROW(RaggedTensor::from_row_lengths(values, constant({-1, 3})), InvalidArgumentError);
  EXPECT_THROW(RaggedTensor::from_row_starts(values, constant({0.f, 1.f})), TypeError);
  EXPECT_THROW(RaggedTensor::from_row_limits(values, constant({1.f, 2.f})), TypeError);
  EXPECT_THROW(RaggedTensor::from_row_limits(values, constant({{1, 2}})), InvalidArgumentError);
  EXPECT_THROW(RaggedTensor::from_value_rowids(values, constant({1, 0})), InvalidArgumentError);
  EXPECT_THROW(RaggedTensor::from_value_rowids(values, constant({0, 3}), 2), InvalidArgumentError);
  EXPECT_THROW(RaggedTensor::from_value_rowids(values, splits({0, 1}), INT64_MAX), Error);
  EXPECT_THROW(RaggedTensor::from_value_rowids(values, splits({0, 1}), std::int64_t(1) << 50), ResourceExhaustedError);
  EXPECT_THROW(RaggedTensor::from_uniform_row_length(values, 0), InvalidArgumentError);
}

TEST(RaggedTensor, IsIndexedAsNestedListsAre) {
  EXPECT_EQ(to_string(nested()[0]), "<RaggedTensor [[1.0, 2.0], [3.0]]>");
  EXPECT_EQ((nested()[{2, 1, -1}].tensor().item<float>()), 6);
  EXPECT_EQ(to_string(nested()[{all, slice(-1)}]), "<RaggedTensor [[[3.0]], [], [[4.0, 5.0, 6.0]]]>");
  EXPECT_EQ(to_string(nested()[{all, all, slice({}, {}, -2)}]), "<RaggedTensor [[[2.0], [3.0]], [], [[], [6.0, 4.0]]]>");
  EXPECT_EQ(to_string(nested()[{ellipsis, slice(0, 1)}]), "<RaggedTensor [[[1.0], [3.0]], [], [[], [4.0]]]>");
  EXPECT_EQ(to_string(rows()[{slice({}, {}, -1)}]), "<RaggedTensor [[5.0, 6.0], [4.0], [], [1.0, 2.0, 3.0]]>");
  EXPECT_EQ(to_string(rows()[{newaxis, slice(0, 1)}]), "<RaggedTensor [[[1.0, 2.0, 3.0]]]>");
  EXPECT_EQ(to_string(rows()[{slice(7, {})}]), "<RaggedTensor []>");
  EXPECT_EQ(to_string(nested()[{slice(2, 1), slice(0, 1)}]), "<RaggedTensor []>");
  EXPECT_THROW(rows()[4], IndexError);
  EXPECT_THROW(rows()[-5], IndexError);
  EXPECT_THROW((rows()[{all, 0}]), InvalidArgumentError);
  EXPECT_THROW((rows()[{0, 3}]), IndexError);
  EXPECT_THROW((rows()[{0, 0, 0}]), IndexError);
  EXPECT_THROW((rows()[{all, slice({}, {}, 0)}]), InvalidArgumentError);
}

TEST(RaggedTensor, IsIndexedByTheLargestSteps) {
  EXPECT_EQ(to_string(rows()[{slice({}, {}, INT64_MIN)}]), "<RaggedTensor [[5.0, 6.0]]>");
  EXPECT_EQ(to_string(rows()[{all, slice({}, {}, INT64_MIN)}]), "<RaggedTensor [[3.0], [], [4.0], [6.0]]>");
  EXPECT_EQ(to_string(rows()[{slice({}, {}, INT64_MAX), slice(INT64_MIN, INT64_MAX, INT64_MAX)}]), "<RaggedTensor [[1.0]]>");
}

TEST(RaggedTensor, IsConcatenatedOnEveryAxis) {
  const std::vector<RaggedTensor> two{nested(), nested()};
  EXPECT_EQ(ragged::concat(two, 0).nrows(), 6);
  EXPECT_EQ(to_string(ragged::concat(two, 1)), "<RaggedTensor [[[1.0, 2.0], [3.0], [1.0, 2.0], [3.0]], [], [[], [4.0, 5.0, 6.0], [], [4.0, 5.0, 6.0]]]>");
  EXPECT_EQ(to_string(ragged::concat(two, 2)), "<RaggedTensor [[[1.0, 2.0, 1.0, 2.0], [3.0, 3.0]], [], [[], [4.0, 5.0, 6.0, 4.0, 5.0, 6.0]]]>");
  const std::vector<RaggedTensor> mixed{rows(), ones({4, 1})}, unlike{rows(), ones({3, 1})};
  EXPECT_EQ(to_string(ragged::concat(mixed, -1)), "<RaggedTensor [[1.0, 2.0, 3.0, 1.0], [1.0], [4.0, 1.0], [5.0, 6.0, 1.0]]>");
  EXPECT_THROW(ragged::concat(unlike, 1), InvalidArgumentError);
  EXPECT_THROW(ragged::concat(std::vector<RaggedTensor>{rows(), nested()}, 0), InvalidArgumentError);
  EXPECT_THROW(ragged::concat(two, 3), InvalidArgumentError);
}

TEST(RaggedTensor, IsStackedAndTiled) {
  const std::vector<RaggedTensor> two{rows(), rows()};
  EXPECT_EQ(ragged::stack(two).ragged_rank(), 2);
  EXPECT_EQ(to_string(ragged::stack(two, 1)[0]), "<RaggedTensor [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]>");
  EXPECT_EQ(to_string(ragged::tile(rows(), {2, 0})), "<RaggedTensor [[], [], [], [], [], [], [], []]>");
  EXPECT_EQ(to_string(ragged::tile(nested(), {1, 1, 2})[0]), "<RaggedTensor [[1.0, 2.0, 1.0, 2.0], [3.0, 3.0]]>");
}

TEST(RaggedTensor, IsReducedOverAnyAxes) {
  const RaggedTensor x = nested();
  EXPECT_EQ(to_string(ragged::reduce_sum(x, 0)), "<RaggedTensor [[1.0, 2.0], [7.0, 5.0, 6.0]]>");
  EXPECT_EQ(to_string(ragged::reduce_sum(x, 1)), "<RaggedTensor [[4.0, 2.0], [], [4.0, 5.0, 6.0]]>");
  EXPECT_EQ(to_string(ragged::reduce_sum(x, 2)), "<RaggedTensor [[3.0, 3.0], [], [0.0, 15.0]]>");
  EXPECT_EQ(ragged::reduce_sum(x, {0, 1}).tensor().to_vector<float>(), (Floats{8, 7, 6}));
  EXPECT_EQ(ragged::reduce_sum(x, {1, 2}).tensor().to_vector<float>(), (Floats{6, 0, 15}));
  EXPECT_EQ(ragged::reduce_sum(x, {0, -1}).tensor().to_vector<float>(), (Floats{3, 18}));
  EXPECT_EQ(ragged::reduce_sum(x).tensor().item<float>(), 21);
  EXPECT_EQ(ragged::reduce_all(ragged::map_flat_values([](const Tensor& v) { return v > 1.; }, rows()), 1).tensor().to_vector<bool>(), (std::vector<bool>{false, true, true, true}));
  EXPECT_THROW(ragged::reduce_sum(x, 3), InvalidArgumentError);
}

TEST(RaggedTensor, BroadcastsTensorsAgainstItsRows) {
  EXPECT_EQ(to_string(rows() + constant({{10.f}, {20.f}, {30.f}, {40.f}})), "<RaggedTensor [[11.0, 12.0, 13.0], [], [34.0], [45.0, 46.0]]>");
  EXPECT_EQ(to_string(12. / rows()[{slice(2, 4)}]), "<RaggedTensor [[3.0], [2.4, 2.0]]>");
  EXPECT_EQ(to_string(rows() * 2.f), "<RaggedTensor [[2.0, 4.0, 6.0], [], [8.0], [10.0, 12.0]]>");
  EXPECT_EQ(to_string(RaggedTensor::from_tensor(ones({2, 2})) + constant({1.f, 2.f})), "<RaggedTensor [[2.0, 3.0], [2.0, 3.0]]>");
  EXPECT_THROW(rows() + constant({1.f, 2.f}), InvalidArgumentError);
  EXPECT_THROW(rows() + ones({3, 1}), InvalidArgumentError);
  EXPECT_THROW(rows() + rows()[{slice({}, {}, -1)}], InvalidArgumentError);
  EXPECT_THROW(rows() + 1.5f + RaggedTensor(scalar(1, int32)), TypeError);
}

TEST(RaggedTensor, KeepsAMaskOrTheRowsItNames) {
  const RaggedTensor mask = ragged::map_flat_values([](const Tensor& v) { return logical_or(v < 2., v > 4.); }, rows());
  EXPECT_EQ(to_string(ragged::boolean_mask(rows(), mask)), "<RaggedTensor [[1.0], [], [], [5.0, 6.0]]>");
  EXPECT_EQ(to_string(ragged::boolean_mask(rows(), constant({true, false, false, true}))), "<RaggedTensor [[1.0, 2.0, 3.0], [5.0, 6.0]]>");
  EXPECT_EQ(to_string(ragged::gather(rows(), constant({{3, 1}, {2, 3}}))), "<RaggedTensor [[[5.0, 6.0], []], [[4.0], [5.0, 6.0]]]>");
  EXPECT_THROW(ragged::gather(rows(), constant({4})), IndexError);
  EXPECT_THROW(ragged::gather(rows(), constant({-1})), IndexError);
  EXPECT_THROW(ragged::boolean_mask(rows(), constant({true})), InvalidArgumentError);
}

TEST(RaggedTensor, RangesEndBeforeTheirLimits) {
  EXPECT_EQ(to_string(ragged::range(constant({0, 5, 9}), constant({3, 5, 2}), constant({1, 1, -3}))), "<RaggedTensor [[0, 1, 2], [], [9, 6, 3]]>");
  EXPECT_EQ(ragged::range(constant({INT32_MIN}), constant({INT32_MAX}), scalar(INT32_MAX, int32)).flat_values().numel(), 3);
  EXPECT_THROW(ragged::range(constant({0}), constant({3}), constant({0})), InvalidArgumentError);
  EXPECT_THROW(ragged::range(splits({INT64_MIN}), splits({INT64_MAX}), splits({1})), InvalidArgumentError);
}

TEST(RaggedTensor, CutsOffWhatDoesNotFitAShape) {
  EXPECT_EQ(rows().to_tensor({3, 2}, scalar(-1, float32)).to_vector<float>(), (Floats{1, 2, -1, -1, 4, -1}));
  EXPECT_THROW(rows().to_tensor({3, -2}), InvalidArgumentError);
  EXPECT_THROW(rows().to_tensor({INT64_MAX, INT64_MAX}), Error);
}

/// Rows of random lengths, with no zeros among the values.
RaggedTensor random_rows(std::mt19937_64& random, int ragged_rank) {
  std::vector<Tensor> nested_splits;
  std::int64_t count = std::int64_t(random() % 6);
  for (int i = 0; i < ragged_rank; ++i) {
    Ints64 ends{0};
    for (std::int64_t r = 0; r < count; ++r) ends.push_back(ends.back() + std::int64_t(random() % 4));
    count = ends.back();
    nested_splits.push_back(splits(ends));
  }
  return RaggedTensor::from_nested_row_splits(lockstep::range(1, count + 1), nested_splits);
}

TEST(RaggedTensor, ComesBackFromPaddingAndFromSparse) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const RaggedTensor x = random_rows(random, 1);
    const std::string text = to_string(x);
    EXPECT_EQ(to_string(ragged::from_sparse(ragged::to_sparse(x))), text);
    const Tensor padded = x.to_tensor();
    EXPECT_EQ(to_string(RaggedTensor::from_tensor_with_lengths(padded, x.row_lengths())), text);
    EXPECT_EQ(to_string(RaggedTensor::from_tensor_with_padding(padded, scalar(0, int32))), text);
    EXPECT_EQ(sparse::to_dense(ragged::to_sparse(x)).to_vector<std::int32_t>(), padded.to_vector<std::int32_t>());
  }
  for (int round = 0; round < 100; ++round) {
    const RaggedTensor x = random_rows(random, 3);
    EXPECT_EQ(sparse::to_dense(ragged::to_sparse(x)).to_vector<std::int32_t>(), x.to_tensor().to_vector<std::int32_t>());
  }
}

TEST(RaggedTensor, LetsGradientsThroughItsValues) {
  const auto f = [](std::span<const Tensor> in) {
    const RaggedTensor x = RaggedTensor::from_row_splits(in[0], splits({0, 3, 3, 4, 6}));
    const RaggedTensor sliced = x[{all, slice(-2)}] * x[{all, slice(-2)}];
    return reduce_sum(x.to_tensor({4, 2}, in[1])) * 2 + ragged::reduce_sum(sliced).tensor() + reduce_sum(ragged::reduce_mean(ragged::concat(std::vector{x, x * x}, 1)[{slice(2, 4)}], 1).tensor());
  };
  const std::vector<Tensor> inputs{constant({1., 2., 3., 4., 5., 6.}, float64), constant(.5, float64)};
  GradientTape tape;
  tape.watch(inputs[0]);
  tape.watch(inputs[1]);
  const auto gradients = tape.gradient(f(inputs), {inputs[0], inputs[1]});
  EXPECT_EQ(gradients[0].dense().to_vector<double>(), (std::vector<double>{2, 6, 6, 2 + 8 + 4.5, 2 + 10 + 2.75, 2 + 12 + 3.25}));
  EXPECT_EQ(gradients[1].dense().item<double>(), 6);
}

TEST(RaggedTensor, IsPartOfATracedFunction) {
  const auto pooled = autodiff::function([](const RaggedTensor& words, const Tensor& table) { return ragged::reduce_mean(ragged::gather(RaggedTensor(table), words), 1).tensor(); });
  const RaggedTensor words = RaggedTensor::from_row_splits(constant({0, 1, 1}), splits({0, 2, 3}));
  EXPECT_EQ(pooled(words, constant({{1.f, 2.f}, {3.f, 4.f}})).to_vector<float>(), (Floats{2, 3, 3, 4}));
  EXPECT_EQ(pooled(RaggedTensor::from_row_splits(constant({1, 1, 0}), splits({0, 1, 3})), constant({{1.f, 2.f}, {3.f, 4.f}})).to_vector<float>(), (Floats{3, 4, 2, 3}));
  EXPECT_EQ(pooled.trace_count(), 1);
  const auto doubled = autodiff::function([](const RaggedTensor& x) { return x + x; });
  EXPECT_EQ(to_string(doubled(nested())), "<RaggedTensor [[[2.0, 4.0], [6.0]], [], [[], [8.0, 10.0, 12.0]]]>");
}

TEST(RaggedTensor, IsReducedOverRowsInsideATracedFunction) {
  const auto over_rows = autodiff::function([](const RaggedTensor& x) { return std::pair(ragged::reduce_mean(x, 0).tensor(), ragged::reduce_max(x, 0).tensor()); });
  const auto [mean, largest] = over_rows(rows());
  EXPECT_EQ(mean.to_vector<float>(), ragged::reduce_mean(rows(), 0).tensor().to_vector<float>());
  EXPECT_EQ(largest.to_vector<float>(), (Floats{5, 6, 3}));
  EXPECT_THROW(autodiff::function([](const RaggedTensor& x) { return ragged::reduce_sum(x, 0); })(nested()), UnimplementedError);
}

TEST(RaggedTensor, RefusesTensorsOfUnknownShapeBesideItsRows) {
  const auto sum = autodiff::function([](const RaggedTensor& x, const Tensor& column, const Tensor& mask) { return (x + RaggedTensor(boolean_mask(column, mask))).flat_values(); });
  EXPECT_THROW(sum(rows(), ones({4, 1}), constant({true, true, true, true})), UnimplementedError);
}

TEST(RaggedTensor, ChecksRowsWhenATracedFunctionRuns) {
  const auto sum = autodiff::function([](const Tensor& values, const Tensor& a, const Tensor& b) { return (RaggedTensor::from_row_splits(values, a) + RaggedTensor::from_row_splits(values, b)).row_lengths(); });
  EXPECT_EQ(sum(constant({1.f, 2.f}), splits({0, 1, 2}), splits({0, 1, 2})).to_vector<std::int64_t>(), (Ints64{1, 1}));
  EXPECT_THROW(sum(constant({1.f, 2.f}), splits({0, 1, 2}), splits({0, 2, 2})), InvalidArgumentError);
  const auto padded = autodiff::function([](const Tensor& values, const Tensor& a) { return RaggedTensor::from_row_splits(values, a).to_tensor(); });
  EXPECT_THROW(padded(constant({1.f, 2.f}), splits({0, 7})), InvalidArgumentError);
  EXPECT_THROW(padded(constant({1.f, 2.f}), splits({0, -7, 2})), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep
