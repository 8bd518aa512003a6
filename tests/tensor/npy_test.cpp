#include <lockstep/tensor/npy.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>

namespace lockstep {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span<const char>(text)); }

/// A .npy file of a header and elements written by hand.
std::string file_of(const std::string& header, const std::string& elements, int major = 1) {
  std::string text = "\x93NUMPY";
  text += {char(major), '\0', char(header.size() & 0xff), char(header.size() >> 8)};
  if (major > 1) text += {'\0', '\0'};
  return text + header + elements;
}
std::string header(const std::string& descr, const std::string& order, const std::string& shape) {
  return "{'descr': '" + descr + "', 'fortran_order': " + order + ", 'shape': " + shape + ", }\n";
}
template <class T>
std::string raw(std::vector<T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
/// 24 elements whose bytes all differ, so that none can be moved or lost unseen.
Tensor sample(DType dtype) {
  Tensor tensor = Tensor::empty({2, 3, 4}, dtype);
  auto* to = static_cast<unsigned char*>(tensor.mutable_raw());
  for (std::size_t i = 0; i < tensor.nbytes(); ++i) to[i] = static_cast<unsigned char>(dtype == boolean ? i % 3 == 0 : i * 7 + i / 37);
  return tensor;
}
void expect_same_bits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.spec(), b.spec());
  EXPECT_EQ(std::memcmp(a.raw(), b.raw(), a.nbytes()), 0) << to_string(a.spec());
}
std::string temporary(const std::string& name) { return (std::filesystem::temp_directory_path() / (std::to_string(getpid()) + name)).string(); }

TEST(Npy, ReadsBackEveryDtypeBitForBit) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DType dtype = DType(i);
    if (dtype == bfloat16 || dtype == string) continue;
    expect_same_bits(from_npy(bytes_of(to_npy(sample(dtype)))), sample(dtype));
  }
}

TEST(Npy, WritesTheHeaderThatNumPyWrites) {
  const std::string text = to_npy(constant({{1.f, 2.f, 3.f}, {4.f, 5.f, 6.f}}));
  ASSERT_EQ(text.size(), 128u + 24u);
  EXPECT_EQ(text.substr(0, 10), std::string("\x93NUMPY\1\0\x76\0", 10));
  EXPECT_EQ(text.substr(10, 61), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }  ");
  EXPECT_EQ(text[127], '\n');
  EXPECT_EQ(text.substr(128), raw<float>({1, 2, 3, 4, 5, 6}));
  EXPECT_NE(to_npy(constant({true})).find("'|b1', 'fortran_order': False, 'shape': (1,), }"), std::string::npos);
}

TEST(Npy, KeepsScalarsEmptyShapesAndEightAxes) {
  for (const Shape& shape : {Shape{}, Shape{0}, Shape{3, 0, 2}, Shape{1, 2, 1, 2, 1, 2, 1, 2}})
    expect_same_bits(from_npy(bytes_of(to_npy(full(shape, 7, int16)))), full(shape, 7, int16));
}

TEST(Npy, WritesTheElementsOfAViewAlone) {
  const Tensor base = constant(std::vector<std::int32_t>{1, 2, 3, 4, 5, 6});
  EXPECT_EQ(from_npy(bytes_of(to_npy(Tensor::view(base, {2}, 3)))).to_vector<std::int32_t>(), (std::vector<std::int32_t>{4, 5}));
}

TEST(Npy, TurnsColumnMajorElementsIntoRowMajor) {
  const Tensor matrix = from_npy(bytes_of(file_of(header("<i4", "True", "(2, 3)"), raw<std::int32_t>({1, 4, 2, 5, 3, 6}))));
  EXPECT_EQ(matrix.shape(), (Shape{2, 3}));
  EXPECT_EQ(matrix.to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6}));
  // Of three axes, the first runs fastest: element (i, j, k) stands at i + 2 j + 4 k.
  const Tensor cube = from_npy(bytes_of(file_of(header("|u1", "True", "(2, 2, 2)"), raw<std::uint8_t>({0, 1, 2, 3, 4, 5, 6, 7}))));
  EXPECT_EQ(cube.to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{0, 4, 2, 6, 1, 5, 3, 7}));
}

TEST(Npy, SwapsBigEndianNumbersAndEachHalfOfAComplexOne) {
  EXPECT_EQ(from_npy(bytes_of(file_of(header(">i4", "False", "(2,)"), {"\0\0\1\2\xff\xff\xff\xfe", 8}))).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{258, -2}));
  EXPECT_EQ(from_npy(bytes_of(file_of(header(">c8", "False", "()"), {"\x3f\x80\0\0\xc0\0\0\0", 8}))).item<std::complex<float>>(),
            std::complex<float>(1, -2));
}

TEST(Npy, ReadsFormats2And3AndKeysInAnyOrder) {
  for (const int major : {2, 3})
    EXPECT_EQ(from_npy(bytes_of(file_of(header("<f8", "False", "(1,)"), raw<double>({2.5}), major))).item<double>(), 2.5);
  EXPECT_EQ(from_npy(bytes_of(file_of(R"({"shape":(2L,),"fortran_order":False,"descr":"=i2"})", raw<std::int16_t>({3, 4})))).to_vector<std::int16_t>(),
            (std::vector<std::int16_t>{3, 4}));
}

