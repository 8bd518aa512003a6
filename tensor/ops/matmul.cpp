// Products of matrices: oneDNN for float32 and bfloat16, Eigen for float64, loops for integers. Everything else here is composed.

#include <algorithm>
#include <numeric>

#include <Eigen/Core>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/onednn/product.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/small_product.h>

namespace lockstep {
namespace {

using G = const GradContext&;

void matmul_infer(InferContext& context) {
  const Shape &a = context.shape(0), &b = context.shape(1);
  if (a.ndim() < 2 || b.ndim() < 2) context.refuse("both operands need at least two axes");
  const bool ta = context.boolean("transpose_a"), tb = context.boolean("transpose_b");
  const std::int64_t k = a[a.ndim() - (ta ? 2 : 1)], kb = b[b.ndim() - (tb ? 1 : 2)];
  if (k != kb) context.refuse("the inner sizes " + std::to_string(k) + " and " + std::to_string(kb) + " differ");
  Shape batch_a(a.dims().first(std::size_t(a.ndim() - 2))), batch_b(b.dims().first(std::size_t(b.ndim() - 2)));
  Shape result = rules::broadcast(context, batch_a, batch_b);
  result.push_back(a[a.ndim() - (ta ? 1 : 2)]);
  result.push_back(b[b.ndim() - (tb ? 2 : 1)]);
  context.output(context.dtype_of(0), result);
}

template <class T>
BoundKernel bind_eigen(const Product& p) {
  return [p](Inputs in, Outputs out) {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Read = Eigen::Map<const Matrix>;
    // Transposed operands are copied: one instance of Eigen's product per dtype instead of four.
    const auto operand = [](const T* data, std::int64_t rows, std::int64_t columns, bool transposed, Matrix& copy) {
      if (!transposed) return Read(data, rows, columns);
      copy = Read(data, columns, rows).transpose();
      return Read(copy.data(), rows, columns);
    };
    Matrix copy_x, copy_y;
    for (std::int64_t i = 0; i < p.batch.numel(); ++i) {
      const auto [a, b] = batch_offsets(p, i);
      const Read x = operand(static_cast<const T*>(in[0]) + a, p.m, p.k, p.transpose_a, copy_x);
      const Read y = operand(static_cast<const T*>(in[1]) + b, p.k, p.n, p.transpose_b, copy_y);
      Eigen::Map<Matrix>(static_cast<T*>(out[0]) + i * p.m * p.n, p.m, p.n).noalias() = x * y;
    }
  };
}

template <class T, class Acc>
BoundKernel bind_loops(const Product& p) {
  return [p](Inputs in, Outputs out) {
    for (std::int64_t i = 0; i < p.batch.numel(); ++i) {
      const auto [a, b] = batch_offsets(p, i);
      const T* x = static_cast<const T*>(in[0]) + a;
      const T* y = static_cast<const T*>(in[1]) + b;
      T* z = static_cast<T*>(out[0]) + i * p.m * p.n;
      for (std::int64_t r = 0; r < p.m; ++r)
        for (std::int64_t c = 0; c < p.n; ++c) {
          Acc sum = Acc();
          for (std::int64_t k = 0; k < p.k; ++k)
            sum += static_cast<Acc>(x[p.transpose_a ? k * p.m + r : r * p.k + k]) * static_cast<Acc>(y[p.transpose_b ? c * p.k + k : k * p.n + c]);
          z[r * p.n + c] = static_cast<T>(sum);
        }
    }
  };
}

BoundKernel bind_float(const Product& p) {
  if (p.batch.numel() == 1 && is_small_product(p.m, p.n, p.k))
    return [p](Inputs in, Outputs out) { small_product(p.transpose_a, p.transpose_b, p.m, p.n, p.k, static_cast<const float*>(in[0]), static_cast<const float*>(in[1]), static_cast<float*>(out[0])); };
  return onednn::bind_product(p, float32);
}

BoundKernel matmul_cpu(const BindContext& context) {
  const Product p = product_of(context, context.shape(0), context.shape(1), context.output(0).shape);
  const std::int64_t count = context.output(0).shape.numel();
  const DType dtype = context.dtype_of(0);
  if (count == 0 || p.k == 0)
    return [bytes = std::size_t(count) * itemsize(dtype)](Inputs, Outputs out) {
      if (bytes) std::memset(out[0], 0, bytes);
    };
  switch (dtype) {
    case DType::float32: return bind_float(p);
    case DType::bfloat16:
      if (!onednn::has_bfloat16()) return onednn::in_float32(context);
      return onednn::bind_product(p, bfloat16);
    case DType::float64: return bind_eigen<double>(p);
    case DType::complex64: return bind_eigen<std::complex<float>>(p);
    case DType::complex128: return bind_eigen<std::complex<double>>(p);
    case DType::float16: return bind_loops<Half, float>(p);
    default: break;
  }
  return visit_dtype(dtype, [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) return bind_loops<T, std::uint64_t>(p);
    else throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype)), context.op().name);
  });
}

