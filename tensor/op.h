#pragma once
// The row of the op table, and what its functions receive. An op is one row: names, attributes, dtype and shape rule, gradient,
// fusion kind, effects, precision, ONNX form, samples, document line and CPU kernel. Everything else in Lockstep reads rows.

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep {

struct OpDef;

/// Base of the contexts: the row, the attributes of the call, and typed access to them (falling back to the row's defaults).
class OpCall {
 public:
  OpCall(const OpDef& op, const AttrList& attrs) : op_(op), attrs_(attrs) {}
  const OpDef& op() const { return op_; }
  const AttrList& attrs() const { return attrs_; }

  /// The value given, or the row's default. Throws InternalError for a name the row does not declare.
  const AttrValue& attr(std::string_view name) const;
  bool boolean(std::string_view name) const { return std::get<bool>(attr(name)); }
  std::int64_t integer(std::string_view name) const { return std::get<std::int64_t>(attr(name)); }
  double number(std::string_view name) const;
  Scalar scalar(std::string_view name) const;
  DType dtype(std::string_view name) const { return std::get<DType>(attr(name)); }
  const std::string& text(std::string_view name) const { return std::get<std::string>(attr(name)); }
  bool is_none(std::string_view name) const { return std::holds_alternative<None>(attr(name)); }
  /// An int as a list of one, a list as it is.
  Ints ints(std::string_view name) const;
  const IntLists& int_lists(std::string_view name) const { return std::get<IntLists>(attr(name)); }

  /// The op's typed refusal, with the op's name in front and the operands' specs behind.
  [[noreturn]] void refuse(std::string_view message, std::string_view hint = {}) const;

 private:
  const OpDef& op_;
  const AttrList& attrs_;
};

/// What a shape rule sees: the operands' specs. It appends one spec per output and throws for operands the op refuses.
/// No operand's shape is unknown when a rule runs (the engine defers the op to run time then).
class InferContext : public OpCall {
 public:
  InferContext(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec* const> inputs) : OpCall(op, attrs), inputs_(inputs) {}
  std::size_t input_count() const { return inputs_.size(); }
  const TensorSpec& input(std::size_t i) const { return *inputs_[i]; }
  const Shape& shape(std::size_t i) const { return inputs_[i]->shape; }
  DType dtype_of(std::size_t i) const { return inputs_[i]->dtype; }
  using OpCall::dtype;
  void output(DType dtype, const Shape& shape) {
    if (outputs.size() == kMostOutputs) refuse("the call would have more than 2^20 outputs");
    outputs.push_back({dtype, shape});
  }
  [[noreturn]] void refuse(std::string_view message, std::string_view hint = {}) const;
  /// As refuse, as a TypeError.
  [[noreturn]] void refuse_type(std::string_view message, std::string_view hint = {}) const;

  static constexpr std::size_t kMostOutputs = std::size_t(1) << 20;
  SmallVector<TensorSpec, 3> outputs;

 private:
  std::span<const TensorSpec* const> inputs_;
};

/// Raw pointers of one execution, in operand order.
using Inputs = const void* const*;
using Outputs = void* const*;

/// A kernel bound to dtypes, shapes and attributes: what is left to do is called with pointers only. Move-only; a closure up to
/// kInline bytes is stored inside, so that binding in eager mode does not allocate.
class BoundKernel {
 public:
  static constexpr std::size_t kInline = 512;

  BoundKernel() noexcept = default;
  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, BoundKernel> && std::invocable<F&, Inputs, Outputs>)
  BoundKernel(F&& closure) {
    using Closure = std::remove_cvref_t<F>;
    if constexpr (sizeof(Closure) <= kInline && alignof(Closure) <= 16 && std::is_nothrow_move_constructible_v<Closure>) {
      new (storage_) Closure(std::forward<F>(closure));
      run_ = [](void* self, Inputs in, Outputs out) { (*static_cast<Closure*>(self))(in, out); };
      if constexpr (std::is_trivially_copyable_v<Closure>)
        move_ = [](void* from, void* to) { if (to) __builtin_memcpy(to, from, sizeof(Closure)); };
      else
        move_ = [](void* from, void* to) {
          if (to) new (to) Closure(std::move(*static_cast<Closure*>(from)));
          static_cast<Closure*>(from)->~Closure();
        };
    } else {
      auto* owned = new Closure(std::forward<F>(closure));
      new (storage_) Closure*(owned);
      run_ = [](void* self, Inputs in, Outputs out) { (**static_cast<Closure**>(self))(in, out); };
      move_ = [](void* from, void* to) {
        if (to) new (to) Closure*(*static_cast<Closure**>(from));
        else delete *static_cast<Closure**>(from);
      };
    }
  }
  BoundKernel(BoundKernel&& other) noexcept { take(other); }
  BoundKernel& operator=(BoundKernel&& other) noexcept {
    if (this != &other) {
      reset();
      take(other);
    }
    return *this;
  }
  ~BoundKernel() { reset(); }

  explicit operator bool() const { return run_ != nullptr; }
  void operator()(Inputs in, Outputs out) { run_(storage_, in, out); }

 private:
  void take(BoundKernel& other) noexcept {
    run_ = std::exchange(other.run_, nullptr);
    move_ = std::exchange(other.move_, nullptr);
    if (move_) move_(other.storage_, storage_);
  }
  void reset() noexcept {
    if (move_) move_(storage_, nullptr);
    run_ = nullptr;
    move_ = nullptr;
  }
  void (*run_)(void*, Inputs, Outputs) = nullptr;
  void (*move_)(void* from, void* to) = nullptr;  // moves to `to`, or destroys when `to` is null
  alignas(16) std::byte storage_[kInline];
};

