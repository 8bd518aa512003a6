// Slicing, gathering and scattering. A GPU cannot refuse in the middle of a stream: where an index is out of range a gather reads 0 and a scatter
// writes nothing (as TensorFlow does on GPUs; the CPU refuses). What is added up for one place is added in the order of the updates.

#include <lockstep/tensor/cuda/copy.h>
#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/sort_pairs.h>
#include <lockstep/tensor/ops/index_walk.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep::cuda {
namespace {

using namespace index_walk;

// ---- slices

BoundKernel slice(const BindContext& context) { return bind_copy(context, slice_walk(context, context.shape(0), context.output(0).shape)); }

Selection selected(const BindContext& context) { return select(context.shape(0), std::get<IndexList>(context.attr("spec")), context.op().name); }

BoundKernel strided_slice(const BindContext& context) {
  StridedCopy copy = selected(context).box;
  copy.to = row_major_strides(copy.shape);
  return bind_copy(context, copy);
}

BoundKernel strided_slice_update(const BindContext& context) {
  const DType dtype = context.dtype_of(0);
  refuse_strings(dtype, context.op().name);
  const StridedCopy write = update_walk(selected(context), context.shape(1));
  const std::size_t nbytes = std::size_t(context.shape(0).numel()) * itemsize(dtype);
  return [write = simplified(write), dtype, nbytes](Inputs in, Outputs out) {
    if (in[0] != out[0] && nbytes) copy_on_device(out[0], in[0], nbytes);
    enqueue_copy(write, dtype, in[1], out[0]);
  };
}

// ---- which row an entry reads or writes; negative: none

struct GatherRow {
  GatherSizes s;
  IndexAt index_of;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t entry) const {
    const std::int64_t pick = entry % s.picks, line = entry / s.picks, index = index_of(line / s.outer * s.picks + pick);
    return index < 0 || index >= s.rows ? -1 : line * s.rows + index;
  }
};
struct NdRow {
  std::int64_t tuples, rows_of_batch, inner;
  int depth;
  Dims size, stride;
  IndexAt index_of;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t tuple) const {
    std::int64_t row = tuple / tuples * rows_of_batch;
    for (int k = 0; k < depth; ++k) {
      const std::int64_t index = index_of(tuple * depth + k);
      if (index < 0 || index >= size[k]) return -1;
      row += index * (stride[k] / inner);
    }
    return row;
  }
};
struct AlongRow {
  AlongSizes s;
  IndexAt index_of;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t i) const {
    const std::int64_t index = index_of(i);
    return index < 0 || index >= s.rows ? -1 : (i / (s.picks * s.inner) * s.rows + index) * s.inner + i % s.inner;
  }
};

/// What an op does, without pointers: `row(indices)` makes the functor of the rows.
struct GatherForm {
  GatherSizes s;
  bool wide;
  std::int64_t entries() const { return s.batch * s.outer * s.picks; }
  std::int64_t rows() const { return s.batch * s.outer * s.rows; }
  std::int64_t inner() const { return s.inner; }
  GatherRow row(const void* indices) const { return {s, {indices, wide}}; }
};
struct NdForm {
  NdSizes s;
  bool wide;
  std::int64_t entries() const { return s.batch * s.tuples; }
  std::int64_t rows() const { return s.inner ? s.batch * (s.span / s.inner) : 0; }
  std::int64_t inner() const { return s.inner; }
  NdRow row(const void* indices) const {
    return {std::max<std::int64_t>(1, s.tuples), s.inner ? s.span / s.inner : 0, std::max<std::int64_t>(1, s.inner), s.depth, dims_of(s.size), dims_of(s.stride), {indices, wide}};
  }
};
struct AlongForm {
  AlongSizes s;
  bool wide;
  std::int64_t entries() const { return s.outer * s.picks * s.inner; }
  std::int64_t rows() const { return s.outer * s.rows * s.inner; }
  std::int64_t inner() const { return 1; }
  AlongRow row(const void* indices) const { return {s, {indices, wide}}; }
};

/// `params` and `indices` are numbers of operands.
GatherForm gather_form(const BindContext& context, std::size_t params, std::size_t indices) {
  const auto [axis, batch_dims] = gather_axes(context, context.shape(params).ndim(), context.shape(indices).ndim());
  return {gather_sizes(context.shape(params), context.shape(indices), axis, batch_dims), context.dtype_of(indices) == int64};
}
NdForm nd_form(const BindContext& context, const Shape& params, std::size_t indices, int batch_dims) {
  return {nd_sizes(params, context.shape(indices), batch_dims), context.dtype_of(indices) == int64};
}
AlongForm along_form(const BindContext& context, std::size_t params, std::size_t indices) {
  return {along_sizes(context.shape(params), context.shape(indices), context.integer("axis")), context.dtype_of(indices) == int64};
}

