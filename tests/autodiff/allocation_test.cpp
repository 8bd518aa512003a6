// A training step in steady state asks nobody for memory. A program of its own, because it replaces the C library's allocating
// functions (operator new calls them too) to count their calls. posix_memalign is left out: only oneDNN calls it, dnnl_sgemm for the
// buffer in which it packs its operands.

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/allocator.h>

namespace {

std::atomic<std::size_t> allocations{0};

void* counted(void* block) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  return block;
}

}  // namespace

extern "C" {
// glibc's own names for what is replaced.
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) { return counted(__libc_malloc(size)); }
void* calloc(std::size_t count, std::size_t size) { return counted(__libc_calloc(count, size)); }
void* realloc(void* block, std::size_t size) { return counted(__libc_realloc(block, size)); }
void* aligned_alloc(std::size_t alignment, std::size_t size) { return counted(__libc_memalign(alignment, size)); }
}

namespace lockstep::autodiff {
namespace {

/// Calls of the system's allocators in `rounds` calls of `body`, after a few that fill the caches.
template <class F>
std::size_t allocations_of(F&& body, int rounds = 20) {
  for (int i = 0; i < 5; ++i) body();
  const std::size_t before = allocations;
  for (int i = 0; i < rounds; ++i) body();
  return allocations - before;
}

TEST(Allocation, IsSeenByTheCounter) {
  static int* volatile block;  // volatile: a pair of new and delete may be left out
  EXPECT_EQ(allocations_of([] { block = new int; delete block; }, 3), 3u);
  EXPECT_EQ(allocations_of([] { std::free(std::aligned_alloc(64, 64)); }, 3), 3u);
  const std::size_t before = memory_stats().system_allocations;
  const Tensor large = full({1 << 20}, 1.0, float64);
  EXPECT_GT(memory_stats().system_allocations, before);
}

Tensor noise(const Shape& shape, float scale, std::uint32_t seed) {
  Tensor tensor = Tensor::empty(shape, float32);
  std::uint32_t state = seed * 2654435761u + 1u;
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    state = state * 1664525u + 1013904223u;
    tensor.mutable_data<float>()[i] = scale * (float(state >> 8) / float(1 << 23) - 1.0f);
  }
  return tensor;
}

/// A weight with Nadam's two moments.
struct Parameter {
  Variable value, m, v;
  Parameter(const Shape& shape, float scale, std::uint32_t seed)
      : value(noise(shape, scale, seed)), m(full(shape, 0.0, float32), {.trainable = false}), v(full(shape, 0.0, float32), {.trainable = false}) {}
};

/// The book's housing model, 8-30-1 with Huber's loss and Keras's Nadam, written out in ops; a metric and noise on top.
struct BookMlp {
  std::vector<Parameter> p{{{8, 30}, 0.4f, 1}, {{30}, 0.0f, 2}, {{30, 1}, 0.4f, 3}, {{1}, 0.0f, 4}};
  Variable step{full({}, 0.0, float32), {.trainable = false}}, product{full({}, 1.0, float32), {.trainable = false}};
  Variable total{full({}, 0.0, float32), {.trainable = false}};
  bool noisy = false;

  Tensor operator()(const Tensor& x, const Tensor& y) {
    GradientTape tape;
    const Tensor seen = noisy ? x + random::normal(x.shape(), 0, 0.01) : x;
    const Tensor hidden = relu(matmul(seen, p[0].value) + p[1].value.value());
    const Tensor error = matmul(hidden, p[2].value) + p[3].value.value() - y;
    const Tensor size = abs(error);
    const Tensor loss = reduce_mean(where(less_equal(size, scalar(1.0f, float32)), 0.5f * square(error), size - 0.5f));
    std::vector<Source> sources;
    for (const Parameter& each : p) sources.emplace_back(each.value);
    nadam(tape.gradient(loss, sources));
    total.assign_add(loss);
    return loss;
  }

