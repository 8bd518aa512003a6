// Pooling over (batch, height, width, channels). Maxima of float32 by vectors of channels, means by oneDNN, loops for the rest.

#include <algorithm>
#include <limits>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/onednn/primitive.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/pool_runs.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/window.h>

namespace lockstep {
namespace {

using G = const GradContext&;
using window::Pool;
using window::pool_of;

Shape pooled_shape(const Pool& p) { return {p.batch, p.out[0], p.out[1], p.channels}; }

void check(const InferContext& context, const Shape& x) {
  const Ints size = context.ints("ksize"), stride = context.ints("strides");
  if (x.ndim() != 4 || size.size() != 2 || stride.size() != 2) context.refuse("needs (batch, height, width, channels) and two numbers in ksize and strides");
  for (std::size_t i = 0; i < 2; ++i)
    if (size[i] < 1 || stride[i] < 1 || size[i] > window::kMost || stride[i] > window::kMost) context.refuse("ksize and strides must be between 1 and 2^30");
}

void pool_infer(InferContext& context) {
  check(context, context.shape(0));
  context.output(context.dtype_of(0), pooled_shape(pool_of(context, context.shape(0))));
}
/// (input, upstream) -> gradient of the input
void max_gradient_infer(InferContext& context) {
  check(context, context.shape(0));
  if (pooled_shape(pool_of(context, context.shape(0))) != context.shape(1)) context.refuse("operand 1 is not of the pooled shape");
  rules::like_first(context);
}
/// (input, values) -> the values where the input's maxima stand
void pick_infer(InferContext& context) {
  check(context, context.shape(0));
  if (context.shape(0) != context.shape(1)) context.refuse("the operands differ in shape");
  context.output(context.dtype_of(0), pooled_shape(pool_of(context, context.shape(0))));
}
void average_gradient_infer(InferContext& context) {
  const Ints sizes = context.ints("input_shape");
  const Shape x(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
  check(context, x);
  if (pooled_shape(pool_of(context, x)) != context.shape(0)) context.refuse("operand 0 is not of the pooled shape");
  context.output(context.dtype_of(0), x);
}

/// Visits each window: its output offset and the cells [h0, h1) x [w0, w1) of the input inside it.
template <class F>
void for_each_window(const Pool& p, std::int64_t first, std::int64_t last, F&& f) {
  for (std::int64_t n = first; n < last; ++n)
    for (std::int64_t oh = 0; oh < p.out[0]; ++oh)
      for (std::int64_t ow = 0; ow < p.out[1]; ++ow) {
        const std::int64_t h = oh * p.stride[0] - p.before[0], w = ow * p.stride[1] - p.before[1];
        f(n, ((n * p.out[0] + oh) * p.out[1] + ow) * p.channels, std::max<std::int64_t>(0, h), std::min(p.in[0], h + p.size[0]), std::max<std::int64_t>(0, w), std::min(p.in[1], w + p.size[1]));
      }
}
template <class F>
void for_each_window(const Pool& p, F&& f) {
  for_each_window(p, 0, p.batch, f);
}
std::int64_t cell(const Pool& p, std::int64_t n, std::int64_t h, std::int64_t w) { return ((n * p.in[0] + h) * p.in[1] + w) * p.channels; }

template <class F>
BoundKernel visit_float(const BindContext& context, F&& f) {
  switch (context.dtype_of(0)) {
    case DType::float16: return f(TypeTag<Half>{});
    case DType::bfloat16: return f(TypeTag<BFloat16>{});
    case DType::float32: return f(TypeTag<float>{});
    default: return f(TypeTag<double>{});
  }
}

/// Where the first maximum of each channel stands in the window; NaN counts as the maximum.
template <class T>
std::int64_t argmax(const Pool& p, const T* x, std::int64_t n, std::int64_t c, std::int64_t h0, std::int64_t h1, std::int64_t w0, std::int64_t w1) {
  std::int64_t best = -1;
  compute_t<T> value = 0;
  for (std::int64_t h = h0; h < h1; ++h)
    for (std::int64_t w = w0; w < w1; ++w) {
      const std::int64_t at = cell(p, n, h, w) + c;
      const auto other = static_cast<compute_t<T>>(x[at]);
      if (best < 0 || other > value || (other != other && value == value)) value = other, best = at;
    }
  return best;
}

BoundKernel bind_average(const Pool& p) {
  onednn::Key key{4, p.batch, p.channels, intra_op_threads()};
  for (const auto* each : {&p.in, &p.size, &p.stride, &p.before, &p.after}) key.append(*each, *each + 2);
  auto primitive = onednn::cached(key, [&] {
    const auto last = [&](const std::int64_t* size) {
      return onednn::strided({p.batch, p.channels, size[0], size[1]}, {size[0] * size[1] * p.channels, 1, size[1] * p.channels, p.channels}, float32);
    };
    const auto pair = [](const std::int64_t* values) { return dnnl::memory::dims{values[0], values[1]}; };
    const dnnl::pooling_forward::desc desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::pooling_avg_exclude_padding, last(p.in), last(p.out), pair(p.stride), pair(p.size), pair(p.before), pair(p.after));
    const dnnl::pooling_forward::primitive_desc pd(desc, onednn::attributes(), onednn::engine());
    return std::make_shared<onednn::Primitive>(dnnl::pooling_forward(pd), onednn::Primitive::Arguments{{DNNL_ARG_SRC, last(p.in)}, {DNNL_ARG_DST, last(p.out)}}, pd.scratchpad_desc());
  });
  return [primitive](Inputs in, Outputs out) { primitive->run({in[0], out[0]}); };
}

bool any_empty(const Pool& p) { return p.batch * p.channels * p.in[0] * p.in[1] * p.out[0] * p.out[1] == 0; }

/// Calls f(output offset, window) for the windows of float32 images, images in parallel.
template <class F>
void parallel_windows(const Pool& p, F&& f) {
  const std::int64_t image = std::max<std::int64_t>(1, p.in[0] * p.in[1] * p.channels);
  parallel_for(p.batch, std::max<std::int64_t>(1, 16 * 1024 / image), [&](std::int64_t first, std::int64_t last) {
    std::vector<std::int64_t> cells;
    for_each_window(p, first, last, [&](std::int64_t n, std::int64_t y, std::int64_t h0, std::int64_t h1, std::int64_t w0, std::int64_t w1) {
      cells.clear();
      for (std::int64_t h = h0; h < h1; ++h)
        for (std::int64_t w = w0; w < w1; ++w) cells.push_back(cell(p, n, h, w));
      f(y, WindowCells{cells.data(), std::int64_t(cells.size()), p.channels});
    });
  });
}

/// Is this for the runs over channels? (They number the cells of a window by floats.)
bool by_vectors(const Pool& p, DType dtype) { return dtype == float32 && !any_empty(p) && double(p.size[0]) * double(p.size[1]) < double(1 << 24); }

BoundKernel bind_max_vectors(const Pool& p) {
  return [p](Inputs in, Outputs out) {
    parallel_windows(p, [&, x = static_cast<const float*>(in[0]), z = static_cast<float*>(out[0])](std::int64_t y, const WindowCells& window) {
      if (window.count) window_max(x, window, z + y);
      else std::fill_n(z + y, p.channels, -std::numeric_limits<float>::infinity());
    });
  };
}

BoundKernel bind_max_gradient_vectors(const Pool& p) {
  return [p](Inputs in, Outputs out) {
    const std::int64_t image = p.in[0] * p.in[1] * p.channels, windows = p.out[0] * p.out[1] * p.channels;
    parallel_windows(p, [&, x = static_cast<const float*>(in[0]), upstream = static_cast<const float*>(in[1]), z = static_cast<float*>(out[0])](std::int64_t y, const WindowCells& window) {
      // The zeros of an image are written right before its windows, while they are in the cache.
      if (y % windows == 0) std::fill_n(z + y / windows * image, image, 0.0f);
      if (window.count) window_max_gradient(x, window, upstream + y, z);
    });
  };
}

BoundKernel max_cpu(const BindContext& context) {
  const Pool p = pool_of(context, context.shape(0));
  if (by_vectors(p, context.dtype_of(0))) return bind_max_vectors(p);
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p](Inputs in, Outputs out) {
      const T* x = static_cast<const T*>(in[0]);
      for_each_window(p, [&](std::int64_t n, std::int64_t y, auto... box) {
        for (std::int64_t c = 0; c < p.channels; ++c) {
          const std::int64_t at = argmax(p, x, n, c, box...);
          static_cast<T*>(out[0])[y + c] = at < 0 ? T(-std::numeric_limits<float>::infinity()) : x[at];
        }
      });
    };
  });
}

