// Layers that learn from data before training; the values are Keras's.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/hashing.h>
#include <lockstep/nn/layers/lookup.h>
#include <lockstep/nn/layers/preprocessing.h>
#include <lockstep/nn/layers/text.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

using Words = std::vector<std::string>;
using Places = std::vector<std::int64_t>;

Places places(const Tensor& x) { return x.to_vector<std::int64_t>(); }

/// Rows of a tensor, a few at a time.
class Batches final : public BatchSource {
 public:
  Batches(Tensor rows, std::int64_t size) : rows_(std::move(rows)), size_(size) {}
  bool next(Tensors& batch) override {
    if (state_.offset * size_ >= rows_.shape()[0]) return state_ = {state_.epoch + 1, 0}, false;
    batch = {rows_[slice(state_.offset * size_, std::min(rows_.shape()[0], (state_.offset + 1) * size_))]};
    ++state_.offset;
    return true;
  }
  DatasetState state() const override { return state_; }
  void restore(const DatasetState& state) override { state_ = state; }
  std::int64_t cardinality() const override { return kUnknown; }

 private:
  Tensor rows_;
  std::int64_t size_;
  DatasetState state_;
};

TEST(StringLookup, LearnsTheMostFrequentTokensAndTheLargerOnesFirst) {
  StringLookup lookup;
  lookup.adapt(constant({"the", "cat", "sat", "the", "dog", "cat", "the"}));
  EXPECT_EQ(lookup.get_vocabulary(), (Words{"[UNK]", "the", "cat", "sat", "dog"}));
  EXPECT_EQ(places(lookup(constant({"cat", "bird", "dog"}))), (Places{2, 0, 4}));
  StringLookup limited({.max_tokens = 3, .mask_token = ""});
  limited.adapt(constant({"the", "cat", "sat", "the", "dog", "cat", "the"}));
  EXPECT_EQ(limited.get_vocabulary(), (Words{"", "[UNK]", "the"}));
  EXPECT_EQ(places(limited(constant({"cat", "bird", "dog", "", "the"}))), (Places{1, 1, 1, 0, 2}));
}

TEST(StringLookup, SpreadsUnknownTokensByTheirHash) {
  const Tensor tokens = constant({"a", "b", "c", "dd", "eee", "ffff"});
  EXPECT_EQ(places(StringLookup({.num_oov_indices = 3, .vocabulary = Words{"a", "b"}})(tokens)), (Places{3, 4, 1, 1, 0, 0}));
  EXPECT_EQ(places(StringLookup({.num_oov_indices = 3, .vocabulary = Words{"a", "b"}, .salt = Ints{7}})(tokens)), (Places{3, 4, 1, 1, 2, 1}));
  EXPECT_THROW(StringLookup({.num_oov_indices = 0, .vocabulary = Words{"a"}})(tokens), InvalidArgumentError);
}

TEST(StringLookup, EncodesRowsWithoutTheMask) {
  StringLookup lookup({.mask_token = "", .vocabulary = Words{"a", "b"}, .output_mode = "multi_hot"});
  EXPECT_EQ(places(lookup(constant({{"a", "", "z"}, {"b", "a", ""}}))), (Places{1, 1, 0, 0, 1, 1}));
  const RaggedTensor rows = RaggedTensor::from_row_splits(constant({"a", "b", "a"}), constant(Places{0, 1, 1, 3}));
  EXPECT_EQ(places(lookup.encode(rows)), (Places{0, 1, 0, 0, 0, 0, 0, 1, 1}));
}

TEST(StringLookup, FindsTheWayBack) {
  StringLookup lookup({.vocabulary = Words{"a", "b"}, .invert = true});
  EXPECT_EQ(lookup(constant({0, 1, 2, 9})).to_vector<std::string>(), (Words{"[UNK]", "a", "b", "[UNK]"}));
}

TEST(StringLookup, WeighsTokensByTheDocumentsThatHaveThem) {
  StringLookup lookup({.output_mode = "tf_idf"});
  lookup.adapt(constant({{"a", "b", "a"}, {"a", "c", "d"}, {"c", "c", "c"}}));
  EXPECT_EQ(lookup.get_vocabulary(), (Words{"[UNK]", "c", "a", "d", "b"}));
  const std::vector<float> expected{0.8047189712524414f, 0, 1.3862943649291992f, 0, 0, 0, 0.6931471824645996f, 0, 0.9162907600402832f, 0.9162907600402832f};
  const auto rows = lookup(constant({{"a", "a", "z"}, {"c", "d", "b"}})).to_vector<float>();
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(rows[i], expected[i], 1e-6) << i;
}

