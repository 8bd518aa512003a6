// Resizing. Every method but "nearest" is a weighted mean of neighbours along each axis, so one row (image_resample) serves them all, and, with its matrices
// transposed, is its own gradient. Where the weights come from: taps.h.

#include <algorithm>
#include <atomic>
#include <cmath>

#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/image.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/taps.h>

namespace lockstep {
namespace {

using G = const GradContext&;

using resizing::Taps;

constexpr const char* kMethods[] = {"bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"};

// ---- image_resample

/// {height, width}, of [1, 2^24]: the weights of longer axes alone would fill memory.
std::pair<std::int64_t, std::int64_t> size_of(const InferContext& context) {
  const Ints size = context.ints("size");
  if (size.size() != 2) context.refuse("size must be {height, width}, got " + to_string(AttrValue(size)));
  for (const std::int64_t each : size)
    if (each < 1 || each > (std::int64_t(1) << 24)) context.refuse("size must be in [1, 2^24], got " + to_string(AttrValue(size)));
  return {size[0], size[1]};
}
void require_method(const InferContext& context, bool nearest) {
  const std::string& method = context.text("method");
  for (const char* known : kMethods)
    if (method == known && (nearest || method != "nearest")) return;
  context.refuse("method must be bilinear, nearest, bicubic, area, lanczos3, lanczos5, gaussian or mitchellcubic, got \"" + method + "\"");
}

void resample_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() != 4) context.refuse("needs (batch, height, width, channels)");
  require_method(context, false);
  const auto [height, width] = size_of(context);
  if (x[1] < 1 || x[2] < 1) context.refuse("an image without pixels cannot be resized");
  context.output(context.dtype_of(0), {x[0], height, width, x[3]});
}

/// One line: each pixel the weighted sum of others. C: the number of channels, 0 for any.
template <int C, class T>
void mix_line(const Taps& columns, const T* line, T* out, std::int64_t any) {
  const std::int64_t channels = C ? C : any;
  for (std::int64_t j = 0, count = columns.count(); j < count; ++j, out += channels) {
    T sums[C ? C : 1] = {};
    T* to = C ? sums : out;
    if (!C) std::fill_n(out, channels, T(0));
    for (std::int64_t k = columns.first[std::size_t(j)]; k < columns.first[std::size_t(j) + 1]; ++k) {
      const T* source = line + columns.sources[std::size_t(k)] * channels;
      const T weight = T(columns.weights[std::size_t(k)]);
      for (std::int64_t c = 0; c < channels; ++c) to[c] += weight * source[c];
    }
    if (C) std::copy_n(sums, C, out);
  }
}
template <class T>
void mix_columns(const Taps& columns, const T* line, T* out, std::int64_t channels) {
  switch (channels) {
    case 1: return mix_line<1>(columns, line, out, channels);
    case 3: return mix_line<3>(columns, line, out, channels);
    case 4: return mix_line<4>(columns, line, out, channels);
    default: return mix_line<0>(columns, line, out, channels);
  }
}
/// The weighted sum of lines.
template <class T>
void mix_rows(const Taps& rows, std::size_t row, const T* image, T* out, std::int64_t line) {
  const std::int64_t first = rows.first[row], last = rows.first[row + 1];
  const auto source = [&](std::int64_t k) { return image + rows.sources[std::size_t(k)] * line; };
  const auto weight = [&](std::int64_t k) { return T(rows.weights[std::size_t(k)]); };
  if (last - first == 2) {
    const T *a = source(first), *b = source(first + 1), u = weight(first), v = weight(first + 1);
    for (std::int64_t i = 0; i < line; ++i) out[i] = u * a[i] + v * b[i];
    return;
  }
  std::fill_n(out, line, T(0));
  for (std::int64_t k = first; k < last; ++k) {
    const T *from = source(k), w = weight(k);
    for (std::int64_t i = 0; i < line; ++i) out[i] += w * from[i];
  }
}

