// ConvLSTM of one to three spatial axes and its cell, which no configuration names.

#include <algorithm>

#include <lockstep/nn/layers/lstm.h>
#include <lockstep/nn/layers/recurrent.h>

namespace lockstep::nn {
namespace {

class ConvLSTMCell : public RnnCell {
 public:
  ConvLSTMCell(int rank, ConvLSTM::Options options) : RnnCell("conv_lstm_cell", options.dtype), rank_(rank), options_(std::move(options)) {}
  std::optional<std::size_t> output_state() const override { return 0; }
  bool drops() const override { return options_.dropout > 0 || options_.recurrent_dropout > 0; }
  std::optional<std::int64_t> seed() const override { return options_.seed; }
  std::vector<CellMasks> draw_masks(const Generator& generator, const Shape& input, DType dtype) const override {
    return {lstm::draw_masks(generator, input, state_shapes(input)[0], options_.dropout, options_.recurrent_dropout, 4, dtype)};
  }

  std::vector<Shape> state_shapes(const Shape& input) const override {
    Shape shape{input[0]};
    for (int i = 0; i < rank_; ++i) {
      const auto axis = std::size_t(i);
      const std::int64_t n = input[i + 1], s = options_.strides.values[axis], k = (options_.kernel_size.values[axis] - 1) * options_.dilation_rate.values[axis] + 1;
      shape.push_back(options_.padding == "same" ? (n + s - 1) / s : (n - k) / s + 1);
    }
    shape.push_back(options_.filters);
    return {shape, shape};
  }

  Tensor project(std::span<const Tensor> x) override {
    const Tensor y = lstm::by_gate(x, kernel_, [&](const Tensor& input, const Tensor& kernel) { return spatial::conv(input, kernel, {.strides = options_.strides.values, .padding = options_.padding, .dilations = options_.dilation_rate.values}); });
    return bias_.defined() ? y + bias_ : y;
  }

  Tensors step(const Tensor& projected, std::span<const Tensor> states, std::span<const CellMasks> masks) override {
    const Tensors h = lstm::masked(states[0], masks.empty() ? std::span<const Tensor>() : std::span<const Tensor>(masks[0].recurrent));
    const Ints ones(std::size_t(rank_), 1);
    const Tensor sums = projected + lstm::by_gate(h, recurrent_, [&](const Tensor& input, const Tensor& kernel) { return spatial::conv(input, kernel, {.strides = ones, .padding = "same", .dilations = ones}); });
    return lstm::step(sums, states[1], *options_.activation, *options_.recurrent_activation);
  }

 protected:
  void build(std::span<const Shape> inputs) override {
    const std::int64_t filters = options_.filters;
    const auto kernel_shape = [&](std::int64_t channels) {
      Shape shape;
      for (const std::int64_t size : options_.kernel_size.values) shape.push_back(size);
      shape.push_back(channels);
      shape.push_back(4 * filters);
      return shape;
    };
    kernel_ = add_weight("kernel", kernel_shape(inputs[0].dim(-1)), {.initializer = options_.kernel_initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
    recurrent_ = add_weight("recurrent_kernel", kernel_shape(filters), {.initializer = options_.recurrent_initializer, .regularizer = options_.recurrent_regularizer, .constraint = options_.recurrent_constraint});
    if (!options_.use_bias) return;
    const Ref<Initializer> initializer = options_.unit_forget_bias ? lstm::forget_bias(options_.bias_initializer, filters) : options_.bias_initializer;
    bias_ = add_weight("bias", {4 * filters}, {.initializer = initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
  }

 private:
  int rank_;
  ConvLSTM::Options options_;
  Weight kernel_, recurrent_, bias_;
};

}  // namespace

ConvLSTM::ConvLSTM(int rank, Options o)
    : RNN({.return_sequences = o.return_sequences, .return_state = o.return_state, .go_backwards = o.go_backwards, .stateful = o.stateful, .unroll = o.unroll}, o.name, o.dtype), rank_(rank), options_(std::move(o)) {
  input_ndim_ = rank + 3;
  if (options_.filters != 0) ConvLSTM::configured();  // else by a configuration
}

void ConvLSTM::fields(Fields& f) {
  Layer::fields(f);
  sequence_fields(f);
  f.required({"filters", "kernel_size"});
  f.field("filters", options_.filters);
  f.field("kernel_size", options_.kernel_size.values);
  f.field("strides", options_.strides.values);
  f.field("padding", options_.padding);
  f.field("data_format", options_.data_format);
  f.field("dilation_rate", options_.dilation_rate.values);
  f.field("activation", options_.activation);
  f.field("recurrent_activation", options_.recurrent_activation);
  f.field("use_bias", options_.use_bias);
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("recurrent_initializer", options_.recurrent_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("unit_forget_bias", options_.unit_forget_bias);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("recurrent_regularizer", options_.recurrent_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("recurrent_constraint", options_.recurrent_constraint);
  f.field("bias_constraint", options_.bias_constraint);
  f.field("dropout", options_.dropout);
  f.field("recurrent_dropout", options_.recurrent_dropout);
  f.field("seed", options_.seed);
}

void ConvLSTM::configured() {
  require(options_.filters > 0, "filters must be positive, got " + std::to_string(options_.filters));
  options_.kernel_size.spread(rank_, "kernel_size");
  options_.strides.spread(rank_, "strides");
  options_.dilation_rate.spread(rank_, "dilation_rate");
  const auto over_one = [](std::int64_t each) { return each > 1; };
  const bool strided = std::any_of(options_.strides.values.begin(), options_.strides.values.end(), over_one);
  require(!strided || std::none_of(options_.dilation_rate.values.begin(), options_.dilation_rate.values.end(), over_one), "strides > 1 and dilation_rate > 1 exclude each other");
  require(options_.padding == "valid" || options_.padding == "same", "padding must be \"valid\" or \"same\", got \"" + options_.padding + "\"");
  require(options_.data_format == "channels_last", "data_format must be \"channels_last\", got \"" + options_.data_format + "\"");
  for (const double rate : {options_.dropout, options_.recurrent_dropout}) require(rate >= 0 && rate <= 1, "dropout must be between 0 and 1, got " + std::to_string(rate));
  if (!options_.activation) options_.activation = "linear";
  if (!options_.recurrent_activation) options_.recurrent_activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

std::shared_ptr<RnnCell> ConvLSTM::make_cell() {
  Options options = options_;
  options.dtype = dtype_policy();
  return std::make_shared<ConvLSTMCell>(rank_, options);
}

}  // namespace lockstep::nn
