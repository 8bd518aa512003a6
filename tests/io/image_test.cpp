// Pictures and tables of results.

#include <lockstep/io/image.h>

#include <gtest/gtest.h>
#include <png.h>

#include <lockstep/autodiff/function.h>
#include <lockstep/io/confusion_matrix.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

#include "files.h"

namespace lockstep::io {
namespace {

struct Picture {
  std::uint32_t height = 0, width = 0;
  std::vector<std::uint8_t> pixels = {};
};

/// The pixels of a file as libpng reads them.
Picture read_png(const std::string& path, std::uint32_t format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_file(&image, path.c_str())) return {};
  EXPECT_EQ(image.format, format);
  Picture picture{image.height, image.width, std::vector<std::uint8_t>(PNG_IMAGE_SIZE(image))};
  png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr);
  return picture;
}

Tensor numbered(const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, uint8);
  for (std::int64_t i = 0; i < tensor.numel(); ++i) tensor.mutable_data<std::uint8_t>()[i] = std::uint8_t(1 + i);
  return tensor;
}

TEST(Png, IsWrittenAtOnceInTheMiddleOfATrace) {
  const Folder folder;
  const auto f = autodiff::function([&](const Tensor& x) {
    write_png(folder.path("a.png"), numbered({2, 3}));
    return x + 1.0f;
  });
  f(constant(1.0f));
  EXPECT_EQ(read_png(folder.path("a.png"), PNG_FORMAT_GRAY).pixels, (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6}));
}

TEST(Png, KeepsEveryPixelOfGreyAndColouredImages) {
  const Folder folder;
  for (const Shape& shape : {Shape{3, 5}, Shape{3, 5, 1}, Shape{3, 5, 3}}) {
    write_png(folder.path("a.png"), numbered(shape));
    const Picture picture = read_png(folder.path("a.png"), shape.ndim() == 3 && shape[2] == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY);
    EXPECT_EQ(picture.height, 3u);
    EXPECT_EQ(picture.width, 5u);
    EXPECT_EQ(picture.pixels, numbered(shape).to_vector<std::uint8_t>());
  }
}

TEST(Png, RefusesWhatIsNoImage) {
  const Folder folder;
  EXPECT_THROW(write_png(folder.path("a.png"), zeros({2, 2})), TypeError);
  EXPECT_THROW(write_png(folder.path("a.png"), zeros({2, 2, 2}, uint8)), InvalidArgumentError);
  EXPECT_THROW(write_png(folder.path("a.png"), zeros({4}, uint8)), InvalidArgumentError);
  EXPECT_THROW(write_png(folder.path("a.png"), zeros({0, 4}, uint8)), InvalidArgumentError);
  EXPECT_THROW(write_png(folder.path("no/such/a.png"), zeros({2, 2}, uint8)), NotFoundError);
}

TEST(ImageGrid, LaysImagesOutRowByRowWithAMargin) {
  const Tensor grid = image_grid(numbered({3, 1, 2}), {.columns = 2, .margin = 1, .background = 0});
  EXPECT_EQ(grid.shape(), (Shape{5, 7}));
  EXPECT_EQ(grid.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{
                                                0, 0, 0, 0, 0, 0, 0,
                                                0, 1, 2, 0, 3, 4, 0,
                                                0, 0, 0, 0, 0, 0, 0,
                                                0, 5, 6, 0, 0, 0, 0,
                                                0, 0, 0, 0, 0, 0, 0}));
}

TEST(ImageGrid, KeepsChannelsAndIsAboutSquareByItself) {
  EXPECT_EQ(image_grid(numbered({10, 4, 3, 3}), {.margin = 0}).shape(), (Shape{12, 12, 3}));
  EXPECT_EQ(image_grid(numbered({1, 1, 1, 3}), {.margin = 1}).to_vector<std::uint8_t>()[12], 1);
  EXPECT_THROW(image_grid(zeros({0, 4, 4}, uint8)), InvalidArgumentError);
}

TEST(ConfusionMatrix, AlignsNamesCountsAndShares) {
  EXPECT_EQ(format_confusion_matrix(constant({{950, 50}, {3, 7}}), {"T-shirt/top", "Bag"}),
            "true \\ predicted  T-shirt/       Bag    right\n"
            "T-shirt/top            950        50   95.0 %\n"
            "Bag                      3         7   70.0 %\n");
}

TEST(ConfusionMatrix, NumbersClassesWithoutNamesAndLeavesOutTheShareOfNone) {
  EXPECT_EQ(format_confusion_matrix(constant({{0, 0}, {12345, 1}}, int64)),
            "true \\ predicted      0      1    right\n"
            "0                     0      0        -\n"
            "1                 12345      1    0.0 %\n");
}

TEST(ConfusionMatrix, CountsCharactersOfNamesNotBytes) {
  EXPECT_EQ(format_confusion_matrix(constant({{1}}), {"\xC3\xA4\xC3\xB6\xC3\xBC"}),
            "true \\ predicted  \xC3\xA4\xC3\xB6\xC3\xBC    right\n"
            "\xC3\xA4\xC3\xB6\xC3\xBC                 1  100.0 %\n");
}

TEST(ConfusionMatrix, RefusesWhatIsNone) {
  EXPECT_THROW(format_confusion_matrix(zeros({2, 3}, int32)), InvalidArgumentError);
  EXPECT_THROW(format_confusion_matrix(zeros({2, 2})), TypeError);
  EXPECT_THROW(format_confusion_matrix(zeros({2, 2}, int32), {"one"}), InvalidArgumentError);
  EXPECT_THROW(format_confusion_matrix(constant({{-1}})), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep::io
