// Single ops beside what limits them: products and convolutions beside calling oneDNN directly, the rest beside a plain copy.

#include <benchmark/benchmark.h>
#include <dnnl.hpp>

#include <array>
#include <cstring>
#include <memory>
#include <unordered_map>

#include <lockstep/lockstep.h>

#include "bench.h"

namespace lockstep::bench {
namespace {

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

/// A oneDNN primitive with its memory, made once, as a careful user of oneDNN would.
struct Direct {
  dnnl::primitive primitive;
  std::unordered_map<int, dnnl::memory> arguments;
  dnnl::stream stream{engine()};
  void operator()() {
    primitive.execute(stream, arguments);
    stream.wait();
  }
};

dnnl::memory filled(const dnnl::memory::desc& desc) {
  dnnl::memory memory(desc, engine());
  auto* data = static_cast<float*>(memory.get_data_handle());
  for (std::size_t i = 0; i < desc.get_size() / sizeof(float); ++i) data[i] = float(i % 7) - 3;
  return memory;
}

std::shared_ptr<Direct> direct_matmul(dnnl::memory::dim m, dnnl::memory::dim k, dnnl::memory::dim n, bool transpose_a, bool transpose_b) {
  using Desc = dnnl::memory::desc;
  using Dims = dnnl::memory::dims;
  const auto f32 = dnnl::memory::data_type::f32;
  const Desc a({m, k}, f32, transpose_a ? Dims{1, m} : Dims{k, 1}), b({k, n}, f32, transpose_b ? Dims{1, k} : Dims{n, 1}), c({m, n}, f32, Dims{n, 1});
  auto direct = std::make_shared<Direct>();
  direct->primitive = dnnl::matmul(dnnl::matmul::primitive_desc({a, b, c}, engine()));
  direct->arguments = {{DNNL_ARG_SRC, filled(a)}, {DNNL_ARG_WEIGHTS, filled(b)}, {DNNL_ARG_DST, filled(c)}};
  return direct;
}

std::shared_ptr<Direct> direct_convolution(dnnl::memory::dim batch, dnnl::memory::dim size, dnnl::memory::dim in, dnnl::memory::dim out) {
  using Tag = dnnl::memory::format_tag;
  const auto f32 = dnnl::memory::data_type::f32;
  const dnnl::memory::desc x({batch, in, size, size}, f32, Tag::nhwc), w({out, in, 3, 3}, f32, Tag::any), y({batch, out, size - 2, size - 2}, f32, Tag::nhwc);
  const dnnl::convolution_forward::primitive_desc desc(
      {dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, x, w, y, {1, 1}, {0, 0}, {0, 0}}, engine());
  auto direct = std::make_shared<Direct>();
  direct->primitive = dnnl::convolution_forward(desc);
  direct->arguments = {{DNNL_ARG_SRC, filled(x)}, {DNNL_ARG_WEIGHTS, filled(desc.weights_desc())}, {DNNL_ARG_DST, filled(y)}};
  return direct;
}

Tensor ramp(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, float32);
  float* out = tensor.mutable_data<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) out[i] = float(i % 1000) / 250 - 2;
  return tensor;
}

void add_matmul(std::vector<Case>& cases, std::int64_t m, std::int64_t k, std::int64_t n, bool transpose_a, bool transpose_b) {
  const std::string name = std::to_string(m) + "x" + std::to_string(k) + "x" + std::to_string(n) + (transpose_a ? "_ta" : "") + (transpose_b ? "_tb" : "");
  const double flops = 2.0 * double(m) * double(k) * double(n);
  const auto direct = direct_matmul(m, k, n, transpose_a, transpose_b);
  const Tensor a = ramp(transpose_a ? Shape{k, m} : Shape{m, k}), b = ramp(transpose_b ? Shape{n, k} : Shape{k, n});
  auto product = autodiff::function([=](const Tensor& x, const Tensor& y) { return matmul(x, y, transpose_a, transpose_b); });
  cases.push_back({.name = "onednn_matmul_" + name, .body = [direct] { (*direct)(); }, .flops = flops});
  cases.push_back({.name = "matmul_" + name, .body = [=] { benchmark::DoNotOptimize(product(a, b)); }, .flops = flops, .reference = "onednn_matmul_" + name});
}

