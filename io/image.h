#pragma once
// Pictures to look at: PNG files, and many images laid out on one.

#include <cstdint>
#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// Writes a PNG file, replacing the one of that name. `image` is uint8: (h, w) or (h, w, 1) grey, (h, w, 3) red, green and blue.
/// Throws TypeError and InvalidArgumentError for others, NotFoundError if the file cannot be opened, ResourceExhaustedError if it
/// cannot be written in full.
void write_png(const std::string& path, const Tensor& image);

struct GridOptions {
  std::int64_t columns = 0;      // 0: about as many as rows
  std::int64_t margin = 2;       // pixels around each image
  std::uint8_t background = 255;
};
/// The images (n, h, w) or (n, h, w, channels), uint8, row by row on one: (rows * (h + margin) + margin, ..., channels).
Tensor image_grid(const Tensor& images, const GridOptions& options = {});

}  // namespace lockstep::io
