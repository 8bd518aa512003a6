#include <lockstep/io/readers.h>

#include <gtest/gtest.h>

#include <set>

#include <lockstep/io/crc32c.h>
#include <lockstep/io/element_bytes.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/tfrecord.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/npy.h>
#include <lockstep/tensor/ops.h>

#include "files.h"
#include "numbers.h"

namespace lockstep::io {
namespace {

using Texts = std::vector<std::string>;

Texts texts_of(const Dataset& dataset) {
  Texts texts;
  Iterator iterator = dataset.iterate();
  for (Tensors element; iterator.next(element);) texts.push_back(element[0].item<std::string>());
  return texts;
}

std::string records_file(const Folder& folder, const std::string& name, const Texts& records, bool compressed = false) {
  TFRecordWriter writer(folder.path(name), {.compressed = compressed});
  for (const std::string& record : records) writer.write(record);
  writer.close();
  return folder.path(name);
}

TEST(Crc32c, IsCastagnolis) {
  EXPECT_EQ(crc32c("123456789", 9), 0xE3069283u);  // the check value of the catalogue
  EXPECT_EQ(crc32c("", 0), 0u);
  const std::string zeros(32, '\0');
  EXPECT_EQ(crc32c(zeros.data(), zeros.size()), 0x8A9136AAu);  // RFC 3720
}

TEST(TFRecords, AreReadBackPlainAndGzipped) {
  const Folder folder;
  const Texts records = {"", "one", std::string(300000, 'x'), std::string("\0\n", 2)};
  for (const bool compressed : {false, true}) {
    const std::string path = records_file(folder, compressed ? "z" : "p", records, compressed);
    EXPECT_EQ(texts_of(tfrecord_files({path, path}).skip(4)), records);
    EXPECT_EQ(texts_of(tfrecord_files({path}).skip(3)), (Texts{records[3]}));
    EXPECT_EQ(bytes_of(path).starts_with("\x1f\x8b"), compressed);
  }
}

TEST(TFRecords, AreThereWhenTheyAreClosed) {
  const Folder folder;
  {
    TFRecordWriter writer(folder.path("r"));
    writer.write("lost");
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(std::filesystem::path(folder.path("r")).parent_path()), {}), 0);
  EXPECT_THROW(TFRecordWriter(folder.path("no/where")), NotFoundError);
  EXPECT_THROW(texts_of(tfrecord_files({folder.path("r")})), NotFoundError);
}

TEST(TFRecords, SayWhereTheyAreDamagedAndGoOnBehindIt) {
  const Folder folder;
  const Texts records = {"alpha", "beta", "gamma"};
  const std::string bytes = bytes_of(records_file(folder, "r", records));
  std::string data = bytes, length = bytes;
  data[21 + 12 + 1] ^= 1;  // of "beta"
  length[21] ^= 1;
  const std::string in_data = folder.write("data", data), in_length = folder.write("length", length), cut = folder.write("cut", bytes.substr(0, bytes.size() - 2));
  EXPECT_EQ(message_of<DataLossError>([&] { texts_of(tfrecord_files({in_data})); }), "'" + in_data + "' is damaged at record 1, byte 21: the checksum of its data does not fit");
  EXPECT_EQ(message_of<DataLossError>([&] { texts_of(tfrecord_files({in_length})); }), "'" + in_length + "' is damaged at record 1, byte 21: the checksum of its length does not fit");
  EXPECT_NE(message_of<DataLossError>([&] { texts_of(tfrecord_files({cut})); }).find("record 2, byte 41: the file breaks off"), std::string::npos);
  const auto skipped = std::make_shared<SkipCount>();
  EXPECT_EQ(texts_of(tfrecord_files({in_data, in_length, cut, folder.path("r")}).ignore_errors(skipped)), (Texts{"alpha", "gamma", "alpha", "alpha", "beta", "alpha", "beta", "gamma"}));
  EXPECT_EQ(skipped->value(), 3);
}

TEST(TFRecords, RefuseALengthThatTheFileCannotHave) {
  const Folder folder;
  std::string head(12, '\0');
  const std::uint64_t length = std::uint64_t(1) << 62;
  std::memcpy(head.data(), &length, 8);
  const std::uint32_t crc = masked_crc32c(head.data(), 8);
  std::memcpy(head.data() + 8, &crc, 4);
  EXPECT_THROW(texts_of(tfrecord_files({folder.write("huge", head)})), DataLossError);
}

TEST(Examples, AreReadAsTheyWereWritten) {
  const Tensor image = constant(std::vector<float>{1.5f, 2.f, -3.f, 4.f});
  const std::string bytes = make_example({{"image", image}, {"label", constant(7)}, {"tags", constant({"a", "bc"})}});
  EXPECT_EQ(bytes, make_example({{"tags", constant({"a", "bc"})}, {"label", constant(7)}, {"image", image}}));
  const Nest example = parse_single_example(bytes, {{"label", FixedLenFeature{.dtype = int64}}, {"image", FixedLenFeature{.shape = {2, 2}}}, {"tags", VarLenFeature{string}}, {"more", RaggedFeature{int64}}});
  EXPECT_EQ(example["label"].tensor().item<std::int64_t>(), 7);
  EXPECT_EQ(example["image"].tensor().shape(), (Shape{2, 2}));
  EXPECT_EQ(example["tags"].values().to_vector<std::string>(), (Texts{"a", "bc"}));
  EXPECT_EQ(example["more"].tensor().shape(), (Shape{0}));
}

TEST(Examples, ComeInBatchesWithRaggedAndSparseRows) {
  const Tensor batch = constant(Texts{make_example({{"n", constant(std::vector<std::int64_t>{1, 2})}}), make_example({}), make_example({{"n", constant(std::vector<std::int64_t>{3})}})});
  const Nest parsed = parse_example(batch, {{"n", RaggedFeature{int64}}});
  EXPECT_EQ(parsed["n"].values().to_vector<std::int64_t>(), (Numbers{1, 2, 3}));
  EXPECT_EQ(parsed["n"].splits()[0].to_vector<std::int64_t>(), (Numbers{0, 2, 2, 3}));
  const Nest sparse = parse_example(batch, {{"n", VarLenFeature{int64}}});
  EXPECT_EQ(sparse["n"].indices().to_vector<std::int64_t>(), (Numbers{0, 0, 0, 1, 2, 0}));
  EXPECT_EQ(sparse["n"].dense_shape().to_vector<std::int64_t>(), (Numbers{3, 2}));
}

TEST(Examples, NameTheFeatureThatDoesNotFit) {
  const Tensor batch = constant(Texts{make_example({{"n", constant(std::vector<std::int64_t>{1, 2})}}), make_example({{"n", constant({1.f})}})});
  const auto message = [&](const FeatureSpec& spec, const std::string& name = "n") { return message_of<InvalidArgumentError>([&] { parse_example(batch, {{name, spec}}); }); };
  EXPECT_NE(message(FixedLenFeature{.shape = {2}, .dtype = int64}).find("feature 'n' of example 1 is float32 in the file, and int64 was asked for"), std::string::npos);
  EXPECT_NE(message(FixedLenFeature{.shape = {3}, .dtype = int64}).find("of example 0 has 2 values, and 3 were asked for"), std::string::npos);
  EXPECT_NE(message(FixedLenFeature{.dtype = int64}, "m").find("feature 'm' of example 0 is missing"), std::string::npos);
  EXPECT_THROW(parse_example(constant(Texts{"\xff"}), {{"n", VarLenFeature{int64}}}), InvalidArgumentError);
  EXPECT_THROW(parse_example(batch, {{"n", VarLenFeature{int32}}}), TypeError);
}

TEST(TextLines, AreGivenWithoutTheirEnds) {
  const Folder folder;
  const std::string plain = folder.write("a.txt", "one\r\ntwo\n\nlast"), gzipped = folder.write_gzip("b.txt", std::string(10000, 'y') + "\nend\n");
  EXPECT_EQ(texts_of(text_lines({plain, gzipped})), (Texts{"one", "two", "", "last", std::string(10000, 'y'), "end"}));
  EXPECT_EQ(list_files(folder.path("*.txt")), (Texts{plain, gzipped}));
  EXPECT_THROW(list_files(folder.path("*.csv")), NotFoundError);
}

TEST(CsvRows, ReadRecordsOfTypedFields) {
  const Folder folder;
  const std::string path = folder.write("t.csv", "id,name,price\r\n1,\"a, \"\"b\"\"\nc\",2.5\n\n2,,\n");
  const Dataset rows = csv_rows({path}, {.fields = {CsvField(int64), "none", CsvField(-1.f)}, .header = true});
  Iterator iterator = rows.iterate();
  Tensors row;
  ASSERT_TRUE(iterator.next(row));
  const Nest first = rows.nest(row);
  EXPECT_EQ(first["id"].tensor().item<std::int64_t>(), 1);
  EXPECT_EQ(first["name"].tensor().item<std::string>(), "a, \"b\"\nc");
  EXPECT_EQ(first["price"].tensor().item<float>(), 2.5f);
  ASSERT_TRUE(iterator.next(row));
  EXPECT_EQ(rows.nest(row)["name"].tensor().item<std::string>(), "none");
  EXPECT_EQ(rows.nest(row)["price"].tensor().item<float>(), -1.f);
  EXPECT_FALSE(iterator.next(row));
}

TEST(CsvRows, FindTheEndOfAFieldOfManyLines) {
  const Folder folder;
  std::string field;
  for (int i = 0; i < 100000; ++i) field += "x\n";  // counting the quotes of all lines before at each would take minutes
  const std::string closed = folder.write("closed.csv", "\"" + field + "\"\nlast\n"), open = folder.write("open.csv", "\"" + field);
  EXPECT_EQ(texts_of(csv_rows({closed}, {.fields = {""}})), (Texts{field, "last"}));
  EXPECT_NE(message_of<DataLossError>([&] { texts_of(csv_rows({open}, {.fields = {""}})); }).find("line 1: a quoted field has no end"), std::string::npos);
}

TEST(CsvRows, NameFileLineAndFieldOfWhatDoesNotFit) {
  const Folder folder;
  const std::string path = folder.write("t.csv", "1,2\n\"3\n\",4\n5,x\n6\n7,8\n\"9");
  const CsvRowOptions options{.fields = {"", CsvField(int32)}};
  EXPECT_EQ(message_of<DataLossError>([&] { texts_of(csv_rows({path}, options)); }), "'" + path + "', line 4, field 1 is no int32: 'x'");
  const auto skipped = std::make_shared<SkipCount>();
  EXPECT_EQ(texts_of(csv_rows({path}, options).ignore_errors(skipped)), (Texts{"1", "3\n", "7"}));
  EXPECT_EQ(skipped->value(), 3);
  EXPECT_NE(skipped->last().find("line 7: a quoted field has no end"), std::string::npos) << skipped->last();
  EXPECT_EQ(texts_of(csv_rows({path}, {.fields = {CsvField("")}, .columns = {0}}).take(5)), (Texts{"1", "3\n", "5", "6", "7"}));
}

TEST(TableFiles, GiveTheirRows) {
  const Folder folder;
  const Tensor table = reshape(constant(std::vector<std::int64_t>{0, 1, 2, 3, 4, 5}), {3, 2});
  save_npy(folder.path("t.npy"), table);
  EXPECT_EQ(pass(npy_rows({folder.path("t.npy"), folder.path("t.npy")}).skip(2)), (Numbers{4, 5, 0, 1, 2, 3, 4, 5}));
  save_npy(folder.path("s.npy"), scalar(1, int64));
  EXPECT_EQ(message_of<DataLossError>([&] { pass(npy_rows({folder.path("s.npy")})); }), "'" + folder.path("s.npy") + "' holds a scalar, which has no rows");
  for (const auto& name : {"a.h5", "b.h5"}) {
    auto file = hdf5::File::create(folder.path(name));
    file.write("/x", table);
    file.write("/y", constant({7.f, 8.f, 9.f}));
    file.write("/short", constant({1.f}));
    file.close();
  }
  const Dataset rows = hdf5_rows({folder.path("a.h5"), folder.path("b.h5")}, {"x", "y"});
  EXPECT_EQ(pass(rows.skip(2)), (Numbers{4, 5, 0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(to_string(*rows.structure()), "{x: tensor, y: tensor}");
  EXPECT_THROW(pass(hdf5_rows({folder.path("a.h5")}, {"x", "short"})), DataLossError);
  EXPECT_THROW(pass(hdf5_rows({folder.path("a.h5")}, {"nothing"})), NotFoundError);
  EXPECT_THROW(pass(hdf5_rows({folder.write("c.h5", "no")}, {"x"})), DataLossError);
}

TEST(Files, AreDealtOutToRanksWhereThereAreEnough) {
  const Folder folder;
  Texts paths;
  for (int i = 0; i < 5; ++i) paths.push_back(records_file(folder, "r" + std::to_string(i), {std::to_string(i) + "a", std::to_string(i) + "b"}));
  const Dataset data = tfrecord_files(paths).map([](const Tensor& x) { return x; }, {.threads = 2}).shuffle(3, {.seed = 1}).prefetch(2);
  for (const std::int64_t world : {1, 2, 3, 5, 7}) {
    std::multiset<std::string> all;
    for (std::int64_t rank = 0; rank < world; ++rank) {
      std::set<char> files;
      for (const std::string& text : texts_of(data.shard(rank, world))) all.insert(text), files.insert(text[0]);
      if (world <= 5) {
        EXPECT_EQ(std::ssize(files), (5 - rank + world - 1) / world);
      }
    }
    EXPECT_EQ(all.size(), 10u);
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 10u);
  }
}

TEST(ElementBytes, AreJudgedBeforeTheyAreBelieved) {
  const Tensors element{constant({1, 2, 3}), constant({"a", "bc"}), zeros({0, 5})};
  const std::string bytes = to_bytes(element);
  const Tensors back = from_bytes(bytes);
  ASSERT_EQ(back.size(), 3u);
  EXPECT_EQ(back[1].to_vector<std::string>(), (Texts{"a", "bc"}));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_THROW(from_bytes(std::span(bytes).first(size)), DataLossError);
}

}  // namespace
}  // namespace lockstep::io
