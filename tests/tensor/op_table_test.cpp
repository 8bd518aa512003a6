// Looking up rows, and the attributes of a call.

#include <gtest/gtest.h>

#include <set>

#include <lockstep/lockstep.h>

#include "../message_of.h"

namespace lockstep {
namespace {

TEST(OpTable, FindsARowByNameAndAlias) {
  EXPECT_EQ(find_op("where").name, "where");
  EXPECT_EQ(&find_op("select"), &find_op("where"));
}

TEST(OpTable, SuggestsTheNearestName) {
  EXPECT_EQ(message_of<NotFoundError>([] { find_op("matmull"); }), "there is no op named 'matmull' - did you mean 'matmul'?");
  EXPECT_EQ(message_of<NotFoundError>([] { find_op("reduce_summ"); }), "there is no op named 'reduce_summ' - did you mean 'reduce_sum'?");
  EXPECT_EQ(message_of<NotFoundError>([] { apply_named("sofmax", {}); }), "there is no op named 'sofmax' - did you mean 'softmax'?");
  EXPECT_EQ(message_of<NotFoundError>([] { find_op("xyzzy_plugh_frobnicate"); }), "there is no op named 'xyzzy_plugh_frobnicate'");
}

TEST(OpTable, HasACompleteRowForEveryOp) {
  std::set<std::string_view> names;
  for (const OpDef& op : op_table()) {
    EXPECT_TRUE(names.insert(op.name).second) << op.name << " twice";
    EXPECT_FALSE(op.doc.empty()) << op.name;
    EXPECT_FALSE(op.family.empty()) << op.name;
    EXPECT_NE(op.infer, nullptr) << op.name;
    EXPECT_TRUE(op.cpu || op.cpu_dynamic || op.compose || op.fusion == Fusion::view) << op.name << " computes nothing";
    EXPECT_TRUE(op.compose || op.gradient.rule || !op.gradient.why_none.empty()) << op.name << " has no word on its gradient";
    EXPECT_TRUE(!op.onnx.op_type.empty() || !op.onnx.why_none.empty()) << op.name << " has no word on ONNX";
    EXPECT_LE(op.min_inputs, op.max_inputs < 0 ? op.min_inputs : op.max_inputs) << op.name;
    EXPECT_EQ(&find_op(op.name), &op);
  }
}

Tensor x() { return constant({{1.f, 2.f}, {3.f, 4.f}}); }

TEST(Attributes, AreRefusedByNameWhenUnknown) {
  EXPECT_EQ(message_of<InvalidArgumentError>([] { apply_named("reduce_sum", std::vector{x()}, {{"keepdim", true}}); }),
            "[reduce_sum] unknown attribute 'keepdim' - did you mean 'keepdims'?");
}

TEST(Attributes, AreRefusedWhenIllTyped) {
  EXPECT_EQ(message_of<InvalidArgumentError>([] { apply_named("reduce_sum", std::vector{x()}, {{"keepdims", std::int64_t(1)}}); }),
            "[reduce_sum] attribute 'keepdims' must be bool, got 1");
  EXPECT_EQ(message_of<InvalidArgumentError>([] { apply_named("reduce_sum", std::vector{x()}, {{"axis", 0.5}}); }),
            "[reduce_sum] attribute 'axis' must be int, list of ints or none, got 0.5");
  EXPECT_EQ(message_of<InvalidArgumentError>([] { apply_named("cast", std::vector{x()}, {{"dtype", std::string("float64")}}); }), "[cast] attribute 'dtype' must be dtype, got float64");
}

TEST(Attributes, AreRefusedWhenMissing) {
  EXPECT_EQ(message_of<InvalidArgumentError>([] { apply_named("reshape", std::vector{x()}); }), "[reshape] attribute 'shape' is missing");
}

TEST(Attributes, TakeTheirDefaultsAndTheRowsOrder) {
  const OpDef& op = find_op("cumsum");
  const AttrList attrs = canonical_attrs(op, {{"reverse", true}, {"axis", std::int64_t(1)}});
  ASSERT_EQ(attrs.size(), op.attrs.size());
  for (std::size_t i = 0; i < attrs.size(); ++i) EXPECT_EQ(attrs[i].name, op.attrs[i].name);
  EXPECT_EQ(apply_named("cumsum", std::vector{x()}, {{"reverse", true}, {"axis", std::int64_t(1)}}).front().to_vector<float>(), (std::vector<float>{3, 2, 7, 4}));
}

TEST(Attributes, TakeAnIntWhereAListOrANumberIsDeclared) {
  EXPECT_EQ(apply_named("reduce_sum", std::vector{x()}, {{"axis", std::int64_t(0)}}).front().to_vector<float>(), (std::vector<float>{4, 6}));
  EXPECT_EQ(apply_named("leaky_relu", std::vector{x()}, {{"alpha", std::int64_t(2)}}).front().to_vector<float>(), (std::vector<float>{1, 2, 3, 4}));
}

TEST(Attributes, PrintAsTheyAreWritten) {
  EXPECT_EQ(to_string(AttrValue(None{})), "none");
  EXPECT_EQ(to_string(AttrValue(Ints{1, -2})), "[1, -2]");
  EXPECT_EQ(to_string(AttrValue(IntLists{{1}, {}})), "[[1], []]");
  EXPECT_EQ(to_string(AttrValue(0.5)), "0.5");
  EXPECT_EQ(to_string(AttrValue(bfloat16)), "bfloat16");
}

TEST(NearestName, IsEmptyWhenNothingIsNear) {
  const std::vector<std::string_view> names{"adam", "nadam", "rmsprop"};
  EXPECT_EQ(nearest_name("adm", names), "adam");
  EXPECT_EQ(nearest_name("rmsporp", names), "rmsprop");
  EXPECT_EQ(nearest_name("completely", names), "");
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
}

TEST(Error, SaysOpMessageAndHintInOneSentence) {
  const InvalidArgumentError error("what was wrong", "op", "what to do");
  EXPECT_EQ(std::string(error.what()), "[op] what was wrong - what to do");
  EXPECT_EQ(error.op(), "op");
  EXPECT_EQ(error.hint(), "what to do");
  EXPECT_EQ(std::string(Error("alone").what()), "alone");
}

}  // namespace
}  // namespace lockstep