  void nadam(std::span<const Gradient> gradients) {
    const Tensor t = step.value() + 1.0f;
    step.assign(t);
    const auto mu = [](const Tensor& at) { return 0.9f * (1.0f - 0.5f * pow(scalar(0.96f, float32), at)); };
    const Tensor now = product.value() * mu(t), next = now * mu(t + 1.0f);
    product.assign(now);
    for (std::size_t i = 0; i < p.size(); ++i) {
      const Tensor g = gradients[i].dense();
      const Tensor m = p[i].m.value() + (g - p[i].m.value()) * 0.1f;
      const Tensor v = p[i].v.value() + (square(g) - p[i].v.value()) * 0.001f;
      p[i].m.assign(m);
      p[i].v.assign(v);
      const Tensor direction = m * (mu(t + 1.0f) / (1.0f - next)) + g * ((1.0f - mu(t)) / (1.0f - now));
      p[i].value.assign(p[i].value.value() - 1e-3f * direction / (sqrt(v / (1.0f - pow(scalar(0.999f, float32), t))) + 1e-7f));
    }
  }
};

TEST(Allocation, DoesNotHappenInATracedTrainingStep) {
  for (const bool noisy : {false, true}) {
    BookMlp model;
    model.noisy = noisy;
    const auto train = function([&](const Tensor& x, const Tensor& y) { return model(x, y); });
    const Tensor x = noise({32, 8}, 1, 5), y = noise({32, 1}, 1, 6);
    const float first = train(x, y).item<float>();
    const std::size_t system = memory_stats().system_allocations;
    float last = 0;
    EXPECT_EQ(allocations_of([&] { last = train(x, y).item<float>(); }), 0u) << (noisy ? "with noise" : "");
    EXPECT_EQ(memory_stats().system_allocations, system);
    EXPECT_LT(last, first) << "and it trains";
  }
}

TEST(Allocation, DoesNotHappenInTheStepsOfAScan) {
  const Variable w(noise({8, 8}, 0.3f, 1)), b(noise({8}, 0.3f, 2));
  const auto train = function([&](const Tensor& x) {
    GradientTape tape;
    const Tensor h = scan([&](std::span<const Tensor> state, std::span<const Tensor> slices) -> Scanned { return {{tanh(matmul(state[0], w.value()) + slices[0] + b.value())}, {}}; },
                          {full({4, 8}, 0.0, float32)}, {x}).state[0];
    const Source sources[] = {w, b};
    const std::vector<Gradient> gradients = tape.gradient(reduce_sum(square(h)), sources);
    return std::pair(gradients[0].dense(), gradients[1].dense());
  });
  const Tensor x = noise({30, 4, 8}, 1, 3);
  std::pair<Tensor, Tensor> kept;
  EXPECT_EQ(allocations_of([&] { kept = train(x); }), 0u);
}

TEST(Allocation, TakesTheReturnedTensorsFromTheCache) {
  const auto f = function([](const Tensor& x) { return std::pair(x * 2.0f, reduce_sum(x)); });
  const Tensor x = noise({64, 64}, 1, 1);
  std::pair<Tensor, Tensor> kept;
  EXPECT_EQ(allocations_of([&] { kept = f(x); }), 0u);
  EXPECT_EQ(kept.first.data<float>()[0], 2 * x.data<float>()[0]);
}

TEST(Allocation, TakesLargeTensorsFromTheCacheToo) {
  const auto f = function([](const Tensor& x) { return exp(x) + reduce_max(x); });
  const Tensor x = noise({1024, 512}, 1, 1);
  EXPECT_EQ(allocations_of([&] { f(x); }), 0u);
  EXPECT_EQ(allocations_of([&] { x + x; }), 0u);
}

TEST(Allocation, DoesNotHappenInEagerPointwiseOps) {
  const Tensor a = noise({8}, 1, 1), b = noise({8}, 1, 2);
  EXPECT_EQ(allocations_of([&] { a + b; }), 0u);
  EXPECT_EQ(allocations_of([&] { a * 2.0f + exp(b); }), 0u);
  const Tensor m = noise({4, 8}, 1, 3);
  EXPECT_EQ(allocations_of([&] { m * a; }), 0u) << "broadcast";
}

TEST(Allocation, DoesNotHappenWhenVariablesAreReadAndAssigned) {
  const Variable v(noise({16}, 1, 1));
  const Tensor delta = noise({16}, 1, 2);
  EXPECT_EQ(allocations_of([&] { v.assign_add(delta); }), 0u);
  EXPECT_EQ(allocations_of([&] { v.assign(v.value() * 0.5f); }), 0u);
}

}  // namespace
}  // namespace lockstep::autodiff