BoundKernel max_gradient_cpu(const BindContext& context) {
  const Pool p = pool_of(context, context.shape(0));
  if (by_vectors(p, context.dtype_of(0))) return bind_max_gradient_vectors(p);
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p, count = context.shape(0).numel()](Inputs in, Outputs out) {
      const T* x = static_cast<const T*>(in[0]);
      T* z = static_cast<T*>(out[0]);
      std::fill_n(z, count, T(0.0f));
      for_each_window(p, [&](std::int64_t n, std::int64_t y, auto... box) {
        for (std::int64_t c = 0; c < p.channels; ++c) {
          const std::int64_t at = argmax(p, x, n, c, box...);
          if (at >= 0) z[at] = T(static_cast<compute_t<T>>(z[at]) + static_cast<compute_t<T>>(static_cast<const T*>(in[1])[y + c]));
        }
      });
    };
  });
}

BoundKernel pick_cpu(const BindContext& context) {
  const Pool p = pool_of(context, context.shape(0));
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [p](Inputs in, Outputs out) {
      for_each_window(p, [&](std::int64_t n, std::int64_t y, auto... box) {
        for (std::int64_t c = 0; c < p.channels; ++c) {
          const std::int64_t at = argmax(p, static_cast<const T*>(in[0]), n, c, box...);
          static_cast<T*>(out[0])[y + c] = at < 0 ? T(0.0f) : static_cast<const T*>(in[1])[at];
        }
      });
    };
  });
}

