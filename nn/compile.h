#pragma once
// What compile() is told: the optimizer, the losses and the metrics of a model's outputs.

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/nn/loss.h>
#include <lockstep/nn/metric.h>
#include <lockstep/nn/per_output.h>
#include <lockstep/optim/optimizer.h>

namespace lockstep::nn {

/// A loss or a metric as an argument: a name (whose meaning may depend on the shapes: "accuracy"), an object, a pointer, or a plain function.
template <class Base>
class Choice {
 public:
  Choice() = default;
  Choice(std::nullptr_t) {}
  Choice(const char* identifier) : identifier_(identifier) {}
  Choice(std::string identifier) : identifier_(std::move(identifier)) {}
  template <class T>
    requires(std::convertible_to<T, Ref<Base>> && !std::convertible_to<T, std::string> && !std::same_as<std::remove_cvref_t<T>, std::nullptr_t>)
  Choice(T object) : object_(std::move(object)) {}

  bool given() const { return object_ || !identifier_.empty(); }
  /// Empty if an object was given.
  const std::string& identifier() const { return identifier_; }
  const Ref<Base>& object() const { return object_; }

 private:
  std::string identifier_;
  Ref<Base> object_;
};
using LossChoice = Choice<Loss>;
using MetricChoice = Choice<Metric>;

/// The metrics of one output: one, or a list.
struct MetricList : std::vector<MetricChoice> {
  MetricList() = default;
  MetricList(std::initializer_list<MetricChoice> list) : std::vector<MetricChoice>(list) {}
  template <std::convertible_to<MetricChoice> T>
    requires(!std::same_as<std::remove_cvref_t<T>, MetricChoice>)
  MetricList(T&& metric) : std::vector<MetricChoice>{MetricChoice(std::forward<T>(metric))} {}
};

/// The metrics of all outputs: `{"mae", Precision()}` for a model of one output, `{{"main", {"mae"}}, {"aux", {"mse"}}}` by name, or one list per output.
class MetricChoices {
 public:
  MetricChoices() = default;
  template <std::convertible_to<MetricChoice> T>
  MetricChoices(T&& metric) : flat_{MetricChoice(std::forward<T>(metric))} {}
  MetricChoices(std::initializer_list<MetricChoice> list) : flat_(list) {}
  MetricChoices(std::vector<MetricChoice> list) : flat_(std::move(list)) {}
  MetricChoices(std::initializer_list<std::pair<const std::string, MetricList>> named) : per_output_(named) {}
  MetricChoices(std::vector<MetricList> lists) {
    if (!lists.empty()) per_output_ = std::move(lists);
  }

  bool empty() const { return flat_.empty() && per_output_.empty(); }
  /// One list per output. Throws InvalidArgumentError for a plain list where there are several outputs.
  std::vector<MetricList> resolve(const std::vector<std::string>& outputs, const std::string& what) const;

 private:
  std::vector<MetricChoice> flat_;
  PerOutput<MetricList> per_output_;
};

/// The arguments of Model::compile.
struct CompileOptions {
  Ref<optim::Optimizer> optimizer = "rmsprop";
  PerOutput<LossChoice> loss = {};
  /// Factors of the outputs' losses in the total; none: 1.
  PerOutput<double> loss_weights = {};
  MetricChoices metrics = {};
  /// Metrics that take sample and class weights into account.
  MetricChoices weighted_metrics = {};
  /// Steps run op by op instead of as traced functions.
  bool run_eagerly = false;
  /// With a float16 policy, the optimizer is wrapped in a LossScaleOptimizer.
  bool auto_scale_loss = true;
  /// Where several ranks share a batch: do all BatchNormalization layers use the statistics of the whole (true), of each rank's rows (false), or what
  /// each layer says itself (`synchronized`)?
  std::optional<bool> synchronized_batch_norm = {};
};

}  // namespace lockstep::nn
