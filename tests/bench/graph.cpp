// Training steps written out in ops, traced: book_mlp with Nadam, mlp with Adam (shared by every peer's program, float32).

#include <benchmark/benchmark.h>

#include <memory>

#include <lockstep/lockstep.h>

#include "bench.h"

namespace lockstep::bench {
namespace {

using autodiff::GradientTape;

Tensor noise(const Shape& shape, float scale, std::uint32_t seed) {
  Tensor tensor = Tensor::empty(shape, float32);
  float* out = tensor.mutable_data<float>();
  std::uint32_t state = seed * 2654435761u + 1u;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    out[i] = scale * (float(state >> 8) / float(1 << 23) - 1.0f);
  }
  return tensor;
}

struct Parameter {
  Variable value, m, v;
  Parameter(const Shape& shape, float scale, std::uint32_t seed, const std::string& path)
      : value(noise(shape, scale, seed), {.path = path}),
        m(full(shape, 0.0, float32), {.path = path + "/m", .trainable = false}),
        v(full(shape, 0.0, float32), {.path = path + "/v", .trainable = false}) {}
};

/// Keras's Adam: alpha = lr sqrt(1 - b2^t) / (1 - b1^t), w -= alpha m / (sqrt(v) + eps).
void adam(std::vector<Parameter>& parameters, const Variable& step, std::span<const Gradient> gradients) {
  const Tensor t = step.value() + 1.0f;
  step.assign(t);
  const Tensor alpha = 1e-3f * sqrt(1.0f - pow(scalar(0.999f, float32), t)) / (1.0f - pow(scalar(0.9f, float32), t));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = parameters[i];
    const Tensor g = gradients[i].dense();
    const Tensor m = p.m.value() + (g - p.m.value()) * 0.1f;
    const Tensor v = p.v.value() + (square(g) - p.v.value()) * 0.001f;
    p.m.assign(m);
    p.v.assign(v);
    p.value.assign(p.value.value() - alpha * m / (sqrt(v) + 1e-7f));
  }
}

/// Keras's Nadam, with the product of the momentum schedule mu_t = b1 (1 - 0.5 * 0.96^t).
void nadam(std::vector<Parameter>& parameters, const Variable& step, const Variable& product, std::span<const Gradient> gradients) {
  const Tensor t = step.value() + 1.0f;
  step.assign(t);
  const auto mu = [](const Tensor& at) { return 0.9f * (1.0f - 0.5f * pow(scalar(0.96f, float32), at)); };
  const Tensor mu_t = mu(t), mu_next = mu(t + 1.0f);
  const Tensor now = product.value() * mu_t;
  const Tensor next = now * mu_next;
  product.assign(now);
  const Tensor g_scale = (1.0f - mu_t) / (1.0f - now), m_scale = mu_next / (1.0f - next);
  const Tensor v_scale = 1.0f / (1.0f - pow(scalar(0.999f, float32), t));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    Parameter& p = parameters[i];
    const Tensor g = gradients[i].dense();
    const Tensor m = p.m.value() + (g - p.m.value()) * 0.1f;
    const Tensor v = p.v.value() + (square(g) - p.v.value()) * 0.001f;
    p.m.assign(m);
    p.v.assign(v);
    p.value.assign(p.value.value() - 1e-3f * (m * m_scale + g * g_scale) / (sqrt(v * v_scale) + 1e-7f));
  }
}

std::vector<autodiff::Source> sources(const std::vector<Parameter>& parameters) {
  std::vector<autodiff::Source> list;
  for (const Parameter& parameter : parameters) list.emplace_back(parameter.value);
  return list;
}

Case book_mlp() {
  auto p = std::make_shared<std::vector<Parameter>>();
  p->emplace_back(Shape{8, 30}, 0.4f, 1, "dense/kernel");
  p->emplace_back(Shape{30}, 0.0f, 2, "dense/bias");
  p->emplace_back(Shape{30, 1}, 0.4f, 3, "dense_1/kernel");
  p->emplace_back(Shape{1}, 0.0f, 4, "dense_1/bias");
  const Variable step(full({}, 0.0, float32), {.path = "step", .trainable = false});
  const Variable product(full({}, 1.0, float32), {.path = "product", .trainable = false});
  const Tensor x = noise({32, 8}, 1, 5), y = noise({32, 1}, 1, 6);
  auto train = autodiff::function([p, step, product](const Tensor& x, const Tensor& y) {
    GradientTape tape;
    const Tensor hidden = relu(matmul(x, (*p)[0].value) + (*p)[1].value.value());
    const Tensor error = matmul(hidden, (*p)[2].value) + (*p)[3].value.value() - y;
    const Tensor size = abs(error);
    const Tensor loss = reduce_mean(where(less_equal(size, scalar(1.0f, float32)), 0.5f * square(error), size - 0.5f));
    nadam(*p, step, product, tape.gradient(loss, sources(*p)));
    return loss;
  }, {.name = "book_mlp"});
  return {.name = "book_mlp_step", .body = [=] { benchmark::DoNotOptimize(train(x, y)); }};
}

Case mlp() {
  auto p = std::make_shared<std::vector<Parameter>>();
  const std::int64_t sizes[] = {784, 512, 256, 10};
  for (std::uint32_t layer = 0; layer < 3; ++layer) {
    const std::string path = "dense_" + std::to_string(layer);
    p->emplace_back(Shape{sizes[layer], sizes[layer + 1]}, 0.06f, 10 + layer, path + "/kernel");
    p->emplace_back(Shape{sizes[layer + 1]}, 0.0f, 20 + layer, path + "/bias");
  }
  const Variable step(full({}, 0.0, float32), {.path = "step", .trainable = false});
  const Tensor x = noise({256, 784}, 1, 5);
  Tensor labels = Tensor::empty({256}, int32);
  for (int i = 0; i < 256; ++i) labels.mutable_data<std::int32_t>()[i] = i % 10;
  auto train = autodiff::function([p, step](const Tensor& x, const Tensor& labels) {
    GradientTape tape;
    const Tensor h1 = relu(matmul(x, (*p)[0].value) + (*p)[1].value.value());
    const Tensor h2 = relu(matmul(h1, (*p)[2].value) + (*p)[3].value.value());
    const Tensor logits = matmul(h2, (*p)[4].value) + (*p)[5].value.value();
    const Tensor loss = reduce_mean(sparse_softmax_cross_entropy_with_logits(labels, logits));
    adam(*p, step, tape.gradient(loss, sources(*p)));
    return loss;
  }, {.name = "mlp"});
  const double flops = 2.0 * 256 * (784.0 * 512 * 2 + 512.0 * 256 * 3 + 256.0 * 10 * 3);
  return {.name = "mlp_step", .body = [=] { benchmark::DoNotOptimize(train(x, labels)); }, .flops = flops};
}

Case small_call() {
  auto f = autodiff::function([](const Tensor& x) { return x * x + 1.0f; });
  const Tensor x = full({8}, 1.5, float32);
  return {.name = "traced_call_8", .body = [=] { benchmark::DoNotOptimize(f(x)); }};
}

}  // namespace

std::vector<Case> graph_cases() { return {small_call(), book_mlp(), mlp()}; }

}  // namespace lockstep::bench
