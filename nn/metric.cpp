#include <lockstep/nn/metric.h>

#include <algorithm>
#include <cctype>
#include <map>

#include <lockstep/dist/collectives.h>
#include <lockstep/dist/world.h>
#include <lockstep/nn/metrics.h>
#include <lockstep/tensor/base/snake_case.h>

namespace lockstep::nn {

Metric::Metric() : Metric(Options()) {}
Metric::Metric(Options options) : name_(std::move(options.name)), dtype_(options.dtype) {
  register_builtins();  // so that serialize() knows them
}

std::shared_ptr<Metric> Metric::wrap(Named<Function> function) {
  std::string name = function.name;
  return std::make_shared<metrics::MeanMetricWrapper>(std::move(function), Options{.name = std::move(name)});
}

std::string Metric::name() const { return name_.empty() ? snake_case(class_name()) : name_; }

void Metric::set_name(std::string name) {
  name_ = std::move(name);
  place();
}

void Metric::set_path(std::string path) {
  path_ = std::move(path);
  place();
}

/// Until the object is complete nobody knows its class, and so its name: paths are given when they can be seen.
void Metric::place() {
  const std::string folder = path() + "/";
  for (const Weight& weight : weights_)
    if (weight.variable.path() != folder + weight.name) weight.variable.rename(folder + weight.name);
}

Variable Metric::add_weight(const std::string& name, const Shape& shape, const Initializer& initializer, std::optional<DType> dtype) {
  for (const Weight& other : weights_)
    if (other.name == name) throw AlreadyExistsError("the metric has a variable '" + name + "' already", this->name());
  const Variable variable(initializer(shape, dtype.value_or(dtype_)), {.path = path() + "/" + name, .trainable = false, .kind = StateKind::summed});
  weights_.push_back({name, variable});
  return variable;
}

std::vector<Variable> Metric::variables() {
  place();
  std::vector<Variable> result;
  for (const Weight& weight : weights_) result.push_back(weight.variable);
  return result;
}

void Metric::reset_state() {
  for (const Weight& weight : weights_) weight.variable.assign(zeros(weight.variable.shape(), weight.variable.dtype()));
}

template <class F>
auto Metric::with_reduced_states(F&& f) {
  std::vector<std::pair<Variable, Tensor>> own;
  struct Restore {
    std::vector<std::pair<Variable, Tensor>>& own;
    ~Restore() {
      for (const auto& [variable, value] : own) variable.assign(value);
    }
  } restore{own};
  if (dist::world_size() > 1) {
    // Variables of one dtype in one message.
    std::map<DType, std::vector<Variable>> by_dtype;
    for (const Variable& variable : variables()) by_dtype[variable.dtype()].push_back(variable);
    for (const auto& [dtype, group] : by_dtype) {
      Tensors values;
      for (const Variable& variable : group) values.push_back(variable.value());
      const dist::CollectiveOptions options{.label = path()};
      const Tensors sums = dist::all_reduce_wait(dist::all_reduce_start(values, dist::ReduceOp::sum, options), options);
      for (std::size_t i = 0; i < group.size(); ++i) {
        own.emplace_back(group[i], values[i]);
        group[i].assign(sums[i]);
      }
    }
  }
  return f();
}

Metric::Results Metric::reduced_results() { return with_reduced_states([this] { return results(); }); }
Tensor Metric::reduced_result() { return with_reduced_states([this] { return result(); }); }

Tensor Metric::operator()(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight) {
  update_state(y_true, y_pred, sample_weight);
  return result();
}

void Metric::fields(Fields& f) {
  std::string name = this->name();
  f.field("name", name);
  if (name != this->name()) name_ = std::move(name);
  f.field("dtype", dtype_);
}

void Metric::configured() { place(); }

Ref<Metric> metric_for(const std::string& identifier, const Shape& y_true, const Shape& y_pred) {
  std::string key = identifier;
  for (char& c : key) c = char(std::tolower(static_cast<unsigned char>(c)));
  Ref<Metric> metric;
  if (key == "accuracy" || key == "acc") switch (target_kind(y_true, y_pred)) {
      case TargetKind::binary: metric = Ref<Metric>(metrics::BinaryAccuracy()); break;
      case TargetKind::sparse_categorical: metric = Ref<Metric>(metrics::SparseCategoricalAccuracy()); break;
      case TargetKind::categorical: metric = Ref<Metric>(metrics::CategoricalAccuracy()); break;
    }
  else metric = Ref<Metric>(identifier);
  // The registry has one object for a function; each use of it counts for itself.
  if (const auto* shared = dynamic_cast<const metrics::MeanMetricWrapper*>(metric.ptr().get()); shared && !shared->function_name().empty())
    metric = Ref<Metric>(Metric::wrap(shared->function()));
  metric->set_name(identifier);
  return metric;
}

}  // namespace lockstep::nn
