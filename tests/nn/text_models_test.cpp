// Layers of words and categories inside traced functions and models, as Keras has them there.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep::nn {
namespace {

using autodiff::function;
using Words = std::vector<std::string>;

/// Traced, a layer gives what it gives by itself.
template <class L>
void expect_traced(L layer, const Tensor& x, const std::string& what) {
  const Tensor eager = layer(x);
  const Tensor traced = function([&](const Tensor& y) { return layer(y); })(x);
  ASSERT_EQ(traced.spec(), eager.spec()) << what;
  if (eager.dtype() == string) EXPECT_EQ(traced.to_vector<std::string>(), eager.to_vector<std::string>()) << what;
  else EXPECT_TRUE(reduce_all(equal(traced, eager)).template item<bool>()) << what << "\n" << array_to_string(traced) << "\n" << array_to_string(eager);
}

TEST(TracedLookup, OfStringsIsTheEagerOne) {
  const Words vocabulary{"a", "bb", "ccc"};
  const Tensor words = constant({{"a", "zz", ""}, {"ccc", "a", "[UNK]"}});
  expect_traced(StringLookup({.vocabulary = vocabulary}), words, "int");
  expect_traced(StringLookup({.num_oov_indices = 3, .mask_token = "", .vocabulary = vocabulary}), words, "several for unknown ones");
  expect_traced(StringLookup({.num_oov_indices = 2, .vocabulary = vocabulary, .salt = Ints{3, 4}}), words, "salted");
  for (const char* mode : {"multi_hot", "count"}) expect_traced(StringLookup({.mask_token = "", .vocabulary = vocabulary, .output_mode = mode}), words, mode);
  expect_traced(StringLookup({.vocabulary = vocabulary, .output_mode = "one_hot", .pad_to_max_tokens = false}), constant({"a", "q"}), "one_hot");
  expect_traced(StringLookup({.vocabulary = vocabulary, .output_mode = "tf_idf", .idf_weights = std::vector<double>{0.5, 0.25, 2}}), words, "tf_idf");
  expect_traced(StringLookup({.mask_token = "", .vocabulary = vocabulary, .invert = true}), constant({{0, 1, 2}, {4, 7, -1}}), "the way back");
}

TEST(TracedLookup, OfNumbersIsTheEagerOne) {
  const Tensor numbers = constant({{12, 0, 7}, {1138, 42, 42}});
  for (const char* method : {"floormod", "farmhash"})
    expect_traced(IntegerLookup({.num_oov_indices = 4, .mask_token = 0, .vocabulary = Ints{42, 12, 1138}, .oov_method = method}), numbers, method);
  expect_traced(IntegerLookup({.vocabulary = Ints{42, 12}, .output_mode = "multi_hot"}), numbers, "multi_hot");
  expect_traced(IntegerLookup({.vocabulary = Ints{42, 12}, .invert = true}), constant({0, 1, 2, 5}), "the way back");
}

TEST(TracedLookup, RefusesUnknownStringsWhereThereIsNoPlaceForThem) {
  StringLookup lookup({.num_oov_indices = 0, .mask_token = "", .vocabulary = Words{"a", "b"}});
  const auto f = function([&](const Tensor& x) { return lookup(x); });
  EXPECT_EQ(f(constant({"b", "", "a"})).to_vector<std::int64_t>(), (std::vector<std::int64_t>{2, 0, 1}));
  EXPECT_THROW(f(constant({"b", "c", "a"})), InvalidArgumentError);
}

TEST(TracedLookup, KeepsTheVocabularyItWasTracedWith) {
  StringLookup lookup;
  lookup.set_vocabulary({"a", "b"});
  const auto f = function([&](const Tensor& x) { return lookup(x); });
  EXPECT_EQ(f(constant({"b"})).item<std::int64_t>(), 2);
  lookup.set_vocabulary({"b"});
  EXPECT_EQ(f(constant({"b"})).item<std::int64_t>(), 2) << "until it is traced anew, as in Keras";
  EXPECT_EQ(lookup(constant({"b"})).item<std::int64_t>(), 1);
}

TEST(TracedLookup, OfRowsOfWordsIsTheEagerOne) {
  StringLookup lookup({.mask_token = "", .vocabulary = Words{"a", "bb"}}), counts({.mask_token = "", .vocabulary = Words{"a", "bb"}, .output_mode = "count"});
  const Tensor lines = constant({"a q bb a", "", "bb"});
  const auto numbers = function([&](const Tensor& x) { return lookup(strings::split(x)); });
  EXPECT_EQ(to_string(numbers(lines)), to_string(lookup(strings::split(lines))));
  const auto counted = function([&](const Tensor& x) { return counts.encode(strings::split(x)) * 2; });
  EXPECT_EQ(counted(lines).to_vector<std::int64_t>(), (counts.encode(strings::split(lines)) * 2).to_vector<std::int64_t>());
}

TEST(TracedText, IsTheEagerOne) {
  const Words vocabulary{"the", "cat", "sat"};
  const Tensor texts = constant({{"The cat sat, on THE mat!"}, {""}, {"cat"}});
  using Text = TextVectorization;
  expect_traced(Text({.output_sequence_length = 4, .vocabulary = vocabulary}), texts, "int");
  expect_traced(Text({.vocabulary = vocabulary}), texts, "as long as the longest");
  for (const char* mode : {"multi_hot", "count"}) expect_traced(Text({.output_mode = mode, .vocabulary = vocabulary}), texts, mode);
  expect_traced(Text({.output_mode = "tf_idf", .vocabulary = vocabulary, .idf_weights = std::vector<double>{1, 2, 3}}), texts, "tf_idf");
  expect_traced(Text({.ngrams = Ints{2}, .output_sequence_length = 5, .vocabulary = Words{"the", "the cat", "cat"}}), texts, "n-grams");
  expect_traced(Text({.standardize = std::nullopt, .split = "character", .output_sequence_length = 6, .vocabulary = Words{"a", "c", "t"}}), texts, "characters");
  expect_traced(Text({.split = std::nullopt, .output_sequence_length = 1, .vocabulary = Words{"cat"}}), texts, "whole texts");
}

TEST(TracedHashing, IsTheEagerOne) {
  const Tensor words = constant({{"a"}, {""}, {"ccc"}}), numbers = constant({{1}, {22}, {-3}});
  for (const Tensor& x : {words, numbers}) {
    expect_traced(Hashing({.num_bins = 7}), x, "int");
    expect_traced(Hashing({.num_bins = 5, .output_mode = "one_hot"}), x, "one_hot");
  }
  expect_traced(Hashing({.num_bins = 7, .mask_value = "", .salt = Ints{133}}), words, "masked and salted");
  expect_traced(Hashing({.num_bins = 7, .mask_value = 22}), numbers, "masked");
  HashedCrossing crossing({.num_bins = 11, .output_mode = "one_hot"});
  const auto f = function([&](const Tensor& a, const Tensor& b) { return crossing({a, b})[0]; });
  EXPECT_EQ(f(words, numbers).to_vector<float>(), crossing({words, numbers})[0].to_vector<float>());
}

TEST(TracedCategories, AreTheEagerOnes) {
  expect_traced(CategoryEncoding({.num_tokens = 4, .output_mode = "count"}), constant({{1, 3, 1}, {0, 2, 2}}), "count");
  expect_traced(Discretization({.bin_boundaries = std::vector<double>{0, 1, 2}, .output_mode = "one_hot"}), constant({-1.f, 0.5f, 9.f}), "bins");
}

/// Which of two words stand in a text: the first makes it 1, the second 0.
struct Reviews {
  Tensor texts, labels;
  explicit Reviews(int count) {
    std::vector<std::string> lines;
    std::vector<float> values;
    const Words fillers{"the", "film", "was", "quite", "rather"};
    for (int i = 0; i < count; ++i) {
      const bool good = i * 7 % 3 != 0;
      lines.push_back(fillers[std::size_t(i % 5)] + " " + fillers[std::size_t(i / 5 % 5)] + (good ? " Good!" : " bad.") + (i % 4 ? " " + fillers[std::size_t(i / 2 % 5)] : ""));
      values.push_back(good);
    }
    texts = constant(lines, Shape{count, 1});
    labels = constant(values, Shape{count, 1});
  }
};

Functional review_model(const Reviews& reviews) {
  const auto text = std::make_shared<TextVectorization>(TextVectorization::Options{.output_sequence_length = 6});
  text->adapt(reviews.texts);
  const Symbol in = input({1}, {.dtype = string, .name = "texts"});
  const Symbol out = in >> text >> Embedding({.input_dim = 12, .output_dim = 4, .name = "words"}) >> GlobalAveragePooling1D() >> Dense(1, "sigmoid");
  Functional model({in}, {out});
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.1}), .loss = "binary_crossentropy", .metrics = {"accuracy"}});
  return model;
}

