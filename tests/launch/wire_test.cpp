#include <gtest/gtest.h>
#include <run/wire.h>

#include <string>
#include <tuple>
#include <vector>

namespace lockstep::launch {
namespace {

using Record = std::tuple<int, char, std::string>;

std::vector<Record> decoded(const std::string& text, std::size_t piece) {
  std::vector<Record> records;
  Decoder decoder([&](int rank, RecordKind kind, std::string_view payload) { records.emplace_back(rank, char(kind), payload); });
  for (std::size_t at = 0; at < text.size(); at += piece) decoder.add(std::string_view(text).substr(at, piece));
  return records;
}

const std::string kBytes = std::string("a\\.b\n[1,0]<stdout>:\r\x1b[31m\t\xc3\xa9\xff\0z\\41", 34);

TEST(Wire, BringsBackEveryByteWhereverTheTextIsCut) {
  const std::string text = "[1,0]<stdout>:" + encode(RecordKind::out, kBytes) + encode(RecordKind::exit, "7");
  for (const std::size_t piece : {1uL, 2uL, 3uL, 7uL, 1000uL}) EXPECT_EQ(decoded(text, piece), (std::vector<Record>{{0, 'o', kBytes}, {0, 'x', "7"}})) << piece;
}

TEST(Wire, PutsRecordsOfRanksTogetherWhoseChunksAreMixed) {
  const std::string one = encode(RecordKind::out, kBytes), two = encode(RecordKind::err, "two\nlines\n");
  for (std::size_t cut = 0; cut < one.size(); ++cut) {
    const std::string mixed = "[1,3]<stdout>:" + one.substr(0, cut) + "[1,12]<stdout>:" + two + "[1,3]<stdout>:" + one.substr(cut);
    EXPECT_EQ(decoded(mixed, 1000), (std::vector<Record>{{12, 'e', "two\nlines\n"}, {3, 'o', kBytes}})) << cut;
  }
}

TEST(Wire, SendsNothingThatMpirunWouldPutATagInto) {
  const std::string text = encode(RecordKind::out, kBytes);
  EXPECT_EQ(text.find_first_of("\n["), std::string::npos);
}

TEST(Wire, PassesOverBytesThatNoRankHasSent) { EXPECT_TRUE(decoded("stray text\\.", 3).empty()); }

}  // namespace
}  // namespace lockstep::launch
