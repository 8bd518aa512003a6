#pragma once
// Recurrent layers. A cell computes one step; RNN runs it over a sequence. What of a step does not depend on the state (the product of
// the input and its kernel) is computed for all steps at once, in one product; the steps are a scan, or unrolled.

#include <lockstep/autodiff/control_flow.h>
#include <lockstep/nn/layer.h>
#include <lockstep/nn/layers/spatial.h>

namespace lockstep::nn {

/// What dropout multiplies a cell's input and first state with, the same at every step of a sequence: nothing, one mask, or one for each gate.
struct CellMasks {
  Tensors input, recurrent;
};

/// One step of a recurrent layer. As a layer its inputs are x and the states, its outputs the output and the new states.
class RnnCell : public Layer {
 public:
  /// Shapes of the states for an input of one step, batch included.
  virtual std::vector<Shape> state_shapes(const Shape& input) const = 0;
  /// The output's shape, by default that of the first state.
  virtual Shape output_shape(const Shape& input) const { return state_shapes(input).front(); }
  /// The number of the new state that is the output as well, if one is: a layer then keeps no last output beside the states.
  virtual std::optional<std::size_t> output_state() const { return {}; }
  /// What of a step depends on the input alone; the batch axis may hold all steps. `x` is the input, or the input as each gate sees it (CellMasks::input).
  virtual Tensor project(std::span<const Tensor> x) { return x[0]; }
  /// The output, then the new states. `masks` are those of draw_masks, or none. In a traced sequence it is called for one step that stands for all (unless the layer
  /// unrolls): it may read and assign variables, which go from step to step, and add losses, which are summed over the steps.
  virtual Tensors step(const Tensor& projected, std::span<const Tensor> states, std::span<const CellMasks> masks) = 0;
  /// Does it drop anything in training?
  virtual bool drops() const { return false; }
  virtual std::optional<std::int64_t> seed() const { return {}; }
  /// New masks for a sequence whose steps are of shape `input`, batch included; as many as cell_count().
  virtual std::vector<CellMasks> draw_masks(const Generator& generator, const Shape& input, DType dtype) const;
  /// Cells that this one consists of.
  virtual std::size_t cell_count() const { return 1; }

 protected:
  using Layer::Layer;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;
};

/// How a layer runs over its sequence.
struct SequenceOptions {
  /// All outputs (batch, steps, ...) instead of the last.
  bool return_sequences = false;
  /// The final states too.
  bool return_state = false;
  bool go_backwards = false;
  /// The next call starts from the states at the end of this one.
  bool stateful = false;
  /// Traces every step: tracing takes time and memory in proportion to the length, a short sequence may run a little faster. Otherwise the graph has one scan.
  bool unroll = false;
  /// Masked steps give 0 instead of the output before.
  bool zero_output_for_mask = false;
};

/// Runs a cell over axis 1. Inputs: the sequence, then initial states (default: zeros); a masked step leaves the states as they are.
class RNN : public Layer {
 public:
  RNN() = default;
  explicit RNN(Ref<Layer> cell, SequenceOptions sequence = {}, std::string name = {});
  void fields(Fields& f) override;
  void configured() override;
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;
  const SequenceOptions& sequence() const { return sequence_; }
  void set_zero_output_for_mask(bool zero) { sequence_.zero_output_for_mask = zero; }
  /// Stateful layers: back to zeros.
  void reset_state();

 protected:
  RNN(SequenceOptions sequence, std::string name, DTypePolicy dtype) : Layer(std::move(name), std::move(dtype)), sequence_(sequence) {}
  void sequence_fields(Fields& f);
  /// The cell, made when the layer is built.
  virtual std::shared_ptr<RnnCell> make_cell();
  void build(std::span<const Shape> inputs) override;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

  SequenceOptions sequence_;
  int input_ndim_ = 3;

 private:
  autodiff::Scanned run_steps(Tensors states, Tensors sequences, const Tensor& first, std::span<const CellMasks> dropped);

