// Softmax and the losses that are computed with it, or with the sigmoid, from logits.

#include <algorithm>
#include <cmath>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/onednn/primitive.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/lines.h>
#include <lockstep/tensor/ops/reduce.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/pointwise/bind.h>
#include <lockstep/tensor/pointwise/kernels.h>

namespace lockstep {
namespace {

using G = const GradContext&;

template <class F>
BoundKernel visit_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float16: return f(TypeTag<Half>{});
    case DType::bfloat16: return f(TypeTag<BFloat16>{});
    case DType::float32: return f(TypeTag<float>{});
    default: return f(TypeTag<double>{});
  }
}

void softmax_infer(InferContext& context) {
  rules::axis(context, context.integer("axis"), context.shape(0).ndim());
  rules::like_first(context);
}

/// log(sum(exp(x))) of `count` elements `stride` apart, finite for large ones.
template <class C, class T>
C log_sum_exp(const T* x, std::int64_t count, std::int64_t stride) {
  C peak = -std::numeric_limits<C>::infinity(), sum = 0;
  for (std::int64_t k = 0; k < count; ++k) peak = std::max(peak, static_cast<C>(x[k * stride]));
  if (std::isinf(peak) && peak < 0) return peak;
  for (std::int64_t k = 0; k < count; ++k) sum += std::exp(static_cast<C>(x[k * stride]) - peak);
  return peak + std::log(sum);
}

/// max(x) of a row, and the sum of exp(x - max(x)), with the vector exponential on tiles. Unless `z` is null, the exponentials are left there; it may be x.
struct RowSum {
  float peak, sum;
};
RowSum row_sum(const float* x, std::int64_t count, float* z = nullptr) {
  static const PointwiseFn exponentials_below = pointwise::vector_run(pointwise::Kernel::exp_below, float32);
  static const ReduceRuns<float> sums = reduce_runs<float>(Reducer::sum), peaks = reduce_runs<float>(Reducer::maximum);
  constexpr std::int64_t kTile = 512;
  alignas(64) float own[kTile];
  const float peak = peaks.run(x, count);
  const double parameter = peak;
  float sum = 0;
  for (std::int64_t begin = 0; begin < count; begin += kTile) {
    const std::int64_t n = std::min(kTile, count - begin);
    float* tile = z ? z + begin : own;
    const void* operand[] = {x + begin};
    exponentials_below(operand, tile, n, &parameter);
    sum += sums.run(tile, n);
  }
  return {peak, sum};
}

/// oneDNN's logsoftmax is off by more than a float's rounding near 0: (x - max) - log(sum) in that order is not.
BoundKernel bind_log_softmax(const Lines& l) {
  return [l](Inputs in, Outputs out) {
    parallel_for(l.outer, std::max<std::int64_t>(1, 16 * 1024 / l.count), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        const float* x = static_cast<const float*>(in[0]) + row * l.count;
        float* z = static_cast<float*>(out[0]) + row * l.count;
        const auto [peak, sum] = row_sum(x, l.count);
        const float log = std::log(sum);
        for (std::int64_t k = 0; k < l.count; ++k) z[k] = (x[k] - peak) - log;
      }
    });
  };
}

template <bool Log>
BoundKernel softmax_cpu(const BindContext& context) {
  const Lines l = lines_of(context.shape(0), context.integer("axis"));
  if (context.dtype_of(0) == float32 && l.inner == 1 && l.outer * l.count > 0) {
    if (Log) return bind_log_softmax(l);
    auto primitive = onednn::cached({5, l.outer, l.count, intra_op_threads()}, [&] {
      const auto rows = onednn::dense({l.outer, l.count}, float32);
      const dnnl::softmax_forward::primitive_desc pd({dnnl::prop_kind::forward_inference, rows, 1}, onednn::attributes(), onednn::engine());
      return std::make_shared<onednn::Primitive>(dnnl::softmax_forward(pd), onednn::Primitive::Arguments{{DNNL_ARG_SRC, rows}, {DNNL_ARG_DST, rows}}, pd.scratchpad_desc());
    });
    return [primitive](Inputs in, Outputs out) { primitive->run({in[0], out[0]}); };
  }
  return visit_float(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [l](Inputs in, Outputs out) {
      for (std::int64_t line = 0; line < l.outer * l.inner; ++line) {
        const std::int64_t at = line / l.inner * l.count * l.inner + line % l.inner;
        const T* x = static_cast<const T*>(in[0]) + at;
        T* z = static_cast<T*>(out[0]) + at;
        const C total = log_sum_exp<C>(x, l.count, l.inner);
        for (std::int64_t k = 0; k < l.count; ++k) {
          const C log = static_cast<C>(x[k * l.inner]) - total;
          z[k * l.inner] = T(Log ? log : std::exp(log));
        }
      }
    };
  });
}

