#include <gtest/gtest.h>

#include <functional>
#include <thread>
#include <type_traits>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Values = std::vector<float>;

Variable book() { return Variable(constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}), {.path = "v"}); }
Values values(const Variable& v) { return v.value().to_vector<float>(); }

TEST(Variable, IsAssignedAsInTheBook) {
  const Variable v = book();
  v.assign(2 * v.value());
  EXPECT_EQ(values(v), (Values{2, 4, 6, 8, 10, 12}));
  v[{0, 1}].assign(42);
  EXPECT_EQ(values(v), (Values{2, 42, 6, 8, 10, 12}));
  v[{all, 2}].assign(constant({0.f, 1.f}));
  EXPECT_EQ(values(v), (Values{2, 42, 0, 8, 10, 1}));
  v.scatter_nd_update(constant({{0, 0}, {1, 2}}), constant({100.f, 200.f}));
  EXPECT_EQ(values(v), (Values{100, 42, 0, 8, 10, 200}));
  v.scatter_update(constant({1, 0}), constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}));
  EXPECT_EQ(values(v), (Values{4, 5, 6, 1, 2, 3}));
}

TEST(Variable, IsAddedToAndSubtractedFrom) {
  const Variable v = book();
  v.assign_add(constant({{1.f, 1.f, 1.f}, {0.f, 0.f, 0.f}}));
  EXPECT_EQ(values(v), (Values{2, 3, 4, 4, 5, 6}));
  v.assign_sub(1).assign_add(0.5);
  EXPECT_EQ(values(v), (Values{1.5, 2.5, 3.5, 3.5, 4.5, 5.5}));
  v.assign(0);
  EXPECT_EQ(values(v), Values(6, 0.0f));
}

TEST(Variable, ScattersRowsAndCells) {
  const Variable v(zeros({3, 2}));
  v.scatter_add(constant({0, 2, 0}), ones({3, 2}));
  EXPECT_EQ(values(v), (Values{2, 2, 0, 0, 1, 1}));
  v.scatter_sub(constant({0}), ones({1, 2}));
  EXPECT_EQ(values(v), (Values{1, 1, 0, 0, 1, 1}));
  v.scatter_max(constant({1, 2}), full({2, 2}, 0.5, float32));
  EXPECT_EQ(values(v), (Values{1, 1, 0.5, 0.5, 1, 1}));
  v.scatter_nd_add(constant({{2, 1}}), constant({4.f}));
  v.scatter_nd_sub(constant({{2, 0}}), constant({4.f}));
  EXPECT_EQ(values(v), (Values{1, 1, 0.5, 0.5, -3, 5}));
}

TEST(Variable, TakesTheLastOfRepeatedUpdates) {
  const Variable v(zeros({2}));
  v.scatter_update(constant({1, 1}), constant({3.f, 4.f}));
  EXPECT_EQ(values(v), (Values{0, 4}));
}

TEST(Variable, AssignsSlicesWithStepsAndBroadcasting) {
  const Variable v = book();
  v[{all, slice({}, {}, -2)}].assign(constant({7.f, 8.f}));
  EXPECT_EQ(values(v), (Values{8, 2, 7, 8, 5, 7}));
  v[0].assign_add(ones({3}));
  v[1].assign_sub(ones({3}));
  EXPECT_EQ(values(v), (Values{9, 3, 8, 7, 4, 6}));
  EXPECT_EQ((v[{1, slice(1)}].value().to_vector<float>()), (Values{4, 6}));
}

TEST(Variable, KeepsTensorsReadBeforeAnAssignment) {
  const Variable v = book();
  const Tensor before = v.value();
  v.assign(0);
  v[0].assign(9);
  EXPECT_EQ(before.to_vector<float>(), (Values{1, 2, 3, 4, 5, 6}));
}

TEST(Variable, DoesNotChangeTheTensorItWasMadeFrom) {
  const Tensor initial = zeros({2});
  const Variable v(initial);
  v.assign_add(1);
  EXPECT_EQ(initial.to_vector<float>(), (Values{0, 0}));
}

/// `change` must throw an E that names the variable or the op, and leave the variable as it was.
template <class E>
void expect_unchanged(const std::function<void(const Variable&)>& change, std::initializer_list<const char*> words) {
  const Variable v = book();
  try {
    change(v);
    ADD_FAILURE() << "the change was made";
  } catch (const E& error) {
    EXPECT_FALSE(error.op().empty()) << error.what();
    for (const char* word : words) EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what() << " lacks " << word;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another error: " << error.what();
  }
  EXPECT_EQ(values(v), (Values{1, 2, 3, 4, 5, 6}));
}

TEST(Variable, RefusesAnotherShapeAndStaysAsItWas) {
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.assign(ones({3, 2})); }, {"'v'", "(2, 3)", "(3, 2)"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.assign(constant(1.f)); }, {"'v'", "(2, 3)", "()"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.assign_add(ones({3})); }, {"'v'", "(2, 3)", "(3,)"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.assign_sub(ones({1, 2, 3})); }, {"'v'", "(1, 2, 3)"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v[0].assign(ones({2})); }, {"(2,)", "(3,)"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v[0].assign(ones({1, 3})); }, {"(1, 3)", "(3,)"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.scatter_update(constant({0}), ones({3})); }, {"(1, 3)"});
}