TEST(TextModel, TrainsOnStrings) {
  const Reviews reviews(60);
  Functional model = review_model(reviews);
  const History history = model.fit(reviews.texts, reviews.labels, {.batch_size = 16, .epochs = 12, .verbose = 0, .validation_data = {reviews.texts, reviews.labels}, .seed = 1});
  EXPECT_LT(history.history.at("loss").back(), 0.1);
  EXPECT_EQ(model.evaluate(reviews.texts, reviews.labels, {.verbose = 0}).at("accuracy"), 1.0);
  const Tensor scores = model.predict(constant(Words{"it was GOOD", "bad"}, Shape{2, 1}), {.verbose = 0});
  EXPECT_GT(scores.data<float>()[0], 0.5f);
  EXPECT_LT(scores.data<float>()[1], 0.5f);
  EXPECT_TRUE(reduce_all(less(abs(scores - model(constant(Words{"it was GOOD", "bad"}, Shape{2, 1}))), scalar(1e-6, float32))).item<bool>());
}

TEST(TextModel, TrainsOnNumbersAsOnTheStringsTheyCameFrom) {
  const Reviews reviews(40);
  Functional strings_in = review_model(reviews);
  TextVectorization& text = dynamic_cast<TextVectorization&>(*strings_in.layers()[1]);
  Sequential numbers_in({InputLayer({.shape = {6}, .dtype = int64}), Embedding({.input_dim = 12, .output_dim = 4}), GlobalAveragePooling1D(), Dense(1, "sigmoid")});
  numbers_in.set_weights(strings_in.get_weights());
  numbers_in.compile({.optimizer = optim::Adam({.learning_rate = 0.1}), .loss = "binary_crossentropy"});
  strings_in.fit(reviews.texts, reviews.labels, {.batch_size = 16, .epochs = 3, .verbose = 0, .seed = 5});
  numbers_in.fit(text(reviews.texts), reviews.labels, {.batch_size = 16, .epochs = 3, .verbose = 0, .seed = 5});
  const auto a = strings_in.get_weights(), b = numbers_in.get_weights();
  // The two are fused differently, so the last digits may be others.
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_LE(reduce_max(abs(a[i] - b[i])).item<float>(), 1e-6f) << i;
}

