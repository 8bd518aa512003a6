#include <lockstep/io/idx.h>

#include <gtest/gtest.h>

#include <cstdlib>

#include <lockstep/io/fashion_mnist.h>
#include <lockstep/tensor/base/error.h>

#include "files.h"

namespace lockstep::io {
namespace {

/// An IDX file: magic, sizes, elements as they are.
std::string idx(int code, std::vector<std::uint32_t> sizes, const std::string& elements) {
  std::string text{'\0', '\0', char(code), char(sizes.size())};
  for (const std::uint32_t size : sizes) text += {char(size >> 24), char(size >> 16), char(size >> 8), char(size)};
  return text + elements;
}
std::string numbered(std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += char(i * 7);
  return text;
}

TEST(Idx, ReadsPlainAndGzippedFilesAlike) {
  const Folder folder;
  const std::string bytes = idx(0x08, {2, 3, 4}, numbered(24));
  for (const std::string& path : {folder.write("a.idx", bytes), folder.write_gzip("a.idx.gz", bytes)}) {
    const Tensor tensor = read_idx(path);
    EXPECT_EQ(tensor.spec(), (TensorSpec{uint8, {2, 3, 4}}));
    for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(tensor.data<std::uint8_t>()[i], std::uint8_t(i * 7));
  }
}

TEST(Idx, TurnsBigEndianNumbersAround) {
  const Folder folder;
  EXPECT_EQ(read_idx(folder.write("i2", idx(0x0B, {2}, std::string("\x01\x02\xff\xfe", 4)))).to_vector<std::int16_t>(), (std::vector<std::int16_t>{0x0102, -2}));
  EXPECT_EQ(read_idx(folder.write("i4", idx(0x0C, {1}, std::string("\x00\x00\x01\x00", 4)))).to_vector<std::int32_t>(), (std::vector<std::int32_t>{256}));
  EXPECT_EQ(read_idx(folder.write("f4", idx(0x0D, {1}, std::string("\x3f\xc0\x00\x00", 4)))).to_vector<float>(), (std::vector<float>{1.5f}));
  EXPECT_EQ(read_idx(folder.write("f8", idx(0x0E, {1}, std::string("\xbf\xf8\0\0\0\0\0\0", 8)))).to_vector<double>(), (std::vector<double>{-1.5}));
  EXPECT_EQ(read_idx(folder.write("i1", idx(0x09, {1}, "\xff"))).to_vector<std::int8_t>(), (std::vector<std::int8_t>{-1}));
}

TEST(Idx, KeepsTheSizesOfAnEmptyTensor) {
  const Folder folder;
  EXPECT_EQ(read_idx(folder.write("empty", idx(0x08, {0, 28, 28}, ""))).shape(), (Shape{0, 28, 28}));
}

TEST(Idx, NamesTheFileAndTheOffsetWhereItBreaksOff) {
  const Folder folder;
  const std::string path = folder.write("short", idx(0x08, {5}, "abc"));
  const auto message = message_of<DataLossError>([&] { read_idx(path); });
  EXPECT_NE(message.find(path), std::string::npos) << message;
  const std::string gz = folder.write_gzip("short.gz", idx(0x08, {5}, "abc"));
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(gz); }).find("ends at byte 11"), std::string::npos) << message_of<DataLossError>([&] { read_idx(gz); });
}

TEST(Idx, RefusesAGzipFileThatBreaksOffOrHasAWrongChecksum) {
  const Folder folder;
  const std::string whole = bytes_of(folder.write_gzip("whole.gz", idx(0x08, {100, 100}, numbered(10000))));
  for (const std::size_t keep : {std::size_t(3), std::size_t(20), whole.size() / 2, whole.size() - 1})
    EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("cut.gz", whole.substr(0, keep))); }), "(none)") << keep;
  std::string wrong = whole;
  wrong[wrong.size() - 6] = char(wrong[wrong.size() - 6] ^ 1);
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("wrong.gz", wrong)); }).find("damaged gzip"), std::string::npos);
}