Gradients softmax_gradient(G c) {
  const Tensor& y = c.output();
  const Tensor up = c.upstream();
  return {(up - reduce_sum(up * y, c.integer("axis"), true)) * y};
}
Gradients log_softmax_gradient(G c) {
  const Tensor up = c.upstream();
  return {up - exp(c.output()) * reduce_sum(up, c.integer("axis"), true)};
}

// ---- cross entropies

void dense_infer(InferContext& context) {
  if (context.shape(0) != context.shape(1)) context.refuse("labels and logits differ in shape");
  const int axis = rules::axis(context, context.integer("axis"), context.shape(1).ndim());
  const int axes[] = {axis};
  context.output(context.dtype_of(1), rules::reduce(context.shape(1), axes, false));
}
Tensors dense_of(const OpCall& call, std::span<const Tensor> in) {
  const Tensor logs = log_softmax(in[1], call.integer("axis"));
  return {-reduce_sum(in[0] * logs, call.integer("axis"))};
}

void sparse_infer(InferContext& context) {
  const Shape &labels = context.shape(0), &logits = context.shape(1);
  if (logits.ndim() < 1 || labels != Shape(logits.dims().first(std::size_t(logits.ndim() - 1)))) context.refuse("the labels must have the logits' shape without the last axis");
  context.output(context.dtype_of(1), labels);
}

/// Reads labels of either dtype, and refuses those that are no class.
struct Labels {
  std::int64_t rows, classes;
  bool wide;
  std::int64_t at(const void* labels, std::int64_t i) const { return wide ? static_cast<const std::int64_t*>(labels)[i] : std::int64_t(static_cast<const std::int32_t*>(labels)[i]); }
  void check(const void* labels) const {
    for (std::int64_t i = 0; i < rows; ++i)
      if (at(labels, i) < 0 || at(labels, i) >= classes)
        throw InvalidArgumentError("label " + std::to_string(at(labels, i)) + " (element " + std::to_string(i) + ") is not in [0, " + std::to_string(classes) + ")", "sparse_softmax_cross_entropy_with_logits");
  }
};
Labels labels_of(const BindContext& context) { return {context.shape(0).numel(), context.shape(1)[context.shape(1).ndim() - 1], context.dtype_of(0) == int64}; }
std::int64_t rows_worth_a_thread(std::int64_t classes) { return std::max<std::int64_t>(1, 4 * 1024 / std::max<std::int64_t>(1, classes)); }

BoundKernel sparse_cpu(const BindContext& context) {
  const Labels labels = labels_of(context);
  if (context.dtype_of(1) == float32) {
    return [labels](Inputs in, Outputs out) {
      labels.check(in[0]);
      parallel_for(labels.rows, rows_worth_a_thread(labels.classes), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const float* x = static_cast<const float*>(in[1]) + i * labels.classes;
          const auto [peak, sum] = row_sum(x, labels.classes);
          static_cast<float*>(out[0])[i] = std::log(sum) - (x[labels.at(in[0], i)] - peak);
        }
      });
    };
  }
  return visit_float(context.dtype_of(1), [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [labels](Inputs in, Outputs out) {
      labels.check(in[0]);
      for (std::int64_t i = 0; i < labels.rows; ++i) {
        const T* x = static_cast<const T*>(in[1]) + i * labels.classes;
        static_cast<T*>(out[0])[i] = T(log_sum_exp<C>(x, labels.classes, 1) - static_cast<C>(x[labels.at(in[0], i)]));
      }
    };
  });
}

