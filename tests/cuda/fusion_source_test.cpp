// The CUDA source of fused programs, run without a GPU: compiled for the host, where each of a block's 256 threads is a thread and __syncthreads a
// barrier. What comes out is held beside the CPU's executor of fused programs.

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <lockstep/autodiff/cuda/fusion_source.h>

#include "chains.h"

namespace lockstep::autodiff {
namespace {

using namespace lockstep::testing;

/// What a CUDA source needs of CUDA.
constexpr std::string_view kHost = R"(
#include <math.h>
#include <string.h>
#include <barrier>
#include <thread>
#include <vector>
#define __global__
#define __device__
#define __launch_bounds__(x)
#define __shared__ static
struct Index { unsigned x; };
static thread_local Index blockIdx, threadIdx;
static Index gridDim;
static std::barrier<>* barrier;
static void __syncthreads() { barrier->arrive_and_wait(); }
static float __uint_as_float(unsigned x) { float y; memcpy(&y, &x, 4); return y; }
static unsigned __float_as_uint(float x) { unsigned y; memcpy(&y, &x, 4); return y; }
static double __longlong_as_double(long long x) { double y; memcpy(&y, &x, 8); return y; }
template <class F> static void launch(unsigned blocks, F kernel) {
  gridDim.x = blocks;
  for (unsigned b = 0; b < blocks; ++b) {
    std::barrier<> meeting(256);
    barrier = &meeting;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 256; ++t) threads.emplace_back([=] { blockIdx.x = b; threadIdx.x = t; kernel(); });
    for (std::thread& each : threads) each.join();
  }
}
)";

void replace(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
}

/// A function `run_KERNEL(pointers, numel, blocks)` that calls the kernel with its parameters' types.
std::string runner(const std::string& text, const std::string& kernel) {
  const std::string begin = "__launch_bounds__(256) " + kernel + "(";
  const std::size_t at = text.find(begin) + begin.size();
  std::string list = text.substr(at, text.find(") {", at) - at) + ",", call;
  int number = 0;
  for (std::size_t comma; (comma = list.find(',')) != std::string::npos; list.erase(0, comma + 1)) {
    const std::size_t star = list.substr(0, comma).find('*');
    call.append(number ? ", " : "").append(star == std::string::npos ? "numel" : "(" + list.substr(0, star + 1) + ")pointers[" + std::to_string(number) + "]");
    ++number;
  }
  return "extern \"C\" void run_" + kernel + "(void** pointers, long long numel, unsigned blocks) { launch(blocks, [=] { " + kernel + "(" + call + "); }); }\n";
}

