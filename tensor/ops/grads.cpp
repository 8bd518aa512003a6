// Gradients by rows: what an optimizer and the ranks do with them. Helpers of gradient rules.

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/row_access.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using namespace row_access;

/// (indices, values), where the values have a row for each index.
void require_row_each(const InferContext& context, std::size_t indices) {
  const Shape &list = context.shape(indices), &values = context.shape(indices + 1);
  if (list.ndim() != 1) context.refuse("the indices must have one axis");
  if (values.ndim() < 1 || values[0] != list[0]) context.refuse("there must be one row for each of the " + std::to_string(list[0]) + " indices");
}

void sum_slices_infer(InferContext& context) {
  require_row_each(context, 0);
  if (context.integer("rows") < 0) context.refuse("rows must not be negative");
  context.output(context.dtype_of(0), context.shape(0));
  context.output(context.dtype_of(1), context.shape(1));
}

/// Where each index was met first: an open-addressed table of positions.
class FirstPlaces {
 public:
  explicit FirstPlaces(std::int64_t count) : mask_(std::bit_ceil(std::uint64_t(2 * count + 1)) - 1), places_(Tensor::empty({std::int64_t(mask_ + 1)}, int64)) {
    std::fill_n(places_.mutable_data<std::int64_t>(), mask_ + 1, -1);
  }
  /// The first k that was asked for with this index; `index_at(k)` is the index of place k.
  template <class F>
  std::int64_t first(std::int64_t k, const F& index_at) {
    const std::int64_t index = index_at(k);
    std::int64_t* const places = places_.mutable_data<std::int64_t>();
    for (std::uint64_t at = (std::uint64_t(index) * 0x9e3779b97f4a7c15u) >> 20;; ++at) {
      std::int64_t& place = places[at & mask_];
      if (place < 0) place = k;
      if (index_at(place) == index) return place;
    }
  }

 private:
  std::uint64_t mask_;
  Tensor places_;
};

BoundKernel sum_slices_cpu(const BindContext& context) {
  const std::int64_t count = context.shape(0).numel(), rows = context.integer("rows"), inner = count ? context.shape(1).numel() / count : 0;
  const bool wide = context.dtype_of(0) == int64;
  const std::size_t index_bytes = std::size_t(count) * itemsize(context.dtype_of(0));
  return visit_numeric(context.dtype_of(1), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, op = context.op().name](Inputs in, Outputs out) {
      require_indices(in[0], wide, count, rows, op);
      if (index_bytes) std::memcpy(out[0], in[0], index_bytes);
      T* z = static_cast<T*>(out[1]);
      std::fill_n(z, count * inner, T());
      FirstPlaces places(count);
      for (std::int64_t k = 0; k < count; ++k)
        add_row(z + places.first(k, [&](std::int64_t i) { return index_at(in[0], wide, i); }) * inner, static_cast<const T*>(in[1]) + k * inner, inner);
    };
  });
}

void add_rows_infer(InferContext& context) {
  require_row_each(context, 1);
  const Shape &x = context.shape(0), &values = context.shape(2);
  bool fits = x.ndim() == values.ndim();
  for (int i = 1; fits && i < x.ndim(); ++i) fits = x[i] == values[i];
  if (!fits) context.refuse("the rows of operands 0 and 2 must have one shape");
  rules::like_first(context);
}

BoundKernel add_rows_cpu(const BindContext& context) {
  const std::int64_t count = context.shape(1).numel(), rows = context.shape(0)[0], inner = rows ? context.shape(0).numel() / rows : 0;
  const bool wide = context.dtype_of(1) == int64;
  return visit_numeric(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      T* z = static_cast<T*>(out[0]);
      if (in[0] != out[0]) std::copy_n(static_cast<const T*>(in[0]), rows * inner, z);
      for (std::int64_t k = 0; k < count; ++k) {
        const std::int64_t row = index_at(in[1], wide, k);
        if (row >= 0 && row < rows) add_row(z + row * inner, static_cast<const T*>(in[2]) + k * inner, inner);
      }
    };
  });
}

Gradients add_rows_gradient(const GradContext& context) { return {context.upstream(), Gradient(), gather(context.upstream(), context.input(1))}; }

}  // namespace

