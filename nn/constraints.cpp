#include <lockstep/nn/constraints.h>

#include <lockstep/nn/aligned.h>
#include <lockstep/tensor/constant.h>

namespace lockstep::nn {
namespace {

class FunctionConstraint : public Constraint {
 public:
  explicit FunctionConstraint(Named<Function> function) : function_(std::move(function)) {}
  Tensor operator()(const Tensor& w) const override { return function_.function(w); }
  std::string function_name() const override { return function_.name; }

 private:
  Named<Function> function_;
};

Tensor norms_of(const Tensor& w, const Axes& axis) { return sqrt(reduce_sum(square(w), axis, true)); }

}  // namespace

std::shared_ptr<Constraint> Constraint::wrap(Named<Function> function) { return std::make_shared<FunctionConstraint>(std::move(function)); }

void Constraint::register_builtins() {
  static const bool once = [] {
    register_class(component_class<MaxNorm>("MaxNorm", kModule, {}, {"max_norm"}));
    register_class(component_class<NonNeg>("NonNeg", kModule, {}, {"non_neg"}));
    register_class(component_class<UnitNorm>("UnitNorm", kModule, {}, {"unit_norm"}));
    register_class(component_class<MinMaxNorm>("MinMaxNorm", kModule, {}, {"min_max_norm"}));
    return true;
  }();
  static_cast<void>(once);
}

void MaxNorm::fields(Fields& f) {
  f.field("max_value", options_.max_value);
  f.field("axis", options_.axis.value);
}
Tensor MaxNorm::operator()(const Tensor& w) const {
  const Tensor norms = norms_of(w, options_.axis);
  return w * (clip_by_value(norms, 0.0, options_.max_value) / (norms + kEpsilon));
}

Tensor NonNeg::operator()(const Tensor& w) const { return maximum(w, scalar(0, w.dtype())); }

Tensor UnitNorm::operator()(const Tensor& w) const { return w / (norms_of(w, axis_) + kEpsilon); }

void MinMaxNorm::fields(Fields& f) {
  f.field("min_value", options_.min_value);
  f.field("max_value", options_.max_value);
  f.field("rate", options_.rate);
  f.field("axis", options_.axis.value);
}
Tensor MinMaxNorm::operator()(const Tensor& w) const {
  const Tensor norms = norms_of(w, options_.axis);
  const Tensor desired = options_.rate * clip_by_value(norms, options_.min_value, options_.max_value) + (1 - options_.rate) * norms;
  return w * (desired / (norms + kEpsilon));
}

}  // namespace lockstep::nn
