#include <lockstep/nn/regularizers.h>

#include <cmath>

#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

class FunctionRegularizer : public Regularizer {
 public:
  explicit FunctionRegularizer(Named<Function> function) : function_(std::move(function)) {}
  Tensor operator()(const Tensor& w) const override { return function_.function(w); }
  std::string function_name() const override { return function_.name; }

 private:
  Named<Function> function_;
};

void require_factor(double value, const char* name, const char* owner) {
  if (!(value >= 0) || std::isinf(value)) throw InvalidArgumentError(std::string(name) + " must be a number >= 0, got " + std::to_string(value), owner);
}

}  // namespace

std::shared_ptr<Regularizer> Regularizer::wrap(Named<Function> function) { return std::make_shared<FunctionRegularizer>(std::move(function)); }

void Regularizer::register_builtins() {
  static const bool once = [] {
    register_class(component_class<L1>("L1", kModule, {}, {"l1"}));
    register_class(component_class<L2>("L2", kModule, {}, {"l2"}));
    register_class(component_class<L1L2>("L1L2", kModule, {}, {"l1_l2"}));
    register_class(component_class<OrthogonalRegularizer>("OrthogonalRegularizer", kModule, {}, {"orthogonal_regularizer"}));
    return true;
  }();
  static_cast<void>(once);
}

L1::L1(double l1) : l1_(l1) { L1::configured(); }
void L1::configured() { require_factor(l1_, "l1", "L1"); }
Tensor L1::operator()(const Tensor& w) const { return l1_ * reduce_sum(abs(w)); }

L2::L2(double l2) : l2_(l2) { L2::configured(); }
void L2::configured() { require_factor(l2_, "l2", "L2"); }
Tensor L2::operator()(const Tensor& w) const { return l2_ * reduce_sum(square(w)); }

L1L2::L1L2(double l1, double l2) : l1_(l1), l2_(l2) { L1L2::configured(); }
void L1L2::fields(Fields& f) {
  f.field("l1", l1_);
  f.field("l2", l2_);
}
void L1L2::configured() {
  require_factor(l1_, "l1", "L1L2");
  require_factor(l2_, "l2", "L1L2");
}
Tensor L1L2::operator()(const Tensor& w) const { return l1_ * reduce_sum(abs(w)) + l2_ * reduce_sum(square(w)); }

OrthogonalRegularizer::OrthogonalRegularizer(double factor, std::string mode) : factor_(factor), mode_(std::move(mode)) { OrthogonalRegularizer::configured(); }
void OrthogonalRegularizer::fields(Fields& f) {
  f.field("factor", factor_);
  f.field("mode", mode_);
}
void OrthogonalRegularizer::configured() {
  require_factor(factor_, "factor", "OrthogonalRegularizer");
  if (mode_ != "rows" && mode_ != "columns") throw InvalidArgumentError("mode must be \"rows\" or \"columns\", got \"" + mode_ + "\"", "OrthogonalRegularizer");
}
Tensor OrthogonalRegularizer::operator()(const Tensor& w) const {
  if (w.ndim() != 2) throw InvalidArgumentError("the weight must be a matrix, got " + to_string(w.spec()), "OrthogonalRegularizer");
  const bool rows = mode_ == "rows";
  const Tensor unit = l2_normalize(w, rows ? 1 : 0);
  const Tensor cosines = matmul(unit, unit, !rows, rows);
  const std::int64_t n = w.shape()[rows ? 0 : 1];
  const Tensor others = cosines * (1 - eye(n, {}, {}, w.dtype()));
  const double pairs = double(n) * double(n - 1) / 2;
  return reduce_sum(abs(others)) * (factor_ * 0.5 / pairs);
}

}  // namespace lockstep::nn
