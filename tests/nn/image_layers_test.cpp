// Layers that prepare and augment images.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>
#include <lockstep/dist/replica.h>

namespace lockstep::nn {
namespace {

Tensor pictures(const Shape& shape) { return random::uniform_from(constant(std::vector<std::int64_t>{11, 0}), shape, 0.0, 255.0, float32); }
const CallOptions kTraining{.training = true};

TEST(Resizing, CropsOrPadsToTheAspectRatioIfAsked) {
  const Tensor x = pictures({2, 4, 8, 3});
  EXPECT_EQ(Resizing(6, 5)(x).shape(), (Shape{2, 6, 5, 3}));
  Resizing crops({.height = 2, .width = 2, .interpolation = "nearest", .crop_to_aspect_ratio = true});
  EXPECT_EQ(crops(x).to_vector<float>(), image::resize(image::crop_to_bounding_box(x, 0, 2, 4, 4), {2, 2}, {.method = "nearest"}).to_vector<float>());
  Resizing pads({.height = 8, .width = 8, .interpolation = "nearest", .pad_to_aspect_ratio = true, .fill_value = 7});
  EXPECT_EQ(reduce_mean(slice(pads(x), {0, 0, 0, 0}, {2, 2, 8, 3})).item<float>(), 7);
  EXPECT_THROW(Resizing({.height = 2, .width = 2, .crop_to_aspect_ratio = true, .pad_to_aspect_ratio = true}), InvalidArgumentError);
  EXPECT_THROW(Resizing(0, 2), InvalidArgumentError);
}

TEST(Resizing, KeepsIntegersAndTheFormatOfChannels) {
  EXPECT_EQ(Resizing(2, 2)(cast(pictures({1, 4, 4, 3}), uint8)).dtype(), uint8);
  Resizing first({.height = 2, .width = 5, .data_format = "channels_first"});
  EXPECT_EQ(first(pictures({1, 3, 4, 4})).shape(), (Shape{1, 3, 2, 5}));
}

TEST(CenterCrop, TakesTheMiddleOrResizesTheMiddleWindow) {
  const Tensor x = pictures({2, 6, 8, 1});
  EXPECT_EQ(CenterCrop(2, 4)(x).to_vector<float>(), image::crop_to_bounding_box(x, 2, 2, 2, 4).to_vector<float>());
  EXPECT_EQ(CenterCrop(12, 12)(x).to_vector<float>(), image::resize(image::crop_to_bounding_box(x, 0, 1, 6, 6), {12, 12}).to_vector<float>());
}

TEST(RandomLayers, KeepImagesAsTheyAreOutsideOfTraining) {
  const Tensor x = pictures({3, 6, 6, 3});
  EXPECT_EQ(RandomFlip()(x).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(RandomContrast(0.5)(x).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(RandomBrightness(0.5)(x).to_vector<float>(), x.to_vector<float>());
  EXPECT_EQ(RandomCrop(6, 6)(x).to_vector<float>(), x.to_vector<float>());
}

TEST(RandomLayers, StayWithinTheRangeOfValues) {
  const Tensor x = pictures({20, 6, 6, 1});
  for (const Tensor& y : {RandomContrast(1.0)(x, kTraining), RandomBrightness(1.0)(x, kTraining)}) {
    EXPECT_NE(y.to_vector<float>(), x.to_vector<float>());
    EXPECT_GE(reduce_min(y).item<float>(), 0);
    EXPECT_LE(reduce_max(y).item<float>(), 255);
  }
}

TEST(RandomLayers, RepeatBySeedAndDrawAnewAtEachCall) {
  const Tensor x = pictures({8, 6, 6, 1});
  RandomFlip a({.seed = 4}), b({.seed = 4});
  const auto first = a(x, kTraining).to_vector<float>();
  EXPECT_EQ(b(x, kTraining).to_vector<float>(), first);
  EXPECT_NE(a(x, kTraining).to_vector<float>(), first);
}

/// Four replicas with their parts of a batch change it as one process does with all of it.
TEST(RandomLayers, DoNotDependOnHowABatchIsDivided) {
  const Tensor x = pictures({12, 6, 6, 3});
  const auto check = [&](auto make) {
    auto whole = make();
    const Tensor expected = whole(x, kTraining);
    std::vector<Tensor> parts;
    for (int index = 0; index < 4; ++index) {
      const dist::Replica replica{.count = 4, .index = index, .rows = 3, .first_row = 3 * index, .global_rows = 12};
      const dist::ReplicaScope scope(&replica);
      auto part = make();
      parts.push_back(part(slice(x, {3 * index, 0, 0, 0}, {3, 6, 6, 3}), kTraining));
    }
    EXPECT_EQ(concat(parts, 0).to_vector<float>(), expected.to_vector<float>());
  };
  check([] { return RandomFlip({.seed = 1}); });
  check([] { return RandomCrop({.height = 3, .width = 4, .seed = 1}); });
  check([] { return RandomBrightness({.factor = 0.5, .seed = 1}); });
  check([] { return RandomContrast({.factor = 0.5, .seed = 1}); });
}

TEST(RandomLayers, TrainTracedAsPartOfAModel) {
  random::set_seed(1);
  Sequential model({InputLayer({8, 8, 1}), RandomFlip("horizontal"), RandomCrop(6, 6), RandomContrast(0.2), Flatten(), Dense(2, "softmax")});
  model.compile({.optimizer = "sgd", .loss = "sparse_categorical_crossentropy"});
  model.fit(pictures({32, 8, 8, 1}) / 255.0, cast(range(0, 32) - range(0, 32), int32), {.epochs = 2, .verbose = 0});
  EXPECT_EQ(model.predict(pictures({3, 8, 8, 1}), {.verbose = 0}).shape(), (Shape{3, 2}));
}

TEST(RandomLayers, AreRefusedWithFactorsOutOfBounds) {
  EXPECT_THROW(RandomContrast(1.5), InvalidArgumentError);
  EXPECT_THROW(RandomBrightness({.factor = {-2, 0.5}}), InvalidArgumentError);
  EXPECT_THROW(RandomBrightness({.value_range = {1, 1}}), InvalidArgumentError);
  EXPECT_THROW(RandomFlip("diagonal"), InvalidArgumentError);
  EXPECT_THROW(RandomCrop(-1, 3), InvalidArgumentError);
  EXPECT_THROW(RandomFlip()(zeros({2, 2})), InvalidArgumentError);
}

TEST(RandomLayers, ReadWhatKerasWrites) {
  const Json contrast = Json::parse(R"({"name": "c", "trainable": true, "dtype": "float32", "data_format": "channels_last", "factor": [0, 0.2], "value_range": [0, 255], "seed": null})");
  RandomContrast layer;
  configure(layer, contrast);
  EXPECT_EQ(layer.config()["factor"], Json::parse("[0.0, 0.2]"));
}

}  // namespace
}  // namespace lockstep::nn
