#pragma once
// Counter-based random numbers (Philox4x32-10: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). A key, an int64
// tensor of (seed, stream), determines every number of one call; a Generator hands out keys and is a Variable, so that a traced
// function draws new numbers at each call and a checkpoint can hold the state.

#include <cstdint>
#include <optional>

#include <lockstep/tensor/tensor.h>
#include <lockstep/tensor/variable.h>

namespace lockstep {

/// Hands out keys (seed, 0), (seed, 1), ... Copies share the state; thread-safe.
class Generator {
 public:
  explicit Generator(std::int64_t seed, std::string path = "random/generator");
  /// The next key. Inside a traced function: at each of its calls.
  Tensor next_key() const;
  /// Starts over with another seed.
  void reset(std::int64_t seed) const;
  const Variable& state() const { return state_; }

 private:
  Variable state_;
};

namespace random {

/// Restarts the global generator and those of all per-op seeds, as tf.random.set_seed.
void set_seed(std::int64_t seed);
/// The generator behind calls without a seed of their own.
const Generator& global_generator();
/// The generator of a per-op seed: its sequence depends on the global seed and this one only.
Generator seeded_generator(std::int64_t op_seed);

/// Uniform in [low, high). Integer dtypes draw whole numbers. Throws InvalidArgumentError unless low < high, for bad shapes and dtypes.
Tensor uniform(const Shape& shape, const Scalar& low = 0, const Scalar& high = 1, DType dtype = float32, std::optional<std::int64_t> seed = {});
Tensor normal(const Shape& shape, double mean = 0, double stddev = 1, DType dtype = float32, std::optional<std::int64_t> seed = {});
/// Normal, values beyond two standard deviations drawn again.
Tensor truncated_normal(const Shape& shape, double mean = 0, double stddev = 1, DType dtype = float32, std::optional<std::int64_t> seed = {});
/// Whole numbers in [low, high).
Tensor integers(const Shape& shape, std::int64_t low, std::int64_t high, DType dtype = int32, std::optional<std::int64_t> seed = {});
/// The tensor's rows in random order.
Tensor shuffle(const Tensor& x, std::optional<std::int64_t> seed = {});

// ---- from a key that the caller holds
Tensor uniform_from(const Tensor& key, const Shape& shape, const Scalar& low = 0, const Scalar& high = 1, DType dtype = float32);
Tensor normal_from(const Tensor& key, const Shape& shape, double mean = 0, double stddev = 1, DType dtype = float32);
Tensor truncated_normal_from(const Tensor& key, const Shape& shape, double mean = 0, double stddev = 1, DType dtype = float32);
/// int64 (n,): the numbers 0 ... n - 1 in random order.
Tensor permutation_from(const Tensor& key, std::int64_t n);
Tensor shuffle_from(const Tensor& key, const Tensor& x);

}  // namespace random
}  // namespace lockstep