Gradients matmul_gradient(G context) {
  const Tensor &a = context.input(0), &b = context.input(1);
  const Tensor up = context.upstream();
  const bool ta = context.boolean("transpose_a"), tb = context.boolean("transpose_b");
  if (is_complex(a.dtype())) throw UnimplementedError("the gradient of complex products is not defined here", "matmul");
  if (!ta && a.shape().known() && b.shape().known() && up.shape().known() && b.ndim() == 2 && a.ndim() > 2) {
    // A tall matrix: so that the gradient of the right one is one product, not a sum of many.
    const Tensor tall = reshape(a, {-1, a.shape()[a.ndim() - 1]}), rows = reshape(up, {-1, up.shape()[up.ndim() - 1]});
    return {grads::reshape_like(matmul(rows, b, false, !tb), a), tb ? matmul(rows, tall, true, false) : matmul(tall, rows, true, false)};
  }
  const Tensor da = ta ? matmul(b, up, tb, true) : matmul(up, b, false, !tb);
  const Tensor db = tb ? matmul(up, a, true, ta) : matmul(a, up, !ta, false);
  return {grads::unbroadcast(da, a), grads::unbroadcast(db, b)};
}

// ---- the product with its epilogue, made by the fusion pass

void fused_infer(InferContext& context) {
  matmul_infer(context);
  rules::epilogue(context);
  const TensorSpec& out = context.outputs[0];
  if (context.input_count() == 3 && (context.shape(2).ndim() != 1 || context.shape(2)[0] != out.shape[out.shape.ndim() - 1])) context.refuse("the bias must have one number per column");
}
BoundKernel fused_cpu(const BindContext& context) {
  if (context.dtype_of(0) == bfloat16 && !onednn::has_bfloat16()) return onednn::in_float32(context);
  const Product p = product_of(context, context.shape(0), context.shape(1), context.output(0).shape);
  return onednn::bind_product(p, context.dtype_of(0), context.input_count() == 3, context.text("activation"));
}

// ---- matvec

void matvec_infer(InferContext& context) {
  const Shape &a = context.shape(0), &x = context.shape(1);
  if (a.ndim() < 2 || x.ndim() < 1) context.refuse("needs a matrix and a vector");
  const bool ta = context.boolean("transpose_a");
  if (a[a.ndim() - (ta ? 2 : 1)] != x[x.ndim() - 1]) context.refuse("the inner sizes differ");
  Shape result = rules::broadcast(context, Shape(a.dims().first(std::size_t(a.ndim() - 2))), Shape(x.dims().first(std::size_t(x.ndim() - 1))));
  result.push_back(a[a.ndim() - (ta ? 1 : 2)]);
  context.output(context.dtype_of(0), result);
}
Tensors matvec_of(const OpCall& call, std::span<const Tensor> in) { return {squeeze(matmul(in[0], expand_dims(in[1], -1), call.boolean("transpose_a")), -1)}; }

// ---- tensordot

struct Contraction {
  Ints axes_a, axes_b;
};
std::optional<Contraction> contraction(const IntLists& axes, int ndim_a, int ndim_b) {
  Contraction c;
  if (axes.size() == 1 && axes[0].size() == 1) {
    const std::int64_t n = axes[0][0];
    if (n < 0 || n > ndim_a || n > ndim_b) return std::nullopt;
    for (std::int64_t i = 0; i < n; ++i) c.axes_a.push_back(ndim_a - n + i), c.axes_b.push_back(i);
    return c;
  }
  if (axes.size() != 2 || axes[0].size() != axes[1].size()) return std::nullopt;
  const auto repeats = [](Ints list) {
    std::sort(list.begin(), list.end());
    return std::adjacent_find(list.begin(), list.end()) != list.end();
  };
  for (const std::int64_t axis : axes[0])
    if (axis < -ndim_a || axis >= ndim_a) return std::nullopt;
    else c.axes_a.push_back(rules::wrap_axis(axis, ndim_a));
  for (const std::int64_t axis : axes[1])
    if (axis < -ndim_b || axis >= ndim_b) return std::nullopt;
    else c.axes_b.push_back(rules::wrap_axis(axis, ndim_b));
  if (repeats(c.axes_a) || repeats(c.axes_b)) return std::nullopt;
  return c;
}
Ints others(const Ints& axes, int ndim) {
  Ints result;
  for (int i = 0; i < ndim; ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) result.push_back(i);
  return result;
}

