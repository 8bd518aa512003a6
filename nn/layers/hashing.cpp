#include <lockstep/nn/layers/hashing.h>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/categories.h>
#include <lockstep/nn/layers/plain_fields.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/strings.h>

namespace lockstep::nn {
namespace {

/// Hashes are of strings, which are on the host; inside a trace everything is where the function runs.
Device hashing_device(const Tensor& x) { return x.is_symbolic() ? default_device() : Device(); }
Tensor on_host(const Tensor& x) { return x.is_symbolic() ? x : to(x, Device()); }

/// Bins are whole numbers, whatever floats the layer was given as a dtype.
void resolve_dtype(Layer& layer, const std::string& output_mode) {
  if (output_mode == "int" && !is_integer(layer.dtype_policy().compute_dtype())) layer.set_dtype_policy(DTypePolicy(int64));
}

}  // namespace

void Hashing::fields(Fields& f) {
  Layer::fields(f);
  f.required({"num_bins"});
  f.field("num_bins", options_.num_bins);
  f.field("salt", options_.salt);
  Json mask = nullptr;
  if (options_.mask_value) std::visit([&](const auto& value) { mask = value; }, *options_.mask_value);
  f.field("mask_value", mask);
  if (mask.is_null()) options_.mask_value.reset();
  else if (mask.is_string()) options_.mask_value = mask.get<std::string>();
  else if (mask.is_number_integer()) options_.mask_value = mask.get<std::int64_t>();
  else throw TypeError("'mask_value' must be a string or a whole number, got " + mask.dump(), "Hashing");
  f.field("output_mode", options_.output_mode);
  detail::fixed(f, "sparse", false);
}

void Hashing::configured() {
  require(options_.num_bins > 0, "num_bins must be positive, got " + std::to_string(options_.num_bins));
  detail::require_mode(options_.output_mode, true, "Hashing");
  detail::require_salt(options_.salt, "Hashing");
  resolve_dtype(*this, options_.output_mode);
  autocast_ = false;
}

Tensor Hashing::bins(const Tensor& given) const {
  const DeviceScope here{hashing_device(given)};
  const Tensor values = on_host(given);
  const bool masks = options_.mask_value && options_.num_bins > 1;
  const auto* number = options_.mask_value ? std::get_if<std::int64_t>(&*options_.mask_value) : nullptr;
  if (options_.mask_value && (number == nullptr) != (values.dtype() == string))
    throw TypeError(std::string("the mask value is a ") + (number ? "whole number" : "string") + ", the values are " + std::string(lockstep::name(values.dtype())) + "s", name());
  const std::int64_t count = options_.num_bins - (masks ? 1 : 0);
  const Tensor texts = values.dtype() == string ? values : strings::as_string(is_float(values.dtype()) ? cast(values, int64) : values);
  const Tensor hashed = detail::hash_buckets(texts, count, options_.salt);
  if (!masks) return hashed;
  const Tensor mask = constant(number ? std::to_string(*number) : std::get<std::string>(*options_.mask_value));
  return where(equal(texts, mask), scalar(0, int64), hashed + 1);
}

Tensor Hashing::call(const Tensor& x) {
  const Tensor values = options_.output_mode == "one_hot" && x.ndim() > 0 && x.shape().dim(-1) == 1 ? squeeze(x, -1) : x;
  return encode_categories(placed(bins(values)), options_.output_mode, options_.num_bins, compute_dtype());
}

void HashedCrossing::fields(Fields& f) {
  f.required({"num_bins"});
  f.field("num_bins", options_.num_bins);
  f.field("output_mode", options_.output_mode);
  detail::fixed(f, "sparse", false);
  detail::plain_fields(f, *this);
}

void HashedCrossing::configured() {
  require(options_.num_bins > 0, "num_bins must be positive, got " + std::to_string(options_.num_bins));
  require(options_.output_mode == "int" || options_.output_mode == "one_hot", "output_mode must be \"int\" or \"one_hot\", got \"" + options_.output_mode + "\"");
  resolve_dtype(*this, options_.output_mode);
  autocast_ = false;
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
  return {encode_categories(bins, options_.output_mode, options_.num_bins, compute_dtype())};
}

}  // namespace lockstep::nn
