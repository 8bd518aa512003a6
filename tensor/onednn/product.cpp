// oneDNN 2.6's sgemm for AVX2 packs its operands only where both sides of the result are long; else it reads them where they lie, which a
// long inner axis makes slow (its columns are pages apart): 256x1024 by 1024x1024 at 34-60 GFLOP/s of 90. Its 1x1 convolution, which is the
// same product, blocks for the caches: 83. So such products are convolutions here, and transposed left operands are turned first
// (1024x1024 by 1024x256: 13.8 ms, turned 7.5). With AVX-512 its matmul has a kernel of its own and needs none of this.

#include <lockstep/tensor/onednn/product.h>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::onednn {
namespace {

dnnl::memory::desc matrices(const Shape& batch, std::int64_t rows, std::int64_t columns, bool transposed, DType dtype) {
  dnnl::memory::dims dims(batch.begin(), batch.end()), strides(dims.size() + 2, 1);
  dims.push_back(rows);
  dims.push_back(columns);
  const std::size_t n = dims.size();
  strides[n - 1] = transposed ? rows : 1;
  strides[n - 2] = transposed ? 1 : columns;
  std::int64_t size = rows * columns;
  for (std::size_t i = n - 2; i > 0; --i) {
    strides[i - 1] = size;
    size *= dims[i - 1];
  }
  return strided(dims, strides, dtype);
}

Key key_of(const Product& p, DType dtype, bool bias, const std::string& activation) {
  Key key{1, p.m, p.k, p.n, p.transpose_a, p.transpose_b, int(dtype), bias, std::int64_t(std::hash<std::string>{}(activation)), intra_op_threads()};
  for (const Shape* batch : {&p.batch_a, &p.batch_b}) key.append(batch->begin(), batch->end());
  return key;
}

dnnl::primitive_attr attributes_with(const std::string& activation) {
  dnnl::primitive_attr result = attributes();
  append_activation(result, activation);
  return result;
}

std::shared_ptr<Primitive> as_matmul(const Product& p, DType dtype, bool bias, const std::string& activation) {
  return cached(key_of(p, dtype, bias, activation), [&] {
    const auto a = matrices(p.batch_a, p.m, p.k, p.transpose_a, dtype), b = matrices(p.batch_b, p.k, p.n, p.transpose_b, dtype), c = matrices(p.batch, p.m, p.n, false, dtype);
    Primitive::Arguments arguments{{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}};
    dnnl::matmul::desc desc(a, b, c);
    if (bias) {
      dnnl::memory::dims row(std::size_t(p.batch.ndim() + 2), 1);
      row.back() = p.n;
      const auto vector = dense(row, dtype);
      desc = dnnl::matmul::desc(a, b, vector, c);
      arguments.push_back({DNNL_ARG_BIAS, vector});
    }
    arguments.push_back({DNNL_ARG_DST, c});
    const dnnl::matmul::primitive_desc pd(desc, attributes_with(activation), engine());
    return std::make_shared<Primitive>(dnnl::matmul(pd), arguments, pd.scratchpad_desc());
  });
}

/// The rows of a are the cells of a picture, its columns channels; a must not be transposed.
std::shared_ptr<Primitive> as_convolution(const Product& p, bool bias, const std::string& activation) {
  Key key = key_of(p, float32, bias, activation);
  key[0] = 6;
  return cached(key, [&] {
    using Forward = dnnl::convolution_forward;
    const dnnl::memory::dims one{1, 1}, zero{0, 0};
    const auto x = strided({1, p.k, p.m, 1}, {p.m * p.k, 1, p.k, p.k}, float32), y = strided({1, p.n, p.m, 1}, {p.m * p.n, 1, p.n, p.n}, float32), vector = dense({p.n}, float32);
    const dnnl::memory::desc w({p.n, p.k, 1, 1}, data_type(float32), dnnl::memory::format_tag::any);
    const auto kind = dnnl::prop_kind::forward_training;
    const auto direct = dnnl::algorithm::convolution_direct;
    const Forward::primitive_desc pd(bias ? Forward::desc(kind, direct, x, w, vector, y, one, zero, zero) : Forward::desc(kind, direct, x, w, y, one, zero, zero), attributes_with(activation), engine());
    Primitive::Arguments arguments{{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}};
    if (bias) arguments.push_back({DNNL_ARG_BIAS, vector});
    arguments.push_back({DNNL_ARG_DST, y});
    return std::make_shared<Primitive>(Forward(pd), arguments, pd.scratchpad_desc());
  });
}

/// A product and what has to be done before it.
struct Plan {
  std::shared_ptr<Primitive> turn, pack, product;  // turn: the left operand; pack: the right one; null: nothing to do
  std::int64_t turned_bytes = 0, packed_bytes = 0;
};

/// Does oneDNN's sgemm leave the operands of this product unpacked? (Its own test.)
bool stays_unpacked(const Product& p) { return 1.0 / double(p.m) + 1.0 / double(p.n) >= 0.0038; }

Plan plan_of(Product p, DType dtype, bool bias, const std::string& activation) {
  constexpr std::int64_t kLongInner = 257, kFewRows = 128, kSmall = 64 * 64 * 64;
  static const bool avx2 = dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx2;
  Plan plan;
  if (!avx2 || dtype != float32 || p.batch.numel() != 1 || !stays_unpacked(p) || p.m * p.k * p.n < kSmall) {
    plan.product = as_matmul(p, dtype, bias, activation);
    return plan;
  }
  if (p.transpose_a) {
    plan.turn = cached({7, p.m, p.k, intra_op_threads()}, [&] { return reorder(matrices({}, p.m, p.k, true, dtype), matrices({}, p.m, p.k, false, dtype)); });
    plan.turned_bytes = p.m * p.k * std::int64_t(sizeof(float));
    p.transpose_a = false;
  }
  if (p.k < kLongInner || p.m < kFewRows || p.n % 8) {
    plan.product = as_matmul(p, dtype, bias, activation);
    return plan;
  }
  plan.product = as_convolution(p, bias, activation);
  const dnnl::memory::desc given = strided({p.n, p.k, 1, 1}, p.transpose_b ? dnnl::memory::dims{p.k, 1, 1, 1} : dnnl::memory::dims{1, p.n, 1, 1}, dtype);
  const dnnl::memory::desc& wanted = plan.product->desc(1);
  if (given != wanted) {
    Key key = key_of(p, dtype, bias, activation);
    key[0] = 8;
    plan.pack = cached(key, [&] { return reorder(given, wanted); });
    plan.packed_bytes = std::int64_t(wanted.get_size());
  }
  return plan;
}

}  // namespace

BoundKernel bind_product(const Product& product, DType dtype, bool bias, const std::string& activation) {
  return [plan = plan_of(product, dtype, bias, activation), bias](Inputs in, Outputs out) {
    Tensor turned, packed;
    const auto moved = [](const std::shared_ptr<Primitive>& move, const void* from, std::int64_t nbytes, Tensor& memory) {
      if (!move) return from;
      memory = Tensor::empty({nbytes}, uint8);
      move->run({from, memory.raw()});
      return memory.raw();
    };
    const void* a = moved(plan.turn, in[0], plan.turned_bytes, turned);
    const void* b = moved(plan.pack, in[1], plan.packed_bytes, packed);
    if (bias) plan.product->run({a, b, in[2], out[0]});
    else plan.product->run({a, b, out[0]});
  };
}

}  // namespace lockstep::onednn
