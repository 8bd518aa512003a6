// Colours: dtypes, spaces, and adjustments, all defined by pointwise ops, which a traced function fuses.

#include <array>
#include <cmath>
#include <limits>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/image.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using image::largest_value;
using image::saturated;
using image::value_bits;
using Images = std::span<const Tensor>;

// ---- dtypes

Tensor converted(const Tensor& x, DType dtype, bool saturate) {
  const DType from = x.dtype();
  const auto fit = [&](const Tensor& each) { return saturate && is_integer(dtype) ? saturated(each, dtype) : cast(each, dtype); };
  if (from == dtype) return x;
  if (is_float(from) && is_float(dtype)) return cast(x, dtype);
  if (is_integer(from) && is_float(dtype)) return cast(x, dtype) * (1 / largest_value(from));
  if (is_float(from)) return fit(x * (largest_value(dtype) + 0.5));
  const int more = value_bits(from) - value_bits(dtype);
  if (more > 0) return fit(floordiv(x, scalar(std::int64_t(1) << more, from)));
  return fit(x) * scalar(std::int64_t(1) << -more, dtype);
}

void convert_infer(InferContext& context) {
  const DType dtype = context.dtype("dtype");
  if (!kReal.contains(dtype)) context.refuse_type("an image is of integers or floats, not " + std::string(name(dtype)));
  context.output(dtype, context.shape(0));
}
Tensors convert_of(const OpCall& call, Images in) { return {converted(in[0], call.dtype("dtype"), call.boolean("saturate"))}; }

/// Integers as float32 in [0, 1]; floats as they are.
Tensor as_float(const Tensor& x) { return is_float(x.dtype()) ? x : converted(x, float32, false); }
Tensor back_to(const Tensor& x, DType dtype, bool saturate) { return is_float(dtype) ? cast(x, dtype) : converted(x, dtype, saturate); }

// ---- adjustments

void like_images(InferContext& context) {
  image::require_images(context);
  rules::like_first(context);
}
void rgb_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() < 1 || x.dim(-1) != 3) context.refuse("needs 3 channels in the last axis");
  rules::like_first(context);
}

Tensors brightness_of(const OpCall& call, Images in) { return {back_to(as_float(in[0]) + call.number("delta"), in[0].dtype(), true)}; }
Tensors contrast_of(const OpCall& call, Images in) {
  const Tensor x = as_float(in[0]);
  return {back_to(image::with_contrast(x, scalar(call.number("factor"), x.dtype())), in[0].dtype(), true)};
}
void gamma_infer(InferContext& context) {
  if (!(context.number("gamma") >= 0)) context.refuse("gamma must not be negative, got " + to_string(context.scalar("gamma")));
  rules::like_first(context);
}
Tensors gamma_of(const OpCall& call, Images in) {
  const Tensor x = as_float(in[0]);
  return {back_to(pow(x, scalar(call.number("gamma"), x.dtype())) * call.number("gain"), in[0].dtype(), true)};
}

// ---- hue, saturation, value

struct Channels {
  Tensor a, b, c;
};
Channels channels(const Tensor& x) {
  const std::vector<Tensor> parts = split(x, 3, -1);
  return {parts[0], parts[1], parts[2]};
}
Tensor joined_channels(const Channels& parts) { return concat(std::array{parts.a, parts.b, parts.c}, -1); }

Channels to_hsv(const Channels& rgb) {
  const auto& [r, g, b] = rgb;
  const Tensor value = maximum(maximum(r, g), b), range = value - minimum(minimum(r, g), b), zero = scalar(0, value.dtype());
  const Tensor sixth = divide_no_nan(scalar(1.0 / 6, value.dtype()), range);
  const Tensor turned = where(equal(r, value), sixth * (g - b), where(equal(g, value), sixth * (b - r) + 2.0 / 6, sixth * (r - g) + 4.0 / 6));
  const Tensor hue = where(range > 0, turned, zero);
  return {where(hue < 0, hue + 1, hue), where(value > 0, divide_no_nan(range, value), zero), value};
}
Channels to_rgb(const Channels& hsv) {
  const Tensor sixths = hsv.a * 6, rest = 1 - hsv.b;
  const auto channel = [&](const Tensor& share) { return (rest + hsv.b * clip_by_value(share, 0.0, 1.0)) * hsv.c; };
  return {channel(abs(sixths - 3) - 1), channel(2 - abs(sixths - 2)), channel(2 - abs(sixths - 4))};
}
Tensors rgb_to_hsv_of(const OpCall&, Images in) { return {joined_channels(to_hsv(channels(in[0])))}; }
Tensors hsv_to_rgb_of(const OpCall&, Images in) { return {joined_channels(to_rgb(channels(in[0])))}; }