BoundKernel average_cpu(const BindContext& context) {
  const Pool p = pool_of(context, context.shape(0));
  if (context.dtype_of(0) == float32 && !any_empty(p)) return bind_average(p);
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [p](Inputs in, Outputs out) {
      const T* x = static_cast<const T*>(in[0]);
      for_each_window(p, [&](std::int64_t n, std::int64_t y, std::int64_t h0, std::int64_t h1, std::int64_t w0, std::int64_t w1) {
        for (std::int64_t c = 0; c < p.channels; ++c) {
          C sum = 0;
          for (std::int64_t h = h0; h < h1; ++h)
            for (std::int64_t w = w0; w < w1; ++w) sum += static_cast<C>(x[cell(p, n, h, w) + c]);
          static_cast<T*>(out[0])[y + c] = T(sum / static_cast<C>((h1 - h0) * (w1 - w0)));
        }
      });
    };
  });
}

BoundKernel average_gradient_cpu(const BindContext& context) {
  const Pool p = pool_of(context, context.output(0).shape);
  return visit_float(context, [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [p, count = context.output(0).shape.numel()](Inputs in, Outputs out) {
      std::vector<C> sums(static_cast<std::size_t>(count), C());
      for_each_window(p, [&](std::int64_t n, std::int64_t y, std::int64_t h0, std::int64_t h1, std::int64_t w0, std::int64_t w1) {
        const C cells = static_cast<C>((h1 - h0) * (w1 - w0));
        for (std::int64_t h = h0; h < h1; ++h)
          for (std::int64_t w = w0; w < w1; ++w)
            for (std::int64_t c = 0; c < p.channels; ++c) sums[std::size_t(cell(p, n, h, w) + c)] += static_cast<C>(static_cast<const T*>(in[0])[y + c]) / cells;
      });
      for (std::int64_t i = 0; i < count; ++i) static_cast<T*>(out[0])[i] = T(sums[std::size_t(i)]);
    };
  });
}

Tensor call(const char* name, std::initializer_list<Tensor> inputs, const AttrList& attrs) { return apply(find_op(name), inputs, attrs); }

AttrList window_attrs(const OpCall& c) { return {{"ksize", c.attr("ksize")}, {"strides", c.attr("strides")}, {"padding", c.attr("padding")}}; }

Gradients max_gradient(G c) { return {call("max_pool2d_gradient", {c.input(0), c.upstream()}, window_attrs(c))}; }
Gradients max_gradient_gradient(G c) { return {Gradient(), call("max_pool2d_pick", {c.input(0), c.upstream()}, window_attrs(c))}; }
Gradients pick_gradient(G c) { return {Gradient(), call("max_pool2d_gradient", {c.input(0), c.upstream()}, window_attrs(c))}; }
Gradients average_gradient(G c) {
  const Shape& x = c.input(0).shape();
  if (!x.known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "avg_pool2d");
  AttrList attrs{{"input_shape", Ints(x.begin(), x.end())}};
  const AttrList rest = window_attrs(c);
  attrs.append(rest.begin(), rest.end());
  return {call("avg_pool2d_gradient", {c.upstream()}, attrs)};
}
Gradients average_gradient_gradient(G c) { return {call("avg_pool2d", {c.upstream()}, window_attrs(c))}; }

// ---- one spatial axis: the same with a height of 1

