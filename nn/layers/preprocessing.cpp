#include <lockstep/nn/layers/preprocessing.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/categories.h>
#include <lockstep/nn/layers/plain_fields.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/strings.h>

namespace lockstep::nn {
namespace {

Ints dims(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

void Rescaling::fields(Fields& f) {
  Layer::fields(f);
  f.required({"scale"});
  visit(f, "scale", scale_);
  visit(f, "offset", offset_);
}
void Rescaling::configured() { require(!scale_.values.empty() && !offset_.values.empty(), "scale and offset are numbers or lists of them"); }
Tensor Rescaling::call(const Tensor& given) {
  const Tensor x = is_float(given.dtype()) ? given : cast(given, compute_dtype());
  const auto scaled = [&](const NumberList& list) { return list.single ? scalar(list.values[0], x.dtype()) : cast(constant(list.values), x.dtype()); };
  return x * scaled(scale_) + scaled(offset_);
}

// ---- Normalization

namespace {

/// Numbers as nested lists of a shape; a scalar is a number.
Json nested_numbers(std::span<const double> values, std::span<const std::int64_t> shape) {
  if (shape.empty()) return values[0];
  Json list = Json::array();
  const std::size_t width = values.size() / std::size_t(std::max<std::int64_t>(1, shape[0]));
  for (std::int64_t i = 0; i < shape[0]; ++i) list.push_back(nested_numbers(values.subspan(std::size_t(i) * width, width), shape.subspan(1)));
  return list;
}

/// The way back: appends the numbers, and gives the shape. Throws InvalidArgumentError for what is not regular.
Shape flattened_numbers(const Json& nested, std::vector<double>& values, const char* key) {
  if (nested.is_number()) return values.push_back(nested.get<double>()), Shape();
  if (!nested.is_array() || nested.empty()) throw InvalidArgumentError(std::string("'") + key + "' must be numbers, got " + nested.dump(), "Normalization");
  std::optional<Shape> inner;
  for (const Json& each : nested) {
    const Shape shape = flattened_numbers(each, values, key);
    if (inner && *inner != shape) throw InvalidArgumentError(std::string("'") + key + "' has lists of unequal lengths: " + nested.dump(), "Normalization");
    inner = shape;
  }
  Shape result{std::int64_t(nested.size())};
  for (const std::int64_t size : *inner) result.push_back(size);
  return result;
}

/// Mean or variance: null, a number, or nested lists of them. `shape` remembers the nesting.
void statistic_field(Fields& f, const char* key, std::optional<std::vector<double>>& values, std::optional<Shape>& shape) {
  const Shape flat{values ? std::ssize(*values) : 0};
  const Json before = values ? nested_numbers(*values, shape.value_or(flat).dims()) : Json(nullptr);
  Json written = before;
  f.field(key, written);
  if (written == before) return;
  values.reset();
  shape.reset();
  if (written.is_null()) return;
  values.emplace();
  shape = flattened_numbers(written, *values, key);
}

}  // namespace

void Normalization::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", options_.axis);
  f.field("invert", options_.invert);
  statistic_field(f, "mean", options_.mean, mean_shape_);
  statistic_field(f, "variance", options_.variance, variance_shape_);
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

/// Rows seen, then mean and sum of squared differences of each index, in float64.
std::vector<double> Normalization::summary_of(const Tensor& data) const {
  const Ints reduced = reduced_axes(data.shape());
  double rows = 1;
  for (const std::int64_t axis : reduced) rows *= double(data.shape()[int(axis)]);
  const auto [mean, variance] = moments(cast(data, float64), reduced);
  std::vector<double> summary{rows};
  for (const double each : mean.to_vector<double>()) summary.push_back(each);
  for (const double each : variance.to_vector<double>()) summary.push_back(each * rows);
  return summary;
}

/// Two summaries as one (Chan, Golub and LeVeque).
static std::vector<double> joined_moments(std::vector<double> a, const std::vector<double>& b) {
  if (a.empty() || a[0] == 0) return b;
  if (b.empty() || b[0] == 0) return a;
  if (a.size() != b.size()) throw InvalidArgumentError("data of " + std::to_string(a.size() / 2) + " and of " + std::to_string(b.size() / 2) + " features do not go together", "Normalization.adapt");
  const std::size_t width = a.size() / 2;
  const double rows = a[0] + b[0];
  for (std::size_t i = 1; i <= width; ++i) {
    const double difference = b[i] - a[i];
    a[width + i] += b[width + i] + difference * difference * a[0] * b[0] / rows;
    a[i] += difference * b[0] / rows;
  }
  a[0] = rows;
  return a;
}

void Normalization::finish(const std::vector<double>& summary, const AdaptOptions& options) {
  std::vector<double> all;
  for (const std::string& each : detail::summaries_of_ranks(detail::bytes_of_numbers(summary), options, "moments of " + name())) all = joined_moments(std::move(all), detail::numbers_of_bytes(each));
  require(!all.empty() && all[0] > 0, "there are no data to adapt to");
  require(mean_.defined(), "this rank has no data, and so knows no shape of them");
  const std::size_t width = all.size() / 2;
  std::vector<double> mean(all.begin() + 1, all.begin() + 1 + std::ptrdiff_t(width)), variance(all.begin() + 1 + std::ptrdiff_t(width), all.end());
  for (double& each : variance) each /= all[0];
  const Ints shape(mean_.variable().shape().begin(), mean_.variable().shape().end());
  mean_.assign(cast(reshape(constant(mean), shape), mean_.variable().dtype()));
  variance_.assign(cast(reshape(constant(variance), shape), variance_.variable().dtype()));
}

void Normalization::adapt(const Tensor& data, const AdaptOptions& options) {
  require(!options_.mean, "mean and variance were given: there is nothing to adapt");
  build_for(data.shape());
  finish(summary_of(data), options);
}

void Normalization::adapt(BatchSource& source, const AdaptOptions& options) {
  require(!options_.mean, "mean and variance were given: there is nothing to adapt");
  std::vector<double> summary;
  detail::for_each_batch(source, options, [&](const Tensor& batch) {
    build_for(batch.shape());
    summary = joined_moments(std::move(summary), summary_of(batch));
  });
  finish(summary, options);
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

void detail::require_mode(const std::string& mode, bool with_int, const char* layer) {
  if (mode == "one_hot" || mode == "multi_hot" || mode == "count" || (with_int && mode == "int")) return;
  throw InvalidArgumentError(std::string("output_mode must be ") + (with_int ? "\"int\", " : "") + "\"one_hot\", \"multi_hot\" or \"count\", got \"" + mode + "\"", layer);
}

void detail::require_salt(std::optional<Ints>& salt, const char* layer) {
  if (salt && salt->size() == 1) salt->push_back((*salt)[0]);
  if (salt && salt->size() != 2) throw InvalidArgumentError("salt must be one or two numbers, got " + std::to_string(salt->size()), layer);
}

Tensor detail::hash_buckets(const Tensor& texts, std::int64_t count, const std::optional<Ints>& salt) {
  return salt ? strings::to_hash_bucket_strong(texts, count, *salt) : strings::to_hash_bucket_fast(texts, count);
}

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
  detail::fixed(f, "sparse", false);
}
void CategoryEncoding::configured() {
  require(options_.num_tokens > 0, "num_tokens must be positive, got " + std::to_string(options_.num_tokens));
  detail::require_mode(options_.output_mode, false, "CategoryEncoding");
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

Discretization::Discretization(Options options) : Layer(options.name), options_(std::move(options)) {
  // (A configuration may have both: what was learnt, and for how many bins.)
  require(!options_.bin_boundaries || !options_.num_bins, "either bin_boundaries or num_bins is given, not both");
  Discretization::configured();
}

void Discretization::fields(Fields& f) {
  f.field("bin_boundaries", options_.bin_boundaries);
  f.field("num_bins", options_.num_bins);
  f.field("epsilon", options_.epsilon);
  f.field("output_mode", options_.output_mode);
  detail::fixed(f, "sparse", false);
  detail::plain_fields(f, *this);
}
void Discretization::configured() {
  detail::require_mode(options_.output_mode, true, "Discretization");
  require(options_.bin_boundaries || options_.num_bins, "bin_boundaries or, for adapt, num_bins must be given");
  require(!options_.num_bins || *options_.num_bins > 0, "num_bins must be positive");
  require(options_.epsilon > 0, "epsilon must be positive, got " + std::to_string(options_.epsilon));
  if (options_.bin_boundaries) require(std::is_sorted(options_.bin_boundaries->begin(), options_.bin_boundaries->end()), "bin_boundaries must ascend");
}

namespace {

/// Points and how many values each stands for, the points ascending.
struct Quantiles {
  std::vector<double> points, weights;
};

/// 1 / epsilon of the values, at equal steps.
Quantiles summarize(const Tensor& data, double epsilon) {
  std::vector<float> values = cast(data, float32).to_vector<float>();
  std::sort(values.begin(), values.end());
  const double step = std::max(double(values.size()) * epsilon, 1.0);
  Quantiles summary;
  for (std::size_t i = std::size_t(step - 1); i < values.size(); i += std::size_t(step)) summary.points.push_back(values[i]), summary.weights.push_back(step);
  return summary;
}

/// numpy.interp: `at` on the line through (x[i], y[i]), level beyond its ends.
double interpolate(double at, const std::vector<double>& x, const std::vector<double>& y) {
  const auto above = std::upper_bound(x.begin(), x.end(), at);
  if (above == x.begin()) return y.front();
  if (above == x.end()) return y.back();
  const std::size_t i = std::size_t(above - x.begin());
  return y[i - 1] + (at - x[i - 1]) / (x[i] - x[i - 1]) * (y[i] - y[i - 1]);
}

/// About 1 / epsilon points, where the cumulated weights reach multiples of epsilon.
Quantiles compress(const Quantiles& summary, double epsilon) {
  if (double(summary.points.size()) * epsilon < 1) return summary;
  std::vector<double> sums, shares;
  double total = 0;
  for (const double weight : summary.weights) sums.push_back(total += weight);
  for (const double sum : sums) shares.push_back(sum / total);
  Quantiles result;
  double before = 0;
  const auto count = std::int64_t(std::ceil(1.0 / epsilon));  // as numpy.arange(0, 1, epsilon)
  for (std::int64_t k = 0; k < count; ++k) {
    const double share = epsilon + double(k) * epsilon, sum = interpolate(share, shares, sums);
    result.points.push_back(double(float(interpolate(share, shares, summary.points))));
    result.weights.push_back(double(float(sum - std::exchange(before, sum))));
  }
  return result;
}

Quantiles merged(const Quantiles& a, const Quantiles& b, double epsilon) {
  std::vector<std::pair<double, double>> all;
  for (const Quantiles* each : {&a, &b})
    for (std::size_t i = 0; i < each->points.size(); ++i) all.emplace_back(each->points[i], each->weights[i]);
  std::stable_sort(all.begin(), all.end(), [](const auto& x, const auto& y) { return x.first < y.first; });
  Quantiles result;
  for (const auto& [point, weight] : all) result.points.push_back(point), result.weights.push_back(weight);
  return compress(result, epsilon);
}

}  // namespace

void Discretization::adapt(const Tensor& data, const AdaptOptions& options) {
  require(options_.num_bins.has_value(), "adapt needs num_bins");
  const Quantiles summary = merged(summarize(data, options_.epsilon), {}, options_.epsilon);
  std::vector<double> numbers = summary.points;
  numbers.insert(numbers.end(), summary.weights.begin(), summary.weights.end());
  finish(numbers, options);
}

void Discretization::adapt(BatchSource& source, const AdaptOptions& options) {
  require(options_.num_bins.has_value(), "adapt needs num_bins");
  Quantiles summary;
  detail::for_each_batch(source, options, [&](const Tensor& batch) { summary = merged(summarize(batch, options_.epsilon), summary, options_.epsilon); });
  std::vector<double> numbers = summary.points;
  numbers.insert(numbers.end(), summary.weights.begin(), summary.weights.end());
  finish(numbers, options);
}

void Discretization::finish(const std::vector<double>& numbers, const AdaptOptions& options) {
  Quantiles all;
  for (const std::string& each : detail::summaries_of_ranks(detail::bytes_of_numbers(numbers), options, "quantiles of " + name())) {
    const std::vector<double> theirs = detail::numbers_of_bytes(each);
    const auto half = std::ptrdiff_t(theirs.size() / 2);
    const Quantiles summary{{theirs.begin(), theirs.begin() + half}, {theirs.begin() + half, theirs.end()}};
    all = all.points.empty() ? summary : merged(summary, all, options_.epsilon);
  }
  require(!all.points.empty(), "there are no data");
  std::vector<double> boundaries = compress(all, 1.0 / double(*options_.num_bins)).points;
  boundaries.pop_back();
  options_.bin_boundaries = std::move(boundaries);
}

Tensor Discretization::call(const Tensor& x) {
  require(options_.bin_boundaries.has_value(), "there are no bin boundaries: give them, or call adapt");
  const Tensor boundaries = cast(constant(*options_.bin_boundaries), x.dtype());
  const Tensor bins = cast(reshape(searchsorted(boundaries, reshape(x, {-1}), "right"), dims(x.shape())), int32);
  return encode_categories(bins, options_.output_mode, std::int64_t(options_.bin_boundaries->size()) + 1, options_.output_mode == "int" ? int32 : compute_dtype());
}

}  // namespace lockstep::nn
