// The graphs of operations that cuDNN knows as attention: what its guide and its C++ front end (nodes scaled_dot_product_flash_attention) give it. It looks
// for these patterns, so each operation stands as it does there: no other order, no other dtype in between. What it declines, attention.cu computes.

#include <lockstep/tensor/cuda/dnn_attention.h>

#ifdef LOCKSTEP_CUDA_EMULATED

namespace lockstep::cuda {

std::optional<BoundAttention> BoundAttention::find(const attention::Sizes&, bool, DType, std::string_view) { return std::nullopt; }
std::size_t BoundAttention::workspace_bytes() const { return 0; }
void BoundAttention::enqueue(const void*, const void*, const void*, void*, void*, void*) const {}
void BoundAttention::enqueue_gradient(const void*, const void*, const void*, const void*, const void*, const void*, void*, void*, void*, void*) const {}

}  // namespace lockstep::cuda

#else

#include <limits>
#include <map>
#include <mutex>

#include <lockstep/tensor/cuda/dnn_graph.h>

namespace lockstep::cuda {
namespace {

using attention::Sizes;
using dnn::Check;
using dnn::Descriptor;
using Axes = std::vector<std::int64_t>;

/// Numbers of the tensors that are in memory; those between operations follow.
enum Id : std::int64_t { kQuery = 1, kKey, kValue, kResult, kSums, kUpstream, kQuerySlope, kKeySlope, kValueSlope, kRowSlope, kQuerySum, kScale, kBelow, kOne, kBetween };

struct Value {
  std::shared_ptr<Descriptor> descriptor;
};

/// A tensor's axes (batch, heads, rows, size) and where they lie.
struct Layout {
  Axes sizes, strides;
};
/// As our operands lie: (batch, rows, heads, size).
Layout operand_layout(std::int64_t batch, std::int64_t rows, std::int64_t heads, std::int64_t size) { return {{batch, heads, rows, size}, {rows * heads * size, size, heads * size, 1}}; }
/// Densely in the order of the axes.
Layout dense_layout(std::int64_t batch, std::int64_t heads, std::int64_t rows, std::int64_t size) { return {{batch, heads, rows, size}, {heads * rows * size, rows * size, size, 1}}; }
Layout turned(Layout layout) {
  std::swap(layout.sizes[2], layout.sizes[3]);
  std::swap(layout.strides[2], layout.strides[3]);
  return layout;
}

/// Operations in the making.
class Graph {
 public:
  explicit Graph(const Check& check) : check_(check) {}
  bool ok() const { return ok_; }
  std::span<const Descriptor> operations() const { return operations_; }

  Value in_memory(std::int64_t id, const Layout& layout, cudnnDataType_t type) { return tensor(id, layout, type, false, false); }
  Value between(const Layout& layout, cudnnDataType_t type = CUDNN_DATA_FLOAT) { return tensor(next_++, layout, type, true, false); }
  /// A float32 that is given by value when the plan runs.
  Value number(std::int64_t id) { return tensor(id, {{1, 1, 1, 1}, {1, 1, 1, 1}}, CUDNN_DATA_FLOAT, false, true); }

