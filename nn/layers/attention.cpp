#include <lockstep/nn/layers/attention.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/regularization.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

void require_inputs(std::size_t count) {
  if (count < 1 || count > 3) throw InvalidArgumentError("the inputs are query, value and key, got " + std::to_string(count), "attention");
}

/// Query, value and key: without a key it is the value, without a value the query (self-attention).
template <class T>
struct Roles {
  const T &query, &value, &key;
};
template <class T>
Roles<T> roles(std::span<const T> inputs) {
  const T& value = inputs[inputs.size() > 1 ? 1 : 0];
  return {inputs[0], value, inputs.size() > 2 ? inputs[2] : value};
}

Tensor both(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : logical_and(a, b); }
Tensor as_bool(const Tensor& mask) { return !mask.defined() || mask.dtype() == boolean ? mask : cast(mask, boolean); }

/// (1, queries, keys): true up to the query's own position.
Tensor causal_mask(std::int64_t queries, std::int64_t keys) { return cast(expand_dims(band_part(ones({queries, keys}), -1, 0), 0), boolean); }

/// (1, queries, keys): true where a key is less than `window` positions away.
Tensor window_mask(std::int64_t queries, std::int64_t keys, std::int64_t window) { return cast(expand_dims(band_part(ones({queries, keys}), window - 1, window - 1), 0), boolean); }

void require_window(const std::optional<std::int64_t>& window, const char* layer) {
  if (window && *window <= 0) throw InvalidArgumentError("sliding_window must be positive, got " + std::to_string(*window), layer);
}

Ints sizes(std::int64_t count, std::initializer_list<std::int64_t> last) {
  Ints result(std::size_t(std::max<std::int64_t>(0, count - std::int64_t(last.size()))), -1);
  result.append(last.begin(), last.end());
  return result;
}

/// "abc,cde->abde": the last axis of `free` others becomes two (heads, size).
std::string to_heads(int ndim) {
  std::string in, out;
  for (int i = 0; i + 1 < ndim; ++i) in += char('a' + i);
  out = in;
  const char bound = char('a' + ndim - 1);
  const std::string heads = {char(bound + 1), char(bound + 2)};
  return in + bound + "," + bound + heads + "->" + out + heads;
}

/// Can dot_product_attention do it? The attended axes of projected queries (batch..., attended..., heads, size) lie side by side before the heads, and a
/// causal mask speaks of the first axis behind the batch.
bool attends_as_one(const Tensor& query, const Tensor& key, const Ints& attention_axes, bool causal) {
  const int heads = query.ndim() - 2;
  if (attention_axes.empty() || !query.shape().known() || !key.shape().known() || query.ndim() != key.ndim()) return false;
  const std::int64_t first = heads - std::int64_t(attention_axes.size());
  for (std::size_t i = 0; i < attention_axes.size(); ++i)
    if (attention_axes[i] != first + std::int64_t(i)) return false;
  return !causal || (attention_axes.size() == 1 && first == 1);
}
/// Its attended axes as one.
Tensor attended_as_one(const Tensor& x, const Ints& attention_axes) {
  if (attention_axes.size() == 1) return x;
  const int first = int(attention_axes[0]), heads = x.ndim() - 2;
  Ints sizes;
  for (int i = 0; i < first; ++i) sizes.push_back(x.shape()[i]);
  std::int64_t rows = 1;
  for (int i = first; i < heads; ++i) rows *= x.shape()[i];
  sizes.push_back(rows);
  for (int i = heads; i < x.ndim(); ++i) sizes.push_back(x.shape()[i]);
  return reshape(x, sizes);
}

/// Result and scores (batch axes, heads, queries, keys), of which `dropped` drops some before they weigh the values. A query that may see no key sees all alike, or none.
std::pair<Tensor, Tensor> attend_in_steps(const Tensor& q, const Tensor& k, const Tensor& v, Tensor mask, const Ints& attention_axes, bool blind_sees_nothing,
                                          const std::function<Tensor(const Tensor&)>& dropped) {
  // Letters of the query's axes; the keys' attention axes get letters of their own.
  const int ndim = q.ndim();
  std::string target, source, batch, rows, columns;
  for (int i = 0; i < ndim; ++i) {
    const char letter = char('a' + i);
    target += letter;
    const bool attended = std::find(attention_axes.begin(), attention_axes.end(), i) != attention_axes.end();
    source += attended ? char('A' + i) : letter;
    if (attended) {
      rows += letter;
      columns += char('A' + i);
    } else if (i != ndim - 1) {
      batch += letter;
    }
  }
  const std::string product = batch + rows + columns;
  const Tensor pair[] = {q, k};
  Tensor scores = einsum(pair, target + "," + source + "->" + product);
  if (mask.defined()) {
    // The heads' axis, and whatever other batch axes the mask does not have.
    while (mask.ndim() < scores.ndim()) mask = expand_dims(mask, -2 * std::int64_t(rows.size()) - 1);
    scores = where(mask, scores, scalar(scores.dtype() == float16 ? -3e4 : -1e9, scores.dtype()));
  }
  Ints axes;
  for (std::size_t i = 0; i < columns.size(); ++i) axes.push_back(std::int64_t(product.size() - columns.size() + i));
  scores = axes.size() == 1 ? softmax(scores, -1) : exp(scores - reduce_logsumexp(scores, axes, true));
  if (mask.defined() && blind_sees_nothing) scores = where(mask, scores, zeros_like(scores));
  const Tensor combine[] = {dropped(scores), v};
  return {einsum(combine, product + "," + source + "->" + target), scores};
}

}  // namespace

