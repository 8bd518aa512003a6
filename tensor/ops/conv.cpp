// Convolutions, channels last. One row over any number of spatial axes and its two adjoints do all the work (each is the gradient of
// the others); conv1d, conv2d, ... say what they are in terms of it. oneDNN for float32 and bfloat16, Winograd's filtering where it pays, loops
// for the rest.

#include <algorithm>
#include <cstring>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/onednn/primitive.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/window.h>
#include <lockstep/tensor/ops/winograd.h>

namespace lockstep {
namespace {

using G = const GradContext&;
using window::Convolution;
using window::convolution_of;

Ints list(const Shape& shape) { return {shape.begin(), shape.end()}; }

Shape result_shape(const Convolution& c) {
  Shape shape{c.batch};
  for (int i = 0; i < c.ndim; ++i) shape.push_back(c.out[std::size_t(3 - c.ndim + i)]);
  shape.push_back(c.out_channels);
  return shape;
}

void require_window(const InferContext& context, std::int64_t stride, std::int64_t dilation, std::int64_t kernel) {
  if (stride < 1 || dilation < 1 || kernel < 1) context.refuse("strides, dilations and kernel sizes must be at least 1");
  if (stride > window::kMost || dilation > window::kMost || kernel > window::kMost) context.refuse("strides, dilations and kernel sizes must be at most 2^30");
}

void check(const InferContext& context, const Shape& x, const Shape& kernel) {
  if (x.ndim() < 3 || x.ndim() > 5 || kernel.ndim() != x.ndim()) context.refuse("needs (batch, spatial..., channels) and (spatial..., in, out) with one to three spatial axes");
  const std::size_t n = std::size_t(x.ndim() - 2);
  const Ints strides = context.ints("strides"), dilations = context.ints("dilations");
  const std::int64_t groups = context.integer("groups");
  if (strides.size() != n || dilations.size() != n || context.int_lists("padding").size() != n) context.refuse("strides, dilations and padding must have one entry per spatial axis");
  for (std::size_t i = 0; i < n; ++i) {
    require_window(context, strides[i], dilations[i], kernel[int(i)]);
    const Ints& pair = context.int_lists("padding")[i];
    if (pair.size() != 2 || pair[0] < 0 || pair[1] < 0 || pair[0] > window::kMost || pair[1] > window::kMost) context.refuse("padding must be a pair of numbers >= 0 per spatial axis, got " + to_string(context.attr("padding")));
  }
  const std::int64_t in = x[x.ndim() - 1], out = kernel[kernel.ndim() - 1];
  if (groups < 1 || in % groups || in / groups != kernel[kernel.ndim() - 2] || out % groups)
    context.refuse("the input has " + std::to_string(in) + " channels, the kernel takes " + std::to_string(kernel[kernel.ndim() - 2]) + " in each of " + std::to_string(groups) + " groups");
}

Shape shape_attr(const InferContext& context, std::string_view name) {
  const Ints sizes = context.ints(name);
  for (const std::int64_t size : sizes)
    if (size < 0) context.refuse("negative size in " + std::string(name) + " " + to_string(AttrValue(sizes)));
  return Shape(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
}

void forward_infer(InferContext& context) {
  check(context, context.shape(0), context.shape(1));
  context.output(context.dtype_of(0), result_shape(convolution_of(context, context.shape(0), context.shape(1))));
}
/// (upstream, kernel) -> gradient of the input
void input_gradient_infer(InferContext& context) {
  const Shape x = shape_attr(context, "input_shape");
  check(context, x, context.shape(1));
  if (result_shape(convolution_of(context, x, context.shape(1))) != context.shape(0)) context.refuse("operand 0 is not what a convolution of input_shape " + to_string(x) + " gives");
  context.output(context.dtype_of(0), x);
}
/// (input, upstream) -> gradient of the kernel
void kernel_gradient_infer(InferContext& context) {
  const Shape kernel = shape_attr(context, "kernel_shape");
  check(context, context.shape(0), kernel);
  if (result_shape(convolution_of(context, context.shape(0), kernel)) != context.shape(1)) context.refuse("operand 1 is not what a convolution by a kernel of " + to_string(kernel) + " gives");
  context.output(context.dtype_of(0), kernel);
}

// ---- loops: visits (input cell, kernel cell, output cell) with their first channels' offsets

template <class F>
void for_each_tap(const Convolution& c, F&& f) {
  const std::int64_t in_group = c.in_channels / c.groups;
  for (std::int64_t n = 0; n < c.batch; ++n)
    for (std::int64_t od = 0; od < c.out[0]; ++od)
      for (std::int64_t oh = 0; oh < c.out[1]; ++oh)
        for (std::int64_t ow = 0; ow < c.out[2]; ++ow)
          for (std::int64_t kd = 0; kd < c.kernel[0]; ++kd)
            for (std::int64_t kh = 0; kh < c.kernel[1]; ++kh)
              for (std::int64_t kw = 0; kw < c.kernel[2]; ++kw) {
                const std::int64_t d = od * c.stride[0] + kd * c.dilation[0] - c.before[0], h = oh * c.stride[1] + kh * c.dilation[1] - c.before[1], w = ow * c.stride[2] + kw * c.dilation[2] - c.before[2];
                if (d < 0 || d >= c.in[0] || h < 0 || h >= c.in[1] || w < 0 || w >= c.in[2]) continue;
                f((((n * c.in[0] + d) * c.in[1] + h) * c.in[2] + w) * c.in_channels, ((kd * c.kernel[1] + kh) * c.kernel[2] + kw) * in_group * c.out_channels,
                  (((n * c.out[0] + od) * c.out[1] + oh) * c.out[2] + ow) * c.out_channels);
              }
}

enum class Part { forward, input, kernel };

/// Which operands are read and which is written: x, w, y by part.
template <Part P, class T>
BoundKernel bind_loops(const Convolution& c, std::int64_t count) {
  using A = compute_t<T>;
  return [c, count](Inputs in, Outputs out) {
    std::vector<A> sums(static_cast<std::size_t>(count), A());
    const T* first = static_cast<const T*>(in[0]);
    const T* second = static_cast<const T*>(in[1]);
    const std::int64_t in_group = c.in_channels / c.groups, out_group = c.out_channels / c.groups;
    for_each_tap(c, [&](std::int64_t x, std::int64_t w, std::int64_t y) {
      for (std::int64_t g = 0; g < c.groups; ++g)
        for (std::int64_t i = 0; i < in_group; ++i)
          for (std::int64_t o = 0; o < out_group; ++o) {
            const std::int64_t xi = x + g * in_group + i, wi = w + i * c.out_channels + g * out_group + o, yi = y + g * out_group + o;
            if constexpr (P == Part::forward) sums[std::size_t(yi)] += static_cast<A>(first[xi]) * static_cast<A>(second[wi]);
            else if constexpr (P == Part::input) sums[std::size_t(xi)] += static_cast<A>(first[yi]) * static_cast<A>(second[wi]);
            else sums[std::size_t(wi)] += static_cast<A>(first[xi]) * static_cast<A>(second[yi]);
          }
    });
    for (std::int64_t i = 0; i < count; ++i) static_cast<T*>(out[0])[i] = static_cast<T>(sums[std::size_t(i)]);
  };
}

// ---- oneDNN

struct Descs {
  dnnl::memory::desc x, w, w_any, y;
  dnnl::memory::dims strides, dilations, before, after;
};

Descs descs_of(const Convolution& c, DType dtype) {
  Descs d;
  const std::size_t first = std::size_t(3 - c.ndim);
  const auto channels_last = [&](std::int64_t channels, const std::array<std::int64_t, 3>& size) {
    dnnl::memory::dims dims{c.batch, channels}, strides{0, 1};
    std::int64_t stride = channels;
    for (std::size_t i = first; i < 3; ++i) dims.push_back(size[i]), strides.push_back(0);
    for (std::size_t i = dims.size() - 1; i >= 2; --i) strides[i] = stride, stride *= dims[i];
    strides[0] = stride;
    return onednn::strided(dims, strides, dtype);
  };
  d.x = channels_last(c.in_channels, c.in);
  d.y = channels_last(c.out_channels, c.out);
  const std::int64_t in_group = c.in_channels / c.groups, out_group = c.out_channels / c.groups;
  dnnl::memory::dims dims{out_group, in_group}, strides{1, c.out_channels};
  std::int64_t stride = in_group * c.out_channels;
  dnnl::memory::dims spatial, spatial_strides;
  for (std::size_t i = 3; i > first; --i) {
    spatial.insert(spatial.begin(), c.kernel[i - 1]);
    spatial_strides.insert(spatial_strides.begin(), stride);
    stride *= c.kernel[i - 1];
  }
  dims.insert(dims.end(), spatial.begin(), spatial.end());
  strides.insert(strides.end(), spatial_strides.begin(), spatial_strides.end());
  if (c.groups > 1) {
    dims.insert(dims.begin(), c.groups);
    strides.insert(strides.begin(), out_group);
  }
  d.w = onednn::strided(dims, strides, dtype);
  d.w_any = dnnl::memory::desc(dims, onednn::data_type(dtype), dnnl::memory::format_tag::any);
  for (std::size_t i = first; i < 3; ++i) {
    d.strides.push_back(c.stride[i]);
    d.dilations.push_back(c.dilation[i] - 1);
    d.before.push_back(c.before[i]);
    d.after.push_back(c.after[i]);
  }
  return d;
}

onednn::Key key_of(const Convolution& c, Part part, DType dtype, bool bias, const std::string& activation) {
  onednn::Key key{2, int(part), int(dtype), bias, std::int64_t(std::hash<std::string>{}(activation)), intra_op_threads(), c.batch, c.in_channels, c.out_channels, c.groups, c.ndim};
  for (const auto* sizes : {&c.in, &c.kernel, &c.stride, &c.dilation, &c.before, &c.after}) key.append(sizes->begin(), sizes->end());
  return key;
}

/// A convolution, and how each of its operands and its result get into the layout that it likes best.
struct Call {
  struct Move {
    std::shared_ptr<onednn::Primitive> reorder;  // null: it is in that layout
    std::int64_t nbytes = 0;
  };
  std::shared_ptr<onednn::Primitive> convolution;
  std::array<Move, 3> moves;  // first operand, second operand, result
};

/// Does the gradient by the input pay for copies of upstream and result to and from blocks of channels? oneDNN's AVX2 kernel takes 20.8 ms
/// channels-last and 14.6 ms in blocks for a 3x3, 32 -> 64 at 26x26, batch 64; the copies take 2 ms.
bool blocks_pay(const Convolution& c, Part part) {
  static const bool avx2 = dnnl::get_effective_cpu_isa() == dnnl::cpu_isa::avx2;
  const std::int64_t taps = c.kernel[0] * c.kernel[1] * c.kernel[2];
  return avx2 && part == Part::input && c.groups == 1 && c.in_channels % 8 == 0 && c.out_channels % 8 == 0 && c.in_channels >= 32 && taps * c.out_channels >= 512;
}

std::shared_ptr<onednn::Primitive> convolution_of_part(Descs d, const Convolution& c, Part part, DType dtype, bool bias, const std::string& activation) {
  if (blocks_pay(c, part))
    for (dnnl::memory::desc* each : {&d.x, &d.y}) *each = dnnl::memory::desc(each->dims(), onednn::data_type(dtype), dnnl::memory::format_tag::any);
  dnnl::primitive_attr attributes = onednn::attributes();
  onednn::append_activation(attributes, activation);
  using Forward = dnnl::convolution_forward;
  const auto direct = dnnl::algorithm::convolution_direct;
  const auto vector = onednn::dense({c.out_channels}, dtype);
  const auto desc = bias ? Forward::desc(dnnl::prop_kind::forward_training, direct, d.x, d.w_any, vector, d.y, d.strides, d.dilations, d.before, d.after)
                         : Forward::desc(dnnl::prop_kind::forward_training, direct, d.x, d.w_any, d.y, d.strides, d.dilations, d.before, d.after);
  if (part == Part::forward) {
    const Forward::primitive_desc pd(desc, attributes, onednn::engine());
    onednn::Primitive::Arguments arguments{{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}, {DNNL_ARG_DST, pd.dst_desc()}};
    if (bias) arguments.push_back({DNNL_ARG_BIAS, vector});
    return std::make_shared<onednn::Primitive>(Forward(pd), arguments, pd.scratchpad_desc());
  }
  const Forward::primitive_desc hint(desc, onednn::engine());
  if (part == Part::input) {
    using Backward = dnnl::convolution_backward_data;
    const Backward::primitive_desc pd(Backward::desc(direct, d.x, d.w_any, d.y, d.strides, d.dilations, d.before, d.after), attributes, onednn::engine(), hint);
    return std::make_shared<onednn::Primitive>(Backward(pd), onednn::Primitive::Arguments{{DNNL_ARG_DIFF_DST, pd.diff_dst_desc()}, {DNNL_ARG_WEIGHTS, pd.weights_desc()}, {DNNL_ARG_DIFF_SRC, pd.diff_src_desc()}}, pd.scratchpad_desc());
  }
  using Backward = dnnl::convolution_backward_weights;
  const Backward::primitive_desc pd(Backward::desc(direct, d.x, d.w_any, d.y, d.strides, d.dilations, d.before, d.after), attributes, onednn::engine(), hint);
  return std::make_shared<onednn::Primitive>(Backward(pd), onednn::Primitive::Arguments{{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DIFF_DST, pd.diff_dst_desc()}, {DNNL_ARG_DIFF_WEIGHTS, pd.diff_weights_desc()}}, pd.scratchpad_desc());
}

Call call_of(const Convolution& c, Part part, DType dtype, bool bias, const std::string& activation) {
  const Descs d = descs_of(c, dtype);
  const onednn::Key key = key_of(c, part, dtype, bias, activation);
  Call call;
  call.convolution = onednn::cached(key, [&] { return convolution_of_part(d, c, part, dtype, bias, activation); });
  const std::array<const dnnl::memory::desc*, 3> given = part == Part::forward ? std::array{&d.x, &d.w, &d.y} : part == Part::input ? std::array{&d.y, &d.w, &d.x} : std::array{&d.x, &d.y, &d.w};
  for (std::size_t i = 0; i < 3; ++i) {
    const dnnl::memory::desc& chosen = call.convolution->desc(i);
    if (chosen == *given[i]) continue;
    onednn::Key reorder_key = key;
    reorder_key.push_back(std::int64_t(i) + 1);
    call.moves[i] = {onednn::cached(reorder_key, [&] { return i == 2 ? onednn::reorder(chosen, *given[i]) : onednn::reorder(*given[i], chosen); }), std::int64_t(chosen.get_size())};
  }
  return call;
}

BoundKernel bind_onednn(const Convolution& c, Part part, DType dtype, bool bias = false, const std::string& activation = "none") {
  return [call = call_of(c, part, dtype, bias, activation), bias](Inputs in, Outputs out) {
    std::array<Tensor, 3> moved;
    std::array<const void*, 3> pointers{in[0], in[1], out[0]};
    for (std::size_t i = 0; i < 3; ++i) {
      if (!call.moves[i].reorder) continue;
      moved[i] = Tensor::empty({call.moves[i].nbytes}, uint8);
      if (i < 2) call.moves[i].reorder->run({pointers[i], moved[i].raw()});
      pointers[i] = moved[i].raw();
    }
    if (bias) call.convolution->run({pointers[0], pointers[1], pointers[2], in[2]});
    else call.convolution->run({pointers[0], pointers[1], pointers[2]});
    if (call.moves[2].reorder) call.moves[2].reorder->run({pointers[2], out[0]});
  };
}

template <Part P>
BoundKernel bind_winograd(const Convolution& c) {
  return [c](Inputs in, Outputs out) {
    const float *first = static_cast<const float*>(in[0]), *second = static_cast<const float*>(in[1]);
    float* to = static_cast<float*>(out[0]);
    if constexpr (P == Part::forward) winograd::forward(c, first, second, nullptr, false, to);
    else if constexpr (P == Part::input) winograd::input_gradient(c, first, second, to);
    else winograd::kernel_gradient(c, first, second, to);
  };
}

template <Part P>
BoundKernel bind(const BindContext& context, const Convolution& c) {
  const std::int64_t count = context.output(0).shape.numel();
  const DType dtype = context.dtype_of(0);
  const bool empty = c.batch == 0 || c.in_channels == 0 || c.out_channels == 0 || c.out[0] * c.out[1] * c.out[2] == 0 || c.in[0] * c.in[1] * c.in[2] == 0;
  switch (dtype) {
    case DType::float16: return bind_loops<P, Half>(c, count);
    case DType::float64: return bind_loops<P, double>(c, count);
    case DType::bfloat16:
      if (empty) return bind_loops<P, BFloat16>(c, count);
      return onednn::has_bfloat16() ? bind_onednn(c, P, dtype) : onednn::in_float32(context);
    default:
      if (empty) return bind_loops<P, float>(c, count);
      return winograd::pays(c) ? bind_winograd<P>(c) : bind_onednn(c, P, dtype);
  }
}

BoundKernel forward_cpu(const BindContext& context) { return bind<Part::forward>(context, convolution_of(context, context.shape(0), context.shape(1))); }
BoundKernel input_gradient_cpu(const BindContext& context) { return bind<Part::input>(context, convolution_of(context, context.output(0).shape, context.shape(1))); }
BoundKernel kernel_gradient_cpu(const BindContext& context) { return bind<Part::kernel>(context, convolution_of(context, context.shape(0), context.output(0).shape)); }

// ---- gradients

AttrList with(const OpCall& call, std::string_view name, const Shape& shape) {
  AttrList attrs;
  if (!name.empty()) attrs.push_back({name, list(shape)});
  for (const char* each : {"strides", "padding", "dilations", "groups"}) attrs.push_back({each, call.attr(each)});
  return attrs;
}

Tensor forward(const OpCall& call, const Tensor& x, const Tensor& kernel) {
  static const OpDef& op = find_op("convolution");
  return apply(op, {x, kernel}, with(call, {}, {}));
}
Tensor input_gradient(const OpCall& call, const Tensor& up, const Tensor& kernel, const Tensor& x) {
  if (!x.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "convolution");
  static const OpDef& op = find_op("convolution_input_gradient");
  return apply(op, {up, kernel}, with(call, "input_shape", x.shape()));
}
Tensor kernel_gradient(const OpCall& call, const Tensor& x, const Tensor& up, const Tensor& kernel) {
  if (!kernel.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "convolution");
  static const OpDef& op = find_op("convolution_kernel_gradient");
  return apply(op, {x, up}, with(call, "kernel_shape", kernel.shape()));
}

Gradients forward_gradient(G c) {
  const Tensor up = c.upstream();
  return {input_gradient(c, up, c.input(1), c.input(0)), kernel_gradient(c, c.input(0), up, c.input(1))};
}
Gradients input_gradient_gradient(G c) { return {forward(c, c.upstream(), c.input(1)), kernel_gradient(c, c.upstream(), c.input(0), c.input(1))}; }
Gradients kernel_gradient_gradient(G c) { return {input_gradient(c, c.input(1), c.upstream(), c.input(0)), forward(c, c.input(0), c.upstream())}; }

// ---- the epilogue's row

void fused_infer(InferContext& context) {
  forward_infer(context);
  rules::epilogue(context);
  if (context.input_count() == 3 && context.shape(2) != Shape{context.shape(1)[context.shape(1).ndim() - 1]}) context.refuse("the bias must have one number per channel");
}
BoundKernel fused_cpu(const BindContext& context) {
  if (context.dtype_of(0) == bfloat16 && !onednn::has_bfloat16()) return onednn::in_float32(context);
  const Convolution c = convolution_of(context, context.shape(0), context.shape(1));
  const bool bias = context.input_count() == 3;
  const std::string& activation = context.text("activation");
  if (context.dtype_of(0) == float32 && (activation == "none" || activation == "relu") && winograd::pays(c))
    return [c, bias, relu = activation == "relu"](Inputs in, Outputs out) {
      winograd::forward(c, static_cast<const float*>(in[0]), static_cast<const float*>(in[1]), bias ? static_cast<const float*>(in[2]) : nullptr, relu, static_cast<float*>(out[0]));
    };
  return bind_onednn(c, Part::forward, context.dtype_of(0), bias, activation);
}

// ---- the rows that users call

/// Spatial sizes of x and the kernel, and the list of paddings the words mean.
IntLists padding_of(const OpCall& call, const Shape& x, const Shape& kernel, const Ints& strides, const Ints& dilations) {
  const std::size_t n = std::size_t(x.ndim() - 2);
  const std::string& padding = call.text("padding");
  if (padding == "causal" && n == 1) return {{(kernel[0] - 1) * dilations[0], 0}};
  if (padding == "explicit") {
    const IntLists& lists = call.int_lists("explicit_padding");
    bool fits = lists.size() == n;
    for (std::size_t i = 0; fits && i < n; ++i) fits = lists[i].size() == 2 && lists[i][0] >= 0 && lists[i][1] >= 0 && lists[i][0] <= window::kMost && lists[i][1] <= window::kMost;
    if (!fits) call.refuse("explicit_padding must be one pair of numbers >= 0 per spatial axis, got " + to_string(call.attr("explicit_padding")));
    return lists;
  }
  return window::paddings(call, x.dims().subspan(1, n), kernel.dims().first(n), strides, dilations, padding);
}

Ints ones(std::size_t n) { return Ints(n, 1); }

struct Form {
  Ints strides, dilations;
  std::int64_t groups = 1;
};
Form form_of(const OpCall& call, int spatial) {
  const auto has = [&](std::string_view name) { return std::any_of(call.op().attrs.begin(), call.op().attrs.end(), [&](const AttrDef& attr) { return attr.name == name; }); };
  Form form;
  form.strides = call.ints(has("stride") ? "stride" : "strides");
  form.dilations = has("dilation") ? call.ints("dilation") : has("dilations") ? call.ints("dilations") : ones(std::size_t(spatial));
  form.groups = has("groups") ? call.integer("groups") : 1;
  return form;
}

/// Checks a user's call and gives the inner attributes; `depthwise` kernels are (..., channels, multiplier).
template <int Spatial, bool Depthwise>
void user_infer(InferContext& context) {
  const Shape &x = context.shape(0), &kernel = context.shape(1);
  if (x.ndim() != Spatial + 2 || kernel.ndim() != Spatial + 2) context.refuse("needs an input and a kernel of " + std::to_string(Spatial + 2) + " axes");
  const Form form = form_of(context, Spatial);
  if (form.strides.size() != Spatial || form.dilations.size() != Spatial) context.refuse("strides and dilations must have one number per spatial axis");
  for (int i = 0; i < Spatial; ++i)
    require_window(context, form.strides[std::size_t(i)], form.dilations[std::size_t(i)], kernel[i]);
  const std::int64_t in = x[Spatial + 1], per_group = kernel[Spatial], out = kernel[Spatial + 1];
  if (Depthwise ? in != per_group : form.groups < 1 || in % form.groups || in / form.groups != per_group || out % form.groups)
    context.refuse("the input has " + std::to_string(in) + " channels, the kernel takes " + std::to_string(per_group) + (Depthwise ? "" : " in each of " + std::to_string(form.groups) + " groups"));
  const IntLists pads = padding_of(context, x, kernel, form.strides, form.dilations);
  Shape result{x[0]};
  for (int i = 0; i < Spatial; ++i) {
    const auto k = std::size_t(i);
    result.push_back(window::count(context, x[i + 1], kernel[i], form.strides[k], form.dilations[k], pads[k][0], pads[k][1]));
  }
  result.push_back(Depthwise ? per_group * out : out);
  context.output(context.dtype_of(0), result);
}

template <int Spatial>
Tensors user_of(const OpCall& call, std::span<const Tensor> in) {
  static const OpDef& op = find_op("convolution");
  const Form form = form_of(call, Spatial);
  return {apply(op, {in[0], in[1]}, {{"strides", form.strides}, {"padding", padding_of(call, in[0].shape(), in[1].shape(), form.strides, form.dilations)}, {"dilations", form.dilations}, {"groups", form.groups}})};
}

Tensors depthwise_of(const OpCall& call, std::span<const Tensor> in) {
  static const OpDef& op = find_op("convolution");
  const Form form = form_of(call, 2);
  const Shape& k = in[1].shape();
  return {apply(op, {in[0], reshape(in[1], {k[0], k[1], 1, k[2] * k[3]})}, {{"strides", form.strides}, {"padding", padding_of(call, in[0].shape(), k, form.strides, form.dilations)}, {"dilations", form.dilations}, {"groups", k[2]}})};
}

/// The kernel of a transposed convolution is (height, width, out, in).
AttrList transpose_attrs(const OpCall& call, const Shape& kernel) {
  const Ints sizes = call.ints("output_shape"), strides = call.ints("strides");
  const Shape out(std::span<const std::int64_t>(sizes.begin(), sizes.size()));
  return {{"input_shape", sizes}, {"strides", strides}, {"padding", padding_of(call, out, kernel, strides, ones(2))}, {"dilations", ones(2)}, {"groups", std::int64_t(1)}};
}
void transpose_infer(InferContext& context) {
  const Shape &x = context.shape(0), &kernel = context.shape(1);
  const Shape out = shape_attr(context, "output_shape");
  const Ints strides = context.ints("strides");
  if (x.ndim() != 4 || kernel.ndim() != 4 || out.ndim() != 4 || strides.size() != 2) context.refuse("needs an input, a kernel and an output_shape of 4 axes, and 2 strides");
  for (int i = 0; i < 2; ++i) require_window(context, strides[std::size_t(i)], 1, kernel[i]);
  if (x[3] != kernel[3] || out[3] != kernel[2] || out[0] != x[0]) context.refuse("channels or batch of input, kernel (height, width, out, in) and output_shape " + to_string(out) + " do not agree");
  const IntLists pads = padding_of(context, out, kernel, strides, ones(2));
  for (int i = 0; i < 2; ++i) {
    const auto k = std::size_t(i);
    if (window::count(context, out[i + 1], kernel[i], strides[k], 1, pads[k][0], pads[k][1]) != x[i + 1]) context.refuse("a convolution of output_shape " + to_string(out) + " does not give the input's size");
  }
  context.output(context.dtype_of(0), out);
}
Tensors transpose_of(const OpCall& call, std::span<const Tensor> in) {
  static const OpDef& op = find_op("convolution_input_gradient");
  return {apply(op, {in[0], in[1]}, transpose_attrs(call, in[1].shape()))};
}

AttrDef ints(std::string_view name, Ints fallback) { return {.name = name, .type = AttrType::ints, .fallback = std::move(fallback)}; }
AttrDef required(std::string_view name, AttrType type) { return {.name = name, .type = type, .required = true}; }
AttrDef padding_attr() { return {.name = "padding", .type = AttrType::string, .fallback = std::string("valid")}; }
AttrDef integer(std::string_view name, std::int64_t fallback) { return {.name = name, .type = AttrType::integer, .fallback = fallback}; }

std::vector<AttrDef> inner_attrs(std::string_view shape = {}) {
  std::vector<AttrDef> attrs;
  if (!shape.empty()) attrs.push_back(required(shape, AttrType::ints));
  attrs.insert(attrs.end(), {required("strides", AttrType::ints), {.name = "padding", .type = AttrType::int_lists, .required = true, .doc = "cells before and after each spatial axis"}, required("dilations", AttrType::ints), integer("groups", 1)});
  return attrs;
}

OpDef base(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "conv", .min_inputs = 2, .max_inputs = 2, .attrs = std::move(attrs), .dtypes = same(kFloats), .infer = infer, .precision = Precision::prefer_low, .onnx = form, .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> conv_rows() {
  const Sample::Operand x{.shape = {2, 5, 6, 4}}, kernel{.shape = {3, 2, 2, 4}}, y{.shape = {2, 3, 3, 4}};
  const AttrList inner{{"strides", Ints{2, 2}}, {"padding", IntLists{{1, 1}, {0, 1}}}, {"dilations", Ints{1, 1}}, {"groups", std::int64_t(2)}};
  const auto with_shape = [&](std::string_view name, Ints shape) {
    AttrList attrs{{name, std::move(shape)}};
    attrs.append(inner.begin(), inner.end());
    return attrs;
  };
  std::vector<OpDef> rows;
  rows.push_back(base("convolution", "(batch, spatial..., in) with a kernel (spatial..., in / groups, out), padding in cells before and after each axis", inner_attrs(), forward_infer, onnx("Conv"), {{.inputs = {x, kernel}, .attrs = inner}}));
  rows.back().gradient = forward_gradient;
  rows.back().fusion = Fusion::gemm;
  rows.back().cpu = forward_cpu;
  rows.push_back(base("convolution_input_gradient", "the gradient of a convolution's input from upstream (operand 0) and the kernel: a transposed convolution", inner_attrs("input_shape"), input_gradient_infer, onnx("ConvTranspose"),
                      {{.inputs = {y, kernel}, .attrs = with_shape("input_shape", {2, 5, 6, 4})}}));
  rows.back().gradient = input_gradient_gradient;
  rows.back().cpu = input_gradient_cpu;
  rows.push_back(base("convolution_kernel_gradient", "the gradient of a convolution's kernel from the input and upstream (operand 1)", inner_attrs("kernel_shape"), kernel_gradient_infer, no_onnx("used in training only"),
                      {{.inputs = {x, y}, .attrs = with_shape("kernel_shape", {3, 2, 2, 4})}}));
  rows.back().gradient = kernel_gradient_gradient;
  rows.back().cpu = kernel_gradient_cpu;
  std::vector<AttrDef> fused_attrs = inner_attrs();
  fused_attrs.push_back({.name = "activation", .type = AttrType::string, .fallback = std::string("none")});
  Sample fused_sample{.inputs = {x, kernel, {.shape = {4}}}, .attrs = inner};
  for (Sample::Operand& operand : fused_sample.inputs) operand.dtype = float32;
  rows.push_back(base("fused_convolution", "convolution, plus a bias per channel (operand 2), then an activation", fused_attrs, fused_infer, no_onnx("exported as its parts"), {fused_sample}));
  rows.back().max_inputs = 3;
  rows.back().dtypes = same(dtypes(float32, bfloat16));
  rows.back().gradient = not_differentiable("the fusion pass makes it when gradients have been taken");
  rows.back().cpu = fused_cpu;

  const auto user = [&](OpDef row, Tensors (*compose)(const OpCall&, std::span<const Tensor>)) {
    row.compose = compose;
    rows.push_back(std::move(row));
  };
  const auto composed = no_onnx("exported as the convolution that defines it");
  user(base("conv1d", "(batch, steps, in) with a kernel (steps, in, out); padding valid, same or causal", {integer("stride", 1), padding_attr(), integer("dilation", 1)}, user_infer<1, false>, composed,
            {{.inputs = {{.shape = {1, 6, 2}}, {.shape = {3, 2, 2}}}, .attrs = {{"padding", std::string("causal")}}}}), user_of<1>);
  user(base("conv2d", "(batch, height, width, in) with a kernel (height, width, in / groups, out); padding valid, same or explicit",
            {ints("strides", {1, 1}), padding_attr(), ints("dilations", {1, 1}), integer("groups", 1), {.name = "explicit_padding", .type = AttrType::int_lists, .fallback = IntLists{}, .doc = "cells before and after each spatial axis"}}, user_infer<2, false>, composed,
            {{.inputs = {{.shape = {1, 4, 5, 2}}, {.shape = {3, 2, 2, 3}}}, .attrs = {{"padding", std::string("same")}}},
             {.inputs = {{.shape = {1, 5, 5, 2}}, {.shape = {2, 2, 1, 2}}}, .attrs = {{"strides", Ints{1, 2}}, {"groups", std::int64_t(2)}, {"padding", std::string("explicit")}, {"explicit_padding", IntLists{{1, 0}, {0, 2}}}}},
             {.inputs = {{.shape = {1, 5, 4, 1}}, {.shape = {2, 2, 1, 2}}}, .attrs = {{"dilations", Ints{2, 1}}}}}), user_of<2>);
  user(base("conv3d", "(batch, depth, height, width, in) with a kernel (depth, height, width, in, out)", {ints("strides", {1, 1, 1}), padding_attr()}, user_infer<3, false>, composed,
            {{.inputs = {{.shape = {1, 3, 4, 3, 2}}, {.shape = {2, 2, 2, 2, 2}}}}}), user_of<3>);
  user(base("depthwise_conv2d", "each channel by its own kernels (height, width, in, multiplier)", {ints("strides", {1, 1}), padding_attr(), ints("dilations", {1, 1})}, user_infer<2, true>, composed,
            {{.inputs = {{.shape = {1, 4, 4, 2}}, {.shape = {2, 2, 2, 2}}}}}), depthwise_of);
  user(base("conv2d_transpose", "the adjoint of conv2d by a kernel (height, width, out, in), giving output_shape", {required("output_shape", AttrType::ints), ints("strides", {1, 1}), padding_attr()}, transpose_infer, composed,
            {{.inputs = {{.shape = {1, 3, 3, 2}}, {.shape = {2, 2, 3, 2}}}, .attrs = {{"output_shape", Ints{1, 6, 6, 3}}, {"strides", Ints{2, 2}}}}}), transpose_of);
  return rows;
}

}  // namespace lockstep