// ---- reading rows

template <class T, class Row>
struct ReadRow {
  Row row;
  std::int64_t inner;
  const T* x;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    const std::int64_t entry = i / inner, from = row(entry);
    z[i] = from < 0 ? T{} : x[from * inner + (i - entry * inner)];
  }
};
/// Operand 0 read by the indices of operand 1.
template <class Form>
BoundKernel bind_reading(const BindContext& context, const Form& form) {
  // Long rows move in larger units.
  const std::size_t nbytes = std::size_t(form.inner()) * itemsize(context.dtype_of(0));
  const bool packs = context.dtype_of(0) != string && nbytes % 16 == 0 && nbytes > 0;
  return visit_size(context.dtype_of(0), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      const auto row = form.row(in[1]);
      using Row = std::remove_const_t<decltype(row)>;
      if (packs && (reinterpret_cast<std::uintptr_t>(in[0]) | reinterpret_cast<std::uintptr_t>(out[0])) % 16 == 0) {
        const std::int64_t inner = std::int64_t(nbytes / 16);
        for_each(form.entries() * inner, ReadRow<Bytes16, Row>{row, inner, static_cast<const Bytes16*>(in[0]), static_cast<Bytes16*>(out[0])});
      } else {
        for_each(form.entries() * form.inner(), ReadRow<T, Row>{row, form.inner(), static_cast<const T*>(in[0]), static_cast<T*>(out[0])});
      }
    };
  });
}

BoundKernel gather(const BindContext& context) { return bind_reading(context, gather_form(context, 0, 1)); }
BoundKernel gather_nd(const BindContext& context) { return bind_reading(context, nd_form(context, context.shape(0), 1, int(context.integer("batch_dims")))); }
BoundKernel take_along_axis(const BindContext& context) { return bind_reading(context, along_form(context, 0, 1)); }

// ---- adding to rows

enum class Scatter { add, sub, mul, div, max, min, update };

template <class T>
struct FoldRow {
  Scatter kind;
  Buckets buckets;
  std::int64_t inner;
  const T* base;  // null: zeros
  const T* updates;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = decltype(value_of(T()));
    const std::int64_t row = i / inner, column = i - row * inner, begin = buckets.starts[row], end = buckets.starts[row + 1];
    C total = base ? value_of(base[i]) : C{};
    for (std::int64_t e = begin; e < end; ++e) {
      const C value = value_of(updates[std::int64_t(buckets.places[e]) * inner + column]);
      if (kind == Scatter::update) {
        total = value;
      } else if (kind == Scatter::max || kind == Scatter::min) {
        if constexpr (!kIsComplex<C>) total = (kind == Scatter::max ? total < value : value < total) ? value : total;
      } else if (kind == Scatter::mul) {
        total = times(total, value);
      } else if (kind == Scatter::div) {
        if constexpr (!std::is_integral_v<C>) total = total / value;
      } else {
        if constexpr (std::is_integral_v<C>) total = static_cast<C>(kind == Scatter::add ? std::uint64_t(total) + std::uint64_t(value) : std::uint64_t(total) - std::uint64_t(value));
        else total = kind == Scatter::add ? total + value : total - value;
      }
    }
    z[i] = stored<T>(total);
  }
};
/// Operand `indices` names the rows to which operand indices + 1 goes; operand 0 is the base unless there is none.
template <class Form>
BoundKernel bind_writing(const BindContext& context, const Form& form, Scatter kind, std::size_t indices, bool has_base) {
  Cuts cuts;
  const BucketsPlan plan = BucketsPlan::take(form.entries(), form.rows(), context.op().name, cuts);
  const Workspace workspace(cuts.total());
  const auto bind = [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      const Buckets sorted = buckets(plan, workspace, form.row(in[indices]));
      for_each(form.rows() * form.inner(), FoldRow<T>{kind, sorted, form.inner(), has_base ? static_cast<const T*>(in[0]) : nullptr, static_cast<const T*>(in[indices + 1]), static_cast<T*>(out[0])});
    };
  };
  const DType dtype = context.dtype_of(indices + 1);
  if (kind == Scatter::update) return visit_size(dtype, context.op().name, [&]<class T>(TypeTag<T> tag) -> BoundKernel {
    if constexpr (std::is_same_v<T, Bytes16>) return bind(TypeTag<Complex<double>>{});
    else return bind(tag);
  });
  return visit<kNumeric.bits>(dtype, context.op().name, bind);
}

