// Scaled dot product attention as one op, with heads next to the last axis, as projections give them. Neither the op nor its gradient keeps the
// probabilities: a number per row, the logarithm of its sum of exponentials, is enough to find them again.

#include <lockstep/tensor/ops/attention.h>

#include <cmath>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace attention {

Sizes sizes_of(const BindContext& context) {
  const Shape &query = context.shape(0), &key = context.shape(1), &value = context.shape(2);
  const int n = query.ndim();
  Sizes s{1, query[n - 3], key[n - 3], query[n - 2], query[n - 1], value[n - 1], context.number("scale"), context.boolean("is_causal")};
  for (int i = 0; i < n - 3; ++i) s.batch *= query[i];
  return s;
}

}  // namespace attention

namespace {

using G = const GradContext&;

/// Of the log-sum-exp: (batch..., heads, rows).
Shape attention_sums_shape(const Shape& query) {
  Shape shape(query.dims().first(std::size_t(query.ndim() - 3)));
  shape.push_back(query.dim(-2));
  shape.push_back(query.dim(-3));
  return shape;
}

/// Checks query, key and value; gives the result's shape.
Shape check_attention(const InferContext& context) {
  const Shape &query = context.shape(0), &key = context.shape(1), &value = context.shape(2);
  const int n = query.ndim();
  if (n < 3 || key.ndim() != n || value.ndim() != n) context.refuse("query, key and value need the axes (batch..., length, heads, size), all the same number");
  for (int i = 0; i < n - 3; ++i)
    if (key[i] != query[i] || value[i] != query[i]) context.refuse("query, key and value differ in batch axis " + std::to_string(i));
  if (key[n - 2] != query[n - 2] || value[n - 2] != query[n - 2]) context.refuse("query, key and value must have the same number of heads");
  if (key[n - 1] != query[n - 1]) context.refuse("the sizes of query and key, " + std::to_string(query[n - 1]) + " and " + std::to_string(key[n - 1]) + ", differ");
  if (key[n - 3] != value[n - 3]) context.refuse("there are " + std::to_string(key[n - 3]) + " keys and " + std::to_string(value[n - 3]) + " values");
  Shape result = query;
  result[n - 1] = value[n - 1];
  return result;
}

void attention_infer(InferContext& context) {
  const Shape result = check_attention(context);
  context.output(context.dtype_of(0), result);
  context.output(attention::compute_dtype(context.dtype_of(0)), attention_sums_shape(context.shape(0)));
}

void attention_gradient_infer(InferContext& context) {
  const Shape result = check_attention(context), sums = attention_sums_shape(context.shape(0));
  const DType wide = attention::compute_dtype(context.dtype_of(0));
  for (const std::size_t i : {3u, 4u})
    if (context.shape(i) != result) context.refuse("operand " + std::to_string(i) + " must have the result's shape " + to_string(result));
  for (std::size_t i = 5; i < context.input_count(); ++i) {
    if (context.shape(i) != sums) context.refuse("operand " + std::to_string(i) + " must have shape " + to_string(sums));
    if (context.dtype_of(i) != wide) context.refuse_type("operand " + std::to_string(i) + " must be " + std::string(name(wide)));
  }
  for (std::size_t i = 0; i < 3; ++i) context.output(context.dtype_of(i), context.shape(i));
}

AttrList attention_attrs(const OpCall& call) { return {{"scale", call.attr("scale")}, {"is_causal", call.attr("is_causal")}}; }

Gradients attention_gradient(G c) {
  static const OpDef& op = find_op("dot_product_attention_gradient");
  Tensors operands{c.input(0), c.input(1), c.input(2), c.upstream(0), c.output(0), c.output(1)};
  if (c.has_upstream(1)) operands.push_back(c.upstream(1));
  const Tensors result = apply_all(op, operands, attention_attrs(c));
  return {result[0], result[1], result[2]};
}

Tensor heads_product(const char* equation, const Tensor& a, const Tensor& b) {
  const Tensor pair[] = {a, b};
  return einsum(pair, equation);
}

/// The gradient's own, with the probabilities written out: (rows, keys) are q and k, sizes d and v. What it is taken of is
/// sum(a dQ) + sum(b dK) + sum(c dV), where P = softmax(S), dP = dO V^T, dS = P (dP - delta + u), dQ = scale dS K, dK = scale dS^T Q, dV = P^T dO and
/// u is the log-sum-exp's upstream. That result and log-sum-exp hang on query, key and value is in what these get.
Gradients attention_gradient_gradient(G c) {
  const Tensor &q = c.input(0), &k = c.input(1), &v = c.input(2), &up = c.input(3);
  grads::require_known(q, c.op().name);
  const bool sums_upstream = c.input_count() == 7;
  const DType dtype = q.dtype();
  const double scale = c.number("scale");
  const Tensor a = c.upstream(0), b = c.upstream(1), cv = c.upstream(2);
  Tensor scores = heads_product("...qhd,...khd->...hqk", q, k) * scale;
  if (c.boolean("is_causal")) {
    const std::int64_t rows = q.shape().dim(-3), keys = k.shape().dim(-3);
    scores = where(cast(band_part(ones({rows, keys}), -1, 0), boolean), scores, scalar(-INFINITY, dtype));
  }
  const Tensor p = softmax(scores, -1), dp = heads_product("...qhv,...khv->...hqk", up, v);
  Tensor above = dp - reduce_sum(p * dp, -1, true);  // dP - delta + u
  if (sums_upstream) above = above + expand_dims(cast(c.input(6), dtype), -1);
  const Tensor ds = p * above;
  const Tensor g = (heads_product("...qhd,...khd->...hqk", a, k) + heads_product("...qhd,...khd->...hqk", q, b)) * scale;  // of dS
  const Tensor mean = reduce_sum(g * p, -1, true);
  const Tensor of_p = g * above - mean * dp + heads_product("...qhv,...khv->...hqk", up, cv), of_dp = p * (g - mean);
  const Tensor of_s = p * (of_p - reduce_sum(p * of_p, -1, true));
  Gradients result{(heads_product("...hqk,...khd->...qhd", of_s, k) + heads_product("...hqk,...khd->...qhd", ds, b)) * scale, (heads_product("...hqk,...qhd->...khd", of_s, q) + heads_product("...hqk,...qhd->...khd", ds, a)) * scale,
                   heads_product("...hqk,...qhv->...khv", of_dp, up), heads_product("...hqk,...khv->...qhv", of_dp, v) + heads_product("...hqk,...khv->...qhv", p, cv), Gradient(), Gradient()};
  if (sums_upstream) result.push_back(cast(reduce_sum(g * p, -1), c.input(6).dtype()));
  return result;
}

/// The gradient's operands with the result and the sums that belong to the drawn query, key and value.
Tensors attention_operands(std::span<const Tensor> in, bool causal) {
  static const OpDef& op = find_op("dot_product_attention");
  const Tensors results = apply_all(op, {in[0], in[1], in[2]}, {{"scale", 0.7}, {"is_causal", causal}});
  Tensors operands{in[0], in[1], in[2], in[3], results[0], results[1]};
  if (in.size() > 6) operands.push_back(cast(in[6], results[1].dtype()));
  return operands;
}

OpDef attention_row(std::string_view name, std::string_view doc, int least, int most, void (*infer)(InferContext&), GradRule gradient, OnnxForm form, std::vector<Sample> samples, BoundKernel (*cpu)(const BindContext&)) {
  return {.name = name, .doc = doc, .family = "attention", .min_inputs = least, .max_inputs = most,
          .attrs = {{.name = "scale", .type = AttrType::number, .required = true}, {.name = "is_causal", .type = AttrType::boolean, .fallback = false, .doc = "a row sees the keys up to its own number"}},
          .dtypes = least == 3 ? same(kFloats) : DTypeRule{{{kFloats, 0}, {kFloats, 0}, {kFloats, 0}, {kFloats, 0}, {kFloats, 0}, {dtypes(float32, float64), 1}, {dtypes(float32, float64), 1}}},
          .infer = infer, .gradient = gradient, .precision = Precision::prefer_low, .onnx = form, .samples = std::move(samples), .cpu = cpu};
}

}  // namespace

