#include <lockstep/nn/layers/convolutional.h>

#include <algorithm>

namespace lockstep::nn {
namespace {

bool above_one(const Sizes& sizes) {
  return std::any_of(sizes.values.begin(), sizes.values.end(), [](std::int64_t size) { return size > 1; });
}

void require_padding(const std::string& padding, bool causal, const char* layer) {
  if (padding != "valid" && padding != "same" && !(causal && padding == "causal"))
    throw InvalidArgumentError(std::string("padding must be \"valid\" or \"same\"") + (causal ? " or \"causal\"" : "") + ", got \"" + padding + "\"", layer);
}

std::int64_t channels_of(const Shape& input, const std::string& data_format) { return data_format == "channels_first" ? input[1] : input.dim(-1); }

Shape kernel_shape(const Sizes& sizes, std::int64_t in, std::int64_t out) {
  Shape shape(std::span<const std::int64_t>(sizes.values.begin(), sizes.values.size()));
  shape.push_back(in);
  shape.push_back(out);
  return shape;
}

}  // namespace

// ---- Conv

Conv::Conv(int rank, Options options) : Layer(options.name, options.dtype), rank_(rank), options_(std::move(options)) { Conv::configured(); }

void Conv::fields(Fields& f) {
  Layer::fields(f);
  f.required({"filters", "kernel_size"});
  f.field("filters", options_.filters);
  f.field("kernel_size", options_.kernel_size.values);
  f.field("strides", options_.strides.values);
  f.field("padding", options_.padding);
  f.field("data_format", options_.data_format);
  f.field("dilation_rate", options_.dilation_rate.values);
  f.field("groups", options_.groups);
  f.field("activation", options_.activation);
  f.field("use_bias", options_.use_bias);
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("bias_constraint", options_.bias_constraint);
}

void Conv::configured() {
  require(options_.filters > 0, "filters must be positive, got " + std::to_string(options_.filters));
  options_.kernel_size.spread(rank_, "kernel_size");
  options_.strides.spread(rank_, "strides");
  options_.dilation_rate.spread(rank_, "dilation_rate");
  require(options_.groups > 0 && options_.filters % options_.groups == 0, std::to_string(options_.groups) + " groups do not divide " + std::to_string(options_.filters) + " filters");
  require(!above_one(options_.strides) || !above_one(options_.dilation_rate), "strides and dilation_rate cannot both be above 1");
  require_padding(options_.padding, rank_ == 1, "Conv");
  spatial::require_format(options_.data_format);
  if (!options_.activation) options_.activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

void Conv::build(const Shape& input) {
  require(input.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(input));
  const std::int64_t channels = channels_of(input, options_.data_format);
  require(channels % options_.groups == 0, std::to_string(options_.groups) + " groups do not divide the input's " + std::to_string(channels) + " channels");
  kernel_ = add_weight("kernel", kernel_shape(options_.kernel_size, channels / options_.groups, options_.filters),
                       {.initializer = options_.kernel_initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
  if (options_.use_bias) bias_ = add_weight("bias", {options_.filters}, {.initializer = options_.bias_initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
}

Tensor Conv::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  const Tensor y = spatial::conv(spatial::channels_last(x, options_.data_format), kernel_,
                                 {.strides = options_.strides.values, .padding = options_.padding, .dilations = options_.dilation_rate.values, .groups = options_.groups});
  return spatial::as_format((*options_.activation)(options_.use_bias ? y + bias_ : y), options_.data_format);
}

// ---- ConvTranspose

ConvTranspose::ConvTranspose(int rank, Options options) : Layer(options.name, options.dtype), rank_(rank), options_(std::move(options)) { ConvTranspose::configured(); }

void ConvTranspose::fields(Fields& f) {
  Layer::fields(f);
  f.required({"filters", "kernel_size"});
  f.field("filters", options_.filters);
  f.field("kernel_size", options_.kernel_size.values);
  f.field("strides", options_.strides.values);
  f.field("padding", options_.padding);
  f.field("output_padding", options_.output_padding);
  f.field("data_format", options_.data_format);
  f.field("dilation_rate", options_.dilation_rate.values);
  f.field("activation", options_.activation);
  f.field("use_bias", options_.use_bias);
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("bias_constraint", options_.bias_constraint);
}

void ConvTranspose::configured() {
  require(options_.filters > 0, "filters must be positive, got " + std::to_string(options_.filters));
  options_.kernel_size.spread(rank_, "kernel_size");
  options_.strides.spread(rank_, "strides");
  options_.dilation_rate.spread(rank_, "dilation_rate");
  if (options_.output_padding) {
    Sizes padding = *options_.output_padding;
    padding.spread(rank_, "output_padding", 0);
    for (int i = 0; i < rank_; ++i)
      require(padding.values[std::size_t(i)] < options_.strides.values[std::size_t(i)], "output_padding must be below the strides");
    options_.output_padding = padding.values;
  }
  require(!above_one(options_.strides) || !above_one(options_.dilation_rate), "strides and dilation_rate cannot both be above 1");
  require_padding(options_.padding, false, "ConvTranspose");
  spatial::require_format(options_.data_format);
  if (!options_.activation) options_.activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

void ConvTranspose::build(const Shape& input) {
  require(input.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(input));
  kernel_ = add_weight("kernel", kernel_shape(options_.kernel_size, options_.filters, channels_of(input, options_.data_format)),
                       {.initializer = options_.kernel_initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
  if (options_.use_bias) bias_ = add_weight("bias", {options_.filters}, {.initializer = options_.bias_initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
}

Tensor ConvTranspose::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  const Tensor last = spatial::channels_last(x, options_.data_format);
  Ints output;
  for (int i = 0; i < rank_; ++i) {
    const auto axis = std::size_t(i);
    const std::int64_t n = last.shape()[i + 1], s = options_.strides.values[axis], k = (options_.kernel_size.values[axis] - 1) * options_.dilation_rate.values[axis] + 1;
    if (options_.padding == "valid") output.push_back((n - 1) * s + k + (options_.output_padding ? (*options_.output_padding)[axis] : std::max(k, s) - k));
    else output.push_back(options_.output_padding ? (n - 1) * s + k % 2 + (*options_.output_padding)[axis] : n * s);
  }
  const Tensor y = spatial::conv_transpose(last, kernel_, output, {.strides = options_.strides.values, .padding = options_.padding, .dilations = options_.dilation_rate.values});
  return spatial::as_format((*options_.activation)(options_.use_bias ? y + bias_ : y), options_.data_format);
}

// ---- DepthwiseConv

DepthwiseConv::DepthwiseConv(int rank, bool separable, Options options) : Layer(options.name, options.dtype), rank_(rank), separable_(separable), options_(std::move(options)) { DepthwiseConv::configured(); }

void DepthwiseConv::fields(Fields& f) {
  Layer::fields(f);
  if (separable_) f.required({"filters"});
  f.required({"kernel_size"});
  f.field("depth_multiplier", options_.depth_multiplier);
  if (separable_) f.field("filters", options_.filters);
  f.field("kernel_size", options_.kernel_size.values);
  f.field("strides", options_.strides.values);
  f.field("padding", options_.padding);
  f.field("data_format", options_.data_format);
  f.field("dilation_rate", options_.dilation_rate.values);
  f.field("activation", options_.activation);
  f.field("use_bias", options_.use_bias);
  f.field("depthwise_initializer", options_.depthwise_initializer);
  if (separable_) f.field("pointwise_initializer", options_.pointwise_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("depthwise_regularizer", options_.depthwise_regularizer);
  if (separable_) f.field("pointwise_regularizer", options_.pointwise_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("depthwise_constraint", options_.depthwise_constraint);
  if (separable_) f.field("pointwise_constraint", options_.pointwise_constraint);
  f.field("bias_constraint", options_.bias_constraint);
}

void DepthwiseConv::configured() {
  require(!separable_ || options_.filters > 0, "filters must be positive, got " + std::to_string(options_.filters));
  require(options_.depth_multiplier > 0, "depth_multiplier must be positive, got " + std::to_string(options_.depth_multiplier));
  options_.kernel_size.spread(rank_, "kernel_size");
  options_.strides.spread(rank_, "strides");
  options_.dilation_rate.spread(rank_, "dilation_rate");
  require(!above_one(options_.strides) || !above_one(options_.dilation_rate), "strides and dilation_rate cannot both be above 1");
  require_padding(options_.padding, false, "DepthwiseConv");
  spatial::require_format(options_.data_format);
  if (!options_.activation) options_.activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

void DepthwiseConv::build(const Shape& input) {
  require(input.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(input));
  const std::int64_t channels = channels_of(input, options_.data_format), spread = channels * options_.depth_multiplier;
  depthwise_ = add_weight(separable_ ? "depthwise_kernel" : "kernel", kernel_shape(options_.kernel_size, channels, options_.depth_multiplier),
                          {.initializer = options_.depthwise_initializer, .regularizer = options_.depthwise_regularizer, .constraint = options_.depthwise_constraint});
  if (separable_)
    pointwise_ = add_weight("pointwise_kernel", kernel_shape(Ints(std::size_t(rank_), 1), spread, options_.filters),
                            {.initializer = options_.pointwise_initializer, .regularizer = options_.pointwise_regularizer, .constraint = options_.pointwise_constraint});
  if (options_.use_bias)
    bias_ = add_weight("bias", {separable_ ? options_.filters : spread}, {.initializer = options_.bias_initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
}

Tensor DepthwiseConv::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  Tensor y = spatial::depthwise_conv(spatial::channels_last(x, options_.data_format), depthwise_,
                                     {.strides = options_.strides.values, .padding = options_.padding, .dilations = options_.dilation_rate.values});
  const Ints ones(std::size_t(rank_), 1);
  if (separable_) y = spatial::conv(y, pointwise_, {.strides = ones, .padding = "valid", .dilations = ones});
  return spatial::as_format((*options_.activation)(options_.use_bias ? y + bias_ : y), options_.data_format);
}

}  // namespace lockstep::nn
