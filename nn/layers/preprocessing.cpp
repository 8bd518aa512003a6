#include <lockstep/nn/layers/preprocessing.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <nlohmann/json.hpp>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

Ints dims(const Shape& shape) { return {shape.begin(), shape.end()}; }

template <class T>
void fixed(Fields& f, const char* key, T value) {
  const T given = value;
  f.field(key, value);
  if (value != given) throw UnimplementedError("'" + std::string(key) + "' must be left at its default");
}

void require_mode(const std::string& mode, bool with_int, const char* layer) {
  if (mode == "one_hot" || mode == "multi_hot" || mode == "count" || (with_int && mode == "int")) return;
  throw InvalidArgumentError(std::string("output_mode must be ") + (with_int ? "\"int\", " : "") + "\"one_hot\", \"multi_hot\" or \"count\", got \"" + mode + "\"", layer);
}

}  // namespace

void Rescaling::fields(Fields& f) {
  Layer::fields(f);
  f.field("scale", scale_);
  f.field("offset", offset_);
}

// ---- Normalization

void Normalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", options_.axis);
  f.field("invert", options_.invert);
  f.field("mean", options_.mean);
  f.field("variance", options_.variance);
}
void Normalization::configured() { require(options_.mean.has_value() == options_.variance.has_value(), "mean and variance must be given together"); }

Ints Normalization::reduced_axes(const Shape& input) const {
  Ints result;
  const Ints kept = options_.axis.value_or(Ints{});
  for (int i = 0; i < input.ndim(); ++i)
    if (std::none_of(kept.begin(), kept.end(), [&](std::int64_t axis) { return (axis < 0 ? axis + input.ndim() : axis) == i; })) result.push_back(i);
  require(kept.size() + result.size() == std::size_t(input.ndim()), "axis " + to_string(AttrValue(kept)) + " is outside of the input's shape " + to_string(input));
  return result;
}

void Normalization::build(const Shape& input) {
  Shape shape;
  const Ints reduced = reduced_axes(input);
  for (int i = 0; i < input.ndim(); ++i)
    if (std::find(reduced.begin(), reduced.end(), i) == reduced.end()) shape.push_back(input[i]);
  if (options_.mean) {
    for (const auto* each : {&*options_.mean, &*options_.variance})
      require(each->size() == 1 || std::int64_t(each->size()) == shape.numel(), "mean and variance must have 1 or " + std::to_string(shape.numel()) + " numbers, got " + std::to_string(each->size()));
    return;
  }
  mean_ = add_weight("mean", shape, {.initializer = "zeros", .trainable = false});
  variance_ = add_weight("variance", shape, {.initializer = "ones", .trainable = false});
  count_ = add_weight("count", {}, {.initializer = "zeros", .trainable = false, .dtype = int64});
}

void Normalization::adapt(const Tensor& data) {
  require(!options_.mean, "mean and variance were given: there is nothing to adapt");
  build_for(data.shape());
  const auto [mean, variance] = moments(cast(data, float64), reduced_axes(data.shape()));
  mean_.assign(cast(mean, mean_.variable().dtype()));
  variance_.assign(cast(variance, variance_.variable().dtype()));
}

Tensor Normalization::call(const Tensor& x) {
  // As broadcast to the input: 1 along the reduced axes.
  Ints column(std::size_t(x.ndim()), 1);
  const Ints reduced = reduced_axes(x.shape());
  for (int i = 0; i < x.ndim(); ++i)
    if (std::find(reduced.begin(), reduced.end(), i) == reduced.end()) column[std::size_t(i)] = x.shape()[i];
  const auto shaped = [&](const std::optional<std::vector<double>>& given, const Weight& adapted) {
    if (!given) return reshape(adapted, column);
    const Tensor values = cast(constant(*given), x.dtype());
    return given->size() == 1 ? values : reshape(values, column);
  };
  const Tensor mean = shaped(options_.mean, mean_), variance = shaped(options_.variance, variance_);
  const Tensor stddev = maximum(sqrt(variance), scalar(1e-7, x.dtype()));
  return options_.invert ? mean + x * stddev : (x - mean) / stddev;
}

// ---- categories

Tensor encode_categories(const Tensor& indices, const std::string& output_mode, std::int64_t depth, DType dtype, const Tensor& weights) {
  if (output_mode == "int") return cast(indices, dtype);
  const Tensor rows = indices.ndim() == 0 ? expand_dims(indices, 0) : indices;
  if (output_mode == "one_hot") return one_hot(rows.ndim() > 1 && rows.shape().dim(-1) == 1 ? squeeze(rows, -1) : rows, depth, 1, 0, -1, dtype);
  const Tensor hot = one_hot(rows, depth, 1, 0, -1, dtype);
  if (output_mode == "multi_hot") return reduce_max(hot, -2);
  return reduce_sum(weights.defined() ? hot * expand_dims(cast(weights, dtype), -1) : hot, -2);
}

