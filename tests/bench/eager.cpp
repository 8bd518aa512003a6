// What one op costs when called eagerly.

#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>

#include <lockstep/lockstep.h>

#include "bench.h"

namespace lockstep::bench {

std::vector<Case> eager_cases() {
  const Tensor a = full({8}, 1.0, float32), b = full({8}, 2.0, float32);
  const Tensor big_a = full({1 << 20}, 1.0, float32), big_b = full({1 << 20}, 2.0, float32);
  const auto copy = std::make_shared<std::vector<float>>(3 << 19);
  const auto source = std::make_shared<std::vector<float>>(3 << 19, 1.0f);
  const Tensor matrix = full({32, 32}, 0.5, float32);
  return {
      {.name = "eager_add_8", .body = [=] { benchmark::DoNotOptimize(a + b); }},
      {.name = "eager_multiply_scalar_8", .body = [=] { benchmark::DoNotOptimize(a * 2.0f); }},
      {.name = "eager_exp_8", .body = [=] { benchmark::DoNotOptimize(exp(a)); }},
      {.name = "eager_reduce_sum_8", .body = [=] { benchmark::DoNotOptimize(reduce_sum(a)); }},
      {.name = "eager_reshape_8", .body = [=] { benchmark::DoNotOptimize(reshape(a, {2, 4})); }},
      {.name = "eager_matmul_32", .body = [=] { benchmark::DoNotOptimize(matmul(matrix, matrix)); }},
      // 1.5 M floats copied: as many bytes moved as the add of 1 M floats moves (two read, one written).
      {.name = "copy_same_bytes", .body = [=] { std::memcpy(copy->data(), source->data(), copy->size() * sizeof(float)); benchmark::ClobberMemory(); }, .bytes = 12.0 * (1 << 20)},
      {.name = "eager_add_1M", .body = [=] { benchmark::DoNotOptimize(big_a + big_b); }, .bytes = 12.0 * (1 << 20), .reference = "copy_same_bytes"},
  };
}

}  // namespace lockstep::bench
