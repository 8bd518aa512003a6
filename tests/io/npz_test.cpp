#include <lockstep/io/npz.h>

#include <gtest/gtest.h>

#include <cstdlib>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

#include "files.h"

namespace lockstep::io {
namespace {

/// A file of tests/io/data, which numpy.savez or numpy.savez_compressed wrote.
std::string numpy_file(const std::string& name) { return LOCKSTEP_TEST_DATA + name; }

NamedTensors sample() {
  return {{"kernel", constant({{1.f, 2.f}, {3.f, 4.f}})}, {"step", constant(std::vector<std::int64_t>{7}, {})}, {"flags", constant({true, false, true})}};
}

TEST(Npz, ReadsWhatNumPyStoredAndDeflated) {
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    const NamedTensors tensors = load_npz(numpy_file(name));
    ASSERT_EQ(tensors.size(), 3u);
    EXPECT_EQ(tensors[0].first, "weights");
    EXPECT_EQ(tensors[0].second.shape(), (Shape{2, 3}));
    EXPECT_EQ(tensors[0].second.to_vector<float>(), (std::vector<float>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(load_npz(numpy_file(name), "labels").to_vector<std::int64_t>(), (std::vector<std::int64_t>{3, -1, 2}));
    EXPECT_EQ(load_npz(numpy_file(name), "columns").to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 1, 2, 3, 4, 5}));
  }
}

TEST(Npz, ReadsBackWhatItWrote) {
  const Folder folder;
  for (const bool compressed : {false, true}) {
    save_npz(folder.path("a.npz"), sample(), {.compressed = compressed});
    const NamedTensors read = load_npz(folder.path("a.npz"));
    ASSERT_EQ(read.size(), 3u);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(read[i].first, sample()[i].first);
      EXPECT_EQ(read[i].second.spec(), sample()[i].second.spec());
      EXPECT_EQ(std::memcmp(read[i].second.raw(), sample()[i].second.raw(), read[i].second.nbytes()), 0);
    }
  }
}

TEST(Npz, IsReadByNumPy) {
  const std::string python = "/usr/bin/python3 ";  // Debian's, which python3-numpy belongs to
  ASSERT_EQ(std::system((python + "-c 'import numpy'").c_str()), 0) << "packages.txt lists python3-numpy";
  const Folder folder;
  save_npz(folder.path("a.npz"), sample());
  save_npz(folder.path("b.npz"), sample(), {.compressed = true});
  const std::string program = "import numpy as np\nfor f in ('a', 'b'):\n  z = np.load('" + folder.path("") + "' + f + '.npz')\n" +
                              "  assert z.files == ['kernel', 'step', 'flags'] and z['kernel'].dtype == 'f4' and z['kernel'].tolist() == [[1, 2], [3, 4]]\n" +
                              "  assert z['step'].shape == () and z['step'] == 7 and z['flags'].tolist() == [True, False, True]\n";
  EXPECT_EQ(std::system((python + folder.write("check.py", program)).c_str()), 0);
}

TEST(Npz, GivesTheSameBytesForTheSameTensors) {
  const Folder folder;
  save_npz(folder.path("a.npz"), sample());
  save_npz(folder.path("b.npz"), sample());
  EXPECT_EQ(bytes_of(folder.path("a.npz")), bytes_of(folder.path("b.npz")));
  EXPECT_NE(bytes_of(folder.path("a.npz")).find(std::string("\0\0\0\0\x21\0", 6)), std::string::npos) << "not dated 1 January 1980";
}

TEST(Npz, CompressesWhatCanBeCompressed) {
  const Folder folder;
  save_npz(folder.path("zeros.npz"), {{"x", zeros({1000})}}, {.compressed = true});
  EXPECT_LT(std::filesystem::file_size(folder.path("zeros.npz")), 500u);
}

TEST(Npz, SuggestsTheNearestArray) {
  const std::string message = message_of<NotFoundError>([] { load_npz(numpy_file("stored.npz"), "weight"); });
  EXPECT_NE(message.find("did you mean 'weights'?"), std::string::npos) << message;
}

TEST(Npz, NamesFileAndArrayOfADamagedOne) {
  const Folder folder;
  std::string bytes = bytes_of(numpy_file("stored.npz"));
  const std::size_t element = bytes.find(std::string("\0\0\x80\x3f", 4));  // the 1.0 of weights
  ASSERT_NE(element, std::string::npos);
  bytes[element] = 1;
  const std::string path = folder.write("bad.npz", bytes);
  const std::string message = message_of<DataLossError>([&] { load_npz(path); });
  EXPECT_NE(message.find(path), std::string::npos) << message;
  EXPECT_NE(message.find("'weights'"), std::string::npos) << message;
  EXPECT_NE(message.find("CRC"), std::string::npos) << message;
}

TEST(Npz, SurvivesEveryByteBeingChangedAndEveryLength) {
  const Folder folder;
  for (const std::string name : {"stored.npz", "deflated.npz"}) {
    const std::string whole = bytes_of(numpy_file(name));
    for (std::size_t i = 0; i < whole.size(); i += 3) {
      std::string changed = whole;
      changed[i] = char(changed[i] ^ 0xff);
      for (const std::string& bytes : {changed, whole.substr(0, i)}) {
        try {
          load_npz(folder.write("bytes.npz", bytes));
        } catch (const Error&) {  // a typed refusal, or a change that does not matter
        }
      }
    }
  }
}

TEST(Npz, RefusesFilesThatAreNoArchives) {
  const Folder folder;
  EXPECT_NE(message_of<DataLossError>([&] { load_npz(folder.write("text.npz", "hello")); }).find("text.npz"), std::string::npos);
  EXPECT_THROW(load_npz(folder.path("absent.npz")), NotFoundError);
}

TEST(Npz, RefusesToWriteWhatCannotBeReadBack) {
  const Folder folder;
  EXPECT_THROW(save_npz(folder.path("a.npz"), {{"x", zeros({1})}, {"x", ones({1})}}), InvalidArgumentError);
  EXPECT_THROW(save_npz(folder.path("a.npz"), {}), InvalidArgumentError);
  EXPECT_THROW(save_npz(folder.path("a.npz"), {{"x", constant({"text"})}}), TypeError);
  EXPECT_THROW(save_npz(folder.path("no/such/folder.npz"), sample()), NotFoundError);
}

}  // namespace
}  // namespace lockstep::io
