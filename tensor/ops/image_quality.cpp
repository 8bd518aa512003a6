// How images differ, from each other and from pixel to pixel.

#include <array>
#include <cmath>
#include <numeric>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/image.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using Images = std::span<const Tensor>;

/// Both as floats in the range that convert_image_dtype gives them, and what max_val becomes by it.
struct Pair {
  Tensor a, b;
  double max_val;
};
Pair pair_of(const OpCall& call, Images in) {
  const DType dtype = in[0].dtype(), wanted = dtype == float64 ? float64 : float32;
  const auto as_float = [&](const Tensor& x) { return image::convert_image_dtype(x, wanted); };
  const double max_val = call.number("max_val"), scale = is_float(dtype) ? 1 : image::largest_value(dtype);
  return {as_float(in[0]), as_float(in[1]), max_val / scale};
}

/// The axes before those of an image, broadcast.
Shape batch_shape(const InferContext& context) {
  const Shape &a = context.shape(0), &b = context.shape(1);
  if (a.ndim() < 3 || b.ndim() < 3) context.refuse("images have height, width and channels");
  for (int axis = -3; axis < 0; ++axis)
    if (a.dim(axis) != b.dim(axis)) context.refuse("the images differ in size");
  const auto leading = [](const Shape& shape) { return Shape(shape.dims().first(std::size_t(shape.ndim() - 3))); };
  return rules::broadcast(context, leading(a), leading(b));
}
DType measure_dtype(const InferContext& context) { return context.dtype_of(0) == float64 ? float64 : float32; }

void psnr_infer(InferContext& context) {
  if (!(context.number("max_val") > 0)) context.refuse("max_val must be positive, got " + to_string(context.scalar("max_val")));
  context.output(measure_dtype(context), batch_shape(context));
}
Tensors psnr_of(const OpCall& call, Images in) {
  const auto [a, b, max_val] = pair_of(call, in);
  const Tensor mse = reduce_mean(squared_difference(a, b), {-3, -2, -1});
  return {20 * std::log10(max_val) - log(mse) * (10 / std::log(10.0))};
}

// ---- structural similarity

void ssim_infer(InferContext& context) {
  psnr_infer(context);
  attrs::require_size(context, "filter_size");
  if (!(context.number("filter_sigma") > 0)) context.refuse("filter_sigma must be positive, got " + to_string(context.scalar("filter_sigma")));
  const Shape& x = context.shape(0);
  if (image::height_of(x) < context.integer("filter_size") || image::width_of(x) < context.integer("filter_size"))
    context.refuse("the images must be at least as large as the filter, " + std::to_string(context.integer("filter_size")) + " pixels");
}

/// (size, size, channels, 1), of sum 1 for each channel.
Tensor gauss_kernel(std::int64_t size, double sigma, std::int64_t channels, DType dtype) {
  std::vector<double> weights(std::size_t(size * size));
  for (std::int64_t i = 0; i < size; ++i)
    for (std::int64_t j = 0; j < size; ++j) {
      const double y = double(i) - double(size - 1) / 2, x = double(j) - double(size - 1) / 2;
      weights[std::size_t(i * size + j)] = std::exp(-(y * y + x * x) / (2 * sigma * sigma));
    }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& each : weights) each /= sum;
  return tile(cast(constant(weights, {size, size, 1, 1}), dtype), {1, 1, channels, 1});
}

/// `f` of (n, height, width, channels), all axes before those of an image as one; what it makes of height and width stands in their place.
template <class F>
Tensor of_flat(const Tensor& x, F&& f) {
  const Shape& shape = x.shape();
  std::int64_t n = 1;
  for (int i = 0; i < image::rows_axis(shape); ++i) n *= shape[i];
  const Tensor y = f(reshape(x, {n, image::height_of(shape), image::width_of(shape), image::channels_of(shape)}));
  return reshape(y, array::list(image::with_size(shape, y.shape()[1], y.shape()[2])));
}

