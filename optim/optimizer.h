#pragma once
// Optimizer: the base of all optimizers. It has what they share: the state's variables, the learning rate, clipping, weight decay,
// averages of the weights, accumulation of gradients, constraints. A subclass says how one variable moves.
//
// All decisions that depend on values are taken by ops, and all state lives in Variables: one traced step serves every step.

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <lockstep/optim/schedule.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::optim {

/// A learning rate as an argument: a number, a schedule (or a function of the step), or a scalar float variable of the caller's.
class LearningRate {
 public:
  template <class N>
    requires std::is_arithmetic_v<N>
  LearningRate(N value) : value_(double(value)) {}
  LearningRate(Ref<Schedule> schedule) : schedule_(std::move(schedule)) {}
  template <class S>
    requires(std::convertible_to<S, Ref<Schedule>> && !std::is_arithmetic_v<S> && !std::same_as<S, Variable>)
  LearningRate(S schedule) : schedule_(std::move(schedule)) {}
  LearningRate(const Variable& variable) : variable_(variable) {}

  double value() const { return value_; }
  const Ref<Schedule>& schedule() const { return schedule_; }
  const Variable& variable() const { return variable_; }

 private:
  double value_ = 0;
  Ref<Schedule> schedule_;
  Variable variable_;
};

/// The arguments that every optimizer takes.
struct CommonOptions {
  LearningRate learning_rate = 0.001;
  /// Before each update, w -= w * weight_decay * learning_rate.
  std::optional<double> weight_decay = {};
  /// At most one of the three: the norm of each gradient, the size of each element, the norm of all gradients together.
  std::optional<double> clipnorm = {};
  std::optional<double> clipvalue = {};
  std::optional<double> global_clipnorm = {};
  /// Keeps moving averages of the variables; finalize_variable_values (and every ema_overwrite_frequency updates) makes them the values.
  bool use_ema = false;
  double ema_momentum = 0.99;
  std::optional<std::int64_t> ema_overwrite_frequency = {};
  /// The loss is multiplied by it (scale_loss), the gradients are divided by it.
  std::optional<double> loss_scale_factor = {};
  /// Only every so many calls is there an update, by the mean of the gradients since the last one.
  std::optional<std::int64_t> gradient_accumulation_steps = {};
  /// Part of the variables' paths. Empty: the class's name in snake case.
  std::string name = {};
};
/// Those among the options of an optimizer.
template <class Options>
CommonOptions common_options(const Options& o) {
  return {o.learning_rate, o.weight_decay, o.clipnorm, o.clipvalue, o.global_clipnorm, o.use_ema, o.ema_momentum, o.ema_overwrite_frequency,
          o.loss_scale_factor, o.gradient_accumulation_steps, o.name};
}

/// Base of all optimizers. It owns variables, so it moves but is not copied.
///
/// To write one: create the state in build_slots (`add_slot(variable, "momentum")`), move a variable in update_step
/// (`slot(variable, "momentum")`), list the hyper-parameters in fields().
///
/// A gradient by rows (IndexedSlices) has the same result as its dense form, to the bit: equal indices are summed first, in order. Where an optimizer leaves
/// rows with zero gradient alone (SGD without momentum, Adagrad), only the rows that have one are read and written; the others' state moves in every row, so
/// that they take the dense form. So does everything that concerns whole variables: weight decay, averages, constraints, the norms for clipping, dealt out
/// state (shard_state), the update that follows accumulation (which adds up rows).
class Optimizer : public Component {
 public:
  static constexpr const char* kModule = "keras.optimizers";
  using Function = NoFunction;
  static void register_builtins();

  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(Optimizer&&) = default;

  /// Creates the state for these variables; only the first call does. apply() calls it.
  void build(std::span<const Variable> variables);
  void build(std::initializer_list<Variable> variables) { build(std::span<const Variable>(variables.begin(), variables.size())); }
  bool built() const { return built_; }
  /// Before build(): each rank of the world keeps the state of, and moves, only its part of every variable; then the ranks exchange the parts. The same
  /// bits with less memory (ZeRO stage 1: Rajbhandari et al., 2020). Averages and accumulators stay whole. All ranks call apply() then.
  /// Throws InvalidArgumentError for an optimizer whose update of an element depends on others, FailedPreconditionError when it is built already.
  virtual void shard_state();
  /// The state that is dealt out to the ranks, with the shapes that it would have as a whole.
  virtual std::vector<std::pair<Variable, Shape>> sharded_variables() const;
  /// The variables it was built for.
  const std::vector<Variable>& trainable_variables() const { return trainable_; }

  /// Moves the variables by their gradients (in a step of several replicas, by the means of theirs); without variables, those it was built for. A variable without gradient stays (with one
  /// warning). Throws InvalidArgumentError if there are no gradients at all, or for a variable it was not built for.
  void apply(std::span<const Gradient> gradients, std::span<const Variable> variables = {});
  void apply(std::span<const Gradient> gradients, std::initializer_list<Variable> variables) {
    apply(gradients, std::span<const Variable>(variables.begin(), variables.size()));
  }
  void apply_gradients(std::span<const std::pair<Gradient, Variable>> gradients_and_variables);
  void apply_gradients(std::initializer_list<std::pair<Gradient, Variable>> gradients_and_variables) {
    apply_gradients(std::span<const std::pair<Gradient, Variable>>(gradients_and_variables.begin(), gradients_and_variables.size()));
  }

  /// Snake case of the class's name unless a name was given.
  std::string name() const;
  /// Number of calls of apply() so far (int64). Updates are fewer with gradient_accumulation_steps.
  virtual Variable iterations();
  /// The learning rate of the next call, a float64 scalar.
  virtual Tensor learning_rate();
  /// Sets it, also for traced functions that read it. A schedule takes the place of a number in functions traced later only.
  /// Throws TypeError for a number where a schedule is in place.
  virtual void set_learning_rate(const LearningRate& rate);
  /// Its schedule, if it has one.
  const Ref<Schedule>& schedule() const { return common_.learning_rate.schedule(); }
  /// All state, in Keras's order: iterations, learning rate (unless a schedule gives it), averages, accumulators, slots.
  virtual std::vector<Variable> variables();

  /// Before build(): no weight decay for these variables, and for those whose path contains a match of one of the patterns.
  /// Throws FailedPreconditionError when it is built already.
  void exclude_from_weight_decay(std::span<const Variable> variables, const std::vector<std::string>& patterns = {});
  void exclude_from_weight_decay(const std::vector<std::string>& patterns) { exclude_from_weight_decay({}, patterns); }
  /// After each call, `variable` becomes `constraint(variable)`.
  virtual void constrain(const Variable& variable, std::function<Tensor(const Tensor&)> constraint);
  /// The loss as its gradients must be taken: times the loss scale, and, where replicas have different numbers of rows, by their share.
  virtual Tensor scale_loss(const Tensor& loss);
  virtual void set_loss_scale_factor(std::optional<double> factor) { common_.loss_scale_factor = factor; }
  /// With use_ema, gives the variables their averages.
  virtual void finalize_variable_values(std::span<const Variable> variables);
  /// Does it keep averages (use_ema)?
  virtual bool has_averages() const { return common_.use_ema; }
  /// Exchanges the values of all variables with their averages. Throws FailedPreconditionError if it keeps none.
  virtual void swap_averages();

  void fields(Fields& f) override;
  void configured() override;

 protected:
  explicit Optimizer(CommonOptions options = {});

  /// Does an element move by its own gradient and state alone? Then its state can be kept by another rank than its neighbours'.
  virtual bool elementwise() const { return true; }
  /// Creates the state of all variables.
  virtual void build_slots(std::span<const Variable> variables) { static_cast<void>(variables); }
  /// Once per update, before the variables: state that is not a variable's.
  virtual void begin_update() {}
  /// Moves one variable: assigns it and its slots. `gradient` and `learning_rate` have its dtype.
  virtual void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate);
  /// Does a row whose gradient is zero stay as it is, and its state too? Then update_rows is called where a gradient has few rows. Who overrides update_step of
  /// an optimizer that says so overrides update_rows as well.
  virtual bool leaves_rows() const { return false; }
  /// As update_step, by rows: equal indices are summed in the first of them, the others are there with zeros.
  virtual void update_rows(const IndexedSlices& gradient, const Variable& variable, const Tensor& learning_rate);
  /// How much weight decay `variable` gets, unless it is excluded.
  virtual std::optional<double> weight_decay_of(const Variable& variable) const;
  /// The body of apply(), for optimizers made of other optimizers.
  virtual void run(std::span<const Gradient> gradients, std::span<const Variable> variables);

  /// A state variable of the shape and dtype of `variable`, at optimizer/NAME/PATH/SLOT.
  Variable add_slot(const Variable& variable, std::string_view slot, double initial = 0);
  Variable add_slot(const Variable& variable, std::string_view slot, const Tensor& initial);
  /// Any other state variable, at optimizer/NAME/STATE.
  Variable add_state(std::string_view state, const Tensor& initial);
  /// Throws NotFoundError if there is none.
  const Variable& slot(const Variable& variable, std::string_view slot) const;
  /// The number of this update, from 1 on: a float64 scalar. What is computed of it is cast to the variable's dtype at the end.
  Tensor update_number();
  /// Number of updates so far, int64.
  Tensor updates();
  /// What it was constructed with (the learning rate: unless it was set since).
  const CommonOptions& common() const { return common_; }
  /// Where the state is: optimizer/NAME.
  std::string path() const { return path_.empty() ? "optimizer/" + name() : path_; }
  /// Puts the state of `inner` at `path`, unless it has some already.
  static void move_to(Optimizer& inner, std::string path) {
    if (!inner.created_) inner.path_ = std::move(path);
  }
  /// `loss` as the mean of the replicas' gradients needs it, where these have different numbers of rows (see dist/replica.h).
  static Tensor replica_scaled(const Tensor& loss);
  /// The field "name", for optimizers that do not take the common options.
  void name_field(Fields& f);

  /// Runs `update`; what it assigned to `variables` holds only if `condition` is true. In a trace both outcomes are computed.
  static void update_if(const Tensor& condition, std::span<const Variable> variables, const std::function<void()>& update);

 private:
  void create_common();
  void require_known(std::span<const Variable> variables) const;
  void warn_missing(const std::vector<std::string>& paths);
  bool reduces_first() const;
  bool takes_rows() const { return leaves_rows() && !sharded_; }
  Gradient prepared(const Gradient& gradient, const Variable& variable) const;
  void accumulate(std::span<const Gradient> gradients, std::span<const Variable> variables);
  void update(std::vector<Gradient> gradients, std::span<const Variable> variables);
  void update_averages();
  void update_parts(std::vector<Gradient> gradients, std::span<const Variable> variables);
  void move(std::span<const Gradient> gradients, std::span<const Variable> variables, std::span<const Variable> known_as);
  bool decays(const Variable& variable) const;

  CommonOptions common_;
  std::string path_;
  bool built_ = false;
  bool created_ = false;
  Variable iterations_, rate_;
  std::vector<Variable> state_;  // in Keras's order
  std::vector<Variable> trainable_;
  bool sharded_ = false;
  std::unordered_map<const void*, Variable> parts_;  // of each variable, if sharded: this rank's elements, and zeros behind the last
  std::unordered_set<const void*> known_;
  std::unordered_map<const void*, std::map<std::string, Variable, std::less<>>> slots_;
  std::unordered_map<const void*, std::function<Tensor(const Tensor&)>> constraints_;
  std::unordered_set<const void*> undecayed_;
  std::vector<std::string> undecayed_patterns_;
  std::unordered_set<std::string> warned_;
};

/// Is there a match of the regular expression `pattern` in `text`? Throws InvalidArgumentError for a malformed pattern.
bool contains_match(const std::string& text, const std::string& pattern);
/// Is all of `text` a match?
bool is_match(const std::string& text, const std::string& pattern);

}  // namespace lockstep::optim
