// Fused programs on a device (interpreted on the emulated one); and, where the toolkit is, that NVRTC compiles the source made from them.

#include "chains.h"
#include "on_cuda.h"

#ifdef LOCKSTEP_TEST_NVRTC
#include <lockstep/autodiff/cuda/fusion_source.h>
#include <lockstep/autodiff/cuda/nvrtc.h>
#endif

namespace lockstep::autodiff {
namespace {

using namespace lockstep::testing;

using FusedChain = OnCuda<::testing::TestWithParam<Chain>>;
INSTANTIATE_TEST_SUITE_P(Chains, FusedChain, ::testing::ValuesIn(kChains), [](const auto& info) { return std::string(info.param.name); });

TEST_P(FusedChain, GivesOnTheDeviceWhatTheCpuGives) {
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

class FusedSourceOfChain : public ::testing::TestWithParam<Chain> {};
INSTANTIATE_TEST_SUITE_P(Chains, FusedSourceOfChain, ::testing::ValuesIn(kChains), [](const auto& info) { return std::string(info.param.name); });

TEST_P(FusedSourceOfChain, IsCompiledByNvrtcForHopper) {
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
    const Sample& sample = op.samples.front();
    const AttrList attrs = canonical_attrs(op, sample.attrs);
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
    instruction.dtype = infer(op, attrs, pointers)[0].dtype;
    if (is_complex(dtypes[0]) || is_complex(instruction.dtype)) continue;  // these run instruction by instruction
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
