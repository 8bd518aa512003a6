// "TensorFlow functions and graphs": what function() traces, when, and what becomes part of the graph.
#include <algorithm>
#include <iostream>
#include <memory>

#include "sections.h"

using namespace lockstep;
using autodiff::function;

namespace book {
namespace {

Tensor cube(const Tensor& x) { return x * x * x; }

void traces() {
  show("cube(2)", cube(constant(2)));
  const auto traced_cube = function(cube, {.name = "cube"});
  show("traced_cube(2)", traced_cube(constant(2)));
  show("traced_cube(2.f)", traced_cube(constant(2.f)));
  traced_cube(constant(3.f));  // of the same dtype and shape: no new trace
  traced_cube(constant({{1.f, 2.f}, {3.f, 4.f}}));
  show("traces after int32 (), float32 () twice and float32 (2, 2)", std::to_string(traced_cube.trace_count()));

  // Numbers of C++ are static: each value is a trace of its own.
  const auto power = function([](const Tensor& x, int n) {
    Tensor y = x;
    for (int i = 1; i < n; ++i) y = y * x;
    return y;
  });
  const Tensor x = constant(2.f);
  power(x, 3), power(x, 4), power(x, 3);
  show("traces of power(x, n) for n = 3, 4, 3", std::to_string(power.trace_count()));

  // With an input signature there is one trace, and what does not fit is refused.
  const auto shrink = function([](const Tensor& images) { return images[{all, slice({}, {}, 2), slice({}, {}, 2)}]; }, {.name = "shrink", .input_signature = {{{float32, {-1, 28, 28}}}}});
  const Tensor images = random::uniform({100, 28, 28}, 0, 1, float32, 42);
  show("shrink(images).shape()", to_string(shrink(images).shape()));
  const std::string unfit = refusal<InvalidArgumentError>([&] { shrink(random::uniform({2, 2, 2})); });
  show("shrink of (2, 2, 2)", unfit);
  check(29, {equals(traced_cube(constant(2)), 8), traced_cube(constant(2)).dtype() == int32, equals(traced_cube(constant(2.f)), 8), traced_cube.trace_count() == 3, power.trace_count() == 2,
             equals(power(x, 4), 16), shrink(images).shape() == Shape({100, 14, 14}), !unfit.empty()});
}

void graphs() {
  const auto traced_cube = function(cube, {.name = "cube"});
  const autodiff::ConcreteFunction& concrete = traced_cube.concrete_function(constant(2.f));
  show("the graph of cube(float32)", autodiff::to_string(concrete.graph()));
  const auto ops = concrete.graph().op_names();
  // 10 additions in a C++ loop are 10 nodes; a loop over a tensor is one node with a graph inside.
  const auto unrolled = function([](Tensor x) {
    for (int i = 0; i < 10; ++i) x = x + 1;
    return x;
  });
  const auto looped = function([](const Tensor& x, const Tensor& n) { return autodiff::for_range(constant(0), n, [](const Tensor&, std::span<const Tensor> s) { return Tensors{s[0] + 1}; }, {x})[0]; });
  const auto condition = function([](const Tensor& x) {
    const std::function<Tensor()> twice = [&] { return 2 * x; }, negated = [&] { return -x; };
    return autodiff::cond(x > 0.f, twice, negated);
  });
  const auto count = [](const std::vector<std::string>& names, const char* name) { return std::count(names.begin(), names.end(), name); };
  const Tensor five = constant(5), ten = constant(10);
  const auto nodes = unrolled.concrete_function(five).graph().op_names();
  show("add_10(5) with a loop of C++", unrolled(five));
  show("its add nodes", std::to_string(count(nodes, "add")));
  show("add_10(5) with for_range", looped(five, ten));
  const auto loop_nodes = looped.concrete_function(five, ten).graph().op_names();
  show("its add nodes", std::to_string(count(loop_nodes, "add")));
  show("cond(x > 0, 2 x, -x) for 3 and -3", stack(Tensors{condition(constant(3.f)), condition(constant(-3.f))}));
  check(29, {count(ops, "multiply") == 2 && ops.size() == 2, equals(unrolled(five), 15), count(nodes, "add") == 10, equals(looped(five, ten), 15), count(loop_nodes, "add") == 0,
             equals(looped(five, constant(1000)), 1005), looped.trace_count() == 1, equals(condition(constant(3.f)), 6), equals(condition(constant(-3.f)), 3), condition.trace_count() == 1});
}

void effects() {
  const Variable counter(constant(0), {.path = "counter"});
  const auto increment = function([&](const Tensor& c) { return counter.assign_add(c).value(); });
  increment(constant(1));
  show("increment(1), twice", increment(constant(1)));

  int python_prints = 0;  // what C++ itself does happens while tracing only
  const auto noisy = function([&](const Tensor& x) {
    ++python_prints;
    return x + random::uniform({}, 0, 1, float32, 42);
  });
  const Tensor first = noisy(constant(1.f)), second = noisy(constant(1.f));
  show("runs of the C++ body in two calls", std::to_string(python_prints));
  show("are the random numbers of two calls equal?", std::string(equals(first - second, 0) ? "yes" : "no"));

  // A variable may be made by the first trace, if the function keeps it.
  const auto kept = std::make_shared<Variable>();
  const auto accumulate = function([kept](const Tensor& x) {
    if (!kept->defined()) *kept = Variable(constant(100.f), {.path = "total"});
    return kept->assign_add(x).value();
  });
  accumulate(constant(1.f));
  show("accumulate(1), then (2), from 100", accumulate(constant(2.f)));
  const auto careless = function([](const Tensor& x) { return Variable(constant(0.f), {.path = "lost"}).assign_add(x).value(); });
  const std::string forgotten = refusal<FailedPreconditionError>([&] { careless(constant(1.f)); });
  show("a function that makes a variable in each call", forgotten);
  check(29, {counter.value().item<std::int32_t>() == 2, python_prints == 1, !equals(first - second, 0), equals(*kept, 103), !forgotten.empty()});
}

}  // namespace

void functions() {
  heading("Functions: traces (row 29)");
  traces();
  heading("Functions: graphs and control flow (row 29)");
  graphs();
  heading("Functions: variables and side effects (row 29)");
  effects();
}

}  // namespace book
