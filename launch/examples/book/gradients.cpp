// "Computing gradients using autodiff": finite differences, tapes, stopped and custom gradients.
#include "sections.h"

using namespace lockstep;
using autodiff::GradientTape;

namespace book {
namespace {

template <class T>
T f(const T& w1, const T& w2) {
  return 3 * w1 * w1 + 2 * w1 * w2;
}

/// "[36. none]"
std::string text(std::span<const Gradient> gradients) {
  std::string text = "[";
  for (const Gradient& gradient : gradients) text += (text.size() > 1 ? ", " : "") + (gradient.exists() ? array_to_string(gradient.dense()) : std::string("none"));
  return text + "]";
}
bool are(std::span<const Gradient> gradients, std::initializer_list<std::optional<double>> expected) {
  if (gradients.size() != expected.size()) return false;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto& wanted = expected.begin()[i];
    if (gradients[i].exists() != wanted.has_value() || (wanted && !near(gradients[i].dense(), *wanted))) return false;
  }
  return true;
}

void tapes() {
  const double w1_number = 5, w2_number = 3, eps = 1e-6;
  const double by_w1 = (f(w1_number + eps, w2_number) - f(w1_number, w2_number)) / eps;
  const double by_w2 = (f(w1_number, w2_number + eps) - f(w1_number, w2_number)) / eps;
  show("finite differences by w1", by_w1, 5);
  show("finite differences by w2", by_w2, 5);

  const Variable w1(constant(5.f), {.path = "w1"}), w2(constant(3.f), {.path = "w2"});
  std::vector<Gradient> gradients;
  std::string spent;
  {
    GradientTape tape;
    const Tensor z = f(w1.value(), w2.value());
    gradients = tape.gradient(z, {w1, w2});
    spent = refusal<FailedPreconditionError>([&] { tape.gradient(z, w2); });
  }
  show("tape.gradient(z, {w1, w2})", text(gradients));
  show("tape.gradient(z, w2), once more", spent);

  std::vector<Gradient> one_by_one;
  {
    GradientTape tape({.persistent = true});
    const Tensor z = f(w1.value(), w2.value());
    one_by_one = {tape.gradient(z, w1), tape.gradient(z, w2)};
  }
  show("a persistent tape, w1 and then w2", text(one_by_one));

  const Tensor c1 = constant(5.f), c2 = constant(3.f);
  std::vector<Gradient> unwatched, watched;
  {
    GradientTape tape;
    unwatched = tape.gradient(f(c1, c2), {c1, c2});
  }
  {
    GradientTape tape;
    tape.watch(c1), tape.watch(c2);
    watched = tape.gradient(f(c1, c2), {c1, c2});
  }
  show("by constants", text(unwatched));
  show("by constants that are watched", text(watched));

  std::vector<Gradient> of_sum;
  {
    GradientTape tape;
    const Tensor targets[] = {f(w1.value(), w2 + 2.f), f(w1.value(), w2 + 5.f), f(w1.value(), w2 + 7.f)};
    const autodiff::Source sources[] = {w1, w2};
    of_sum = tape.gradient(targets, sources);
  }
  show("of [z1, z2, z3] by [w1, w2]", text(of_sum));

  const Tensor point[] = {c1, c2};
  const auto hessians = autodiff::hessian([](std::span<const Tensor> w) { return f(w[0], w[1]); }, point);
  show("second derivatives", "[" + text(hessians[0]) + ", " + text(hessians[1]) + "]");
  check(26, {near(by_w1, 36.000003007, 1e-6), near(by_w2, 10, 1e-6), are(gradients, {36, 10}), !spent.empty(), are(one_by_one, {36, 10}), are(unwatched, {{}, {}}), are(watched, {36, 10}),
             are(of_sum, {136, 30}), are(hessians[0], {6, 2}), are(hessians[1], {2, {}})});
}

void stopped_and_custom() {
  const Variable w1(constant(5.f), {.path = "w1"}), w2(constant(3.f), {.path = "w2"});
  std::vector<Gradient> stopped;
  Tensor value;
  {
    GradientTape tape;
    value = 3 * square(w1) + stop_gradient(2 * w1.value() * w2.value());
    stopped = tape.gradient(value, {w1, w2});
  }
  show("3 w1^2 + stop_gradient(2 w1 w2)", value);
  show("its gradients", text(stopped));

  const auto slope = [](const auto& function, float at) {
    const Variable x(constant({at}), {.path = "x"});
    GradientTape tape;
    return tape.gradient(function(x.value()), x).dense();
  };
  const auto root = [](const Tensor& z) { return sqrt(z); };
  const Tensor at_zero = slope(root, 0.f);  // which 1e-50 is in float32
  show("the slope of sqrt at 1e-50", at_zero);

  const auto naive_softplus = [](const Tensor& z) { return log(exp(z) + 1.f); };
  const Tensor naive_at_30 = naive_softplus(constant({30.f})), naive_slope = slope(naive_softplus, 1e30f);
  show("log(exp(30) + 1)", naive_at_30);
  show("the slope of log(exp(z) + 1) at 1e30", naive_slope);

  // log(1 + exp(z)) = max(0, z) + log(1 + exp(-|z|)), and its slope is 1 - 1 / (1 + exp(z)).
  const auto my_softplus = autodiff::custom_gradient([](const Tensor& z) {
    const Tensor y = log(1.f + exp(-abs(z))) + maximum(zeros_like(z), z);
    return autodiff::CustomGradient{y, [z](const Tensor& upstream) { return Tensors{upstream * (1 - 1 / (1 + exp(z)))}; }};
  });
  const Tensor stable_value = my_softplus(constant({1000.f})), stable_slope = slope(my_softplus, 1000.f);
  show("my_softplus(1000)", stable_value);
  show("its slope there", stable_slope);
  check(27, {equals(value, 105), are(stopped, {30, {}}), is_inf(at_zero).item<bool>(), equals(naive_at_30, {30}),
             is_nan(naive_slope).item<bool>(), equals(stable_value, {1000}), equals(stable_slope, {1})});
}

}  // namespace

void gradients() {
  heading("Computing gradients (row 26)");
  tapes();
  heading("Stopped and custom gradients (row 27)");
  stopped_and_custom();
}

}  // namespace book
