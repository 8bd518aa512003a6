// Images: what sizes, boxes and colours do at their edges, and random changes by their keys.

#include <gtest/gtest.h>

#include <cmath>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

Tensor key(std::int64_t stream) { return constant(std::vector<std::int64_t>{7, stream}); }
Tensor noise(const Shape& shape, DType dtype = float32) { return random::uniform_from(key(0), shape, 0.0, 1.0, dtype); }
double distance(const Tensor& a, const Tensor& b) { return cast(reduce_max(abs(a - b)), float64).item<double>(); }

TEST(Resize, ToTheSameSizeChangesNothing) {
  const Tensor x = noise({2, 5, 7, 3});
  for (const char* method : {"bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5"})
    for (const bool antialias : {false, true}) EXPECT_LT(distance(image::resize(x, {5, 7}, {.method = method, .antialias = antialias}), x), 1e-6) << method;
}

TEST(Resize, KeepsAConstantImageConstant) {
  for (const char* method : {"bilinear", "nearest", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"})
    for (const bool antialias : {false, true}) {
      const Tensor y = image::resize(full({6, 5, 1}, 0.25, float32), {13, 2}, {.method = method, .antialias = antialias});
      EXPECT_LT(distance(y, full({13, 2, 1}, 0.25, float32)), 1e-6) << method;
    }
}

TEST(Resize, GivesFloatsButByNearestTheDtypeItGot) {
  const Tensor x = zeros({3, 3, 1}, uint8);
  EXPECT_EQ(image::resize(x, {2, 2}).dtype(), float32);
  EXPECT_EQ(image::resize(x, {2, 2}, {.method = "nearest"}).dtype(), uint8);
  EXPECT_EQ(image::resize(zeros({3, 3, 1}, float64), {2, 2}).dtype(), float64);
}

TEST(Resize, RefusesWhatIsNoSize) {
  const Tensor x = zeros({3, 3, 1});
  EXPECT_THROW(image::resize(x, {0, 2}), InvalidArgumentError);
  EXPECT_THROW(image::resize(x, {2}), InvalidArgumentError);
  EXPECT_THROW(image::resize(x, {2, 2}, {.method = "cubic"}), InvalidArgumentError);
  EXPECT_THROW(image::resize(zeros({0, 3, 1}), {2, 2}), InvalidArgumentError);
  EXPECT_THROW(image::resize(zeros({3, 3}), {2, 2}), InvalidArgumentError);
  EXPECT_THROW(image::resize(zeros({1, 1000, 1}), {9, 9}, {.preserve_aspect_ratio = true}), InvalidArgumentError);  // 0 pixels high
}

TEST(Crop, RefusesBoxesThatReachBeyondTheImage) {
  const Tensor x = zeros({4, 5, 1});
  EXPECT_THROW(image::crop_to_bounding_box(x, 2, 0, 3, 5), InvalidArgumentError);
  EXPECT_THROW(image::crop_to_bounding_box(x, -1, 0, 3, 5), InvalidArgumentError);
  EXPECT_THROW(image::crop_to_bounding_box(x, 0, std::int64_t(1) << 62, 3, 5), InvalidArgumentError);
  EXPECT_THROW(image::pad_to_bounding_box(x, 0, 1, 4, 5), InvalidArgumentError);
  EXPECT_THROW(image::central_crop(x, 0), InvalidArgumentError);
  EXPECT_THROW(image::central_crop(x, NAN), InvalidArgumentError);
}

TEST(Rot90, FourTimesIsTheImageAgain) {
  const Tensor x = noise({2, 3, 4, 1});
  Tensor y = x;
  for (int i = 0; i < 4; ++i) y = image::rot90(y);
  EXPECT_EQ(y.to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(image::rot90(x, -1).to_vector<float>(), image::rot90(x, 3).to_vector<float>());
}

TEST(Colours, ComeBackFromEverySpace) {
  const Tensor x = noise({6, 5, 3});
  EXPECT_LT(distance(image::hsv_to_rgb(image::rgb_to_hsv(x)), x), 1e-6);
  EXPECT_LT(distance(image::yuv_to_rgb(image::rgb_to_yuv(x)), x), 1e-5);
  EXPECT_LT(distance(image::yiq_to_rgb(image::rgb_to_yiq(x)), x), 1e-4);  // (of numbers with few digits)
  EXPECT_THROW(image::rgb_to_hsv(zeros({2, 2, 1})), InvalidArgumentError);
  EXPECT_THROW(image::adjust_hue(x, 1.5), InvalidArgumentError);
}

TEST(Colours, AreClippedNotWrappedInIntegers) {
  const Tensor x = cast(constant({200, 250, 3}), uint8);
  EXPECT_EQ(image::adjust_brightness(x, 0.2).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{251, 255, 54}));
  EXPECT_EQ(image::convert_image_dtype(constant({-0.5f, 2.0f}), uint8, true).to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 255}));
  EXPECT_EQ(image::convert_image_dtype(constant({2.0f}), int64, true).to_vector<std::int64_t>()[0], std::int64_t(9223371487098961920));
  EXPECT_THROW(image::convert_image_dtype(x, boolean), TypeError);
}

