// Sparse tensors and sets: against their dense counterparts, their gradients, and what is refused.

#include <gtest/gtest.h>

#include <random>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/parallel.h>

namespace lockstep {
namespace {

using autodiff::GradientTape;
using Ints64 = std::vector<std::int64_t>;
using Floats = std::vector<float>;

Tensor index_pairs(const Ints64& flat) { return constant(flat, Shape{std::int64_t(flat.size() / 2), 2}); }
/// [[0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 3]]
SparseTensor small() { return {index_pairs({0, 1, 1, 0, 2, 3}), constant({1.f, 2.f, 3.f}), Shape{3, 4}}; }

/// Whole numbers, many of them zero: sums are exact in any order.
Tensor random_matrix(std::mt19937_64& random, std::int64_t rows, std::int64_t columns, DType dtype = float32) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows * columns; ++i) values.push_back(random() % 3 ? 0.f : float(random() % 9) - 4);
  return cast(constant(values, Shape{rows, columns}), dtype);
}
bool same(const Tensor& a, const Tensor& b) { return a.spec() == b.spec() && (a.numel() == 0 || reduce_all(equal(a, b)).item<bool>()); }

TEST(SparseTensor, ComesBackFromDense) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 100; ++round) {
    const Tensor x = random_matrix(random, std::int64_t(random() % 5), 1 + std::int64_t(random() % 5));
    EXPECT_TRUE(same(sparse::to_dense(sparse::from_dense(x)), x));
  }
  EXPECT_EQ(sparse::to_dense(sparse::from_dense(constant({"", "a"})), constant("-")).to_vector<std::string>(), (std::vector<std::string>{"-", "a"}));
  EXPECT_THROW(sparse::from_dense(constant(3.f)), InvalidArgumentError);
}

TEST(SparseTensor, RefusesWhatDoesNotFitTogether) {
  const Tensor one = constant({1.f});
  for (const Ints64& bad : {Ints64{0, 9}, Ints64{-1, 0}, Ints64{0, INT64_MAX}, Ints64{INT64_MIN, 0}}) EXPECT_THROW(SparseTensor(index_pairs(bad), one, Shape{2, 3}), InvalidArgumentError);
  EXPECT_THROW(SparseTensor(index_pairs({0, 0, 1, 1}), one, Shape{2, 3}), InvalidArgumentError);
  EXPECT_THROW(SparseTensor(index_pairs({0, 0}), one, Shape{2}), InvalidArgumentError);
  EXPECT_THROW(SparseTensor(constant({{0, 0}}), one, Shape{2, 3}), TypeError);
  EXPECT_THROW(SparseTensor(index_pairs({0, 0}), one, constant(Ints64{INT64_MAX, INT64_MAX})), InvalidArgumentError);
  EXPECT_THROW(SparseTensor(index_pairs({0, 0}), one, constant(Ints64{-1, 3})), InvalidArgumentError);
}

TEST(SparseTensor, IsMadeDenseInOrderOnly) {
  const SparseTensor unordered{index_pairs({1, 0, 0, 1}), constant({2.f, 1.f}), Shape{2, 2}}, twice{index_pairs({0, 1, 0, 1}), constant({1.f, 2.f}), Shape{2, 2}};
  EXPECT_THROW(sparse::to_dense(unordered), InvalidArgumentError);
  EXPECT_THROW(sparse::to_dense(twice), InvalidArgumentError);
  EXPECT_EQ(sparse::to_dense(sparse::reorder(unordered)).to_vector<float>(), (Floats{0, 1, 2, 0}));
  EXPECT_EQ(sparse::to_dense(twice, {}, false).to_vector<float>(), (Floats{0, 2, 0, 0}));
}

