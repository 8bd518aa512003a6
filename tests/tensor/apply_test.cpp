#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

TEST(Apply, AddsTwoTensorsOfOneDtype) {
  const Tensor sum = full({8}, 1.5, float32) + full({8}, 2.0, float32);
  EXPECT_EQ(sum.to_vector<float>(), std::vector<float>(8, 3.5f));
}

TEST(Apply, RefusesTwoDtypesNamingBoth) {
  try {
    full({2}, 1, float32) + full({2}, 1, int32);
    FAIL() << "float32 + int32 must be refused";
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("float32"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("int32"), std::string::npos) << error.what();
    EXPECT_EQ(error.op(), "add");
  }
}

}  // namespace
}  // namespace lockstep
