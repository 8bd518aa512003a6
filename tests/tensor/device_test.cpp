#include <gtest/gtest.h>

#include <cstdlib>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

TEST(Device, IsTheCpuUnlessAskedOtherwise) {
  EXPECT_TRUE(Device().is_cpu());
  EXPECT_EQ(Device("cpu"), Device());
  EXPECT_EQ(Device("cpu:0"), Device());
  EXPECT_EQ(to_string(Device()), "cpu:0");
  EXPECT_TRUE(zeros({1}).device().is_cpu());
}

TEST(Device, RefusesAnythingElseSayingWhatADeviceIs) {
  for (const char* text : {"gpu", "", "cuda:", "cuda:x", "cuda:-1", "cuda:256", "cuda:1 ", "CPU", "cpu:", "gpu:0", "cuda:99999999999999999999"}) {
    try {
      Device{text};
      ADD_FAILURE() << text << " was taken for a device";
    } catch (const InvalidArgumentError& error) {
      EXPECT_NE(std::string(error.what()).find("'" + std::string(text) + "'"), std::string::npos) << error.what();
      EXPECT_NE(error.hint().find("\"cpu\", \"cuda\" or \"cuda:N\""), std::string::npos) << error.what();
    }
  }
}

TEST(Device, HasOneCpu) { EXPECT_THROW(Device("cpu:1"), InvalidArgumentError); }

TEST(Device, SaysThatThePlugInIsMissing) {
  // The plug-in is looked for once in a process, so in this one it must be a path where none can be.
  setenv("LOCKSTEP_CUDA_PLUGIN", "/nonexistent/liblockstep_cuda.so", 1);
  for (int attempt = 0; attempt < 2; ++attempt) {
    try {
      Device("cuda:0");
      FAIL() << "there is no plug-in";
    } catch (const UnavailableError& error) {
      const std::string text = error.what();
      for (const char* word : {"'cuda:0'", "plug-in", "/nonexistent/liblockstep_cuda.so"}) EXPECT_NE(text.find(word), std::string::npos) << text;
      EXPECT_FALSE(error.hint().empty());
    }
  }
}

}  // namespace
}  // namespace lockstep
