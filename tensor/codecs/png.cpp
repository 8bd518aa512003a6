// PNG by libpng. Its errors jump: every call that may fail is made through guarded(), whose callees keep nothing that needs a destructor.

#include <png.h>

#include <csetjmp>
#include <cstring>
#include <vector>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/codecs/codec.h>

namespace lockstep::codecs {
namespace {

/// What libpng reads from or writes to, and what it complained of.
struct PngState {
  std::string_view bytes;
  std::size_t at = 0;
  std::string* out = nullptr;
  bool out_of_memory = false;
  char complaint[200] = "";
};

void png_fail(png_structp png, png_const_charp message) {
  auto* state = static_cast<PngState*>(png_get_error_ptr(png));
  std::strncpy(state->complaint, message, sizeof(state->complaint) - 1);
  png_longjmp(png, 1);
}
void png_ignore(png_structp, png_const_charp) {}

void png_take(png_structp png, png_bytep to, std::size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  if (count > state->bytes.size() - state->at) png_error(png, "the file ends early");
  std::memcpy(to, state->bytes.data() + state->at, count);
  state->at += count;
}
void png_give(png_structp png, png_bytep from, std::size_t count) {
  auto* state = static_cast<PngState*>(png_get_io_ptr(png));
  try {
    state->out->append(reinterpret_cast<const char*>(from), count);
    return;
  } catch (const std::bad_alloc&) {
    state->out_of_memory = true;
  }
  png_error(png, "out of memory");  // outside of the handler, which a jump must not leave
}
void png_flushed(png_structp) {}

/// False if libpng failed inside `f`.
template <class F>
[[gnu::noinline]] bool guarded(png_structp png, F&& f) {
  if (setjmp(png_jmpbuf(png))) return false;
  f();
  return true;
}

struct PngReader {
  PngState state;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state, png_fail, png_ignore);
  png_infop info = png ? png_create_info_struct(png) : nullptr;
  explicit PngReader(std::string_view bytes) {
    state.bytes = bytes;
    if (!info) {
      png_destroy_read_struct(&png, nullptr, nullptr);  // nobody destroys what was not made
      throw ResourceExhaustedError("libpng has no memory");
    }
    png_set_read_fn(png, &state, png_take);
  }
  ~PngReader() { png_destroy_read_struct(&png, &info, nullptr); }
  PngReader(const PngReader&) = delete;
  PngReader& operator=(const PngReader&) = delete;

  [[noreturn]] void refuse() const {
    throw DataLossError("the PNG is damaged at byte " + std::to_string(state.at) + " of " + std::to_string(state.bytes.size()) + ": " + state.complaint);
  }
};

struct PngHeader {
  png_uint_32 width = 0, height = 0;
  int depth = 0, color = 0, channels = 0;
  bool transparent = false;
};

/// The transformations of TensorFlow's decoder: to `channels` of `wide` (16) or 8 bits.
void set_transformations(png_structp png, const PngHeader& header, int channels, bool wide) {
  const bool wants_alpha = channels % 2 == 0, has_alpha = (header.color & PNG_COLOR_MASK_ALPHA) != 0, has_color = (header.color & PNG_COLOR_MASK_COLOR) != 0;
  if (wants_alpha && !has_alpha) {
    if (header.transparent) png_set_tRNS_to_alpha(png);
    else png_set_add_alpha(png, (1u << header.depth) - 1, PNG_FILLER_AFTER);
  } else if (!wants_alpha && (has_alpha || header.transparent)) {
    png_set_strip_alpha(png);
  }
  if (header.depth > 8 && !wide) png_set_strip_16(png);
  png_set_packing(png);
  png_set_interlace_handling(png);
  if (header.depth > 8 && wide) png_set_swap(png);
  if (header.color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
  if (!has_color && header.depth < 8) png_set_expand_gray_1_2_4_to_8(png);
  if (channels < 3 && has_color) png_set_rgb_to_gray(png, PNG_ERROR_ACTION_NONE, 0.299, 0.587);
  if (channels >= 3 && !has_color) png_set_gray_to_rgb(png);
}

/// 8 bits at the front of the elements to 16 bits.
void widen(std::uint16_t* elements, std::int64_t count) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(elements);
  for (std::int64_t i = count - 1; i >= 0; --i) elements[i] = static_cast<std::uint16_t>(bytes[i] * 257);
}

}  // namespace

bool is_png(std::string_view bytes) { return bytes.starts_with("\x89PNG\r\n\x1a\n"); }

