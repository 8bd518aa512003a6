// What it costs to feed a training loop: one call is one batch, beside a copy of as many bytes.

#include <benchmark/benchmark.h>

#include <cstring>
#include <memory>

#include <lockstep/lockstep.h>

#include "bench.h"

namespace lockstep::bench {
namespace {

/// One batch after the other of Fashion-MNIST's shape, pass after pass.
std::function<void()> next_batch(const io::Dataset& dataset) {
  const auto iterator = std::make_shared<io::Iterator>(dataset.iterate());
  return [=, batch = Tensors()]() mutable {
    if (!iterator->next(batch)) iterator->next(batch);
    benchmark::DoNotOptimize(batch[0].raw());
  };
}

/// Copies as many bytes as a batch has out of the table, from one end to the other, which is far more than a cache holds.
std::function<void()> copy_of(const Tensor& table, std::size_t nbytes) {
  const auto target = std::make_shared<std::vector<char>>(nbytes);
  return [=, at = std::size_t(0)]() mutable {
    if (at + nbytes > table.nbytes()) at = 0;
    std::memcpy(target->data(), static_cast<const char*>(table.raw()) + at, nbytes);
    at += nbytes;
    benchmark::ClobberMemory();
  };
}

}  // namespace

std::vector<Case> pipeline_cases() {
  std::vector<Case> cases;
  for (const DType dtype : {uint8, float32}) {
    const Tensor images = full({60000, 784}, 1, dtype), labels = full({60000}, 1, int32);
    const io::Dataset rows = io::Dataset::from_tensor_slices({images, labels});
    for (const std::int64_t size : {32, 256}) {
      const std::string suffix = std::string(name(dtype)) + "_" + std::to_string(size);
      const std::size_t nbytes = std::size_t(size) * (784 * itemsize(dtype) + 4);
      const double moved = 2.0 * double(nbytes);
      const io::Dataset shuffled = rows.shuffle(60000, {.seed = 1}).batch(size);
      cases.push_back({.name = "copy_" + suffix, .body = copy_of(images, nbytes), .bytes = moved});
      cases.push_back({.name = "shuffle_batch_" + suffix, .body = next_batch(shuffled), .bytes = moved, .reference = "copy_" + suffix});
      cases.push_back({.name = "shuffle_batch_prefetch_" + suffix, .body = next_batch(shuffled.prefetch(2)), .bytes = moved, .reference = "copy_" + suffix});
      cases.push_back({.name = "batch_in_order_" + suffix, .body = next_batch(rows.batch(size)), .bytes = moved, .reference = "copy_" + suffix});
    }
  }
  return cases;
}

}  // namespace lockstep::bench
