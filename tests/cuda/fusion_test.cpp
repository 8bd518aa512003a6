// CUDA source made from fused programs: what it says, that NVRTC compiles it, and (on a device, or interpreted on the emulated one) what it computes.

#include <lockstep/autodiff/fused.h>
#include <lockstep/autodiff/passes/passes.h>

#include "../autodiff/op_samples.h"

#ifdef LOCKSTEP_TEST_NVRTC
#include <lockstep/autodiff/cuda/fusion_source.h>
#include <lockstep/autodiff/cuda/nvrtc.h>
#endif

namespace lockstep::autodiff {
namespace {

using namespace lockstep::testing;

/// Chains as training makes them: broadcasts, masks, casts, sums over everything, rows and columns.
struct Chain {
  const char* name;
  std::vector<Shape> shapes;
  Tensors (*body)(std::span<const Tensor>);
};
const Chain kChains[] = {
    {"pointwise", {{64, 48}, {64, 48}}, [](std::span<const Tensor> in) -> Tensors { return {tanh(in[0] * in[1] + 1) - sigmoid(in[1])}; }},
    {"odd", {{7, 5}, {7, 5}}, [](std::span<const Tensor> in) -> Tensors { return {exp(in[0] - in[1]) * 2}; }},
    {"row", {{33, 20}, {20}}, [](std::span<const Tensor> in) -> Tensors { return {gelu((in[0] + in[1]) * in[1])}; }},
    {"column", {{33, 20}, {33, 1}}, [](std::span<const Tensor> in) -> Tensors { return {(in[0] - in[1]) / (abs(in[1]) + 1)}; }},
    {"mask", {{40, 10}, {40, 10}}, [](std::span<const Tensor> in) -> Tensors { return {where(in[0] > in[1], in[0] * 3, in[1] - 1), cast(cast(in[0] > 0.5, float32) * in[1], bfloat16)}; }},
    {"low", {{16, 24}}, [](std::span<const Tensor> in) -> Tensors { return {cast(tanh(cast(in[0], float16) * cast(in[0], float16)), float32)}; }},
    {"total", {{300, 41}, {300, 41}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_mean(square(in[0] - in[1])), in[0] * in[1] + 1}; }},
    {"sum_of_rows", {{500, 12}, {500, 12}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_sum(in[0] * in[1] * 2, 0)}; }},
    {"sum_of_wide_rows", {{70, 700}, {70, 700}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_sum(in[0] * in[1] * 2, 0)}; }},
    {"sum_of_columns", {{50, 300}, {50, 300}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_mean(relu(in[0]) * in[1], 1)}; }},
    {"sum_of_short_columns", {{900, 6}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_sum(square(in[0]) + 1, 1)}; }},
    {"integers", {{30, 8}}, [](std::span<const Tensor> in) -> Tensors { const Tensor k = cast(in[0] * 9, int32); return {cast(k * k - 7, float32) + in[0]}; }},
    {"activations", {{12, 16}}, [](std::span<const Tensor> in) -> Tensors { const Tensor& x = in[0]; return {selu(elu(x)) + mish(x) * hard_sigmoid(x) + leaky_relu(x, 0.1) - silu(softplus(x)) + log_sigmoid(x), clip_by_value(x, -0.5, 0.25)}; }},
    {"special", {{12, 16}}, [](std::span<const Tensor> in) -> Tensors { const Tensor x = abs(in[0]) + 0.5; return {lgamma(x) + digamma(x) - erf(x) * erfc(x) + sin(x) * cos(x) - floor(x)}; }},
};

void PrintTo(const Chain& chain, std::ostream* stream) { *stream << chain.name; }
class FusedChain : public ::testing::TestWithParam<Chain> {};
INSTANTIATE_TEST_SUITE_P(Chains, FusedChain, ::testing::ValuesIn(kChains), [](const auto& info) { return std::string(info.param.name); });

