#pragma once
// Image files in memory: bytes to pixels and back, by libpng and libjpeg-turbo. Damaged input is a DataLossError with the library's words and the byte it had
// come to; an image of 2^29 elements or more, or one that so short a file cannot hold, is refused before memory is asked for. Errors name no op: the rows add theirs.

#include <cstdint>
#include <string>
#include <string_view>

#include <lockstep/tensor/tensor.h>

namespace lockstep::codecs {

/// Elements of one image: fewer than this.
inline constexpr std::int64_t kMostElements = std::int64_t(1) << 29;

struct Size {
  std::int64_t height, width, channels;
};
/// Throws ResourceExhaustedError for an image that is too large.
void require_size(const Size& size, const char* format);

/// Is it what the first bytes say?
bool is_png(std::string_view bytes);
bool is_jpeg(std::string_view bytes);

/// (height, width, channels) uint8 or uint16. channels 0 to 4; 0: as the file has them.
Tensor decode_png(std::string_view bytes, std::int64_t channels, DType dtype);
/// A uint8 or uint16 image (height, width, channels) of 1 to 4 channels.
std::string encode_png(const Tensor& image, int compression);

struct JpegDecoding {
  std::int64_t channels = 0;  // 0, 1 or 3
  int ratio = 1;
  bool fancy_upscaling = true;
  bool try_recover_truncated = false;
  double acceptable_fraction = 1;
  bool accurate = false;  // the slow DCT
};
Tensor decode_jpeg(std::string_view bytes, const JpegDecoding& options);
/// Of the header.
Size jpeg_size(std::string_view bytes);

struct JpegEncoding {
  int quality = 95;
  bool progressive = false;
  bool optimize_size = false;
  bool chroma_downsampling = true;
};
/// A uint8 image (height, width, channels) of 1 or 3 channels.
std::string encode_jpeg(const Tensor& image, const JpegEncoding& options);

}  // namespace lockstep::codecs
