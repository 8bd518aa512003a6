// The workload for GPUs in small: that it traces, runs and learns, on the host and on a device.

#include <cmath>

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

#include "../cuda/on_cuda.h"
#include "workloads.h"

namespace lockstep::bench {
namespace {

const GptSizes kSmall{.batch = 1, .length = 12, .vocabulary = 50, .width = 16, .layers = 2, .heads = 2};

void expect_training() {
  const Workload workload = make_workload(gpt2_parts(kSmall));
  const double first = cast(workload.step(), float64).item<double>();
  double last = first;
  for (int k = 0; k < 8; ++k) last = cast(workload.step(), float64).item<double>();
  EXPECT_NEAR(first, std::log(50.0), 0.7);
  EXPECT_LT(last, first);
  int forward = 0, gradient = 0;
  for (const std::string& op : workload.trace().optimized().op_names()) forward += op == "dot_product_attention", gradient += op == "dot_product_attention_gradient";
  EXPECT_EQ(forward, 2);
  EXPECT_EQ(gradient, 2);
}

TEST(Gpt2, TracesAndLearnsWithOneAttentionForEachLayer) { expect_training(); }

using Gpt2OnCuda = testing::OnCuda<::testing::Test>;
TEST_F(Gpt2OnCuda, TracesAndLearnsWithOneAttentionForEachLayer) {
  const DeviceScope scope("cuda");
  expect_training();
}

TEST(Gpt2, HasTheParametersOfThePublishedModel) {
  const GptSizes sizes;
  const std::int64_t block = 4 * sizes.width * sizes.width + 4 * sizes.width + 8 * sizes.width * sizes.width + 5 * sizes.width + 4 * sizes.width;
  EXPECT_EQ((sizes.vocabulary + sizes.length) * sizes.width + sizes.layers * block + 2 * sizes.width, 124'439'808);
  const WorkloadParts parts = gpt2_parts(kSmall);
  (*parts.model)(parts.inputs(1));
  std::int64_t count = 0;
  for (const Variable& each : parts.model->trainable_variables()) count += each.shape().numel();
  EXPECT_EQ(count, (50 + 12) * 16 + 2 * (12 * 16 * 16 + 13 * 16) + 2 * 16);
}

}  // namespace
}  // namespace lockstep::bench