std::vector<OpDef> attention_rows() {
  const Sample::Operand query{.shape = {2, 3, 2, 4}}, key{.shape = {2, 5, 2, 4}}, value{.shape = {2, 5, 2, 3}}, result{.shape = {2, 3, 2, 3}}, sums{.shape = {2, 2, 3}};
  const Sample::Operand line{.shape = {4, 1, 2}}, wide{.shape = {4, 1, 3}};
  const auto attrs = [](bool causal) { return AttrList{{"scale", 0.7}, {"is_causal", causal}}; };
  const auto open = [](std::span<const Tensor> in) { return attention_operands(in, false); };
  const auto causal = [](std::span<const Tensor> in) { return attention_operands(in, true); };
  std::vector<OpDef> rows;
  rows.push_back(attention_row("dot_product_attention", "softmax(scale query key^T) value of each head, operands (batch..., length, heads, size); with the logarithm of each row's sum of exponentials (batch..., heads, rows)", 3, 3,
                               attention_infer, attention_gradient, onnx("Attention"), {{.inputs = {query, key, value}, .attrs = attrs(false)}, {.inputs = {query, key, value}, .attrs = attrs(true)}, {.inputs = {line, line, wide}, .attrs = attrs(true)}},
                               attention::bind_forward));
  rows.push_back(attention_row("dot_product_attention_gradient", "the gradients of dot_product_attention from query, key, value, upstream, result, log-sum-exp and, if it counts, the log-sum-exp's upstream", 6, 7,
                               attention_gradient_infer, attention_gradient_gradient, no_onnx("used in training only"),
                               {{.inputs = {query, key, value, result, result, sums}, .attrs = attrs(false), .prepare = open}, {.inputs = {query, key, value, result, result, sums, sums}, .attrs = attrs(true), .prepare = causal}}, attention::bind_gradient));
  return rows;
}

}  // namespace lockstep