/// What a kernel is bound to. Specs outlive the call of the binder only; copy what the closure needs.
class BindContext : public OpCall {
 public:
  BindContext(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec* const> inputs, std::span<const TensorSpec> outputs, Device device = {})
      : OpCall(op, attrs), inputs_(inputs), outputs_(outputs), device_(device) {}
  /// Where operands and results lie.
  Device device() const { return device_; }
  std::size_t input_count() const { return inputs_.size(); }
  std::size_t output_count() const { return outputs_.size(); }
  const TensorSpec& input(std::size_t i) const { return *inputs_[i]; }
  const TensorSpec& output(std::size_t i) const { return outputs_[i]; }
  const Shape& shape(std::size_t i) const { return inputs_[i]->shape; }
  DType dtype_of(std::size_t i) const { return inputs_[i]->dtype; }

 private:
  std::span<const TensorSpec* const> inputs_;
  std::span<const TensorSpec> outputs_;
  Device device_;
};

/// A gradient that touches only some rows of a variable: row `indices[k]` of the dense gradient is the sum of the `values[k]`.
struct IndexedSlices {
  Tensor indices;       // (n,) int32 or int64
  Tensor values;        // (n, ...) one row each
  Shape dense_shape;    // of the whole
};

/// A gradient: none (default), dense, or rows.
class Gradient {
 public:
  Gradient() = default;
  Gradient(Tensor tensor) : tensor_(std::move(tensor)) {}
  Gradient(IndexedSlices slices) : slices_(std::make_shared<IndexedSlices>(std::move(slices))) {}
  /// False if there is no path from the target to the source.
  bool exists() const { return tensor_.defined() || slices_; }
  bool is_slices() const { return slices_ != nullptr; }
  const IndexedSlices& slices() const { return *slices_; }
  /// The dense gradient; rows are scattered, repeats added. Undefined if none exists.
  Tensor dense() const;

 private:
  Tensor tensor_;
  std::shared_ptr<IndexedSlices> slices_;
};
using Gradients = SmallVector<Gradient, 4>;

/// What a gradient rule sees. Rules are written in the public ops, so that they can be differentiated again.
class GradContext : public OpCall {
 public:
  GradContext(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs, std::span<const Tensor> outputs, std::span<const Tensor> upstream)
      : OpCall(op, attrs), inputs_(inputs), outputs_(outputs), upstream_(upstream) {}
  std::size_t input_count() const { return inputs_.size(); }
  const Tensor& input(std::size_t i) const { return inputs_[i]; }
  const Tensor& output(std::size_t i = 0) const { return outputs_[i]; }
  std::span<const Tensor> inputs() const { return inputs_; }
  std::size_t output_count() const { return outputs_.size(); }
  /// The upstream gradient of output i: zeros if the target does not depend on it.
  Tensor upstream(std::size_t i = 0) const;
  /// Does the target depend on output i at all?
  bool has_upstream(std::size_t i) const { return upstream_[i].defined(); }

 private:
  std::span<const Tensor> inputs_, outputs_, upstream_;
};

/// How the fusion pass may treat an op.
enum class Fusion : std::uint8_t {
  opaque,     // a call of its own
  pointwise,  // element i of the output depends on element i of the (broadcast) inputs only
  reduction,  // may end a chain of pointwise ops
  gemm,       // may begin one: matmul, convolution
  view,       // the output is the first input's memory under another shape
};

