// JPEG by libjpeg-turbo, with the settings of TensorFlow's ops. Its errors jump, as libpng's do.

#include <cstdio>

#include <jpeglib.h>
#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <new>
#include <utility>
#include <vector>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/codecs/codec.h>

namespace lockstep::codecs {
namespace {

/// More scans than this are made to waste time.
constexpr int kMostScans = 500;

struct JpegErrors {
  jpeg_error_mgr manager;  // first, so that libjpeg's pointer to it is one to the whole
  std::jmp_buf back;
  char complaint[JMSG_LENGTH_MAX] = "";
};
void jpeg_fail(j_common_ptr info) {
  auto* errors = reinterpret_cast<JpegErrors*>(info->err);
  errors->manager.format_message(info, errors->complaint);
  std::longjmp(errors->back, 1);
}
void jpeg_ignore(j_common_ptr) {}

template <class F>
[[gnu::noinline]] bool guarded_jpeg(JpegErrors& errors, F&& f) {
  if (setjmp(errors.back)) return false;
  f();
  return true;
}

jpeg_error_mgr* prepared(JpegErrors& errors) {
  jpeg_std_error(&errors.manager);
  errors.manager.error_exit = jpeg_fail;
  errors.manager.output_message = jpeg_ignore;
  return &errors.manager;
}

/// Did libjpeg ask for memory in vain?
bool lacks_memory(const JpegErrors& errors) { return errors.manager.msg_code == JERR_OUT_OF_MEMORY; }

struct JpegReader {
  jpeg_decompress_struct info{};
  JpegErrors errors;
  jpeg_progress_mgr progress{};
  std::string_view bytes;
  bool recovers = false, ended = false;

  JpegReader(std::string_view given, bool recover) : bytes(given), recovers(recover) {
    if (!is_jpeg(bytes)) throw DataLossError("the file does not begin as a JPEG");
    info.err = prepared(errors);
    info.client_data = this;
    const bool created = guarded_jpeg(errors, [&] {
      jpeg_create_decompress(&info);
      info.mem->max_memory_to_use = 1L << 30;
      progress.progress_monitor = [](j_common_ptr common) {
        auto* each = reinterpret_cast<j_decompress_ptr>(common);
        if (each->input_scan_number > kMostScans) ERREXIT(each, JERR_BAD_PROGRESSION);
      };
      info.progress = &progress;
      jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<unsigned long>(bytes.size()));
      info.src->fill_input_buffer = [](j_decompress_ptr each) -> ::boolean {
        auto* self = static_cast<JpegReader*>(each->client_data);
        if (!self->recovers || self->ended) ERREXIT(each, JERR_INPUT_EOF);
        // An end of the image in place of what is missing.
        static constexpr JOCTET end[] = {0xFF, JPEG_EOI};
        self->ended = true;
        each->src->next_input_byte = end;
        each->src->bytes_in_buffer = 2;
        return TRUE;
      };
      info.src->skip_input_data = [](j_decompress_ptr each, long count) {
        if (count <= 0) return;
        if (static_cast<std::size_t>(count) > each->src->bytes_in_buffer) ERREXIT(each, JERR_INPUT_EOF);
        each->src->next_input_byte += count;
        each->src->bytes_in_buffer -= static_cast<std::size_t>(count);
      };
    });
    if (created) return;
    const std::string why = errors.complaint;
    jpeg_destroy_decompress(&info);  // nobody destroys what was not made
    throw DataLossError("the JPEG cannot be read: " + why);
  }
  ~JpegReader() { jpeg_destroy_decompress(&info); }
  JpegReader(const JpegReader&) = delete;
  JpegReader& operator=(const JpegReader&) = delete;

  [[noreturn]] void refuse() const {
    if (lacks_memory(errors)) throw ResourceExhaustedError("there is no memory for the JPEG: " + std::string(errors.complaint));
    const std::size_t left = info.src && !ended ? info.src->bytes_in_buffer : 0;
    throw DataLossError("the JPEG is damaged at byte " + std::to_string(bytes.size() - left) + " of " + std::to_string(bytes.size()) + ": " + errors.complaint);
  }
  void read_header() {
    if (!guarded_jpeg(errors, [&] { jpeg_read_header(&info, TRUE); })) refuse();
  }
};

struct JpegWriter {
  jpeg_compress_struct info{};
  JpegErrors errors;
  jpeg_destination_mgr destination{};
  std::string bytes;

  JpegWriter() {
    info.err = prepared(errors);
    info.client_data = this;
    destination.init_destination = [](j_compress_ptr each) { make_room(each); };
    destination.empty_output_buffer = [](j_compress_ptr each) { return make_room(each); };
    destination.term_destination = [](j_compress_ptr each) {
      auto* self = static_cast<JpegWriter*>(each->client_data);
      self->bytes.resize(self->bytes.size() - self->destination.free_in_buffer);
    };
  }
  ~JpegWriter() { jpeg_destroy_compress(&info); }
  JpegWriter(const JpegWriter&) = delete;
  JpegWriter& operator=(const JpegWriter&) = delete;