void CategoryEncoding::fields(Fields& f) {
  Layer::fields(f);
  f.field("num_tokens", options_.num_tokens);
  f.field("output_mode", options_.output_mode);
  fixed(f, "sparse", false);
}
void CategoryEncoding::configured() {
  require(options_.num_tokens > 0, "num_tokens must be positive, got " + std::to_string(options_.num_tokens));
  require_mode(options_.output_mode, false, "CategoryEncoding");
}
Tensors CategoryEncoding::call(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  require(inputs.size() == 1 || (inputs.size() == 2 && options_.output_mode == "count"), "weights go with output_mode \"count\" only");
  const Tensor indices = is_integer(inputs[0].dtype()) ? inputs[0] : cast(inputs[0], int32);
  if (!indices.is_symbolic() && indices.numel() > 0) {
    const auto values = cast(indices, int64).to_vector<std::int64_t>();
    const auto [least, most] = std::minmax_element(values.begin(), values.end());
    require(*least >= 0 && *most < options_.num_tokens, "the numbers must be in [0, " + std::to_string(options_.num_tokens) + "), got " + std::to_string(*least) + " to " + std::to_string(*most));
  }
  return {encode_categories(indices, options_.output_mode, options_.num_tokens, compute_dtype(), inputs.size() == 2 ? inputs[1] : Tensor())};
}

// ---- Discretization

void Discretization::fields(Fields& f) {
  f.field("bin_boundaries", options_.bin_boundaries);
  f.field("num_bins", options_.num_bins);
  f.field("epsilon", options_.epsilon);
  f.field("output_mode", options_.output_mode);
  fixed(f, "sparse", false);
  std::string shown = name();
  f.field("name", shown);
  if (shown != name()) set_name(shown);
  bool is_trainable = trainable();
  f.field("trainable", is_trainable);
  if (is_trainable != trainable()) set_trainable(is_trainable);
  std::string dtype = dtype_policy().name();
  f.field("dtype", dtype);
  if (dtype != dtype_policy().name()) set_dtype_policy(dtype);
}
void Discretization::configured() {
  require_mode(options_.output_mode, true, "Discretization");
  require(!options_.num_bins || *options_.num_bins > 0, "num_bins must be positive");
  require(options_.epsilon > 0, "epsilon must be positive, got " + std::to_string(options_.epsilon));
  if (options_.bin_boundaries) require(std::is_sorted(options_.bin_boundaries->begin(), options_.bin_boundaries->end()), "bin_boundaries must ascend");
}

void Discretization::adapt(const Tensor& data) {
  require(options_.num_bins.has_value(), "adapt needs num_bins");
  std::vector<float> values = cast(data, float32).to_vector<float>();
  require(!values.empty(), "there are no data");
  std::sort(values.begin(), values.end());
  // A summary of 1 / epsilon of the values, at equal steps; then the boundaries where their cumulated weights reach k / num_bins.
  const double step = std::max(double(values.size()) * options_.epsilon, 1.0);
  std::vector<double> points;
  for (std::size_t i = std::size_t(step - 1); i < values.size(); i += std::size_t(step)) points.push_back(values[i]);
  std::vector<double> boundaries;
  const double bins = double(*options_.num_bins), count = double(points.size());
  if (count < bins) {
    boundaries.assign(points.begin(), points.end() - 1);
  } else {
    for (std::int64_t k = 1; k < *options_.num_bins; ++k) {
      const double at = std::max(0.0, double(k) / bins * count - 1);  // point i stands for the share (i + 1) / count
      const auto below = std::min(points.size() - 1, std::size_t(at)), above = std::min(points.size() - 1, below + 1);
      boundaries.push_back(double(float(points[below] + (at - double(below)) * (points[above] - points[below]))));
    }
  }
  options_.bin_boundaries = boundaries;
}

Tensor Discretization::call(const Tensor& x) {
  if (!options_.bin_boundaries) throw FailedPreconditionError("there are no bin boundaries: give them, or call adapt", "Discretization");
  const Tensor boundaries = cast(constant(*options_.bin_boundaries), x.dtype());
  const Tensor bins = cast(reshape(searchsorted(boundaries, reshape(x, {-1}), "right"), dims(x.shape())), int32);
  return encode_categories(bins, options_.output_mode, std::int64_t(options_.bin_boundaries->size()) + 1, options_.output_mode == "int" ? int32 : compute_dtype());
}

// ---- IntegerLookup