  void matmul(const Value& a, const Value& b, const Value& c) {
    Descriptor matmul(CUDNN_BACKEND_MATMUL_DESCRIPTOR, check_), operation(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR, check_);
    set_type(matmul, CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
    if (!finish(matmul)) return;
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, matmul);
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, *a.descriptor);
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, *b.descriptor);
    operation.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, *c.descriptor);
    add(std::move(operation), std::move(matmul));
  }
  /// y = x op b, or op x without a `b`; `select` chooses between x and b.
  void pointwise(cudnnPointwiseMode_t mode, const Value& x, const Value* b, const Value& y, cudnnDataType_t type = CUDNN_DATA_FLOAT, const Value* select = nullptr, std::int64_t axis = -1) {
    Descriptor pointwise(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, check_), operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, check_);
    pointwise.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    set_type(pointwise, CUDNN_ATTR_POINTWISE_MATH_PREC, type);
    if (axis >= 0) pointwise.set(CUDNN_ATTR_POINTWISE_AXIS, axis);
    if (!finish(pointwise)) return;
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *x.descriptor);
    if (b) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b->descriptor);
    if (select) operation.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, *select->descriptor);
    operation.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *y.descriptor);
    add(std::move(operation), std::move(pointwise));
  }
  void reduce(cudnnReduceTensorOp_t how, const Value& x, const Value& y) {
    Descriptor reduction(CUDNN_BACKEND_REDUCTION_DESCRIPTOR, check_), operation(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR, check_);
    set_type(reduction, CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
    reduction.set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, 1, &how);
    if (!finish(reduction)) return;
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, reduction);
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, *x.descriptor);
    operation.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, *y.descriptor);
    add(std::move(operation), std::move(reduction));
  }
  void reshape(const Value& x, const Value& y) {
    Descriptor operation(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR, check_);
    operation.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, *x.descriptor);
    operation.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, *y.descriptor);
    if (finish(operation)) operations_.push_back(std::move(operation));
  }

 private:
  Value tensor(std::int64_t id, const Layout& layout, cudnnDataType_t type, bool is_virtual, bool by_value) {
    auto result = std::make_shared<Descriptor>(CUDNN_BACKEND_TENSOR_DESCRIPTOR, check_);
    set_type(*result, CUDNN_ATTR_TENSOR_DATA_TYPE, type);
    result->set(CUDNN_ATTR_TENSOR_DIMENSIONS, layout.sizes);
    result->set(CUDNN_ATTR_TENSOR_STRIDES, layout.strides);
    result->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
    result->set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, std::int64_t(16));
    result->set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &is_virtual);
    result->set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, 1, &by_value);
    finish(*result);
    return {std::move(result)};
  }
  static void set_type(Descriptor& descriptor, cudnnBackendAttributeName_t name, cudnnDataType_t type) { descriptor.set(name, CUDNN_TYPE_DATA_TYPE, 1, &type); }
  bool finish(Descriptor& descriptor) { return ok_ = ok_ && descriptor.try_finalize(); }
  void add(Descriptor operation, Descriptor part) {
    if (!finish(operation)) return;
    operations_.push_back(std::move(operation));
    parts_.push_back(std::move(part));
  }

  const Check& check_;
  std::vector<Descriptor> operations_, parts_;
  std::int64_t next_ = kBetween;
  bool ok_ = true;
};

std::string describe(const Sizes& s, bool gradient, DType dtype) {
  return std::string(gradient ? "the gradient of an attention" : "an attention") + " of " + std::string(name(dtype)) + ": batch " + std::to_string(s.batch) + ", " + std::to_string(s.heads) + " heads, " +
         std::to_string(s.rows) + " x " + std::to_string(s.dim) + " queries, " + std::to_string(s.keys) + " keys, values of " + std::to_string(s.value_dim) + ", on cuda:" + std::to_string(current_device());
}

float far_below() { return cudnnGetVersion() < 91000 ? std::numeric_limits<float>::lowest() : -std::numeric_limits<float>::infinity(); }

/// scale q k^T
Value add_scores(Graph& g, const Sizes& s, const Value& q, const Value& k, const Value& scale) {
  const Layout scores = dense_layout(s.batch, s.heads, s.rows, s.keys);
  const Value product = g.between(scores), scaled = g.between(scores);
  g.matmul(q, k, product);
  g.pointwise(CUDNN_POINTWISE_MUL, product, &scale, scaled);
  return scaled;
}
/// Far below zero where a row must not look.
Value add_mask(Graph& g, const Sizes& s, const Value& scores) {
  if (!s.causal) return scores;
  const Layout layout = dense_layout(s.batch, s.heads, s.rows, s.keys);
  const Value row = g.between(layout, CUDNN_DATA_INT32), column = g.between(layout, CUDNN_DATA_INT32), seen = g.between(layout, CUDNN_DATA_BOOLEAN), masked = g.between(layout), below = g.number(kBelow);
  g.pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, nullptr, row, CUDNN_DATA_FLOAT, nullptr, 2);
  g.pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, nullptr, column, CUDNN_DATA_FLOAT, nullptr, 3);
  g.pointwise(CUDNN_POINTWISE_CMP_GE, row, &column, seen, CUDNN_DATA_BOOLEAN);
  g.pointwise(CUDNN_POINTWISE_BINARY_SELECT, scores, &below, masked, CUDNN_DATA_FLOAT, &seen);
  return masked;
}