TEST(StringLookup, IsSavedWithItsVocabulary) {
  StringLookup lookup({.mask_token = "", .output_mode = "tf_idf"});
  lookup.adapt(constant({{"x", "y"}, {"x", ""}}));
  StringLookup again;
  configure(again, lookup.config());
  EXPECT_EQ(again.get_vocabulary(), lookup.get_vocabulary());
  EXPECT_EQ(again(constant({"x", "q"})).to_vector<float>(), lookup(constant({"x", "q"})).to_vector<float>());
  EXPECT_EQ(again.config(), lookup.config());
}

TEST(StringLookup, WritesWhatItWasGivenAsItWasGiven) {
  const std::vector<double> weights{0.5, 0.75};
  StringLookup plain({.vocabulary = Words{"a", "b"}, .output_mode = "tf_idf", .idf_weights = weights}), led({.mask_token = "", .vocabulary = Words{"", "[UNK]", "a"}});
  EXPECT_EQ(plain.config()["idf_weights"], Json(weights));
  EXPECT_EQ(plain.idf_weights()->size(), 3u);
  EXPECT_EQ(led.config()["vocabulary"], (Json{"", "[UNK]", "a"}));
  EXPECT_EQ(led.config()["vocabulary_size"], 3);
  StringLookup again;
  configure(again, plain.config());
  EXPECT_EQ(again(constant({{"a", "q"}})).to_vector<float>(), (std::vector<float>{0.625f, 0.5f, 0}));
}

TEST(StringLookup, GivesRowsOfWholeNumbersThatOtherLayersTakeForFloats) {
  StringLookup lookup({.vocabulary = Words{"a", "b"}, .output_mode = "multi_hot"});
  const Tensor rows = lookup(constant({{"a", "z"}, {"b", "b"}}));
  EXPECT_EQ(rows.spec(), (TensorSpec{int64, {2, 3}}));
  Dense dense({.units = 1, .use_bias = false, .kernel_initializer = "ones"});
  EXPECT_EQ(dense(rows).to_vector<float>(), (std::vector<float>{2, 1}));
  EXPECT_EQ(EinsumDense({.equation = "ab,bc->ac", .output_shape = {1}, .kernel_initializer = "ones"})(rows).to_vector<float>(), (std::vector<float>{2, 1}));
  const Tensor numbers = constant({{0.5f}, {1.5f}});
  EXPECT_EQ(Concatenate()({rows, numbers})[0].to_vector<float>(), (std::vector<float>{1, 1, 0, 0.5f, 0, 0, 1, 1.5f}));
  EXPECT_EQ(Add()({rows, numbers})[0].dtype(), float32);
  EXPECT_EQ(Add()({rows, rows})[0].dtype(), int64);
}

TEST(StringLookup, RefusesVocabulariesThatMakeNoSense) {
  EXPECT_THROW(StringLookup({.vocabulary = Words{"a", "a"}}), InvalidArgumentError);
  EXPECT_THROW(StringLookup({.mask_token = "m", .vocabulary = Words{"a", "m"}}), InvalidArgumentError);
  EXPECT_THROW(StringLookup({.max_tokens = 2, .vocabulary = Words{"a", "b"}}), InvalidArgumentError);
  EXPECT_THROW(StringLookup()(constant({"a"})), FailedPreconditionError);
  StringLookup given({.vocabulary = Words{"a"}});
  EXPECT_THROW(given.adapt(constant({"b"})), FailedPreconditionError);
  EXPECT_EQ(StringLookup({.mask_token = "m", .vocabulary = Words{"m", "[UNK]", "a"}}).vocabulary_size(), 3);
}

TEST(IntegerLookup, TakesWholeNumbersOfAnyWidthInRows) {
  const RaggedTensor rows = RaggedTensor::from_row_splits(constant({5, 7, 5}), constant(Places{0, 1, 3}));  // int32
  IntegerLookup lookup;
  lookup.adapt(rows);
  EXPECT_EQ(lookup.get_vocabulary(), (Places{-1, 5, 7}));
  EXPECT_EQ(places(lookup(rows).flat_values()), (Places{1, 2, 1}));
  IntegerLookup counts({.vocabulary = Ints{5, 7}, .output_mode = "count"});
  EXPECT_EQ(places(counts.encode(rows)), (Places{0, 1, 0, 0, 1, 1}));
}

