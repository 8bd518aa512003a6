// Image files: what goes in comes out, and what is damaged is refused with a reason.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep {
namespace {

std::string bytes_of(const Tensor& file) { return file.item<std::string>(); }

Tensor picture(const Shape& shape, DType dtype = uint8) { return random::uniform_from(constant(std::vector<std::int64_t>{3, 0}), shape, 0, dtype == uint8 ? 256 : 65536, dtype); }
/// Without sharp edges, which JPEG would blur.
Tensor smooth(std::int64_t height, std::int64_t width) {
  const Tensor rows = reshape(range(0, height), {height, 1, 1}), columns = reshape(range(0, width), {1, width, 1});
  return cast(rows * 2 + columns * 3 + reshape(constant({0, 30, 60}), {1, 1, 3}), uint8);
}

/// The four bytes of a PNG's width or height.
std::string big_endian(std::uint32_t value) { return {char(value >> 24), char(value >> 16), char(value >> 8), char(value)}; }

TEST(Png, KeepsEveryPixelOfEveryKind) {
  for (const DType dtype : {uint8, uint16})
    for (std::int64_t channels = 1; channels <= 4; ++channels) {
      const Tensor image = picture({7, 5, channels}, dtype), back = image::decode_png(image::encode_png(image), {.dtype = dtype});
      ASSERT_EQ(back.spec(), image.spec());
      EXPECT_EQ(std::memcmp(back.raw(), image.raw(), image.nbytes()), 0) << name(dtype) << " " << channels;
    }
}

TEST(Png, GivesTheChannelsAskedFor) {
  const Tensor file = image::encode_png(picture({4, 4, 3}));
  for (std::int64_t channels = 1; channels <= 4; ++channels) EXPECT_EQ(image::decode_png(file, {.channels = channels}).shape(), (Shape{4, 4, channels}));
  EXPECT_THROW(image::decode_png(file, {.channels = 5}), InvalidArgumentError);
  EXPECT_THROW(image::decode_png(file, {.dtype = float32}), TypeError);
  EXPECT_THROW(image::decode_png(stack(std::array{file, file})), InvalidArgumentError);
}

TEST(Png, SaysWhereItEndsEarly) {
  const std::string whole = bytes_of(image::encode_png(picture({5, 6, 3})));
  for (std::size_t size = 0; size + 4 < whole.size(); ++size) {  // (the last checksum is of nothing)
    const std::string said = message_of<DataLossError>([&] { image::decode_png(constant(whole.substr(0, size))); });
    EXPECT_EQ(said.substr(0, 18), "[image_decode_png]") << size << ": " << said;
  }
  EXPECT_EQ(message_of<DataLossError>([&] { image::decode_png(constant(whole.substr(0, 40))); }), "[image_decode_png] the PNG is damaged at byte 33 of 40: the file ends early");
}

TEST(Png, SaysWhatIsWrongWithAChangedByte) {
  const std::string whole = bytes_of(image::encode_png(picture({5, 6, 3})));
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = char(changed[at] ^ 0x55);
    if (message_of<Error>([&] { image::decode_png(constant(changed)); }) != "(none)") ++refused;
  }
  EXPECT_GT(refused, int(whole.size()) - 20);
}

TEST(Png, IsRefusedBySizeBeforeMemoryIsTaken) {
  std::string bomb = bytes_of(image::encode_png(picture({1, 1, 3})));
  const auto sized = [&](std::uint32_t width, std::uint32_t height) {
    std::string changed = bomb.replace(16, 8, big_endian(width) + big_endian(height));
    // The header's checksum, as PNG's specification has it.
    std::uint32_t crc = 0xffffffffu;
    for (std::size_t i = 12; i < 29; ++i) {
      crc ^= std::uint8_t(changed[i]);
      for (int k = 0; k < 8; ++k) crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
    }
    return constant(changed.replace(29, 4, big_endian(~crc)));
  };
  EXPECT_NE(message_of<ResourceExhaustedError>([&] { image::decode_png(sized(100000, 100000)); }).find("100000 x 100000 pixels of 3 channels: an image has fewer than 2^29 elements"), std::string::npos);
  EXPECT_NE(message_of<DataLossError>([&] { image::decode_png(sized(10000, 10000)); }).find("does not fit into"), std::string::npos);
  EXPECT_NE(message_of<DataLossError>([&] { image::decode_png(sized(0, 1)); }).find("IHDR"), std::string::npos);
}

TEST(Jpeg, ComesCloseToWhatWentIn) {
  const Tensor image = smooth(24, 20), back = image::decode_jpeg(image::encode_jpeg(image, {.quality = 100, .chroma_downsampling = false}));
  ASSERT_EQ(back.spec(), image.spec());
  EXPECT_LE(reduce_max(abs(cast(back, int32) - cast(image, int32))).item<std::int32_t>(), 6);
}

