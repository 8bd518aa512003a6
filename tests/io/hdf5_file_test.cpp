#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include <lockstep/io/hdf5/file.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

#include "files.h"

namespace lockstep::io {
namespace {

TEST(Hdf5File, ReadsElementsInRowMajorOrderAndNoneThatAreNotThere) {
  const Folder folder;
  const std::string path = folder.path("a.h5");
  hdf5::File file = hdf5::File::create(path);
  file.write("/vector", range(0, 6, 1, float32));
  file.write("/matrix", reshape(range(0, 6, 1, float32), {2, 3}));
  file.close();
  const hdf5::File read = hdf5::File::open(path);
  for (const char* name : {"/vector", "/matrix"}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(reduce_all(equal(read.read(name, 2, 5), constant({2.0f, 3.0f, 4.0f}))).item<bool>());
    EXPECT_EQ(read.read(name, 6, 6).numel(), 0);
    EXPECT_THROW(read.read(name, 4, 7), DataLossError);
    EXPECT_THROW(read.read(name, -1, 2), DataLossError);
    EXPECT_THROW(read.read(name, 3, 2), DataLossError);
  }
}

TEST(Hdf5File, TakesPairsForComplexNumbersByTheirNamesOnly) {
  const Folder folder;
  const std::string path = folder.path("a.h5");
  hdf5::File file = hdf5::File::create(path);
  const Tensor numbers = cast(constant({1.0f, -2.0f}), complex64);
  file.write("/numbers", numbers);
  file.close();
  EXPECT_TRUE(reduce_all(equal(hdf5::File::open(path).read("/numbers"), numbers)).item<bool>());
  // The names of a compound's members stand in the file padded to eight bytes.
  std::stringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  std::string other = bytes.str();
  const std::size_t name = other.find(std::string("i\0\0\0\0\0\0\0", 8));
  ASSERT_NE(name, std::string::npos);
  other[name] = 'x';
  EXPECT_THROW(hdf5::File::open(folder.write("b.h5", other)).read("/numbers"), TypeError);
}

TEST(Hdf5File, RefusesTruthValuesThatAreNone) {
  const Folder folder;
  const std::string path = folder.path("a.h5");
  hdf5::File file = hdf5::File::create(path);
  file.write("/flags", ones({40}, boolean));
  file.close();
  EXPECT_TRUE(reduce_all(hdf5::File::open(path).read("/flags")).item<bool>());
  std::stringstream bytes;
  bytes << std::ifstream(path, std::ios::binary).rdbuf();
  std::string other = bytes.str();
  const std::size_t flags = other.find(std::string(40, '\1'));
  ASSERT_NE(flags, std::string::npos);
  other[flags + 30] = 5;
  const hdf5::File damaged = hdf5::File::open(folder.write("b.h5", other));
  EXPECT_THROW(damaged.read("/flags"), DataLossError);
  EXPECT_THROW(damaged.read("/flags", 20, 40), DataLossError);
  EXPECT_TRUE(reduce_all(damaged.read("/flags", 0, 20)).item<bool>());
}

}  // namespace
}  // namespace lockstep::io
