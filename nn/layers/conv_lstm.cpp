// ConvLSTM2D and its cell, which no configuration names.

#include <lockstep/nn/layers/lstm.h>
#include <lockstep/nn/layers/recurrent.h>

namespace lockstep::nn {
namespace {

class ConvLSTMCell : public RnnCell {
 public:
  explicit ConvLSTMCell(ConvLSTM2D::Options options) : RnnCell("conv_lstm_cell", options.dtype), options_(std::move(options)) {}
  std::optional<std::size_t> output_state() const override { return 0; }
  bool drops() const override { return options_.dropout > 0 || options_.recurrent_dropout > 0; }
  std::optional<std::int64_t> seed() const override { return options_.seed; }
  std::vector<CellMasks> draw_masks(const Generator& generator, const Shape& input, DType dtype) const override {
    return {lstm::draw_masks(generator, input, state_shapes(input)[0], options_.dropout, options_.recurrent_dropout, 4, dtype)};
  }

  std::vector<Shape> state_shapes(const Shape& input) const override {
    Shape shape{input[0]};
    for (int i = 0; i < 2; ++i) {
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
    const Tensor sums = projected + lstm::by_gate(h, recurrent_, [](const Tensor& input, const Tensor& kernel) { return spatial::conv(input, kernel, {.strides = {1, 1}, .padding = "same", .dilations = {1, 1}}); });
    return lstm::step(sums, states[1], *options_.activation, *options_.recurrent_activation);
  }

 protected:
  void build(std::span<const Shape> inputs) override {
    const Ints& k = options_.kernel_size.values;
    const std::int64_t filters = options_.filters;
    kernel_ = add_weight("kernel", {k[0], k[1], inputs[0].dim(-1), 4 * filters}, {.initializer = options_.kernel_initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
    recurrent_ = add_weight("recurrent_kernel", {k[0], k[1], filters, 4 * filters}, {.initializer = options_.recurrent_initializer, .regularizer = options_.recurrent_regularizer, .constraint = options_.recurrent_constraint});
    if (!options_.use_bias) return;
    const Ref<Initializer> initializer = options_.unit_forget_bias ? lstm::forget_bias(options_.bias_initializer, filters) : options_.bias_initializer;
    bias_ = add_weight("bias", {4 * filters}, {.initializer = initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
  }

 private:
  ConvLSTM2D::Options options_;
  Weight kernel_, recurrent_, bias_;
};

}  // namespace

ConvLSTM2D::ConvLSTM2D(Options o)
    : RNN({.return_sequences = o.return_sequences, .return_state = o.return_state, .go_backwards = o.go_backwards, .stateful = o.stateful, .unroll = o.unroll}, o.name, o.dtype), options_(std::move(o)) {
  input_ndim_ = 5;
  ConvLSTM2D::configured();
}

void ConvLSTM2D::fields(Fields& f) {
  Layer::fields(f);
  sequence_fields(f);
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

void ConvLSTM2D::configured() {
  require(options_.filters > 0, "filters must be positive, got " + std::to_string(options_.filters));
  options_.kernel_size.spread(2, "kernel_size");
  options_.strides.spread(2, "strides");
  options_.dilation_rate.spread(2, "dilation_rate");
  require(options_.padding == "valid" || options_.padding == "same", "padding must be \"valid\" or \"same\", got \"" + options_.padding + "\"");
  require(options_.data_format == "channels_last", "data_format must be \"channels_last\", got \"" + options_.data_format + "\"");
  for (const double rate : {options_.dropout, options_.recurrent_dropout}) require(rate >= 0 && rate <= 1, "dropout must be between 0 and 1, got " + std::to_string(rate));
  if (!options_.activation) options_.activation = "linear";
  if (!options_.recurrent_activation) options_.recurrent_activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

std::shared_ptr<RnnCell> ConvLSTM2D::make_cell() {
  Options options = options_;
  options.dtype = dtype_policy();
  return std::make_shared<ConvLSTMCell>(options);
}

}  // namespace lockstep::nn