/// (labels, logits, upstream) -> the loss, and (softmax(logits) - one_hot(labels)) upstream, which may lie over the logits: row by row while it is in the cache.
BoundKernel sparse_gradient_cpu(const BindContext& context) {
  const Labels labels = labels_of(context);
  if (context.dtype_of(1) == float32) {
    return [labels](Inputs in, Outputs out) {
      static const PointwiseFn scaled = pointwise::vector_run(pointwise::Kernel::scaled, float32);
      labels.check(in[0]);
      parallel_for(labels.rows, rows_worth_a_thread(labels.classes), [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const std::int64_t label = labels.at(in[0], i);
          const float* x = static_cast<const float*>(in[1]) + i * labels.classes;
          const float upstream = static_cast<const float*>(in[2])[i], of_label = x[label];
          float* z = static_cast<float*>(out[1]) + i * labels.classes;
          const auto [peak, sum] = row_sum(x, labels.classes, z);
          const double scale = upstream / sum;
          const void* operand[] = {z};
          scaled(operand, z, labels.classes, &scale);
          z[label] -= upstream;
          static_cast<float*>(out[0])[i] = std::log(sum) - (of_label - peak);
        }
      });
    };
  }
  return visit_float(context.dtype_of(1), [&]<class T>(TypeTag<T>) -> BoundKernel {
    using C = compute_t<T>;
    return [labels](Inputs in, Outputs out) {
      labels.check(in[0]);
      for (std::int64_t i = 0; i < labels.rows; ++i) {
        const std::int64_t label = labels.at(in[0], i);
        const T* x = static_cast<const T*>(in[1]) + i * labels.classes;
        T* z = static_cast<T*>(out[1]) + i * labels.classes;
        const C total = log_sum_exp<C>(x, labels.classes, 1), upstream = static_cast<C>(static_cast<const T*>(in[2])[i]), of_label = static_cast<C>(x[label]);
        for (std::int64_t k = 0; k < labels.classes; ++k) z[k] = T((std::exp(static_cast<C>(x[k]) - total) - (k == label ? C(1) : C(0))) * upstream);
        static_cast<T*>(out[0])[i] = T(total - of_label);
      }
    };
  });
}

void sparse_gradient_infer(InferContext& context) {
  sparse_infer(context);
  if (context.shape(2) != context.outputs[0].shape) context.refuse("upstream must have the labels' shape");
  context.output(context.dtype_of(1), context.shape(1));
}

Gradients sparse_gradient(G c) {
  static const OpDef& op = find_op("sparse_softmax_cross_entropy_gradient");
  return {Gradient(), apply_all(op, {c.input(0), c.input(1), c.upstream()}, {})[1]};
}
Gradients sparse_gradient_gradient(G c) {
  const Tensor &logits = c.input(1), &upstream = c.input(2);
  if (!logits.shape().known()) throw UnimplementedError("the gradient needs a known shape inside a traced function", "sparse_softmax_cross_entropy_gradient");
  const Tensor y = softmax(logits), slope = y - one_hot(c.input(0), logits.shape()[logits.ndim() - 1], 1, 0, -1, logits.dtype());
  const Tensor scaled = c.upstream(1) * expand_dims(upstream, -1), of_slope = (scaled - reduce_sum(scaled * y, -1, true)) * y;
  return {Gradient(), c.has_upstream(0) ? of_slope + slope * expand_dims(c.upstream(0), -1) : of_slope, reduce_sum(c.upstream(1) * slope, -1)};
}

void same_shape_infer(InferContext& context) {
  if (context.shape(0) != context.shape(1)) context.refuse("labels and logits differ in shape");
  context.output(context.dtype_of(1), context.shape(1));
}

PointwiseFn sigmoid_run(std::span<const DType> in, DType) { return pointwise::float_run(pointwise::Kernel::sigmoid_cross_entropy, in[0]); }

Gradients sigmoid_gradient(G c) {
  const Tensor up = c.upstream();
  return {-(up * c.input(1)), up * (sigmoid(c.input(1)) - c.input(0))};
}

Tensors weighted_of(const OpCall& call, std::span<const Tensor> in) {
  const Tensor &z = in[0], &x = in[1];
  return {(1 - z) * x + (z * (call.number("pos_weight") - 1) + 1) * softplus(-x)};
}

Tensors l2_normalize_of(const OpCall& call, std::span<const Tensor> in) {
  Axes axes;
  axes.value = call.attr("axis");
  const Tensor sum = reduce_sum(square(in[0]), axes, true);
  return {in[0] * rsqrt(maximum(sum, scalar(call.number("epsilon"), in[0].dtype())))};
}

