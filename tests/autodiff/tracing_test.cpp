// When a function is traced, what it keeps between calls, and how it is printed and drawn.

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <regex>
#include <sstream>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep::autodiff {
namespace {

using Floats = std::vector<float>;
using Names = std::vector<std::string>;

TEST(Tracing, PrintsTheSymbolOnceAndTheStaticValuesOnceEach) {
  std::ostringstream log;
  const auto cube = function([&](const Tensor& x, int times) {
    log << to_string(x) << " x" << times << "\n";
    return x * x * x * float(times);
  });
  cube(constant(2.0f), 2);
  cube(constant(3.0f), 2);
  cube(constant(2.0f), 3);
  cube(constant({{1.0f, 2.0f}}), 2);
  cube(constant({{1.0f, 2.0f}, {3.0f, 4.0f}}), 2);
  cube(constant({{5.0f, 6.0f}, {7.0f, 8.0f}}), 2);
  EXPECT_EQ(cube.trace_count(), 4);
  EXPECT_EQ(log.str(),
            "<Tensor shape=() dtype=float32 (symbolic)> x2\n<Tensor shape=() dtype=float32 (symbolic)> x3\n"
            "<Tensor shape=(1, 2) dtype=float32 (symbolic)> x2\n<Tensor shape=(2, 2) dtype=float32 (symbolic)> x2\n");
}

TEST(Tracing, TellsStaticValuesOfDifferentTypesApart) {
  const auto f = function([](const Tensor& x, const auto& value) {
    if constexpr (std::is_arithmetic_v<std::decay_t<decltype(value)>>) return x + float(value);
    else return x * 10.0f;
  });
  EXPECT_EQ(f(constant(1.0f), 1).item<float>(), 2.0f);
  EXPECT_EQ(f(constant(1.0f), 1.5).item<float>(), 2.5f);
  EXPECT_EQ(f(constant(1.0f), true).item<float>(), 2.0f);
  EXPECT_EQ(f(constant(1.0f), "word").item<float>(), 10.0f);
  EXPECT_EQ(f(constant(1.0f), std::string("word")).item<float>(), 10.0f);
  EXPECT_EQ(f.trace_count(), 4);
}

TEST(Tracing, OfTooManySignaturesSaysWhatToDo) {
  const auto f = function([](const Tensor& x, double rate) { return x * float(rate); }, {.name = "scale", .most_traces = 2});
  f(constant(1.0f), 0.5);
  f(constant(1.0f), 0.25);
  const std::string message = message_of<FailedPreconditionError>([&] { f(constant(1.0f), 0.125); });
  EXPECT_NE(message.find("[scale] traced 2 times already, now for (float32 (), 0.125)"), std::string::npos) << message;
  EXPECT_NE(message.find("pass it as a tensor"), std::string::npos) << message;
  EXPECT_EQ(f(constant(4.0f), 0.5).item<float>(), 2.0f) << "what is traced still runs";
}

TEST(InputSignature, TakesTwoBatchSizesAndRefusesAnotherImageSize) {
  const auto shrink = function([](const Tensor& images) { return images[{all, slice({}, {}, 2), slice({}, {}, 2)}]; },
                               {.name = "shrink", .input_signature = {{{float32, {-1, 28, 28}}}}});
  EXPECT_EQ(shrink(full({3, 28, 28}, 1.0, float32)).shape(), (Shape{3, 14, 14}));
  EXPECT_EQ(shrink(full({5, 28, 28}, 1.0, float32)).shape(), (Shape{5, 14, 14}));
  const std::string message = message_of<InvalidArgumentError>([&] { shrink(full({2, 2, 2}, 1.0, float32)); });
  EXPECT_NE(message.find("float32 (2, 2, 2)"), std::string::npos) << message;
  EXPECT_NE(message.find("-1, 28, 28"), std::string::npos) << message;
  EXPECT_THROW(shrink(full({3, 28, 28}, 1.0, float64)), InvalidArgumentError);
  EXPECT_THROW(shrink(full({3, 28}, 1.0, float32)), InvalidArgumentError);
  EXPECT_EQ(shrink.trace_count(), 2) << "a refused call leaves no trace";
}

TEST(InputSignature, CountsTheTensors) {
  const auto f = function([](const Tensor& x, const Tensor&) { return x; }, {.input_signature = {{{float32, {}}}}});
  EXPECT_NE(message_of<InvalidArgumentError>([&] { f(constant(1.0f), constant(2.0f)); }).find("has 1 tensors"), std::string::npos);
}

TEST(Tracing, UnrollsALoopInCppAndKeepsALoopOverATensor) {
  const auto unrolled = function([](const Tensor& x) {
    Tensor y = x;
    for (int i = 0; i < 10; ++i) y = y + 1;
    return y;
  });
  EXPECT_EQ(unrolled(constant(5)).item<std::int32_t>(), 15);
  EXPECT_EQ(unrolled.concrete_function(constant(5)).graph().op_names(), Names(10, "add"));

  const auto looped = function([](const Tensor& x) {
    return for_range(constant(0), constant(10), [](const Tensor&, std::span<const Tensor> state) -> Tensors { return {state[0] + 1}; }, {x})[0];
  });
  EXPECT_EQ(looped(constant(5)).item<std::int32_t>(), 15);
  EXPECT_EQ(looped.concrete_function(constant(5)).graph().op_names(), Names{"while_loop"});
}

TEST(FunctionVariables, ArePassedAsThemselvesWhereTheFunctionTakesVariables) {
  const Variable a(constant(0)), b(constant(100));
  const auto increment = function([](const Variable& counter, const Tensor& by) {
    counter.assign_add(by);
    return counter.value();
  });
  EXPECT_EQ(increment(a, constant(1)).item<std::int32_t>(), 1);
  EXPECT_EQ(increment(a, constant(1)).item<std::int32_t>(), 2);
  EXPECT_EQ(increment(b, constant(5)).item<std::int32_t>(), 105);
  EXPECT_EQ(a.value().item<std::int32_t>(), 2);
  EXPECT_EQ(increment.trace_count(), 2) << "one for each variable";
  a.assign(10);
  EXPECT_EQ(increment(a, constant(1)).item<std::int32_t>(), 11) << "by its cell, not by the value at the trace";
  EXPECT_EQ(to_string(increment.concrete_function(Variable(constant(0), {.path = "c"}), constant(1)).signature()), "(variable c, int32 ())");
}

TEST(FunctionVariables, ArePassedByValueWhereTheFunctionTakesTensors) {
  const Variable v(constant(2.0f));
  const auto cube = function([](const Tensor& x) { return x * x * x; });
  EXPECT_EQ(cube(v).item<float>(), 8.0f);
  v.assign(3.0f);
  EXPECT_EQ(cube(v).item<float>(), 27.0f);
  EXPECT_EQ(cube.trace_count(), 1);
}

TEST(FunctionVariables, OfAnObjectKeepTheirStateBetweenCalls) {
  struct Counter {
    Variable count{constant(0)};
    Tensor increment(const Tensor& by) {
      count.assign_add(by);
      return count.value();
    }
  } counter;
  const auto increment = function([&](const Tensor& by) { return counter.increment(by); });
  increment(constant(1));
  EXPECT_EQ(increment(constant(1)).item<std::int32_t>(), 2);
}

TEST(FunctionVariables, AreAssignedInTheProgramsOrder) {
  const auto program = [](const Variable& a, const Variable& b, const Tensor& x) {
    a.assign_add(x);            // a + x
    b.assign(a.value() * 2.0f);  // 2 (a + x)
    a.assign(b.value() + 1.0f);
    b.assign_sub(a.value());     // -1
    a.assign_add(b.value());
    return a.value() + x;
  };
  const Variable a(constant(1.0f)), b(constant(50.0f)), c(constant(1.0f)), d(constant(50.0f));
  const auto traced = function(program);
  for (const float x : {3.0f, -2.0f, 0.5f}) {
    EXPECT_EQ(program(a, b, constant(x)).item<float>(), traced(c, d, constant(x)).item<float>());
    EXPECT_EQ(a.value().item<float>(), c.value().item<float>());
    EXPECT_EQ(b.value().item<float>(), d.value().item<float>());
  }
}

TEST(FunctionVariables, ArePartlyAssignedAndScatteredTo) {
  const auto program = [](const Variable& v, const Tensor& x) {
    v[{0, 1}].assign(x);
    v[1].assign_add(constant({1.0f, 1.0f, 1.0f}));
    v.scatter_nd_update(constant({{0, 0}}), reshape(x * 2.0f, {1}));
    v.scatter_add(constant({1, 1}), full({2, 3}, 1.0, float32));
    return reduce_sum(v);
  };
  const Tensor start = constant({{1.0f, 2.0f, 3.0f}, {4.0f, 5.0f, 6.0f}});
  const Variable eager(start), graph(start);
  const auto traced = function(program);
  for (const float x : {42.0f, 7.0f}) {
    EXPECT_EQ(program(eager, constant(x)).item<float>(), traced(graph, constant(x)).item<float>());
    EXPECT_EQ(eager.value().to_vector<float>(), graph.value().to_vector<float>());
  }
}

TEST(FunctionVariables, MayBeCreatedByTheFirstTrace) {
  std::optional<Variable> total;
  const auto add = function([&](const Tensor& x) {
    if (!total) total.emplace(full(x.shape(), 0.0, float32));
    total->assign_add(x);
    return total->value();
  });
  EXPECT_EQ(add(constant(2.0f)).item<float>(), 2.0f);
  EXPECT_EQ(add(constant(3.0f)).item<float>(), 5.0f);
  EXPECT_EQ(add.trace_count(), 1);
}

TEST(FunctionVariables, MustNotBeCreatedAtEveryCall) {
  const auto f = function([](const Tensor& x) {
    const Variable v(constant(1.0f), {.path = "fresh"});
    v.assign_add(x);
    return v.value();
  }, {.name = "careless"});
  const std::string message = message_of<FailedPreconditionError>([&] { f(constant(1.0f)); });
  EXPECT_NE(message.find("[careless]"), std::string::npos) << message;
  EXPECT_NE(message.find("'fresh'"), std::string::npos) << message;
  EXPECT_NE(message.find("first call only"), std::string::npos) << message;
  EXPECT_EQ(f.trace_count(), 0);
}

TEST(FunctionVariables, MustNotBeCreatedByALaterTrace) {
  std::vector<Variable> all;
  const auto f = function([&](const Tensor& x) {
    if (all.size() < std::size_t(x.ndim()) + 1) all.emplace_back(constant(0.0f));
    return x * all.back().value();
  });
  f(constant(1.0f));
  EXPECT_THROW(f(constant({1.0f})), FailedPreconditionError);
}

TEST(FunctionVariables, AreNotThoseOfARandomSeedFirstUsedInside) {
  const auto noise = function([](const Tensor& x) { return x + random::normal(x.shape(), 0, 1, float32, 987654); });
  noise(constant(1.0f));
  EXPECT_NO_THROW(noise(constant({1.0f})));
  const auto later = function([](const Tensor& x) { return x + random::normal(x.shape(), 0, 1, float32, 987655 + x.ndim()); });
  later(constant(1.0f));
  EXPECT_NO_THROW(later(constant({1.0f})));
}

TEST(Tracing, AFunctionThatThrowsLeavesEverythingAsItWas) {
  const Variable w(constant(1.0f));
  bool fails = true;
  const auto f = function([&](const Tensor& x) {
    w.assign_add(x);
    if (fails) throw std::runtime_error("the user's own");
    return w.value();
  });
  GradientTape tape;
  tape.watch(w);
  EXPECT_THROW(f(constant(1.0f)), std::runtime_error);
  EXPECT_FALSE(detail::tracing());
  EXPECT_EQ(w.value().item<float>(), 1.0f);
  EXPECT_EQ(f.trace_count(), 0);
  const Tensor y = square(w);
  EXPECT_EQ(tape.gradient(y, w).dense().item<float>(), 2.0f) << "the tape outside goes on";
  fails = false;
  EXPECT_EQ(f(constant(4.0f)).item<float>(), 5.0f) << "and the function is traced again";
}

TEST(Tracing, AFunctionInsideAnotherThatThrowsLeavesTheOuterOneUsable) {
  const auto inner = function([](const Tensor& x) -> Tensor { return matmul(x, x); });
  const auto outer = function([&](const Tensor& x) {
    try {
      return inner(x);
    } catch (const InvalidArgumentError&) {
      return inner(reshape(x, {2, 2}));
    }
  });
  EXPECT_EQ(outer(constant({1.0f, 0.0f, 0.0f, 1.0f})).to_vector<float>(), (Floats{1, 0, 0, 1}));
}

TEST(Tracing, RefusesATensorThatLeakedIntoAnotherFunction) {
  Tensor leaked;
  const auto f = function([&](const Tensor& x) {
    const Tensor unused = x * 2.0f;
    leaked = unused + 1.0f;
    return x;
  });
  const auto g = function([&](const Tensor& x) { return exp(exp(exp(x))) + leaked; });
  f(constant(2.0f));
  const std::string message = message_of<FailedPreconditionError>([&] { g(constant(1.0f)); });
  EXPECT_NE(message.find("another traced function"), std::string::npos) << message;
  EXPECT_THROW(f(leaked), FailedPreconditionError);
}

TEST(FunctionState, IsLeftAloneByARunThatFails) {
  const Variable w(full({3}, 0.0, float32)), v(full({3}, 0.0, float32));
  const auto f = function([&](const Tensor& ids) {
    w.assign(w.value() + 1.0f);
    v.assign(v.value() + 1.0f);
    return gather(w.value() * 2.0f, ids);
  });
  f(constant({0, 1}));
  EXPECT_THROW(f(constant({0, 7})), InvalidArgumentError);
  EXPECT_EQ(w.value().to_vector<float>(), Floats(3, 1.0f));
  EXPECT_EQ(v.value().to_vector<float>(), Floats(3, 1.0f));
  const auto scatter = function([&](const Tensor& ids) {
    v.assign(v.value() + 1.0f);
    w.scatter_add(ids, full({2}, 1.0, float32));
  });
  scatter(constant({0, 1}));
  EXPECT_THROW(scatter(constant({0, 9})), InvalidArgumentError);
  EXPECT_EQ(v.value().to_vector<float>(), Floats(3, 2.0f));
}

/// A training step in miniature: a weight, its momentum, a counter, a running metric and noise from a seed.
struct Step {
  Variable w{constant({1.0f, -2.0f, 0.5f})};
  Variable m{full({3}, 0.0, float32), {.trainable = false}};
  Variable step{constant(0), {.trainable = false}};
  Variable total{constant(0.0f), {.trainable = false}}, count{constant(0.0f), {.trainable = false}};
  Tensor operator()(const Tensor& x) const {
    GradientTape tape;
    const Tensor noise = random::normal({3}, 0, 0.1, float32, 11);
    const Tensor loss = reduce_sum(square((w.value() + noise) * x));
    const Tensor g = tape.gradient(loss, w).dense();
    step.assign_add(1);
    m.assign(0.9f * m.value() + g / cast(step, float32));
    w.assign_sub(0.01f * m.value() * random::uniform({3}, 0, 1, float32, 12));
    total.assign_add(loss);
    count.assign_add(1.0f);
    return total.value() / count.value();
  }
};

TEST(FunctionState, TracedStepsEqualEagerSteps) {
  const auto run = [](auto&& step, const Step& state) {
    random::set_seed(7);
    Floats trail;
    for (int i = 0; i < 4; ++i) trail.push_back(step(constant({1.0f, float(i), 2.0f})).template item<float>());
    for (const Variable* each : {&state.w, &state.m, &state.total, &state.count})
      for (const float value : each->value().to_vector<float>()) trail.push_back(value);
    trail.push_back(float(state.step.value().item<std::int32_t>()));
    return trail;
  };
  const Step eager, traced;
  const Floats expected = run(eager, eager), actual = run(function([&](const Tensor& x) { return traced(x); }), traced);
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(expected[i], actual[i], 1e-5 * (1 + std::abs(expected[i]))) << i;
  EXPECT_EQ(actual.back(), 4.0f);
}

TEST(FunctionState, AStepDividedOverTwoFunctionsEqualsOne) {
  const Variable a(constant(1.0f)), b(constant(1.0f));
  const auto whole = function([&](const Tensor& x) {
    a.assign(a.value() * x);
    a.assign_add(x);
    return a.value();
  });
  const auto first = function([&](const Tensor& x) { b.assign(b.value() * x); });
  const auto second = function([&](const Tensor& x) {
    b.assign_add(x);
    return b.value();
  });
  for (int i = 1; i < 4; ++i) {
    first(constant(float(i)));
    EXPECT_EQ(whole(constant(float(i))).item<float>(), second(constant(float(i))).item<float>());
  }
}

TEST(FunctionState, RandomNumbersAreDrawnAnewAtEachCall) {
  const auto draw = function([](const Tensor& x) { return std::pair(x + random::uniform({4}), x + random::uniform({4})); });
  const auto [a, b] = draw(constant(0.0f));
  const auto [c, d] = draw(constant(0.0f));
  EXPECT_EQ(draw.trace_count(), 1);
  for (const Tensor* other : {&b, &c, &d}) EXPECT_NE(a.to_vector<float>(), other->to_vector<float>());
  EXPECT_NE(c.to_vector<float>(), d.to_vector<float>());
}

TEST(FunctionState, SeededSequencesAreTheSameTracedAndEager) {
  const auto draw = [](const Tensor& x) {
    return stack(std::vector<Tensor>{x + random::uniform({2}), x + random::normal({2}, 0, 1, float32, 5), x + random::truncated_normal({2}), x + random::normal({2}, 0, 1, float32, 5)});
  };
  const auto traced = function(draw);
  const auto sequence = [](auto&& f) {
    random::set_seed(42);
    Floats all;
    for (int i = 0; i < 3; ++i)
      for (const float value : f(constant(0.0f)).template to_vector<float>()) all.push_back(value);
    return all;
  };
  const Floats eager = sequence(draw);
  EXPECT_EQ(sequence(traced), eager);
  EXPECT_EQ(sequence(traced), eager) << "and again after the same seed";
}

TEST(ConcreteFunctions, AreKeptAndRunAlone) {
  const auto cube = function([](const Tensor& x) { return x * x * x; });
  const ConcreteFunction& concrete = cube.concrete_function(constant(2.0f));
  const Tensor argument = constant(3.0f);
  EXPECT_EQ(concrete({&argument, 1})[0].item<float>(), 27.0f);
  EXPECT_EQ(&cube.concrete_function(constant(5.0f)), &concrete);
  cube(constant({1.0f}));
  EXPECT_EQ(&cube.concrete_function(constant(1.0f)), &concrete) << "also after other traces";
  EXPECT_EQ(cube.concrete_functions().size(), 2u);
  EXPECT_EQ(to_string(concrete.signature()), "(float32 ())");
}

TEST(ConcreteFunctions, JoinATraceThatCallsThem) {
  const Variable calls(constant(0));
  const auto inner = function([&](const Tensor& x) {
    calls.assign_add(1);
    return x * cast(calls.value(), float32);
  });
  const ConcreteFunction& concrete = inner.concrete_function(constant(2.0f));
  const auto outer = function([&](const Tensor& x) { return concrete({&x, 1})[0] + concrete({&x, 1})[0]; });
  EXPECT_EQ(outer(constant(10.0f)).item<float>(), 10.0f + 20.0f);
  EXPECT_EQ(outer(constant(10.0f)).item<float>(), 30.0f + 40.0f);
  EXPECT_EQ(calls.value().item<std::int32_t>(), 4);
}

TEST(ConcreteFunctions, RefuseArgumentsOfAnotherSignature) {
  const auto cube = function([](const Tensor& x) { return x * x * x; }, {.name = "cube"});
  const ConcreteFunction& concrete = cube.concrete_function(constant(2.0f));
  const Tensor wrong[] = {constant({1.0f, 2.0f}), constant(1.0f)};
  const std::string message = message_of<InvalidArgumentError>([&] { concrete({wrong, 1}); });
  EXPECT_NE(message.find("[cube] argument 0 is float32 (2,), but this is the trace for (float32 ())"), std::string::npos) << message;
  EXPECT_THROW(concrete(wrong), InvalidArgumentError);
  EXPECT_THROW(concrete({}), InvalidArgumentError);
}

TEST(ConcreteFunctions, ListTheirOps) {
  const Variable w(constant(2.0f), {.path = "scale"});
  const auto f = function([&](const Tensor& x) {
    const Tensor y = tanh(x * w.value()) + constant({1.0f, 2.0f});
    w.assign(reduce_sum(y));
    return y;
  });
  const ConcreteFunction& concrete = f.concrete_function(constant({1.0f, 2.0f}));
  EXPECT_EQ(concrete.graph().op_names(), (Names{"multiply", "tanh", "add", "reduce_sum"}));
  EXPECT_EQ(to_string(concrete.graph()),
            "%0 = argument  float32 (2,)\n%1 = variable scale  float32 ()\n%2 = multiply(%0, %1)  float32 (2,)\n%3 = tanh(%2)  float32 (2,)\n"
            "%4 = constant  float32 (2,)\n%5 = add(%3, %4)  float32 (2,)\n%6 = reduce_sum(%5, axis=none, keepdims=false)  float32 ()\nreturn %5\nscale := %6\n");
}

/// Nodes and edges of a drawing; fails the test for a line that is neither, and for an edge to a node that is not there.
std::pair<int, int> count_drawn(const std::string& dot) {
  const std::regex node(R"re(  (\w+) \[label="(?:[^"\\]|\\.)*"(?:, \w+=(?:\w+|"[^"]*"))*\];)re"), edge(R"(  (\w+) -> (\w+);)"), defaults(R"(  node \[.*\];)");
  std::istringstream lines(dot);
  std::string line;
  std::set<std::string> names;
  std::vector<std::pair<std::string, std::string>> edges;
  std::getline(lines, line);
  EXPECT_TRUE(std::regex_match(line, std::regex(R"re(digraph "(?:[^"\\]|\\.)*" \{)re"))) << line;
  for (std::smatch match; std::getline(lines, line) && line != "}";)
    if (std::regex_match(line, match, edge)) edges.emplace_back(match[1], match[2]);
    else if (std::regex_match(line, defaults)) continue;
    else if (std::regex_match(line, match, node)) EXPECT_TRUE(names.insert(match[1]).second) << line;
    else ADD_FAILURE() << "not a line of Graphviz: " << line;
  EXPECT_EQ(line, "}");
  for (const auto& [from, to] : edges) EXPECT_TRUE(names.contains(from) && names.contains(to)) << from << " -> " << to;
  return {int(names.size()), int(edges.size())};
}

TEST(Drawing, HasEachNodeAndEachUse) {
  const Variable w(constant(2.0f), {.path = "a \"quoted\\name\""});
  const auto f = function([&](const Tensor& x) {
    w.assign(w.value() + 1.0f);
    return x * x;
  });
  const std::string dot = to_dot(f.concrete_function(constant({1.0f, 2.0f})).graph(), "say \"hello\"");
  // argument, variable, constant, add, multiply, result, update; x twice, w and 1 into add, and the two that leave.
  EXPECT_EQ(count_drawn(dot), (std::pair(7, 6))) << dot;
}

TEST(Drawing, IsTakenByGraphviz) {
  ASSERT_EQ(std::system("dot -V > /dev/null 2>&1"), 0) << "Graphviz is not installed, though packages.txt lists it";
  const auto f = function([](const Tensor& x) {
    print("a \"message\"\n", {&x, 1});
    return cond(greater(reduce_sum(x), scalar(0.0f, float32)), [&] { return x; }, [&] { return -x; });
  });
  const std::string path = ::testing::TempDir() + "lockstep_drawing.dot";
  std::ofstream(path) << to_dot(f.concrete_function(constant({1.0f})).graph(), "f \"x\"");
  EXPECT_EQ(std::system(("dot -Tsvg \"" + path + "\" > /dev/null").c_str()), 0);
  std::remove(path.c_str());
}

TEST(Print, KeepsItsPlaceAmongOtherPrintsAndAssignments) {
  const Variable v(constant(1));
  const auto program = [&](const Tensor& x) {
    print("before", std::vector<Tensor>{v.value()});
    v.assign_add(x);
    print("after", std::vector<Tensor>{v.value(), x});
    return v.value();
  };
  const auto traced = function(program);
  traced.concrete_function(constant(2));
  ::testing::internal::CaptureStdout();
  traced(constant(2));
  program(constant(3));
  traced(constant(4));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "before 1\nafter 3 2\nbefore 3\nafter 6 3\nbefore 6\nafter 10 4\n");
}

TEST(Print, IsNotOptimizedAwayMergedOrFused) {
  const auto f = function([](const Tensor& x) {
    const Tensor y = exp(x) * 0.0f;
    print("same", {&y, 1});
    print("same", {&y, 1});
    return x;
  });
  ::testing::internal::CaptureStdout();
  f(constant(1.0f));
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "same 0.0\nsame 0.0\n");
}

}  // namespace
}  // namespace lockstep::autodiff