TEST(SparseTensor, MultipliesAsItsDenseFormDoes) {
  std::mt19937_64 random(2);
  for (const DType dtype : {float32, float64, int32, complex64, bfloat16})
    for (const std::int64_t width : {1, 7, 64, 131}) {
      const Tensor a = random_matrix(random, 9, 13, dtype), b = random_matrix(random, 13, width, dtype), c = random_matrix(random, 9, width, dtype);
      if (dtype == int32 || dtype == bfloat16) {  // whose dense product there may be none of
        EXPECT_TRUE(same(cast(sparse::matmul(sparse::from_dense(a), b), float32), matmul(cast(a, float32), cast(b, float32)))) << name(dtype);
        continue;
      }
      EXPECT_TRUE(same(sparse::matmul(sparse::from_dense(a), b), matmul(a, b))) << name(dtype) << width;
      EXPECT_TRUE(same(sparse::matmul(sparse::from_dense(a), c, {.adjoint_a = true}), matmul(transpose(a), c))) << name(dtype) << width;
      EXPECT_TRUE(same(sparse::matmul(sparse::from_dense(a), transpose(b), {.adjoint_b = true}), matmul(a, b)));
      EXPECT_TRUE(same(sparse::matmul(transpose(c), sparse::from_dense(a)), matmul(transpose(c), a)));
    }
}

TEST(SparseTensor, MultipliesEntriesInAnyOrderAndAddsRepeats) {
  const SparseTensor x{index_pairs({1, 0, 0, 1, 0, 1}), constant({1.f, 2.f, 3.f}), Shape{2, 3}};
  EXPECT_EQ(sparse::matmul(x, ones({3, 2})).to_vector<float>(), (Floats{5, 5, 1, 1}));
  EXPECT_THROW(sparse::matmul(x, ones({2, 2})), InvalidArgumentError);
  EXPECT_THROW(sparse::matmul(x, ones({3, 2}, float64)), TypeError);
}

TEST(SparseTensor, MultipliesTheSameWithAnyNumberOfThreads) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer does not see how OpenMP's threads wait for each other";
#endif
  std::mt19937_64 random(3);
  const SparseTensor x = sparse::from_dense(random::uniform({300, 200}) * cast(random_matrix(random, 300, 200) > 0., float32));
  const Tensor y = random::uniform({200, 64});
  const int threads = intra_op_threads();
  set_intra_op_threads(1);
  const Tensor one = sparse::matmul(x, y);
  set_intra_op_threads(3);
  EXPECT_EQ(std::memcmp(one.raw(), sparse::matmul(x, y).raw(), one.nbytes()), 0);
  set_intra_op_threads(threads);
}

TEST(SparseTensor, HasTheGradientsOfItsDenseForm) {
  std::mt19937_64 random(4);
  const Tensor a = random_matrix(random, 5, 6, float64), b = random_matrix(random, 6, 3, float64);
  const SparseTensor x = sparse::from_dense(a);
  GradientTape tape({.persistent = true});
  tape.watch(x.values());
  tape.watch(a);
  tape.watch(b);
  const Tensor sparse_loss = reduce_sum(square(sparse::matmul(x, b))), dense_loss = reduce_sum(square(matmul(a, b)));
  EXPECT_TRUE(same(tape.gradient(sparse_loss, x.values()).dense(), gather_nd(tape.gradient(dense_loss, a).dense(), x.indices())));
  EXPECT_TRUE(same(tape.gradient(sparse_loss, b).dense(), tape.gradient(dense_loss, b).dense()));
  const SparseTensor twice = sparse::add(x, sparse::transpose(sparse::transpose(x)));
  EXPECT_TRUE(same(tape.gradient(reduce_sum(sparse::to_dense(twice)), x.values()).dense(), full(x.values().shape(), 2, float64)));
}

TEST(SparseTensor, AddsJoinsAndCutsAsItsDenseFormDoes) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 50; ++round) {
    const Tensor a = random_matrix(random, 4, 5), b = random_matrix(random, 4, 5);
    const SparseTensor x = sparse::from_dense(a), y = sparse::from_dense(b);
    EXPECT_TRUE(same(sparse::to_dense(sparse::add(x, y)), a + b));
    EXPECT_TRUE(same(sparse::add(x, b), a + b));
    EXPECT_TRUE(same(sparse::to_dense(sparse::maximum(x, y)), maximum(a, b)));
    const std::vector<Tensor> dense{a, b};
    const std::vector<SparseTensor> both{x, y};
    for (const int axis : {0, 1}) EXPECT_TRUE(same(sparse::to_dense(sparse::concat(both, axis)), concat(dense, axis)));
    EXPECT_TRUE(same(sparse::to_dense(sparse::slice(x, {1, 2}, {2, 9})), slice(a, {1, 2}, {2, 3})));
    EXPECT_TRUE(same(sparse::to_dense(sparse::transpose(x)), transpose(a)));
    EXPECT_TRUE(same(sparse::to_dense(sparse::reshape(x, {2, -1})), reshape(a, {2, 10})));
    EXPECT_TRUE(same(sparse::to_dense(sparse::expand_dims(x, 1)), expand_dims(a, 1)));
    EXPECT_TRUE(same(sparse::reduce_sum(x, 0), reduce_sum(a, 0)));
    EXPECT_TRUE(same(sparse::reduce_sum(x, 1, true), reduce_sum(a, 1, true)));
    EXPECT_TRUE(same(sparse::to_dense(x * constant({1.f, 2.f, 3.f, 4.f, 5.f})), a * constant({1.f, 2.f, 3.f, 4.f, 5.f})));
  }
}

