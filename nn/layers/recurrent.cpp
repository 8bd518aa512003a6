#include <lockstep/nn/layers/recurrent.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/lstm.h>
#include <lockstep/nn/layers/regularization.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

/// (batch, steps, rest...) as (batch * steps, rest...), and back.
Tensor fold_steps(const Tensor& x) {
  Ints shape = {x.shape()[0] * x.shape()[1]};
  for (int i = 2; i < x.ndim(); ++i) shape.push_back(x.shape()[i]);
  return reshape(x, shape);
}
Tensor unfold_steps(const Tensor& x, std::int64_t batch, std::int64_t steps) {
  Ints shape = {batch, steps};
  for (int i = 1; i < x.ndim(); ++i) shape.push_back(x.shape()[i]);
  return reshape(x, shape);
}

/// The shape of one step of a sequence.
Shape step_shape(const Shape& sequence) {
  Shape shape{sequence[0]};
  for (int i = 2; i < sequence.ndim(); ++i) shape.push_back(sequence[i]);
  return shape;
}

/// `mask` (batch,) with as many axes as `like`.
Tensor column(Tensor mask, const Tensor& like) {
  while (mask.ndim() < like.ndim()) mask = expand_dims(mask, -1);
  return mask;
}

/// (batch, steps, ...) as (steps, batch, ...), and back.
Tensor swap_steps(const Tensor& x) {
  Ints axes = {1, 0};
  for (int i = 2; i < x.ndim(); ++i) axes.push_back(i);
  return transpose(x, axes);
}

/// The losses that a layer adds within the body of a scan: they leave it as outputs, behind the others, and are summed over the steps. Where steps are no
/// graph of their own, the layer keeps them.
class StepLosses {
 public:
  StepLosses(Layer& layer, bool leaving) : layer_(layer), leaving_(leaving) {
    if (leaving_) before_ = layer_.take_losses();
  }
  void leave(Tensors& outputs) {
    if (!leaving_) return;
    const std::vector<Tensor> losses = layer_.take_losses();
    count_ = losses.size();
    outputs.append(losses.begin(), losses.end());
  }
  /// What the layer around adds in its stead, after what it had before.
  std::vector<Tensor> sums(Tensors& outputs) {
    for (std::size_t k = outputs.size() - count_; k < outputs.size(); ++k) before_.push_back(reduce_sum(outputs[k], {0}));
    outputs.resize(outputs.size() - count_);
    return std::move(before_);
  }

 private:
  Layer& layer_;
  bool leaving_;
  std::size_t count_ = 0;
  std::vector<Tensor> before_;
};

std::shared_ptr<RnnCell> as_cell(const Ref<Layer>& layer, const char* owner) {
  auto cell = std::dynamic_pointer_cast<RnnCell>(layer.ptr());
  if (!cell) throw InvalidArgumentError("a recurrent cell is wanted" + (layer ? ", got a " + layer->class_name() : std::string()), owner);
  return cell;
}

}  // namespace

Tensors RnnCell::call(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  require(inputs.size() == 1 + state_shapes(inputs[0].shape()).size(), "the inputs are x and the states, got " + std::to_string(inputs.size()) + " tensors");
  return step(project(inputs.first(1)), inputs.subspan(1), {});
}

std::vector<CellMasks> RnnCell::draw_masks(const Generator&, const Shape&, DType) const { return std::vector<CellMasks>(cell_count()); }

// ---- RNN

RNN::RNN(Ref<Layer> cell, SequenceOptions sequence, std::string name) : Layer(std::move(name)), sequence_(sequence), given_(std::move(cell)) { RNN::configured(); }