void pool1d_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  const std::int64_t size = context.integer("ksize"), stride = context.integer("strides");
  if (x.ndim() != 3) context.refuse("needs (batch, steps, channels)");
  if (size < 1 || stride < 1 || size > window::kMost || stride > window::kMost) context.refuse("ksize and strides must be between 1 and 2^30");
  const std::int64_t in[] = {x[1]}, sizes[] = {size}, strides[] = {stride}, one[] = {1};
  const IntLists pads = window::paddings(context, in, sizes, strides, one, context.text("padding"));
  context.output(context.dtype_of(0), {x[0], window::count(context, x[1], size, stride, 1, pads[0][0], pads[0][1]), x[2]});
}
template <bool Max>
Tensors pool1d_of(const OpCall& c, std::span<const Tensor> in) {
  const Tensor plane = expand_dims(in[0], 1);
  const Ints size{1, c.integer("ksize")}, strides{1, c.integer("strides")};
  return {squeeze(Max ? max_pool2d(plane, size, strides, c.text("padding")) : avg_pool2d(plane, size, strides, c.text("padding")), 1)};
}

OpDef base(std::string_view name, std::string_view doc, int inputs, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), GradRule gradient, OnnxForm form, Sample sample) {
  return {.name = name, .doc = doc, .family = "pool", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = same(kFloats), .infer = infer, .gradient = gradient, .onnx = form, .samples = {std::move(sample)}, .cpu = cpu};
}

}  // namespace

std::vector<OpDef> pool_rows() {
  const AttrDef padding{.name = "padding", .type = AttrType::string, .fallback = std::string("valid")};
  const std::vector<AttrDef> attrs{{.name = "ksize", .type = AttrType::ints, .required = true}, {.name = "strides", .type = AttrType::ints, .required = true}, padding};
  const std::vector<AttrDef> line{{.name = "ksize", .type = AttrType::integer, .required = true}, {.name = "strides", .type = AttrType::integer, .required = true}, padding};
  std::vector<AttrDef> shaped = attrs;
  shaped.insert(shaped.begin(), {.name = "input_shape", .type = AttrType::ints, .required = true});
  const AttrList sample{{"ksize", Ints{2, 3}}, {"strides", Ints{2, 2}}, {"padding", std::string("same")}};
  AttrList shaped_sample{{"input_shape", Ints{1, 5, 5, 2}}};
  shaped_sample.append(sample.begin(), sample.end());
  const AttrList line_sample{{"ksize", std::int64_t(3)}, {"strides", std::int64_t(2)}};
  const Sample::Operand x{.shape = {1, 5, 5, 2}}, y{.shape = {1, 3, 3, 2}}, steps{.shape = {2, 6, 3}};
  const auto training = no_onnx("used in training only");
  std::vector<OpDef> rows;
  rows.push_back(base("max_pool2d", "the maximum of each window; the gradient goes to the first one", 1, attrs, pool_infer, max_cpu, max_gradient, onnx("MaxPool"), {.inputs = {x}, .attrs = sample}));
  rows.push_back(base("max_pool2d_gradient", "operand 1 added to zeros where the maxima of operand 0 stand", 2, attrs, max_gradient_infer, max_gradient_cpu, max_gradient_gradient, training, {.inputs = {x, y}, .attrs = sample}));
  rows.push_back(base("max_pool2d_pick", "the elements of operand 1 where the maxima of operand 0 stand", 2, attrs, pick_infer, pick_cpu, pick_gradient, training, {.inputs = {x, x}, .attrs = sample}));
  rows.push_back(base("avg_pool2d", "the mean of each window; cells of padding are not counted", 1, attrs, pool_infer, average_cpu, average_gradient, onnx("AveragePool"), {.inputs = {x}, .attrs = sample}));
  rows.push_back(base("avg_pool2d_gradient", "upstream spread evenly over each window", 1, shaped, average_gradient_infer, average_gradient_cpu, average_gradient_gradient, training, {.inputs = {y}, .attrs = shaped_sample}));
  rows.push_back(base("max_pool1d", "max_pool2d over (batch, steps, channels)", 1, line, pool1d_infer, nullptr, {}, onnx("MaxPool"), {.inputs = {steps}, .attrs = line_sample}));
  rows.back().compose = pool1d_of<true>;
  rows.push_back(base("avg_pool1d", "avg_pool2d over (batch, steps, channels)", 1, line, pool1d_infer, nullptr, {}, onnx("AveragePool"), {.inputs = {steps}, .attrs = line_sample}));
  rows.back().compose = pool1d_of<false>;
  return rows;
}

}  // namespace lockstep