void tensordot_infer(InferContext& context) {
  const Shape &a = context.shape(0), &b = context.shape(1);
  const auto c = contraction(context.int_lists("axes"), a.ndim(), b.ndim());
  bool fits = c.has_value();
  for (std::size_t i = 0; fits && i < c->axes_a.size(); ++i) fits = a[int(c->axes_a[i])] == b[int(c->axes_b[i])];
  if (!fits) context.refuse("axes " + to_string(context.attr("axes")) + " do not match");
  Shape result;
  for (const std::int64_t axis : others(c->axes_a, a.ndim())) result.push_back(a[int(axis)]);
  for (const std::int64_t axis : others(c->axes_b, b.ndim())) result.push_back(b[int(axis)]);
  context.output(context.dtype_of(0), result);
}

Tensors tensordot_of(const OpCall& call, std::span<const Tensor> in) {
  const Shape &a = in[0].shape(), &b = in[1].shape();
  const auto c = contraction(call.int_lists("axes"), a.ndim(), b.ndim());
  const Ints free_a = others(c->axes_a, a.ndim()), free_b = others(c->axes_b, b.ndim());
  std::int64_t inner = 1, rows = 1, columns = 1;
  Ints order_a = free_a, order_b = c->axes_b, result;
  order_a.append(c->axes_a.begin(), c->axes_a.end());
  order_b.append(free_b.begin(), free_b.end());
  for (const std::int64_t axis : c->axes_a) inner *= a[int(axis)];
  for (const std::int64_t axis : free_a) rows *= a[int(axis)], result.push_back(a[int(axis)]);
  for (const std::int64_t axis : free_b) columns *= b[int(axis)], result.push_back(b[int(axis)]);
  return {reshape(matmul(reshape(transpose(in[0], order_a), {rows, inner}), reshape(transpose(in[1], order_b), {inner, columns})), result)};
}

// ---- einsum

/// The labels of each operand and of the result; the axes of "..." are the labels 0, 1, 2, ... from the right.
struct Equation {
  std::vector<std::string> operands;
  std::string result;
};

/// Takes labels apart. Empty on a malformed equation.
std::optional<Equation> parse(std::string text, std::span<const Shape> shapes) {
  std::erase(text, ' ');
  const std::size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  std::vector<std::string> terms;
  for (std::size_t start = 0;;) {
    const std::size_t comma = left.find(',', start);
    terms.push_back(left.substr(start, comma - start));
    if (comma == std::string::npos) break;
    start = comma + 1;
  }
  if (terms.size() != shapes.size()) return std::nullopt;
  int widest = 0;
  const auto expand = [&](const std::string& term, int axes) -> std::optional<std::string> {
    std::string labels;
    for (std::size_t i = 0; i < term.size(); ++i) {
      if (term.compare(i, 3, "...") == 0) {
        for (int k = axes - 1; k >= 0; --k) labels += char(1 + k);
        i += 2;
      } else if (std::isalpha(static_cast<unsigned char>(term[i]))) {
        labels += term[i];
      } else {
        return std::nullopt;
      }
    }
    return labels;
  };
  Equation equation;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    const bool dots = terms[i].find("...") != std::string::npos;
    if (dots && terms[i].find("...") != terms[i].rfind("...")) return std::nullopt;
    const int axes = dots ? shapes[i].ndim() - int(terms[i].size()) + 3 : 0;
    if (axes < 0) return std::nullopt;
    widest = std::max(widest, axes);
    const auto labels = expand(terms[i], axes);
    if (!labels || int(labels->size()) != shapes[i].ndim()) return std::nullopt;
    equation.operands.push_back(*labels);
  }
  if (arrow != std::string::npos) {
    const auto labels = expand(text.substr(arrow + 2), widest);
    if (!labels) return std::nullopt;
    equation.result = *labels;
    return equation;
  }
  // Implicit: what the dots stand for, then the labels that occur once, in alphabetical order.
  std::string once;
  for (int k = widest - 1; k >= 0; --k) equation.result += char(1 + k);
  for (const std::string& labels : equation.operands) once += labels;
  std::sort(once.begin(), once.end());
  for (const char label : once)
    if (label >= 'A' && std::count(once.begin(), once.end(), label) == 1) equation.result += label;
  return equation;
}