TEST(Idx, RefusesWhatIsNeitherGzipNorIdx) {
  const Folder folder;
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("text", "hello, world")); }).find("neither a gzip nor an IDX"), std::string::npos);
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("nothing", "")); }), "(none)");
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write_gzip("text.gz", "hello, world")); }).find("gzipped"), std::string::npos);
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("code", idx(0x0A, {1}, "a"))); }).find("code 10"), std::string::npos);
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("axes", idx(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}, "a"))); }).find("9 axes"), std::string::npos);
  EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("long", idx(0x08, {2}, "abc"))); }).find("goes on"), std::string::npos);
  EXPECT_NE(message_of<NotFoundError>([&] { read_idx(folder.path("absent")); }), "(none)");
}

TEST(Idx, DoesNotAskForTheMemoryThatAHostileHeaderClaims) {
  const Folder folder;
  const std::string bytes = idx(0x0E, {0xffffffff, 0xffffffff, 0xffffffff}, "abc");
  for (const std::string& path : {folder.write("plain", bytes), folder.write_gzip("zipped", bytes)})
    EXPECT_NE(message_of<DataLossError>([&] { read_idx(path); }).find("more elements than it can hold"), std::string::npos);
}

TEST(Idx, RefusesAHeaderWithAnyByteChanged) {
  const Folder folder;
  const std::string whole = idx(0x0B, {2, 2}, numbered(8));
  for (std::size_t i = 0; i < 12; ++i)
    for (const int flip : {1, 0x80}) {
      std::string bytes = whole;
      bytes[i] = char(bytes[i] ^ flip);
      EXPECT_NE(message_of<DataLossError>([&] { read_idx(folder.write("bytes", bytes)); }), "(none)") << i;
    }
}

/// Sets an environment variable while it lives.
class Setting {
 public:
  Setting(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    setenv(name, value.c_str(), 1);
  }
  ~Setting() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(FashionMnist, IsReadFromTheDirectoryInLockstepData) {
  const Folder folder;
  for (const auto& [prefix, count] : {std::pair<std::string, std::uint32_t>("train", 3), {"t10k", 2}}) {
    folder.write_gzip(prefix + "-images-idx3-ubyte.gz", idx(0x08, {count, 28, 28}, std::string(count * 784, '\x05')));
    folder.write(prefix + "-labels-idx1-ubyte", idx(0x08, {count}, std::string(count, '\x09')));
  }
  const Setting setting("LOCKSTEP_DATA", folder.path("."));
  const FashionMnist data = fashion_mnist();
  EXPECT_EQ(data.train.images.spec(), (TensorSpec{uint8, {3, 28, 28}}));
  EXPECT_EQ(data.test.labels.to_vector<std::int32_t>(), (std::vector<std::int32_t>{9, 9}));
  EXPECT_EQ(data.class_names.at(9), "Ankle boot");
}

TEST(FashionMnist, SaysHowToInstallItWhenItIsMissing) {
  const Folder folder;
  const Setting setting("LOCKSTEP_DATA", folder.path("."));
  EXPECT_NE(message_of<NotFoundError>([] { fashion_mnist(); }).find("apt-get install dataset-fashion-mnist"), std::string::npos);
}

TEST(FashionMnist, RefusesLabelsOutsideTheClasses) {
  const Folder folder;
  folder.write("train-images-idx3-ubyte", idx(0x08, {1, 28, 28}, std::string(784, '\0')));
  folder.write("train-labels-idx1-ubyte", idx(0x08, {1}, "\x0a"));
  const Setting setting("LOCKSTEP_DATA", folder.path("."));
  EXPECT_NE(message_of<DataLossError>([] { fashion_mnist(); }).find("label 10 at position 0"), std::string::npos);
}

TEST(FashionMnist, HasTenClassesOfEqualSize) {
  const Setting setting("LOCKSTEP_DATA", "");
  const FashionMnist data = fashion_mnist();
  EXPECT_EQ(data.train.images.spec(), (TensorSpec{uint8, {60000, 28, 28}}));
  EXPECT_EQ(data.test.images.spec(), (TensorSpec{uint8, {10000, 28, 28}}));
  std::vector<int> counts(10);
  for (const std::int32_t label : data.train.labels.data<std::int32_t>()) ++counts[std::size_t(label)];
  EXPECT_EQ(counts, std::vector<int>(10, 6000));
  EXPECT_EQ(data.train.labels.data<std::int32_t>()[0], 9);
}

}  // namespace
}  // namespace lockstep::io
