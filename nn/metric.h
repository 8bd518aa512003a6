#pragma once
// Metric: a running value over batches and ranks. Everything that it has seen is in its variables, which add up: the sums of all
// ranks' variables give the result of all data. The metrics themselves are in metrics.h and metrics_counts.h.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/nn/loss.h>
#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::nn {

/// Base of all metrics (keras.metrics.Metric). A metric of one's own makes its variables by add_weight() in the constructor and
/// overrides update_state() and result(), and fields() if it has any. Works eagerly and inside a traced function, of which updates
/// become a part.
class Metric : public Component {
 public:
  static constexpr const char* kModule = "keras.metrics";
  /// What can stand for a metric: a value per sample, of which the metric is the mean.
  using Function = Loss::Function;
  using Initializer = std::function<Tensor(const Shape&, DType)>;
  /// Names with values.
  using Results = std::vector<std::pair<std::string, Tensor>>;
  struct Options {
    /// Empty: the class's name in snake_case.
    std::string name = {};
    /// Of the result, and of the variables.
    DType dtype = float32;
  };
  Metric();
  explicit Metric(Options options);

  /// The mean of a function's values. Its name is under what it is saved.
  static std::shared_ptr<Metric> wrap(Named<Function> function);
  static void register_builtins();

  /// Takes a batch into account. `sample_weight`: undefined, or one weight per sample or value.
  virtual void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) = 0;
  /// The value over everything seen, a function of the variables alone. Before any update: 0, unless there is nothing to divide by.
  virtual Tensor result() const = 0;
  /// The values by name; a metric with several overrides this too.
  virtual Results results() const { return {{name(), result()}}; }
  /// results() of all ranks' states together: the variables are reduced, and then as they were. All ranks call it. Alone: results().
  Results reduced_results();
  /// result(), likewise.
  Tensor reduced_result();
  /// Forgets everything: all variables become 0.
  virtual void reset_state();
  void reset_states() { reset_state(); }
  /// update_state() and the result so far.
  Tensor operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {});

  /// A variable of the metric, at PATH/`name`: a summand of the ranks' total. Throws AlreadyExistsError for a name that is taken.
  Variable add_weight(const std::string& name, const Shape& shape = {}, const Initializer& initializer = zeros, std::optional<DType> dtype = {});
  Variable add_weight(const std::string& name, const Initializer& initializer) { return add_weight(name, Shape(), initializer); }
  /// All variables, in the order of their making. Those of a metric whose shapes follow from the data exist from its first update on.
  std::vector<Variable> variables();

  std::string name() const;
  void set_name(std::string name);
  DType dtype() const { return dtype_; }
  /// Where its variables stand in the state tree: "metrics/NAME", unless set_path() gave another place.
  std::string path() const { return path_.empty() ? "metrics/" + name() : path_; }
  void set_path(std::string path);
  /// "up" if more is better, "down" if less is, "" if nobody knows: what callbacks with mode "auto" go by.
  virtual std::string direction() const { return {}; }
  /// In fit() and evaluate(): do values count only where the mask of the output is true? (Means of a value per sample.)
  virtual bool heeds_masks() const { return false; }

  void fields(Fields& f) override;
  void configured() override;

 protected:
  /// For metrics whose variables depend on their configuration: drops them, to be made anew.
  void drop_weights() { weights_.clear(); }
  bool has_weights() const { return !weights_.empty(); }
  /// For counts: dtype(), or float32 where that has too few bits to count in.
  DType count_dtype() const { return dtype_ == float16 || dtype_ == bfloat16 ? float32 : dtype_; }

 private:
  void place();
  template <class F>
  auto with_reduced_states(F&& f);
  struct Weight {
    std::string name;
    Variable variable;
  };
  std::string name_;
  std::string path_;
  DType dtype_;
  std::vector<Weight> weights_;
};

/// The metric that a string means in compile(): "accuracy" and "acc" by the shapes of the target and the output, everything else by its
/// name. The metric is named as it was asked for, and is a new one.
Ref<Metric> metric_for(const std::string& identifier, const Shape& y_true, const Shape& y_pred);

}  // namespace lockstep::nn