void add_convolution(std::vector<Case>& cases, std::int64_t batch, std::int64_t size, std::int64_t in, std::int64_t out) {
  const std::string name = std::to_string(batch) + "x" + std::to_string(size) + "x" + std::to_string(size) + "x" + std::to_string(in) + "_3x3_" + std::to_string(out);
  const double flops = 2.0 * double(batch * (size - 2) * (size - 2)) * double(in * out) * 9;
  const auto direct = direct_convolution(batch, size, in, out);
  const Tensor x = ramp({batch, size, size, in}), w = ramp({3, 3, in, out});
  auto convolve = autodiff::function([](const Tensor& a, const Tensor& b) { return conv2d(a, b); });
  cases.push_back({.name = "onednn_conv_" + name, .body = [direct] { (*direct)(); }, .flops = flops});
  cases.push_back({.name = "conv_" + name, .body = [=] { benchmark::DoNotOptimize(convolve(x, w)); }, .flops = flops, .reference = "onednn_conv_" + name});
}

}  // namespace

Tensor chain_of_ten(const Tensor& x, const Tensor& y) {
  Tensor z = x + y;
  z = z * x;
  z = maximum(z, y);
  z = neg(z);
  z = z - x;
  z = abs(z);
  z = minimum(z, y);
  z = square(z);
  z = z + x;
  return z * 0.5f;
}

std::vector<Case> op_cases() {
  std::vector<Case> cases;
  for (const auto& [m, k, n] : {std::array<std::int64_t, 3>{256, 784, 512}, {256, 512, 256}, {256, 256, 10}}) {
    add_matmul(cases, m, k, n, false, false);
    add_matmul(cases, k, m, n, true, false);   // gradient by the weights
    add_matmul(cases, m, n, k, false, true);   // gradient by the activations
  }
  add_convolution(cases, 64, 28, 1, 32);
  add_convolution(cases, 64, 26, 32, 64);

  constexpr std::int64_t kBig = std::int64_t(16) << 20;
  const double big = double(kBig);
  const Tensor x = ramp({kBig}), y = ramp({kBig});
  const Tensor wide = Tensor::view(x, {4096, 4096});
  const auto target = std::make_shared<std::vector<float>>(std::size_t(kBig));
  const auto copy = [=](std::int64_t elements) {
    return [=] {
      std::memcpy(target->data(), x.raw(), std::size_t(elements) * sizeof(float));
      benchmark::ClobberMemory();
    };
  };
  auto chain = autodiff::function([](const Tensor& a, const Tensor& b) { return chain_of_ten(a, b); });
  // A reduction reads 4 bytes an element; the copy of half as many elements moves as many.
  cases.push_back({.name = "copy_8M", .body = copy(kBig / 2), .bytes = 4 * big});
  cases.push_back({.name = "copy_16M", .body = copy(kBig), .bytes = 8 * big});
  cases.push_back({.name = "reduce_sum_16M", .body = [=] { benchmark::DoNotOptimize(reduce_sum(x)); }, .bytes = 4 * big, .reference = "copy_8M"});
  cases.push_back({.name = "reduce_max_16M", .body = [=] { benchmark::DoNotOptimize(reduce_max(x)); }, .bytes = 4 * big, .reference = "copy_8M"});
  cases.push_back({.name = "reduce_sum_rows_4096", .body = [=] { benchmark::DoNotOptimize(reduce_sum(wide, 1)); }, .bytes = 4 * big, .reference = "copy_8M"});
  cases.push_back({.name = "reduce_sum_columns_4096", .body = [=] { benchmark::DoNotOptimize(reduce_sum(wide, 0)); }, .bytes = 4 * big, .reference = "copy_8M"});
  // Two operands and a result: three times 4 bytes an element; compared with the copy's bandwidth.
  cases.push_back({.name = "copy_24M", .body = [copy = copy(kBig), half = copy(kBig / 2)] { copy(); half(); }, .bytes = 12 * big});
  cases.push_back({.name = "add_16M", .body = [=] { benchmark::DoNotOptimize(x + y); }, .bytes = 12 * big, .reference = "copy_24M"});
  cases.push_back({.name = "chain_of_ten_16M", .body = [=] { benchmark::DoNotOptimize(chain(x, y)); }, .bytes = 12 * big, .reference = "copy_24M"});
  constexpr std::int64_t kCached = 1 << 16;
  const Tensor small = ramp({kCached});
  const auto function_of = [&](const char* name, Tensor (*f)(const Tensor&)) {
    cases.push_back({.name = name, .body = [=] { benchmark::DoNotOptimize(f(small)); }, .elements = double(kCached)});
  };
  function_of("exp_64K", exp);
  function_of("tanh_64K", tanh);
  function_of("sigmoid_64K", sigmoid);
  function_of("log_64K", log);
  function_of("erf_64K", erf);
  return cases;
}

}  // namespace lockstep::bench
