#include <lockstep/nn/initializers.h>

#include <algorithm>
#include <cmath>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/random.h>

namespace lockstep::nn {
namespace {

class FunctionInitializer : public Initializer {
 public:
  explicit FunctionInitializer(Named<Function> function) : function_(std::move(function)) {}
  Tensor operator()(const Shape& shape, DType dtype) const override { return function_.function(shape, dtype); }
  std::string function_name() const override { return function_.name; }

 private:
  Named<Function> function_;
};

/// Standard deviation of a normal distribution cut off at two of its own.
constexpr double kTruncatedStddev = 0.87962566103423978;

Ints dims(const Shape& shape) { return {shape.begin(), shape.end()}; }

}  // namespace

std::shared_ptr<Initializer> Initializer::wrap(Named<Function> function) { return std::make_shared<FunctionInitializer>(std::move(function)); }

void Initializer::register_builtins() {
  static const bool once = [] {
    register_class(component_class<Zeros>("Zeros", kModule, {}, {"zeros", "zero"}));
    register_class(component_class<Ones>("Ones", kModule, {}, {"ones", "one"}));
    register_class(component_class<Constant>("Constant", kModule));
    register_class(component_class<Identity>("Identity", kModule, {}, {"identity", "IdentityInitializer"}));
    register_class(component_class<RandomNormal>("RandomNormal", kModule, {}, {"random_normal", "normal"}));
    register_class(component_class<TruncatedNormal>("TruncatedNormal", kModule, {}, {"truncated_normal"}));
    register_class(component_class<RandomUniform>("RandomUniform", kModule, {}, {"random_uniform", "uniform"}));
    register_class(component_class<VarianceScaling>("VarianceScaling", kModule, {}, {"variance_scaling"}));
    register_class(component_class<GlorotUniform>("GlorotUniform", kModule, {}, {"glorot_uniform"}));
    register_class(component_class<GlorotNormal>("GlorotNormal", kModule, {}, {"glorot_normal"}));
    register_class(component_class<LecunUniform>("LecunUniform", kModule, {}, {"lecun_uniform"}));
    register_class(component_class<LecunNormal>("LecunNormal", kModule, {}, {"lecun_normal"}));
    register_class(component_class<HeUniform>("HeUniform", kModule, {}, {"he_uniform"}));
    register_class(component_class<HeNormal>("HeNormal", kModule, {}, {"he_normal"}));
    register_class(component_class<Orthogonal>("Orthogonal", kModule, {}, {"orthogonal", "OrthogonalInitializer"}));
    return true;
  }();
  static_cast<void>(once);
}

Tensor Zeros::operator()(const Shape& shape, DType dtype) const { return zeros(shape, dtype); }
Tensor Ones::operator()(const Shape& shape, DType dtype) const { return ones(shape, dtype); }
Tensor Constant::operator()(const Shape& shape, DType dtype) const { return full(shape, value_, dtype); }

Tensor Identity::operator()(const Shape& shape, DType dtype) const {
  if (shape.ndim() != 2) throw InvalidArgumentError("an identity matrix has two axes, not the shape " + to_string(shape), "Identity");
  return gain_ * eye(shape[0], shape[1], {}, dtype);
}

Tensor RandomInitializer::key() const { return seed_ ? constant(std::vector<std::int64_t>{*seed_, 0}) : random::global_generator().next_key(); }

void RandomNormal::fields(Fields& f) {
  RandomInitializer::fields(f);
  f.field("mean", mean_);
  f.field("stddev", stddev_);
}
Tensor RandomNormal::operator()(const Shape& shape, DType dtype) const { return random::normal_from(key(), shape, mean_, stddev_, dtype); }
Tensor TruncatedNormal::operator()(const Shape& shape, DType dtype) const { return random::truncated_normal_from(key(), shape, mean_, stddev_, dtype); }

void RandomUniform::fields(Fields& f) {
  RandomInitializer::fields(f);
  f.field("minval", minval_);
  f.field("maxval", maxval_);
}
Tensor RandomUniform::operator()(const Shape& shape, DType dtype) const { return random::uniform_from(key(), shape, minval_, maxval_, dtype); }

Fans compute_fans(const Shape& shape) {
  if (shape.ndim() == 0) return {};
  if (shape.ndim() == 1) return {double(shape[0]), double(shape[0])};
  double field = 1;
  for (int i = 0; i < shape.ndim() - 2; ++i) field *= double(shape[i]);
  return {double(shape.dim(-2)) * field, double(shape.dim(-1)) * field};
}

VarianceScaling::VarianceScaling(Options options) : RandomInitializer(options.seed), options_(std::move(options)) { VarianceScaling::configured(); }

void VarianceScaling::fields(Fields& f) {
  RandomInitializer::fields(f);
  f.field("scale", options_.scale);
  f.field("mode", options_.mode);
  f.field("distribution", options_.distribution);
  f.field("input_axes", options_.input_axes);
  f.field("output_axes", options_.output_axes);
}
void VarianceScaling::seed_and_axes(Fields& f) {
  RandomInitializer::fields(f);
  f.field("input_axes", options_.input_axes);
  f.field("output_axes", options_.output_axes);
}
void VarianceScaling::configured() {
  const auto& [scale, mode, distribution, seed, input_axes, output_axes] = options_;
  if (!(scale > 0)) throw InvalidArgumentError("scale must be positive, got " + std::to_string(scale), "VarianceScaling");
  if (mode != "fan_in" && mode != "fan_out" && mode != "fan_avg") throw InvalidArgumentError("mode must be \"fan_in\", \"fan_out\" or \"fan_avg\", got \"" + mode + "\"", "VarianceScaling");
  if (distribution == "normal") options_.distribution = "truncated_normal";
  if (distribution != "truncated_normal" && distribution != "untruncated_normal" && distribution != "uniform")
    throw InvalidArgumentError("distribution must be \"truncated_normal\", \"untruncated_normal\" or \"uniform\", got \"" + distribution + "\"", "VarianceScaling");
}

Tensor VarianceScaling::operator()(const Shape& shape, DType dtype) const {
  Fans fans = compute_fans(shape);
  if (options_.input_axes && options_.output_axes) {
    fans = {};
    for (const std::int64_t axis : *options_.input_axes) fans.in *= double(shape.dim(int(axis)));
    for (const std::int64_t axis : *options_.output_axes) fans.out *= double(shape.dim(int(axis)));
  }
  const double fan = options_.mode == "fan_in" ? fans.in : options_.mode == "fan_out" ? fans.out : (fans.in + fans.out) / 2;
  const double variance = options_.scale / std::max(1.0, fan);
  if (options_.distribution == "uniform") {
    const double limit = std::sqrt(3 * variance);
    return random::uniform_from(key(), shape, -limit, limit, dtype);
  }
  const double stddev = std::sqrt(variance);
  if (options_.distribution == "untruncated_normal") return random::normal_from(key(), shape, 0, stddev, dtype);
  return random::truncated_normal_from(key(), shape, 0, stddev / kTruncatedStddev, dtype);
}

void Orthogonal::fields(Fields& f) {
  RandomInitializer::fields(f);
  f.field("gain", gain_);
}
Tensor Orthogonal::operator()(const Shape& shape, DType dtype) const {
  if (shape.ndim() < 2) throw InvalidArgumentError("an orthogonal matrix has at least two axes, not the shape " + to_string(shape), "Orthogonal");
  const std::int64_t columns = shape.dim(-1), rows = columns == 0 ? 0 : shape.numel() / columns;
  const Device device = default_device();
  const DeviceScope host{Device()};  // made once; a GPU has no faster way
  const auto [q, r] = qr(random::normal_from(to(key(), Device()), Shape{std::max(rows, columns), std::min(rows, columns)}, 0, 1, dtype));
  // The signs make the distribution uniform over the orthogonal matrices.
  const Tensor uniform = q * sign(diag_part(r));
  return to(gain_ * reshape(rows < columns ? transpose(uniform) : uniform, dims(shape)), device);
}

}  // namespace lockstep::nn