void einsum_infer(InferContext& context) {
  std::vector<Shape> shapes;
  for (std::size_t i = 0; i < context.input_count(); ++i) shapes.push_back(context.shape(i));
  const auto equation = parse(context.text("equation"), shapes);
  if (!equation) context.refuse("the equation \"" + context.text("equation") + "\" does not fit the operands");
  std::int64_t size[256];
  std::fill_n(size, 256, -1);
  for (std::size_t i = 0; i < shapes.size(); ++i)
    for (int k = 0; k < shapes[i].ndim(); ++k) {
      std::int64_t& known = size[std::size_t(equation->operands[i][std::size_t(k)])];
      if (known >= 0 && known != shapes[i][k]) context.refuse("label '" + std::string(1, equation->operands[i][std::size_t(k)]) + "' stands for sizes " + std::to_string(known) + " and " + std::to_string(shapes[i][k]));
      known = shapes[i][k];
    }
  Shape result;
  for (const char label : equation->result) {
    if (size[std::size_t(label)] < 0 || std::count(equation->result.begin(), equation->result.end(), label) > 1) context.refuse("label '" + std::string(1, label) + "' of the result is unknown or repeated");
    result.push_back(size[std::size_t(label)]);
  }
  context.output(context.dtype_of(0), result);
}

struct Term {
  Tensor value;
  std::string labels;
};

/// A label that an operand repeats: its diagonal.
void take_diagonals(Term& term) {
  for (std::size_t i = 0; i < term.labels.size(); ++i) {
    const std::size_t j = term.labels.find(term.labels[i], i + 1);
    if (j == std::string::npos) continue;
    Ints order;
    std::string labels;
    for (std::size_t k = 0; k < term.labels.size(); ++k)
      if (k != i && k != j) order.push_back(std::int64_t(k)), labels += term.labels[k];
    order.push_back(std::int64_t(i));
    order.push_back(std::int64_t(j));
    labels += term.labels[i];
    term = {diag_part(transpose(term.value, order)), labels};
    i = std::size_t(-1);
  }
}

/// Sums out the labels that nobody needs any more.
void sum_out(Term& term, const std::string& needed) {
  Ints axes;
  std::string labels;
  for (std::size_t k = 0; k < term.labels.size(); ++k) {
    if (needed.find(term.labels[k]) == std::string::npos) axes.push_back(std::int64_t(k));
    else labels += term.labels[k];
  }
  if (!axes.empty()) term = {reduce_sum(term.value, axes), labels};
}

Tensor arranged(const Term& term, const std::string& labels) {
  if (term.labels == labels) return term.value;
  Ints order;
  for (const char label : labels) order.push_back(std::int64_t(term.labels.find(label)));
  return transpose(term.value, order);
}

std::int64_t size_of(const Term& term, const std::string& labels) {
  std::int64_t size = 1;
  for (const char label : labels) size *= term.value.shape()[int(term.labels.find(label))];
  return size;
}

/// One product: labels of both that are still needed are the batch, the others of both are summed.
Term contract(const Term& a, const Term& b, const std::string& needed) {
  std::string batch, inner, free_a, free_b;
  for (const char label : a.labels) {
    if (b.labels.find(label) == std::string::npos) free_a += label;
    else (needed.find(label) != std::string::npos ? batch : inner) += label;
  }
  for (const char label : b.labels)
    if (a.labels.find(label) == std::string::npos) free_b += label;
  const std::int64_t n = size_of(a, batch), m = size_of(a, free_a), k = size_of(a, inner), columns = size_of(b, free_b);
  const Tensor left = reshape(arranged(a, batch + free_a + inner), {n, m, k}), right = reshape(arranged(b, batch + inner + free_b), {n, k, columns});
  Ints sizes;
  for (const char label : batch + free_a) sizes.push_back(a.value.shape()[int(a.labels.find(label))]);
  for (const char label : free_b) sizes.push_back(b.value.shape()[int(b.labels.find(label))]);
  return {reshape(matmul(left, right), sizes), batch + free_a + free_b};
}