// ---- HeadedAttention

void HeadedAttention::build_projections(std::span<const Shape> inputs, const Projections& p, const Heads& heads, const Ints& output_shape) {
  require_inputs(inputs.size());
  const auto &[query, value, key] = roles(inputs);
  const auto project = [&](const std::string& name, const Shape& from, std::int64_t count, std::int64_t size, Ref<Activation> activation = {}) {
    const std::string equation = to_heads(from.ndim());
    EinsumDense layer({.equation = equation,
                       .output_shape = sizes(from.ndim(), {count, size}),
                       .activation = std::move(activation),
                       .bias_axes = p.use_bias ? equation.substr(equation.size() - 2) : "",
                       .kernel_initializer = p.kernel_initializer,
                       .bias_initializer = p.bias_initializer,
                       .kernel_regularizer = p.kernel_regularizer,
                       .bias_regularizer = p.bias_regularizer,
                       .kernel_constraint = p.kernel_constraint,
                       .bias_constraint = p.bias_constraint,
                       .dtype = dtype_policy()});
    const auto tracked = track(name, std::move(layer));
    tracked->build_for(from);
    return tracked;
  };
  heads_ = heads;
  query_ = project("query", query, heads.query, heads.key_dim);
  key_ = project("key", key, heads.key_value, heads.key_dim);
  if (p.use_gate) gate_ = project("gate", query, heads.query, heads.value_dim, "sigmoid");
  value_ = project("value", value, heads.key_value, heads.value_dim);
  // Back from (..., heads, size) to (..., output_shape).
  std::string in, kernel, out;
  for (int i = 0; i + 1 < query.ndim(); ++i) in += char('a' + i);
  out = in;
  const char first = char('a' + query.ndim() - 1);
  in += {first, char(first + 1)};
  kernel = {first, char(first + 1)};
  std::string last;
  for (std::size_t i = 0; i < output_shape.size(); ++i) last += char(first + 2 + char(i));
  Ints shape(std::size_t(query.ndim() - 2), -1);
  shape.append(output_shape.begin(), output_shape.end());
  EinsumDense layer({.equation = in + "," + kernel + last + "->" + out + last,
                     .output_shape = shape,
                     .bias_axes = p.use_bias ? last : "",
                     .kernel_initializer = p.kernel_initializer,
                     .bias_initializer = p.bias_initializer,
                     .kernel_regularizer = p.kernel_regularizer,
                     .bias_regularizer = p.bias_regularizer,
                     .kernel_constraint = p.kernel_constraint,
                     .bias_constraint = p.bias_constraint,
                     .dtype = dtype_policy()});
  output_ = track("attention_output", std::move(layer));
  Shape combined(query.dims().first(std::size_t(query.ndim() - 1)));
  combined.push_back(heads.query);
  combined.push_back(heads.value_dim);
  output_->build_for(combined);
}

