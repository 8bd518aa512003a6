// tf.image as functions: each finds its row once and applies it.

#include <lockstep/tensor/image.h>

#include <limits>

#include <lockstep/tensor/op.h>

namespace lockstep::image {

Tensor resize(const Tensor& images, const Ints& size, const ResizeOptions& options) {
  static const OpDef& op = find_op("image_resize");
  return apply(op, {images}, {{"size", size}, {"method", options.method}, {"preserve_aspect_ratio", options.preserve_aspect_ratio}, {"antialias", options.antialias}});
}
Tensor resize_with_pad(const Tensor& images, std::int64_t height, std::int64_t width, const ResizeOptions& options) {
  static const OpDef& op = find_op("image_resize_with_pad");
  return apply(op, {images}, {{"height", height}, {"width", width}, {"method", options.method}, {"antialias", options.antialias}});
}
Tensor resize_with_crop_or_pad(const Tensor& images, std::int64_t height, std::int64_t width) {
  static const OpDef& op = find_op("image_resize_with_crop_or_pad");
  return apply(op, {images}, {{"height", height}, {"width", width}});
}
Tensor crop_to_bounding_box(const Tensor& images, std::int64_t offset_height, std::int64_t offset_width, std::int64_t height, std::int64_t width) {
  static const OpDef& op = find_op("image_crop_to_bounding_box");
  return apply(op, {images}, {{"offset_height", offset_height}, {"offset_width", offset_width}, {"height", height}, {"width", width}});
}
Tensor pad_to_bounding_box(const Tensor& images, std::int64_t offset_height, std::int64_t offset_width, std::int64_t height, std::int64_t width) {
  static const OpDef& op = find_op("image_pad_to_bounding_box");
  return apply(op, {images}, {{"offset_height", offset_height}, {"offset_width", offset_width}, {"height", height}, {"width", width}});
}
Tensor central_crop(const Tensor& images, double fraction) {
  static const OpDef& op = find_op("image_central_crop");
  return apply(op, {images}, {{"fraction", fraction}});
}
Tensor crop_and_resize(const Tensor& images, const Tensor& boxes, const Tensor& box_indices, const Ints& crop_size, const std::string& method, double extrapolation_value) {
  static const OpDef& op = find_op("image_crop_and_resize");
  return apply(op, {images, boxes, box_indices}, {{"crop_size", crop_size}, {"method", method}, {"extrapolation_value", extrapolation_value}});
}
Tensor flip_left_right(const Tensor& images) {
  static const OpDef& op = find_op("image_flip_left_right");
  return apply(op, {images});
}
Tensor flip_up_down(const Tensor& images) {
  static const OpDef& op = find_op("image_flip_up_down");
  return apply(op, {images});
}
Tensor transpose(const Tensor& images) {
  static const OpDef& op = find_op("image_transpose");
  return apply(op, {images});
}
Tensor rot90(const Tensor& images, std::int64_t k) {
  static const OpDef& op = find_op("image_rot90");
  return apply(op, {images}, {{"k", k}});
}
Tensor convert_image_dtype(const Tensor& images, DType dtype, bool saturate) {
  static const OpDef& op = find_op("image_convert_image_dtype");
  return apply(op, {images}, {{"dtype", dtype}, {"saturate", saturate}});
}
Tensor adjust_brightness(const Tensor& images, double delta) {
  static const OpDef& op = find_op("image_adjust_brightness");
  return apply(op, {images}, {{"delta", delta}});
}
Tensor adjust_contrast(const Tensor& images, double factor) {
  static const OpDef& op = find_op("image_adjust_contrast");
  return apply(op, {images}, {{"factor", factor}});
}
Tensor adjust_gamma(const Tensor& images, double gamma, double gain) {
  static const OpDef& op = find_op("image_adjust_gamma");
  return apply(op, {images}, {{"gamma", gamma}, {"gain", gain}});
}
Tensor adjust_hue(const Tensor& images, double delta) {
  static const OpDef& op = find_op("image_adjust_hue");
  return apply(op, {images}, {{"delta", delta}});
}
Tensor adjust_saturation(const Tensor& images, double factor) {
  static const OpDef& op = find_op("image_adjust_saturation");
  return apply(op, {images}, {{"factor", factor}});
}
Tensor adjust_jpeg_quality(const Tensor& image, std::int64_t quality) {
  static const OpDef& op = find_op("image_adjust_jpeg_quality");
  return apply(op, {image}, {{"quality", quality}});
}
Tensor per_image_standardization(const Tensor& images) {
  static const OpDef& op = find_op("image_per_image_standardization");
  return apply(op, {images});
}
Tensor rgb_to_grayscale(const Tensor& images) {
  static const OpDef& op = find_op("image_rgb_to_grayscale");
  return apply(op, {images});
}
Tensor grayscale_to_rgb(const Tensor& images) {
  static const OpDef& op = find_op("image_grayscale_to_rgb");
  return apply(op, {images});
}
Tensor rgb_to_hsv(const Tensor& images) {
  static const OpDef& op = find_op("image_rgb_to_hsv");
  return apply(op, {images});
}
Tensor hsv_to_rgb(const Tensor& images) {
  static const OpDef& op = find_op("image_hsv_to_rgb");
  return apply(op, {images});
}
Tensor rgb_to_yuv(const Tensor& images) {
  static const OpDef& op = find_op("image_rgb_to_yuv");
  return apply(op, {images});
}
Tensor yuv_to_rgb(const Tensor& images) {
  static const OpDef& op = find_op("image_yuv_to_rgb");
  return apply(op, {images});
}
Tensor rgb_to_yiq(const Tensor& images) {
  static const OpDef& op = find_op("image_rgb_to_yiq");
  return apply(op, {images});
}
Tensor yiq_to_rgb(const Tensor& images) {
  static const OpDef& op = find_op("image_yiq_to_rgb");
  return apply(op, {images});
}
Tensor psnr(const Tensor& a, const Tensor& b, double max_val) {
  static const OpDef& op = find_op("image_psnr");
  return apply(op, {a, b}, {{"max_val", max_val}});
}
Tensor ssim(const Tensor& a, const Tensor& b, double max_val, const SsimOptions& options) {
  static const OpDef& op = find_op("image_ssim");
  return apply(op, {a, b}, {{"max_val", max_val}, {"filter_size", options.filter_size}, {"filter_sigma", options.filter_sigma}, {"k1", options.k1}, {"k2", options.k2}});
}
Tensor ssim_multiscale(const Tensor& a, const Tensor& b, double max_val, const SsimOptions& options) {
  static const OpDef& op = find_op("image_ssim_multiscale");
  return apply(op, {a, b}, {{"max_val", max_val}, {"filter_size", options.filter_size}, {"filter_sigma", options.filter_sigma}, {"k1", options.k1}, {"k2", options.k2}});
}
Tensor sobel_edges(const Tensor& images) {
  static const OpDef& op = find_op("image_sobel_edges");
  return apply(op, {images});
}
std::pair<Tensor, Tensor> image_gradients(const Tensor& images) {
  static const OpDef& op = find_op("image_image_gradients");
  Tensors out = apply_all(op, {images});
  return {std::move(out[0]), std::move(out[1])};
}
Tensor total_variation(const Tensor& images) {
  static const OpDef& op = find_op("image_total_variation");
  return apply(op, {images});
}
Tensor extract_patches(const Tensor& images, const PatchOptions& options) {
  static const OpDef& op = find_op("image_extract_patches");
  return apply(op, {images}, {{"size", options.size}, {"stride", options.stride}, {"rate", options.rate}, {"padding", options.padding}});
}
Tensor non_max_suppression(const Tensor& boxes, const Tensor& scores, std::int64_t max_output_size, const NonMaxSuppression& options) {
  static const OpDef& op = find_op("image_non_max_suppression");
  return apply(op, {boxes, scores}, {{"max_output_size", max_output_size}, {"iou_threshold", options.iou_threshold}, {"score_threshold", options.score_threshold.value_or(-std::numeric_limits<double>::infinity())}});
}
std::pair<Tensor, Tensor> non_max_suppression_with_scores(const Tensor& boxes, const Tensor& scores, std::int64_t max_output_size, const NonMaxSuppression& options, double soft_nms_sigma) {
  static const OpDef& op = find_op("image_non_max_suppression_with_scores");
  Tensors out = apply_all(op, {boxes, scores}, {{"max_output_size", max_output_size}, {"iou_threshold", options.iou_threshold}, {"score_threshold", options.score_threshold.value_or(-std::numeric_limits<double>::infinity())}, {"soft_nms_sigma", soft_nms_sigma}});
  return {std::move(out[0]), std::move(out[1])};
}
Tensor draw_bounding_boxes(const Tensor& images, const Tensor& boxes, const Tensor& colors) {
  static const OpDef& op = find_op("image_draw_bounding_boxes");
  return apply(op, {images, boxes, colors});
}
Tensor decode_image(const Tensor& contents, const DecodeOptions& options) {
  static const OpDef& op = find_op("image_decode_image");
  return apply(op, {contents}, {{"channels", options.channels}, {"dtype", options.dtype}});
}
Tensor decode_png(const Tensor& contents, const DecodeOptions& options) {
  static const OpDef& op = find_op("image_decode_png");
  return apply(op, {contents}, {{"channels", options.channels}, {"dtype", options.dtype}});
}
Tensor decode_jpeg(const Tensor& contents, const DecodeJpegOptions& options) {
  static const OpDef& op = find_op("image_decode_jpeg");
  return apply(op, {contents}, {{"channels", options.channels}, {"ratio", options.ratio}, {"fancy_upscaling", options.fancy_upscaling}, {"try_recover_truncated", options.try_recover_truncated}, {"acceptable_fraction", options.acceptable_fraction}, {"dct_method", options.dct_method}});
}
Tensor encode_png(const Tensor& image, std::int64_t compression) {
  static const OpDef& op = find_op("image_encode_png");
  return apply(op, {image}, {{"compression", compression}});
}
Tensor encode_jpeg(const Tensor& image, const EncodeJpegOptions& options) {
  static const OpDef& op = find_op("image_encode_jpeg");
  return apply(op, {image}, {{"quality", options.quality}, {"progressive", options.progressive}, {"optimize_size", options.optimize_size}, {"chroma_downsampling", options.chroma_downsampling}});
}
Tensor is_jpeg(const Tensor& contents) {
  static const OpDef& op = find_op("image_is_jpeg");
  return apply(op, {contents});
}
Tensor extract_jpeg_shape(const Tensor& contents) {
  static const OpDef& op = find_op("image_extract_jpeg_shape");
  return apply(op, {contents});
}

}  // namespace lockstep::image