/// A library of the source for the host; it is closed and removed with this.
class HostLibrary {
 public:
  explicit HostLibrary(const cuda::FusedSource& source) {
    std::string folder = (std::filesystem::temp_directory_path() / "lockstep_fused_XXXXXX").string();
    if (!mkdtemp(folder.data())) throw std::runtime_error("no temporary folder");
    folder_ = folder;
    std::string text = source.text;
    replace(text, "float y; asm(\"cvt.f32.f16 %0, %1;\" : \"=f\"(y) : \"h\"(x.bits)); return y;", "_Float16 y; memcpy(&y, &x.bits, 2); return (float)y;");
    replace(text, "asm(\"cvt.rn.f16.f32 %0, %1;\" : \"=h\"(y.bits) : \"f\"(x));", "_Float16 h = (_Float16)x; memcpy(&y.bits, &h, 2);");
    std::ofstream(folder_ / "fused.cpp") << kHost << text << runner(text, "fused") << (source.finish_blocks ? runner(text, "finish") : "");
    const std::string command = std::string(LOCKSTEP_TEST_COMPILER) + " -std=c++20 -O1 -w -shared -fPIC -pthread " + (folder_ / "fused.cpp").string() + " -o " + (folder_ / "fused.so").string();
    if (std::system(command.c_str()) == 0) library_ = dlopen((folder_ / "fused.so").c_str(), RTLD_NOW);
  }
  HostLibrary(const HostLibrary&) = delete;
  HostLibrary& operator=(const HostLibrary&) = delete;
  ~HostLibrary() {
    if (library_) dlclose(library_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  explicit operator bool() const { return library_ != nullptr; }
  void run(const char* name, std::vector<void*>& pointers, std::int64_t numel, std::int64_t blocks) const {
    reinterpret_cast<void (*)(void**, long long, unsigned)>(dlsym(library_, name))(pointers.data(), numel, unsigned(blocks));
  }

 private:
  std::filesystem::path folder_;
  void* library_ = nullptr;
};

std::int64_t numel_of(Layout layout, const FusedProgram& program) {
  const std::int64_t numel = program.shape.numel();
  return layout == Layout::full ? numel : layout == Layout::row ? program.columns : layout == Layout::column ? numel / program.columns : 1;
}

class FusedText : public ::testing::TestWithParam<Chain> {};
INSTANTIATE_TEST_SUITE_P(Chains, FusedText, ::testing::ValuesIn(kChains), [](const auto& info) { return std::string(info.param.name); });

TEST_P(FusedText, ComputesOnTheHostWhatTheCpuComputes) {
  Draw draw(GetParam().name);
  const auto programs = programs_of(GetParam());
  ASSERT_FALSE(programs.empty());
  for (const auto& program : programs)
    for (const bool wide : {false, true}) {
      SCOPED_TRACE(program->describe() + (wide ? " wide" : ""));
      const auto source = cuda::fused_source(*program, wide);
      ASSERT_TRUE(source);
      const HostLibrary library(*source);
      ASSERT_TRUE(library) << source->text;
      Values in, expected, got;
      std::vector<TensorSpec> inputs, outputs;
      std::vector<const TensorSpec*> specs;
      for (const FusedProgram::Operand& operand : program->operands)
        if (!operand.constant.defined()) in.push_back(draw.tensor(operand.dtype, {numel_of(operand.layout, *program)}, -2, 2)), inputs.push_back(in.back().spec());
      for (const TensorSpec& each : inputs) specs.push_back(&each);
      for (const FusedProgram::Output& output : program->outputs) {
        const auto k = std::size_t(output.slot), first = program->operands.size();
        outputs.push_back({k < first ? program->operands[k].dtype : program->code[k - first].dtype, {numel_of(output.reduced ? output.layout : Layout::full, *program)}});
        expected.push_back(zeros(outputs.back().shape, outputs.back().dtype));
        got.push_back(ones(outputs.back().shape, outputs.back().dtype));
      }
      std::vector<const void*> from;
      std::vector<void*> to, pointers, sums;
      for (Tensor& each : in) from.push_back(each.raw()), pointers.push_back(each.mutable_raw());
      for (Tensor& each : expected) to.push_back(each.mutable_raw());
      const AttrList attrs{{"program", std::shared_ptr<const AttrObject>(program)}};
      fused_op().cpu(BindContext(fused_op(), attrs, specs, outputs))(from.data(), to.data());
      std::vector<float> part(std::size_t(source->part_numel) + 1, NAN);
      for (std::size_t o = 0; o < got.size(); ++o) {
        pointers.push_back(got[o].mutable_raw());
        if (program->outputs[o].reduced && program->outputs[o].layout != Layout::column) sums.push_back(got[o].mutable_raw());
      }
      pointers.push_back(part.data());
      sums.push_back(part.data());
      library.run("run_fused", pointers, program->shape.numel(), source->reduces ? source->blocks : 2);
      if (source->finish_blocks) library.run("run_finish", sums, 0, source->finish_blocks);
      for (std::size_t o = 0; o < got.size(); ++o) EXPECT_LE(largest_difference(got[o], expected[o]), got[o].dtype() == float32 ? 4e-5 : 1e-2) << "output " << o;
    }
}

}  // namespace
}  // namespace lockstep::autodiff
