// Random programs over two dozen ops: eager, traced with all passes, and traced with a pass left out must agree, in their values, in
// the variable they update and in their gradients.

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/parallel.h>

namespace lockstep::autodiff {
namespace {

constexpr unsigned kPrograms = 300;
constexpr unsigned kLeftOut = 2;  // passes left out of each program, one at a time and in turn: every pass meets 75 programs

/// One step of a program: an op by number, and the earlier values it takes.
struct Instruction {
  int op;
  std::size_t a, b;
};

struct RandomProgram {
  std::int64_t rows, columns;
  std::vector<Instruction> code;
  Tensor x, y, start;

  explicit RandomProgram(unsigned seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return std::size_t(random() % n); };
    rows = std::int64_t(1 + below(5));
    columns = std::int64_t(1 + below(9));
    const std::size_t length = 4 + below(9);
    for (std::size_t i = 0; i < length; ++i) {
      const std::size_t made = 3 + i;
      // Often the newest value, so that chains grow; else any, so that subexpressions are shared.
      const auto operand = [&] { return below(2) ? made - 1 : below(made); };
      code.push_back({int(below(24)), operand(), operand()});
    }
    const auto tensor = [&](const Shape& shape) {
      Tensor made = Tensor::empty(shape, float32);
      for (std::int64_t k = 0; k < made.numel(); ++k) made.mutable_data<float>()[k] = float(int(below(4001)) - 2000) / 1000;
      return made;
    };
    x = tensor({rows, columns});
    y = tensor({columns});
    start = tensor({rows, columns});
  }

  /// Every instruction gives a (rows, columns) tensor again, of moderate size.
  Tensor call(const Instruction& step, std::span<const Tensor> values) const {
    const Tensor &a = values[step.a], &b = values[step.b];
    const Ints shape{rows, columns};
    switch (step.op) {
      case 0: return a + b;
      case 1: return a - b;
      case 2: return a * b * 0.5f;
      case 3: return a / (square(b) + 1.0f);
      case 4: return tanh(a);
      case 5: return exp(-abs(a));
      case 6: return sigmoid(a) * b;
      case 7: return maximum(a, b);
      case 8: return where(greater(a, b), a * 0.25f, b + 1.0f);
      case 9: return relu(a) - 0.1f;
      case 10: return a - reduce_mean(a);
      case 11: return a * 0.5f + reduce_sum(b, 0) * 0.1f;
      case 12: return tanh(a + reduce_sum(a, 1, true));
      case 13: return a - reduce_max(b, 1, true);
      case 14: return tanh(matmul(matmul(a, b, false, true), a));
      case 15: return sin(reshape(matmul(transpose(a), b)[{slice(0, 1)}], {1, columns}) * 0.2f) + b;
      case 16: return reshape(transpose(a), shape) + b * 0.5f;
      case 17: return reshape(reshape(a, {-1}), shape) * 1.0f;
      case 18: return transpose(transpose(a) + transpose(b));
      case 19: return concat(std::vector<Tensor>{a[{slice(0, 1)}], b[{slice(1)}]}, 0);
      case 20: return log(square(a) + 1.5f) + values[1];
      case 21: return softmax(a) + tanh(b);
      case 22: return broadcast_to(reduce_mean(square(a - b), 0), shape) * 0.3f;
      default: return sqrt(square(a) + square(b) + 0.5f) + (a + b) * (b + a) * 0.1f;
    }
  }

  /// Two results, the loss, and its gradients by both arguments and the variable, which then takes a step.
  Tensors run(const Tensor& first, const Tensor& second, const Variable& v) const {
    GradientTape tape;
    tape.watch(first);
    tape.watch(second);
    std::vector<Tensor> values{first, broadcast_to(second, {rows, columns}), v.value()};
    for (const Instruction& step : code) values.push_back(clip_by_value(call(step, values), -20.0, 20.0));
    const Tensor loss = reduce_mean(square(values.back())) + reduce_sum(values[values.size() / 2]) * 0.01f;
    const auto gradients = tape.gradient(loss, {first, second, v});
    Tensors results{values.back(), values[values.size() - 2], loss};
    const Tensor like[] = {first, second, v.value()};
    for (std::size_t i = 0; i < 3; ++i) results.push_back(gradients[i].exists() ? gradients[i].dense() : zeros_like(like[i]));
    v.assign(v.value() - 0.1f * results.back());
    return results;
  }

  /// Two calls in a row, the second with what the first left in the variable.
  template <class Step>
  Tensors twice(Step&& step) const {
    const Variable v(start);
    const Tensors once = step(x, y, v);
    Tensors all = step(x * 0.5f, y, v);
    all.append(once.begin(), once.end());
    all.push_back(v.value());
    return all;
  }
};

void expect_close(const Tensors& expected, const Tensors& actual, const std::string& what) {
  ASSERT_EQ(expected.size(), actual.size());
  for (std::size_t r = 0; r < expected.size(); ++r) {
    ASSERT_EQ(expected[r].shape(), actual[r].shape()) << what << ", tensor " << r;
    const auto a = expected[r].data<float>(), b = actual[r].data<float>();
    double scale = 1;
    for (const float each : a) scale = std::max(scale, double(std::abs(each)));
    for (std::size_t k = 0; k < a.size(); ++k) ASSERT_NEAR(a[k], b[k], 1e-5 * scale) << what << ", tensor " << r << ", element " << k;
  }
}

TEST(RandomPrograms, GiveTheSameEagerTracedAndWithoutEachPass) {
  const int threads = intra_op_threads();
  set_intra_op_threads(1);  // the tensors are tiny: a second thread would only wait
  for (unsigned seed = 0; seed < kPrograms && !::testing::Test::HasFailure(); ++seed) {
    const RandomProgram program(seed);
    const Tensors eager = program.twice([&](const Tensor& x, const Tensor& y, const Variable& v) { return program.run(x, y, v); });
    std::vector<std::string> left_out{""};
    for (unsigned k = 0; k < kLeftOut; ++k) left_out.emplace_back(passes()[(seed * kLeftOut + k) % passes().size()].name);
    const auto traced = [&](const std::string& pass) {
      FunctionOptions options{.name = "program"};
      if (!pass.empty()) options.disabled_passes.insert(pass);
      return program.twice(function([&](const Tensor& x, const Tensor& y, const Variable& v) { return program.run(x, y, v); }, options));
    };
    for (const std::string& pass : left_out) expect_close(eager, traced(pass), "program " + std::to_string(seed) + " without " + (pass.empty() ? "nothing" : pass));
  }
  set_intra_op_threads(threads);
}

}  // namespace
}  // namespace lockstep::autodiff
