// Every row's CUDA kernel beside its CPU kernel: on the samples, in every dtype, on broadcast operands, over random axes, and on sizes that take
// more than one block. Without a GPU they run on the emulated device, whose blocks and threads are loops over the same bodies.

#include <optional>

#include <lockstep/autodiff/tape.h>
#include <lockstep/tensor/device_plugin.h>

#include "../autodiff/op_samples.h"
#include "on_cuda.h"

namespace lockstep {
namespace {

using namespace lockstep::testing;

using CudaRows = OnCuda<::testing::Test>;
class CudaKernel : public OnCuda<::testing::TestWithParam<const OpDef*>> {
 protected:
  const OpDef& op() const { return *GetParam(); }
};
class CudaPointwise : public CudaKernel {};
class CudaReduction : public CudaKernel {};
class CudaNoKernel : public CudaKernel {};
class CudaGradient : public CudaKernel {};

bool needs_kernel(const OpDef& op) { return !op.compose && op.fusion != Fusion::view && !op.any_device; }
bool has_samples(const OpDef& op) { return needs_kernel(op) && op.no_cuda.empty() && !op.samples.empty(); }
/// (Strings do not go to a device in the first place, and what has no operands is computed on the host.)
bool is_host_only(const OpDef& op) {
  if (!needs_kernel(op) || op.no_cuda.empty() || op.samples.empty() || op.samples.front().inputs.empty()) return false;
  return std::ranges::none_of(op.samples.front().inputs, [](const Sample::Operand& each) { return each.dtype == string; });
}

/// (Singular vectors and eigenvectors are free in their signs, and so are gradients that come through them.)
bool has_gradient_there(const OpDef& op) {
  if (op.samples.empty() || !op.no_cuda.empty() || !(op.gradient.rule || op.compose) || op.name == "svd" || op.name == "eigh") return false;
  const auto& inputs = op.samples.front().inputs;
  return std::ranges::any_of(inputs, [](const Sample::Operand& each) { return is_differentiable(each.dtype); }) &&
         std::ranges::none_of(inputs, [](const Sample::Operand& each) { return each.dtype == string; });
}

INSTANTIATE_TEST_SUITE_P(Ops, CudaKernel, ::testing::ValuesIn(rows_where(has_samples)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, CudaGradient, ::testing::ValuesIn(rows_where(has_gradient_there)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, CudaNoKernel, ::testing::ValuesIn(rows_where(is_host_only)), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, CudaPointwise, ::testing::ValuesIn(rows_where([](const OpDef& op) { return op.pointwise && op.no_cuda.empty(); })), test_name);
INSTANTIATE_TEST_SUITE_P(Ops, CudaReduction, ::testing::ValuesIn(rows_where([](const OpDef& op) { return op.fusion == Fusion::reduction; })), test_name);

/// In units of max(1, |expected|). The CPU rounds to 16 bits after each addition of some sums, the GPU once.
double tolerance(DType dtype) {
  switch (dtype) {
    case DType::float16: return 4e-3;
    case DType::bfloat16: return 3e-2;
    case DType::float32:
    case DType::complex64: return 4e-6;
    case DType::float64:
    case DType::complex128: return 1e-12;
    default: return 0;
  }
}

DType coarsest(const OpDef& op, std::span<const Tensor> in, DType out) {
  DType worst = out;
  if (op.name == "cast") return out;
  for (const Tensor& each : in)
    if (is_differentiable(each.dtype()) && is_differentiable(out) && tolerance(each.dtype()) > tolerance(worst)) worst = each.dtype();
  return worst;
}

/// Singular vectors and eigenvectors are free in their signs: what they are the factors of is not.
void reassemble(const OpDef& op, Tensors& results) {
  if ((op.name != "svd" && op.name != "eigh") || results.size() < 2) return;
  const Tensor values = expand_dims(results[0], -2), left = results[1], right = results.back();
  results = {results[0], matmul(left * values, right, false, true), matmul(left, left, true, false)};
}

void expect_as_on_the_cpu(const OpDef& op, const AttrList& attrs, std::span<const Tensor> operands) {
  const AttrList complete = canonical_attrs(op, attrs);
  std::optional<Tensors> expected;
  try {
    expected = compute(op, operands, complete);
  } catch (const UnimplementedError&) {  // what the CPU cannot do, the GPU need not
    return;
  }
  Tensors there;
  for (const Tensor& each : operands) there.push_back(to(each, "cuda"));
  const DeviceScope scope("cuda");
  Tensors results;
  try {
    results = compute(op, there, complete);
  } catch (const Error& error) {
    ADD_FAILURE() << error.what();
    return;
  }
  const DeviceScope host{Device()};
  for (Tensor& each : results) each = to(each, Device());
  reassemble(op, results);
  reassemble(op, *expected);
  ASSERT_EQ(results.size(), expected->size());
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Tensor got = results[i], wanted = (*expected)[i];
    EXPECT_LE(largest_difference(got, wanted), tolerance(coarsest(op, operands, wanted.dtype())))
        << "output " << i << "\n  got " << to_string(got) << "\n  expected " << to_string(wanted);
  }
}

Tensors prepared(const Sample& sample, Draw& draw) {
  const Values drawn = draw.values(sample);
  return sample.prepare ? sample.prepare(drawn) : Tensors(drawn.begin(), drawn.end());
}

TEST_F(CudaRows, HaveAKernelOrAReason) {
  for (const OpDef& op : op_table()) {
    if (!needs_kernel(op)) continue;
    const DeviceKernel kernel = device_plugin().kernel(op);
    const bool has_one = kernel.bind != nullptr || kernel.dynamic != nullptr;
    EXPECT_NE(has_one, !op.no_cuda.empty()) << op.name << (has_one ? " has a kernel and a reason for having none" : " has neither");
    EXPECT_TRUE(!has_one || (kernel.dynamic != nullptr) == (op.cpu_dynamic != nullptr)) << op.name << ": bound and dynamic kernels differ";
  }
}

TEST_P(CudaKernel, GivesWhatTheCpuGives) {
  Draw draw(op().name);
  for (const Sample& sample : op().samples) expect_as_on_the_cpu(op(), sample.attrs, prepared(sample, draw));
}

TEST_P(CudaNoKernel, IsRefusedWithTheReason) {
  Draw draw(op().name);
  const Sample& sample = op().samples.front();
  Tensors there;
  for (const Tensor& each : prepared(sample, draw)) there.push_back(to(each, "cuda"));
  try {
    compute(op(), there, canonical_attrs(op(), sample.attrs));
    FAIL() << "no error";
  } catch (const UnimplementedError& error) {
    EXPECT_NE(std::string(error.what()).find(op().no_cuda), std::string::npos) << error.what();
  }
}

/// By the operands that have one; undefined where no path leads.
Tensors gradients_of(const OpDef& op, const AttrList& attrs, std::span<const Tensor> operands) {
  autodiff::GradientTape tape;
  std::vector<autodiff::Source> sources;
  for (const Tensor& each : operands)
    if (is_differentiable(each.dtype())) {
      tape.watch(each);
      sources.emplace_back(each);
    }
  Tensors targets, results;
  for (const Tensor& each : apply_named(op.name, operands, attrs))
    if (is_differentiable(each.dtype())) targets.push_back(each);
  if (targets.empty()) return results;
  for (const Gradient& each : tape.gradient(targets, sources)) results.push_back(each.dense());
  return results;
}

/// Rules are written in ops: what they make of sizes alone has to come into being where the operands are.
TEST_P(CudaGradient, IsThatOfTheCpu) {
  Draw draw(op().name);
  for (const Sample& sample : op().samples) {
    const Tensors operands = prepared(sample, draw);
    Tensors expected, there, got;
    try {
      expected = gradients_of(op(), sample.attrs, operands);
    } catch (const UnimplementedError&) {
      continue;
    }
    for (const Tensor& each : operands) there.push_back(to(each, "cuda"));
    try {
      got = gradients_of(op(), sample.attrs, there);
    } catch (const UnimplementedError& error) {
      // By way of a row for the host alone.
      EXPECT_TRUE(std::ranges::any_of(op_table(), [&](const OpDef& row) { return row.name == error.op() && !row.no_cuda.empty(); })) << error.what();
      continue;
    } catch (const Error& error) {
      ADD_FAILURE() << error.what();
      continue;
    }
    ASSERT_EQ(got.size(), expected.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_EQ(got[i].defined(), expected[i].defined()) << "operand " << i;
      if (!got[i].defined()) continue;
      EXPECT_FALSE(got[i].device().is_cpu());
      EXPECT_LE(largest_difference(to(got[i], Device()), expected[i]), 100 * tolerance(coarsest(op(), operands, expected[i].dtype())))
          << "operand " << i << "\n  got " << to_string(got[i]) << "\n  expected " << to_string(expected[i]);
    }
  }
}

/// The sample with the operands of one group in another dtype.
std::optional<Sample> in_dtype(const OpDef& op, Sample sample, DType dtype, int group) {
  bool any = false;
  for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
    const DTypeRule::Operand& rule = op.dtypes.inputs[std::min(i, op.dtypes.inputs.size() - 1)];
    if (rule.group != group) continue;
    if (!rule.allowed.contains(dtype)) return {};
    Sample::Operand& operand = sample.inputs[i];
    if (is_integer(dtype) && !is_integer(operand.dtype)) operand.low = 1, operand.high = 3;
    operand.dtype = dtype;
    any = true;
  }
  return any ? std::optional(sample) : std::nullopt;
}

TEST_P(CudaKernel, GivesWhatTheCpuGivesInEveryDType) {
  Draw draw(op().name);
  for (int group = -1; group < 4; ++group)
    for (int d = 0; d < kDTypeCount; ++d) {
      if (DType(d) == string) continue;
      for (const Sample& each : op().samples) {
        const auto sample = in_dtype(op(), each, DType(d), group);
        if (!sample) continue;
        SCOPED_TRACE(std::string(name(DType(d))));
        std::optional<Tensors> operands;
        try {
          operands = prepared(*sample, draw);
          compute(op(), *operands, canonical_attrs(op(), sample->attrs));
        } catch (const Error&) {
          continue;  // the row refuses it
        }
        expect_as_on_the_cpu(op(), sample->attrs, *operands);
      }
    }
}

TEST_P(CudaPointwise, GivesWhatTheCpuGivesOnBroadcastOperands) {
  Draw draw(op().name);
  const Shape shapes[][3] = {{{1037}, {1037}, {1037}}, {{13, 64}, {64}, {13, 64}}, {{13, 64}, {13, 1}, {64}}, {{5, 1, 12}, {7, 12}, {1}}, {{3, 4, 5, 6}, {4, 1, 6}, {3, 1, 1, 1}}, {{0, 3}, {3}, {1}}};
  for (const auto& shape : shapes) {
    Sample sample = op().samples.front();
    for (std::size_t i = 0; i < sample.inputs.size(); ++i) {
      sample.inputs[i].shape = shape[i];
      if (sample.inputs[i].dtype == float64) sample.inputs[i].dtype = float32;
    }
    const Tensors operands = prepared(sample, draw);
    try {
      compute(op(), operands, canonical_attrs(op(), sample.attrs));
    } catch (const InvalidArgumentError&) {
      continue;  // a row that takes equal shapes only
    }
    expect_as_on_the_cpu(op(), sample.attrs, operands);
  }
}

TEST_P(CudaReduction, GivesWhatTheCpuGivesOverAnyAxes) {
  Draw draw(op().name);
  for (int round = 0; round < 24; ++round) {
    Sample sample = op().samples.front();
    sample.inputs[0].shape = Shape();
    if (sample.inputs[0].dtype == float64 && round % 2) sample.inputs[0].dtype = float32;
    Ints axes;
    for (std::int64_t i = 0, ndim = draw.whole(0, 6); i < ndim; ++i) {
      sample.inputs[0].shape.push_back(draw.whole(0, 9) ? draw.whole(1, 5) : 0);
      if (draw.whole(0, 2)) axes.push_back(i);
    }
    expect_as_on_the_cpu(op(), {{"axis", axes}, {"keepdims", draw.whole(0, 2) == 1}}, prepared(sample, draw));
  }
}

TEST_P(CudaReduction, GivesWhatTheCpuGivesOnManyBlocks) {
  Draw draw(op().name);
  const std::pair<Shape, Ints> cases[] = {{{70000}, {0}}, {{3, 9000}, {1}}, {{9000, 3}, {0}}, {{4, 500, 40}, {1}}, {{40, 50, 30}, {0, 2}}, {{700, 33}, {1}}};
  for (const auto& [shape, axes] : cases) {
    Sample sample = op().samples.front();
    sample.inputs[0].shape = shape;
    if (op().name == "reduce_prod") sample.inputs[0].low = 0.999, sample.inputs[0].high = 1.001;
    expect_as_on_the_cpu(op(), {{"axis", axes}}, prepared(sample, draw));
  }
}

class CudaSizes : public OnCuda<::testing::Test> {
 protected:
  Draw draw{"sizes"};
  void expect(std::string_view name, const AttrList& attrs, std::initializer_list<Tensor> operands) {
    SCOPED_TRACE(std::string(name));
    expect_as_on_the_cpu(find_op(name), attrs, std::vector<Tensor>(operands));
  }
  Tensor number(const Shape& shape, DType dtype = float64) { return draw.tensor(dtype, shape, -2, 2); }
  Tensor whole(const Shape& shape, double high, DType dtype = int32) { return draw.tensor(dtype, shape, 0, high); }
};

TEST_F(CudaSizes, ScanLongLines) {
  for (const char* name : {"cumsum", "cumulative_logsumexp"})
    for (const bool reverse : {false, true}) expect(name, {{"axis", std::int64_t(1)}, {"exclusive", reverse}, {"reverse", reverse}}, {number({2, 20000, 2})});
}

TEST_F(CudaSizes, SortManyLinesAndLongOnes) {
  for (const DType dtype : {float32, float64, int64, uint8, bfloat16}) {
    expect("sort", {{"axis", std::int64_t(1)}, {"direction", std::string("descending")}}, {draw.tensor(dtype, {30, 50, 4}, 0, 40)});
    expect("argsort", {}, {draw.tensor(dtype, {3000}, 0, 90)});
    expect("top_k", {{"k", std::int64_t(7)}}, {draw.tensor(dtype, {20, 100}, 0, 60)});
  }
  expect("sort", {}, {constant({2.f, NAN, -1.f, -0.f, 0.f, INFINITY, -INFINITY})});
}

TEST_F(CudaSizes, CountAndFindKinds) {
  expect("unique_with_counts", {}, {whole({5000}, 90)});
  expect("unique", {}, {draw.tensor(float32, {700}, 0, 1)});
  expect("bincount", {}, {whole({5000}, 37)});
  expect("bincount", {{"minlength", std::int64_t(50)}}, {whole({5000}, 37), number({5000})});
  expect("where_index", {}, {draw.tensor(boolean, {50, 3, 40}, 0, 1)});
  expect("where_index", {}, {zeros({0, 3}, boolean)});
  expect("unique", {}, {zeros({0})});
}

TEST_F(CudaSizes, AddManyRowsInOrder) {
  expect("gather_gradient", {}, {whole({3000}, 11), number({3000, 16}), number({11, 16})});
  expect("unsorted_segment_max", {{"num_segments", std::int64_t(20)}}, {number({1000, 3}), whole({1000}, 20)});
  expect("tensor_scatter_update", {}, {number({30, 4}), whole({200, 1}, 30), number({200, 4})});
  expect("gather", {}, {number({40, 8}, float32), whole({7, 9}, 40)});
  expect("gather", {{"axis", std::int64_t(1)}}, {number({4, 30, 3}, float16), whole({7}, 30)});
}

TEST_F(CudaSizes, TransposeByTiles) {
  for (const DType dtype : {float32, float64, int8, bfloat16, complex128}) {
    expect("transpose", {}, {draw.tensor(dtype, {70, 33}, -2, 2)});
    expect("transpose", {{"perm", Ints{0, 2, 1}}}, {draw.tensor(dtype, {3, 40, 41}, -2, 2)});
    expect("transpose", {{"perm", Ints{2, 0, 3, 1}}}, {draw.tensor(dtype, {3, 9, 5, 10}, -2, 2)});
  }
}

TEST_F(CudaSizes, NormalizeLongRows) {
  expect("softmax", {}, {number({5, 3000})});
  expect("softmax", {{"axis", std::int64_t(0)}}, {number({300, 70})});
  expect("log_softmax", {}, {number({600, 10}, float32)});
  expect("sparse_softmax_cross_entropy_with_logits", {}, {whole({40}, 1000), number({40, 1000})});
  expect("sparse_softmax_cross_entropy_gradient", {}, {whole({40}, 1000), number({40, 1000}), number({40})});
}

TEST_F(CudaSizes, FactorLargerMatrices) {
  const Tensor x = number({2, 23, 23}), tall = number({2, 31, 12}), wide = number({9, 40});
  const Tensor positive = matmul(x, x, false, true) + eye(23, {}, {}, float64);
  expect("cholesky", {}, {positive});
  expect("eigh", {}, {positive});
  expect("inv", {}, {positive});
  for (const bool adjoint : {false, true}) {
    expect("solve", {{"adjoint", adjoint}}, {positive, number({2, 23, 5})});
    expect("inv", {{"adjoint", adjoint}}, {x + eye(23, {}, {}, float64) * 9});
  }
  expect("slogdet", {}, {x});
  for (const std::vector<double>& singular : {std::vector<double>(9), {1, 2, 3, 2, 4, 6, 0, 0, 1}, {0, 1, 2, 0, 3, 4, 0, 5, 6}}) expect("det", {}, {constant(singular, {3, 3})});
  expect("qr", {}, {tall});
  expect("qr", {{"full_matrices", true}}, {tall});
  expect("qr", {}, {wide});
  for (const Tensor& each : {tall, wide, x}) expect("svd", {{"compute_uv", true}}, {each});
}

TEST_F(CudaSizes, PoolWithOverlapsAndPadding) {
  for (const char* padding : {"same", "valid"})
    for (const std::int64_t stride : {1, 2, 3}) {
      const AttrList attrs{{"ksize", Ints{3, 2}}, {"strides", Ints{stride, stride}}, {"padding", std::string(padding)}};
      const Tensor x = number({2, 9, 11, 5});
      expect("max_pool2d", attrs, {x});
      expect("avg_pool2d", attrs, {x});
      const Tensor y = apply_named("max_pool2d", std::vector{x}, attrs)[0];
      expect("max_pool2d_gradient", attrs, {x, y});
      AttrList shaped = attrs;
      shaped.push_back({"input_shape", Ints{2, 9, 11, 5}});
      expect("avg_pool2d_gradient", shaped, {y});
    }
}

TEST_F(CudaSizes, TransformSignalsOfAnyLength) {
  for (const std::int64_t n : {1, 2, 16, 37, 90, 128}) {
    for (const char* name : {"signal_fft", "signal_ifft", "signal_irfft"}) {
      if (n > 1) expect(name, {}, {number({3, n}, complex128)});
      expect(name, std::string_view(name) == "signal_irfft" ? AttrList{{"fft_length", Ints{n}}} : AttrList{}, {number({2, 2, n}, complex128)});
    }
    expect("signal_rfft", {}, {number({3, n})});
    for (const std::int64_t type : {1, 2, 3, 4})
      if (n > 1 || type > 1) expect("signal_cosines", {{"type", type}}, {number({3, n})});
  }
  expect("signal_fft", {}, {number({0, 4}, complex64)});
  expect("signal_rfft2d", {}, {number({0, 4, 3})});
  expect("signal_fft3d", {}, {number({2, 3, 10, 7}, complex128)});
  expect("signal_ifft2d", {}, {number({9, 14}, complex128)});
}

TEST_F(CudaSizes, CropAndPadWhatIsTransformed) {
  for (const Ints& sizes : {Ints{9, 12}, Ints{5, 11}, Ints{14, 6}, Ints{10, 15}, Ints{1, 1}}) {
    expect("signal_rfft2d", {{"fft_length", sizes}}, {number({2, 9, 12})});
    // (What is given is the spectrum of nothing real.)
    expect("signal_irfft2d", {{"fft_length", sizes}}, {number({2, 9, 7}, complex128)});
    const Ints deeper{4, sizes[0], sizes[1]};
    expect("signal_rfft3d", {{"fft_length", deeper}}, {number({2, 3, 9, 12})});
    expect("signal_irfft3d", {{"fft_length", deeper}}, {number({2, 5, 9, 7}, complex128)});
  }
}

TEST_F(CudaSizes, TransformAPartThatBeginsBetweenTwoNumbers) {
  const Tensor whole = number({33}, float32), there = to(whole, "cuda");
  const Tensor got = apply_named("signal_rfft", std::vector{Tensor::view(there, {2, 16}, 1)}, {})[0];
  EXPECT_LE(largest_difference(to(got, Device()), apply_named("signal_rfft", std::vector{Tensor::view(whole, {2, 16}, 1)}, {})[0]), tolerance(float32));
}

TEST_F(CudaSizes, CutSignalsIntoFramesAndBack) {
  for (const std::int64_t step : {1, 5, 16, 21})
    for (const bool pad_end : {false, true}) {
      for (const std::int64_t length : {16, 24, 9}) expect("signal_framed_rfft", {{"frame_step", step}, {"fft_length", length}, {"pad_end", pad_end}}, {number({2, 3, 70}), number({16})});
      for (const std::int64_t axis : {0, 1, 2})
        expect("signal_frame", {{"frame_length", std::int64_t(16)}, {"frame_step", step}, {"pad_end", pad_end}, {"pad_value", 3.0}, {"axis", axis}}, {number({20, 33, 18}, float32)});
      expect("signal_overlap_and_add", {{"frame_step", step}, {"axis", std::int64_t(1)}}, {number({2, 7, 16, 3})});
    }
}

TEST_F(CudaSizes, ResizeByFewTapsAndByMany) {
  for (const char* method : {"bilinear", "bicubic", "area", "lanczos3", "lanczos5", "gaussian", "mitchellcubic"})
    for (const bool antialias : {false, true})
      for (const bool transposed : {false, true})
        for (const Ints& size : {Ints{40, 7}, Ints{5, 31}})
          expect("image_resample", {{"size", size}, {"method", std::string(method)}, {"antialias", antialias}, {"transposed", transposed}}, {number({2, 17, 19, 3})});
}

TEST_F(CudaSizes, DrawTheSameWords) {
  const Tensor key = constant(std::vector<std::int64_t>{3, 5}), later = constant(std::vector<std::int64_t>{3, 5, 7});
  for (const DType dtype : {float32, float64, float16, int32}) {
    const AttrList range{{"shape", Ints{1001}}, {"low", std::int64_t(-3)}, {"high", std::int64_t(12)}, {"dtype", dtype}};
    expect("random_uniform", range, {key});
    expect("random_uniform", range, {later});
  }
  expect("random_normal", {{"shape", Ints{1001}}, {"dtype", float64}}, {later});
  expect("random_truncated_normal", {{"shape", Ints{1001}}}, {later});
  expect("random_permutation", {{"n", std::int64_t(1001)}}, {key});
}

}  // namespace
}  // namespace lockstep