void IntegerLookup::fields(Fields& f) {
  Layer::fields(f);
  f.field("invert", options_.invert);
  f.field("max_tokens", options_.max_tokens);
  f.field("num_oov_indices", options_.num_oov_indices);
  f.field("oov_token", options_.oov_token);
  f.field("mask_token", options_.mask_token);
  f.field("output_mode", options_.output_mode);
  fixed(f, "sparse", false);
  fixed(f, "pad_to_max_tokens", false);
  fixed(f, "vocabulary_dtype", std::string("int64"));
  fixed(f, "idf_weights", std::optional<std::vector<double>>());
  f.field("vocabulary", options_.vocabulary);
  Json size = options_.vocabulary ? Json(vocabulary_size()) : Json(nullptr);  // follows from the others
  f.field("vocabulary_size", size);
  fixed(f, "oov_method", std::string("floormod"));
  fixed(f, "salt", std::optional<std::string>());
}
void IntegerLookup::configured() {
  require_mode(options_.output_mode, true, "IntegerLookup");
  require(options_.num_oov_indices >= 0, "num_oov_indices must not be negative");
  require(!options_.max_tokens || *options_.max_tokens > 1, "max_tokens must be above 1");
  require(!options_.invert || options_.output_mode == "int", "an inverted lookup has output_mode \"int\"");
  if (!options_.vocabulary) return;
  Ints sorted = *options_.vocabulary;
  std::sort(sorted.begin(), sorted.end());
  require(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end(), "the vocabulary repeats a number");
}

std::int64_t IntegerLookup::vocabulary_size() const {
  const std::int64_t mask = options_.mask_token && options_.output_mode == "int" ? 1 : 0;
  return mask + options_.num_oov_indices + (options_.vocabulary ? std::int64_t(options_.vocabulary->size()) : 0);
}

void IntegerLookup::adapt(const Tensor& data) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t value : cast(data, int64).to_vector<std::int64_t>())
    if (value != options_.mask_token && value != options_.oov_token) ++counts[value];
  std::vector<std::pair<std::int64_t, std::int64_t>> order;
  for (const auto& [value, count] : counts) order.emplace_back(count, value);
  std::sort(order.rbegin(), order.rend());  // ties: the larger number first, as Keras has it
  options_.vocabulary = Ints();
  const std::int64_t room = options_.max_tokens.value_or(std::int64_t(order.size()) + vocabulary_size()) - vocabulary_size();
  for (std::size_t i = 0; i < order.size() && std::int64_t(i) < room; ++i) options_.vocabulary->push_back(order[i].second);
}

Tensor IntegerLookup::call(const Tensor& x) {
  if (!options_.vocabulary) throw FailedPreconditionError("there is no vocabulary: give it, or call adapt", "IntegerLookup");
  const Ints& words = *options_.vocabulary;
  const auto n = std::int64_t(words.size());
  const Tensor values = cast(x, int64);
  const std::int64_t first = vocabulary_size() - n, mask = first - options_.num_oov_indices;
  const auto number = [](std::int64_t value) { return scalar(value, int64); };
  if (options_.invert) {
    std::vector<std::int64_t> table(std::size_t(first), options_.oov_token);
    if (mask) table[0] = *options_.mask_token;
    table.insert(table.end(), words.begin(), words.end());
    const Tensor inside = logical_and(values >= 0, values < vocabulary_size());
    return where(inside, gather(constant(table), where(inside, values, zeros_like(values))), number(options_.oov_token));
  }
  // Binary search in the sorted vocabulary; `position` says where a sorted word stood.
  std::vector<std::int64_t> position(words.size()), sorted(words.size());
  std::iota(position.begin(), position.end(), 0);
  std::sort(position.begin(), position.end(), [&](std::int64_t a, std::int64_t b) { return words[std::size_t(a)] < words[std::size_t(b)]; });
  for (std::size_t i = 0; i < sorted.size(); ++i) sorted[i] = words[std::size_t(position[i])];
  Tensor result = options_.num_oov_indices > 1 ? mod(values, number(options_.num_oov_indices)) + mask : full(x.shape(), options_.num_oov_indices == 1 ? mask : -1, int64);
  if (n > 0) {
    const Tensor place = clip_by_value(cast(reshape(searchsorted(constant(sorted), reshape(values, {-1})), dims(x.shape())), int64), 0, n - 1);
    const Tensor found = equal(gather(constant(sorted), place), values);
    result = where(found, gather(constant(position), place) + first, result);
  }
  if (mask) result = where(equal(values, number(*options_.mask_token)), number(0), result);
  if (!result.is_symbolic() && options_.num_oov_indices == 0)
    for (const std::int64_t each : result.data<std::int64_t>()) require(each >= 0, "a number is not in the vocabulary, and there are no indices for such (num_oov_indices = 0)");
  return encode_categories(result, options_.output_mode, vocabulary_size(), options_.output_mode == "int" ? int64 : compute_dtype());
}

}  // namespace lockstep::nn