void hue_infer(InferContext& context) {
  rgb_infer(context);
  if (!(std::fabs(context.number("delta")) <= 1)) context.refuse("delta must be in [-1, 1], got " + to_string(context.scalar("delta")));
}
Tensors hue_of(const OpCall& call, Images in) {
  const Tensor x = as_float(in[0]);
  return {back_to(image::with_hue(x, scalar(call.number("delta"), x.dtype())), in[0].dtype(), false)};
}
Tensors saturation_of(const OpCall& call, Images in) {
  const Tensor x = as_float(in[0]);
  return {back_to(image::with_saturation(x, scalar(call.number("factor"), x.dtype())), in[0].dtype(), false)};
}

// ---- linear spaces

using Mixing = std::array<std::array<double, 3>, 3>;
constexpr Mixing kRgbToYiq{{{0.299, 0.59590059, 0.2115}, {0.587, -0.27455667, -0.52273617}, {0.114, -0.32134392, 0.31119955}}};
constexpr Mixing kYiqToRgb{{{1, 1, 1}, {0.95598634, -0.27201283, -1.10674021}, {0.6208248, -0.64720424, 1.70423049}}};
constexpr Mixing kRgbToYuv{{{0.299, -0.14714119, 0.61497538}, {0.587, -0.28886916, -0.51496512}, {0.114, 0.43601035, -0.10001026}}};
constexpr Mixing kYuvToRgb{{{1, 1, 1}, {0, -0.394642334, 2.03206185}, {1.13988303, -0.58062185, 0}}};

template <const Mixing& Matrix>
Tensors mixed_of(const OpCall&, Images in) {
  const Channels x = channels(in[0]);
  const auto channel = [&](std::size_t i) { return x.a * Matrix[0][i] + x.b * Matrix[1][i] + x.c * Matrix[2][i]; };
  return {joined_channels({channel(0), channel(1), channel(2)})};
}

void gray_infer(InferContext& context) {
  rgb_infer(context);
  context.outputs[0].shape[context.shape(0).ndim() - 1] = 1;
}
Tensors gray_of(const OpCall&, Images in) {
  const auto [r, g, b] = channels(as_float(in[0]));
  return {back_to(r * 0.2989 + g * 0.5870 + b * 0.1140, in[0].dtype(), false)};
}
void gray_to_rgb_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() < 1 || x.dim(-1) != 1) context.refuse("needs 1 channel in the last axis");
  rules::like_first(context);
  context.outputs[0].shape[x.ndim() - 1] = 3;
}
Tensors gray_to_rgb_of(const OpCall&, Images in) {
  Ints multiples(std::size_t(in[0].ndim()), 1);
  multiples.back() = 3;
  return {tile(in[0], multiples)};
}

// ---- standardization

void standardized_infer(InferContext& context) {
  image::require_images(context);
  context.output(context.dtype_of(0) == float64 ? float64 : float32, context.shape(0));
}
Tensors standardized_of(const OpCall&, Images in) {
  const Tensor x = in[0].dtype() == float64 || in[0].dtype() == float32 ? in[0] : cast(in[0], float32);
  const Shape& s = x.shape();
  const std::int64_t pixels = std::max<std::int64_t>(1, image::height_of(s) * image::width_of(s) * image::channels_of(s));
  const auto [mean, variance] = moments(x, {-3, -2, -1}, true);
  return {(x - mean) / maximum(sqrt(variance), scalar(1 / std::sqrt(double(pixels)), x.dtype()))};
}

}  // namespace

Tensor image::saturated(const Tensor& x, DType dtype) {
  const double high = std::ldexp(1.0, value_bits(dtype)), low = kSigned.contains(dtype) ? -high : 0;
  double top = high - 1;
  // The largest number below 2^bits that the float has.
  if (is_float(x.dtype()) && x.dtype() != float64 && value_bits(dtype) > 24) top = double(std::nextafter(float(high), 0.0f));
  else if (value_bits(dtype) > 53) top = std::nextafter(high, 0.0);
  if (is_integer(x.dtype())) {
    const bool fits_high = value_bits(x.dtype()) <= value_bits(dtype), fits_low = !kSigned.contains(x.dtype()) || (kSigned.contains(dtype) && fits_high);
    if (fits_high && fits_low) return cast(x, dtype);
    const double most = fits_high ? std::nextafter(std::ldexp(1.0, value_bits(x.dtype())), 0.0) : top;
    return cast(clip_by_value(x, fits_low ? (kSigned.contains(x.dtype()) ? -std::ldexp(1.0, value_bits(x.dtype())) : 0.0) : low, most), dtype);
  }
  if (x.dtype() == float16 && top > 65504) return cast(clip_by_value(cast(x, float32), low, top), dtype);
  return cast(clip_by_value(x, low, top), dtype);
}

Tensor image::with_contrast(const Tensor& x, const Tensor& factor) {
  const Tensor mean = reduce_mean(x, {-3, -2}, true);
  return (x - mean) * factor + mean;
}
Tensor image::with_hue(const Tensor& x, const Tensor& delta) {
  Channels hsv = to_hsv(channels(x));
  const Tensor turned = hsv.a + delta;
  hsv.a = turned - floor(turned);
  return joined_channels(to_rgb(hsv));
}
Tensor image::with_saturation(const Tensor& x, const Tensor& factor) {
  Channels hsv = to_hsv(channels(x));
  hsv.b = clip_by_value(hsv.b * factor, 0.0, 1.0);
  return joined_channels(to_rgb(hsv));
}

