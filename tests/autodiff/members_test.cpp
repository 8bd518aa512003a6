#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include <lockstep/autodiff/members.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/lockstep.h>

using namespace lockstep;
using namespace lockstep::autodiff;

namespace {

/// A collective that only this test knows: the sum over members.
const OpDef& sum_over_members() {
  static const OpDef* op = [] {
    OpDef row{.name = "test_sum_over_members", .family = "test", .dtypes = same(kFloats), .infer = [](InferContext& context) { context.output(context.dtype_of(0), context.shape(0)); }, .effect = Effect::collective,
              .cpu = [](const BindContext& context) -> BoundKernel {
                return [bytes = std::size_t(context.shape(0).numel()) * itemsize(context.dtype_of(0))](Inputs in, Outputs out) { std::memcpy(out[0], in[0], bytes); };
              }};
    std::vector<OpDef> rows;
    rows.push_back(std::move(row));
    extend_op_table(std::move(rows));
    return &find_op("test_sum_over_members");
  }();
  return *op;
}

void add_up(const Graph& graph, const Node& node, std::span<const Inputs> inputs, std::span<const Outputs> outputs) {
  const std::int64_t count = graph.spec(node.inputs[0]).shape.numel();
  for (std::int64_t i = 0; i < count; ++i) {
    float sum = 0;
    for (const Inputs in : inputs) sum += static_cast<const float*>(in[0])[i];
    for (const Outputs out : outputs) static_cast<float*>(out[0])[i] = sum;
  }
}

/// w moves by the sum over members of x * w; `seen` counts the elements of x for each member; gives the mean of x.
struct Step {
  Variable w{constant({1.0f, 2.0f}), {.path = "w"}};
  Variable seen{constant(0.0f), {.path = "seen", .trainable = false, .kind = StateKind::summed}};
  Variable steps{constant(0.0f), {.path = "steps", .trainable = false}};

  Graph trace(std::int64_t rows) const {
    Trace trace;
    const Tensor x = trace.argument({float32, {rows, 2}});
    const Tensor sum = apply(sum_over_members(), {reduce_sum(x * w.value(), 0)});
    w.assign_sub(0.5f * sum);
    seen.assign_add(scalar(double(2 * rows), float32));
    steps.assign_add(scalar(1.0, float32));
    const Tensors results{reduce_mean(x)};
    return trace.finish(results);
  }
};

bool own(const Variable& variable) { return variable.kind() == StateKind::summed; }

TEST(SplitMembers, LeavesWhatFollowsFromCollectivesToTheSharedPart) {
  const Step step;
  const MemberGraphs graphs = split_members(step.trace(3), own);
  ASSERT_EQ(graphs.member.updates.size(), 1u);
  EXPECT_EQ(graphs.member.updates[0].variable, step.seen);
  ASSERT_EQ(graphs.shared.updates.size(), 2u);
  EXPECT_EQ(graphs.member.results.size(), 2u) << "the mean, and the sum that is handed over";
  EXPECT_EQ(graphs.shared.arguments.size(), 2u) << "x, and the sum";
  for (const std::string& name : graphs.shared.op_names()) EXPECT_NE(name, "test_sum_over_members");
}

TEST(Members, UpdateSharedStateOnceAndTheirOwnEach) {
  const Step step;
  const Variable other(constant(0.0f), {.path = "seen/member_1", .trainable = false, .kind = StateKind::summed});
  const Members members({step.trace(1), step.trace(2)}, own, [&](std::size_t, const Variable&) { return other; });
  const std::vector<Tensors> arguments{{constant({{1.0f, 1.0f}})}, {constant({{2.0f, 0.0f}, {0.0f, 3.0f}})}};
  const std::vector<Tensors> results = members.run(arguments, add_up);
  // Sums over the rows: (1, 1) * w and (2, 3) * w, together (3, 4) * (1, 2) = (3, 8).
  EXPECT_EQ(step.w.value().to_vector<float>(), (std::vector<float>{1 - 1.5f, 2 - 4.0f}));
  EXPECT_EQ(step.seen.value().item<float>(), 2);
  EXPECT_EQ(other.value().item<float>(), 4);
  EXPECT_EQ(step.steps.value().item<float>(), 1);
  EXPECT_EQ(results[0][0].item<float>(), 1);
  EXPECT_EQ(results[1][0].item<float>(), 1.25f);
}

TEST(ExecutableRun, StopsAtEveryCollectiveAndChangesVariablesAtItsEnd) {
  const Step step;
  const Executable executable(step.trace(1), {});
  Executable::Run run(executable, std::array{constant({{1.0f, 1.0f}})});
  const Node* node = run.advance();
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->op, &sum_over_members());
  std::memcpy(run.outputs()[0], run.inputs()[0], 2 * sizeof(float));
  EXPECT_EQ(run.advance(), nullptr);
  EXPECT_EQ(run.finish()[0].item<float>(), 1);
  EXPECT_EQ(step.w.value().to_vector<float>(), (std::vector<float>{0.5f, 1}));
}

}  // namespace
