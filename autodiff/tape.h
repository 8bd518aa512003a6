#pragma once
// Reverse-mode differentiation. A GradientTape listens to the ops of its thread; gradient() walks its record backwards and calls the
// rules of the rows. The rules are ops themselves, so an outer tape (or a trace) sees them like any other computation.

#include <functional>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::autodiff {

struct TapeOptions {
  /// gradient() may be called more than once.
  bool persistent = false;
  /// Trainable variables are watched when they are read.
  bool watch_accessed_variables = true;
};

/// What gradients are taken of or with respect to: a tensor, or a variable (all its readings on the tape).
class Source {
 public:
  Source(const Tensor& tensor) : tensor_(tensor) {}
  Source(const Variable& variable) : variable_(variable) {}
  bool is_variable() const { return variable_.defined(); }
  const Tensor& tensor() const { return tensor_; }
  const Variable& variable() const { return variable_; }

 private:
  Tensor tensor_;
  Variable variable_;
};

/// Records the ops of this thread from its construction to its destruction (tf.GradientTape).
class GradientTape : public Observer {
 public:
  explicit GradientTape(TapeOptions options = {});
  ~GradientTape() override;
  GradientTape(const GradientTape&) = delete;
  GradientTape& operator=(const GradientTape&) = delete;

  /// From here on what is computed from `tensor` is recorded. Throws InvalidArgumentError unless it is float or complex.
  void watch(const Tensor& tensor);
  void watch(const Variable& variable);

  /// While the returned object lives, nothing is recorded.
  class Pause {
   public:
    explicit Pause(GradientTape& tape) : tape_(&tape) { ++tape.paused_; }
    Pause(Pause&& other) noexcept : tape_(std::exchange(other.tape_, nullptr)) {}
    Pause& operator=(Pause&&) = delete;
    ~Pause() {
      if (tape_) --tape_->paused_;
    }

   private:
    GradientTape* tape_;
  };
  [[nodiscard]] Pause stop_recording() { return Pause(*this); }
  /// Forgets everything recorded and watched.
  void reset();

  /// Gradient of the sum of `target` (weighted by `upstream`, which has target's dtype and shape) by `source`. A Gradient that does
  /// not exist: there is no differentiable path. Throws FailedPreconditionError on the second call unless persistent.
  Gradient gradient(const Tensor& target, const Source& source, const Tensor& upstream = {});
  /// For several sources at once (one walk).
  std::vector<Gradient> gradient(const Tensor& target, std::span<const Source> sources, const Tensor& upstream = {});
  std::vector<Gradient> gradient(const Tensor& target, std::initializer_list<Source> sources, const Tensor& upstream = {}) {
    return gradient(target, std::span<const Source>(sources.begin(), sources.size()), upstream);
  }
  /// Of several targets (their sum). `upstreams` is empty or one per target; an undefined one means ones.
  std::vector<Gradient> gradient(std::span<const Tensor> targets, std::span<const Source> sources, std::span<const Tensor> upstreams = {});

  /// All partial derivatives: shape target.shape + source.shape; zeros where there is no path. One walk per element of target.
  Tensor jacobian(const Tensor& target, const Source& source);
  /// Per example: target (B, ...) and source (B, ...) give (B, target..., source...), assuming examples do not mix.
  Tensor batch_jacobian(const Tensor& target, const Source& source);

  void on_apply(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs, std::span<const Tensor> outputs) override;
  void on_read(const Variable& variable, const Tensor& value) override;

  /// Receives the upstream gradients of a call's outputs (undefined: none) and returns one gradient per input.
  using Rule = std::function<Gradients(std::span<const Tensor> upstream)>;
  /// Records a computation as one step with a rule of its own (see custom_gradient).
  void record(std::span<const Tensor> inputs, std::span<const Tensor> outputs, Rule rule);
  /// Would an op on these tensors be recorded?
  bool tracks(std::span<const Tensor> tensors) const;
  /// Would reading this variable be recorded?
  bool would_watch(const Variable& variable) const {
    return recording() && ((options_.watch_accessed_variables && variable.trainable()) || readings_.contains(variable.key()));
  }
  bool recording() const { return paused_ == 0 && !spent_; }

 private:
  struct Step {
    const OpDef* op = nullptr;  // null: `rule` is given
    AttrList attrs;
    Tensors inputs;
    Tensors outputs;
    Rule rule;
  };
  using Accumulated = std::unordered_map<std::uint64_t, Gradient>;
  Accumulated walk(std::span<const Tensor> targets, std::span<const Tensor> upstreams);
  static Gradients step_gradients(const Step& step, std::span<const Tensor> upstream);
  Gradient collect(const Accumulated& gradients, const Source& source) const;
  void spend();

  TapeOptions options_;
  int paused_ = 0;
  bool spent_ = false;
  std::vector<Step> steps_;
  std::unordered_set<std::uint64_t> tracked_;
  std::unordered_map<const void*, std::vector<std::uint64_t>> readings_;  // variable -> ids of the tensors it gave
};

/// A result and how gradients go back through it: `gradient(upstream)` returns one tensor per argument (undefined: none).
struct CustomGradient {
  Tensor output;
  std::function<Tensors(const Tensor& upstream)> gradient;
};

/// The core of custom_gradient: calls `f` and cuts its result off from the ops that made it: gradients go back by the rule that `f`
/// returns instead. What the rule uses of these ops stays differentiable, for second derivatives. Inside a traced function the rule is
/// traced as well, so that it also holds for tapes outside of that function.
Tensor call_with_custom_gradient(std::span<const Tensor> inputs, const std::function<CustomGradient(std::span<const Tensor>)>& f);

/// A function with a gradient of its own (tf.custom_gradient): `f` takes tensors and returns a CustomGradient.
///   auto my_softplus = custom_gradient([](const Tensor& z) { ...; return CustomGradient{y, [=](const Tensor& g) { return Tensors{g * slope}; }}; });
template <class F>
auto custom_gradient(F f) {
  return [f = std::move(f)](const auto&... tensors) {
    const Tensor inputs[] = {Tensor(tensors)...};
    return call_with_custom_gradient(inputs, [&f](std::span<const Tensor> arguments) {
      return [&]<std::size_t... I>(std::index_sequence<I...>) { return f(arguments[I]...); }(std::index_sequence_for<decltype(tensors)...>{});
    });
  };
}

/// Second derivatives of the scalar function `f` at `x`: entry (i, j) has shape x_i.shape + x_j.shape, or does not exist where f's
/// gradient by x_i does not depend on x_j.
std::vector<std::vector<Gradient>> hessian(const std::function<Tensor(std::span<const Tensor>)>& f, std::span<const Tensor> x);
/// For one tensor: x.shape + x.shape.
Tensor hessian(const std::function<Tensor(const Tensor&)>& f, const Tensor& x);

}  // namespace lockstep::autodiff