TEST(Npy, ReadsAnyNonzeroByteAsTrue) {
  const Tensor tensor = from_npy(bytes_of(file_of(header("|b1", "False", "(3,)"), {"\0\1\xff", 3})));
  EXPECT_EQ(std::memcmp(tensor.raw(), "\0\1\1", 3), 0);
}

TEST(Npy, RefusesToWriteWhatNumPyCannotHold) {
  EXPECT_THROW(to_npy(full({2}, 1, bfloat16)), TypeError);
  EXPECT_THROW(to_npy(constant({"a", "b"})), TypeError);
  int trace = 0;
  EXPECT_THROW(to_npy(Tensor()), FailedPreconditionError);
  EXPECT_THROW(to_npy(Tensor::symbolic({float32, {2}}, {&trace, 0})), FailedPreconditionError);
}

TEST(Npy, RefusesDtypesThatLockstepLacksByName) {
  for (const std::string descr : {"|O", "<U5", "|S3", "<M8[s]", "|V2", "<f16", "<f3", "|b8"}) {
    try {
      from_npy(bytes_of(file_of(header(descr, "False", "(1,)"), std::string(64, '\0'))));
      ADD_FAILURE() << descr;
    } catch (const TypeError& error) {
      EXPECT_NE(std::string(error.what()).find(descr), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(from_npy(bytes_of(file_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "abcd"))), TypeError);
}

TEST(Npy, CallsEveryPrefixOfAFileDamaged) {
  const std::string text = file_of(header("<f4", "False", "(2,)"), raw<float>({1, 2}));
  for (std::size_t n = 0; n < text.size(); ++n) EXPECT_THROW(from_npy(bytes_of(text.substr(0, n))), DataLossError) << n << " bytes";
  EXPECT_THROW(from_npy(bytes_of(text + "x")), DataLossError);
  EXPECT_NO_THROW(from_npy(bytes_of(text)));
}

TEST(Npy, CallsMalformedHeadersDamaged) {
  for (const std::string text : {"", "{", "}", "{}", "descr", "{'descr': '<f4'}", "{'descr': '<f4', 'fortran_order': False}", "{'descr: 1",
                                 "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}", "{'descr': '<f4' 'fortran_order': False, 'shape': (1,)}",
                                 "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} 1",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': 1}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1",
                                 "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}",
                                 "{'descr': '', 'fortran_order': False, 'shape': (1,)}", "{'descr': 'f4', 'fortran_order': False, 'shape': (1,)}"})
    EXPECT_THROW(from_npy(bytes_of(file_of(text, raw<float>({1})))), DataLossError) << text;
  EXPECT_THROW(from_npy(bytes_of("\x93NUMPZ" + file_of(header("<f4", "False", "()"), raw<float>({1})).substr(6))), DataLossError);
  for (const int major : {0, 4, 255}) EXPECT_THROW(from_npy(bytes_of(file_of(header("<f4", "False", "()"), raw<float>({1}), major))), DataLossError);
}

TEST(Npy, AsksForNoMemoryThatADamagedShapeClaims) {
  for (const std::string shape : {"(1000000000000,)", "(288230376151711744,)", "(4611686018427387904, 4)", "(99999999999999999999,)", "(0, 9223372036854775807, 2)",
                                  "(4294967296, 4294967296)", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"})
    EXPECT_THROW(from_npy(bytes_of(file_of(header("<f8", "False", shape), raw<double>({1})))), DataLossError) << shape;
}

TEST(Npy, SavesAndLoadsAFileReplacingTheOldOne) {
  const std::string path = temporary("weights.npy");
  save_npy(path, full({100}, 1, float64));
  save_npy(path, sample(float32));
  expect_same_bits(load_npy(path), sample(float32));
  std::remove(path.c_str());
}

TEST(Npy, NamesTheFileInErrors) {
  const std::string path = temporary("damaged.npy");
  const auto message = [&](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_THROW(load_npy(path), NotFoundError);
  EXPECT_NE(message([&] { load_npy(path); }).find(path), std::string::npos);
  std::FILE* file = std::fopen(path.c_str(), "wb");
  std::fputs("not a tensor", file);
  std::fclose(file);
  EXPECT_THROW(load_npy(path), DataLossError);
  EXPECT_NE(message([&] { load_npy(path); }).find(path), std::string::npos);
  std::remove(path.c_str());
  EXPECT_THROW(save_npy(path + "/nowhere/x.npy", sample(int8)), NotFoundError);
  EXPECT_THROW(load_npy(std::filesystem::temp_directory_path().string()), NotFoundError);
}

TEST(Npy, SaysThatADiskIsFull) { EXPECT_THROW(save_npy("/dev/full", full({100000}, 1, float64)), ResourceExhaustedError); }

}  // namespace
}  // namespace lockstep
