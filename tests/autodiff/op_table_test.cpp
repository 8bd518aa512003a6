// What every row of the op table promises: complete, inferred as computed, traced as eager, and one result in every dtype. Nothing
// here knows an op by name; a new row is tested as soon as it stands in the table.

#include <algorithm>
#include <optional>
#include <set>

#include <lockstep/autodiff/passes/passes.h>

#include "op_samples.h"

namespace lockstep::autodiff {
namespace {

using namespace lockstep::testing;

class OpTable : public ::testing::TestWithParam<const OpDef*> {
 protected:
  const OpDef& op() const { return *GetParam(); }
};
class PointwiseOp : public OpTable {};
class CommutativeOp : public OpTable {};
class ReductionOp : public OpTable {};

bool any_row(const OpDef&) { return true; }
bool is_pointwise(const OpDef& op) { return op.pointwise != nullptr; }
bool is_commutative(const OpDef& op) { return op.commutative; }
bool is_reduction(const OpDef& op) { return op.fusion == Fusion::reduction; }

INSTANTIATE_TEST_SUITE_P(Ops, OpTable, ::testing::ValuesIn(rows_where(any_row)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, PointwiseOp, ::testing::ValuesIn(rows_where(is_pointwise)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, CommutativeOp, ::testing::ValuesIn(rows_where(is_commutative)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, ReductionOp, ::testing::ValuesIn(rows_where(is_reduction)), test_name);

// ---- complete

/// Of text: given and not only blanks.
bool says_something(std::string_view text) { return text.find_first_not_of(" .") != std::string_view::npos; }

bool is_snake_case(std::string_view name) {
  return !name.empty() && name.front() >= 'a' && name.front() <= 'z' &&
         std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

TEST_P(OpTable, IsDescribed) {
  EXPECT_TRUE(is_snake_case(op().name));
  EXPECT_TRUE(says_something(op().doc));
  EXPECT_TRUE(says_something(op().family));
  EXPECT_EQ(op().doc.find('\n'), std::string_view::npos) << "one line";
}

TEST_P(OpTable, IsFoundByAllItsNames) {
  EXPECT_EQ(&find_op(op().name), &op());
  for (const std::string_view alias : op().aliases) EXPECT_EQ(&find_op(alias), &op()) << alias;
}

TEST_P(OpTable, HasRulesForShapesAndDtypes) {
  EXPECT_NE(op().infer, nullptr);
  EXPECT_GE(op().min_inputs, 0);
  EXPECT_TRUE(op().max_inputs < 0 || op().max_inputs >= op().min_inputs);
  EXPECT_TRUE(op().max_inputs == 0 || !op().dtypes.inputs.empty());
  for (const DTypeRule::Operand& operand : op().dtypes.inputs) EXPECT_NE(operand.allowed.bits, 0u);
}

TEST_P(OpTable, HasAGradientOrSaysWhyNot) {
  if (op().compose) {
    EXPECT_FALSE(op().gradient.rule) << "the gradient follows from the ops that define it";
  } else {
    EXPECT_NE(op().gradient.rule != nullptr, says_something(op().gradient.why_none));
  }
}

TEST_P(OpTable, HasAnOnnxFormOrSaysWhyNot) { EXPECT_NE(says_something(op().onnx.op_type), says_something(op().onnx.why_none)); }

TEST_P(OpTable, IsComputedInOneWay) {
  const int ways = (op().cpu != nullptr) + (op().cpu_dynamic != nullptr) + (op().compose != nullptr) + (op().fusion == Fusion::view);
  EXPECT_EQ(ways, 1);
  EXPECT_TRUE(op().fusion != Fusion::pointwise || op().pointwise);
}

TEST_P(OpTable, DeclaresAttributesThatExplainThemselves) {
  std::set<std::string_view> names;
  for (const AttrDef& attr : op().attrs) {
    EXPECT_TRUE(is_snake_case(attr.name)) << attr.name;
    EXPECT_TRUE(names.insert(attr.name).second) << attr.name << " is declared twice";
    const bool free_form = attr.type == AttrType::any || attr.type == AttrType::int_lists || attr.type == AttrType::index || attr.type == AttrType::object;
    EXPECT_TRUE(!free_form || says_something(attr.doc)) << attr.name << ": its type does not say what it holds";
    EXPECT_TRUE(!attr.required || std::holds_alternative<None>(attr.fallback)) << attr.name << " is required and has a default";
  }
}

/// A call of more operands than allowed, or of fewer, is refused in the op's name.
TEST_P(OpTable, CountsItsOperands) {
  Draw draw(op().name);
  const Sample& sample = op().samples.front();
  Values operands = draw.values(sample);
  const auto refused = [&](std::span<const Tensor> in) {
    try {
      apply_named(op().name, in, sample.attrs);
      return false;
    } catch (const InvalidArgumentError& error) {
      return error.op() == op().name;
    }
  };
  EXPECT_TRUE(op().min_inputs == 0 || refused(std::span(operands).first(std::size_t(op().min_inputs - 1))));
  if (op().max_inputs < 0) return;
  while (int(operands.size()) <= op().max_inputs) operands.push_back(operands.empty() ? zeros({2}) : operands.back());
  EXPECT_TRUE(refused(operands));
}

TEST_P(OpTable, HasSamplesOfEveryAttributeThatMustBeGiven) {
  ASSERT_FALSE(op().samples.empty());
  for (const Sample& sample : op().samples) {
    EXPECT_NO_THROW(canonical_attrs(op(), sample.attrs));
    EXPECT_GE(int(sample.inputs.size()), op().min_inputs);
    EXPECT_TRUE(op().max_inputs < 0 || int(sample.inputs.size()) <= op().max_inputs);
  }
}

TEST(OpNames, AreUniqueAmongNamesAndAliases) {
  std::set<std::string_view> names;
  for (const OpDef& row : op_table()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    for (const std::string_view alias : row.aliases) EXPECT_TRUE(names.insert(alias).second) << alias;
  }
  EXPECT_GT(names.size(), 150u);
}

TEST(OpNames, AreSuggestedForATypo) {
  for (const OpDef& row : op_table()) {
    if (row.name.size() < 6) continue;
    std::string typo(row.name);
    typo.back() = typo.back() == 'q' ? 'w' : 'q';
    try {
      find_op(typo);
      ADD_FAILURE() << typo << " was found";
    } catch (const NotFoundError& error) {
      EXPECT_NE(std::string(error.what()).find("did you mean '"), std::string::npos) << error.what();
    }
  }
}

// ---- inferred as computed

SmallVector<TensorSpec, 3> inferred(const OpDef& op, const AttrList& attrs, std::span<const Tensor> inputs) {
  SmallVector<const TensorSpec*, 8> specs;
  for (const Tensor& input : inputs) specs.push_back(&input.spec());
  return infer(op, canonical_attrs(op, attrs), specs);
}

void expect_as_inferred(const OpDef& op, const Sample& sample, std::span<const Tensor> drawn) {
  const Tensors operands = sample.prepare ? sample.prepare(drawn) : Tensors(drawn.begin(), drawn.end());
  const auto specs = inferred(op, sample.attrs, operands);
  const Tensors results = apply_named(op.name, operands, sample.attrs);
  ASSERT_EQ(results.size(), specs.size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    EXPECT_EQ(results[i].dtype(), specs[i].dtype);
    if (specs[i].shape.known()) EXPECT_EQ(results[i].shape(), specs[i].shape) << to_string(results[i].shape()) << " instead of " << to_string(specs[i].shape);
    else EXPECT_TRUE(op.cpu_dynamic || op.compose) << "only the elements may leave a shape open";
  }
}

TEST_P(OpTable, InfersWhatItComputes) {
  Draw draw(op().name);
  for (const Sample& sample : op().samples) expect_as_inferred(op(), sample, draw.values(sample));
}

TEST_P(PointwiseOp, InfersWhatItComputesWhateverBroadcasts) {
  Draw draw(op().name);
  int broadcast = 0;
  for (int round = 0; round < 30; ++round) {
    Sample sample = op().samples.front();
    const std::int64_t ndim = draw.whole(0, 6);
    Ints sizes;
    for (std::int64_t i = 0; i < ndim; ++i) sizes.push_back(draw.whole(0, 8) ? draw.whole(1, 6) : 0);
    // Every operand loses some of the leading axes, and has size 1 along some of the others.
    for (Sample::Operand& operand : sample.inputs) {
      const std::int64_t lead = draw.whole(0, 3) ? 0 : draw.whole(0, ndim + 1);
      operand.shape = Shape();
      for (std::int64_t i = lead; i < ndim; ++i) operand.shape.push_back(draw.whole(0, 4) || op().max_inputs == 1 ? sizes[std::size_t(i)] : 1);
    }
    const Values operands = draw.values(sample);
    try {
      inferred(op(), sample.attrs, operands);
    } catch (const InvalidArgumentError&) {
      continue;  // a row that takes equal shapes only
    }
    ++broadcast;
    expect_as_inferred(op(), sample, operands);
  }
  EXPECT_GT(broadcast, 0);
}

TEST_P(ReductionOp, InfersWhatItComputesOverAnyAxes) {
  Draw draw(op().name);
  for (int round = 0; round < 20; ++round) {
    Sample sample = op().samples.front();
    sample.inputs[0].shape = Shape();
    Ints axes;
    for (std::int64_t i = 0, ndim = draw.whole(0, 6); i < ndim; ++i) {
      sample.inputs[0].shape.push_back(draw.whole(0, 9) ? draw.whole(1, 5) : 0);
      if (draw.whole(0, 2)) axes.push_back(draw.whole(0, 2) ? i : i - ndim);
    }
    sample.attrs = {{"axis", axes}, {"keepdims", draw.whole(0, 2) == 1}};
    expect_as_inferred(op(), sample, draw.values(sample));
  }
}

// ---- traced as eager

/// The value itself as a tensor that a trace may overwrite or fuse: every sample's elements are below the bound.
Tensor within_trace(const Tensor& x) {
  if (x.dtype() == boolean) return logical_or(x, scalar(false, boolean));
  if (is_integer(x.dtype()) || is_float(x.dtype())) return minimum(x, scalar(itemsize(x.dtype()) == 1 ? 120 : 2000, x.dtype()));
  return x;
}
/// Something that a fusion can take the result into.
Tensor continued(const Tensor& y) { return is_float(y.dtype()) ? neg(y) : y; }

std::set<std::string> all_passes() {
  std::set<std::string> names;
  for (const Pass& pass : passes()) names.emplace(pass.name);
  return names;
}

/// The sample in float32, which most fusions want; nothing where the op does not take it.
std::optional<Sample> in_float32(const OpDef& op, Sample sample) {
  bool any = false;
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    const bool complex_numbers = sample.inputs[i].dtype == complex128;
    if (sample.inputs[i].dtype != float64 && !complex_numbers) continue;
    const auto& rules = op.dtypes.inputs;
    const DType low = complex_numbers ? complex64 : float32;
    if (!rules[std::min(i, rules.size() - 1)].allowed.contains(low)) return {};
    sample.inputs[i].dtype = low;
    any = true;
  }
  return any ? std::optional(sample) : std::nullopt;
}

void expect_traced_as_eager(const OpDef& op, const Sample& sample, std::span<const Tensor> drawn) {
  const auto body = [&](std::span<const Tensor> in) {
    Tensors operands;
    for (const Tensor& each : in) operands.push_back(within_trace(each));
    Tensors results;
    for (const Tensor& result : call(op, sample, operands)) results.push_back(continued(result));
    return results;
  };
  const Tensors eager = body(drawn);
  const auto plain = function(body, {.disabled_passes = all_passes()});
  const auto optimized = function(body);
  for (int round = 0; round < 2; ++round) {  // the second call runs over used memory
    const Tensors a = plain(drawn), b = optimized(drawn);
    ASSERT_EQ(a.size(), eager.size());
    ASSERT_EQ(b.size(), eager.size());
    for (std::size_t i = 0; i < eager.size(); ++i) {
      EXPECT_TRUE(same_bits(a[i], eager[i])) << "without passes, output " << i << ", " << to_string(eager[i].spec()) << ": " << largest_difference(a[i], eager[i]);
      // Passes may sum in another order where one op is made of several, or where a sum ends a chain.
      const bool reordered = op.compose || op.fusion == Fusion::reduction || op.fusion == Fusion::gemm;
      if (!reordered) EXPECT_TRUE(same_bits(b[i], eager[i])) << "with passes, output " << i << ", " << to_string(eager[i].spec()) << ": " << largest_difference(b[i], eager[i]);
      else EXPECT_LE(largest_difference(b[i], eager[i]), eager[i].dtype() == float32 ? 2e-6 : 1e-14) << "with passes, output " << i << ", " << to_string(eager[i].spec());
    }
  }
  EXPECT_EQ(optimized.trace_count(), 1);
}

TEST_P(OpTable, GivesTracedWhatItGivesEagerly) {
  Draw draw(op().name);
  for (const Sample& sample : op().samples) {
    expect_traced_as_eager(op(), sample, draw.values(sample));
    if (const auto low = in_float32(op(), sample)) expect_traced_as_eager(op(), *low, draw.values(*low));
  }
}

TEST_P(PointwiseOp, GivesTracedWhatItGivesEagerlyOnLongRuns) {
  Draw draw(op().name);
  Sample sample = op().samples.front();
  if (const auto low = in_float32(op(), sample)) sample = *low;
  for (const std::int64_t columns : {1, 7, 1000}) {  // shorter than a vector, odd, longer than a block of a fused chain
    for (Sample::Operand& operand : sample.inputs) operand.shape = {3, columns};
    expect_traced_as_eager(op(), sample, draw.values(sample));
  }
}

// ---- commuting

TEST_P(CommutativeOp, GivesTheSameEitherWayRound) {
  ASSERT_EQ(op().min_inputs, 2);
  ASSERT_EQ(op().max_inputs, 2);
  Draw draw(op().name);
  for (int d = 0; d < kDTypeCount; ++d) {
    if (!op().dtypes.inputs[0].allowed.contains(DType(d)) || DType(d) == string) continue;
    const Tensor x = draw.tensor(DType(d), {3, 1, 9}, 0, 5), y = draw.tensor(DType(d), {4, 9}, 0, 5);
    const Tensor xy[] = {x, y}, yx[] = {y, x};
    EXPECT_TRUE(same_bits(apply_named(op().name, xy, {})[0], apply_named(op().name, yx, {})[0])) << name(DType(d));
  }
}

// ---- dtypes

/// The operands' dtypes that a sweep varies: those of the last group; others stay as in the sample.
int swept_group(const OpDef& op) {
  int group = -1;
  for (const DTypeRule::Operand& rule : op.dtypes.inputs) group = std::max(group, rule.group);
  return group;
}
const DTypeRule::Operand& rule_of(const OpDef& op, std::size_t i) { return op.dtypes.inputs[std::min(i, op.dtypes.inputs.size() - 1)]; }

/// The sample with the operands of one group in another dtype: whole numbers in [1, 3) for integers, so that they can be divided by.
/// Nothing if the row does not allow it, or if they are indices.
std::optional<Sample> in_dtype(const OpDef& op, Sample sample, DType dtype, int group) {
  bool any = false;
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    if (rule_of(op, i).group != group) continue;
    if (!rule_of(op, i).allowed.contains(dtype) || (rule_of(op, i).allowed.bits & ~kIndexInts.bits) == 0) return {};
    Sample::Operand& operand = sample.inputs[i];
    if (is_integer(dtype) && !is_integer(operand.dtype)) operand.low = 1, operand.high = 3;
    operand.dtype = dtype;
    any = true;
  }
  return any ? std::optional(sample) : std::nullopt;
}

bool mentions(const std::string& text, std::string_view word) { return text.find(word) != std::string::npos; }

/// Every allowed dtype has a kernel, or a refusal that names the op and the dtype.
TEST_P(OpTable, TakesEveryAllowedDtypeOrNamesTheOneItCannot) {
  Draw draw(op().name);
  for (int group = -1; group <= swept_group(op()); ++group)
    for (int d = 0; d < kDTypeCount; ++d) {
      const auto sample = in_dtype(op(), op().samples.front(), DType(d), group);
      if (!sample) continue;
      const Values operands = draw.values(*sample);
      try {
        expect_as_inferred(op(), *sample, operands);
      } catch (const Error& error) {  // no kernel, or the shape rule asks for more than the dtype rule
        EXPECT_TRUE(dynamic_cast<const UnimplementedError*>(&error) || dynamic_cast<const TypeError*>(&error)) << error.what();
        EXPECT_EQ(error.op(), op().name);
        EXPECT_TRUE(mentions(error.what(), name(DType(d)))) << error.what();
      }
    }
}

TEST_P(OpTable, RefusesOtherDtypesByATypeErrorThatNamesThem) {
  const Sample& sample = op().samples.front();
  Draw draw(op().name);
  for (std::size_t i = 0; i < sample.inputs.size(); ++i)
    for (int d = 0; d < kDTypeCount; ++d) {
      if (rule_of(op(), i).allowed.contains(DType(d))) continue;
      Values operands = draw.values(sample);
      for (std::size_t k = 0; k < operands.size(); ++k)
        if (k == i || (rule_of(op(), k).group >= 0 && rule_of(op(), k).group == rule_of(op(), i).group)) operands[k] = draw.tensor(DType(d), operands[k].shape(), 1, 3);
      try {
        apply_named(op().name, operands, sample.attrs);
        ADD_FAILURE() << "operand " << i << " may not be " << name(DType(d));
      } catch (const TypeError& error) {
        EXPECT_EQ(error.op(), op().name);
        EXPECT_TRUE(mentions(error.what(), name(DType(d)))) << error.what();
      }
    }
}

/// Every dtype attribute takes every dtype, or refuses it in the op's name.
TEST_P(PointwiseOp, TakesEveryDtypeAttributeOrNamesTheOneItCannot) {
  Draw draw(op().name);
  for (const AttrDef& attr : op().attrs) {
    if (attr.type != AttrType::dtype) continue;
    for (int from = 0; from < kDTypeCount; ++from)
      for (int to = 0; to < kDTypeCount; ++to) {
        auto sample = in_dtype(op(), op().samples.front(), DType(from), 0);
        if (!sample) continue;
        sample->attrs = {{attr.name, DType(to)}};
        try {
          expect_as_inferred(op(), *sample, draw.values(*sample));
        } catch (const UnimplementedError& error) {
          EXPECT_EQ(error.op(), op().name);
          EXPECT_TRUE(mentions(error.what(), name(DType(from))) || mentions(error.what(), name(DType(to)))) << error.what();
        }
      }
  }
}

/// 16-bit floats compute in float32 and round once.
TEST_P(PointwiseOp, RoundsOnceIn16Bits) {
  Draw draw(op().name);
  const int group = swept_group(op());
  for (const DType low : {float16, bfloat16}) {
    auto sample = in_dtype(op(), op().samples.front(), low, group);
    if (!sample) continue;
    for (Sample::Operand& operand : sample->inputs) operand.shape = {301};
    const Values operands = draw.values(*sample);
    Values wide;
    for (std::size_t i = 0; i < operands.size(); ++i) wide.push_back(operands[i].dtype() == low ? cast(operands[i], float32) : operands[i]);
    const Tensor narrow = call(op(), *sample, operands)[0], reference = call(op(), *sample, wide)[0];
    const Tensor expected = narrow.dtype() == low ? cast(reference, low) : reference;
    EXPECT_TRUE(same_bits(narrow, expected)) << name(low) << ": " << largest_difference(narrow, expected);
  }
}

}  // namespace
}  // namespace lockstep::autodiff