  Ref<Layer> given_;
  std::shared_ptr<RnnCell> cell_;
  std::optional<Generator> generator_;
  std::vector<Variable> states_;
};

/// What the three classical cells and their layers are made from; a field that a class does not have is not looked at.
struct RecurrentOptions {
  std::int64_t units = 0;
  Ref<Activation> activation = "tanh";
  /// LSTM and GRU
  Ref<Activation> recurrent_activation = "sigmoid";
  bool use_bias = true;
  bool return_sequences = false;
  bool return_state = false;
  bool go_backwards = false;
  bool stateful = false;
  bool unroll = false;
  bool zero_output_for_mask = false;
  Ref<Initializer> kernel_initializer = "glorot_uniform";
  Ref<Initializer> recurrent_initializer = "orthogonal";
  Ref<Initializer> bias_initializer = "zeros";
  /// LSTM: the forget gate's bias starts at 1.
  bool unit_forget_bias = true;
  Ref<Regularizer> kernel_regularizer = {};
  Ref<Regularizer> recurrent_regularizer = {};
  Ref<Regularizer> bias_regularizer = {};
  Ref<Regularizer> activity_regularizer = {};
  Ref<Constraint> kernel_constraint = {};
  Ref<Constraint> recurrent_constraint = {};
  Ref<Constraint> bias_constraint = {};
  /// Of the input and of the state, the same elements at every step. With recurrent_dropout every gate has masks of its own, as in Keras.
  double dropout = 0;
  double recurrent_dropout = 0;
  /// GRU: the reset gate acts after the recurrent product, which has a bias of its own.
  bool reset_after = true;
  std::optional<std::int64_t> seed = {};
  std::string name = {};
  DTypePolicy dtype = {};
};
enum class CellKind : std::uint8_t { simple, lstm, gru };

/// A cell of units: simple h = activation(xK + hR + b), LSTM, or GRU.
class UnitCell : public RnnCell {
 public:
  std::vector<Shape> state_shapes(const Shape& input) const override;
  std::optional<std::size_t> output_state() const override { return 0; }
  Tensor project(std::span<const Tensor> x) override;
  Tensors step(const Tensor& projected, std::span<const Tensor> states, std::span<const CellMasks> masks) override;
  bool drops() const override { return options_.dropout > 0 || options_.recurrent_dropout > 0; }
  std::optional<std::int64_t> seed() const override { return options_.seed; }
  std::vector<CellMasks> draw_masks(const Generator& generator, const Shape& input, DType dtype) const override;
  void fields(Fields& f) override;
  /// Throws InvalidArgumentError unless units > 0 and the rates are in [0, 1].
  void configured() override;

 protected:
  explicit UnitCell(CellKind kind) : kind_(kind) {}
  UnitCell(CellKind kind, RecurrentOptions options);
  void build(std::span<const Shape> inputs) override;

 private:
  CellKind kind_;
  RecurrentOptions options_;
  Tensor recurrent_product(const Tensor& h, std::span<const Tensor> masks) const;

  Weight kernel_, recurrent_, bias_;
};

/// An RNN of such a cell, with the cell's fields among its own.
class UnitRnn : public RNN {
 public:
  void fields(Fields& f) override;
  void configured() override;

 protected:
  explicit UnitRnn(CellKind kind) : kind_(kind) {}
  UnitRnn(CellKind kind, RecurrentOptions options);
  std::shared_ptr<RnnCell> make_cell() override;

