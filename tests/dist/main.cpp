// Every rank runs all tests. Rank 0 reports as usual; the others only what fails, under their number.
#include <iostream>

#include <gtest/gtest.h>

#include <lockstep/dist/world.h>

namespace {

class Failures : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) std::cerr << "rank " << lockstep::dist::rank() << ": " << result.file_name() << ":" << result.line_number() << ": " << result.message() << std::endl;
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!lockstep::dist::is_chief()) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new Failures);
  }
  return RUN_ALL_TESTS();
}