TEST(Jpeg, IsDecodedSmallerByARatioAndToGrey) {
  const Tensor file = image::encode_jpeg(smooth(24, 20));
  EXPECT_EQ(image::decode_jpeg(file, {.ratio = 4}).shape(), (Shape{6, 5, 3}));
  EXPECT_EQ(image::decode_jpeg(file, {.channels = 1}).shape(), (Shape{24, 20, 1}));
  EXPECT_EQ(image::extract_jpeg_shape(file).to_vector<std::int32_t>(), (std::vector<std::int32_t>{24, 20, 3}));
  EXPECT_THROW(image::decode_jpeg(file, {.ratio = 3}), InvalidArgumentError);
  EXPECT_THROW(image::decode_jpeg(file, {.channels = 4}), InvalidArgumentError);
  EXPECT_THROW(image::decode_jpeg(file, {.dct_method = "FAST"}), InvalidArgumentError);
}

TEST(Jpeg, SaysWhereItEndsEarlyOrIsRecovered) {
  const std::string whole = bytes_of(image::encode_jpeg(picture({64, 64, 3})));
  for (std::size_t size = 0; size + 2 < whole.size(); size += 7) {
    const std::string said = message_of<DataLossError>([&] { image::decode_jpeg(constant(whole.substr(0, size))); });
    EXPECT_EQ(said.substr(0, 19), "[image_decode_jpeg]") << size << ": " << said;
  }
  const Tensor half = constant(whole.substr(0, whole.size() / 2));
  EXPECT_NE(message_of<DataLossError>([&] { image::decode_jpeg(half); }).find("Premature end of"), std::string::npos) << message_of<DataLossError>([&] { image::decode_jpeg(half); });
  EXPECT_EQ(image::decode_jpeg(half, {.try_recover_truncated = true, .acceptable_fraction = 0.2}).shape(), (Shape{64, 64, 3}));
  EXPECT_NE(message_of<DataLossError>([&] { image::decode_jpeg(half, {.try_recover_truncated = true, .acceptable_fraction = 0.9}); }).find("of its 64 lines"), std::string::npos);
}

TEST(Jpeg, IsRefusedBySizeBeforeMemoryIsTaken) {
  std::string bomb = bytes_of(image::encode_jpeg(smooth(8, 8)));
  const std::size_t frame = bomb.find("\xff\xc0");  // height and width stand five bytes behind
  ASSERT_NE(frame, std::string::npos);
  bomb.replace(frame + 5, 4, std::string("\xff\x00\xff\x00", 4));
  EXPECT_NE(message_of<ResourceExhaustedError>([&] { image::decode_jpeg(constant(bomb)); }).find("fewer than 2^29 elements"), std::string::npos);
  bomb.replace(frame + 5, 4, std::string("\x20\x00\x20\x00", 4));
  EXPECT_NE(message_of<DataLossError>([&] { image::decode_jpeg(constant(bomb)); }).find("does not fit into"), std::string::npos);
}

TEST(DecodeImage, GoesByTheFirstBytes) {
  const Tensor image = smooth(16, 16), png = image::encode_png(image), jpeg = image::encode_jpeg(image);
  EXPECT_EQ(image::decode_image(png).to_vector<std::uint8_t>(), image.to_vector<std::uint8_t>());
  EXPECT_EQ(image::decode_image(jpeg).to_vector<std::uint8_t>(), image::decode_jpeg(jpeg).to_vector<std::uint8_t>());
  EXPECT_EQ(image::decode_image(png, {.dtype = float32}).dtype(), float32);
  EXPECT_EQ(message_of<DataLossError>([] { image::decode_image(constant("GIF89a")); }), "[image_decode_image] the file begins neither as a PNG nor as a JPEG");
  EXPECT_THROW(image::decode_image(jpeg, {.channels = 4}), InvalidArgumentError);
  EXPECT_TRUE(image::is_jpeg(jpeg).item<bool>());
  EXPECT_FALSE(image::is_jpeg(png).item<bool>());
}

TEST(Encoders, RefuseWhatNoFileHolds) {
  EXPECT_THROW(image::encode_png(zeros({2, 2, 5}, uint8)), InvalidArgumentError);
  EXPECT_THROW(image::encode_png(zeros({0, 2, 1}, uint8)), InvalidArgumentError);
  EXPECT_THROW(image::encode_png(zeros({2, 2, 1})), TypeError);
  EXPECT_THROW(image::encode_png(zeros({2, 2, 1}, uint8), 10), InvalidArgumentError);
  EXPECT_THROW(image::encode_jpeg(zeros({2, 2, 2}, uint8)), InvalidArgumentError);
  EXPECT_THROW(image::encode_jpeg(zeros({70000, 1, 1}, uint8)), InvalidArgumentError);
  EXPECT_THROW(image::encode_jpeg(zeros({2, 2, 3}, uint8), {.quality = 101}), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep
