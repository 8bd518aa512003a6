#include <lockstep/tensor/random.h>

#include <array>
#include <map>
#include <mutex>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>

namespace lockstep {
namespace {

Tensor key_of(std::int64_t seed, std::int64_t stream) { return constant(std::vector<std::int64_t>{seed, stream}); }

}  // namespace

Generator::Generator(std::int64_t seed, std::string path) : state_(key_of(seed, 0), {.path = std::move(path), .trainable = false}) {}

Tensor Generator::next_key() const {
  if (listeners().tracer) {
    const Tensor key = state_.value();
    state_.assign_add(key_of(0, 1));
    return key;
  }
  const Variable::Lock lock(state_);
  const Tensor key = lock.value();
  if (!key.device().is_cpu()) {  // without waiting for the device to say where it is
    static const OpDef& add = find_op("add");
    lock.value() = compute(add, std::array{key, to(key_of(0, 1), key.device())}, {}).front();
    return to(key, default_device());
  }
  const auto words = key.data<std::int64_t>();
  lock.value() = key_of(words[0], words[1] + 1);
  return placed(key);
}

void Generator::reset(std::int64_t seed) const { state_.assign(key_of(seed, 0)); }

namespace random {
namespace {

/// The global generator and those of per-op seeds.
struct Registry {
  std::mutex mutex;
  std::int64_t seed = 0;
  Generator global{0, "random/global"};
  std::map<std::int64_t, Generator> by_seed;
};
Registry& registry() {
  static auto* instance = [] {
    const Unheard unheard;  // it lives as long as the process, whoever is the first to draw
    return new Registry;
  }();
  return *instance;
}

/// Mixes two seeds so that neighbours do not meet (the finalizer of splitmix64).
std::int64_t mixed(std::int64_t a, std::int64_t b) {
  std::uint64_t z = std::uint64_t(a) * 0x9e3779b97f4a7c15u + std::uint64_t(b) + 0x632be59bd9b4e019u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return std::int64_t(z ^ (z >> 31));
}

Tensor key_for(std::optional<std::int64_t> seed) { return seed ? seeded_generator(*seed).next_key() : global_generator().next_key(); }

Ints list(const Shape& shape) { return {shape.begin(), shape.end()}; }
AttrValue number(const Scalar& value) { return value.kind() == Scalar::Kind::integer ? AttrValue(value.integer()) : AttrValue(value.real()); }

}  // namespace

void set_seed(std::int64_t seed) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  all.seed = seed;
  all.global.reset(seed);
  for (const auto& [op_seed, generator] : all.by_seed) generator.reset(mixed(seed, op_seed));
}

const Generator& global_generator() { return registry().global; }

Generator seeded_generator(std::int64_t op_seed) {
  Registry& all = registry();
  const std::scoped_lock lock(all.mutex);
  const Unheard unheard;  // not a variable of the function that happens to be traced
  return all.by_seed.try_emplace(op_seed, mixed(all.seed, op_seed), "random/seed_" + std::to_string(op_seed)).first->second;
}

Tensor uniform(const Shape& shape, const Scalar& low, const Scalar& high, DType dtype, std::optional<std::int64_t> seed) { return uniform_from(key_for(seed), shape, low, high, dtype); }
Tensor normal(const Shape& shape, double mean, double stddev, DType dtype, std::optional<std::int64_t> seed) { return normal_from(key_for(seed), shape, mean, stddev, dtype); }
Tensor truncated_normal(const Shape& shape, double mean, double stddev, DType dtype, std::optional<std::int64_t> seed) { return truncated_normal_from(key_for(seed), shape, mean, stddev, dtype); }
Tensor integers(const Shape& shape, std::int64_t low, std::int64_t high, DType dtype, std::optional<std::int64_t> seed) {
  if (!is_integer(dtype)) throw TypeError("integers are drawn as an integer dtype, not " + std::string(name(dtype)), "random_uniform");
  return uniform(shape, low, high, dtype, seed);
}
Tensor shuffle(const Tensor& x, std::optional<std::int64_t> seed) { return shuffle_from(key_for(seed), x); }

Tensor uniform_from(const Tensor& key, const Shape& shape, const Scalar& low, const Scalar& high, DType dtype) {
  static const OpDef& op = find_op("random_uniform");
  return apply(op, {key}, {{"shape", list(shape)}, {"low", number(low)}, {"high", number(high)}, {"dtype", dtype}});
}
Tensor normal_from(const Tensor& key, const Shape& shape, double mean, double stddev, DType dtype) {
  static const OpDef& op = find_op("random_normal");
  return apply(op, {key}, {{"shape", list(shape)}, {"mean", mean}, {"stddev", stddev}, {"dtype", dtype}});
}
Tensor truncated_normal_from(const Tensor& key, const Shape& shape, double mean, double stddev, DType dtype) {
  static const OpDef& op = find_op("random_truncated_normal");
  return apply(op, {key}, {{"shape", list(shape)}, {"mean", mean}, {"stddev", stddev}, {"dtype", dtype}});
}
Tensor permutation_from(const Tensor& key, std::int64_t n) {
  static const OpDef& op = find_op("random_permutation");
  return apply(op, {key}, {{"n", n}});
}
Tensor shuffle_from(const Tensor& key, const Tensor& x) {
  if (!x.defined()) throw InvalidArgumentError("an operand is an undefined Tensor", "shuffle");
  if (x.shape().known() && x.ndim() == 0) throw InvalidArgumentError("a scalar has no rows to shuffle", "shuffle");
  if (!x.shape().known()) throw UnimplementedError("the operand's shape depends on data inside the traced function", "shuffle");
  return gather(x, permutation_from(key, x.shape()[0]));
}

}  // namespace random
}  // namespace lockstep