BoundKernel gather_gradient(const BindContext& context) { return bind_writing(context, gather_form(context, 2, 0), Scatter::add, 0, false); }
BoundKernel gather_nd_gradient(const BindContext& context) {
  return bind_writing(context, nd_form(context, context.shape(2), 0, int(context.integer("batch_dims"))), Scatter::add, 0, false);
}
BoundKernel take_along_axis_gradient(const BindContext& context) { return bind_writing(context, along_form(context, 2, 0), Scatter::add, 0, false); }
BoundKernel scatter_nd(const BindContext& context) { return bind_writing(context, nd_form(context, context.output(0).shape, 0, 0), Scatter::add, 0, false); }
template <Scatter Kind>
BoundKernel scatter(const BindContext& context) {
  return bind_writing(context, nd_form(context, context.shape(0), 1, 0), Kind, 1, true);
}

// ---- rows of a gradient

template <class T>
struct SumSlice {
  Buckets buckets;
  GatherRow row_of;
  std::int64_t inner;
  const T* values;
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = decltype(value_of(T()));
    const std::int64_t k = i / inner, column = i - k * inner, row = row_of(k);
    C total{};
    // The bucket's first entry takes the sum.
    if (row >= 0 && std::int64_t(buckets.places[buckets.starts[row]]) == k)
      for (std::int64_t e = buckets.starts[row]; e < buckets.starts[row + 1]; ++e) total = plus(total, value_of(values[std::int64_t(buckets.places[e]) * inner + column]));
    z[i] = stored<T>(total);
  }
};
/// Of a table of `rows` rows of `inner` elements.
GatherForm rows_form(const BindContext& context, std::size_t indices, std::int64_t rows, std::int64_t inner) {
  GatherSizes sizes;
  sizes.rows = rows, sizes.inner = inner, sizes.picks = context.shape(indices).numel();
  return {sizes, context.dtype_of(indices) == int64};
}
BoundKernel sum_slices(const BindContext& context) {
  const std::int64_t count = context.shape(0).numel(), rows = context.integer("rows"), inner = count ? context.shape(1).numel() / count : 0;
  const GatherForm form = rows_form(context, 0, rows, inner);
  const std::size_t index_bytes = std::size_t(count) * itemsize(context.dtype_of(0));
  Cuts cuts;
  const BucketsPlan plan = BucketsPlan::take(count, rows, context.op().name, cuts);
  const Workspace workspace(cuts.total());
  return visit<kNumeric.bits>(context.dtype_of(1), context.op().name, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=](Inputs in, Outputs out) {
      if (index_bytes) copy_on_device(out[0], in[0], index_bytes);
      const GatherRow row_of = form.row(in[0]);
      const Buckets sorted = buckets(plan, workspace, row_of);
      for_each(count * inner, SumSlice<T>{sorted, row_of, inner, static_cast<const T*>(in[1]), static_cast<T*>(out[1])});
    };
  });
}
BoundKernel add_rows(const BindContext& context) {
  const std::int64_t rows = context.shape(0)[0];
  return bind_writing(context, rows_form(context, 1, rows, rows ? context.shape(0).numel() / rows : 0), Scatter::add, 1, true);
}

// ---- results whose shape depends on the elements

struct Flag {
  const bool* mask;
  LOCKSTEP_HD std::int64_t operator()(std::int64_t, std::int64_t k) const { return mask[k] ? 1 : 0; }
};
struct WriteIndex {
  const bool* mask;
  const std::int64_t* ranks;
  int ndim;
  Dims size, stride;
  std::int64_t* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    if (!mask[i]) return;
    for (int k = 0; k < ndim; ++k) z[ranks[i] * ndim + k] = i / stride[k] % size[k];
  }
};
Tensors where_index(const OpCall&, std::span<const Tensor> inputs) {
  const Tensor& mask = inputs[0];
  const std::int64_t count = mask.numel();
  const bool* elements = static_cast<const bool*>(mask.raw());
  Cuts cuts;
  const ScanPlan plan{1, count};
  const std::size_t ranks_at = cuts.take(std::size_t(count + 1) * 8), scratch_at = cuts.take(plan.nbytes(8));
  const Workspace workspace(cuts.total());
  std::int64_t* ranks = at<std::int64_t>(workspace, ranks_at);
  std::int64_t found = 0;
  if (count > 0) {
    scan(plan, at<std::byte>(workspace, scratch_at), std::int64_t(0), Flag{elements}, AddUp(), StoreRank{ranks, count});
    copy_to_host(&found, ranks + count, sizeof(found));
  }
  Tensor result = result_beside(mask, {found, mask.ndim()}, int64);
  const WriteIndex write{elements, ranks, mask.ndim(), dims_of(mask.shape()), dims_of(row_major_strides(mask.shape())), static_cast<std::int64_t*>(result.mutable_raw())};
  if (found > 0) for_each(count, write);
  return {result};
}

