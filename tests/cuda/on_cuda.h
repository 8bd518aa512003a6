#pragma once
// A test that needs a device. Where there is none it is skipped with the reason; CTest takes that for a failure where the emulated device has to be there.

#include <gtest/gtest.h>

#include <lockstep/tensor/device.h>

namespace lockstep::testing {

/// Over `Base`, which is testing::Test or testing::TestWithParam<...>.
template <class Base>
class OnCuda : public Base {
 protected:
  void SetUp() override {
    if (cuda_device_count() == 0) GTEST_SKIP() << "no device: " << why_no_cuda();
  }
};

}  // namespace lockstep::testing