Tensors einsum_of(const OpCall& call, std::span<const Tensor> inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  const Equation equation = *parse(call.text("equation"), shapes);
  const auto needed_after = [&](std::size_t i) {
    std::string needed = equation.result;
    for (std::size_t k = i + 1; k < inputs.size(); ++k) needed += equation.operands[k];
    return needed;
  };
  Term sum{inputs[0], equation.operands[0]};
  take_diagonals(sum);
  sum_out(sum, needed_after(0));
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    Term next{inputs[i], equation.operands[i]};
    take_diagonals(next);
    sum_out(next, needed_after(i) + sum.labels);
    sum = contract(sum, next, needed_after(i));
    sum_out(sum, needed_after(i));
  }
  return {arranged(sum, equation.result)};
}

AttrDef flag(std::string_view name) { return {.name = name, .type = AttrType::boolean, .fallback = false}; }

OpDef base(std::string_view name, std::string_view doc, int least, int most, std::vector<AttrDef> attrs, void (*infer)(InferContext&), GradRule gradient, OnnxForm form, std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "matmul", .min_inputs = least, .max_inputs = most, .attrs = std::move(attrs), .dtypes = same(kNumeric), .infer = infer, .gradient = gradient, .precision = Precision::prefer_low, .onnx = form, .samples = std::move(samples)};
}

}  // namespace

std::vector<OpDef> matmul_rows() {
  const Sample::Operand a{.shape = {3, 4}}, b{.shape = {4, 2}};
  std::vector<OpDef> rows;
  rows.push_back(base("matmul", "the product of matrices (the last two axes), the axes before them broadcast", 2, 2, {flag("transpose_a"), flag("transpose_b")}, matmul_infer, matmul_gradient, onnx("MatMul"),
                      {{.inputs = {a, b}},
                       {.inputs = {{.shape = {4, 3}}, {.shape = {2, 4}}}, .attrs = {{"transpose_a", true}, {"transpose_b", true}}},
                       {.inputs = {{.shape = {2, 3, 4}}, b}},
                       {.inputs = {{.shape = {2, 1, 3, 4}}, {.shape = {3, 2, 4}}}, .attrs = {{"transpose_b", true}}}}));
  rows.back().fusion = Fusion::gemm;
  rows.back().cpu = matmul_cpu;
  rows.push_back(base("fused_matmul", "matmul, plus a row of biases (operand 2), then an activation", 2, 3, {flag("transpose_a"), flag("transpose_b"), {.name = "activation", .type = AttrType::string, .fallback = std::string("none")}},
                      fused_infer, not_differentiable("the fusion pass makes it when gradients have been taken"), no_onnx("exported as its parts"),
                      {{.inputs = {{.dtype = float32, .shape = {3, 4}}, {.dtype = float32, .shape = {4, 2}}, {.dtype = float32, .shape = {2}}}, .attrs = {{"activation", std::string("relu")}}}}));
  rows.back().dtypes = same(dtypes(float32, bfloat16));
  rows.back().cpu = fused_cpu;
  rows.push_back(base("matvec", "the product of a matrix and a vector", 2, 2, {flag("transpose_a")}, matvec_infer, {}, no_onnx("exported as MatMul"), {{.inputs = {a, {.shape = {4}}}}}));
  rows.back().compose = matvec_of;
  rows.push_back(base("einsum", "the sum of products that the equation names, as \"bij,bjk->bik\"", 1, -1, {{.name = "equation", .type = AttrType::string, .required = true}}, einsum_infer, {}, onnx("Einsum"),
                      {{.inputs = {a, b}, .attrs = {{"equation", std::string("ij,jk->ki")}}},
                       {.inputs = {{.shape = {3, 3}}}, .attrs = {{"equation", std::string("ii->i")}}},
                       {.inputs = {{.shape = {2, 3}}, {.shape = {3}}, {.shape = {2}}}, .attrs = {{"equation", std::string("...j,j,...->...")}}}}));
  rows.back().compose = einsum_of;
  rows.push_back(base("tensordot", "products summed over axes: the last n with the first n ([[n]]), or named ones ([[..], [..]])", 2, 2, {{.name = "axes", .type = AttrType::int_lists, .required = true, .doc = "[[n]], or the axes of each operand"}}, tensordot_infer, {}, no_onnx("exported as MatMul"),
                      {{.inputs = {{.shape = {2, 3, 4}}, {.shape = {4, 3, 2}}}, .attrs = {{"axes", IntLists{{1, 2}, {1, 0}}}}}}));
  rows.back().compose = tensordot_of;
  return rows;
}

}  // namespace lockstep
