#include <lockstep/nn/layers/merging.h>

#include <algorithm>

#include <lockstep/tensor/constant.h>

namespace lockstep::nn {
namespace {

/// Logical and of the masks that are there.
Tensor all_masks(std::size_t inputs, const CallOptions& options) {
  Tensor result;
  for (std::size_t i = 0; i < inputs; ++i)
    if (const Tensor mask = options.mask_of(i); mask.defined()) result = result.defined() ? logical_and(result, mask) : mask;
  return result;
}

/// Whole numbers beside floats as floats.
Tensors in_one_dtype(std::span<const Tensor> inputs) {
  const auto real = std::find_if(inputs.begin(), inputs.end(), [](const Tensor& input) { return is_float(input.dtype()); });
  Tensors result;
  for (const Tensor& input : inputs) result.push_back(real != inputs.end() && is_integer(input.dtype()) ? cast(input, real->dtype()) : input);
  return result;
}

}  // namespace

Tensor Merge::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) { return all_masks(inputs.size(), options); }

Tensors Merge::call(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  require(!inputs.empty(), "there are no inputs");
  int ndim = 0;
  for (const Tensor& input : inputs) ndim = std::max(ndim, input.ndim());
  Tensors aligned;
  for (const Tensor& input : in_one_dtype(inputs)) {
    Tensor each = input;
    while (each.ndim() < ndim) each = expand_dims(each, std::min(1, each.ndim()));
    aligned.push_back(each);
  }
  return {merge(std::span<const Tensor>(aligned))};
}

Tensor Subtract::merge(std::span<const Tensor> inputs) const {
  require(inputs.size() == 2, "there must be two inputs, got " + std::to_string(inputs.size()));
  return inputs[0] - inputs[1];
}

void Concatenate::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", axis_);
}
Tensors Concatenate::call(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  const Tensors operands = in_one_dtype(inputs);
  return {concat(std::span<const Tensor>(operands), axis_)};
}
Tensor Concatenate::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  bool any = false;
  for (std::size_t i = 0; i < inputs.size(); ++i) any = any || options.mask_of(i).defined();
  if (!any) return {};
  // As long as the output along the joined axis; true for inputs without a mask.
  std::vector<Tensor> masks;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Ints shape(inputs[i].shape().begin(), inputs[i].shape().end());
    Tensor mask = options.mask_of(i);
    if (!mask.defined()) mask = ones(inputs[i].shape(), boolean);
    while (mask.ndim() < inputs[i].ndim()) mask = expand_dims(mask, -1);
    masks.push_back(broadcast_to(mask, shape));
  }
  return reduce_all(concat(masks, axis_), -1);
}

void Dot::fields(Fields& f) {
  Layer::fields(f);
  f.required({"axes"});
  f.field("axes", axes_.value);
  f.field("normalize", normalize_);
}
Tensor Dot::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(inputs);
  static_cast<void>(options);
  return {};
}
Tensors Dot::call(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  require(inputs.size() == 2, "there must be two inputs, got " + std::to_string(inputs.size()));
  const auto* one = std::get_if<std::int64_t>(&axes_.value);
  const auto* pair = std::get_if<Ints>(&axes_.value);
  if (!one && !pair) throw TypeError("axes must be a number or a pair (layer '" + name() + "')", class_name());
  require(one || pair->size() == 2, "axes must be a number or a pair");
  // Each operand as (batch, the other axes, the summed axis).
  const Tensors operands = in_one_dtype(inputs);
  Tensor matrices[2];
  Ints output = {inputs[0].shape()[0]};
  for (std::size_t i = 0; i < 2; ++i) {
    const Tensor& x = operands[i];
    std::int64_t axis = one ? *one : (*pair)[i];
    if (axis < 0) axis += x.ndim();
    require(axis >= 1 && axis < x.ndim(), "axis " + std::to_string(axis) + " is outside of the input's shape " + to_string(x.shape()));
    Ints order = {0};
    for (std::int64_t j = 1; j < x.ndim(); ++j)
      if (j != axis) {
        order.push_back(j);
        output.push_back(x.shape()[int(j)]);
      }
    order.push_back(axis);
    const Tensor normalized = normalize_ ? l2_normalize(x, axis) : x;
    matrices[i] = reshape(transpose(normalized, order), {x.shape()[0], -1, x.shape()[int(axis)]});
  }
  if (output.size() == 1) output.push_back(1);
  return {reshape(matmul(matrices[0], matrices[1], false, true), output)};
}

}  // namespace lockstep::nn