 private:
  CellKind kind_;
  RecurrentOptions options_;
};

template <CellKind Kind>
class UnitCellOf : public UnitCell {
 public:
  UnitCellOf() : UnitCell(Kind) {}
  explicit UnitCellOf(RecurrentOptions options) : UnitCell(Kind, std::move(options)) {}
};
using SimpleRNNCell = UnitCellOf<CellKind::simple>;
using LSTMCell = UnitCellOf<CellKind::lstm>;
using GRUCell = UnitCellOf<CellKind::gru>;

template <CellKind Kind>
class UnitRnnOf : public UnitRnn {
 public:
  UnitRnnOf() : UnitRnn(Kind) {}
  explicit UnitRnnOf(RecurrentOptions options) : UnitRnn(Kind, std::move(options)) {}
};
using SimpleRNN = UnitRnnOf<CellKind::simple>;
using LSTM = UnitRnnOf<CellKind::lstm>;
using GRU = UnitRnnOf<CellKind::gru>;

/// Cells one after another: each takes the output of the one before.
class StackedRNNCells : public RnnCell {
 public:
  StackedRNNCells() = default;
  explicit StackedRNNCells(std::vector<Ref<Layer>> cells, std::string name = {});
  std::vector<Shape> state_shapes(const Shape& input) const override;
  Shape output_shape(const Shape& input) const override;
  std::optional<std::size_t> output_state() const override { return output_state_; }
  Tensor project(std::span<const Tensor> x) override;
  Tensors step(const Tensor& projected, std::span<const Tensor> states, std::span<const CellMasks> masks) override;
  bool drops() const override;
  std::optional<std::int64_t> seed() const override;
  std::vector<CellMasks> draw_masks(const Generator& generator, const Shape& input, DType dtype) const override;
  std::size_t cell_count() const override;
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(std::span<const Shape> inputs) override;

 private:
  std::vector<Ref<Layer>> given_;
  std::vector<std::shared_ptr<RnnCell>> cells_;
  std::optional<std::size_t> output_state_;
};

/// A recurrent layer and its mirror image over the reversed sequence.
class Bidirectional : public Layer {
 public:
  Bidirectional() = default;
  /// merge_mode "concat", "sum", "mul", "ave", or none: both outputs. The backward layer is made from the forward one if not given.
  explicit Bidirectional(Ref<Layer> layer, std::optional<std::string> merge_mode = "concat", Ref<Layer> backward_layer = {}, std::string name = {});
  void fields(Fields& f) override;
  void configured() override;
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;

 protected:
  void build(std::span<const Shape> inputs) override;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  std::optional<std::string> merge_mode_ = "concat";
  Ref<Layer> layer_;
  Ref<Layer> backward_layer_;
  std::shared_ptr<RNN> forward_, backward_;
};

/// A layer applied to each step of axis 1; the steps go through it as one large batch.
class TimeDistributed : public Layer {
 public:
  TimeDistributed() = default;
  explicit TimeDistributed(Ref<Layer> layer, std::string name = {}) : Layer(std::move(name)), layer_(std::move(layer)) {}
  void fields(Fields& f) override;

 protected:
  void build(const Shape& input) override;
  Tensor call(const Tensor& x, const CallOptions& options) override;

 private:
  Ref<Layer> layer_;
};

/// An LSTM whose products are convolutions: (batch, steps, spatial..., channels). Throws InvalidArgumentError for strides together with dilations.
class ConvLSTM : public RNN {
 public:
  struct Options {
    std::int64_t filters = 0;
    Sizes kernel_size = {};
    Sizes strides = 1;
    std::string padding = "valid";
    std::string data_format = "channels_last";
    Sizes dilation_rate = 1;
    Ref<Activation> activation = "tanh";
    Ref<Activation> recurrent_activation = "sigmoid";
    bool use_bias = true;
    bool return_sequences = false;
    bool return_state = false;
    bool go_backwards = false;
    bool stateful = false;
    bool unroll = false;
    Ref<Initializer> kernel_initializer = "glorot_uniform";
    Ref<Initializer> recurrent_initializer = "orthogonal";
    Ref<Initializer> bias_initializer = "zeros";
    bool unit_forget_bias = true;
    Ref<Regularizer> kernel_regularizer = {};
    Ref<Regularizer> recurrent_regularizer = {};
    Ref<Regularizer> bias_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> kernel_constraint = {};
    Ref<Constraint> recurrent_constraint = {};
    Ref<Constraint> bias_constraint = {};
    double dropout = 0;
    double recurrent_dropout = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  void fields(Fields& f) override;
  void configured() override;

 protected:
  ConvLSTM(int rank, Options options);
  std::shared_ptr<RnnCell> make_cell() override;

 private:
  int rank_;
  Options options_;
};
using ConvLSTM1D = Ranked<ConvLSTM, 1>;
using ConvLSTM2D = Ranked<ConvLSTM, 2>;
using ConvLSTM3D = Ranked<ConvLSTM, 3>;

}  // namespace lockstep::nn