/// What an op does besides computing its outputs. Passes never prune, merge or reorder an op with an effect.
enum class Effect : std::uint8_t { none, print, collective, control_flow };

/// Under mixed precision: compute in the 16-bit type, keep float32, or follow the inputs.
enum class Precision : std::uint8_t { follow, prefer_low, keep_high };

/// One contiguous run of a pointwise op: `n` elements from each of `in` to `out`, all densely packed and possibly the same memory
/// (out == in[i]); `params` are the row's numeric attributes in the order of its declaration.
using PointwiseFn = void (*)(const void* const* in, void* out, std::int64_t n, const double* params);

/// A call on sample operands, for the generic tests (inferred = actual, eager = traced, gradient by central differences).
struct Sample {
  /// Uniform random values in [low, high) of these specs; integer operands are drawn from [low, high) too.
  struct Operand {
    DType dtype = float64;
    Shape shape;
    double low = -2;
    double high = 2;
  };
  std::vector<Operand> inputs = {};
  AttrList attrs = {};
  /// Brings the drawn operands into the op's domain, by ops: symmetric, positive definite, sorted. Gradients are taken through it.
  Tensors (*prepare)(std::span<const Tensor> drawn) = nullptr;
};

/// The op's form in ONNX: the operator's name, or why it has none.
struct OnnxForm {
  std::string_view op_type;
  std::string_view why_none;
};
inline OnnxForm onnx(std::string_view op_type) { return {op_type, {}}; }
inline OnnxForm no_onnx(std::string_view why) { return {{}, why}; }

/// The gradient of a row: a rule, or the reason why there is none.
struct GradRule {
  Gradients (*rule)(const GradContext&) = nullptr;
  std::string_view why_none;
  GradRule() = default;
  GradRule(Gradients (*rule_)(const GradContext&)) : rule(rule_) {}
  template <class F>
    requires std::convertible_to<F, Gradients (*)(const GradContext&)>
  GradRule(F f) : rule(f) {}
  struct Reason {
    std::string_view text;
  };
  GradRule(Reason reason) : why_none(reason.text) {}
};
inline GradRule not_differentiable(std::string_view why) { return GradRule(GradRule::Reason{why}); }

/// The dtype rule of a row, as data: which operands share a dtype (groups), what each may be, what the outputs are.
/// `inputs[i]` is the rule of operand i; the last one repeats for further operands.
struct DTypeRule {
  struct Operand {
    DTypeSet allowed = kAny;
    /// Operands of one group >= 0 must have equal dtypes.
    int group = 0;
  };
  std::vector<Operand> inputs;
};
/// All operands have one dtype out of `set`.
inline DTypeRule same(DTypeSet set) { return {{{set, 0}}}; }
/// Operand i is of the i-th set and independent of the others.
template <class... Sets>
DTypeRule each(Sets... sets) {
  DTypeRule rule;
  int group = 0;
  (rule.inputs.push_back({sets, group++}), ...);
  return rule;
}

/// A row of the op table.
struct OpDef {
  std::string_view name;
  std::vector<std::string_view> aliases = {};
  /// One line: the formula, or what it does. Shown by `lockstep ops`.
  std::string_view doc = {};
  std::string_view family = {};
  int min_inputs = 1;
  int max_inputs = 1;  // -1: any number
  std::vector<AttrDef> attrs = {};
  DTypeRule dtypes = {};
  /// The shape rule: appends the outputs' specs, throws for operands the op refuses. Runs after the dtype rule.
  void (*infer)(InferContext&) = nullptr;
  GradRule gradient = {};
  /// Why the gradient of the gradient is not the second derivative, empty where it is.
  std::string_view first_order_only = {};
  Fusion fusion = Fusion::opaque;
  Effect effect = Effect::none;
  Precision precision = Precision::follow;
  OnnxForm onnx = {};
  std::vector<Sample> samples = {};
  /// CPU kernel of an op whose output shapes follow from the operands' specs.
  BoundKernel (*cpu)(const BindContext&) = nullptr;
  /// CPU kernel of an op whose output shapes depend on the elements (unique, boolean_mask, ...): receives tensors, returns
  /// tensors. Its shape rule appends Shape::unknown() for such outputs.
  Tensors (*cpu_dynamic)(const OpCall&, std::span<const Tensor>) = nullptr;
  /// An op that is defined by others instead of a kernel: makes its outputs by calling them, on any device. Tapes and graphs see
  /// those ops, so the gradient follows from them and passes fuse them. `infer` still checks the call first.
  Tensors (*compose)(const OpCall&, std::span<const Tensor>) = nullptr;
  /// Fusion::pointwise only: the run for these operand dtypes and this output dtype, null if there is none. The generic
  /// pointwise binder makes `cpu` from it (see pointwise/bind.h).
  PointwiseFn (*pointwise)(std::span<const DType> inputs, DType output) = nullptr;
  /// Commutative binary ops: common subexpressions are found in either order.
  bool commutative = false;
  /// Why no CUDA kernel makes sense, empty where one does.
  std::string_view no_cuda = {};
  /// `cpu` and `cpu_dynamic` work wherever their operands lie (see BindContext::device): control flow, collectives, prints.
  bool any_device = false;
  /// Output i may lie over input i, if that has its dtype and size and nobody needs it any more.
  bool over_inputs = false;
  /// An opaque row that never throws once its shapes are right.
  bool never_fails = false;
  /// Name of the row that this one does besides: its outputs, for as many of these operands as it has, are the first outputs here. Where a graph calls both, this one
  /// is enough.
  std::string_view covers = {};
  /// Set where the op begins something that takes time while others compute: inside a graph it runs as soon as its operands exist. Waits for what
  /// this thread began and another op should have waited for: called when that one is not reached, before memory goes. Does not throw.
  void (*settle)() = nullptr;
};