TEST(Variable, RefusesAnotherDTypeAndStaysAsItWas) {
  expect_unchanged<TypeError>([](const Variable& v) { v.assign(ones({2, 3}, float64)); }, {"'v'", "float32", "float64"});
  expect_unchanged<TypeError>([](const Variable& v) { v.assign_add(ones({2, 3}, int32)); }, {"'v'", "float32", "int32"});
  expect_unchanged<TypeError>([](const Variable& v) { v[0].assign(ones({3}, float64)); }, {"float32", "float64"});
  expect_unchanged<TypeError>([](const Variable& v) { v.scatter_update(constant({0.f}), ones({1, 3})); }, {"float32", "int32"});
  expect_unchanged<TypeError>([](const Variable& v) { v.scatter_nd_add(constant({{0}}), ones({1, 3}, float64)); }, {"float64"});
}

TEST(Variable, RefusesIndicesOutOfRangeAndStaysAsItWas) {
  expect_unchanged<IndexError>([](const Variable& v) { v[2].assign(1); }, {"index 2", "(2, 3)"});
  expect_unchanged<IndexError>([](const Variable& v) { v[{0, -4}].assign(1); }, {"index -4"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.scatter_update(constant({0, 2}), ones({2, 3})); }, {"index 2"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.scatter_nd_update(constant({{0, -1}}), constant({1.f})); }, {"index -1"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.scatter_add(constant({-1}), ones({1, 3})); }, {"index -1"});
}

TEST(Variable, RefusesAnUndefinedTensorAndStaysAsItWas) {
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.assign(Tensor()); }, {"undefined", "'v'"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.assign_add(Tensor()); }, {"undefined"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v[0].assign(Tensor()); }, {"undefined"});
  expect_unchanged<InvalidArgumentError>([](const Variable& v) { v.scatter_update(Tensor(), ones({1, 3})); }, {"undefined"});
  EXPECT_THROW(Variable{Tensor()}, InvalidArgumentError);
}

TEST(Variable, RefusesALiteralThatDoesNotFitItsDType) {
  const Variable v(constant({1, 2}));
  EXPECT_THROW(v.assign(1.5), InvalidArgumentError);
  EXPECT_THROW(v.assign_add(0.5), InvalidArgumentError);
  EXPECT_THROW(v[0].assign(1.5), InvalidArgumentError);
  EXPECT_EQ(v.value().to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2}));
}

// `v[1] = ...` does not compile: a slice has only assign, assign_add and assign_sub.
template <class T, class Value>
concept PlainlyAssigned = requires(T slice, Value value) { slice = value; };
static_assert(!PlainlyAssigned<VariableSlice, Tensor>);
static_assert(!PlainlyAssigned<VariableSlice, float>);
static_assert(!std::is_copy_assignable_v<VariableSlice> && !std::is_move_assignable_v<VariableSlice>);
static_assert(!std::is_copy_constructible_v<VariableSlice>);

TEST(Variable, IsAHandleToOneCell) {
  const Variable v = book(), same = v, other = book();
  same.assign(0);
  EXPECT_EQ(values(v), Values(6, 0.0f));
  EXPECT_TRUE(v == same);
  EXPECT_FALSE(v == other);
  EXPECT_EQ(v.key(), same.key());
  EXPECT_FALSE(Variable().defined());
}

TEST(Variable, KnowsItsOptions) {
  const Variable v(constant(1), {.path = "metrics/total", .trainable = false, .kind = StateKind::summed});
  EXPECT_EQ(v.path(), "metrics/total");
  EXPECT_FALSE(v.trainable());
  EXPECT_EQ(v.kind(), StateKind::summed);
  EXPECT_EQ(v.dtype(), int32);
  EXPECT_EQ(Variable(constant(1)).path(), "Variable");
}

TEST(Variable, LosesNoAdditionBetweenThreads) {
  const Variable v(constant(0));
  const auto add = [&] {
    for (int i = 0; i < 500; ++i) v.assign_add(1);
  };
  std::thread other(add);
  add();
  other.join();
  EXPECT_EQ(v.value().item<std::int32_t>(), 1000);
}

TEST(Variable, LosesNoAdditionToASliceBetweenThreads) {
  const Variable v(zeros({2}));
  const Tensor one = constant(1.f);
  const auto add = [&] {
    for (int i = 0; i < 500; ++i) v[1].assign_add(one);
  };
  std::thread other(add);
  add();
  other.join();
  EXPECT_EQ(values(v), (Values{0, 1000}));
}

TEST(Variable, PrintsPathShapeDTypeAndValue) {
  EXPECT_EQ(to_string(book()), "<Variable path=v shape=(2, 3) dtype=float32 value=\n[[1. 2. 3.]\n [4. 5. 6.]]>");
  EXPECT_EQ(to_string(Variable()), "<Variable undefined>");
}

}  // namespace
}  // namespace lockstep