std::vector<OpDef> color_rows() {
  using image::composed;
  const DTypeSet real = kReal;
  // Away from the edges between colours, where hues have kinks.
  const auto distinct = [](std::span<const Tensor> drawn) -> Tensors {
    const Tensor& x = drawn[0];
    return {is_float(x.dtype()) ? x * 0.2 + cast(constant(std::vector<double>{0.7, 0.4, 0.1}), x.dtype()) : x};
  };
  const Sample::Operand x{.shape = {2, 3, 2, 3}, .low = 0.1, .high = 0.9};
  const std::vector<Sample> plain{{.inputs = {x}}, {.inputs = {{.shape = {3, 2, 3}, .low = 0.1, .high = 0.9}}}};
  const auto with = [&](AttrList attrs) { return std::vector<Sample>{{.inputs = {x}, .attrs = std::move(attrs)}}; };
  const auto by_colour = [&](AttrList attrs) { return std::vector<Sample>{{.inputs = {x}, .attrs = std::move(attrs), .prepare = distinct}}; };
  const std::vector<AttrDef> delta{attrs::number("delta")}, factor{attrs::number("factor")};
  std::vector<OpDef> rows;
  rows.push_back(composed("image_convert_image_dtype", "integers in their whole range, floats in [0, 1]; saturate clips where a cast would wrap", real, {{.name = "dtype", .type = AttrType::dtype, .required = true}, attrs::boolean("saturate", false)}, convert_infer, convert_of,
                          {{.inputs = {x}, .attrs = {{"dtype", float64}}}, {.inputs = {{.shape = {2, 3}, .low = 0}}, .attrs = {{"dtype", uint8}, {"saturate", true}}}, {.inputs = {{.dtype = uint8, .shape = {2, 3}, .low = 0, .high = 255}}, .attrs = {{"dtype", float64}}},
                           {.inputs = {{.dtype = uint16, .shape = {2, 3}, .low = 0, .high = 65535}}, .attrs = {{"dtype", int8}}}}));
  rows.push_back(composed("image_adjust_brightness", "x + delta", real, delta, rules::like_first, brightness_of, with({{"delta", 0.1}})));
  rows.push_back(composed("image_adjust_contrast", "(x - mean) factor + mean, the mean of each channel", real, factor, like_images, contrast_of, with({{"factor", 1.5}})));
  rows.push_back(composed("image_adjust_gamma", "gain x^gamma", real, {attrs::number("gamma", 1), attrs::number("gain", 1)}, gamma_infer, gamma_of, with({{"gamma", 2.2}, {"gain", 0.9}})));
  rows.push_back(composed("image_adjust_hue", "hues turned by delta of a whole turn", real, delta, hue_infer, hue_of, by_colour({{"delta", 0.15}})));
  rows.push_back(composed("image_adjust_saturation", "saturations times factor, at most 1", real, factor, rgb_infer, saturation_of, by_colour({{"factor", 0.5}})));
  rows.push_back(composed("image_per_image_standardization", "(x - mean) / max(stddev, 1 / sqrt(pixels)) of each image", real, {}, standardized_infer, standardized_of, plain));
  rows.push_back(composed("image_rgb_to_grayscale", "0.2989 r + 0.587 g + 0.114 b", real, {}, gray_infer, gray_of, plain));
  rows.push_back(composed("image_grayscale_to_rgb", "the channel three times", real, {}, gray_to_rgb_infer, gray_to_rgb_of, {{.inputs = {{.shape = {2, 3, 1}}}}}));
  rows.push_back(composed("image_rgb_to_hsv", "hue, saturation and value, all in [0, 1]", kFloats, {}, rgb_infer, rgb_to_hsv_of, by_colour({})));
  rows.push_back(composed("image_hsv_to_rgb", "the way back from rgb_to_hsv", kFloats, {}, rgb_infer, hsv_to_rgb_of, by_colour({})));
  rows.push_back(composed("image_rgb_to_yuv", "luma and two differences of colour", kFloats, {}, rgb_infer, mixed_of<kRgbToYuv>, plain));
  rows.push_back(composed("image_yuv_to_rgb", "the way back from rgb_to_yuv", kFloats, {}, rgb_infer, mixed_of<kYuvToRgb>, plain));
  rows.push_back(composed("image_rgb_to_yiq", "luma, in phase and quadrature", kFloats, {}, rgb_infer, mixed_of<kRgbToYiq>, plain));
  rows.push_back(composed("image_yiq_to_rgb", "the way back from rgb_to_yiq", kFloats, {}, rgb_infer, mixed_of<kYiqToRgb>, plain));
  return rows;
}

}  // namespace lockstep
