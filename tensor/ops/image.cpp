// Images of another size or orientation without other values: crops, pads, flips, turns, patches; and boxes cut out and resized.

#include <lockstep/tensor/ops/image.h>

#include <array>
#include <cmath>

#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/fft.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/window.h>
#include <lockstep/tensor/signal.h>

namespace lockstep {
namespace {

using image::height_of;
using image::rows_axis;
using image::width_of;
using image::with_size;
using Images = std::span<const Tensor>;

Tensor cropped(const Tensor& x, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  Ints begin(std::size_t(x.ndim()), 0);
  begin[std::size_t(rows_axis(x.shape()))] = top;
  begin[std::size_t(rows_axis(x.shape()) + 1)] = left;
  return slice(x, begin, array::list(with_size(x.shape(), height, width)));
}
Tensor padded(const Tensor& x, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
  IntLists paddings(std::size_t(x.ndim()), Ints{0, 0});
  paddings[std::size_t(rows_axis(x.shape()))] = {top, height - top - height_of(x.shape())};
  paddings[std::size_t(rows_axis(x.shape()) + 1)] = {left, width - left - width_of(x.shape())};
  return pad(x, paddings);
}

// ---- crops and pads

void require_target(const InferContext& context) {
  image::require_images(context);
  attrs::require_size(context, "height");
  attrs::require_size(context, "width");
}
void target_output(InferContext& context) { context.output(context.dtype_of(0), with_size(context.shape(0), context.integer("height"), context.integer("width"))); }

template <bool Pads>
void box_infer(InferContext& context) {
  require_target(context);
  attrs::require_size(context, "offset_height", 0);
  attrs::require_size(context, "offset_width", 0);
  const Shape& x = context.shape(0);
  const std::int64_t outer[] = {Pads ? context.integer("height") : height_of(x), Pads ? context.integer("width") : width_of(x)};
  const std::int64_t inner[] = {Pads ? height_of(x) : context.integer("height"), Pads ? width_of(x) : context.integer("width")};
  const std::int64_t offset[] = {context.integer("offset_height"), context.integer("offset_width")};
  for (int i = 0; i < 2; ++i)
    if (offset[i] + inner[i] > outer[i])
      context.refuse(std::string(i ? "width: " : "height: ") + std::to_string(inner[i]) + " pixels at offset " + std::to_string(offset[i]) + " reach beyond " + std::to_string(outer[i]));
  target_output(context);
}
Tensors crop_of(const OpCall& call, Images in) { return {cropped(in[0], call.integer("offset_height"), call.integer("offset_width"), call.integer("height"), call.integer("width"))}; }
Tensors pad_of(const OpCall& call, Images in) { return {padded(in[0], call.integer("offset_height"), call.integer("offset_width"), call.integer("height"), call.integer("width"))}; }

void target_infer(InferContext& context) {
  require_target(context);
  target_output(context);
}
Tensors crop_or_pad_of(const OpCall& call, Images in) {
  const Shape& x = in[0].shape();
  const std::int64_t wanted[] = {call.integer("height"), call.integer("width")}, given[] = {height_of(x), width_of(x)};
  std::int64_t kept[2], skip[2], before[2];
  for (int i = 0; i < 2; ++i) {
    kept[i] = std::min(wanted[i], given[i]);
    skip[i] = (given[i] - kept[i]) / 2;
    before[i] = (wanted[i] - kept[i]) / 2;
  }
  return {padded(cropped(in[0], skip[0], skip[1], kept[0], kept[1]), before[0], before[1], wanted[0], wanted[1])};
}

/// Pixels left out on either side.
std::int64_t border(std::int64_t size, double fraction) { return std::int64_t((double(size) - double(size) * fraction) / 2); }

void central_infer(InferContext& context) {
  image::require_images(context);
  const double fraction = context.number("fraction");
  if (!(fraction > 0 && fraction <= 1)) context.refuse("fraction must be in (0, 1], got " + to_string(context.scalar("fraction")));
  const Shape& x = context.shape(0);
  context.output(context.dtype_of(0), with_size(x, height_of(x) - 2 * border(height_of(x), fraction), width_of(x) - 2 * border(width_of(x), fraction)));
}
Tensors central_of(const OpCall& call, Images in) {
  const Shape& x = in[0].shape();
  const std::int64_t top = border(height_of(x), call.number("fraction")), left = border(width_of(x), call.number("fraction"));
  return {cropped(in[0], top, left, height_of(x) - 2 * top, width_of(x) - 2 * left)};
}

// ---- orientation

void images_infer(InferContext& context) {
  image::require_images(context);
  rules::like_first(context);
}
Tensors left_right_of(const OpCall&, Images in) { return {reverse(in[0], -2)}; }
Tensors up_down_of(const OpCall&, Images in) { return {reverse(in[0], -3)}; }

Tensor swapped(const Tensor& x) { return transpose(x, x.ndim() == 3 ? Axes{1, 0, 2} : Axes{0, 2, 1, 3}); }
void transpose_images_infer(InferContext& context) {
  image::require_images(context);
  context.output(context.dtype_of(0), with_size(context.shape(0), width_of(context.shape(0)), height_of(context.shape(0))));
}
Tensors transpose_of(const OpCall&, Images in) { return {swapped(in[0])}; }

std::int64_t quarter_turns(const OpCall& call) { return (call.integer("k") % 4 + 4) % 4; }
void rot90_infer(InferContext& context) {
  transpose_images_infer(context);
  if (quarter_turns(context) % 2 == 0) context.outputs[0].shape = context.shape(0);
}
Tensors rot90_of(const OpCall& call, Images in) {
  switch (quarter_turns(call)) {
    case 0: return {in[0]};
    case 1: return {swapped(reverse(in[0], -2))};
    case 2: return {reverse(in[0], {-3, -2})};
    default: return {reverse(swapped(in[0]), -2)};
  }
}

// ---- patches: frames along the rows, then along the columns

struct Patches {
  Ints size, stride, rate;
  std::array<std::int64_t, 2> span{}, count{};
  IntLists paddings;
};
/// One number for both axes, or one each.
Ints pair_of(const OpCall& call, std::string_view name) {
  const Ints given = call.ints(name);
  if (given.size() != 1 && given.size() != 2) call.refuse(std::string(name) + " must be one number or two, got " + to_string(AttrValue(given)));
  for (const std::int64_t each : given)
    if (each < 1 || each > (std::int64_t(1) << 20)) call.refuse(std::string(name) + " must be in [1, 2^20], got " + to_string(AttrValue(given)));
  return {given.front(), given.back()};
}
Patches patches_of(const OpCall& call, const Shape& x) {
  Patches p{.size = pair_of(call, "size"), .stride = pair_of(call, "stride"), .rate = pair_of(call, "rate"), .paddings = {}};
  p.paddings = window::paddings(call, x.dims().subspan(1, 2), p.size, p.stride, p.rate, call.text("padding"));
  for (std::size_t i = 0; i < 2; ++i) {
    p.span[i] = (p.size[i] - 1) * p.rate[i] + 1;
    p.count[i] = fft::frame_count(x[int(i) + 1] + p.paddings[i][0] + p.paddings[i][1], p.span[i], p.stride[i], false);
  }
  return p;
}
void patches_infer(InferContext& context) {
  const Shape& x = context.shape(0);
  if (x.ndim() != 4) context.refuse("needs (batch, height, width, channels)");
  const Patches p = patches_of(context, x);
  context.output(context.dtype_of(0), {x[0], p.count[0], p.count[1], p.size[0] * p.size[1] * x[3]});
}
Tensors patches_of_images(const OpCall& call, Images in) {
  const Shape& shape = in[0].shape();
  const Patches p = patches_of(call, shape);
  Tensor x = in[0];
  if (p.paddings != IntLists{{0, 0}, {0, 0}}) x = pad(x, {{0, 0}, p.paddings[0], p.paddings[1], {0, 0}});
  x = signal::frame(signal::frame(x, p.span[0], p.stride[0], false, 0, 1), p.span[1], p.stride[1], false, 0, 3);
  if (p.rate[0] > 1 || p.rate[1] > 1) x = strided_slice(x, {all, all, slice({}, {}, p.rate[0]), all, slice({}, {}, p.rate[1]), all});
  return {reshape(transpose(x, {0, 1, 3, 2, 4, 5}), {shape[0], p.count[0], p.count[1], p.size[0] * p.size[1] * shape[3]})};
}

// ---- crop_and_resize: positions in float arithmetic, neighbours by gather, so that gradients reach images and boxes

void boxes_infer(InferContext& context) {
  const Shape &x = context.shape(0), &boxes = context.shape(1), &indices = context.shape(2);
  if (x.ndim() != 4) context.refuse("images must be (batch, height, width, channels)");
  if (boxes.ndim() != 2 || boxes[1] != 4 || indices != Shape{boxes[0]}) context.refuse("boxes must be (n, 4), box indices (n,)");
  const Ints size = context.ints("crop_size");
  if (size.size() != 2 || size[0] < 1 || size[1] < 1 || size[0] > (std::int64_t(1) << 30) || size[1] > (std::int64_t(1) << 30)) context.refuse("crop_size must be {height, width} in [1, 2^30], got " + to_string(AttrValue(size)));
  if (x[1] < 1 || x[2] < 1) context.refuse("there are no pixels to crop");
  const std::string& method = context.text("method");
  if (method != "bilinear" && method != "nearest") context.refuse("method must be \"bilinear\" or \"nearest\", got \"" + method + "\"");
  context.output(context.dtype_of(1), {boxes[0], size[0], size[1], x[3]});
}

/// (n, count): where the crops' pixels stand along an axis of `size` pixels, for the edges (n, 1).
Tensor positions(const Tensor& low, const Tensor& high, std::int64_t count, std::int64_t size) {
  const double last = double(size - 1);
  if (count == 1) return (low + high) * (0.5 * last);
  const Tensor step = (high - low) * last / double(count - 1);
  return low * last + cast(range(0, count), low.dtype()) * step;
}
Tensor whole(const Tensor& position, std::int64_t size) { return cast(clip_by_value(position, 0.0, double(size - 1)), int64); }

Tensors crop_and_resize_of(const OpCall& call, Images in) {
  const Shape& x = in[0].shape();
  const Ints size = call.ints("crop_size");
  const Tensor& boxes = in[1];
  const DType dtype = boxes.dtype();
  const std::int64_t n = boxes.shape()[0], height = x[1], width = x[2];
  const std::vector<Tensor> edges = split(boxes, 4, 1);
  const Tensor y = reshape(positions(edges[0], edges[2], size[0], height), {n, size[0], 1}), x_at = reshape(positions(edges[1], edges[3], size[1], width), {n, 1, size[1]});
  const Tensor pixels = cast(reshape(in[0], {x[0] * height * width, x[3]}), dtype), first = reshape(cast(in[2], int64) * height, {n, 1, 1});
  const auto at = [&](const Tensor& row, const Tensor& column) { return gather(pixels, (first + whole(row, height)) * width + whole(column, width)); };
  Tensor result;
  if (call.text("method") == "nearest") {
    result = at(floor(y + 0.5), floor(x_at + 0.5));
  } else {
    const Tensor top = floor(y), left = floor(x_at), below = expand_dims(y - top, -1), right = expand_dims(x_at - left, -1);
    const auto mixed = [](const Tensor& a, const Tensor& b, const Tensor& share) { return a + (b - a) * share; };
    const Tensor bottom = ceil(y), rightmost = ceil(x_at);
    result = mixed(mixed(at(top, left), at(top, rightmost), right), mixed(at(bottom, left), at(bottom, rightmost), right), below);
  }
  const Tensor inside = logical_and(logical_and(y >= 0, y <= height - 1), logical_and(x_at >= 0, x_at <= width - 1));
  return {where(expand_dims(inside, -1), result, scalar(call.number("extrapolation_value"), dtype))};
}

}  // namespace

std::vector<OpDef> image_rows() {
  using image::composed;
  const Sample::Operand x{.shape = {2, 4, 5, 2}}, single{.shape = {4, 5, 2}};
  const auto target = [](std::int64_t height, std::int64_t width) { return AttrList{{"height", height}, {"width", width}}; };
  const auto box = [](std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
    return AttrList{{"offset_height", top}, {"offset_width", left}, {"height", height}, {"width", width}};
  };
  const std::vector<AttrDef> box_attrs{attrs::integer("offset_height"), attrs::integer("offset_width"), attrs::integer("height"), attrs::integer("width")};
  const std::vector<Sample> both{{.inputs = {x}}, {.inputs = {single}}};
  std::vector<OpDef> rows;
  rows.push_back(composed("image_crop_to_bounding_box", "the box of that height and width at the offsets", kFixedSize, box_attrs, box_infer<false>, crop_of, {{.inputs = {x}, .attrs = box(1, 2, 2, 3)}, {.inputs = {single}, .attrs = box(0, 1, 4, 1)}}));
  rows.push_back(composed("image_pad_to_bounding_box", "at the offsets within zeros of that height and width", kFixedSize, box_attrs, box_infer<true>, pad_of, {{.inputs = {x}, .attrs = box(1, 2, 6, 8)}, {.inputs = {single}, .attrs = box(0, 1, 4, 7)}}));
  rows.push_back(composed("image_resize_with_crop_or_pad", "cropped or padded with zeros, evenly on both sides", kFixedSize, {attrs::integer("height"), attrs::integer("width")}, target_infer, crop_or_pad_of, {{.inputs = {x}, .attrs = target(3, 8)}, {.inputs = {single}, .attrs = target(7, 2)}}));
  rows.push_back(composed("image_central_crop", "the middle of that fraction of height and width", kFixedSize, {attrs::number("fraction")}, central_infer, central_of, {{.inputs = {x}, .attrs = {{"fraction", 0.5}}}, {.inputs = {single}, .attrs = {{"fraction", 1.0}}}}));
  rows.push_back(composed("image_flip_left_right", "columns back to front", kFixedSize, {}, images_infer, left_right_of, both));
  rows.push_back(composed("image_flip_up_down", "rows back to front", kFixedSize, {}, images_infer, up_down_of, both));
  rows.push_back(composed("image_transpose", "height and width exchanged", kFixedSize, {}, transpose_images_infer, transpose_of, both));
  rows.push_back(composed("image_rot90", "k quarter turns counter-clockwise", kFixedSize, {attrs::integer("k", 1)}, rot90_infer, rot90_of, {{.inputs = {x}}, {.inputs = {single}, .attrs = {{"k", std::int64_t(2)}}}, {.inputs = {x}, .attrs = {{"k", std::int64_t(-1)}}}, {.inputs = {x}, .attrs = {{"k", std::int64_t(4)}}}}));
  const auto pair = [](std::string_view name, std::optional<Ints> fallback) { return AttrDef{.name = name, .type = AttrType::axes, .fallback = fallback ? AttrValue(*fallback) : AttrValue(None{}), .required = !fallback, .doc = "one number for both axes, or one each"}; };
  rows.push_back(composed("image_extract_patches", "windows that slide over the images, their elements as channels", kNumeric, {pair("size", {}), pair("stride", Ints{1}), pair("rate", Ints{1}), attrs::text("padding", "valid")}, patches_infer, patches_of_images,
                          {{.inputs = {x}, .attrs = {{"size", std::int64_t(2)}, {"stride", Ints{2, 1}}}}, {.inputs = {x}, .attrs = {{"size", Ints{3, 2}}, {"rate", Ints{1, 2}}, {"padding", std::string("same")}}}}));
  OpDef crops = composed("image_crop_and_resize", "boxes (y1, x1, y2, x2 of 1) of images, each resized to crop_size", kReal, {{.name = "crop_size", .type = AttrType::ints, .required = true}, attrs::text("method", "bilinear"), attrs::number("extrapolation_value", 0)}, boxes_infer, crop_and_resize_of, {});
  crops.min_inputs = crops.max_inputs = 3;
  crops.dtypes = each(kReal, dtypes(float32, float64), kIndexInts);
  const Sample::Operand boxes{.shape = {2, 4}, .low = 0.1, .high = 0.9}, indices{.dtype = int32, .shape = {2}, .low = 0, .high = 2};
  crops.samples = {{.inputs = {x, boxes, indices}, .attrs = {{"crop_size", Ints{3, 2}}}}, {.inputs = {x, boxes, indices}, .attrs = {{"crop_size", Ints{1, 3}}}}, {.inputs = {{.dtype = int32, .shape = {2, 4, 5, 2}}, {.dtype = float32, .shape = {2, 4}, .low = -0.1, .high = 1.1}, indices}, .attrs = {{"crop_size", Ints{3, 3}}, {"method", std::string("nearest")}, {"extrapolation_value", 0.5}}}};
  rows.push_back(std::move(crops));
  return rows;
}

}  // namespace lockstep