struct Similarity {
  Tensor luminance_contrast, contrast;  // means over the pixels: (..., channels)
};
Similarity similarity(const OpCall& call, const Tensor& a, const Tensor& b, double max_val) {
  const Tensor kernel = gauss_kernel(call.integer("filter_size"), call.number("filter_sigma"), image::channels_of(a.shape()), a.dtype());
  const auto local_mean = [&](const Tensor& x) { return of_flat(x, [&](const Tensor& flat) { return depthwise_conv2d(flat, kernel); }); };
  const double c1 = std::pow(call.number("k1") * max_val, 2), c2 = std::pow(call.number("k2") * max_val, 2);
  const Tensor mean_a = local_mean(a), mean_b = local_mean(b);
  const Tensor products = mean_a * mean_b * 2, squares = square(mean_a) + square(mean_b);
  const Tensor luminance = (products + c1) / (squares + c1);
  const Tensor contrast = (local_mean(a * b) * 2 - products + c2) / (local_mean(square(a) + square(b)) - squares + c2);
  return {reduce_mean(luminance * contrast, {-3, -2}), reduce_mean(contrast, {-3, -2})};
}
Tensors ssim_of(const OpCall& call, Images in) {
  const auto [a, b, max_val] = pair_of(call, in);
  return {reduce_mean(similarity(call, a, b, max_val).luminance_contrast, -1)};
}

constexpr std::array<double, 5> kScaleWeights{0.0448, 0.2856, 0.3001, 0.2363, 0.1333};

void multiscale_infer(InferContext& context) {
  ssim_infer(context);
  std::int64_t least = std::min(image::height_of(context.shape(0)), image::width_of(context.shape(0)));
  for (std::size_t i = 1; i < kScaleWeights.size(); ++i) least = (least + 1) / 2;
  if (least < context.integer("filter_size")) context.refuse("at the fifth scale the images are smaller than the filter, " + std::to_string(context.integer("filter_size")) + " pixels");
}
/// Half as high and wide; an odd last row or column is mirrored first.
Tensor halved(const Tensor& x) {
  return of_flat(x, [](const Tensor& flat) {
    const std::int64_t height = flat.shape()[1], width = flat.shape()[2];
    const Tensor even = height % 2 || width % 2 ? pad(flat, {{0, 0}, {0, height % 2}, {0, width % 2}, {0, 0}}, "symmetric") : flat;
    return avg_pool2d(even, {2, 2}, {2, 2});
  });
}
Tensors multiscale_of(const OpCall& call, Images in) {
  auto [a, b, max_val] = pair_of(call, in);
  Tensor product;
  for (std::size_t i = 0; i < kScaleWeights.size(); ++i) {
    if (i > 0) a = halved(a), b = halved(b);
    const Similarity s = similarity(call, a, b, max_val);
    const Tensor part = pow(relu(i + 1 < kScaleWeights.size() ? s.contrast : s.luminance_contrast), scalar(kScaleWeights[i], a.dtype()));
    product = product.defined() ? product * part : part;
  }
  return {reduce_mean(product, -1)};
}

// ---- neighbours

void require_batch(const InferContext& context) {
  if (context.shape(0).ndim() != 4) context.refuse("needs (batch, height, width, channels)");
}
void sobel_infer(InferContext& context) {
  require_batch(context);
  if (context.shape(0)[1] < 2 || context.shape(0)[2] < 2) context.refuse("needs images of at least 2 by 2 pixels, whose borders are mirrored");
  Shape shape = context.shape(0);
  shape.push_back(2);
  context.output(context.dtype_of(0), shape);
}
Tensors sobel_of(const OpCall&, Images in) {
  const Tensor x = pad(in[0], {{0, 0}, {1, 1}, {1, 1}, {0, 0}}, "reflect");
  const Shape& shape = in[0].shape();
  // By rows: the difference of the rows above and below, each weighed 1, 2, 1; by columns likewise.
  const auto at = [&](std::int64_t row, std::int64_t column) { return slice(x, {0, row, column, 0}, Ints(shape.begin(), shape.end())); };
  const Tensor corner[] = {at(0, 0), at(0, 2), at(2, 0), at(2, 2)};
  const Tensor rows = corner[2] + at(2, 1) * 2 + corner[3] - corner[0] - at(0, 1) * 2 - corner[1];
  const Tensor columns = corner[1] + at(1, 2) * 2 + corner[3] - corner[0] - at(1, 0) * 2 - corner[2];
  return {stack(std::array{rows, columns}, -1)};
}

