// "Using TensorFlow like NumPy": tensors, operations, dtypes, variables.
#include <type_traits>

#include "sections.h"

using namespace lockstep;

namespace book {
namespace {

template <class T>
concept ItemsCanBeAssigned = requires(T v, Tensor value) { v[1] = value; };

void matrices() {
  const Tensor t = constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}});
  show("t", to_string(t));
  show("t.shape()", to_string(t.shape()));
  show("t.dtype()", std::string(name(t.dtype())));
  const std::string ragged = refusal<InvalidArgumentError>([] { constant({{1.f, 2.f}, {3.f}}); });
  show("constant({{1.f, 2.f}, {3.f}})", ragged);
  check(1, {t.shape() == Shape({2, 3}), t.dtype() == float32, to_string(t) == "<Tensor shape=(2, 3) dtype=float32\n[[1. 2. 3.]\n [4. 5. 6.]]>", !ragged.empty()});

  show("constant(42)", to_string(constant(42)));
  const std::vector<double> a = {2., 4., 5.};  // as a NumPy array of doubles
  show("constant(2.)", to_string(constant(2.)));
  show("constant(a)", to_string(constant(a)));
  show("square(constant(a))", square(constant(a)));
  check(2, {constant(42).shape() == Shape(), constant(42).dtype() == int32, constant(2.).dtype() == float32, constant(a).dtype() == float64, equals(square(constant(a)), {4, 16, 25})});

  show("t[{all, slice(1)}]", t[{all, slice(1)}]);
  show("t[{ellipsis, 1, newaxis}]", t[{ellipsis, 1, newaxis}]);
  show("t[-1]", t[-1]);
  show("t[{all, slice({}, {}, -2)}]", t[{all, slice({}, {}, -2)}]);
  const std::string outside = refusal<IndexError>([&] { t[2]; });
  show("t[2]", outside);
  check(3, {equals(t[{all, slice(1)}], {{2, 3}, {5, 6}}), equals(t[{ellipsis, 1, newaxis}], {{2}, {5}}), equals(t[-1], {4, 5, 6}), equals(t[{all, slice({}, {}, -2)}], {{3, 1}, {6, 4}}),
            !outside.empty()});

  show("t + 10", t + 10);
  show("square(t)", square(t));
  show("matmul(t, transpose(t))", matmul(t, transpose(t)));
  show("square(transpose(t)) + 10", square(transpose(t)) + 10);
  check(4, {(t + 10).dtype() == float32, equals(t + 10, {{11, 12, 13}, {14, 15, 16}}), equals(square(t), {{1, 4, 9}, {16, 25, 36}}), equals(matmul(t, transpose(t)), {{14, 32}, {32, 77}}),
            equals(square(transpose(t)) + 10, {{11, 26}, {14, 35}, {19, 46}})});

  // Two names, one function.
  Tensor (*const log_1)(const Tensor&) = log;
  Tensor (*const log_2)(const Tensor&) = math::log;
  show("add(t, t)", add(t, t));
  show("exp(t[0])", exp(t[0]), 4);
  show("tile(t, {1, 2})", tile(t, {1, 2}));
  show("squeeze(reshape(t, {1, 6, 1}))", squeeze(reshape(t, {1, 6, 1})));
  show("reduce_mean(t)", reduce_mean(t));
  show("reduce_max(t, 0)", reduce_max(t, 0));
  show("reduce_sum(t, 1)", reduce_sum(t, 1));
  check(5, {log_1 == log_2, equals(multiply(t, t), {{1, 4, 9}, {16, 25, 36}}), equals(tile(t, {1, 2}), {{1, 2, 3, 1, 2, 3}, {4, 5, 6, 4, 5, 6}}), equals(squeeze(reshape(t, {1, 6, 1})), {1, 2, 3, 4, 5, 6}),
            equals(reduce_mean(t), 3.5), equals(reduce_max(t, 0), {4, 5, 6}), equals(reduce_sum(t, 1), {6, 15}), equals(sqrt(square(t)), {{1, 2, 3}, {4, 5, 6}})});
}

void conversions() {
  const std::string to_int = refusal<InvalidArgumentError>([] { constant(2.f) + constant(40); });
  const Tensor t2 = constant(40., float64);
  const std::string to_double = refusal<InvalidArgumentError>([&] { constant(2.f) + t2; });
  const std::string literal = refusal<InvalidArgumentError>([] { constant(2) + 1.5; });
  show("constant(2.f) + constant(40)", to_int);
  show("constant(2.f) + t2", to_double);
  show("constant(2) + 1.5", literal);
  show("constant(2.f) + cast(t2, float32)", constant(2.f) + cast(t2, float32));
  const auto names = [](const std::string& message, const char* first, const char* second) {
    return message.find("add") != std::string::npos && message.find(first) != std::string::npos && message.find(second) != std::string::npos;
  };
  check(6, {names(to_int, "float32", "int32"), names(to_double, "float32", "float64"), !literal.empty(), equals(constant(2.f) + cast(t2, float32), 42)});
}

}  // namespace

void tensors() {
  heading("Tensors and operations (rows 1-5)");
  matrices();
  heading("Type conversions (row 6)");
  conversions();
}

void variables() {
  heading("Variables (row 7)");
  const Variable v(constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}), {.path = "v"});
  show("v", to_string(v));
  v.assign(2 * v.value());
  show("v.assign(2 * v)", v);
  const bool doubled = equals(v, {{2, 4, 6}, {8, 10, 12}});
  v[{0, 1}].assign(42);
  show("v[{0, 1}].assign(42)", v);
  const bool cell = equals(v, {{2, 42, 6}, {8, 10, 12}});
  v[{all, 2}].assign(constant({0.f, 1.f}));
  show("v[{all, 2}].assign({0, 1})", v);
  const bool column = equals(v, {{2, 42, 0}, {8, 10, 1}});
  v.scatter_nd_update(constant({{0, 0}, {1, 2}}), constant({100.f, 200.f}));
  show("v.scatter_nd_update({{0, 0}, {1, 2}}, {100, 200})", v);
  const bool cells = equals(v, {{100, 42, 0}, {8, 10, 200}});
  v.scatter_update(constant({1, 0}), constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}));
  show("v.scatter_update({1, 0}, {{1, 2, 3}, {4, 5, 6}})", v);
  const bool rows = equals(v, {{4, 5, 6}, {1, 2, 3}});
  v.assign_add(1).assign_sub(constant({{1.f, 1.f, 1.f}, {0.f, 0.f, 0.f}}));
  show("v.assign_add(1).assign_sub({{1, 1, 1}, {0, 0, 0}})", v);
  const bool sums = equals(v, {{4, 5, 6}, {2, 3, 4}});
  const std::string shape = refusal<InvalidArgumentError>([&] { v.assign(constant({1.f, 2.f})); });
  const std::string dtype = refusal<TypeError>([&] { v.assign(constant({{1, 2, 3}, {4, 5, 6}})); });
  show("v.assign(constant({1.f, 2.f}))", shape);
  show("v.assign(constant({{1, 2, 3}, {4, 5, 6}}))", dtype);
  show("does v[1] = ... compile?", std::string(ItemsCanBeAssigned<const Variable> ? "yes" : "no"));
  check(7, {doubled, cell, column, cells, rows, sums, !shape.empty(), !dtype.empty(), !ItemsCanBeAssigned<const Variable>});
}

}  // namespace book
