// Factorizations of matrices larger than LAPACK's blocks, and of what is not finite.

#include <gtest/gtest.h>

#include <cmath>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

Tensor drawn(std::int64_t rows, std::int64_t columns) {
  random::set_seed(7);
  return random::normal({rows, columns}, 0, 1, float64);
}
double greatest(const Tensor& x) { return reduce_max(abs(x)).item<double>(); }
Tensor product(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false) { return matmul(a, b, transpose_a, transpose_b); }

TEST(Linalg, FactorsGiveTheMatrixBack) {
  for (const auto& [rows, columns] : {std::pair<std::int64_t, std::int64_t>{90, 70}, {70, 90}, {5, 1}, {1, 5}}) {
    const Tensor x = drawn(rows, columns);
    const Tensors qr = apply_named("qr", std::vector{x});
    EXPECT_LT(greatest(product(qr[0], qr[1]) - x), 1e-12);
    const auto [s, u, v] = svd_uv(x);
    EXPECT_LT(greatest(product(u * s, v, false, true) - x), 1e-12);
  }
}

TEST(Linalg, OrthonormalColumnsAreOrthonormal) {
  const Tensor x = drawn(90, 70);
  const Tensors full = apply_named("qr", std::vector{x}, {{"full_matrices", true}});
  ASSERT_EQ(full[0].shape(), Shape({90, 90}));
  EXPECT_LT(greatest(product(full[0], full[0], true) - eye(90, {}, {}, float64)), 1e-12);
  const Tensor vectors = eigh(product(x, x, true)).second;
  EXPECT_LT(greatest(product(vectors, vectors, true) - eye(70, {}, {}, float64)), 1e-12);
}

TEST(Linalg, OnlyTheLowerTriangleOfASymmetricMatrixIsRead) {
  const Tensor x = drawn(40, 40), symmetric = product(x, x, false, true) + eye(40, {}, {}, float64), lower = band_part(symmetric, -1, 0);
  const auto [values, vectors] = eigh(lower);
  EXPECT_LT(greatest(product(symmetric, vectors) - vectors * values), 1e-10);
  const Tensor factor = cholesky(lower);
  EXPECT_LT(greatest(product(factor, factor, false, true) - symmetric), 1e-12);
}

TEST(Linalg, SolvesWithTheMatrixAndWithItsTranspose) {
  const Tensor x = drawn(80, 80), b = drawn(80, 3);
  EXPECT_LT(greatest(product(x, solve(x, b)) - b), 1e-10);
  EXPECT_LT(greatest(product(x, solve(x, b, true), true) - b), 1e-10);
  const Tensor triangle = band_part(x, 0, -1) + eye(80, {}, {}, float64) * 20;
  EXPECT_LT(greatest(product(triangle, triangular_solve(triangle, b, false)) - b), 1e-12);
  EXPECT_LT(greatest(product(triangle, triangular_solve(triangle, b, false, true), true) - b), 1e-12);
}

TEST(Linalg, NanGoesThroughWhereNothingMustConverge) {
  const Tensor x = constant({{1.0, 0.0}, {NAN, 1.0}});
  const auto has_nan = [](const Tensor& y) { return std::isnan(reduce_sum(y).item<float>()); };
  EXPECT_TRUE(has_nan(cholesky(x)));
  EXPECT_TRUE(has_nan(inv(x)));
  EXPECT_TRUE(has_nan(apply_named("qr", std::vector{x})[1]));
}

TEST(Linalg, IterationsOnWhatIsNotFiniteAreRefused) {
  for (const double bad : {double(NAN), double(INFINITY)}) {
    const Tensor x = constant({{1.0, bad}, {bad, 1.0}});
    EXPECT_THROW(svd_uv(x), InvalidArgumentError);
    EXPECT_THROW(eigh(x), InvalidArgumentError);
  }
}

}  // namespace
}  // namespace lockstep