TEST(SparseTensor, KeepsSumsThatReachTheThreshold) {
  const SparseTensor y{index_pairs({0, 0, 0, 1}), constant({5.f, -1.f}), Shape{3, 4}};
  EXPECT_EQ(sparse::add(small(), y).values().to_vector<float>(), (Floats{5, 0, 2, 3}));
  EXPECT_EQ(sparse::add(small(), y, 0.1).values().to_vector<float>(), (Floats{5, 2, 3}));
  EXPECT_THROW(sparse::add(small(), sparse::reset_shape(small(), Shape{3, 5})), InvalidArgumentError);
}

TEST(SparseTensor, LooksRowsUpWithWeights) {
  const Tensor table = reshape(range(12, 0, -1, float32), {4, 3});
  const SparseTensor ids{index_pairs({0, 0, 0, 1, 2, 1}), constant({1, 2, 3}), Shape{4, 2}};
  const SparseTensor weights = ids.with_values(constant({.5f, 2.f, 3.f}));
  EXPECT_EQ(sparse::embedding_lookup_sparse(table, ids).to_vector<float>(), (Floats{7.5, 6.5, 5.5, 0, 0, 0, 3, 2, 1, 0, 0, 0}));
  EXPECT_EQ(sparse::embedding_lookup_sparse(table, ids, weights, "sum").to_vector<float>(), (Floats{16.5, 14, 11.5, 0, 0, 0, 9, 6, 3, 0, 0, 0}));
  EXPECT_THROW(sparse::embedding_lookup_sparse(table, ids.with_values(constant({1, 2, 4}))), InvalidArgumentError);
  EXPECT_THROW(sparse::embedding_lookup_sparse(table, ids, {}, "max"), InvalidArgumentError);
}

TEST(SparseTensor, LooksUpAsManyRowsAsTurnOutInATracedFunction) {
  const auto lookup = autodiff::function([](const SparseTensor& ids, const Tensor& table) {
    const SparseTensor kept = sparse::retain(ids, ids.values() > 1);
    return std::pair(sparse::embedding_lookup_sparse(table, kept), cast(sparse::to_indicator(kept, 4), int32));
  });
  const Tensor table = reshape(range(12, 0, -1, float32), {4, 3});
  const auto [rows, indicator] = lookup(SparseTensor{index_pairs({0, 0, 0, 1, 1, 1}), constant({1, 2, 3}), Shape{2, 2}}, table);
  EXPECT_EQ(rows.to_vector<float>(), (Floats{6, 5, 4, 3, 2, 1}));
  EXPECT_EQ(indicator.to_vector<std::int32_t>(), (std::vector<std::int32_t>{0, 0, 1, 0, 0, 0, 0, 1}));
  EXPECT_THROW(sparse::to_indicator(SparseTensor(zeros({1, 0}, int64), constant({1}), Shape{}), 4), InvalidArgumentError);
}

TEST(SparseTensor, RefusesPartsAndShapesThatAreNone) {
  EXPECT_THROW(sparse::slice(small(), {0, 0}, {-1, 1}), InvalidArgumentError);
  EXPECT_EQ(sparse::slice(small(), {5, 1}, {1, 1}).shape(), (Shape{0, 1}));
  EXPECT_EQ(sparse::slice(small(), {1, 1}, {INT64_MAX, INT64_MAX}).shape(), (Shape{2, 3}));
  EXPECT_THROW(sparse::reshape(small(), {5, 2}), InvalidArgumentError);
  EXPECT_THROW(sparse::reshape(small(), {-1, -1}), InvalidArgumentError);
  EXPECT_THROW(sparse::reshape(small(), {INT64_MAX, INT64_MAX}), InvalidArgumentError);
  EXPECT_THROW(sparse::transpose(small(), {0, 0}), InvalidArgumentError);
  EXPECT_THROW(sparse::concat(std::vector{small(), sparse::transpose(small())}, 0), InvalidArgumentError);
  EXPECT_EQ(sparse::concat(std::vector{small(), sparse::transpose(small())}, 0, true).shape(), (Shape{7, 4}));
  EXPECT_THROW(sparse::retain(small(), constant({true})), InvalidArgumentError);
}