TEST(NonMaxSuppression, KeepsTheBestOfWhatOverlaps) {
  const Tensor boxes = constant({{0.f, 0.f, 1.f, 1.f}, {0.f, 0.1f, 1.f, 1.1f}, {0.f, 10.f, 1.f, 11.f}, {1.f, 11.f, 0.f, 10.f}}), scores = constant({0.5f, 0.9f, 0.3f, 0.3f});
  EXPECT_EQ(image::non_max_suppression(boxes, scores, 10).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(image::non_max_suppression(boxes, scores, 1).to_vector<std::int32_t>(), (std::vector<std::int32_t>{1}));
  EXPECT_EQ(image::non_max_suppression(boxes, scores, 0).shape(), (Shape{0}));
  EXPECT_EQ(image::non_max_suppression(boxes, constant({NAN, NAN, NAN, NAN}), 4).shape(), (Shape{0}));
  EXPECT_THROW(image::non_max_suppression(boxes, scores, -1), InvalidArgumentError);
  EXPECT_THROW(image::non_max_suppression(boxes, constant({0.5f}), 1), InvalidArgumentError);
}

TEST(DrawBoundingBoxes, LeavesOutWhatLiesOutside) {
  const Tensor x = zeros({1, 3, 3, 1}), white = ones({1, 1});
  const auto drawn = [&](std::vector<float> box) { return image::draw_bounding_boxes(x, constant(box, {1, 1, 4}), white).to_vector<float>(); };
  EXPECT_EQ(drawn({0, 0, 1, 1}), (std::vector<float>{1, 1, 1, 1, 0, 1, 1, 1, 1}));
  EXPECT_EQ(drawn({-1, 0.5f, 0.5f, 9}), (std::vector<float>{0, 1, 0, 0, 1, 1, 0, 0, 0}));
  EXPECT_EQ(drawn({5, 5, 6, 6}), std::vector<float>(9));
  EXPECT_EQ(drawn({NAN, INFINITY, -INFINITY, 1e30f}), std::vector<float>(9));
}

// ---- random changes

TEST(RandomImages, AreAFunctionOfTheKeyAlone) {
  const Tensor x = noise({6, 5, 4, 3});
  for (const auto& change : {+[](const Tensor& y, const Tensor& k) { return image::random_flip_left_right(y, k); }, +[](const Tensor& y, const Tensor& k) { return image::random_flip_up_down(y, k); },
                             +[](const Tensor& y, const Tensor& k) { return image::random_crop(y, {3, 2}, k); }, +[](const Tensor& y, const Tensor& k) { return image::random_brightness(y, 0.3, k); },
                             +[](const Tensor& y, const Tensor& k) { return image::random_contrast(y, 0.5, 2, k); }, +[](const Tensor& y, const Tensor& k) { return image::random_hue(y, 0.2, k); },
                             +[](const Tensor& y, const Tensor& k) { return image::random_saturation(y, 0.2, 3, k); }}) {
    EXPECT_EQ(change(x, key(1)).to_vector<float>(), change(x, key(1)).to_vector<float>());
    EXPECT_NE(change(x, key(1)).to_vector<float>(), change(x, key(2)).to_vector<float>());
    // Images 4 and 5 of the batch alone, counted from 4 on: changed as within it.
    const Tensor part = change(slice(x, {4, 0, 0, 0}, {2, 5, 4, 3}), constant(std::vector<std::int64_t>{7, 1, 4})), whole = change(x, key(1));
    Ints size(whole.shape().begin(), whole.shape().end());
    size[0] = 2;
    EXPECT_LT(distance(part, slice(whole, {4, 0, 0, 0}, size)), 1e-6);
  }
}

TEST(RandomImages, ChangeEachImageOfABatchItsOwnWay) {
  const Tensor row = reshape(range(0, 40, 1, float32), {1, 1, 40, 1});
  const Tensor x = tile(row, {200, 1, 1, 1});
  const auto first = slice(image::random_crop(x, {1, 5}, key(3)), {0, 0, 0, 0}, {200, 1, 1, 1}).to_vector<float>();
  EXPECT_EQ(*std::min_element(first.begin(), first.end()), 0);
  EXPECT_EQ(*std::max_element(first.begin(), first.end()), 35);
  const auto flipped = slice(image::random_flip_left_right(x, key(4)), {0, 0, 0, 0}, {200, 1, 1, 1}).to_vector<float>();
  const auto count = std::count(flipped.begin(), flipped.end(), 39.f);
  EXPECT_GT(count, 70);
  EXPECT_LT(count, 130);
  EXPECT_EQ(count + std::count(flipped.begin(), flipped.end(), 0.f), 200);
}

TEST(RandomImages, DrawAnewFromTheGlobalGenerator) {
  random::set_seed(5);
  const Tensor x = noise({8, 4, 4, 1});
  const auto first = image::random_brightness(x, 0.5).to_vector<float>(), second = image::random_brightness(x, 0.5).to_vector<float>();
  EXPECT_NE(first, second);
  random::set_seed(5);
  EXPECT_EQ(image::random_brightness(x, 0.5).to_vector<float>(), first);
}

TEST(RandomImages, RefuseBoundsAndSizesThatAreNone) {
  const Tensor x = zeros({2, 4, 4, 3});
  EXPECT_THROW(image::random_crop(x, {5, 1}), InvalidArgumentError);
  EXPECT_THROW(image::random_contrast(x, 2, 1), InvalidArgumentError);
  EXPECT_THROW(image::random_contrast(x, -1, 1), InvalidArgumentError);
  EXPECT_THROW(image::random_brightness(x, -1), InvalidArgumentError);
  EXPECT_THROW(image::random_hue(x, 0.7), InvalidArgumentError);
  EXPECT_THROW(image::random_flip_left_right(zeros({2, 2})), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep
