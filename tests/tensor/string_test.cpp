// Tensors of strings: what moves elements works, what computes with numbers refuses.

#include <gtest/gtest.h>

#include <algorithm>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Strings = std::vector<std::string>;

/// Longer than what std::string keeps inside itself.
const std::string kLong = "a string that is too long to be kept inside of its object";

Tensor words() { return constant({{"a", kLong, "c"}, {"", "caf\xc3\xa9", "f"}}); }

TEST(StringTensor, HoldsBytes) {
  const Tensor x = words();
  EXPECT_EQ(x.spec(), (TensorSpec{string, {2, 3}}));
  EXPECT_EQ(x.to_vector<std::string>(), (Strings{"a", kLong, "c", "", "caf\xc3\xa9", "f"}));
  EXPECT_EQ(constant(std::string("a\0b", 3)).item<std::string>().size(), 3u);
}

TEST(StringTensor, IsComparedElementByElement) {
  EXPECT_EQ(equal(words(), constant({"a", kLong, "f"})).to_vector<bool>(), (std::vector<bool>{true, true, false, false, false, true}));
  EXPECT_EQ(not_equal(words(), constant("")).to_vector<bool>(), (std::vector<bool>{true, true, true, false, true, true}));
}

TEST(StringTensor, IsComparedWithOneStringBeyondATile) {
  Strings many(3000, "no");
  many[7] = many[2999] = kLong;
  const auto hits = equal(constant(many), constant(kLong)).to_vector<bool>();
  EXPECT_EQ(std::count(hits.begin(), hits.end(), true), 2);
  EXPECT_TRUE(hits[7] && hits[2999]);
}

TEST(StringTensor, IsJoinedByAddition) {
  EXPECT_EQ(add(constant({"a", "b"}), constant("!")).to_vector<std::string>(), (Strings{"a!", "b!"}));
  EXPECT_EQ(add(constant({kLong}), constant({kLong})).item<std::string>(), kLong + kLong);
}

TEST(StringTensor, IsConcatenatedOnBothAxes) {
  const Tensor x = words();
  const std::vector<Tensor> two{x, x};
  EXPECT_EQ(concat(two, 0).shape(), (Shape{4, 3}));
  EXPECT_EQ(concat(two, 1).to_vector<std::string>(), (Strings{"a", kLong, "c", "a", kLong, "c", "", "caf\xc3\xa9", "f", "", "caf\xc3\xa9", "f"}));
  EXPECT_EQ(stack(two).shape(), (Shape{2, 2, 3}));
}

TEST(StringTensor, IsGatheredAndSliced) {
  EXPECT_EQ(gather(words(), constant({1, 1})).to_vector<std::string>(), (Strings{"", "caf\xc3\xa9", "f", "", "caf\xc3\xa9", "f"}));
  EXPECT_EQ(gather(words(), constant({2, 0}), 1).to_vector<std::string>(), (Strings{"c", "a", "f", ""}));
  EXPECT_EQ((words()[{all, slice({}, {}, -2)}]).to_vector<std::string>(), (Strings{"c", "a", "f", ""}));
  EXPECT_EQ((words()[{0, 1}]).item<std::string>(), kLong);
  EXPECT_EQ(boolean_mask(words(), constant({false, true})).to_vector<std::string>(), (Strings{"", "caf\xc3\xa9", "f"}));
}

TEST(StringTensor, IsRearranged) {
  const Tensor x = words();
  EXPECT_EQ(reshape(x, {3, 2}).raw(), x.raw());
  EXPECT_EQ(transpose(x).to_vector<std::string>(), (Strings{"a", "", kLong, "caf\xc3\xa9", "c", "f"}));
  EXPECT_EQ(tile(x, {1, 2}).shape(), (Shape{2, 6}));
  EXPECT_EQ(reverse(x, 0).to_vector<std::string>(), (Strings{"", "caf\xc3\xa9", "f", "a", kLong, "c"}));
  EXPECT_EQ(broadcast_to(constant({kLong}), {2, 2}).to_vector<std::string>(), Strings(4, kLong));
  EXPECT_EQ(split(x, 3, 1)[1].to_vector<std::string>(), (Strings{kLong, "caf\xc3\xa9"}));
}

TEST(StringTensor, KnowsItsDistinctElements) {
  const auto [values, index] = unique(constant({"b", "a", "b"}));
  EXPECT_EQ(values.to_vector<std::string>(), (Strings{"b", "a"}));
  EXPECT_EQ(index.to_vector<std::int32_t>(), (std::vector<std::int32_t>{0, 1, 0}));
}

TEST(StringTensor, LivesInAVariable) {
  const Variable v(constant({"a", "b"}));
  v.assign(constant({kLong, "c"}));
  v[1].assign(constant("d"));
  v.scatter_update(constant({0}), constant({"e"}));
  EXPECT_EQ(v.value().to_vector<std::string>(), (Strings{"e", "d"}));
}

TEST(StringTensor, RefusesArithmetic) {
  EXPECT_THROW(words() * words(), TypeError);
  EXPECT_THROW(words() + 1, InvalidArgumentError);
  EXPECT_THROW(exp(words()), TypeError);
  EXPECT_THROW(reduce_sum(words()), TypeError);
  EXPECT_THROW(matmul(words(), words()), TypeError);
  EXPECT_THROW(equal(words(), constant(1)), TypeError);
  EXPECT_THROW(fill({2}, 1, string), InvalidArgumentError);
  EXPECT_THROW(range(0, 3, 1, string), TypeError);
}

}  // namespace
}  // namespace lockstep