template <class T>
BoundKernel bind_resample(const Shape& x, const Shape& z, Taps rows, Taps columns) {
  return [width = x[2], height = x[1], channels = x[3], batch = x[0], rows = std::move(rows), columns = std::move(columns), out_height = z[1], out_width = z[2]](Inputs in, Outputs out) {
    const std::int64_t line = width * channels;
    const auto* from = static_cast<const T*>(in[0]);
    auto* to = static_cast<T*>(out[0]);
    std::vector<T> lines(std::size_t(intra_op_threads()) * std::size_t(line));  // one for each part that runs
    std::atomic<std::size_t> next = 0;
    parallel_for(batch * out_height, std::max<std::int64_t>(1, 16384 / std::max<std::int64_t>(1, line)), [&](std::int64_t begin, std::int64_t end) {
      T* mixed = lines.data() + next++ * std::size_t(line);
      for (std::int64_t row = begin; row < end; ++row) {
        mix_rows(rows, std::size_t(row % out_height), from + row / out_height * height * line, mixed, line);
        mix_columns(columns, mixed, to + row * out_width * channels, channels);
      }
    });
  };
}
BoundKernel resample_cpu(const BindContext& context) {
  const Shape &x = context.shape(0), &z = context.output(0).shape;
  if (z.numel() == 0) return [](Inputs, Outputs) {};
  Taps rows = resizing::taps_of(context, x[1], z[1]), columns = resizing::taps_of(context, x[2], z[2]);
  return context.dtype_of(0) == float32 ? bind_resample<float>(x, z, std::move(rows), std::move(columns)) : bind_resample<double>(x, z, std::move(rows), std::move(columns));
}

Tensor resample(const Tensor& x, const Ints& size, const std::string& method, bool antialias, bool transposed) {
  static const OpDef& op = find_op("image_resample");
  return apply(op, {x}, {{"size", size}, {"method", method}, {"antialias", antialias}, {"transposed", transposed}});
}
Gradients resample_gradient(G context) {
  const Tensor& x = context.input(0);
  grads::require_known(x, "image_resample");
  return {resample(context.upstream(), {x.shape()[1], x.shape()[2]}, context.text("method"), context.boolean("antialias"), !context.boolean("transposed"))};
}

// ---- image_resize

/// As `_resize_images_common` computes it, in float32.
std::pair<std::int64_t, std::int64_t> target_size(const OpCall& call, const Shape& x) {
  const Ints size = call.ints("size");
  if (!call.boolean("preserve_aspect_ratio")) return {size[0], size[1]};
  const auto height = float(image::height_of(x)), width = float(image::width_of(x)), scale = std::min(float(size[0]) / height, float(size[1]) / width);
  return {std::int64_t(std::nearbyint(scale * height)), std::int64_t(std::nearbyint(scale * width))};
}
DType resized_dtype(DType dtype, const std::string& method) { return method == "nearest" || dtype == float64 ? dtype : float32; }

void resize_infer(InferContext& context) {
  image::require_images(context);
  require_method(context, true);
  size_of(context);
  const Shape& x = context.shape(0);
  if (image::height_of(x) < 1 || image::width_of(x) < 1) context.refuse("an image without pixels cannot be resized");
  const auto [height, width] = target_size(context, x);
  if (height < 1 || width < 1) context.refuse("with its aspect ratio preserved nothing is left of the image: " + std::to_string(height) + " x " + std::to_string(width));
  context.output(resized_dtype(context.dtype_of(0), context.text("method")), image::with_size(x, height, width));
}

/// (out,): the operand's index nearest to each center.
Tensor nearest_indices(std::int64_t in, std::int64_t out) {
  Tensor indices = Tensor::empty({out}, int64);
  const float scale = float(in) / float(out);
  for (std::int64_t i = 0; i < out; ++i) indices.mutable_data<std::int64_t>()[i] = std::clamp<std::int64_t>(std::int64_t(std::floor((float(i) + 0.5f) * scale)), 0, in - 1);
  return placed(indices);
}

Tensors resize_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Tensor& x = inputs[0];
  const std::string& method = call.text("method");
  const auto [height, width] = target_size(call, x.shape());
  if (method == "nearest") {
    const int axis = image::rows_axis(x.shape());
    return {gather(gather(x, nearest_indices(x.shape()[axis], height), axis), nearest_indices(x.shape()[axis + 1], width), axis + 1)};
  }
  const DType dtype = resized_dtype(x.dtype(), method);
  const Tensor pixels = x.dtype() == dtype ? x : cast(x, dtype);
  const bool single = x.ndim() == 3;
  const Tensor resized = resample(single ? expand_dims(pixels, 0) : pixels, {height, width}, method, call.boolean("antialias"), false);
  return {single ? squeeze(resized, 0) : resized};
}

