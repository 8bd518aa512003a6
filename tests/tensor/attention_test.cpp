// Attention as one op, against the ops that define it: lengths of one block and of several, of rows and of keys; every dtype; any number of threads.

#include <cmath>

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/parallel.h>

namespace lockstep {
namespace {

struct Lengths {
  std::int64_t rows, keys;
};

Tensor noise(const Shape& shape, std::int64_t seed, DType dtype = float32) {
  return cast(random::normal_from(constant(std::vector<std::int64_t>{seed, 0}), shape, 0, 1, float64), dtype);
}

/// With the probabilities in memory.
Tensor written_out(const Tensor& query, const Tensor& key, const Tensor& value, double scale, bool causal) {
  const Tensor pair[] = {query, key};
  Tensor scores = einsum(pair, "bqhd,bkhd->bhqk") * scale;
  if (causal) scores = where(cast(band_part(ones({query.shape()[1], key.shape()[1]}), -1, 0), boolean), scores, scalar(-1e9, scores.dtype()));
  const Tensor combine[] = {softmax(scores), value};
  return einsum(combine, "bhqk,bkhd->bqhd");
}

double largest(const Tensor& difference) { return reduce_max(abs(cast(difference, float64))).item<double>(); }

/// Result and gradients of `f`, by an upstream that is not the same everywhere.
template <class F>
Tensors with_gradients(const F& f, std::span<const Tensor> operands) {
  autodiff::GradientTape tape;
  std::vector<autodiff::Source> sources;
  for (const Tensor& each : operands) tape.watch(each), sources.emplace_back(each);
  const Tensor result = f(operands[0], operands[1], operands[2]);
  const Tensor target = reduce_sum(result * noise(result.shape(), 9, result.dtype()));
  Tensors all{result};
  for (const Gradient& each : tape.gradient(target, sources)) all.push_back(each.dense());
  return all;
}

TEST(Attention, IsWhatItsDefinitionSaysWhateverTheBlocks) {
  for (const Lengths& n : {Lengths{1, 1}, {64, 64}, {5, 700}, {150, 1100}, {700, 65}, {129, 129}})
    for (const bool causal : {false, true}) {
      const Tensor operands[] = {noise({2, n.rows, 3, 8}, 1, float64), noise({2, n.keys, 3, 8}, 2, float64), noise({2, n.keys, 3, 5}, 3, float64)};
      const Tensors got = with_gradients([&](const Tensor& q, const Tensor& k, const Tensor& v) { return dot_product_attention(q, k, v, 0.6, causal); }, operands);
      const Tensors wanted = with_gradients([&](const Tensor& q, const Tensor& k, const Tensor& v) { return written_out(q, k, v, 0.6, causal); }, operands);
      for (std::size_t i = 0; i < 4; ++i) EXPECT_LE(largest(got[i] - wanted[i]), 1e-12) << n.rows << " rows, " << n.keys << " keys, causal " << causal << ": " << i;
    }
}

TEST(Attention, RoundsLessThanTheOpsThatDefineItInEveryDType) {
  for (const DType dtype : {float32, bfloat16, float16})
    for (const bool causal : {false, true}) {
      const Tensor operands[] = {noise({2, 70, 2, 16}, 1, dtype), noise({2, 600, 2, 16}, 2, dtype), noise({2, 600, 2, 8}, 3, dtype)};
      const Tensor exact[] = {cast(operands[0], float64), cast(operands[1], float64), cast(operands[2], float64)};
      const Tensors wanted = with_gradients([&](const Tensor& q, const Tensor& k, const Tensor& v) { return written_out(q, k, v, 0.25, causal); }, exact);
      const Tensors got = with_gradients([&](const Tensor& q, const Tensor& k, const Tensor& v) { return dot_product_attention(q, k, v, {}, causal); }, operands);
      const double allowed = dtype == float32 ? 1e-5 : dtype == float16 ? 1e-2 : 6e-2;
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(got[i].dtype(), dtype);
        EXPECT_LE(largest(cast(got[i], float64) - wanted[i]), allowed) << name(dtype) << ", causal " << causal << ": " << i;
      }
    }
}

TEST(Attention, GivesTheSameBitsOnAnyNumberOfThreads) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "the thread sanitizer does not see how OpenMP's threads wait for each other";
#endif
  const Tensor operands[] = {noise({1, 200, 3, 16}, 1), noise({1, 900, 3, 16}, 2), noise({1, 900, 3, 16}, 3)};
  const auto f = [](const Tensor& q, const Tensor& k, const Tensor& v) { return dot_product_attention(q, k, v, {}, false); };
  const int before = intra_op_threads();
  set_intra_op_threads(1);
  const Tensors alone = with_gradients(f, operands);
  for (const int threads : {2, 3, 4, 8}) {
    set_intra_op_threads(threads);
    const Tensors together = with_gradients(f, operands);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(reduce_all(equal(alone[i], together[i])).item<bool>()) << threads << " threads: " << i;
  }
  set_intra_op_threads(before);
}

TEST(Attention, KeepsLargeScoresFinite) {
  const Tensor x = noise({1, 600, 1, 4}, 1) * 100.0f;
  const Tensor result = dot_product_attention(x, x, x, 1.0, true);
  EXPECT_TRUE(reduce_all(is_finite(result)).item<bool>());
  EXPECT_LE(largest(result - written_out(x, x, x, 1.0, true)), 2e-2);
}

TEST(Attention, OfNoKeysIsZero) {
  const Tensor result = dot_product_attention(noise({2, 3, 2, 4}, 1), zeros({2, 0, 2, 4}), zeros({2, 0, 2, 5}));
  EXPECT_EQ(result.shape(), Shape({2, 3, 2, 5}));
  EXPECT_EQ(largest(result), 0);
}

TEST(Attention, RefusesShapesThatDoNotAgree) {
  const auto message = [](const Shape& query, const Shape& key, const Shape& value) -> std::string {
    try {
      dot_product_attention(zeros(query), zeros(key), zeros(value));
    } catch (const InvalidArgumentError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(message({2, 3, 4}, {2, 3, 4}, {2, 3}).find("axes (batch..., length, heads, size)"), std::string::npos);
  EXPECT_NE(message({2, 3, 2, 4}, {1, 3, 2, 4}, {2, 3, 2, 4}).find("batch axis 0"), std::string::npos);
  EXPECT_NE(message({2, 3, 2, 4}, {2, 3, 1, 4}, {2, 3, 2, 4}).find("same number of heads"), std::string::npos);
  EXPECT_NE(message({2, 3, 2, 4}, {2, 3, 2, 5}, {2, 3, 2, 4}).find("4 and 5"), std::string::npos);
  EXPECT_NE(message({2, 3, 2, 4}, {2, 3, 2, 4}, {2, 6, 2, 4}).find("3 keys and 6 values"), std::string::npos);
}

}  // namespace
}  // namespace lockstep