void add_forward(Graph& g, const Sizes& s, cudnnDataType_t type) {
  const Layout scores = dense_layout(s.batch, s.heads, s.rows, s.keys), line = dense_layout(s.batch, s.heads, s.rows, 1);
  const Value q = g.in_memory(kQuery, operand_layout(s.batch, s.rows, s.heads, s.dim), type), k = g.in_memory(kKey, turned(operand_layout(s.batch, s.keys, s.heads, s.dim)), type),
              v = g.in_memory(kValue, operand_layout(s.batch, s.keys, s.heads, s.value_dim), type), result = g.in_memory(kResult, operand_layout(s.batch, s.rows, s.heads, s.value_dim), type),
              sums = g.in_memory(kSums, line, CUDNN_DATA_FLOAT);
  const Value masked = add_mask(g, s, add_scores(g, s, q, k, g.number(kScale)));
  const Value peak = g.between(line), below = g.between(scores), exponential = g.between(scores), sum = g.between(line), log = g.between(line), p = g.between(scores, type);
  g.reduce(CUDNN_REDUCE_TENSOR_MAX, masked, peak);
  g.pointwise(CUDNN_POINTWISE_SUB, masked, &peak, below);
  g.pointwise(CUDNN_POINTWISE_EXP, below, nullptr, exponential);
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, exponential, sum);
  g.pointwise(CUDNN_POINTWISE_LOG, sum, nullptr, log);
  g.pointwise(CUDNN_POINTWISE_ADD, peak, &log, sums);
  g.pointwise(CUDNN_POINTWISE_DIV, exponential, &sum, p);
  g.matmul(p, v, result);
}

/// With `accumulated`, the gradient of the query is added up in float32 in memory, in whatever order blocks of keys end; without, in a fixed one.
void add_gradient(Graph& g, const Sizes& s, cudnnDataType_t type, bool accumulated) {
  const Layout scores = dense_layout(s.batch, s.heads, s.rows, s.keys), line = dense_layout(s.batch, s.heads, s.rows, 1);
  const Layout query = operand_layout(s.batch, s.rows, s.heads, s.dim), key = operand_layout(s.batch, s.keys, s.heads, s.dim), value = operand_layout(s.batch, s.keys, s.heads, s.value_dim), out = operand_layout(s.batch, s.rows, s.heads, s.value_dim);
  const Value q = g.in_memory(kQuery, query, type), k = g.in_memory(kKey, turned(key), type), v = g.in_memory(kValue, turned(value), type), up = g.in_memory(kUpstream, out, type), result = g.in_memory(kResult, out, type),
              sums = g.in_memory(kSums, line, CUDNN_DATA_FLOAT), dq = g.in_memory(kQuerySlope, query, type), dk = g.in_memory(kKeySlope, key, type), dv = g.in_memory(kValueSlope, value, type);
  // Of each row, upstream result.
  const Value products = g.between({out.sizes, {s.heads * s.rows * s.value_dim, s.rows * s.value_dim, s.heads * s.value_dim, 1}}), row_sum = g.between(line), one = g.number(kOne), slope = g.in_memory(kRowSlope, line, CUDNN_DATA_FLOAT);
  g.pointwise(CUDNN_POINTWISE_MUL, up, &result, products);
  g.reduce(CUDNN_REDUCE_TENSOR_ADD, products, row_sum);
  g.pointwise(CUDNN_POINTWISE_MUL, row_sum, &one, slope);
  // The probabilities again, and by them the values' gradient.
  const Value scale = g.number(kScale), shifted = g.between(scores), p = g.between(scores), p_turned = g.between(turned(scores), type);
  g.pointwise(CUDNN_POINTWISE_SUB, add_scores(g, s, q, k, scale), &sums, shifted);
  g.pointwise(CUDNN_POINTWISE_EXP, add_mask(g, s, shifted), nullptr, p);
  g.reshape(p, p_turned);
  g.matmul(p_turned, up, dv);
  // The scores' gradient, and by it the keys' and the queries'.
  const Value dp = g.between(scores), above = g.between(scores), unscaled = g.between(scores), ds = g.between(scores), ds_turned = g.between(turned(scores), type), k_back = g.between(key);
  g.matmul(up, v, dp);
  g.pointwise(CUDNN_POINTWISE_SUB, dp, &slope, above);
  g.pointwise(CUDNN_POINTWISE_MUL, above, &p, unscaled);
  g.pointwise(CUDNN_POINTWISE_MUL, unscaled, &scale, ds);
  g.reshape(ds, ds_turned);
  g.matmul(ds_turned, q, dk);
  g.reshape(k, k_back);
  if (!accumulated) return g.matmul(ds, k_back, dq);
  const Value sum = g.in_memory(kQuerySum, dense_layout(s.batch, s.heads, s.rows, s.dim), CUDNN_DATA_FLOAT);
  g.matmul(ds, k_back, sum);
  g.pointwise(CUDNN_POINTWISE_IDENTITY, sum, nullptr, dq);
}

/// What the fused kernels take, as the front end has it.
bool may_fuse(const Sizes& s, bool gradient, DType dtype) {
  const std::size_t version = cudnnGetVersion();
  if ((dtype != bfloat16 && dtype != float16) || version < 90600 || version == 91000 || version == 91001) return false;
  const std::int64_t most = compute_capability() == 90 ? 256 : 128;
  const auto fits = [&](std::int64_t size) { return size > 0 && size <= most && size % 8 == 0; };
  if (!fits(s.dim) || !fits(s.value_dim) || s.batch * s.heads * s.rows * s.keys == 0 || (s.rows == 1 && s.keys == 1)) return false;
  return !gradient || s.keys % 128 == 0 || version > 91500;  // until then the last block of keys needs a padding mask
}