std::vector<OpDef> slices_rows() {
  const Sample::Operand ids{.dtype = int32, .shape = {6}, .low = 0, .high = 4}, values{.shape = {6, 3}};
  return {{.name = "sum_slices",
           .doc = "the rows of operand 1 that have equal indices (below `rows`) added up, in order, in place of the first; the others become 0",
           .family = "index",
           .min_inputs = 2,
           .max_inputs = 2,
           .attrs = {{.name = "rows", .type = AttrType::integer, .required = true}},
           .dtypes = {{{kIndexInts, 0}, {kNumeric, 1}}},
           .infer = sum_slices_infer,
           .gradient = not_differentiable("it is for gradients on their way to an optimizer"),
           .onnx = no_onnx("used in training only"),
           .samples = {{.inputs = {ids, values}, .attrs = {{"rows", std::int64_t(4)}}}},
           .cpu = sum_slices_cpu},
          {.name = "add_rows",
           .doc = "operand 0 with the rows of operand 2 added to those that the indices name, in order; an index that names none is passed over",
           .family = "index",
           .min_inputs = 3,
           .max_inputs = 3,
           .dtypes = {{{kNumeric, 0}, {kIndexInts, 1}, {kNumeric, 0}}},
           .infer = add_rows_infer,
           .gradient = add_rows_gradient,
           .onnx = no_onnx("used in training only"),
           .samples = {{.inputs = {{.shape = {4, 3}}, ids, values}}},
           .cpu = add_rows_cpu,
           .over_inputs = true,
           .never_fails = true}};
}

// ---- gradients by rows

Tensor GradContext::upstream(std::size_t i) const { return upstream_[i].defined() ? upstream_[i] : zeros_like(outputs_[i]); }

Tensor Gradient::dense() const {
  if (!slices_) return tensor_;
  const Tensor column = expand_dims(slices_->indices, 1);
  return scatter_nd(column, slices_->values, Ints(slices_->dense_shape.begin(), slices_->dense_shape.end()));
}

Gradient summed(const Gradient& gradient) {
  if (!gradient.is_slices()) return gradient;
  const IndexedSlices& slices = gradient.slices();
  if (slices.dense_shape.ndim() == 0 || slices.indices.numel() >= slices.dense_shape[0]) return gradient.dense();
  return sum_slices(slices);
}

IndexedSlices sum_slices(const IndexedSlices& slices) {
  static const OpDef& op = find_op("sum_slices");
  Tensors made = apply_all(op, std::array{slices.indices, slices.values}, {{"rows", slices.dense_shape[0]}});
  return {made[0], made[1], slices.dense_shape};
}

Tensor add_rows(const Tensor& x, const Tensor& indices, const Tensor& rows) {
  static const OpDef& op = find_op("add_rows");
  return apply(op, {x, indices, rows});
}

void add_rows(const Variable& variable, const Tensor& indices, const Tensor& rows) {
  if (listeners().tracer) {
    variable.assign(add_rows(variable.value(), indices, rows));
    return;
  }
  static const OpDef& op = find_op("add_rows");
  const Variable::Lock lock(variable);
  Tensor& value = lock.value();
  const auto is_here = [](const Tensor& x) { return x.defined() && !x.is_symbolic() && x.device().is_cpu(); };
  if (!value.unique() || !is_here(value) || !is_here(indices) || !is_here(rows)) {
    const std::array operands{value, indices, rows};
    value = std::move(compute(op, operands, {}).front());
    return;
  }
  const TensorSpec specs[] = {value.spec(), indices.spec(), rows.spec()};
  const TensorSpec* const inputs[] = {&specs[0], &specs[1], &specs[2]};
  const void* const in[] = {value.raw(), indices.raw(), rows.raw()};
  void* const out[] = {value.mutable_raw()};
  op.cpu(BindContext(op, {}, inputs, infer(op, {}, inputs)))(in, out);
}

namespace grads {

Tensor unbroadcast(const Tensor& upstream, const Tensor& operand) {
  const Shape& from = upstream.shape();
  const Shape& to = operand.shape();
  if (!from.known() || !to.known()) return sum_to_shape_of(upstream, operand);
  if (from == to) return upstream;
  Ints axes;
  const int lead = from.ndim() - to.ndim();
  for (int i = 0; i < from.ndim(); ++i)
    if (i < lead || (to[i - lead] == 1 && from[i] != 1)) axes.push_back(i);
  return reshape(reduce_sum(upstream, axes), Ints(to.begin(), to.end()));
}

Tensor reshape_like(const Tensor& x, const Tensor& like) {
  if (!x.shape().known() || !like.shape().known()) return lockstep::reshape_like(x, like);
  return x.shape() == like.shape() ? x : reshape(x, Ints(like.shape().begin(), like.shape().end()));
}

Tensor restore_axes(const GradContext& context, const Tensor& reduced) {
  if (context.boolean("keepdims")) return reduced;
  static const OpDef& op = find_op("restore_axes");
  return apply(op, {reduced, context.input(0)}, {{"axis", context.attr("axis")}});
}

}  // namespace grads
}  // namespace lockstep