TEST(IntegerLookup, HashesUnknownNumbersAndLeavesTheMaskOut) {
  IntegerLookup hashed({.num_oov_indices = 3, .vocabulary = Ints{12, 36}, .oov_method = "farmhash"});
  EXPECT_EQ(places(hashed(constant({12, 36, 5, 6, 7}))), (Places{3, 4, 1, 2, 1}));
  IntegerLookup counted({.mask_token = 0, .vocabulary = Ints{12, 36}, .output_mode = "count"});
  EXPECT_EQ(places(counted(constant({{12, 0, 5, 12}}))), (Places{1, 2, 0}));
}

TEST(TextVectorization, StandardizesSplitsAndNumbersTexts) {
  TextVectorization text;
  text.adapt(constant({"The cat sat!", "the dog, the cat.", "A bird"}));
  EXPECT_EQ(text.get_vocabulary(), (Words{"", "[UNK]", "the", "cat", "sat", "dog", "bird", "a"}));
  EXPECT_EQ(places(text(constant({"The bird sat on the cat", "dog"}))), (Places{2, 6, 4, 1, 2, 3, 5, 0, 0, 0, 0, 0}));
  EXPECT_EQ(places(text.ragged(constant({"dog", "", "a cat"})).flat_values()), (Places{5, 7, 3}));
  EXPECT_THROW(text(constant({{"a", "b"}})), InvalidArgumentError);
}

TEST(TextVectorization, JoinsWordsToNgramsAndCutsRowsOff) {
  TextVectorization text({.ngrams = Ints{2}, .output_sequence_length = 4});
  text.adapt(constant({"the cat sat", "the cat ran"}));
  EXPECT_EQ(text.get_vocabulary(), (Words{"", "[UNK]", "the cat", "the", "cat", "sat", "ran", "cat sat", "cat ran"}));
  EXPECT_EQ(places(text(constant({"the cat ran away", "sat"}))), (Places{3, 4, 6, 1, 5, 0, 0, 0}));
}

TEST(TextVectorization, CountsAndWeighsWords) {
  const Tensor texts = constant({"the cat sat", "the cat ran"}), asked = constant({"the the cat flew"});
  TextVectorization counts({.max_tokens = 6, .output_mode = "count", .pad_to_max_tokens = true});
  counts.adapt(texts);
  EXPECT_EQ(places(counts(asked)), (Places{1, 2, 1, 0, 0, 0}));
  TextVectorization weights({.output_mode = "tf_idf"});
  weights.adapt(texts);
  const std::vector<float> expected{0.6019864082336426f, 1.021651268005371f, 0.5108256340026855f, 0, 0};
  const auto rows = weights(asked).to_vector<float>();
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(rows[i], expected[i], 1e-6) << i;
}

TEST(TextVectorization, TakesCharactersAndIsSavedWithItsVocabulary) {
  TextVectorization text({.standardize = "lower", .split = "character"});
  text.adapt(constant({"abba", "Ab"}));
  EXPECT_EQ(places(text(constant({"bAc"}))), (Places{2, 3, 1}));
  TextVectorization again;
  configure(again, text.config());
  EXPECT_EQ(places(again(constant({"bAc"}))), (Places{2, 3, 1}));
  EXPECT_EQ(again.config(), text.config());
}

TEST(Hashing, HasTensorFlowsBits) {
  EXPECT_EQ(places(Hashing({.num_bins = 7})(constant({{"a"}, {"bb"}, {"ccc"}}))), (Places{5, 1, 3}));
  EXPECT_EQ(places(Hashing({.num_bins = 7})(constant({1, 2, 33}))), (Places{5, 5, 6}));
  EXPECT_EQ(places(Hashing({.num_bins = 7, .mask_value = ""})(constant({"a", "", "ccc"}))), (Places{4, 0, 4}));
  EXPECT_EQ(places(Hashing({.num_bins = 7, .salt = Ints{133}})(constant({"a", "bb", "ccc"}))), (Places{4, 6, 4}));
  EXPECT_EQ(Hashing({.num_bins = 5, .output_mode = "one_hot"})(constant({"a", "bb"})).to_vector<float>(), (std::vector<float>{0, 0, 0, 0, 1, 0, 0, 1, 0, 0}));
  EXPECT_THROW(Hashing({.num_bins = 0}), InvalidArgumentError);
}