OpDef base(std::string_view name, std::string_view doc, int inputs, DTypeRule dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&), GradRule gradient, OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "softmax", .min_inputs = inputs, .max_inputs = inputs, .attrs = std::move(attrs), .dtypes = std::move(dtypes), .infer = infer, .gradient = gradient,
          .precision = Precision::keep_high, .onnx = form, .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> softmax_rows() {
  const AttrDef axis{.name = "axis", .type = AttrType::integer, .fallback = std::int64_t(-1)};
  const Sample::Operand x{.shape = {2, 3, 4}}, rows_{.shape = {3, 4}}, probabilities{.shape = {3, 4}, .low = 0, .high = 1};
  const auto composed = no_onnx("exported as the ops that define it");
  std::vector<OpDef> rows;
  rows.push_back(base("softmax", "exp(x) / sum(exp(x)) along an axis, finite for large x", 1, same(kFloats), {axis}, softmax_infer, softmax_gradient, onnx("Softmax"), {{.inputs = {x}}, {.inputs = {x}, .attrs = {{"axis", std::int64_t(1)}}}}));
  rows.back().cpu = softmax_cpu<false>;
  rows.push_back(base("log_softmax", "x - log(sum(exp(x))) along an axis", 1, same(kFloats), {axis}, softmax_infer, log_softmax_gradient, onnx("LogSoftmax"), {{.inputs = {x}}, {.inputs = {x}, .attrs = {{"axis", std::int64_t(0)}}}}));
  rows.back().cpu = softmax_cpu<true>;
  rows.push_back(base("softmax_cross_entropy_with_logits", "-sum(labels log_softmax(logits)) along an axis; labels (operand 0) are probabilities (its gradient is right for others too, where TensorFlow's is not)", 2, same(kFloats), {axis}, dense_infer, {}, composed, {{.inputs = {probabilities, rows_}}}));
  rows.back().compose = dense_of;
  rows.push_back(base("sparse_softmax_cross_entropy_with_logits", "-log_softmax(logits)[label]; labels (operand 0) are class numbers", 2, {{{kIndexInts, 0}, {kFloats, 1}}}, {}, sparse_infer, sparse_gradient, onnx("SoftmaxCrossEntropyLoss"),
                      {{.inputs = {{.dtype = int32, .shape = {3}, .low = 0, .high = 4}, rows_}}}));
  rows.back().cpu = sparse_cpu;
  rows.push_back(base("sparse_softmax_cross_entropy_gradient", "sparse_softmax_cross_entropy_with_logits, and (softmax(logits) - one_hot(labels)) upstream (operand 2)", 3, {{{kIndexInts, 0}, {kFloats, 1}, {kFloats, 1}}}, {}, sparse_gradient_infer, sparse_gradient_gradient, no_onnx("used in training only"),
                      {{.inputs = {{.dtype = int32, .shape = {3}, .low = 0, .high = 4}, rows_, {.shape = {3}}}}}));
  rows.back().cpu = sparse_gradient_cpu;
  rows.back().over_inputs = true;
  rows.back().covers = "sparse_softmax_cross_entropy_with_logits";
  rows.push_back(base("sigmoid_cross_entropy_with_logits", "max(x, 0) - x z + log(1 + exp(-|x|)) for labels z (operand 0) and logits x", 2, same(kFloats), {}, same_shape_infer, sigmoid_gradient, composed, {{.inputs = {probabilities, rows_}}}));
  rows.back().fusion = Fusion::pointwise;
  rows.back().cpu = bind_pointwise;
  rows.back().pointwise = sigmoid_run;
  rows.push_back(base("weighted_cross_entropy_with_logits", "sigmoid_cross_entropy_with_logits with the positive term times pos_weight", 2, same(kFloats), {{.name = "pos_weight", .type = AttrType::number, .required = true}}, same_shape_infer, {}, composed,
                      {{.inputs = {probabilities, rows_}, .attrs = {{"pos_weight", 2.0}}}}));
  rows.back().compose = weighted_of;
  rows.push_back(base("l2_normalize", "x / sqrt(max(sum(x^2), epsilon)) over axes", 1, same(kFloats), {{.name = "axis", .type = AttrType::axes, .fallback = std::int64_t(-1)}, {.name = "epsilon", .type = AttrType::number, .fallback = 1e-12}},
                      [](InferContext& c) { rules::axes(c, c.attr("axis"), c.shape(0).ndim()); rules::like_first(c); }, {}, onnx("LpNormalization"), {{.inputs = {x}}, {.inputs = {x}, .attrs = {{"axis", Ints{0, 1}}}}}));
  rows.back().compose = l2_normalize_of;
  return rows;
}

}  // namespace lockstep