void RNN::sequence_fields(Fields& f) {
  f.field("return_sequences", sequence_.return_sequences);
  f.field("return_state", sequence_.return_state);
  f.field("go_backwards", sequence_.go_backwards);
  f.field("stateful", sequence_.stateful);
  f.field("unroll", sequence_.unroll);
  f.field("zero_output_for_mask", sequence_.zero_output_for_mask);
}
void RNN::fields(Fields& f) {
  Layer::fields(f);
  sequence_fields(f);
  f.required({"cell"});
  f.field("cell", given_);
}
void RNN::configured() { as_cell(given_, "RNN"); }
std::shared_ptr<RnnCell> RNN::make_cell() { return as_cell(given_, "RNN"); }

Tensor RNN::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(inputs);
  return sequence_.return_sequences ? options.mask_of(0) : Tensor();
}

void RNN::reset_state() {
  for (const Variable& state : states_) state.assign(0);
}

void RNN::build(std::span<const Shape> inputs) {
  require(!inputs.empty() && inputs[0].ndim() == input_ndim_, "the input needs " + std::to_string(input_ndim_) + " axes (batch, steps, ...), got " + (inputs.empty() ? "none" : to_string(inputs[0])));
  const auto cell = make_cell();
  cell_ = track(cell->name(), cell);
  const Shape step = step_shape(inputs[0]);
  cell_->build_for(step);
  if (cell_->drops()) generator_ = add_generator("seed_generator", cell_->seed());
  if (!sequence_.stateful) return;
  int number = 0;
  for (const Shape& shape : cell_->state_shapes(step)) states_.push_back(add_state("state_" + std::to_string(number++), zeros(shape, compute_dtype())));
}

Tensors RNN::call(std::span<const Tensor> inputs, const CallOptions& options) {
  Tensor x = inputs[0];
  require(x.ndim() == input_ndim_, "the input needs " + std::to_string(input_ndim_) + " axes (batch, steps, ...), got " + to_string(x.shape()));
  Tensor mask = options.mask_of(0);
  if (mask.defined() && mask.dtype() != boolean) mask = cast(mask, boolean);
  const Shape one = step_shape(x.shape());
  const std::int64_t steps = x.shape()[1];
  const std::vector<Shape> shapes = cell_->state_shapes(one);
  require(inputs.size() == 1 || inputs.size() == 1 + shapes.size(), "there are " + std::to_string(shapes.size()) + " states, got " + std::to_string(inputs.size() - 1));
  require(steps > 0, "the sequence has no steps");
  Tensors states;
  for (std::size_t i = 0; i < shapes.size(); ++i)
    states.push_back(inputs.size() > 1 ? inputs[i + 1] : sequence_.stateful ? states_[i].value()
                                                                            : zeros(shapes[i], x.dtype()));
  // From here on steps come first: each is one piece of memory.
  x = swap_steps(x);
  if (mask.defined()) mask = swap_steps(mask);
  if (sequence_.go_backwards) {
    x = reverse(x, 0);
    if (mask.defined()) mask = reverse(mask, 0);
  }
  const std::vector<CellMasks> dropped = options.training && generator_ ? cell_->draw_masks(*generator_, one, x.dtype()) : std::vector<CellMasks>();
  Tensors seen;  // by the gates
  if (!dropped.empty())
    for (const Tensor& each : dropped[0].input) seen.push_back(fold_steps(x * expand_dims(each, 0)));
  if (seen.empty()) seen.push_back(fold_steps(x));
  Tensors sequences = {unfold_steps(cell_->project(seen), steps, one[0])};
  if (mask.defined()) sequences.push_back(mask);
  const Tensor first = zeros(cell_->output_shape(one), x.dtype());
  autodiff::Scanned done = run_steps(std::move(states), std::move(sequences), first, dropped);
  for (std::size_t i = 0; i < states_.size(); ++i) states_[i].assign(done.state[i]);
  const Tensor last = done.state[done.state.size() > shapes.size() ? shapes.size() : cell_->output_state().value_or(0)];
  Tensors result = {sequence_.return_sequences ? swap_steps(done.outputs[0]) : last};
  if (sequence_.return_state) result.append(done.state.begin(), done.state.begin() + std::ptrdiff_t(shapes.size()));
  return result;
}

