#include <lockstep/nn/layers/hashing.h>

#include <farmhash.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/categories.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/strings.h>

namespace lockstep::nn {
namespace {

void require_concrete(const Tensor& x, const std::string& layer) {
  if (x.is_symbolic()) throw UnimplementedError("nothing is hashed inside a traced function", layer, "prepare categories in the data pipeline");
}

/// TensorFlow's FingerprintCat64: two fingerprints as one.
std::uint64_t joined_fingerprint(std::uint64_t first, std::uint64_t second) {
  constexpr std::uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  const auto mixed = [](std::uint64_t value) { return value ^ (value >> 47); };
  std::uint64_t result = first ^ kMultiplier;
  result ^= mixed(second * kMultiplier) * kMultiplier;
  result *= kMultiplier;
  result = mixed(result) * kMultiplier;
  return mixed(result);
}

}  // namespace

void Hashing::fields(Fields& f) {
  Layer::fields(f);
  f.field("num_bins", options_.num_bins);
  f.field("salt", options_.salt);
  Json mask = options_.mask_value ? Json(*options_.mask_value) : Json(nullptr);  // Keras has whole numbers here, too
  f.field("mask_value", mask);
  if (mask.is_null()) options_.mask_value.reset();
  else options_.mask_value = mask.is_string() ? mask.get<std::string>() : mask.dump();
  f.field("output_mode", options_.output_mode);
  detail::fixed(f, "sparse", false);
}

void Hashing::configured() {
  require(options_.num_bins > 0, "num_bins must be positive, got " + std::to_string(options_.num_bins));
  detail::require_mode(options_.output_mode, true, "Hashing");
  detail::require_salt(options_.salt, "Hashing");
}

Tensor Hashing::bins(const Tensor& values) const {
  require_concrete(values, name());
  const bool masks = options_.mask_value && options_.num_bins > 1;
  const std::int64_t count = options_.num_bins - (masks ? 1 : 0);
  const Tensor texts = values.dtype() == string ? values : strings::as_string(is_float(values.dtype()) ? cast(values, int64) : values);
  const Tensor hashed = detail::hash_buckets(texts, count, options_.salt);
  if (!masks) return hashed;
  Tensor result = Tensor::empty(hashed.shape(), int64);
  const auto from = hashed.data<std::int64_t>();
  const auto text = texts.data<std::string>();
  std::int64_t* to = result.mutable_data<std::int64_t>();
  for (std::size_t i = 0; i < from.size(); ++i) to[i] = text[i] == *options_.mask_value ? 0 : from[i] + 1;
  return result;
}

Tensor Hashing::call(const Tensor& x) {
  const Tensor values = options_.output_mode == "one_hot" && x.ndim() > 0 && x.shape().dim(-1) == 1 ? squeeze(x, -1) : x;
  return encode_categories(bins(values), options_.output_mode, options_.num_bins, options_.output_mode == "int" ? int64 : float32);
}

void HashedCrossing::fields(Fields& f) {
  Layer::fields(f);
  f.field("num_bins", options_.num_bins);
  f.field("output_mode", options_.output_mode);
  detail::fixed(f, "sparse", false);
}

void HashedCrossing::configured() {
  require(options_.num_bins > 0, "num_bins must be positive, got " + std::to_string(options_.num_bins));
  require(options_.output_mode == "int" || options_.output_mode == "one_hot", "output_mode must be \"int\" or \"one_hot\", got \"" + options_.output_mode + "\"");
}

Tensors HashedCrossing::call(std::span<const Tensor> inputs, const CallOptions&) {
  require(inputs.size() >= 2, "a crossing needs two features at least");
  const Shape& shape = inputs[0].shape();
  for (const Tensor& input : inputs) {
    require_concrete(input, name());
    require(input.shape() == shape, "features of unequal shapes: " + to_string(shape) + " and " + to_string(input.shape()));
    require(input.dtype() == string || is_integer(input.dtype()), "a feature is whole numbers or strings, got " + to_string(input.spec()));
  }
  require(shape.ndim() < 2 || (shape.ndim() == 2 && shape[1] == 1), "features are (), (n,) or (n, 1), got " + to_string(shape));
  constexpr std::uint64_t kKey = 0xDECAFCAFFE;  // TensorFlow's
  std::vector<std::uint64_t> hashes(std::size_t(shape.numel()), kKey);
  for (const Tensor& input : inputs) {
    if (input.dtype() == string) {
      const auto texts = input.data<std::string>();
      for (std::size_t i = 0; i < hashes.size(); ++i) hashes[i] = joined_fingerprint(hashes[i], ::util::Fingerprint64(texts[i]));
    } else {
      const Tensor wide = cast(input, int64);
      const auto numbers = wide.data<std::int64_t>();
      for (std::size_t i = 0; i < hashes.size(); ++i) hashes[i] = joined_fingerprint(hashes[i], std::uint64_t(numbers[i]));
    }
  }
  Tensor bins = Tensor::empty(shape, int64);
  std::transform(hashes.begin(), hashes.end(), bins.mutable_data<std::int64_t>(), [&](std::uint64_t hash) { return std::int64_t(hash % std::uint64_t(options_.num_bins)); });
  return {encode_categories(bins, options_.output_mode, options_.num_bins, options_.output_mode == "int" ? int64 : float32)};
}

}  // namespace lockstep::nn