/// Memory of a gradient beside the plan's: of each row a number, and the query's gradient in float32.
struct Scratch {
  std::size_t slope, sum, plan, total;
  Scratch(const Sizes& s, bool gradient, bool accumulated, std::size_t plan_bytes) {
    const auto aligned = [](std::size_t nbytes) { return (nbytes + 255) / 256 * 256; };
    const std::size_t rows = std::size_t(s.batch * s.heads * s.rows) * sizeof(float);
    slope = 0;
    sum = slope + aligned(gradient ? rows : 0);
    plan = sum + aligned(accumulated ? rows * std::size_t(s.dim) : 0);
    total = plan + plan_bytes;
  }
};

std::shared_ptr<const dnn::Plan> make_plan(const Sizes& s, bool gradient, bool accumulated, DType dtype, const Check& check) {
  Graph graph(check);
  if (gradient) add_gradient(graph, s, dnn::data_type(dtype), accumulated);
  else add_forward(graph, s, dnn::data_type(dtype));
  // As much memory as the scores take twice, which attention.cu's own steps need as well: what gives the same bits in every run keeps some of them.
  const std::int64_t most = std::max(std::int64_t(256) << 20, 2 * s.batch * s.heads * s.rows * s.keys * std::int64_t(itemsize(dtype)));
  return graph.ok() ? dnn::plan_for(graph.operations(), dtype, check, most) : nullptr;
}

}  // namespace

std::optional<BoundAttention> BoundAttention::find(const Sizes& s, bool gradient, DType dtype, std::string_view op) {
  if (!may_fuse(s, gradient, dtype)) return std::nullopt;
  static std::mutex mutex;
  static auto* plans = new std::map<Axes, std::shared_ptr<const dnn::Plan>>;
  const bool accumulated = gradient && !deterministic();
  const Axes key{current_device(), gradient, std::int64_t(dtype), deterministic(), s.batch, s.rows, s.keys, s.heads, s.dim, s.value_dim, s.causal};
  const std::lock_guard lock(mutex);
  auto found = plans->find(key);
  if (found == plans->end()) {
    const Check check{describe(s, gradient, dtype), op};
    found = plans->emplace(key, dnn::plan_or_warning(check, [&] { return make_plan(s, gradient, accumulated, dtype, check); })).first;
  }
  if (!found->second) return std::nullopt;
  BoundAttention result;
  result.sizes_ = s;
  result.gradient_ = gradient;
  result.accumulated_ = accumulated;
  result.plan_ = found->second;
  return result;
}

std::size_t BoundAttention::workspace_bytes() const { return Scratch(sizes_, gradient_, accumulated_, std::size_t(plan_->workspace)).total; }

void BoundAttention::enqueue(const void* query, const void* key, const void* value, void* result, void* sums, void* workspace) const {
  const float scale = float(sizes_.scale), below = far_below();
  std::vector<std::int64_t> ids{kQuery, kKey, kValue, kResult, kSums, kScale};
  std::vector<const void*> pointers{query, key, value, result, sums, &scale};
  if (sizes_.causal) ids.push_back(kBelow), pointers.push_back(&below);
  dnn::enqueue(*plan_, ids, pointers, workspace);
}

void BoundAttention::enqueue_gradient(const void* query, const void* key, const void* value, const void* upstream, const void* result, const void* sums, void* dq, void* dk, void* dv, void* workspace) const {
  const float scale = float(sizes_.scale), below = far_below(), one = 1;
  const Scratch scratch(sizes_, true, accumulated_, 0);
  std::byte* const memory = static_cast<std::byte*>(workspace);
  std::vector<std::int64_t> ids{kQuery, kKey, kValue, kUpstream, kResult, kSums, kQuerySlope, kKeySlope, kValueSlope, kRowSlope, kScale, kOne};
  std::vector<const void*> pointers{query, key, value, upstream, result, sums, dq, dk, dv, memory + scratch.slope, &scale, &one};
  if (sizes_.causal) ids.push_back(kBelow), pointers.push_back(&below);
  if (accumulated_) ids.push_back(kQuerySum), pointers.push_back(memory + scratch.sum);
  dnn::enqueue(*plan_, ids, pointers, memory + scratch.plan);
}

}  // namespace lockstep::cuda

#endif