/// The smallest and the largest index.
struct Extremes {
  std::int64_t least, most;
};
struct LoadExtremes {
  IndexAt index;
  LOCKSTEP_HD Extremes operator()(std::int64_t, std::int64_t k) const {
    const std::int64_t value = index(k);
    return {value, value};
  }
};
struct Wider {
  LOCKSTEP_HD Extremes operator()(Extremes a, Extremes b) const { return {a.least < b.least ? a.least : b.least, a.most > b.most ? a.most : b.most}; }
};
struct StoreExtremes {
  Extremes* z;
  LOCKSTEP_HD void operator()(std::int64_t, Extremes value) const { *z = value; }
};

Tensors dynamic_stitch(const OpCall& call, std::span<const Tensor> inputs) {
  const std::size_t half = inputs.size() / 2;
  std::int64_t rows = 0;
  for (std::size_t i = 0; i < half; ++i) {
    const std::int64_t count = inputs[i].numel();
    if (count == 0) continue;
    Cuts cuts;
    const FoldPlan plan = fold_plan(1, count, false);
    const std::size_t result_at = cuts.take(sizeof(Extremes)), scratch_at = cuts.take(plan.nbytes(sizeof(Extremes)));
    const Workspace workspace(cuts.total());
    Extremes found{INT64_MAX, INT64_MIN};
    fold(plan, at<std::byte>(workspace, scratch_at), found, LoadExtremes{index_at(inputs[i])}, Wider(), StoreExtremes{at<Extremes>(workspace, result_at)});
    copy_to_host(&found, at<Extremes>(workspace, result_at), sizeof(found));
    if (found.least < 0 || found.most == INT64_MAX) call.refuse("index " + std::to_string(found.least < 0 ? found.least : found.most) + " is " + (found.least < 0 ? "negative" : "too large"));
    rows = std::max(rows, found.most + 1);
  }
  Shape shape{rows};
  for (int k = inputs[0].ndim(); k < inputs[half].ndim(); ++k) shape.push_back(inputs[half].shape()[k]);
  const DType dtype = inputs[half].dtype();
  Tensor result = result_beside(inputs[half], shape, dtype);
  const std::int64_t inner = rows ? shape.numel() / rows : 0;
  if (shape.numel() == 0) return {result};
  fill_bytes(result.mutable_raw(), 0, result.nbytes());
  visit_size<void>(dtype, "dynamic_stitch", [&]<class T>(TypeTag<T>) {
    using E = std::conditional_t<std::is_same_v<T, Bytes16>, Complex<double>, T>;
    E* z = static_cast<E*>(result.mutable_raw());
    for (std::size_t i = 0; i < half; ++i) {
      Cuts cuts;
      const BucketsPlan plan = BucketsPlan::take(inputs[i].numel(), rows, "dynamic_stitch", cuts);
      const Workspace workspace(cuts.total());
      const Buckets sorted = buckets(plan, workspace, index_at(inputs[i]));
      for_each(rows * inner, FoldRow<E>{Scatter::update, sorted, inner, z, static_cast<const E*>(inputs[half + i].raw()), z});
    }
  });
  return {result};
}

constexpr Kernel kIndexKernels[] = {
    {"slice", slice},
    {"strided_slice", strided_slice},
    {"tensor_strided_slice_update", strided_slice_update},
    {"gather", gather},
    {"gather_gradient", gather_gradient},
    {"gather_nd", gather_nd},
    {"gather_nd_gradient", gather_nd_gradient},
    {"take_along_axis", take_along_axis},
    {"take_along_axis_gradient", take_along_axis_gradient},
    {"scatter_nd", scatter_nd},
    {"tensor_scatter_add", scatter<Scatter::add>},
    {"tensor_scatter_sub", scatter<Scatter::sub>},
    {"tensor_scatter_max", scatter<Scatter::max>},
    {"tensor_scatter_min", scatter<Scatter::min>},
    {"tensor_scatter_mul", scatter<Scatter::mul>},
    {"tensor_scatter_div", scatter<Scatter::div>},
    {"tensor_scatter_update", scatter<Scatter::update>},
    {"sum_slices", sum_slices},
    {"add_rows", add_rows},
    {"where_index", nullptr, where_index},
    {"dynamic_stitch", nullptr, dynamic_stitch},
};

}  // namespace

std::span<const Kernel> index_kernels() { return kIndexKernels; }

}  // namespace lockstep::cuda
