#include <lockstep/nn/layers/pooling.h>

namespace lockstep::nn {

void Pooling::fields(Fields& f) {
  Layer::fields(f);
  if (!largest_) f.required({"pool_size"});
  f.field("pool_size", options_.pool_size.values);
  f.field("padding", options_.padding);
  std::optional<Ints> strides = options_.strides ? std::optional(options_.strides->values) : std::nullopt;
  f.field("strides", strides);
  if (strides) options_.strides = *strides;
  else options_.strides.reset();
  f.field("data_format", options_.data_format);
}

void Pooling::configured() {
  options_.pool_size.spread(rank_, "pool_size");
  if (!options_.strides) options_.strides = options_.pool_size;
  options_.strides->spread(rank_, "strides");
  require(options_.padding == "valid" || options_.padding == "same", "padding must be \"valid\" or \"same\", got \"" + options_.padding + "\"");
  spatial::require_format(options_.data_format);
}

Tensor Pooling::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  const Tensor y = spatial::pool(spatial::channels_last(x, options_.data_format), largest_, options_.pool_size.values, options_.strides->values, options_.padding);
  return spatial::as_format(y, options_.data_format);
}

void AdaptivePooling::fields(Fields& f) {
  Layer::fields(f);
  f.required({"output_size"});
  f.field("output_size", options_.output_size.values);
  f.field("data_format", options_.data_format);
}

void AdaptivePooling::configured() {
  options_.output_size.spread(rank_, "output_size");
  spatial::require_format(options_.data_format);
}

Tensor AdaptivePooling::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  Tensor y = spatial::channels_last(x, options_.data_format);
  // Axis by axis: the windows are boxes, and a mean of rows' means is that of the box.
  for (int axis = 1; axis <= rank_; ++axis) {
    const std::int64_t size = y.shape()[axis], windows = options_.output_size.values[std::size_t(axis - 1)];
    Tensors parts;
    for (std::int64_t i = 0; i < windows; ++i) {
      Ints begin(std::size_t(y.ndim()), 0), extent(y.shape().begin(), y.shape().end());
      begin[std::size_t(axis)] = i * size / windows;
      extent[std::size_t(axis)] = ((i + 1) * size + windows - 1) / windows - begin[std::size_t(axis)];
      const Tensor window = slice(y, begin, extent);
      parts.push_back(largest_ ? reduce_max(window, axis, true) : reduce_mean(window, axis, true));
    }
    y = concat(std::span<const Tensor>(parts), axis);
  }
  return spatial::as_format(y, options_.data_format);
}

void GlobalPooling::fields(Fields& f) {
  Layer::fields(f);
  f.field("data_format", options_.data_format);
  f.field("keepdims", options_.keepdims);
}

Tensor GlobalPooling::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(inputs);
  static_cast<void>(options);
  return {};
}

Tensor GlobalPooling::call(const Tensor& x, const CallOptions& options) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  const std::int64_t first = options_.data_format == "channels_first" ? 2 : 1;
  Ints axes;
  for (std::int64_t i = 0; i < rank_; ++i) axes.push_back(first + i);
  if (largest_) return reduce_max(x, axes, options_.keepdims);
  const Tensor mask = options.mask_of(0);
  if (!mask.defined()) return reduce_mean(x, axes, options_.keepdims);
  require(rank_ == 1, "masks are for sequences");
  const Tensor weights = expand_dims(cast(mask, x.dtype()), first == 1 ? 2 : 1);
  return reduce_sum(x * weights, axes, options_.keepdims) / reduce_sum(weights, axes, options_.keepdims);
}

}  // namespace lockstep::nn
