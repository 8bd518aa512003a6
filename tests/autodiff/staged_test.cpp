// Functions on strings, and on shapes that depend on data: traced as TensorFlow does, the part that must be interpreted in front of the rest.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep::autodiff {
namespace {

using Names = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;

TEST(Staged, StringsAreInterpretedAndWhatFollowsIsBound) {
  const auto f = function([](const Tensor& words, const Tensor& x) { return reduce_sum(cast(strings::length(strings::upper(words)), float32) * x); });
  const Tensor words = constant({"a", "bcd"}), x = constant({2.0f, 10.0f});
  EXPECT_EQ(f(words, x).item<float>(), 32);
  EXPECT_EQ(f(constant({"", "bc"}), x).item<float>(), 20);
  EXPECT_EQ(f.trace_count(), 1);
  const ConcreteFunction& concrete = f.concrete_function(words, x);
  ASSERT_NE(concrete.head(), nullptr);
  EXPECT_TRUE(concrete.head()->interpreted());
  EXPECT_EQ(concrete.head()->graph().op_names(), (Names{"string_upper", "string_length"}));
  EXPECT_FALSE(concrete.executable().interpreted());
}

TEST(Staged, ReturnsStringsAndValuesOfBothParts) {
  const auto f = function([](const Tensor& words, const Tensor& x) { return Tensors{x + 1.0f, strings::upper(words), words, strings::length(words), x, cast(strings::length(words), float32) * x}; });
  const Tensors results = f(constant({"a", "bc"}), constant({1.0f, 2.0f}));
  EXPECT_EQ(results[0].to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(results[1].to_vector<std::string>(), (Names{"A", "BC"}));
  EXPECT_EQ(results[2].to_vector<std::string>(), (Names{"a", "bc"}));
  EXPECT_EQ(results[3].to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(results[4].to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_EQ(results[5].to_vector<float>(), (std::vector<float>{1, 4}));
}

TEST(Staged, FunctionsOfStringsOnlyAreInterpretedWhole) {
  const auto f = function([](const Tensor& words) { return strings::join(Tensors{words, strings::as_string(strings::length(words))}, ":"); });
  EXPECT_EQ(f(constant({"a", "bcd"})).to_vector<std::string>(), (Names{"a:1", "bcd:3"}));
  EXPECT_EQ(f.concrete_function(constant({"a", "bcd"})).head(), nullptr);
  EXPECT_TRUE(f.concrete_function(constant({"a", "bcd"})).executable().interpreted());
}

TEST(Staged, WordsByTheHundredComeOutOfATraceAsRowsOfAKnownShape) {
  const auto f = function([](const Tensor& lines) {
    const RaggedTensor words = strings::split(lines);
    const Tensor ids = reshape(words.with_flat_values(strings::to_hash_bucket_fast(words.flat_values(), 50)).to_tensor({-1, 4}), {2, 4});
    return reduce_mean(one_hot(ids, 50), Axes(1));
  });
  const Tensor lines = constant({"the cat sat on the mat", "a dog"});
  const auto traced = f(lines);
  EXPECT_EQ(traced.shape(), (Shape{2, 50}));
  EXPECT_FALSE(f.concrete_function(lines).executable().interpreted());
  const RaggedTensor words = strings::split(lines);
  const Tensor ids = words.with_flat_values(strings::to_hash_bucket_fast(words.flat_values(), 50)).to_tensor({-1, 4});
  EXPECT_EQ(traced.to_vector<float>(), reduce_mean(one_hot(ids, 50), Axes(1)).to_vector<float>());
}

TEST(Staged, AShapeThatDoesNotFitIsRefusedWhenItRuns) {
  const auto f = function([](const Tensor& lines) { return cast(strings::length(reshape(strings::split(lines).flat_values(), {3})), float32) * 2.0f; });
  EXPECT_EQ(f(constant({"a bb", "ccc"})).to_vector<float>(), (std::vector<float>{2, 4, 6}));
  EXPECT_THROW(f(constant({"a bb", "c d"})), InvalidArgumentError);
}

TEST(Staged, TrainsThroughWhatStringsSelect) {
  Variable table(random::uniform({10, 3}), {.path = "table"});
  const auto step = [&](const Tensor& words) {
    GradientTape tape;
    const Tensor rows = gather(table.value(), strings::to_hash_bucket_fast(words, 10)), loss = reduce_sum(rows * rows);
    const Tensor gradient = tape.gradient(loss, table).dense();
    table.assign(table.value() - gradient * 0.1f);
    return loss;
  };
  const Tensor words = constant({"a", "b", "a"}), start = table.value();
  const float eager_loss = step(words).item<float>();
  const auto eager = table.value().to_vector<float>();
  table.assign(start);
  const auto traced = function(step);
  EXPECT_NEAR(traced(words).item<float>(), eager_loss, 1e-5);
  const auto after = table.value().to_vector<float>();
  for (std::size_t i = 0; i < after.size(); ++i) EXPECT_NEAR(after[i], eager[i], 1e-6) << i;
  ASSERT_NE(traced.concrete_function(words).head(), nullptr);
  EXPECT_FALSE(traced.concrete_function(words).executable().interpreted()) << "the update is planned as without strings";
}

TEST(Staged, AHeadThatReadsWhatIsUpdatedIsNotCutOff) {
  Variable count(constant(std::int64_t(0)), {.path = "count", .trainable = false});
  const auto f = function([&](const Tensor& word) {
    const Tensor text = strings::join(Tensors{word, strings::as_string(count.value())});
    count.assign_add(cast(strings::length(text), int64));
    return text;
  });
  EXPECT_EQ(f(constant("n")).item<std::string>(), "n0");
  EXPECT_EQ(f(constant("n")).item<std::string>(), "n2");
  EXPECT_EQ(count.value().item<std::int64_t>(), 4);
}

TEST(Staged, BranchesAndLoopsCarryStrings) {
  const auto longest = function([](const Tensor& a, const Tensor& b) {
    const Tensor chosen = cond(greater(strings::length(a), strings::length(b)), [&] { return strings::upper(a); }, [&] { return strings::upper(b); });
    return strings::join(Tensors{chosen, chosen}, "+");
  });
  const std::string text = "a line that is longer than what a string keeps inside itself";
  EXPECT_EQ(longest(constant(text), constant("b")).item<std::string>(), strings::upper(constant(text + "+" + text)).item<std::string>());
  EXPECT_EQ(longest(constant("a"), constant("bb")).item<std::string>(), "BB+BB");
}

TEST(Staged, KeysAreConstantsOfTheGraph) {
  const KeyIndex index(constant({"a", "b", "c"}));
  const auto f = function([&](const Tensor& words) { return index.find(words) * std::int64_t(2); });
  EXPECT_EQ(f(constant({"c", "x", "a"})).to_vector<std::int64_t>(), (Numbers{4, -2, 0}));
}

TEST(Staged, PrintsStayInTheirOrder) {
  // With an effect in front all of it is interpreted, in the order of the program.
  const auto f = function([](const Tensor& words, const Tensor& x) {
    print("first", Tensors{strings::upper(words)});
    print("second", Tensors{x});
    return x * 2.0f;
  });
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  f(constant({"a"}), constant({1.0f}));
  const std::string out = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
  EXPECT_LT(out.find("first"), out.find("second")) << out;
  EXPECT_NE(out.find("A"), std::string::npos) << out;
}

}  // namespace
}  // namespace lockstep::autodiff