/// To the next pixel along an axis; one less of them.
Tensor steps(const Tensor& x, int axis) {
  const int at = axis + x.ndim();
  Ints begin(std::size_t(x.ndim()), 0), size(x.shape().begin(), x.shape().end());
  size[std::size_t(at)] -= 1;
  const Tensor here = slice(x, begin, size);
  begin[std::size_t(at)] = 1;
  return slice(x, begin, size) - here;
}

void gradients_infer(InferContext& context) {
  require_batch(context);
  if (context.shape(0)[1] < 1 || context.shape(0)[2] < 1) context.refuse("needs images of at least one pixel");
  rules::like_first(context);
  rules::like_first(context);
}
Tensors gradients_of(const OpCall&, Images in) { return {pad(steps(in[0], -3), {{0, 0}, {0, 1}, {0, 0}, {0, 0}}), pad(steps(in[0], -2), {{0, 0}, {0, 0}, {0, 1}, {0, 0}})}; }

void variation_infer(InferContext& context) {
  image::require_images(context);
  const Shape& x = context.shape(0);
  if (image::height_of(x) < 1 || image::width_of(x) < 1) context.refuse("needs images of at least one pixel");
  context.output(context.dtype_of(0), x.ndim() == 3 ? Shape() : Shape{x[0]});
}
Tensors variation_of(const OpCall&, Images in) { return {reduce_sum(abs(steps(in[0], -3)), {-3, -2, -1}) + reduce_sum(abs(steps(in[0], -2)), {-3, -2, -1})}; }

}  // namespace

std::vector<OpDef> image_quality_rows() {
  using image::composed;
  const AttrDef max_val = attrs::number("max_val");
  const std::vector<AttrDef> ssim_attrs{max_val, attrs::integer("filter_size", 11), attrs::number("filter_sigma", 1.5), attrs::number("k1", 0.01), attrs::number("k2", 0.03)};
  const auto two = [](OpDef row) {
    row.min_inputs = row.max_inputs = 2;
    return row;
  };
  const auto image_of = [](const Shape& shape) { return Sample::Operand{.shape = shape, .low = 0, .high = 1}; };
  const Sample::Operand a = image_of({2, 3, 4, 2}), small = image_of({5, 4, 2});
  std::vector<OpDef> rows;
  rows.push_back(two(composed("image_psnr", "10 log10(max_val^2 / mean squared difference)", kReal, {max_val}, psnr_infer, psnr_of, {{.inputs = {a, a}, .attrs = {{"max_val", 1.0}}}, {.inputs = {small, small}, .attrs = {{"max_val", 2.0}}}})));
  rows.push_back(two(composed("image_ssim", "the structural similarity of two images", kReal, ssim_attrs, ssim_infer, ssim_of, {{.inputs = {small, small}, .attrs = {{"max_val", 1.0}, {"filter_size", std::int64_t(3)}}}})));
  rows.push_back(two(composed("image_ssim_multiscale", "the structural similarity over five scales", kReal, ssim_attrs, multiscale_infer, multiscale_of,
                              {{.inputs = {image_of({6, 5, 1}), image_of({6, 5, 1})}, .attrs = {{"max_val", 1.0}, {"filter_size", std::int64_t(1)}, {"k1", 0.5}, {"k2", 0.5}}}})));
  rows.push_back(composed("image_sobel_edges", "differences by rows and by columns, smoothed across, of mirrored borders", kFloats, {}, sobel_infer, sobel_of, {{.inputs = {a}}}));
  rows.push_back(composed("image_image_gradients", "differences to the next row and to the next column, 0 in the last", kReal, {}, gradients_infer, gradients_of, {{.inputs = {a}}}));
  rows.push_back(composed("image_total_variation", "the sum of absolute differences between neighbouring pixels", kSigned | kFloats, {}, variation_infer, variation_of, {{.inputs = {a}}, {.inputs = {small}}}));
  return rows;
}

}  // namespace lockstep