TEST(Hashing, MasksNumbersByANumberAndStringsByAString) {
  Hashing numbers({.num_bins = 3, .mask_value = 2}), strings({.num_bins = 3, .mask_value = "2"});
  EXPECT_EQ(numbers.config()["mask_value"], 2);
  EXPECT_EQ(strings.config()["mask_value"], "2");
  EXPECT_EQ(places(numbers(constant({1, 2, 5}))), (Places{2, 0, 2}));
  EXPECT_THROW(numbers(constant({"1"})), TypeError);
  EXPECT_THROW(strings(constant({1})), TypeError);
  EXPECT_THROW(deserialize<Layer>({{"class_name", "Hashing"}, {"config", {{"num_bins", 3}, {"mask_value", 1.5}}}}), TypeError);
}

TEST(Hashing, HasADtypeOfItsOwn) {
  EXPECT_EQ(Hashing({.num_bins = 3}).dtype_policy().name(), "int64");
  EXPECT_EQ(Hashing({.num_bins = 3, .dtype = "int32"})(constant({1})).dtype(), int32);
  EXPECT_EQ(Hashing({.num_bins = 3, .output_mode = "one_hot", .dtype = "float64"})(constant({1})).dtype(), float64);
  EXPECT_EQ(HashedCrossing({.num_bins = 3}).config()["dtype"], "int64");
  EXPECT_EQ(HashedCrossing({.num_bins = 3, .output_mode = "one_hot"}).config()["dtype"], "float32");
}

TEST(Discretization, TakesBoundariesOrANumberOfBins) {
  EXPECT_THROW(Discretization(Discretization::Options{}), InvalidArgumentError);
  EXPECT_THROW(Discretization({.bin_boundaries = std::vector<double>{0}, .num_bins = 2}), InvalidArgumentError);
  Discretization bins({.num_bins = 3});
  EXPECT_THROW(bins(constant({1.f})), InvalidArgumentError);
  bins.adapt(constant({0.f, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  Discretization again;
  configure(again, bins.config());  // has both
  EXPECT_EQ(again.config(), bins.config());
}

TEST(HashedCrossing, HasTensorFlowsBits) {
  HashedCrossing crossing({.num_bins = 11});
  EXPECT_EQ(places(crossing({constant({1, 5, 2, 1, 4}), constant({2, 9, 42, 37, 8})})[0]), (Places{4, 2, 1, 0, 5}));
  EXPECT_EQ(places(crossing({constant({"a", "b"}), constant({"x", "yy"})})[0]), (Places{8, 9}));
  EXPECT_EQ(places(crossing({constant({"a", "b"}), constant({3, 4})})[0]), (Places{4, 9}));
  EXPECT_THROW(crossing({constant({1, 2}), constant({1})}), InvalidArgumentError);
  EXPECT_THROW(crossing({constant({1.f}), constant({1.f})}), InvalidArgumentError);
}

TEST(Normalization, AdaptsToBatchesAsToAllRows) {
  const Tensor data = reshape(cast(mod(range(0, 120, 1, int64) * 37, scalar(101, int64)), float32), {40, 3});
  Normalization whole, batches;
  whole.adapt(data);
  Batches source(data, 7);
  batches.adapt(source);
  const auto a = whole(data).to_vector<float>(), b = batches(data).to_vector<float>();
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 2e-6);
}

TEST(Discretization, AdaptsToBatchesAsKerasDoes) {
  std::vector<float> first, second;
  for (int i = 0; i < 40; ++i) first.push_back(float(i * 7 % 40));
  for (int i = 0; i < 30; ++i) second.push_back(float(i * 11 % 30 + 20));
  Discretization one({.num_bins = 4, .epsilon = 0.1});
  one.adapt(constant(first));
  const std::vector<double> expected_one{9.0, 19.0, 28.999998092651367}, expected_two{16.5, 27.33333396911621, 36.25};
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(one.bin_boundaries()->at(i), expected_one[i], 1e-5);
  Discretization two({.num_bins = 4, .epsilon = 0.1});
  struct Two final : BatchSource {
    std::vector<Tensor> batches;
    std::size_t at = 0;
    bool next(Tensors& batch) override { return at < batches.size() ? (batch = {batches[at++]}, true) : false; }
    DatasetState state() const override { return {}; }
    void restore(const DatasetState&) override {}
    std::int64_t cardinality() const override { return 2; }
  } source;
  source.batches = {constant(first), constant(second)};
  two.adapt(source);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(two.bin_boundaries()->at(i), expected_two[i], 1e-5);
}

}  // namespace
}  // namespace lockstep::nn
