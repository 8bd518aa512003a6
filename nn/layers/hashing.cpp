#include <lockstep/nn/layers/hashing.h>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/categories.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/strings.h>

namespace lockstep::nn {
namespace {

/// Hashes are of strings, which are on the host; inside a trace everything is where the function runs.
Device hashing_device(const Tensor& x) { return x.is_symbolic() ? default_device() : Device(); }
Tensor on_host(const Tensor& x) { return x.is_symbolic() ? x : to(x, Device()); }

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

Tensor Hashing::bins(const Tensor& given) const {
  const DeviceScope here{hashing_device(given)};
  const Tensor values = on_host(given);
  const bool masks = options_.mask_value && options_.num_bins > 1;
  const std::int64_t count = options_.num_bins - (masks ? 1 : 0);
  const Tensor texts = values.dtype() == string ? values : strings::as_string(is_float(values.dtype()) ? cast(values, int64) : values);
  const Tensor hashed = detail::hash_buckets(texts, count, options_.salt);
  return masks ? where(equal(texts, constant(*options_.mask_value)), scalar(0, int64), hashed + 1) : hashed;
}

Tensor Hashing::call(const Tensor& x) {
  const Tensor values = options_.output_mode == "one_hot" && x.ndim() > 0 && x.shape().dim(-1) == 1 ? squeeze(x, -1) : x;
  return encode_categories(placed(bins(values)), options_.output_mode, options_.num_bins, options_.output_mode == "int" ? int64 : float32);
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
    require(input.shape() == shape, "features of unequal shapes: " + to_string(shape) + " and " + to_string(input.shape()));
    require(input.dtype() == string || is_integer(input.dtype()), "a feature is whole numbers or strings, got " + to_string(input.spec()));
  }
  require(shape.ndim() < 2 || (shape.ndim() == 2 && shape[1] == 1), "features are (), (n,) or (n, 1), got " + to_string(shape));
  Tensors features;
  for (const Tensor& input : inputs) features.push_back(input.dtype() == string ? input : cast(on_host(input), int64));
  static const OpDef& op = find_op("hash_crossing");
  const Tensor bins = placed(apply(op, features, {{"num_buckets", options_.num_bins}}));
  return {encode_categories(bins, options_.output_mode, options_.num_bins, options_.output_mode == "int" ? int64 : float32)};
}

}  // namespace lockstep::nn
