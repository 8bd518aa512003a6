#include <lockstep/io/csv.h>

#include <gtest/gtest.h>

#include <lockstep/tensor/base/error.h>

#include "files.h"

namespace lockstep::io {
namespace {

using Strings = std::vector<std::string>;

std::string refusal(const std::string& text, const CsvOptions& options = {}) {
  return message_of<DataLossError>([&] { parse_csv(text, options, "f.csv"); });
}

TEST(Csv, FindsTheDtypeOfEachColumn) {
  const CsvTable table = parse_csv("n,big,x,name\n1,5000000000,1.5,ab\n-2,1,2,3\n");
  EXPECT_EQ(table.names(), (Strings{"n", "big", "x", "name"}));
  EXPECT_EQ(table.column("n").to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, -2}));
  EXPECT_EQ(table.column("big").to_vector<std::int64_t>(), (std::vector<std::int64_t>{5000000000, 1}));
  EXPECT_EQ(table.column("x").to_vector<float>(), (std::vector<float>{1.5f, 2}));
  EXPECT_EQ(table.column("name").to_vector<std::string>(), (Strings{"ab", "3"}));
}

TEST(Csv, KeepsDelimitersLineEndsAndQuotesInsideQuotes) {
  const CsvTable table = parse_csv("a,b\r\n\"x,y\",\"two\nlines\"\r\n\"say \"\"hi\"\"\",\"\"\r\n");
  EXPECT_EQ(table.column("a").to_vector<std::string>(), (Strings{"x,y", "say \"hi\""}));
  EXPECT_EQ(table.column("b").to_vector<std::string>(), (Strings{"two\nlines", ""}));
}

TEST(Csv, SelectsColumnsInTheOrderAskedFor) {
  const CsvTable table = parse_csv("a;b;c\n1;2;3\n4;5;6", {.columns = {{.name = "c", .dtype = float64}, {.name = "a", .dtype = uint8}}, .delimiter = ';'});
  EXPECT_EQ(table.names(), (Strings{"c", "a"}));
  EXPECT_EQ(table.columns()[0].to_vector<double>(), (std::vector<double>{3, 6}));
  EXPECT_EQ(table.columns()[1].to_vector<std::uint8_t>(), (std::vector<std::uint8_t>{1, 4}));
}

TEST(Csv, NumbersTheColumnsOfAFileWithoutHeader) {
  const CsvTable table = parse_csv("1,2\n3,4\n", {.header = false});
  EXPECT_EQ(table.rows(), 2);
  EXPECT_EQ(table.column("1").to_vector<std::int32_t>(), (std::vector<std::int32_t>{2, 4}));
}

TEST(Csv, PutsTheGivenValueInPlaceOfMissingFields) {
  const CsvOptions options = {.columns = {{.name = "x", .missing = "-1"}, {.name = "s", .missing = "none"}}, .missing_mark = "NA"};
  const CsvTable table = parse_csv("x,s\n1,a\n ,\nNA,NA\n", options);
  EXPECT_EQ(table.column("x").to_vector<std::int32_t>(), (std::vector<std::int32_t>{1, -1, -1}));
  EXPECT_EQ(table.column("s").to_vector<std::string>(), (Strings{"a", "none", "none"}));
}

TEST(Csv, NamesLineAndColumnOfAMissingField) {
  const std::string message = refusal("x,y\n1,2\n3,\n");
  EXPECT_NE(message.find("f.csv, line 3, column 'y'"), std::string::npos) << message;
  EXPECT_NE(message.find("missing"), std::string::npos) << message;
}

TEST(Csv, NamesLineAndColumnOfAFieldOfAnotherType) {
  const std::string message = refusal("x,s\n1,\"two\nlines\"\nabc,d\n", {.columns = {{.name = "x", .dtype = float32}}});
  EXPECT_NE(message.find("line 4, column 'x': the field is no float32: 'abc'"), std::string::npos) << message;
  EXPECT_NE(refusal("x\n300\n", {.columns = {{.name = "x", .dtype = uint8}}}).find("no uint8"), std::string::npos);
  EXPECT_NE(refusal("x\n1.5\n", {.columns = {{.name = "x", .dtype = int32}}}).find("no int32"), std::string::npos);
  EXPECT_NE(refusal("x\nmaybe\n", {.columns = {{.name = "x", .dtype = boolean}}}).find("no bool"), std::string::npos);
}

TEST(Csv, NamesTheLineOfARaggedRecord) {
  EXPECT_NE(refusal("a,b\n1,2\n\n3\n").find("line 4: 1 field where the header has 2"), std::string::npos) << refusal("a,b\n1,2\n\n3\n");
  EXPECT_NE(refusal("1,2\n3,4,5\n", {.header = false}).find("line 2: 3 fields where the first line has 2"), std::string::npos);
}

TEST(Csv, RefusesQuotesThatDoNotCloseOrThatTextFollows) {
  EXPECT_NE(refusal("a,b\n1,\"open\n2,3\n").find("line 2, field 2: the quoted field has no end"), std::string::npos) << refusal("a,b\n1,\"open\n2,3\n");
  EXPECT_NE(refusal("a\n\"x\"y\n").find("line 2, field 1"), std::string::npos);
  EXPECT_NE(refusal("a,b\n1,x\"y\n").find("line 2, field 2: a quote inside"), std::string::npos);
}

TEST(Csv, RefusesAnEmptyFileAndAColumnTwice) {
  EXPECT_NE(refusal("").find("f.csv is empty"), std::string::npos);
  EXPECT_NE(refusal("a,a\n1,2\n").find("line 1"), std::string::npos);
  EXPECT_EQ(parse_csv("a,b\n").rows(), 0);
}

TEST(Csv, SuggestsTheNearestColumn) {
  const std::string message = message_of<NotFoundError>([] { parse_csv("price,size\n1,2\n", {.columns = {{.name = "prize"}}}); });
  EXPECT_NE(message.find("did you mean 'price'?"), std::string::npos) << message;
}

TEST(Csv, PutsColumnsSideBySideAsAMatrix) {
  const CsvTable table = parse_csv("\xEF\xBB\xBF" "a,b,s\n1,2.5,x\n3,4,y\n");
  const Tensor matrix = table.matrix({"b", "a"});
  EXPECT_EQ(matrix.shape(), (Shape{2, 2}));
  EXPECT_EQ(matrix.to_vector<float>(), (std::vector<float>{2.5f, 1, 4, 3}));
  EXPECT_THROW(table.matrix({"a", "s"}), TypeError);
}

TEST(Csv, ReadsAFileAndSaysWhichOneIsMissing) {
  const Folder folder;
  EXPECT_EQ(read_csv(folder.write("t.csv", "x\n1\n2\n")).rows(), 2);
  EXPECT_NE(message_of<NotFoundError>([&] { read_csv(folder.path("absent.csv")); }).find("absent.csv"), std::string::npos);
}

}  // namespace
}  // namespace lockstep::io