TEST(TextModel, TrainsInShardsOnStrings) {
  const Reviews reviews(64);
  Functional whole = review_model(reviews), shards = review_model(reviews);
  shards.set_weights(whole.get_weights());
  whole.fit(reviews.texts, reviews.labels, {.batch_size = 16, .epochs = 2, .verbose = 0, .seed = 2});
  shards.fit(reviews.texts, reviews.labels, {.batch_size = 16, .epochs = 2, .verbose = 0, .seed = 2, .shards = 4});
  const auto a = whole.get_weights(), b = shards.get_weights();
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto x = a[i].to_vector<float>(), y = b[i].to_vector<float>();
    for (std::size_t k = 0; k < x.size(); ++k) EXPECT_NEAR(x[k], y[k], 2e-4);
  }
}

TEST(TextModel, ComesBackFromItsConfiguration) {
  const Reviews reviews(30);
  Functional model = review_model(reviews);
  Functional again;
  configure(again, Json::parse(model.config().dump()));
  again.set_weights(model.get_weights());
  EXPECT_EQ(again(reviews.texts).to_vector<float>(), model(reviews.texts).to_vector<float>());
  EXPECT_EQ(again.config(), model.config());
}

TEST(TextModel, OfALookupTrainsSequentially) {
  const Words colors{"red", "green", "blue"};
  std::vector<std::string> words;
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 48; ++i) words.push_back(colors[std::size_t(i * i % 3)]), labels.push_back(i * i % 3);
  Sequential model({InputLayer({.shape = {1}, .dtype = string}), StringLookup({.vocabulary = colors}), Embedding({.input_dim = 4, .output_dim = 3}), Flatten(), Dense(3, "softmax")});
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.1}), .loss = "sparse_categorical_crossentropy", .metrics = {"accuracy"}});
  model.fit(constant(words, Shape{48, 1}), constant(labels), {.batch_size = 12, .epochs = 15, .verbose = 0, .seed = 1});
  EXPECT_EQ(model.evaluate(constant(words, Shape{48, 1}), constant(labels), {.verbose = 0}).at("accuracy"), 1.0);
}

TEST(TextModel, NeedsToKnowHowLongRowsAre) {
  const auto text = std::make_shared<TextVectorization>(TextVectorization::Options{.vocabulary = Words{"a"}});
  const std::string message = message_of<UnimplementedError>([&] { input({1}, {.dtype = string}) >> text; });
  EXPECT_NE(message.find("depends on data"), std::string::npos) << message;
}

}  // namespace
}  // namespace lockstep::nn
