// Image files as strings: rows in front of the codecs. What a file holds decides the shape, so a traced function knows it at run time only.

#include <algorithm>

#include <lockstep/tensor/codecs/codec.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/image.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

using Files = std::span<const Tensor>;

void require_file(const InferContext& context) {
  if (context.shape(0).ndim() != 0) context.refuse("takes one file, a string of shape ()", "map it over several");
}
const std::string& bytes_of(Files in) { return in[0].data<std::string>()[0]; }

/// The codecs know no row; their errors get its name.
template <class F>
Tensor in_the_name_of(std::string_view op, F&& f) {
  try {
    return f();
  } catch (const DataLossError& error) {
    throw DataLossError(error.what(), op);
  } catch (const ResourceExhaustedError& error) {
    throw ResourceExhaustedError(error.what(), op);
  } catch (const InvalidArgumentError& error) {
    throw InvalidArgumentError(error.what(), op);
  }
}

void require_channels(const InferContext& context, std::initializer_list<std::int64_t> allowed) {
  std::string list;
  for (const std::int64_t each : allowed) {
    if (context.integer("channels") == each) return;
    list += (list.empty() ? "" : ", ") + std::to_string(each);
  }
  context.refuse("channels must be one of " + list + ", got " + std::to_string(context.integer("channels")));
}

// ---- decoding

void decode_png_infer(InferContext& context) {
  require_file(context);
  require_channels(context, {0, 1, 2, 3, 4});
  const DType dtype = context.dtype("dtype");
  if (dtype != uint8 && dtype != uint16) context.refuse_type("a PNG is decoded to uint8 or uint16, not " + std::string(name(dtype)));
  context.output(dtype, Shape::unknown());
}
Tensors decode_png_cpu(const OpCall& call, Files in) {
  return {in_the_name_of(call.op().name, [&] { return codecs::decode_png(bytes_of(in), call.integer("channels"), call.dtype("dtype")); })};
}

void decode_jpeg_infer(InferContext& context) {
  require_file(context);
  require_channels(context, {0, 1, 3});
  const std::int64_t ratio = context.integer("ratio");
  if (ratio != 1 && ratio != 2 && ratio != 4 && ratio != 8) context.refuse("ratio must be 1, 2, 4 or 8, got " + std::to_string(ratio));
  const std::string& method = context.text("dct_method");
  if (!method.empty() && method != "INTEGER_FAST" && method != "INTEGER_ACCURATE") context.refuse("dct_method must be \"\", \"INTEGER_FAST\" or \"INTEGER_ACCURATE\", got \"" + method + "\"");
  context.output(uint8, Shape::unknown());
}
Tensors decode_jpeg_cpu(const OpCall& call, Files in) {
  const codecs::JpegDecoding options{.channels = call.integer("channels"), .ratio = int(call.integer("ratio")), .fancy_upscaling = call.boolean("fancy_upscaling"), .try_recover_truncated = call.boolean("try_recover_truncated"),
                                     .acceptable_fraction = call.number("acceptable_fraction"), .accurate = call.text("dct_method") == "INTEGER_ACCURATE"};
  return {in_the_name_of(call.op().name, [&] { return codecs::decode_jpeg(bytes_of(in), options); })};
}

void decode_image_infer(InferContext& context) {
  require_file(context);
  require_channels(context, {0, 1, 3, 4});
  const DType dtype = context.dtype("dtype");
  if (dtype != uint8 && dtype != uint16 && dtype != float32) context.refuse_type("an image is decoded to uint8, uint16 or float32, not " + std::string(name(dtype)));
  context.output(dtype, Shape::unknown());
}
Tensors decode_image_cpu(const OpCall& call, Files in) {
  const std::string& bytes = bytes_of(in);
  const DType dtype = call.dtype("dtype");
  const std::int64_t channels = call.integer("channels");
  const Unheard unheard;  // the conversion is part of this op
  const Tensor image = in_the_name_of(call.op().name, [&] {
    // (Of a PNG all 16 bits count, unless 8 are asked for.)
    if (codecs::is_png(bytes)) return codecs::decode_png(bytes, channels, dtype == uint8 ? uint8 : uint16);
    if (!codecs::is_jpeg(bytes)) throw DataLossError("the file begins neither as a PNG nor as a JPEG");
    if (channels == 4) throw InvalidArgumentError("a JPEG has no channels = 4");
    return codecs::decode_jpeg(bytes, {.channels = channels});
  });
  return {image::convert_image_dtype(image, dtype)};
}