TEST_P(FusedChain, GivesOnTheDeviceWhatTheCpuGives) {
  if (cuda_device_count() == 0) GTEST_SKIP() << "no device: " << why_no_cuda();
  Draw draw(GetParam().name);
  Values here, there;
  for (const Shape& shape : GetParam().shapes) here.push_back(draw.tensor(float32, shape, -2, 2));
  for (const Tensor& each : here) there.push_back(to(each, "cuda"));
  const Tensors expected = function(GetParam().body)(here);
  const DeviceScope scope("cuda");
  const auto f = function(GetParam().body);
  for (int call = 0; call < 3; ++call) {
    const Tensors got = f(there);
    for (std::size_t i = 0; i < got.size(); ++i) {
      const std::string_view name = GetParam().name;
      const double allowed = expected[i].dtype() == bfloat16 || name == "low" ? 1e-2 : name.starts_with("sum") || name == "total" ? 2e-5 : 4e-6;
      EXPECT_LE(largest_difference(to(got[i], Device()), expected[i]), allowed) << "output " << i << " of call " << call;
    }
  }
}

#ifdef LOCKSTEP_TEST_NVRTC

/// The fused programs of the chain's graph.
std::vector<std::shared_ptr<const FusedProgram>> programs_of(const Chain& chain) {
  std::vector<std::shared_ptr<const FusedProgram>> programs;
  Values operands;
  for (const Shape& shape : chain.shapes) operands.push_back(zeros(shape));
  const auto f = function(chain.body);

  for (const Node& node : f.concrete_function(operands).optimized().nodes)
    if (node.kind == Node::Kind::op && node.op == &fused_op())
      programs.push_back(std::static_pointer_cast<const FusedProgram>(std::get<std::shared_ptr<const AttrObject>>(node.attrs[0].value)));
  return programs;
}

TEST_P(FusedChain, IsCompiledByNvrtcForHopper) {
  const auto programs = programs_of(GetParam());
  ASSERT_FALSE(programs.empty());
  for (const auto& program : programs)
    for (const bool wide : {false, true}) {
      const auto source = cuda::fused_source(*program, wide);
      ASSERT_TRUE(source) << program->describe();
      EXPECT_EQ(cuda::fused_source(*program, wide)->text, source->text);
      try {
        EXPECT_EQ(cuda::compile(source->text, 90).substr(1, 3), "ELF");
      } catch (const Error& error) {
        ADD_FAILURE() << program->describe() << "\n" << error.what();
      }
    }
}

/// Every pointwise row has words in the generator, for every dtype that it takes and the types of C++ know.
TEST(FusionSource, HasWordsForEveryPointwiseRow) {
  for (const OpDef& op : op_table()) {
    if (op.fusion != Fusion::pointwise || !op.pointwise || !op.no_cuda.empty()) continue;
    FusedProgram program;
    program.shape = {8, 4};
    std::string missing;
    const Sample& sample = op.samples.front();
    SmallVector<DType, 4> dtypes;
    FusedProgram::Instruction instruction;
    instruction.op = &op;
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      FusedProgram::Operand operand;
      operand.dtype = sample.inputs[i].dtype;
      dtypes.push_back(operand.dtype);
      program.operands.push_back(operand);
      instruction.operands.push_back(int(i));
    }
    std::vector<TensorSpec> specs;
    std::vector<const TensorSpec*> pointers;
    for (const DType dtype : dtypes) specs.push_back({dtype, {8, 4}});
    for (const TensorSpec& each : specs) pointers.push_back(&each);
    const AttrList attrs = canonical_attrs(op, sample.attrs);
    instruction.dtype = infer(op, attrs, pointers)[0].dtype;
    const OpCall call(op, attrs);
    for (const AttrDef& declared : op.attrs)
      if (declared.type == AttrType::number || declared.type == AttrType::integer || declared.type == AttrType::boolean) instruction.params.push_back(call.number(declared.name));
    program.code.push_back(instruction);
    program.outputs.push_back({.slot = int(program.operands.size())});
    const auto source = cuda::fused_source(program, true);
    ASSERT_TRUE(source) << op.name;
    try {
      cuda::compile(source->text, 90);
    } catch (const Error& error) {
      ADD_FAILURE() << op.name << "\n" << error.what();
    }
  }
}

#endif

}  // namespace
}  // namespace lockstep::autodiff
