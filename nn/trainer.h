#pragma once
// Trainer: what a compiled model holds besides its layers: the losses and metrics as the shapes of the first batch made them, and the traced
// steps. Model's own; programs use model.h.

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include <lockstep/autodiff/function.h>
#include <lockstep/autodiff/members.h>
#include <lockstep/dist/replica.h>
#include <lockstep/nn/metrics.h>
#include <lockstep/nn/model.h>
#include <lockstep/nn/replicas.h>

namespace lockstep::nn {

/// How many of a batch's tensors are inputs, targets and weights, and whether the weights of classes enter.
struct BatchLayout {
  std::size_t inputs = 1, targets = 0, weights = 0;
  bool class_weights = false;
  friend auto operator<=>(const BatchLayout&, const BatchLayout&) = default;
};

class Trainer {
 public:
  explicit Trainer(CompileOptions options) : options_(std::move(options)) {}

  CompileOptions& options() { return options_; }
  /// Makes what depends on the shapes of a batch: weights, losses, metrics, the optimizer's state. Does nothing the second time.
  void prepare(Model& model, const Batch& batch);

  /// One step; the loss of the batch, which with a replica is its part of a larger one, where the model is: reading it (number_of) waits for the step.
  /// `tensors` lie as `layout` says.
  Tensor train(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, const std::optional<dist::Replica>& replica = {});
  /// A step whose parts of the batch run in lockstep in this process; the sum of what they add to the loss of the global batch.
  double train_members(Model& model, const BatchLayout& layout, const std::vector<BatchPart>& parts);
  Tensor test(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, const std::optional<dist::Replica>& replica = {});
  Tensors predict(Model& model, std::span<const Tensor> inputs);
  /// Makes all variables that training with such a batch needs, without training.
  void make_variables(Model& model, const BatchLayout& layout, const BatchPart& part);
  void gather_metric_states(Model& model);
  /// Trains op by op, and throws InvalidArgumentError that names the first layer whose output is not finite.
  void set_check_numerics(bool check) { check_numerics_ = check; }
  /// What the weights of samples come from; part of the traced steps from now on.
  void set_class_weight(const std::map<std::int64_t, double>& weights);

  /// The losses and metrics since they were reset: of this rank, or, where all ranks ask, of all of them together.
  Logs logs(Model& model, bool of_all_ranks);
  void reset(Model& model);
  /// The metrics and the names under which they are shown.
  std::vector<std::pair<std::string, std::shared_ptr<Metric>>> shown_metrics(const Model& model) const;

  /// The losses of the outputs, weighted and added up (without regularization). Undefined if no output has one.
  Tensor loss(Model& model, const Batch& batch, std::span<const Tensor> y_pred, std::span<const Tensor> masks);
  void update(const Batch& batch, std::span<const Tensor> y_pred, const Tensor& loss, std::span<const Tensor> masks);
  Batch take_apart(const BatchLayout& layout, std::span<const Tensor> tensors) const;

 private:
  using Step = autodiff::Function<std::function<Tensors(std::span<const Tensor>)>>;
  struct OutputMetric {
    std::size_t output;
    std::string name;
    std::shared_ptr<Metric> metric;
    bool weighted;
  };
  Step step(const char* name, std::function<Tensors(std::span<const Tensor>)> body) const;
  void belong_to(const Model& model);
  Tensor run(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, const std::optional<dist::Replica>& replica, bool training);
  void make_ready(Model& model, const BatchLayout& layout, std::span<const Tensor> tensors, bool training, bool shared);
  void join(Model& model);
  autodiff::Members trace_members(Model& model, const BatchLayout& layout, const std::vector<BatchPart>& parts);
  void fold_member_states();
  void make_losses(Model& model, const Batch& batch, std::span<const TensorSpec> y_pred);
  void make_metrics(Model& model, const Batch& batch, std::span<const TensorSpec> y_pred);

  CompileOptions options_;
  const Model* owner_ = nullptr;  // whom the traced steps call; a model that was moved traces anew
  bool prepared_ = false;
  bool optimizer_ready_ = false;
  bool weights_joined_ = false, optimizer_joined_ = false;  // are they the same on all ranks?
  bool check_numerics_ = false;
  std::map<std::int64_t, double> class_weight_;
  Tensor class_weights_;  // by class, one more than there are: the last is that of all others
  std::vector<Ref<Loss>> losses_;
  std::vector<double> loss_weights_;
  std::shared_ptr<metrics::Mean> total_;
  std::vector<std::pair<std::string, std::shared_ptr<metrics::Mean>>> output_losses_;  // only of models with several outputs
  Tensors output_values_;                                                     // of the present step, likewise
  std::vector<OutputMetric> metrics_;
  // By layout, training?, rows of the global batch, and how they are dealt out: all ranks trace a step, or none.
  std::map<std::tuple<BatchLayout, bool, std::int64_t, std::uint64_t>, Step> steps_;
  std::map<std::tuple<BatchLayout, std::int64_t, int>, autodiff::Members> member_steps_;  // by layout, rows of the global batch, parts of it
  std::map<std::pair<std::size_t, const void*>, std::pair<Variable, Variable>> member_states_;  // by member and variable: it, and the member's own
  std::optional<Step> predict_;
  /// What the metrics show, of this rank and of all ranks.
  struct ShownResults {
    std::optional<Step> step;
    std::vector<std::string> names;
    std::size_t metrics = 0;  // how many there were
  };
  ShownResults own_results_, reduced_results_;
};

/// Puts `more` behind `into`.
void append(Tensors& into, std::span<const Tensor> more);
/// The names for `count` inputs or outputs: the model's, or, where it declares no number of them ("input", "output"), numbered ones.
std::vector<std::string> names_for(const std::vector<std::string>& names, std::size_t count);
/// Arrays as a list in the order of `names`. Throws InvalidArgumentError if one is missing.
Tensors arrays_in_order(const Arrays& arrays, const std::vector<std::string>& names, const std::string& what);
/// Weights of samples: none, one for all outputs, or one per output (ones where none is given).
Tensors weights_in_order(const Arrays& weights, const std::vector<std::string>& outputs);

/// All tensors of a batch, or of a data set, in the order of a step's arguments.
struct FlatBatch {
  Tensors tensors;
  BatchLayout layout;
};
/// Throws InvalidArgumentError without input, and for class weights together with weights of samples or with several targets.
FlatBatch flatten(const Model& model, const Arrays& x, const Arrays& y, const Arrays& sample_weight, bool class_weights);

}  // namespace lockstep::nn
