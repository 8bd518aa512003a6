// grads.h5 and derivatives.h5: gradients of every op, second derivatives, Jacobians, Hessians and small programs; each eager (a tape
// around eager ops) and traced (the tape inside a function).

#include <cmath>

#include "case.h"

namespace golden {

using namespace lockstep;
using autodiff::GradientTape;
using autodiff::Source;

namespace {

using Values = std::vector<Tensor>;
using Inputs_ = std::span<const Tensor>;

/// Runs `f` as it is, and as a traced function; compares both with `check`.
void both_ways(const Case& c, const std::function<Tensors(Inputs_)>& f, const std::function<void(const Tensors&, const std::string&)>& check) {
  const Values inputs = c.inputs();
  check(f(inputs), "eager");
  const auto traced = autodiff::function([&](Inputs_ operands) { return f(operands); });
  check(traced(Inputs_(inputs)), "traced");
}

bool differentiable(const Tensor& x) { return is_differentiable(x.dtype()); }

/// Gradients by all inputs; undefined where there is none.
Tensors gradients_of(GradientTape& tape, std::span<const Tensor> targets, std::span<const Tensor> upstreams, Inputs_ inputs) {
  const std::vector<Source> sources(inputs.begin(), inputs.end());
  Tensors result;
  for (const Gradient& gradient : tape.gradient(targets, sources, upstreams)) result.push_back(gradient.dense());
  return result;
}

void watch_all(GradientTape& tape, Inputs_ inputs) {
  for (const Tensor& input : inputs)
    if (differentiable(input)) tape.watch(input);
}

Tensor or_zeros(const Tensor& gradient, const Tensor& like) { return gradient.defined() ? gradient : zeros_like(like); }


/// `prefix`0, `prefix`1, ... of the case against gradients by the inputs. One that is absent must not exist, or be zero.
void compare_gradients(const Case& c, const Tensors& gradients, const std::string& prefix, const std::string& how, std::size_t first = 0) {
  for (std::size_t i = 0; i < c.spec.at("inputs").size(); ++i) {
    const std::string name = prefix + std::to_string(i);
    if (c.has(name)) require_close(how + ", " + name, gradients[first + i], c.at(name), rtol(c), atol(c));
    else if (differentiable(gradients[first + i])) require_close(how + ", " + name + " (none)", gradients[first + i], zeros(gradients[first + i].shape(), gradients[first + i].dtype()), 0, 0);
  }
}

Tensors call(const std::string& name, const Json& attrs, Inputs_ inputs) {
  const OpDef& op = find_op(name);
  return apply_named(op.name, inputs, attributes(op, attrs));
}

/// The op of a case over its inputs with upstream gradients for its float outputs.
void check_op_gradient(const Case& c) {
  const std::function<Tensors(Inputs_)> f = [&](Inputs_ inputs) {
    GradientTape tape;
    watch_all(tape, inputs);
    const Tensors outputs = call(c.op(), c.spec.at("attrs"), inputs);
    std::vector<Tensor> targets, upstreams;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (c.has("g" + std::to_string(i))) targets.push_back(outputs[i]), upstreams.push_back(c.at("g" + std::to_string(i)));
    Tensors gradients = gradients_of(tape, targets, upstreams, inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (!gradients[i].defined() && c.has("din" + std::to_string(i))) throw Mismatch("no gradient for operand " + std::to_string(i));
      gradients[i] = or_zeros(gradients[i], inputs[i]);
    }
    return gradients;
  };
  both_ways(c, f, [&](const Tensors& gradients, const std::string& how) { compare_gradients(c, gradients, "din", how); });
}

// ---- scalar functions and their first and second derivatives

using ScalarFunction = std::function<Tensor(const Tensor&)>;

Tensor outer(const Tensor& x, const Tensor& y) { return expand_dims(x, -1) * expand_dims(y, 0); }

Tensor matrix(const Json& rows, DType dtype) {
  std::vector<double> values;
  for (const Json& row : rows)
    for (const Json& value : row) values.push_back(value.get<double>());
  return cast(constant(values, {std::int64_t(rows.size()), std::int64_t(rows.at(0).size())}), dtype);
}

ScalarFunction scalar_function(const Json& attrs) {
  const std::string name = attrs.contains("fn") ? attrs.at("fn") : attrs.at("f");
  const auto sum_of = [](ScalarFunction f) -> ScalarFunction { return [f](const Tensor& x) { return reduce_sum(f(x)); }; };
  if (name == "quadratic_form") {
    const Json a = attrs.at("expr").at("A");
    return [a](const Tensor& x) { return reduce_sum(x * matvec(matrix(a, x.dtype()), x)); };
  }
  if (name == "rosenbrock")
    return [](const Tensor& x) {
      const Tensor head = x[slice({}, -1)], tail = x[slice(1)];
      return reduce_sum(square(tail - square(head)) * 100 + square(1 - head));
    };
  if (name == "logsumexp") return [](const Tensor& x) { return log(reduce_sum(exp(x))); };
  if (name == "sum_sin_outer") return [](const Tensor& x) { return reduce_sum(sin(outer(x, x))); };
  if (name == "prod") return [](const Tensor& x) { return reduce_prod(x); };
  if (name == "x^3") return sum_of([](const Tensor& x) { return x * x * x; });
  if (name == "exp(sin x)") return sum_of([](const Tensor& x) { return exp(sin(x)); });
  if (name == "sigmoid") return sum_of([](const Tensor& x) { return sigmoid(x); });
  if (name == "tanh") return sum_of([](const Tensor& x) { return tanh(x); });
  if (name == "softplus") return sum_of([](const Tensor& x) { return softplus(x); });
  if (name == "log(1+x^2)") return sum_of([](const Tensor& x) { return log(square(x) + 1); });
  if (name == "x*sqrt(1+x^2)") return sum_of([](const Tensor& x) { return x * sqrt(square(x) + 1); });
  if (name == "1/(1+x^2)") return sum_of([](const Tensor& x) { return 1 / (square(x) + 1); });
  if (name == "gelu") return sum_of([](const Tensor& x) { return gelu(x); });
  if (name == "sum of softmax squared") return sum_of([](const Tensor& x) { return square(softmax(x)); });
  throw Mismatch("the program does not know the function \"" + name + "\"");
}

/// Value, gradient and Hessian against the data sets of these names (absent: not checked).
void check_hessian(const Case& c, const std::string& gradient_name, const std::string& hessian_name) {
  const ScalarFunction f = scalar_function(c.spec.at("attrs"));
  both_ways(c,
            [&](Inputs_ inputs) -> Tensors {
              GradientTape tape;
              tape.watch(inputs[0]);
              const Tensor y = f(inputs[0]);
              return {y, tape.gradient(y, inputs[0]).dense(), autodiff::hessian(f, inputs[0])};
            },
            [&](const Tensors& found, const std::string& how) {
              if (c.has("y")) require_close(how + ", y", found[0], c.at("y"), rtol(c), atol(c));
              require_close(how + ", gradient", found[1], c.at(gradient_name), rtol(c), atol(c));
              require_close(how + ", hessian", found[2], c.at(hessian_name), rtol(c), atol(c));
            });
}

Tensor book_function(const Tensor& w1, const Tensor& w2) { return square(w1) * 3 + w1 * w2 * 2; }

/// The 2 x 2 Hessian of the book's function, 0 where there is no path.
Tensor book_hessian(Inputs_ inputs) {
  const auto rows = autodiff::hessian([](Inputs_ w) { return book_function(w[0], w[1]); }, inputs);
  std::vector<Tensor> entries;
  for (const auto& row : rows)
    for (const Gradient& entry : row) entries.push_back(or_zeros(entry.dense(), inputs[0]));
  return reshape(stack(entries), {2, 2});
}

// ---- Jacobians

using VectorFunction = std::function<Tensor(Inputs_)>;

VectorFunction vector_function(const Json& attrs) {
  const std::string name = attrs.contains("fn") ? attrs.at("fn") : attrs.at("f");
  if (name == "softmax") return [axis = attrs.at("axis").get<std::int64_t>()](Inputs_ x) { return softmax(x[0], axis); };
  if (name == "cumsum") return [axis = attrs.at("axis").get<std::int64_t>()](Inputs_ x) { return cumsum(x[0], axis); };
  if (name == "cumprod") return [axis = attrs.at("axis").get<std::int64_t>()](Inputs_ x) { return cumprod(x[0], axis); };
  if (name == "matmul_const") return [w = attrs.at("W")](Inputs_ x) { return matmul(x[0], matrix(w, x[0].dtype())); };
  if (name == "tanh_matmul_const") return [w = attrs.at("W")](Inputs_ x) { return tanh(matmul(x[0], matrix(w, x[0].dtype()))); };
  if (name == "square") return [](Inputs_ x) { return square(x[0]); };
  if (name == "outer_sum") return [](Inputs_ x) { return reduce_sum(outer(x[0], square(x[0])), 1); };
  if (name == "tanh(Ax)") return [](Inputs_ x) { return tanh(matvec(x[1], x[0])); };
  if (name == "softmax(Ax)") return [](Inputs_ x) { return softmax(matvec(x[1], x[0])); };
  if (name == "x x^T") return [](Inputs_ x) { return reshape(outer(x[0], x[0]), {-1}); };
  throw Mismatch("the program does not know the function \"" + name + "\"");
}

void check_jacobian(const Case& c, const std::string& wanted, bool batch) {
  const VectorFunction f = vector_function(c.spec.at("attrs"));
  both_ways(c,
            [&](Inputs_ inputs) -> Tensors {
              GradientTape tape;
              tape.watch(inputs[0]);
              const Tensor y = f(inputs);
              return {y, batch ? tape.batch_jacobian(y, inputs[0]) : tape.jacobian(y, inputs[0])};
            },
            [&](const Tensors& found, const std::string& how) {
              if (c.has("y")) require_close(how + ", y", found[0], c.at("y"), rtol(c), atol(c));
              require_close(how + ", jacobian", found[1], c.at(wanted), rtol(c), atol(c));
            });
}

// ---- second order of single ops

Tensor labels_of(const Json& labels, DType dtype) {
  if (labels.at(0).is_array()) return matrix(labels, dtype);
  return cast(constant(labels.get<std::vector<double>>()), dtype);
}

/// The op of a second-order case: an operand may be given as a constant, and the result may be squared.
Tensor inner_op(const Json& attrs, Inputs_ inputs) {
  Json inner = attrs.at("attrs");
  Values operands(inputs.begin(), inputs.end());
  bool squared = false;
  for (const Json* place : {&attrs, &attrs.at("attrs")}) {
    if (place->contains("labels")) operands.insert(operands.begin(), labels_of(place->at("labels"), inputs[0].dtype()));
    squared = squared || place->contains("then");
  }
  inner.erase("labels");
  inner.erase("then");
  const Tensor y = call(attrs.at("op"), inner, operands)[0];
  return squared ? square(y) : y;
}

void check_second_order(const Case& c) {
  const Json& attrs = c.spec.at("attrs");
  both_ways(c,
            [&](Inputs_ inputs) -> Tensors {
              GradientTape outer_tape;
              watch_all(outer_tape, inputs);
              GradientTape tape;
              watch_all(tape, inputs);
              const Tensor y = inner_op(attrs, inputs);
              const Tensor targets[] = {y}, upstreams[] = {c.at("g0")};
              const Tensors first = gradients_of(tape, targets, upstreams, inputs);
              std::vector<Tensor> totals, weights;
              for (std::size_t i = 0; i < inputs.size(); ++i)
                if (c.has("v" + std::to_string(i))) totals.push_back(or_zeros(first[i], inputs[i])), weights.push_back(c.at("v" + std::to_string(i)));
              const Tensors second = gradients_of(outer_tape, totals, weights, inputs);
              Tensors result;
              for (std::size_t i = 0; i < inputs.size(); ++i) result.push_back(or_zeros(first[i], inputs[i]));
              for (std::size_t i = 0; i < inputs.size(); ++i) result.push_back(or_zeros(second[i], inputs[i]));
              return result;
            },
            [&](const Tensors& found, const std::string& how) {
              compare_gradients(c, found, "din", how);
              compare_gradients(c, found, "ddin", how, c.spec.at("inputs").size());
            });
}

// ---- programs

using Program = std::function<Tensor(Inputs_)>;

Program program(const std::string& name) {
  if (name == "book_f") return [](Inputs_ w) { return book_function(w[0], w[1]); };
  if (name == "book_f_stop") return [](Inputs_ w) { return square(w[0]) * 3 + stop_gradient(w[0] * w[1] * 2); };
  if (name == "unconnected") return [](Inputs_ w) { return square(w[0]) + w[0] * 0; };
  if (name == "fan_out") return [](Inputs_ in) { return reduce_sum(in[0] * in[0] + in[0] + in[0] * stop_gradient(in[0])); };
  if (name == "loop")
    return [](Inputs_ in) {
      Tensor y = in[0];
      for (int k = 0; k < 5; ++k) y = k % 2 ? sin(y) * in[0] + y : y * y * 0.5;
      return reduce_sum(y);
    };
  if (name == "branch") return [](Inputs_ in) { return reduce_sum(where(in[0] > 0, square(in[0]), in[0] * -3)); };
  if (name == "where_nan_trap") return [](Inputs_ in) { return reduce_sum(where(in[0] > 0, sqrt(in[0]), zeros_like(in[0]))); };
  if (name == "where_nan_trap_log") return [](Inputs_ in) { return reduce_sum(where(in[0] > 0, log(in[0]), zeros_like(in[0]))); };
  if (name == "mlp_mse") return [](Inputs_ in) { return reduce_mean(square(matmul(relu(matmul(in[0], in[2]) + in[3]), in[4]) + in[5] - in[1])); };
  if (name == "mlp_sparse_ce")
    return [](Inputs_ in) { return reduce_mean(sparse_softmax_cross_entropy_with_logits(in[1], matmul(selu(matmul(in[0], in[2]) + in[3]), in[4]) + in[5])); };
  if (name == "attention")
    return [](Inputs_ in) {
      const double scale = 1 / std::sqrt(double(in[0].shape().dim(-1)));
      return reduce_sum(square(matmul(softmax(matmul(in[0], in[1], false, true) * scale), in[2])));
    };
  if (name == "lstm_cell")
    return [](Inputs_ in) {
      const std::vector<Tensor> gates = split(matmul(in[0], in[3]) + matmul(in[1], in[4]) + in[5], 4, -1);
      const Tensor c = sigmoid(gates[1]) * in[2] + sigmoid(gates[0]) * tanh(gates[2]);
      return reduce_sum(sigmoid(gates[3]) * tanh(c)) + reduce_sum(square(c)) * 0.5;
    };
  if (name == "conv_net")
    return [](Inputs_ in) {
      const Tensor pooled = max_pool2d(relu(conv2d(in[0], in[1], {1, 1}, "same")), {2, 2}, {2, 2});
      return reduce_sum(square(matmul(reshape(pooled, {2, -1}), in[2])));
    };
  if (name == "standardise") return [](Inputs_ in) { return reduce_sum(exp((in[0] - reduce_mean(in[0], 0)) / (reduce_std(in[0], 0) + 1e-7))); };
  throw Mismatch("the program \"" + name + "\" is unknown");
}

void check_program(const Case& c) {
  const std::string name = c.spec.at("attrs").at("name");
  const Program f = program(name);
  both_ways(c,
            [&](Inputs_ inputs) -> Tensors {
              GradientTape tape;
              watch_all(tape, inputs);
              const Tensor y = f(inputs);
              const Tensor targets[] = {y};
              Tensors result = gradients_of(tape, targets, {}, inputs);
              for (std::size_t i = 0; i < inputs.size(); ++i) result[i] = or_zeros(result[i], inputs[i]);
              result.push_back(y);
              if (c.has("hess0")) result.push_back(book_hessian(inputs));
              return result;
            },
            [&](const Tensors& found, const std::string& how) {
              const std::size_t n = c.spec.at("inputs").size();
              compare_gradients(c, found, "din", how);
              require_close(how + ", y", found[n], c.at("y"), rtol(c), atol(c));
              if (c.has("hess0")) require_close(how + ", hess0", found[n + 1], c.at("hess0"), rtol(c), atol(c));
            });
}

// ---- the two softplus functions of the book

void check_softplus(const Case& c, const std::function<Tensor(const Tensor&)>& softplus_like) {
  both_ways(c,
            [&](Inputs_ inputs) -> Tensors {
              GradientTape tape;
              tape.watch(inputs[0]);
              const Tensor y = softplus_like(inputs[0]);
              return {y, tape.gradient(y, inputs[0], c.has("g0") ? c.at("g0") : Tensor()).dense()};
            },
            [&](const Tensors& found, const std::string& how) {
              if (c.has("out0")) require_close(how + ", out0", found[0], c.at("out0"), rtol(c), atol(c));
              require_close(how + ", din0", found[1], c.at("din0"), rtol(c), atol(c));
            });
}

Tensor my_softplus(const Tensor& z) {
  static const auto f = autodiff::custom_gradient([](const Tensor& x) {
    const Tensor y = log(exp(-abs(x)) + 1) + maximum(zeros_like(x), x);
    return autodiff::CustomGradient{y, [x](const Tensor& up) { return Tensors{up * (1 - 1 / (exp(x) + 1))}; }};
  });
  return f(z);
}

}  // namespace

void check_gradient(const Case& c) {
  if (c.op() == "second_order") return check_hessian(c, "grad", "hessian");
  if (c.op() == "jacobian") return check_jacobian(c, "jacobian", false);
  if (c.op() == "custom_gradient_softplus") return check_softplus(c, my_softplus);
  if (c.op() == "book_hessian")
    return both_ways(c,
                     [&](Inputs_ inputs) -> Tensors {
                       GradientTape tape;
                       watch_all(tape, inputs);
                       const Tensor targets[] = {book_function(inputs[0], inputs[1])};
                       return {stack(gradients_of(tape, targets, {}, inputs)), book_hessian(inputs)};
                     },
                     [&](const Tensors& found, const std::string& how) {
                       require_close(how + ", gradient", found[0], c.at("grad"), rtol(c), atol(c));
                       require_close(how + ", hessian", found[1], c.at("hessian"), rtol(c), atol(c));
                     });
  check_op_gradient(c);
}

void check_derivative(const Case& c) {
  const std::string kind = c.op();
  if (kind == "custom_softplus") return check_softplus(c, my_softplus);
  if (kind == "naive_softplus") return check_softplus(c, [](const Tensor& z) { return log(exp(z) + 1); });
  if (kind == "second_order") return check_second_order(c);
  if (kind == "hessian") return check_hessian(c, "din0", "hess0");
  if (kind == "jacobian") return check_jacobian(c, "jac0", false);
  if (kind == "batch_jacobian") return check_jacobian(c, "jac0", true);
  if (kind == "program") return check_program(c);
  throw Mismatch("the kind of derivative \"" + kind + "\" is unknown");
}

}  // namespace golden
