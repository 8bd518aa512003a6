// Strings found among keys by hashing.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Places = std::vector<std::int64_t>;

Places places(const Tensor& x) { return x.to_vector<std::int64_t>(); }

TEST(KeyIndex, FindsKeysAndNothingElse) {
  const KeyIndex index(constant({"a", "bb", "", "a key that is longer than what a string keeps inside itself"}));
  const Tensor found = index.find(constant({{"", "a"}, {"b", "bb"}, {"a key that is longer than what a string keeps inside itself", "c"}}));
  EXPECT_EQ(found.shape(), (Shape{3, 2}));
  EXPECT_EQ(places(found), (Places{2, 0, -1, 1, 3, -1}));
}

TEST(KeyIndex, FindsEachOfManyKeys) {
  std::vector<std::string> keys;
  Places numbers;
  for (int i = 0; i < 20000; ++i) keys.push_back("key " + std::to_string(i * 7)), numbers.push_back(i);
  const KeyIndex index(constant(keys));
  EXPECT_EQ(places(index.find(constant(keys), true)), numbers);
  for (std::string& key : keys) key += "!";
  EXPECT_EQ(places(index.find(constant(keys))), Places(20000, -1));
}

TEST(KeyIndex, TakesTheFirstOfEqualKeysAndNoKeysAtAll) {
  EXPECT_EQ(places(KeyIndex(constant({"a", "b", "a"})).find(constant({"a", "b"}))), (Places{0, 1}));
  EXPECT_EQ(places(KeyIndex(Tensor::empty({0}, string)).find(constant({"a"}))), Places{-1});
}

TEST(KeyIndex, RefusesWhatIsMissingIfItIsRequired) {
  EXPECT_THROW(KeyIndex(constant({"a"})).find(constant({"a", "b"}), true), InvalidArgumentError);
  EXPECT_THROW(KeyIndex(constant({{"a"}})), InvalidArgumentError);
  EXPECT_THROW(KeyIndex(constant({1, 2})), TypeError);
}

TEST(KeyIndex, RefusesSlotsThatAreNone) {
  const Tensor keys = constant({"a"});
  EXPECT_THROW(apply_named("find_keys", Tensors{keys, keys, constant(Places{7, 7})}), InvalidArgumentError);
  EXPECT_THROW(apply_named("find_keys", Tensors{keys, keys, constant(Places{0, -1, -1})}), InvalidArgumentError);
  EXPECT_EQ(places(apply_named("find_keys", Tensors{constant({"z"}), keys, constant(Places{0, 0})})[0]), Places{-1}) << "without a free slot a search ends, too";
}

}  // namespace
}  // namespace lockstep