// ---- resize_with_pad

void with_pad_infer(InferContext& context) {
  image::require_images(context);
  require_method(context, true);
  attrs::require_size(context, "height");
  attrs::require_size(context, "width");
  const Shape& x = context.shape(0);
  if (image::height_of(x) < 1 || image::width_of(x) < 1) context.refuse("an image without pixels cannot be resized");
  context.output(resized_dtype(context.dtype_of(0), context.text("method")), image::with_size(x, context.integer("height"), context.integer("width")));
}
Tensors with_pad_of(const OpCall& call, std::span<const Tensor> inputs) {
  const Shape& x = inputs[0].shape();
  const std::int64_t height = call.integer("height"), width = call.integer("width");
  const auto h = float(image::height_of(x)), w = float(image::width_of(x)), ratio = std::max(w / float(width), h / float(height));
  const float fitted_height = h / ratio, fitted_width = w / ratio;
  const auto at_least_one = [](float size) { return std::max<std::int64_t>(1, std::int64_t(std::floor(size))); };
  const auto before = [](std::int64_t wanted, float size) { return std::max<std::int64_t>(0, std::int64_t(std::floor((float(wanted) - size) / 2))); };
  const Tensor resized = image::resize(inputs[0], {at_least_one(fitted_height), at_least_one(fitted_width)}, {.method = call.text("method"), .antialias = call.boolean("antialias")});
  return {image::pad_to_bounding_box(resized, before(height, fitted_height), before(width, fitted_width), height, width)};
}

}  // namespace

std::vector<OpDef> resize_rows() {
  const AttrDef size{.name = "size", .type = AttrType::ints, .required = true, .doc = "height and width"}, method = attrs::text("method", "bilinear"), antialias = attrs::boolean("antialias", false);
  const Sample::Operand x{.shape = {2, 4, 5, 2}};
  std::vector<OpDef> rows;
  OpDef row{.name = "image_resample", .doc = "(batch, height, width, channels) to another size by weighted means of neighbours, or, transposed, its gradient", .family = "image",
            .attrs = {size, method, antialias, attrs::boolean("transposed", false)}, .dtypes = same(dtypes(float32, float64)), .infer = resample_infer, .gradient = resample_gradient, .onnx = no_onnx("exported as Resize"), .cpu = resample_cpu};
  for (const char* each : {"bilinear", "bicubic", "area", "lanczos3"}) row.samples.push_back({.inputs = {x}, .attrs = {{"size", Ints{3, 7}}, {"method", std::string(each)}}});
  row.samples.push_back({.inputs = {x}, .attrs = {{"size", Ints{6, 3}}, {"transposed", true}}});
  rows.push_back(std::move(row));
  rows.push_back(image::composed("image_resize", "images of another size; float32 (float64 where they are) unless the method is nearest", kReal, {size, method, attrs::boolean("preserve_aspect_ratio", false), antialias}, resize_infer, resize_of,
                                 {{.inputs = {x}, .attrs = {{"size", Ints{3, 7}}}}, {.inputs = {{.shape = {4, 5, 2}}}, .attrs = {{"size", Ints{6, 6}}, {"method", std::string("nearest")}}},
                                  {.inputs = {x}, .attrs = {{"size", Ints{2, 9}}, {"method", std::string("mitchellcubic")}, {"antialias", true}}}, {.inputs = {x}, .attrs = {{"size", Ints{9, 9}}, {"preserve_aspect_ratio", true}, {"method", std::string("gaussian")}}}}));
  rows.push_back(image::composed("image_resize_with_pad", "images of that height and width, resized with their aspect ratio and padded with zeros", kReal, {attrs::integer("height"), attrs::integer("width"), method, antialias}, with_pad_infer, with_pad_of,
                                 {{.inputs = {x}, .attrs = {{"height", std::int64_t(7)}, {"width", std::int64_t(6)}}}, {.inputs = {{.shape = {4, 5, 2}}}, .attrs = {{"height", std::int64_t(3)}, {"width", std::int64_t(6)}}}}));
  return rows;
}

}  // namespace lockstep