/// The last output goes from step to step behind the states where it is wanted, or taken by a masked step.
autodiff::Scanned RNN::run_steps(Tensors states, Tensors sequences, const Tensor& first, std::span<const CellMasks> dropped) {
  const bool masked = sequences.size() > 1, repeats = masked && !sequence_.zero_output_for_mask;
  const bool carries = repeats || (!sequence_.return_sequences && (masked || !cell_->output_state()));
  const std::size_t count = states.size();
  if (carries) states.push_back(first);
  StepLosses losses(*cell_, listeners().tracer && !sequence_.unroll);
  autodiff::Scanned done = autodiff::scan([&](std::span<const Tensor> before, std::span<const Tensor> slices) {
    const std::span<const Tensor> own = before.first(count);
    const Tensors next = cell_->step(slices[0], own, dropped);
    require(next.size() == 1 + count, "the cell gives " + std::to_string(next.size()) + " tensors, not an output and " + std::to_string(count) + " states");
    autodiff::Scanned step{{next.begin() + 1, next.end()}, {}};
    Tensor output = next[0];
    if (masked) {
      output = where(column(slices[1], output), output, repeats ? before[count] : zeros_like(output));
      for (std::size_t i = 0; i < count; ++i) step.state[i] = where(column(slices[1], own[i]), step.state[i], own[i]);
    }
    if (carries) step.state.push_back(output);
    if (sequence_.return_sequences) step.outputs.push_back(output);
    losses.leave(step.outputs);
    return step;
  }, std::move(states), std::move(sequences), {.unroll = sequence_.unroll});
  for (const Tensor& loss : losses.sums(done.outputs)) add_loss(loss);
  return done;
}

// ---- cells of units

UnitCell::UnitCell(CellKind kind, RecurrentOptions options) : RnnCell(options.name, options.dtype), kind_(kind), options_(std::move(options)) { UnitCell::configured(); }

namespace {

/// The fields that cells and their layers have in common, in Keras's order.
void unit_fields(Fields& f, CellKind kind, RecurrentOptions& o, bool cell) {
  f.field("units", o.units);
  f.field("activation", o.activation);
  if (kind != CellKind::simple) f.field("recurrent_activation", o.recurrent_activation);
  f.field("use_bias", o.use_bias);
  f.field("kernel_initializer", o.kernel_initializer);
  f.field("recurrent_initializer", o.recurrent_initializer);
  f.field("bias_initializer", o.bias_initializer);
  if (kind == CellKind::lstm) f.field("unit_forget_bias", o.unit_forget_bias);
  f.field("kernel_regularizer", o.kernel_regularizer);
  f.field("recurrent_regularizer", o.recurrent_regularizer);
  f.field("bias_regularizer", o.bias_regularizer);
  if (!cell) f.field("activity_regularizer", o.activity_regularizer);
  f.field("kernel_constraint", o.kernel_constraint);
  f.field("recurrent_constraint", o.recurrent_constraint);
  f.field("bias_constraint", o.bias_constraint);
  f.field("dropout", o.dropout);
  f.field("recurrent_dropout", o.recurrent_dropout);
  if (kind == CellKind::gru) f.field("reset_after", o.reset_after);
  f.field("seed", o.seed);
}

void check_units(RecurrentOptions& o, const char* owner) {
  if (o.units <= 0) throw InvalidArgumentError("units must be positive, got " + std::to_string(o.units), owner);
  for (const double rate : {o.dropout, o.recurrent_dropout})
    if (!(rate >= 0 && rate <= 1)) throw InvalidArgumentError("dropout must be between 0 and 1, got " + std::to_string(rate), owner);
  if (!o.activation) o.activation = "linear";
  if (!o.recurrent_activation) o.recurrent_activation = "linear";
}

Tensor product(const Tensor& x, const Tensor& kernel) { return matmul(x, kernel); }

std::int64_t gates_of(CellKind kind) { return kind == CellKind::simple ? 1 : kind == CellKind::lstm ? 4
                                                                                                    : 3; }

}  // namespace

