#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/allocator.h>

namespace lockstep {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kCaches = false;  // every block goes to malloc, so that errors are found
#else
constexpr bool kCaches = true;
#endif

constexpr std::size_t kLarge = std::size_t(3) << 20;

TEST(Allocator, GivesAlignedBlocksOfEverySize) {
  for (std::size_t nbytes = 0; nbytes < 5000; nbytes += 37) {
    void* block = allocate(nbytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % kAlignment, 0u) << nbytes;
    std::memset(block, 1, nbytes);
    deallocate(block, nbytes);
  }
}

TEST(Allocator, GivesEveryBlockAllItsBytes) {
  // Sizes around the edges of the size classes, all alive at once and written to the last byte.
  std::vector<std::pair<unsigned char*, std::size_t>> blocks;
  for (std::size_t power = 64; power <= (std::size_t(1) << 21); power *= 2)
    for (const std::size_t nbytes : {power - 1, power, power + 1, power + power / 4, power + power / 4 + 1}) {
      blocks.emplace_back(static_cast<unsigned char*>(allocate(nbytes)), nbytes);
      std::memset(blocks.back().first, int(blocks.size()), nbytes);
    }
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    EXPECT_EQ(blocks[i].first[0], static_cast<unsigned char>(i + 1));
    EXPECT_EQ(blocks[i].first[blocks[i].second - 1], static_cast<unsigned char>(i + 1));
    deallocate(blocks[i].first, blocks[i].second);
  }
}

TEST(Allocator, TakesNothingFromTheSystemInSteadyState) {
  if (!kCaches) GTEST_SKIP() << "a sanitizer turns the caches off";
  const auto step = [] {
    for (const std::int64_t n : {10, 1000, 1000000}) EXPECT_EQ((zeros({n}) + 1).numel(), n);
  };
  step();
  const std::size_t before = memory_stats().system_allocations;
  for (int i = 0; i < 10; ++i) step();
  EXPECT_EQ(memory_stats().system_allocations, before);
}

TEST(Allocator, CountsLargeBlocks) {
  const MemoryStats before = memory_stats();
  void* block = allocate(kLarge);
  const MemoryStats during = memory_stats();
  EXPECT_GE(during.in_use, before.in_use + kLarge);
  EXPECT_GE(during.peak, during.in_use);
  deallocate(block, kLarge);
  const MemoryStats after = memory_stats();
  EXPECT_EQ(after.in_use, before.in_use);
  EXPECT_GE(after.peak, during.in_use);
}

TEST(Allocator, KeepsLargeBlocksUntilToldToReleaseThem) {
  if (!kCaches) GTEST_SKIP() << "a sanitizer turns the caches off";
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
  deallocate(allocate(kLarge), kLarge);
  EXPECT_GE(memory_stats().cached, kLarge);
  release_cached_memory();
  EXPECT_EQ(memory_stats().cached, 0u);
}

TEST(Allocator, TakesBackBlocksThatAnotherThreadFrees) {
  const MemoryStats before = memory_stats();
  void* large = allocate(kLarge);
  void* small = allocate(100);
  std::thread([&] {
    deallocate(large, kLarge);
    deallocate(small, 100);
  }).join();
  EXPECT_EQ(memory_stats().in_use, before.in_use);
  void* again = allocate(kLarge);
  if (kCaches) {
    EXPECT_EQ(again, large);
  }
  deallocate(again, kLarge);
}

TEST(Allocator, LetsATensorDieOnAnotherThread) {
  Tensor x = full({1 << 20}, 2, float32);
  float seen = 0;
  std::thread([&seen, x = std::move(x)] { seen = x.data<float>()[0]; }).join();
  EXPECT_EQ(seen, 2.0f);
}

TEST(Allocator, RefusesAHugeRequestNamingTheSize) {
  const MemoryStats before = memory_stats();
  for (const std::size_t nbytes : {std::size_t(1) << 50, std::size_t(1) << 60, SIZE_MAX}) {
    try {
      deallocate(allocate(nbytes), nbytes);
      FAIL() << "no machine has " << nbytes << " bytes";
    } catch (const ResourceExhaustedError& error) {
      EXPECT_NE(std::string(error.what()).find("cannot allocate"), std::string::npos) << error.what();
      if (nbytes == std::size_t(1) << 50) {
        EXPECT_EQ(std::string(error.what()), "out of memory: cannot allocate 1125899906842624 bytes on the CPU");
      }
    }
  }
  EXPECT_EQ(memory_stats().in_use, before.in_use);
  EXPECT_EQ(memory_stats().system_allocations, before.system_allocations);
}

TEST(Allocator, RefusesATensorThatIsTooLarge) { EXPECT_THROW(zeros({std::int64_t(1) << 50}), ResourceExhaustedError); }

}  // namespace
}  // namespace lockstep