Tensors HeadedAttention::attend(std::span<const Tensor> inputs, const CallOptions& options, const Attending& how) {
  require_inputs(inputs.size());
  const auto &[query, value, key] = roles(inputs);
  Tensor mask = as_bool(options.attention_mask);
  if (const Tensor m = as_bool(options.mask_of(0)); m.defined() && how.masks_queries) mask = both(mask, expand_dims(m, -1));
  for (const std::size_t i : {1u, 2u})
    if (const Tensor m = as_bool(options.mask_of(i)); m.defined()) mask = both(mask, expand_dims(m, -2));
  if (how.sliding_window) mask = both(mask, window_mask(query.shape()[1], value.shape()[1], *how.sliding_window));

  const double scale = 1 / std::sqrt(double(heads_.key_dim));
  Tensor q = (*query_)(query), k = (*key_)(key), v = (*value_)(value);
  if (heads_.query != heads_.key_value) {
    k = repeat(k, {heads_.query / heads_.key_value}, -2);
    v = repeat(v, {heads_.query / heads_.key_value}, -2);
  }
  const bool drops = options.training && generator_;
  Tensor result, scores;
  if (!mask.defined() && !drops && !options.return_attention_scores && attends_as_one(q, k, how.axes, options.use_causal_mask)) {
    Ints shape(q.shape().begin(), q.shape().end());
    shape.back() = v.shape().dim(-1);
    result = dot_product_attention(attended_as_one(q, how.axes), attended_as_one(k, how.axes), attended_as_one(v, how.axes), scale, options.use_causal_mask);
    if (how.axes.size() > 1) result = reshape(result, shape);
  } else {
    if (options.use_causal_mask) mask = both(mask, causal_mask(query.shape()[1], value.shape()[1]));
    // Where Keras computes the scores itself.
    const bool blind_sees_nothing = how.dropout > 0 || options.return_attention_scores || q.ndim() != 4;
    const auto dropped = [&](const Tensor& x) { return drops ? x * dropout_mask(*generator_, x.shape(), how.dropout, x.dtype()) : x; };
    std::tie(result, scores) = attend_in_steps(q * scale, k, v, mask, how.axes, blind_sees_nothing, dropped);
  }
  if (gate_) result = result * (*gate_)(query);
  result = (*output_)(result);
  if (options.return_attention_scores) return {result, scores};
  return {result};
}

// ---- MultiHeadAttention

MultiHeadAttention::MultiHeadAttention(Options options) : HeadedAttention(options.name, options.dtype), options_(std::move(options)) { MultiHeadAttention::configured(); }

void MultiHeadAttention::fields(Fields& f) {
  Layer::fields(f);
  f.required({"num_heads", "key_dim"});
  f.field("num_heads", options_.num_heads);
  f.field("key_dim", options_.key_dim);
  f.field("value_dim", options_.value_dim);
  f.field("dropout", options_.dropout);
  f.field("use_bias", options_.use_bias);
  f.field("use_gate", options_.use_gate);
  f.field("output_shape", options_.output_shape);
  f.field("attention_axes", options_.attention_axes);
  f.field("sliding_window", options_.sliding_window);
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("bias_constraint", options_.bias_constraint);
  f.field("seed", options_.seed);
}

void MultiHeadAttention::configured() {
  if (!options_.value_dim) options_.value_dim = options_.key_dim;
  require(options_.num_heads > 0 && options_.key_dim > 0 && *options_.value_dim > 0, "num_heads, key_dim and value_dim must be positive, got " + std::to_string(options_.num_heads) + ", " + std::to_string(options_.key_dim) + " and " + std::to_string(*options_.value_dim));
  require_window(options_.sliding_window, "MultiHeadAttention");
  require(options_.dropout >= 0 && options_.dropout <= 1, "dropout must be between 0 and 1, got " + std::to_string(options_.dropout));
  set_activity_regularizer(options_.activity_regularizer);
}

void MultiHeadAttention::build(std::span<const Shape> inputs) {
  require(!inputs.empty(), "there are no inputs");
  const int ndim = inputs[0].ndim();
  if (!options_.attention_axes) {
    options_.attention_axes = Ints();
    for (int i = 1; i + 1 < ndim; ++i) options_.attention_axes->push_back(i);
  }
  for (std::int64_t& axis : *options_.attention_axes)
    if (axis < 0) axis += ndim;
  build_projections(inputs,
                    {options_.kernel_initializer, options_.bias_initializer, options_.kernel_regularizer, options_.bias_regularizer, options_.kernel_constraint, options_.bias_constraint, options_.use_bias, options_.use_gate},
                    {options_.num_heads, options_.num_heads, options_.key_dim, *options_.value_dim}, options_.output_shape.value_or(Ints{inputs[0].dim(-1)}));
  if (options_.dropout > 0) generator_ = add_generator("seed_generator", options_.seed);
}

Tensors MultiHeadAttention::call(std::span<const Tensor> inputs, const CallOptions& options) {
  return attend(inputs, options, {.axes = *options_.attention_axes, .dropout = options_.dropout, .sliding_window = options_.sliding_window});
}

// ---- GroupedQueryAttention

GroupedQueryAttention::GroupedQueryAttention(Options options) : HeadedAttention(options.name, options.dtype), options_(std::move(options)) { GroupedQueryAttention::configured(); }

void GroupedQueryAttention::fields(Fields& f) {
  Layer::fields(f);
  f.required({"head_dim", "num_query_heads", "num_key_value_heads"});
  f.field("head_dim", options_.head_dim);
  f.field("num_query_heads", options_.num_query_heads);
  f.field("num_key_value_heads", options_.num_key_value_heads);
  f.field("use_bias", options_.use_bias);
  f.field("use_gate", options_.use_gate);
  f.field("sliding_window", options_.sliding_window);
  f.field("dropout", options_.dropout);
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("bias_constraint", options_.bias_constraint);
  f.field("seed", options_.seed);
}