void require_size(const Size& size, const char* format) {
  const auto fits = [](std::int64_t value) { return value > 0 && value < (std::int64_t(1) << 27); };
  if (!fits(size.height) || !fits(size.width) || size.height > kMostElements / size.width || size.height * size.width > kMostElements / size.channels - 1)
    throw ResourceExhaustedError(std::string("the ") + format + " has " + std::to_string(size.height) + " x " + std::to_string(size.width) + " pixels of " + std::to_string(size.channels) + " channels: an image has fewer than 2^29 elements");
}

Tensor decode_png(std::string_view bytes, std::int64_t channels, DType dtype) {
  if (!is_png(bytes)) throw DataLossError("the file does not begin as a PNG");
  PngReader reader(bytes);
  const png_structp png = reader.png;
  const png_infop info = reader.info;
  PngHeader header;
  const bool read = guarded(png, [&] {
    png_read_info(png, info);
    png_get_IHDR(png, info, &header.width, &header.height, &header.depth, &header.color, nullptr, nullptr, nullptr);
    header.transparent = png_get_valid(png, info, PNG_INFO_tRNS) != 0;
    header.channels = png_get_channels(png, info);
  });
  if (!read) reader.refuse();
  const int wanted = channels ? int(channels) : header.color == PNG_COLOR_TYPE_PALETTE ? (header.transparent ? 4 : 3) : header.channels;
  const bool wide = dtype == uint16;
  require_size({std::int64_t(header.height), std::int64_t(header.width), wanted}, "PNG");
  // Deflate makes at most about 1032 bytes of one.
  const double least = double(header.height) * (double(header.width) * header.channels * header.depth / 8) / 1040;
  if (least > double(bytes.size()) + 1024)
    throw DataLossError("a PNG of " + std::to_string(header.height) + " x " + std::to_string(header.width) + " pixels does not fit into " + std::to_string(bytes.size()) + " bytes");

  Tensor image = Tensor::empty({std::int64_t(header.height), std::int64_t(header.width), wanted}, dtype);
  auto* pixels = static_cast<png_bytep>(image.mutable_raw());
  const bool doubles = wide && header.depth <= 8;
  const std::size_t line = std::size_t(header.width) * std::size_t(wanted) * (wide && !doubles ? 2 : 1);
  std::vector<png_bytep> lines(header.height);
  for (std::size_t i = 0; i < lines.size(); ++i) lines[i] = pixels + i * line;
  const bool decoded = guarded(png, [&] {
    set_transformations(png, header, wanted, wide);
    png_read_update_info(png, info);
    if (png_get_rowbytes(png, info) != line) png_error(png, "its lines have another length than its header says");
    png_read_image(png, lines.data());
    png_read_end(png, nullptr);
  });
  if (!decoded) reader.refuse();
  if (doubles) widen(image.mutable_data<std::uint16_t>(), image.numel());
  return image;
}

std::string encode_png(const Tensor& image, int compression) {
  static constexpr int colors[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  const Shape& shape = image.shape();
  const bool wide = image.dtype() == uint16;
  std::string out;
  PngState state;
  state.out = &out;
  struct Writer {
    png_structp png;
    png_infop info;
    ~Writer() { png_destroy_write_struct(&png, &info); }
  } writer{png_create_write_struct(PNG_LIBPNG_VER_STRING, &state, png_fail, png_ignore), nullptr};
  if (writer.png) writer.info = png_create_info_struct(writer.png);
  if (!writer.info) throw ResourceExhaustedError("libpng has no memory");
  const auto* pixels = static_cast<const std::uint8_t*>(image.raw());
  const std::size_t line = std::size_t(shape[1] * shape[2]) * (wide ? 2 : 1);
  const bool written = guarded(writer.png, [&] {
    png_set_write_fn(writer.png, &state, png_give, png_flushed);
    png_set_compression_level(writer.png, compression);
    png_set_IHDR(writer.png, writer.info, png_uint_32(shape[1]), png_uint_32(shape[0]), wide ? 16 : 8, colors[shape[2] - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(writer.png, writer.info);
    if (wide) png_set_swap(writer.png);
    for (std::int64_t row = 0; row < shape[0]; ++row) png_write_row(writer.png, pixels + std::size_t(row) * line);
    png_write_end(writer.png, nullptr);
  });
  if (state.out_of_memory) throw ResourceExhaustedError("there is no memory for the PNG of " + to_string(image.spec()));
  if (!written) throw InvalidArgumentError(std::string("libpng refuses ") + to_string(image.spec()) + ": " + state.complaint);
  return out;
}

}  // namespace lockstep::codecs