void is_jpeg_infer(InferContext& context) { context.output(boolean, context.shape(0)); }
BoundKernel is_jpeg_cpu(const BindContext& context) {
  return [count = context.shape(0).numel()](Inputs in, Outputs out) {
    for (std::int64_t i = 0; i < count; ++i) static_cast<bool*>(out[0])[i] = codecs::is_jpeg(static_cast<const std::string*>(in[0])[i]);
  };
}
void jpeg_shape_infer(InferContext& context) {
  require_file(context);
  context.output(int32, {3});
}
Tensors jpeg_shape_cpu(const OpCall& call, Files in) {
  return {in_the_name_of(call.op().name, [&] {
    const codecs::Size size = codecs::jpeg_size(bytes_of(in));
    return constant(std::vector<std::int32_t>{std::int32_t(size.height), std::int32_t(size.width), std::int32_t(size.channels)});
  })};
}

// ---- encoding

void require_picture(const InferContext& context, std::initializer_list<std::int64_t> channels, std::int64_t longest) {
  const Shape& x = context.shape(0);
  if (x.ndim() != 3) context.refuse("an image is (height, width, channels)");
  for (const int axis : {0, 1})
    if (x[axis] < 1 || x[axis] > longest) context.refuse("height and width must be in [1, " + std::to_string(longest) + "]");
  if (std::find(channels.begin(), channels.end(), x[2]) == channels.end()) context.refuse("there are files of " + to_string(AttrValue(Ints(channels))) + " channels");
}
void encode_png_infer(InferContext& context) {
  require_picture(context, {1, 2, 3, 4}, 1'000'000);
  const std::int64_t compression = context.integer("compression");
  if (compression < -1 || compression > 9) context.refuse("compression must be in [-1, 9], got " + std::to_string(compression));
  context.output(string, {});
}
Tensor as_string(std::string bytes) {
  Tensor result = Tensor::empty({}, string);
  *result.mutable_data<std::string>() = std::move(bytes);
  return result;
}
Tensors encode_png_cpu(const OpCall& call, Files in) {
  return {in_the_name_of(call.op().name, [&] { return as_string(codecs::encode_png(in[0], int(call.integer("compression")))); })};
}
void encode_jpeg_infer(InferContext& context) {
  require_picture(context, {1, 3}, 65500);
  const std::int64_t quality = context.integer("quality");
  if (quality < 0 || quality > 100) context.refuse("quality must be in [0, 100], got " + std::to_string(quality));
  context.output(string, {});
}
Tensors encode_jpeg_cpu(const OpCall& call, Files in) {
  const codecs::JpegEncoding options{.quality = int(call.integer("quality")), .progressive = call.boolean("progressive"), .optimize_size = call.boolean("optimize_size"), .chroma_downsampling = call.boolean("chroma_downsampling")};
  return {in_the_name_of(call.op().name, [&] { return as_string(codecs::encode_jpeg(in[0], options)); })};
}

// ---- adjust_jpeg_quality

void jpeg_quality_infer(InferContext& context) {
  require_picture(context, {1, 3}, 65500);
  const std::int64_t quality = context.integer("quality");
  if (quality < 0 || quality > 100) context.refuse("quality must be in [0, 100], got " + std::to_string(quality));
  rules::like_first(context);
}
/// Of bytes: a kernel of its own, whose shape is known where that of a file is not.
BoundKernel recompressed_cpu(const BindContext& context) {
  return [shape = context.shape(0), quality = int(context.integer("quality")), op = context.op().name](Inputs in, Outputs out) {
    const Tensor picture = Tensor::borrow(const_cast<void*>(in[0]), shape, uint8, {});
    const Tensor seen = in_the_name_of(op, [&] { return codecs::decode_jpeg(codecs::encode_jpeg(picture, {.quality = quality}), {.channels = image::channels_of(shape)}); });
    std::copy_n(static_cast<const std::uint8_t*>(seen.raw()), shape.numel(), static_cast<std::uint8_t*>(out[0]));
  };
}
Tensors jpeg_quality_of(const OpCall& call, Files in) {
  static const OpDef& op = find_op("image_recompressed_jpeg");
  const Tensor seen = apply(op, {image::convert_image_dtype(in[0], uint8, true)}, {{"quality", call.integer("quality")}});
  return {image::convert_image_dtype(seen, in[0].dtype(), true)};
}