void UnitCell::fields(Fields& f) {
  Layer::fields(f);
  f.required({"units"});
  unit_fields(f, kind_, options_, true);
}
void UnitCell::configured() { check_units(options_, "RnnCell"); }

std::vector<Shape> UnitCell::state_shapes(const Shape& input) const {
  const Shape shape{input[0], options_.units};
  return std::vector<Shape>(kind_ == CellKind::lstm ? 2 : 1, shape);
}

void UnitCell::build(std::span<const Shape> inputs) {
  const std::int64_t width = gates_of(kind_) * options_.units;
  kernel_ = add_weight("kernel", {inputs[0].dim(-1), width}, {.initializer = options_.kernel_initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
  recurrent_ = add_weight("recurrent_kernel", {options_.units, width}, {.initializer = options_.recurrent_initializer, .regularizer = options_.recurrent_regularizer, .constraint = options_.recurrent_constraint});
  if (!options_.use_bias) return;
  const Shape shape = kind_ == CellKind::gru && options_.reset_after ? Shape{2, width} : Shape{width};
  const bool forget = kind_ == CellKind::lstm && options_.unit_forget_bias;
  bias_ = add_weight("bias", shape, {.initializer = forget ? lstm::forget_bias(options_.bias_initializer, options_.units) : options_.bias_initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
}

std::vector<CellMasks> UnitCell::draw_masks(const Generator& generator, const Shape& input, DType dtype) const {
  return {lstm::draw_masks(generator, input, state_shapes(input)[0], options_.dropout, options_.recurrent_dropout, options_.recurrent_dropout > 0 ? gates_of(kind_) : 1, dtype)};
}

Tensor UnitCell::project(std::span<const Tensor> x) {
  const Tensor sums = lstm::by_gate(x, kernel_, product);
  if (!bias_.defined()) return sums;
  const Tensor bias = bias_;
  return sums + (bias.ndim() == 2 ? bias[0] : bias);
}

/// h R, with h as each gate sees it.
Tensor UnitCell::recurrent_product(const Tensor& h, std::span<const Tensor> masks) const {
  return lstm::by_gate(lstm::masked(h, masks), recurrent_, product);
}

Tensors UnitCell::step(const Tensor& projected, std::span<const Tensor> states, std::span<const CellMasks> all_masks) {
  const std::span<const Tensor> masks = all_masks.empty() ? std::span<const Tensor>() : std::span<const Tensor>(all_masks[0].recurrent);
  const Tensor& h = states[0];
  const Activation &activation = *options_.activation, &gate = *options_.recurrent_activation;
  if (kind_ == CellKind::simple) {
    const Tensor y = activation(projected + recurrent_product(h, masks));
    return {y, y};
  }
  if (kind_ == CellKind::lstm) return lstm::step(projected + recurrent_product(h, masks), states[1], activation, gate);
  // GRU: update z, reset r, candidate.
  const std::vector<Tensor> x = split(projected, 3, -1);
  Tensor z, r, candidate;
  if (options_.reset_after) {
    Tensor inner = recurrent_product(h, masks);
    if (bias_.defined()) inner = inner + bias_.value()[1];
    const std::vector<Tensor> part = split(inner, 3, -1);
    z = gate(x[0] + part[0]);
    r = gate(x[1] + part[1]);
    candidate = activation(x[2] + r * part[2]);
  } else {
    const std::vector<Tensor> kernels = split(recurrent_.value(), Ints{2 * options_.units, options_.units}, -1);
    const Tensors seen = lstm::masked(h, masks);  // by the gates, or once
    const std::vector<Tensor> part = split(lstm::by_gate(std::span(seen.begin(), std::min<std::size_t>(seen.size(), 2)), kernels[0], product), 2, -1);
    z = gate(x[0] + part[0]);
    r = gate(x[1] + part[1]);
    candidate = activation(x[2] + matmul(r * seen.back(), kernels[1]));
  }
  const Tensor y = z * states[0] + (1 - z) * candidate;
  return {y, y};
}

UnitRnn::UnitRnn(CellKind kind, RecurrentOptions o)
    : RNN({.return_sequences = o.return_sequences, .return_state = o.return_state, .go_backwards = o.go_backwards, .stateful = o.stateful, .unroll = o.unroll, .zero_output_for_mask = o.zero_output_for_mask}, o.name, o.dtype),
      kind_(kind),
      options_(std::move(o)) {
  UnitRnn::configured();
}
void UnitRnn::fields(Fields& f) {
  Layer::fields(f);
  sequence_fields(f);
  f.required({"units"});
  unit_fields(f, kind_, options_, false);
}
void UnitRnn::configured() {
  check_units(options_, "RNN");
  set_activity_regularizer(options_.activity_regularizer);
}
std::shared_ptr<RnnCell> UnitRnn::make_cell() {
  RecurrentOptions options = options_;
  options.name = {};
  options.dtype = dtype_policy();
  if (kind_ == CellKind::simple) return std::make_shared<SimpleRNNCell>(options);
  if (kind_ == CellKind::lstm) return std::make_shared<LSTMCell>(options);
  return std::make_shared<GRUCell>(options);
}

// ---- StackedRNNCells

StackedRNNCells::StackedRNNCells(std::vector<Ref<Layer>> cells, std::string name) : RnnCell(std::move(name)), given_(std::move(cells)) { StackedRNNCells::configured(); }

void StackedRNNCells::fields(Fields& f) {
  Layer::fields(f);
  f.required({"cells"});
  Json cells = Json::array();
  for (const Ref<Layer>& cell : given_) cells.push_back(serialize(*cell));
  const Json written = cells;
  f.field("cells", cells);
  if (cells == written) return;
  given_.clear();
  for (const Json& cell : cells) given_.push_back(deserialize<Layer>(cell));
}
void StackedRNNCells::configured() {
  require(!given_.empty(), "there are no cells");
  for (const Ref<Layer>& cell : given_) as_cell(cell, "StackedRNNCells");
}
void StackedRNNCells::build(std::span<const Shape> inputs) {
  Shape input = inputs[0];
  std::size_t states = 0;
  for (const Ref<Layer>& given : given_) {
    const auto cell = as_cell(given, "StackedRNNCells");
    // As Keras counts: lstm_cell, lstm_cell_1, ...
    std::string name = cell->name();
    const auto taken = [&](const std::string& candidate) { return std::any_of(sublayers().begin(), sublayers().end(), [&](const Child& child) { return child.name == candidate; }); };
    for (int k = 1; taken(name); ++k) name = cell->name() + "_" + std::to_string(k);
    cells_.push_back(track(name, cell));
    cell->build_for(input);
    output_state_.reset();
    if (const auto state = cell->output_state()) output_state_ = states + *state;
    states += cell->state_shapes(input).size();
    input = cell->output_shape(input);
  }
}
std::vector<Shape> StackedRNNCells::state_shapes(const Shape& input) const {
  std::vector<Shape> result;
  Shape each = input;
  for (const Ref<Layer>& given : given_) {
    const std::vector<Shape> shapes = as_cell(given, "StackedRNNCells")->state_shapes(each);
    result.insert(result.end(), shapes.begin(), shapes.end());
    each = as_cell(given, "StackedRNNCells")->output_shape(each);
  }
  return result;
}
Shape StackedRNNCells::output_shape(const Shape& input) const {
  Shape each = input;
  for (const Ref<Layer>& given : given_) each = as_cell(given, "StackedRNNCells")->output_shape(each);
  return each;
}
bool StackedRNNCells::drops() const {
  return std::any_of(given_.begin(), given_.end(), [](const Ref<Layer>& cell) { return as_cell(cell, "StackedRNNCells")->drops(); });
}
std::optional<std::int64_t> StackedRNNCells::seed() const {
  for (const Ref<Layer>& cell : given_)
    if (const auto seed = as_cell(cell, "StackedRNNCells")->seed()) return seed;
  return {};
}
std::size_t StackedRNNCells::cell_count() const {
  std::size_t count = 0;
  for (const Ref<Layer>& cell : given_) count += as_cell(cell, "StackedRNNCells")->cell_count();
  return count;
}
std::vector<CellMasks> StackedRNNCells::draw_masks(const Generator& generator, const Shape& input, DType dtype) const {
  std::vector<CellMasks> masks;
  Shape each = input;
  for (const auto& cell : cells_) {
    for (CellMasks& drawn : cell->draw_masks(generator, each, dtype)) masks.push_back(std::move(drawn));
    each = cell->output_shape(each);
  }
  return masks;
}
Tensor StackedRNNCells::project(std::span<const Tensor> x) { return cells_.front()->project(x); }
Tensors StackedRNNCells::step(const Tensor& projected, std::span<const Tensor> states, std::span<const CellMasks> masks) {
  Tensors result = {Tensor()};
  Tensor x = projected;
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    const std::span<const CellMasks> own = masks.empty() ? masks : masks.first(cells_[i]->cell_count());
    if (i > 0) x = cells_[i]->project(lstm::masked(x, own.empty() ? std::span<const Tensor>() : std::span<const Tensor>(own[0].input)));
    const std::size_t count = cells_[i]->state_shapes(x.shape()).size();
    const Tensors next = cells_[i]->step(x, states.first(count), own);
    states = states.subspan(count);
    masks = masks.subspan(own.size());
    x = next[0];
    result.append(next.begin() + 1, next.end());
  }
  result[0] = x;
  return result;
}

// ---- Bidirectional

Bidirectional::Bidirectional(Ref<Layer> layer, std::optional<std::string> merge_mode, Ref<Layer> backward_layer, std::string name)
    : Layer(std::move(name)), merge_mode_(std::move(merge_mode)), layer_(std::move(layer)), backward_layer_(std::move(backward_layer)) {
  Bidirectional::configured();
}
void Bidirectional::fields(Fields& f) {
  Layer::fields(f);
  f.required({"layer"});
  f.field("merge_mode", merge_mode_);
  f.field("layer", layer_);
  f.field("backward_layer", backward_layer_);
}
void Bidirectional::configured() {
  require(!merge_mode_ || *merge_mode_ == "concat" || *merge_mode_ == "sum" || *merge_mode_ == "mul" || *merge_mode_ == "ave", "merge_mode must be \"concat\", \"sum\", \"mul\", \"ave\" or null, got \"" + merge_mode_.value_or("") + "\"");
  const auto with_prefix = [](const std::string& prefix, const std::string& name) { return name.starts_with(prefix) ? name : prefix + name; };
  require(bool(layer_), "there is no layer");
  if (!backward_layer_) {
    Json described = serialize(*layer_);
    described["config"]["go_backwards"] = !described["config"].value("go_backwards", false);
    described["config"]["name"] = with_prefix("backward_", layer_->name());
    backward_layer_ = deserialize<Layer>(described);
  }
  layer_->set_name(with_prefix("forward_", layer_->name()));
  forward_ = std::dynamic_pointer_cast<RNN>(layer_.ptr());
  backward_ = std::dynamic_pointer_cast<RNN>(backward_layer_.ptr());
  require(forward_ && backward_, "the layers must be recurrent");
  const SequenceOptions &a = forward_->sequence(), &b = backward_->sequence();
  require(a.go_backwards != b.go_backwards, "the backward layer must run in the other direction");
  require(a.return_sequences == b.return_sequences && a.return_state == b.return_state && a.stateful == b.stateful, "both layers must agree on return_sequences, return_state and stateful");
  for (const auto& each : {forward_, backward_}) each->set_zero_output_for_mask(a.return_sequences);
}
void Bidirectional::build(std::span<const Shape> inputs) {
  for (const auto& each : {forward_, backward_}) track(each->name(), each)->build_for(inputs.first(1));
}
Tensor Bidirectional::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) { return forward_->compute_mask(inputs, options); }

Tensors Bidirectional::call(std::span<const Tensor> inputs, const CallOptions& options) {
  require(inputs.size() % 2 == 1, "the initial states must come in pairs");
  const std::size_t half = (inputs.size() - 1) / 2;
  const auto run = [&](RNN& layer, std::size_t first) {
    Tensors operands = {inputs[0]};
    for (std::size_t i = 0; i < half; ++i) operands.push_back(inputs[first + i]);
    return layer(std::span<const Tensor>(operands), options);
  };
  const Tensors there = run(*forward_, 1), back = run(*backward_, 1 + half);
  const Tensor a = there[0], b = forward_->sequence().return_sequences ? reverse(back[0], 1) : back[0];
  Tensors result;
  if (!merge_mode_) result = {a, b};
  else if (*merge_mode_ == "sum") result = {a + b};
  else if (*merge_mode_ == "mul") result = {a * b};
  else if (*merge_mode_ == "ave") result = {(a + b) / 2};
  else {
    const Tensor both[] = {a, b};
    result = {concat(both, -1)};
  }
  result.append(there.begin() + 1, there.end());
  result.append(back.begin() + 1, back.end());
  return result;
}

// ---- TimeDistributed

void TimeDistributed::fields(Fields& f) {
  Layer::fields(f);
  f.required({"layer"});
  f.field("layer", layer_);
}
void TimeDistributed::build(const Shape& input) {
  require(bool(layer_), "there is no layer");
  require(input.ndim() >= 3, "the input needs at least three axes (batch, steps, ...), got " + to_string(input));
  Shape folded = step_shape(input);
  folded[0] *= input[1];
  track(layer_->name(), layer_.ptr())->build_for(folded);
}
Tensor TimeDistributed::call(const Tensor& x, const CallOptions& options) {
  require(x.ndim() >= 3, "the input needs at least three axes (batch, steps, ...), got " + to_string(x.shape()));
  const Tensor mask = options.mask_of(0);
  require(!mask.defined() || (mask.ndim() >= 2 && mask.shape()[0] == x.shape()[0] && mask.shape()[1] == x.shape()[1]),
          "the mask must begin with the axes (batch, steps) of the input " + to_string(x.shape()) + (mask.defined() ? ", got " + to_string(mask.shape()) : ""));
  // All steps at once are the same as one after the other, except where each of them moves the state of the layer on.
  const std::vector<Variable> state = layer_->variables();
  if (!options.training || std::all_of(state.begin(), state.end(), [](const Variable& variable) { return variable.trainable(); })) {
    const Tensor folded = mask.defined() ? fold_steps(mask) : Tensor();
    return unfold_steps((*layer_)(fold_steps(x), {.training = options.training, .mask = {folded}}), x.shape()[0], x.shape()[1]);
  }
  Tensors sequences = {swap_steps(x)};
  if (mask.defined()) sequences.push_back(swap_steps(mask));
  StepLosses losses(*layer_, listeners().tracer);
  autodiff::Scanned done = autodiff::scan([&](std::span<const Tensor>, std::span<const Tensor> slices) {
    autodiff::Scanned step{{}, {(*layer_)(slices[0], {.training = options.training, .mask = {slices.size() > 1 ? slices[1] : Tensor()}})}};
    losses.leave(step.outputs);
    return step;
  }, {}, std::move(sequences));
  for (const Tensor& loss : losses.sums(done.outputs)) add_loss(loss);
  return swap_steps(done.outputs[0]);
}

}  // namespace lockstep::nn