TEST(SparseTensor, IsPartOfATracedFunction) {
  const auto product = autodiff::function([](const SparseTensor& x, const Tensor& y) { return sparse::matmul(x * 2., y); });
  const Tensor y = reshape(range(0, 8, 1, float32), {4, 2});
  EXPECT_TRUE(same(product(small(), y), matmul(sparse::to_dense(small()) * 2., y)));
  product(small().with_values(constant({4.f, 5.f, 6.f})), y);
  EXPECT_EQ(product.trace_count(), 1);
  product(sparse::reset_shape(small(), Shape{5, 4}), y);
  EXPECT_EQ(product.trace_count(), 2);
  const auto sum = autodiff::function([](const SparseTensor& x) { return sparse::add(x, x); });
  EXPECT_EQ(sum(small()).shape(), (Shape{3, 4}));
  EXPECT_EQ(sum(small()).values().to_vector<float>(), (Floats{2, 4, 6}));
  const auto dense = autodiff::function([](const Tensor& indices, const Tensor& values) { return sparse::to_dense(SparseTensor(indices, values, Shape{2, 2})); });
  EXPECT_THROW(dense(index_pairs({0, 7}), constant({1.f})), InvalidArgumentError);
  EXPECT_THROW(dense(index_pairs({0, -7}), constant({1.f})), InvalidArgumentError);
}

// ---- sets

TEST(Sets, TakeDenseAndSparseOperands) {
  const SparseTensor a{index_pairs({0, 0, 0, 1, 2, 0}), constant({5, 6, 7}), Shape{3, 2}}, b{index_pairs({0, 0, 2, 1}), constant({6, 7}), Shape{3, 2}};
  const SparseTensor both = sets::intersection(a, b);
  EXPECT_EQ(both.values().to_vector<std::int32_t>(), (std::vector<std::int32_t>{6, 7}));
  EXPECT_EQ(both.shape(), (Shape{3, 1}));
  EXPECT_EQ(sets::difference(constant({{1, 2}, {3, 4}}), constant({{2, 9}, {3, 4}}), false).values().to_vector<std::int32_t>(), (std::vector<std::int32_t>{9}));
  EXPECT_EQ(sets::size(a).to_vector<std::int32_t>(), (std::vector<std::int32_t>{2, 0, 1}));
  EXPECT_EQ(sets::set_union(constant({{"b", "a"}}), constant({{"c"}})).values().to_vector<std::string>(), (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(sets::intersection(constant({{1, 2}}), constant({{3, 4}})).shape(), (Shape{1, 0}));
}

TEST(Sets, RefuseOtherRowsDtypesAndOrders) {
  EXPECT_THROW(sets::set_union(constant({1, 2}), constant({3})), InvalidArgumentError);
  EXPECT_THROW(sets::set_union(constant({{1, 2}}), constant({{3}, {4}})), InvalidArgumentError);
  EXPECT_THROW(sets::set_union(constant({{1.f}}), constant({{2.f}})), TypeError);
  EXPECT_THROW(sets::set_union(constant({{1}}), constant({{"a"}})), TypeError);
  const SparseTensor unordered{index_pairs({2, 0, 0, 0}), constant({5, 6}), Shape{3, 2}};
  EXPECT_THROW(sets::size(unordered), InvalidArgumentError);
  EXPECT_EQ(sets::size(unordered, false).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 0, 1}));
}

TEST(Sets, WorkInsideATracedFunction) {
  const auto united = autodiff::function([](const Tensor& a, const Tensor& b) { return sparse::to_dense(sets::set_union(a, b)); });
  EXPECT_EQ(united(constant({{1, 2}, {3, 3}}), constant({{2}, {4}})).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2, 3, 4}));
}

}  // namespace
}  // namespace lockstep