/// All rows, in the order of the families. Built once, on first use.
std::span<const OpDef> op_table();
/// Adds a family of a room above `tensor` behind the others. Rows stay where they are for the rest of the process. Throws InternalError for
/// a name that is taken.
void extend_op_table(std::vector<OpDef> rows);
/// The row of that name or alias. Throws NotFoundError naming the nearest.
const OpDef& find_op(std::string_view name);

/// Fills in defaults, orders by the row, checks names and types. Throws InvalidArgumentError for an unknown, missing or ill-typed
/// attribute (the nearest name is suggested).
AttrList canonical_attrs(const OpDef& op, AttrList attrs);

/// Output specs of a call. Throws the op's typed refusal.
SmallVector<TensorSpec, 3> infer(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec* const> inputs);

/// The one way in: checks, infers, and computes (eager) or records (inside a trace); then tells the observers.
/// `attrs` must be complete and in the order of the row, as the op functions give them; use apply_named otherwise.
Tensors apply_all(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs = {});
/// As apply_all, for ops of one output.
Tensor apply(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs = {});
inline Tensor apply(const OpDef& op, std::initializer_list<Tensor> inputs, const AttrList& attrs = {}) {
  return apply(op, std::span<const Tensor>(inputs.begin(), inputs.size()), attrs);
}
inline Tensors apply_all(const OpDef& op, std::initializer_list<Tensor> inputs, const AttrList& attrs = {}) {
  return apply_all(op, std::span<const Tensor>(inputs.begin(), inputs.size()), attrs);
}
/// By name, with partial attributes: for tests, files and bindings.
Tensors apply_named(std::string_view name, std::span<const Tensor> inputs, AttrList attrs = {});

/// Computes without telling anybody; all inputs have data. Used by the engine itself. Operands lie on one device, which computes (without operands, the
/// default device): different ones are refused with InvalidArgumentError, a row without a kernel there with UnimplementedError. Nothing is copied.
Tensors compute(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs);

class Variable;

/// Sees every op call on its thread, after it was made. The tape is one.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_apply(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs, std::span<const Tensor> outputs) = 0;
  /// A variable was read and gave `value`.
  virtual void on_read(const Variable& variable, const Tensor& value) = 0;
};

/// Takes the place of execution on its thread while a function is traced.
class Tracer {
 public:
  virtual ~Tracer() = default;
  virtual Tensors trace(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs) = 0;
  virtual Tensor read(const Variable& variable) = 0;
  virtual void assign(const Variable& variable, const Tensor& value) = 0;
  /// A variable came into being.
  virtual void on_create(const Variable& variable) = 0;
};

/// Who listens on this thread. Pushing and popping is done by the scopes of tape and function.
struct ThreadListeners {
  Tracer* tracer = nullptr;
  SmallVector<Observer*, 4> observers;
};
ThreadListeners& listeners();

/// Nobody listens on this thread while it lives: ops compute at once, also in the middle of a trace (tf.init_scope).
class Unheard {
 public:
  Unheard() : saved_(std::exchange(listeners(), {})) {}
  ~Unheard() { listeners() = std::move(saved_); }
  Unheard(const Unheard&) = delete;
  Unheard& operator=(const Unheard&) = delete;

 private:
  ThreadListeners saved_;
};

}  // namespace lockstep