 private:
  /// Behind bytes that are all written.
  static ::boolean make_room(j_compress_ptr each) {
    auto* self = static_cast<JpegWriter*>(each->client_data);
    const std::size_t used = self->bytes.size();
    bool made = true;
    try {
      self->bytes.resize(std::max<std::size_t>(2 * used, 4096));
    } catch (const std::bad_alloc&) {
      made = false;
    }
    if (!made) ERREXIT1(each, JERR_OUT_OF_MEMORY, 0);  // outside of the handler, which a jump must not leave
    self->destination.next_output_byte = reinterpret_cast<JOCTET*>(self->bytes.data()) + used;
    self->destination.free_in_buffer = self->bytes.size() - used;
    return TRUE;
  }
};

/// One line of cyan, magenta, yellow and black; Adobe stores what is left of them.
void rgb_from_cmyk(const JSAMPLE* from, std::uint8_t* to, std::int64_t width, bool adobe) {
  for (std::int64_t i = 0; i < width; ++i, from += 4, to += 3)
    for (int c = 0; c < 3; ++c) to[c] = static_cast<std::uint8_t>(adobe ? from[3] * from[c] / 255 : (255 - from[3]) * (255 - from[c]) / 255);
}

}  // namespace

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

Size jpeg_size(std::string_view bytes) {
  JpegReader reader(bytes, false);
  reader.read_header();
  return {std::int64_t(reader.info.image_height), std::int64_t(reader.info.image_width), std::int64_t(reader.info.num_components)};
}

Tensor decode_jpeg(std::string_view bytes, const JpegDecoding& options) {
  JpegReader reader(bytes, options.try_recover_truncated);
  reader.read_header();
  jpeg_decompress_struct& info = reader.info;
  const std::int64_t channels = options.channels ? options.channels : std::min(info.num_components, 3);
  const bool inks = channels == 3 && (info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK);
  require_size({std::int64_t(info.image_height), std::int64_t(info.image_width), std::max(4, info.num_components)}, "JPEG");
  // A block of a sequential file takes about two bits at least; far fewer than that, and memory need not be asked for.
  const double blocks = double(info.image_height) * double(info.image_width) / 64;
  if (!info.progressive_mode && blocks / 4 > 32 * (double(bytes.size()) + 64)) throw DataLossError("a JPEG of " + std::to_string(info.image_height) + " x " + std::to_string(info.image_width) + " pixels does not fit into " + std::to_string(bytes.size()) + " bytes");
  info.out_color_space = inks ? JCS_CMYK : channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  info.do_fancy_upsampling = options.fancy_upscaling;
  info.scale_num = 1;
  info.scale_denom = static_cast<unsigned>(options.ratio);
  info.dct_method = options.accurate ? JDCT_ISLOW : JDCT_IFAST;
  if (!guarded_jpeg(reader.errors, [&] { jpeg_start_decompress(&info); })) reader.refuse();

  const std::int64_t height = info.output_height, width = info.output_width;
  Tensor image = Tensor::empty({height, width, channels}, uint8);
  auto* pixels = image.mutable_data<std::uint8_t>();
  std::vector<JSAMPLE> line(inks ? std::size_t(width) * 4 : 0);
  std::int64_t whole = 0;  // lines that were read before the file ended
  const bool decoded = guarded_jpeg(reader.errors, [&] {
    for (std::int64_t row = 0; row < height; ++row) {
      JSAMPROW to = inks ? line.data() : pixels + row * width * channels;
      jpeg_read_scanlines(&info, &to, 1);
      if (inks) rgb_from_cmyk(line.data(), pixels + row * width * 3, width, info.saw_Adobe_marker != 0);
      if (!reader.ended) whole = row + 1;
    }
    jpeg_finish_decompress(&info);
  });
  if (!decoded) reader.refuse();
  if (reader.ended && double(whole) < options.acceptable_fraction * double(height))
    throw DataLossError("the JPEG ends after " + std::to_string(whole) + " of its " + std::to_string(height) + " lines, which is less than the acceptable fraction");
  return image;
}

std::string encode_jpeg(const Tensor& image, const JpegEncoding& options) {
  const Shape& shape = image.shape();
  JpegWriter writer;
  jpeg_compress_struct& info = writer.info;
  const auto* pixels = image.data<std::uint8_t>().data();
  const bool written = guarded_jpeg(writer.errors, [&] {
    jpeg_create_compress(&info);
    info.dest = &writer.destination;
    info.image_width = static_cast<JDIMENSION>(shape[1]);
    info.image_height = static_cast<JDIMENSION>(shape[0]);
    info.input_components = int(shape[2]);
    info.in_color_space = shape[2] == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&info);
    info.optimize_coding = options.optimize_size;
    info.density_unit = 1;
    info.X_density = info.Y_density = 300;
    jpeg_set_quality(&info, options.quality, TRUE);
    if (options.progressive) jpeg_simple_progression(&info);
    if (!options.chroma_downsampling && shape[2] == 3)
      for (int i = 0; i < info.num_components; ++i) info.comp_info[i].h_samp_factor = info.comp_info[i].v_samp_factor = 1;
    jpeg_start_compress(&info, TRUE);
    for (std::int64_t row = 0; row < shape[0]; ++row) {
      auto* from = const_cast<JSAMPROW>(pixels + row * shape[1] * shape[2]);
      jpeg_write_scanlines(&info, &from, 1);
    }
    jpeg_finish_compress(&info);
  });
  if (!written && lacks_memory(writer.errors)) throw ResourceExhaustedError("there is no memory for the JPEG of " + to_string(image.spec()));
  if (!written) throw InvalidArgumentError("libjpeg refuses " + to_string(image.spec()) + ": " + writer.errors.complaint);
  return std::move(writer.bytes);
}

}  // namespace lockstep::codecs
