#pragma once
// Image processing (tf.image), channels last: (height, width, channels) or batches of these. Each function is a row `image_NAME` of the op table, where
// formulas, shapes and dtypes stand. What changes colours takes floats as they are, and integers by way of float32 in [0, 1], as TensorFlow does.

#include <optional>
#include <string>
#include <utility>

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::image {

// ---- size

struct ResizeOptions {
  /// "bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian" or "mitchellcubic"
  std::string method = "bilinear";
  bool preserve_aspect_ratio = false;
  /// Where the image shrinks, every pixel counts (bilinear, bicubic, and the filters after area).
  bool antialias = false;
};
/// `size` is {height, width}. float32 results (float64 from float64), but of the operand's dtype by "nearest".
Tensor resize(const Tensor& images, const Ints& size, const ResizeOptions& options = {});
/// Resized to fit, then padded with zeros on both sides.
Tensor resize_with_pad(const Tensor& images, std::int64_t height, std::int64_t width, const ResizeOptions& options = {});
/// Cropped or padded with zeros, evenly on both sides.
Tensor resize_with_crop_or_pad(const Tensor& images, std::int64_t height, std::int64_t width);
Tensor crop_to_bounding_box(const Tensor& images, std::int64_t offset_height, std::int64_t offset_width, std::int64_t height, std::int64_t width);
Tensor pad_to_bounding_box(const Tensor& images, std::int64_t offset_height, std::int64_t offset_width, std::int64_t height, std::int64_t width);
/// The middle of that fraction of height and width.
Tensor central_crop(const Tensor& images, double fraction);
/// (boxes, crop_size..., channels): box k (y1, x1, y2, x2 in [0, 1]) of image box_indices[k], resized ("bilinear" or "nearest").
Tensor crop_and_resize(const Tensor& images, const Tensor& boxes, const Tensor& box_indices, const Ints& crop_size, const std::string& method = "bilinear", double extrapolation_value = 0);

// ---- orientation

Tensor flip_left_right(const Tensor& images);
Tensor flip_up_down(const Tensor& images);
/// Height and width change places.
Tensor transpose(const Tensor& images);
/// k quarter turns, counter-clockwise.
Tensor rot90(const Tensor& images, std::int64_t k = 1);

// ---- colours

/// Between integers in their whole range and floats in [0, 1]; saturate clips instead of wrapping.
Tensor convert_image_dtype(const Tensor& images, DType dtype, bool saturate = false);
Tensor adjust_brightness(const Tensor& images, double delta);
Tensor adjust_contrast(const Tensor& images, double factor);
Tensor adjust_gamma(const Tensor& images, double gamma = 1, double gain = 1);
/// delta in [-1, 1] turns.
Tensor adjust_hue(const Tensor& images, double delta);
Tensor adjust_saturation(const Tensor& images, double factor);
/// As an image that was stored as JPEG of that quality (0 to 100).
Tensor adjust_jpeg_quality(const Tensor& image, std::int64_t quality);
/// Mean 0, standard deviation 1, but that no less than 1 / sqrt(pixels); float32 (float64 from float64).
Tensor per_image_standardization(const Tensor& images);
Tensor rgb_to_grayscale(const Tensor& images);
Tensor grayscale_to_rgb(const Tensor& images);
Tensor rgb_to_hsv(const Tensor& images);
Tensor hsv_to_rgb(const Tensor& images);
Tensor rgb_to_yuv(const Tensor& images);
Tensor yuv_to_rgb(const Tensor& images);
Tensor rgb_to_yiq(const Tensor& images);
Tensor yiq_to_rgb(const Tensor& images);

// ---- differences and measures

/// One number an image, in decibels.
Tensor psnr(const Tensor& a, const Tensor& b, double max_val);
struct SsimOptions {
  std::int64_t filter_size = 11;
  double filter_sigma = 1.5;
  double k1 = 0.01;
  double k2 = 0.03;
};
Tensor ssim(const Tensor& a, const Tensor& b, double max_val, const SsimOptions& options = {});
/// Over five scales, each half of the one before.
Tensor ssim_multiscale(const Tensor& a, const Tensor& b, double max_val, const SsimOptions& options = {});
/// (batch, height, width, channels, 2): by rows and by columns.
Tensor sobel_edges(const Tensor& images);
/// dy and dx: to the next pixel, 0 in the last row and column.
std::pair<Tensor, Tensor> image_gradients(const Tensor& images);
/// The sum of absolute differences between neighbours; one number an image.
Tensor total_variation(const Tensor& images);

// ---- patches and boxes

struct PatchOptions {
  Ints size = {3, 3};
  Ints stride = {1, 1};
  /// Distance of a patch's neighbouring pixels.
  Ints rate = {1, 1};
  std::string padding = "valid";
};
/// (batch, rows, columns, patch height * patch width * channels).
Tensor extract_patches(const Tensor& images, const PatchOptions& options);
struct NonMaxSuppression {
  double iou_threshold = 0.5;
  /// Boxes of at most this score are left out.
  std::optional<double> score_threshold = {};
};
/// int32: indices of the boxes (n, 4) that remain when each, the best score first, takes out those that overlap it by more than iou_threshold.
Tensor non_max_suppression(const Tensor& boxes, const Tensor& scores, std::int64_t max_output_size, const NonMaxSuppression& options = {});
/// Indices and scores; with a sigma above 0, overlapping boxes lose score instead of being taken out (Soft-NMS).
std::pair<Tensor, Tensor> non_max_suppression_with_scores(const Tensor& boxes, const Tensor& scores, std::int64_t max_output_size, const NonMaxSuppression& options = {}, double soft_nms_sigma = 0);
/// One-pixel frames around boxes (batch, n, 4) in turns of `colors` (m, channels).
Tensor draw_bounding_boxes(const Tensor& images, const Tensor& boxes, const Tensor& colors);

// ---- files as strings: PNG by libpng, JPEG by libjpeg-turbo. Damaged input is a DataLossError with the library's words; an image of 2^29
// elements or more is refused before memory is asked for.

struct DecodeOptions {
  /// 0: as the file has them; 1 grey, 2 with alpha (decode_png), 3 colours, 4 with alpha (PNG).
  std::int64_t channels = 0;
  /// uint8; PNG also uint16; decode_image also float32 in [0, 1].
  DType dtype = uint8;
};
/// A PNG or JPEG file, told by its first bytes: (height, width, channels).
Tensor decode_image(const Tensor& contents, const DecodeOptions& options = {});
Tensor decode_png(const Tensor& contents, const DecodeOptions& options = {});
struct DecodeJpegOptions {
  std::int64_t channels = 0;
  /// 1, 2, 4 or 8: decoded to that part of height and width.
  std::int64_t ratio = 1;
  bool fancy_upscaling = true;
  /// What is missing of a file that ends early is left grey, if at least acceptable_fraction of its lines are there.
  bool try_recover_truncated = false;
  double acceptable_fraction = 1;
  /// "" (as "INTEGER_FAST"), "INTEGER_FAST" or "INTEGER_ACCURATE"
  std::string dct_method = "";
};
Tensor decode_jpeg(const Tensor& contents, const DecodeJpegOptions& options = {});
/// uint8 or uint16 of 1 to 4 channels; compression 0 to 9, -1 is zlib's own choice.
Tensor encode_png(const Tensor& image, std::int64_t compression = -1);
struct EncodeJpegOptions {
  std::int64_t quality = 95;
  bool progressive = false;
  bool optimize_size = false;
  bool chroma_downsampling = true;
};
/// uint8 of 1 or 3 channels.
Tensor encode_jpeg(const Tensor& image, const EncodeJpegOptions& options = {});
/// Does the file begin as a JPEG?
Tensor is_jpeg(const Tensor& contents);
/// int32 (3,): height, width, channels, from the header alone.
Tensor extract_jpeg_shape(const Tensor& contents);

}  // namespace lockstep::image
