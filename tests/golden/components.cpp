// components.h5: activations, regularizers, constraints, initializers, and what they refuse.

#include <cmath>

#include "case.h"

namespace golden {

using namespace lockstep;
using namespace lockstep::nn;

namespace {

using Unary = std::function<Tensor(const Tensor&)>;

/// The activation of a name with arguments.
Unary activation(const std::string& name, const Json& args) {
  const auto number = [&](const char* key, double fallback) { return args.contains(key) ? args.at(key).get<double>() : fallback; };
  if (args.empty()) return [f = Ref<Activation>(name)](const Tensor& x) { return (*f)(x); };
  if (name == "relu") {
    const std::optional<double> max = args.contains("max_value") && !args.at("max_value").is_null() ? std::optional(args.at("max_value").get<double>()) : std::nullopt;
    return [=, slope = number("negative_slope", 0), threshold = number("threshold", 0)](const Tensor& x) { return activations::relu(x, slope, max, threshold); };
  }
  if (name == "threshold") return [a = number("threshold", 0), b = number("default_value", 0)](const Tensor& x) { return activations::threshold(x, a, b); };
  if (name == "gelu") return [approximate = args.at("approximate").get<bool>()](const Tensor& x) { return gelu(x, approximate); };
  const std::int64_t axis = args.value("axis", std::int64_t(-1));
  if (name == "softmax") return [=](const Tensor& x) { return softmax(x, axis); };
  if (name == "log_softmax") return [=](const Tensor& x) { return log_softmax(x, axis); };
  if (name == "sparsemax") return [=](const Tensor& x) { return activations::sparsemax(x, axis); };
  if (name == "glu") return [=](const Tensor& x) { return activations::glu(x, axis); };
  const double value = args.begin().value().get<double>();
  if (name == "elu") return [=](const Tensor& x) { return activations::elu(x, value); };
  if (name == "celu") return [=](const Tensor& x) { return activations::celu(x, value); };
  if (name == "leaky_relu") return [=](const Tensor& x) { return leaky_relu(x, value); };
  if (name == "squareplus") return [=](const Tensor& x) { return activations::squareplus(x, value); };
  if (name == "hard_shrink") return [=](const Tensor& x) { return activations::hard_shrink(x, value); };
  if (name == "soft_shrink") return [=](const Tensor& x) { return activations::soft_shrink(x, value); };
  throw Mismatch("the activation " + name + " takes no arguments");
}

/// Value and gradient (of the sum of upstream * value), eager and traced.
void check_value_and_gradient(const Case& c, const Unary& f, const char* in, const char* out, const char* din, const Tensor& upstream) {
  const auto both = [&](const Tensor& x) -> Tensors {
    autodiff::GradientTape tape;
    tape.watch(x);
    const Tensor y = f(x);
    return {y, tape.gradient(y, x, upstream).dense()};
  };
  const auto compare = [&](const Tensors& found, const std::string& how) {
    require_close(how + ", " + out, found[0], c.at(out), c.spec.at("rtol"), c.spec.at("atol"));
    if (!c.has(din)) return;
    require_close(how + ", " + din, found[1].defined() ? found[1] : zeros_like(c.at(in)), c.at(din), c.spec.at("grad_rtol"), c.spec.at("grad_atol"));
  };
  compare(both(c.at(in)), "eager");
  compare(autodiff::function(both)(c.at(in)), "traced");
}

/// The component of the case, made from its arguments; its configuration is checked.
template <class Base>
std::shared_ptr<Base> component(const Case& c) {
  const auto made = deserialize<Base>(Json{{"class_name", c.spec.at("class")}, {"config", c.spec.value("args", Json::object())}}).ptr();
  if (c.spec.contains("config")) require_config(made->config(), c.spec.at("config"));
  require_config(deserialize<Base>(serialize(*made))->config(), made->config());
  return made;
}

Shape shape_of(const Json& list) { return Shape(list.get<std::vector<std::int64_t>>()); }

void check_initializer(const Case& c) {
  const auto initializer = component<Initializer>(c);
  const Shape shape = shape_of(c.spec.at("shape"));
  const Tensor drawn = (*initializer)(shape);
  if (c.spec.at("kind") == "initializer_exact") return require_close("value", drawn, c.at("value"), 0, 0);
  if (c.spec.at("kind") == "initializer_property") {
    const auto flat = c.spec.at("flattened").get<std::vector<std::int64_t>>();
    const Tensor matrix = reshape(drawn, {flat[0], flat[1]});
    const bool tall = flat[0] >= flat[1];
    const double gain = c.spec.at("gain");
    return require_close("Gram matrix", matmul(matrix, matrix, tall, !tall), gain * gain * eye(std::min(flat[0], flat[1])), 0, c.spec.at("atol"));
  }
  // Enough calls for 20000 numbers: the expected bounds then hold except once in a million.
  double sum = 0, squares = 0;
  std::size_t n = 0;
  const double mean = c.spec.at("expected_mean"), stddev = c.spec.at("expected_std");
  while (n < 20000) {
    const Tensor values = (*initializer)(shape);
    for (const float value : values.data<float>()) {
      if (c.spec.contains("lower") && (value < float(c.spec["lower"].get<double>()) - 1e-6f || value > float(c.spec["upper"].get<double>()) + 1e-6f)) throw Mismatch("a number outside of the bounds: " + std::to_string(value));
      sum += value;
      squares += double(value) * value;
    }
    n += std::size_t(values.numel());
  }
  const double found_mean = sum / double(n), found_stddev = std::sqrt(squares / double(n) - found_mean * found_mean);
  if (std::fabs(found_mean - mean) > 5 * stddev / std::sqrt(double(n))) throw Mismatch("mean " + std::to_string(found_mean) + ", expected " + std::to_string(mean));
  if (std::fabs(found_stddev / stddev - 1) > 5 / std::sqrt(2.0 * double(n)) + 0.002) throw Mismatch("standard deviation " + std::to_string(found_stddev) + ", expected " + std::to_string(stddev));
}

void check_component_refusal(const Case& c) {
  const std::string what = c.spec.at("class");
  Json config = c.spec.at("config");
  require_refusal(c.spec.at("error"), [&] {
    if (config.contains("get")) {
      const std::string name = config.at("get");
      if (what == "activation") Ref<Activation>{name};
      else if (what == "initializer") Ref<Initializer>{name};
      else if (what == "regularizer") Ref<Regularizer>{name};
      else Ref<Constraint>{name};
      return;
    }
    std::optional<Shape> shape;
    if (config.contains("shape")) {
      shape = shape_of(config.at("shape"));
      config.erase("shape");
    }
    const Json json{{"class_name", what}, {"config", config}};
    if (what == "glu" || what == "softmax" || what == "sparsemax" || what == "log_softmax") (*Ref<Activation>(what))(zeros(*shape));
    else if (what.find("L1") == 0 || what.find("L2") == 0 || what.find("Regularizer") != std::string::npos) {
      const auto made = deserialize<Regularizer>(json);
      if (shape) (*made)(zeros(*shape));
    } else if (what.find("Norm") != std::string::npos && what.find("Normal") == std::string::npos) {
      const auto made = deserialize<Constraint>(json);
      if (shape) (*made)(zeros(*shape));
    } else {
      const auto made = deserialize<Initializer>(json);
      if (shape) (*made)(*shape);
    }
  });
}

}  // namespace

void check_component(const Case& c) {
  const std::string kind = c.spec.at("kind");
  if (kind == "activation") return check_value_and_gradient(c, activation(c.spec.at("function"), c.spec.at("args")), "x", "y", "din0", c.at("g0"));
  if (kind == "regularizer") {
    const auto regularizer = component<Regularizer>(c);
    return check_value_and_gradient(c, [&](const Tensor& w) { return (*regularizer)(w); }, "w", "value", "dw", {});
  }
  if (kind == "constraint") return require_close("value", (*component<Constraint>(c))(c.at("w")), c.at("value"), c.spec.at("rtol"), c.spec.at("atol"));
  if (kind.find("initializer") == 0) return check_initializer(c);
  if (kind == "refusal") return check_component_refusal(c);
  throw Mismatch("the kind of component \"" + kind + "\" is unknown");
}

}  // namespace golden