/// A small picture in a file, whatever was drawn.
Tensors some_png(Files) {
  const Unheard unheard;
  return {image::encode_png(reshape(cast(range(0, 36), uint8), {3, 4, 3}))};
}
Tensors some_jpeg(Files) {
  const Unheard unheard;
  return {image::encode_jpeg(reshape(cast(range(0, 36), uint8), {3, 4, 3}))};
}

OpDef file_row(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), Tensors (*cpu)(const OpCall&, Files), Tensors (*prepare)(Files), AttrList sample = {}) {
  return {.name = name, .doc = doc, .family = "image", .attrs = std::move(attrs), .dtypes = same(dtypes(string)), .infer = infer, .gradient = not_differentiable("files are not numbers"), .onnx = no_onnx("ONNX's ImageDecoder has other settings"),
          .samples = {{.inputs = {{.dtype = string, .shape = {}}}, .attrs = std::move(sample), .prepare = prepare}}, .cpu_dynamic = cpu, .no_cuda = "files are read by the CPU"};
}
OpDef picture_row(std::string_view name, std::string_view doc, DTypeSet dtypes, std::vector<AttrDef> attrs, void (*infer)(InferContext&)) {
  return {.name = name, .doc = doc, .family = "image", .attrs = std::move(attrs), .dtypes = same(dtypes), .infer = infer, .gradient = not_differentiable("files are not numbers"), .onnx = no_onnx("ONNX writes no images"),
          .samples = {{.inputs = {{.dtype = uint8, .shape = {3, 4, 3}, .low = 0, .high = 255}}}}, .no_cuda = "files are written by the CPU"};
}

}  // namespace

std::vector<OpDef> codec_rows() {
  const AttrDef channels = attrs::integer("channels", 0), dtype{.name = "dtype", .type = AttrType::dtype, .fallback = uint8}, quality = attrs::integer("quality", 95);
  std::vector<OpDef> rows;
  rows.push_back(file_row("image_decode_image", "the (height, width, channels) of a PNG or JPEG file", {channels, dtype}, decode_image_infer, decode_image_cpu, some_jpeg, {{"dtype", float32}}));
  rows.push_back(file_row("image_decode_png", "the (height, width, channels) of a PNG file; uint16 keeps 16 bits", {channels, dtype}, decode_png_infer, decode_png_cpu, some_png));
  rows.push_back(file_row("image_decode_jpeg", "the uint8 (height, width, channels) of a JPEG file, one ratio-th as high and wide", {channels, attrs::integer("ratio", 1), attrs::boolean("fancy_upscaling", true), attrs::boolean("try_recover_truncated", false),
                          attrs::number("acceptable_fraction", 1), attrs::text("dct_method", "")}, decode_jpeg_infer, decode_jpeg_cpu, some_jpeg));
  rows.push_back(file_row("image_extract_jpeg_shape", "int32 height, width and channels of a JPEG file's header", {}, jpeg_shape_infer, jpeg_shape_cpu, some_jpeg));
  rows.push_back(file_row("image_is_jpeg", "does the file begin as a JPEG?", {}, is_jpeg_infer, nullptr, nullptr));
  rows.back().cpu = is_jpeg_cpu;
  rows.push_back(picture_row("image_encode_png", "the PNG file of an image of 1 to 4 channels", dtypes(uint8, uint16), {attrs::integer("compression", -1)}, encode_png_infer));
  rows.back().cpu_dynamic = encode_png_cpu;
  rows.push_back(picture_row("image_encode_jpeg", "the JPEG file of an image of 1 or 3 channels", dtypes(uint8), {quality, attrs::boolean("progressive", false), attrs::boolean("optimize_size", false), attrs::boolean("chroma_downsampling", true)}, encode_jpeg_infer));
  rows.back().cpu_dynamic = encode_jpeg_cpu;
  rows.push_back(picture_row("image_recompressed_jpeg", "an image of bytes after it was stored as JPEG", dtypes(uint8), {quality}, jpeg_quality_infer));
  rows.back().cpu = recompressed_cpu;
  rows.push_back(image::composed("image_adjust_jpeg_quality", "the image after it was stored as JPEG", kReal, {attrs::integer("quality")}, jpeg_quality_infer, jpeg_quality_of, {{.inputs = {{.dtype = uint8, .shape = {3, 4, 3}, .low = 0, .high = 255}}, .attrs = {{"quality", std::int64_t(80)}}}}));
  return rows;
}

}  // namespace lockstep