void GroupedQueryAttention::configured() {
  require(options_.head_dim > 0 && options_.num_query_heads > 0 && options_.num_key_value_heads > 0, "head_dim, num_query_heads and num_key_value_heads must be positive");
  require(options_.num_query_heads % options_.num_key_value_heads == 0, "num_key_value_heads must divide num_query_heads");
  require_window(options_.sliding_window, "GroupedQueryAttention");
  require(options_.dropout >= 0 && options_.dropout <= 1, "dropout must be between 0 and 1, got " + std::to_string(options_.dropout));
  set_activity_regularizer(options_.activity_regularizer);
}

void GroupedQueryAttention::build(std::span<const Shape> inputs) {
  require(!inputs.empty(), "there are no inputs");
  build_projections(inputs,
                    {options_.kernel_initializer, options_.bias_initializer, options_.kernel_regularizer, options_.bias_regularizer, options_.kernel_constraint, options_.bias_constraint, options_.use_bias, options_.use_gate},
                    {options_.num_query_heads, options_.num_key_value_heads, options_.head_dim, options_.head_dim}, {inputs[0].dim(-1)});
  if (options_.dropout > 0) generator_ = add_generator("seed_generator", options_.seed);
}

Tensors GroupedQueryAttention::call(std::span<const Tensor> inputs, const CallOptions& options) {
  return attend(inputs, options, {.axes = {1}, .dropout = options_.dropout, .sliding_window = options_.sliding_window, .masks_queries = true});
}

// ---- Attention, AdditiveAttention

void Attention::fields(Fields& f) {
  Layer::fields(f);
  f.field("use_scale", options_.use_scale);
  f.field("score_mode", options_.score_mode);
  f.field("dropout", options_.dropout);
  f.field("seed", options_.seed);
}

void Attention::configured() {
  require(options_.score_mode == "dot" || options_.score_mode == "concat", "score_mode must be \"dot\" or \"concat\", got \"" + options_.score_mode + "\"");
  require(options_.dropout >= 0 && options_.dropout <= 1, "dropout must be between 0 and 1, got " + std::to_string(options_.dropout));
}

void Attention::build(std::span<const Shape> inputs) {
  static_cast<void>(inputs);
  if (options_.use_scale) scale_ = add_weight("scale", {}, {.initializer = "ones"});
  if (options_.score_mode == "concat") concat_weight_ = add_weight("concat_score_weight", {}, {.initializer = "ones"});
  if (options_.dropout > 0) generator_ = add_generator("seed_generator", options_.seed);
}

Tensor Attention::scores(const Tensor& query, const Tensor& key) const {
  if (options_.score_mode == "dot") {
    const Tensor products = matmul(query, key, false, true);
    return scale_.defined() ? products * scale_ : products;
  }
  const Tensor sums = expand_dims(query, -2) + expand_dims(key, -3);
  return concat_weight_ * reduce_sum(tanh(scale_.defined() ? scale_ * sums : sums), -1);
}

Tensors Attention::call(std::span<const Tensor> inputs, const CallOptions& options) {
  require_inputs(inputs.size());
  const auto &[query, value, key] = roles(inputs);
  Tensor found = scores(query, key);
  Tensor mask = as_bool(options.mask_of(1));
  if (mask.defined()) mask = expand_dims(mask, -2);
  if (options.use_causal_mask) mask = both(mask, causal_mask(query.shape()[1], key.shape()[1]));
  if (mask.defined()) found = where(mask, found, found - (found.dtype() == float16 ? 65504.0 : 1e9));
  Tensor weights = softmax(found);
  if (options.training && generator_) weights = weights * dropout_mask(*generator_, weights.shape(), options_.dropout, weights.dtype());
  Tensor result = matmul(weights, value);
  if (const Tensor m = as_bool(options.mask_of(0)); m.defined()) result = where(expand_dims(m, -1), result, zeros_like(result));
  if (options.return_attention_scores) return {result, weights};
  return {result};
}

void AdditiveAttention::fields(Fields& f) {
  Layer::fields(f);
  f.field("use_scale", options_.use_scale);
  f.field("dropout", options_.dropout);
  f.field("seed", options_.seed);
}

void AdditiveAttention::build(std::span<const Shape> inputs) {
  require(!inputs.empty(), "there are no inputs");
  if (options_.use_scale) scale_ = add_weight("scale", {inputs[0].dim(-1)}, {.initializer = "glorot_uniform"});
  if (options_.dropout > 0) generator_ = add_generator("seed_generator", options_.seed);
}

Tensor AdditiveAttention::scores(const Tensor& query, const Tensor& key) const {
  const Tensor sums = tanh(expand_dims(query, -2) + expand_dims(key, -3));
  return reduce_sum(scale_.defined() ? scale_ * sums : sums, -1);
}

}  // namespace lockstep::nn
