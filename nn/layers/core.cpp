#include <lockstep/nn/layers/core.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

/// A key that Keras writes, of something that is not there: only null is read.
void absent(Fields& f, const char* key) {
  Json value = nullptr;
  f.field(key, value);
  if (!value.is_null()) throw UnimplementedError("'" + std::string(key) + "' must be null, got " + value.dump());
}

/// Whole numbers (rows of categories) as what they are multiplied with.
Tensor as_numbers(const Tensor& x, DType dtype) { return is_integer(x.dtype()) || x.dtype() == boolean ? cast(x, dtype) : x; }

}  // namespace

// ---- Dense

Dense::Dense(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { Dense::configured(); }

void Dense::fields(Fields& f) {
  Layer::fields(f);
  f.required({"units"});
  f.field("units", options_.units);
  f.field("activation", options_.activation);
  f.field("use_bias", options_.use_bias);
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("bias_constraint", options_.bias_constraint);
  absent(f, "quantization_config");
}

void Dense::configured() {
  require(options_.units > 0, "units must be positive, got " + std::to_string(options_.units));
  if (!options_.activation) options_.activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

void Dense::build(const Shape& input) {
  require(input.ndim() >= 2, "the input needs at least two axes, got " + to_string(input));
  kernel_ = add_weight("kernel", {input.dim(-1), options_.units}, {.initializer = options_.kernel_initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
  if (options_.use_bias) bias_ = add_weight("bias", {options_.units}, {.initializer = options_.bias_initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
}

Tensor Dense::call(const Tensor& x) {
  require(x.ndim() >= 2 && x.shape().dim(-1) == kernel_.shape()[0],
          "the last axis of the input must have size " + std::to_string(kernel_.shape()[0]) + ", got " + to_string(x.shape()));
  const Tensor product = matmul(as_numbers(x, compute_dtype()), kernel_);
  return (*options_.activation)(options_.use_bias ? product + bias_ : product);
}

// ---- EinsumDense

EinsumDense::EinsumDense(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { EinsumDense::configured(); }

void EinsumDense::fields(Fields& f) {
  Layer::fields(f);
  f.required({"equation", "output_shape"});
  Json shape = Json::array();
  for (const std::int64_t size : options_.output_shape) shape.push_back(size < 0 ? Json(nullptr) : Json(size));
  const Json written = shape;
  f.field("output_shape", shape);
  if (shape != written) {
    options_.output_shape.clear();
    for (const Json& size : shape.is_array() ? shape : Json::array({shape})) {
      require(size.is_null() || size.is_number_integer(), "'output_shape' must be a list of sizes or null, got " + shape.dump());
      options_.output_shape.push_back(size.is_null() ? -1 : size.get<std::int64_t>());
    }
  }
  f.field("equation", options_.equation);
  f.field("activation", options_.activation);
  std::optional<std::string> axes = options_.bias_axes.empty() ? std::nullopt : std::optional(options_.bias_axes);
  f.field("bias_axes", axes);
  if (axes.value_or("") != options_.bias_axes) options_.bias_axes = axes.value_or("");
  f.field("kernel_initializer", options_.kernel_initializer);
  f.field("bias_initializer", options_.bias_initializer);
  f.field("kernel_regularizer", options_.kernel_regularizer);
  f.field("bias_regularizer", options_.bias_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("kernel_constraint", options_.kernel_constraint);
  f.field("bias_constraint", options_.bias_constraint);
  absent(f, "quantization_config");
}

void EinsumDense::configured() {
  const std::string& e = options_.equation;
  const std::size_t comma = e.find(','), arrow = e.find("->");
  require(comma != std::string::npos && arrow != std::string::npos && comma < arrow, "the equation must read \"input,kernel->output\", got \"" + e + "\"");
  if (!options_.activation) options_.activation = "linear";
  set_activity_regularizer(options_.activity_regularizer);
}

void EinsumDense::build(const Shape& input) {
  std::string equation = options_.equation;
  // "..." stands for the input's axes that have no letter.
  if (const std::size_t dots = equation.find("..."); dots != std::string::npos) {
    const std::size_t letters = equation.find(',') - 3;
    std::string free;
    for (char c = 'A'; free.size() + letters < std::size_t(input.ndim()); ++c) free += c;
    for (std::size_t at = dots; at != std::string::npos; at = equation.find("...")) equation.replace(at, 3, free);
  }
  const std::size_t comma = equation.find(','), arrow = equation.find("->");
  const std::string in = equation.substr(0, comma), kernel = equation.substr(comma + 1, arrow - comma - 1), out = equation.substr(arrow + 2);
  require(int(in.size()) == input.ndim(), "the equation \"" + options_.equation + "\" does not fit an input of shape " + to_string(input));
  // The sizes of the letters: of the input's from its shape, of the others from output_shape, which leaves out the first axis.
  const auto size_of = [&](char letter) -> std::int64_t {
    if (const std::size_t at = in.find(letter); at != std::string::npos) return input[int(at)];
    const std::size_t at = out.find(letter);
    require(at != std::string::npos, std::string("the letter '") + letter + "' of the kernel is in neither the input nor the output");
    const std::size_t skipped = out.size() - options_.output_shape.size();
    require(at >= skipped && options_.output_shape[at - skipped] > 0, std::string("output_shape does not give the size of '") + letter + "'");
    return options_.output_shape[at - skipped];
  };
  for (std::size_t i = 0, skipped = out.size() - std::min(out.size(), options_.output_shape.size()); i + skipped < out.size(); ++i) {
    const std::int64_t given = options_.output_shape[i], found = in.find(out[i + skipped]) == std::string::npos ? given : size_of(out[i + skipped]);
    require(given <= 0 || given == found, std::string("output_shape says ") + std::to_string(given) + " for '" + out[i + skipped] + "', the input " + to_string(input) + " has " + std::to_string(found));
  }
  Shape kernel_shape;
  Ints input_axes, output_axes;
  for (std::size_t i = 0; i < kernel.size(); ++i) {
    kernel_shape.push_back(size_of(kernel[i]));
    (in.find(kernel[i]) != std::string::npos ? input_axes : output_axes).push_back(std::int64_t(i));
  }
  Ref<Initializer> initializer = options_.kernel_initializer;
  // The fans follow from the equation, which the initializer does not know.
  if (dynamic_cast<const VarianceScaling*>(initializer.ptr().get())) {
    Json described = serialize(*initializer);
    if (described["config"]["input_axes"].is_null() || described["config"]["output_axes"].is_null()) {
      described["config"]["input_axes"] = std::vector<std::int64_t>(input_axes.begin(), input_axes.end());
      described["config"]["output_axes"] = std::vector<std::int64_t>(output_axes.begin(), output_axes.end());
      initializer = deserialize<Initializer>(described);
    }
  }
  kernel_ = add_weight("kernel", kernel_shape, {.initializer = initializer, .regularizer = options_.kernel_regularizer, .constraint = options_.kernel_constraint});
  full_ = equation;
  if (options_.bias_axes.empty()) return;
  for (const char letter : options_.bias_axes) require(out.find(letter) != std::string::npos, std::string("the letter '") + letter + "' of bias_axes is not in the output of \"" + options_.equation + "\"");
  Shape bias_shape;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const bool in_bias = options_.bias_axes.find(out[i]) != std::string::npos;
    if (in_bias) bias_shape.push_back(size_of(out[i]));
    else if (bias_shape.ndim() > 0) bias_shape.push_back(1);
  }
  bias_ = add_weight("bias", bias_shape, {.initializer = options_.bias_initializer, .regularizer = options_.bias_regularizer, .constraint = options_.bias_constraint});
}

Tensor EinsumDense::call(const Tensor& x) {
  const Tensor operands[] = {as_numbers(x, compute_dtype()), kernel_};
  const Tensor product = einsum(operands, full_);
  return (*options_.activation)(bias_.defined() ? product + bias_ : product);
}

// ---- Embedding

Embedding::Embedding(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { Embedding::configured(); }

void Embedding::fields(Fields& f) {
  Layer::fields(f);
  f.required({"input_dim", "output_dim"});
  f.field("input_dim", options_.input_dim);
  f.field("output_dim", options_.output_dim);
  f.field("embeddings_initializer", options_.embeddings_initializer);
  f.field("embeddings_regularizer", options_.embeddings_regularizer);
  f.field("activity_regularizer", options_.activity_regularizer);
  f.field("embeddings_constraint", options_.embeddings_constraint);
  f.field("mask_zero", options_.mask_zero);
  absent(f, "quantization_config");
}

void Embedding::configured() {
  require(options_.input_dim > 0 && options_.output_dim > 0, "input_dim and output_dim must be positive, got " + std::to_string(options_.input_dim) + " and " + std::to_string(options_.output_dim));
  set_activity_regularizer(options_.activity_regularizer);
  autocast_ = false;
}

void Embedding::build(const Shape& input) {
  static_cast<void>(input);
  embeddings_ = add_weight("embeddings", {options_.input_dim, options_.output_dim},
                           {.initializer = options_.embeddings_initializer, .regularizer = options_.embeddings_regularizer, .constraint = options_.embeddings_constraint});
}

Tensor Embedding::call(const Tensor& x) {
  // Looked up before it is cast, so that the gradient is by rows under mixed precision too.
  const Tensor rows = embedding_lookup(embeddings_.variable(), x.dtype() == int32 || x.dtype() == int64 ? x : cast(x, int32));
  return rows.dtype() == compute_dtype() ? rows : cast(rows, compute_dtype());
}

Tensor Embedding::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  return options_.mask_zero ? not_equal(inputs[0], scalar(0, inputs[0].dtype())) : Tensor();
}

// ---- functions as layers

void Lambda::fields(Fields& f) {
  Layer::fields(f);
  f.required({"function"});
  f.field("function", function_);
}

void ActivationLayer::fields(Fields& f) {
  Layer::fields(f);
  f.required({"activation"});
  f.field("activation", activation_);
}

void Masking::fields(Fields& f) {
  Layer::fields(f);
  f.field("mask_value", mask_value_);
}
Tensor Masking::compute_mask(std::span<const Tensor> inputs, const CallOptions& options) {
  static_cast<void>(options);
  return reduce_any(not_equal(inputs[0], scalar(mask_value_, inputs[0].dtype())), -1);
}
Tensor Masking::call(const Tensor& x) { return where(reduce_any(not_equal(x, scalar(mask_value_, x.dtype())), -1, true), x, zeros_like(x)); }

ReLU::ReLU(Options options) : Layer(options.name), options_(std::move(options)) { ReLU::configured(); }
void ReLU::fields(Fields& f) {
  Layer::fields(f);
  f.field("max_value", options_.max_value);
  f.field("negative_slope", options_.negative_slope);
  f.field("threshold", options_.threshold);
}
void ReLU::configured() { require(options_.max_value.value_or(0) >= 0 && options_.negative_slope >= 0 && options_.threshold >= 0, "max_value, negative_slope and threshold must not be negative"); }

void LeakyReLU::fields(Fields& f) {
  Layer::fields(f);
  f.field("negative_slope", negative_slope_);
}
void LeakyReLU::configured() { require(negative_slope_ >= 0, "negative_slope must not be negative, got " + std::to_string(negative_slope_)); }

void ELU::fields(Fields& f) {
  Layer::fields(f);
  f.field("alpha", alpha_);
}

void PReLU::fields(Fields& f) {
  Layer::fields(f);
  f.field("alpha_initializer", options_.alpha_initializer);
  f.field("alpha_regularizer", options_.alpha_regularizer);
  f.field("alpha_constraint", options_.alpha_constraint);
  f.field("shared_axes", options_.shared_axes);
}
void PReLU::build(const Shape& input) {
  Shape shape(input.dims().subspan(1));
  for (const std::int64_t axis : options_.shared_axes.value_or(Ints{})) {
    if (axis < 1 || axis > shape.ndim()) throw IndexError("shared axis " + std::to_string(axis) + " is outside of the input's shape " + to_string(input) + " (layer '" + path() + "')", class_name());
    shape[int(axis) - 1] = 1;
  }
  alpha_ = add_weight("alpha", shape, {.initializer = options_.alpha_initializer, .regularizer = options_.alpha_regularizer, .constraint = options_.alpha_constraint});
}

void Softmax::fields(Fields& f) {
  Layer::fields(f);
  f.field("axis", axis_.value);
}
Tensor Softmax::call(const Tensor& x, const CallOptions& options) {
  Tensor scores = x, mask = options.mask_of(0);
  if (mask.defined()) {
    if (mask.dtype() != boolean) mask = mask > 0.5;
    // Finite, so that a row without any valid element becomes 0 instead of NaN.
    scores = where(mask, x, scalar(x.dtype() == float16 ? -3e4 : -1e9, x.dtype()));
  }
  const auto* one = std::get_if<std::int64_t>(&axis_.value);
  const Tensor result = one ? softmax(scores, *one) : exp(scores - reduce_logsumexp(scores, axis_, true));
  return mask.defined() ? where(mask, result, zeros_like(result)) : result;
}

}  // namespace lockstep::nn
