// Ops on strings: what TensorFlow 2.21 gives, and what is refused.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

using Words = std::vector<std::string>;
using Ints64 = std::vector<std::int64_t>;
using Ints32 = std::vector<std::int32_t>;

Words words_of(const Tensor& x) { return x.to_vector<std::string>(); }
Words words_of(const RaggedTensor& x) { return words_of(x.flat_values()); }
Ints64 splits_of(const RaggedTensor& x) { return x.row_splits().to_vector<std::int64_t>(); }

TEST(Strings, SplitAtWhiteSpaceKeepsWhatIsLeftAfterTheLastCut) {
  const RaggedTensor parts = strings::split(constant({"  a  b  c ", "", "abc", "  "}), "", 1);
  EXPECT_EQ(words_of(parts), (Words{"a", "b  c ", "abc", ""}));
  EXPECT_EQ(splits_of(parts), (Ints64{0, 2, 2, 4, 4}));
}

TEST(Strings, SplitCountsEverySeparator) {
  EXPECT_EQ(words_of(strings::split(constant({"a<>b<>", "<><>"}), "<>")), (Words{"a", "b", "", "", "", ""}));
  EXPECT_EQ(words_of(strings::split(constant({"a,b,c"}), ",", 0)), (Words{"a,b,c"}));
}

TEST(Strings, SplitGivesTheShapeOfWhatItSplits) {
  EXPECT_FALSE(strings::split(constant("a b")).is_ragged());
  const RaggedTensor nested = strings::split(constant({{"a b", "c"}, {"", "d e f"}}));
  EXPECT_EQ(nested.ragged_rank(), 2);
  EXPECT_EQ(to_string(nested), "<RaggedTensor [[[b'a', b'b'], [b'c']], [[], [b'd', b'e', b'f']]]>");
}

TEST(Strings, SplitsManyOnSeveralThreadsAsOnOne) {
  Words lines;
  for (int i = 0; i < 20000; ++i) lines.push_back("line " + std::to_string(i) + " of many");
  const RaggedTensor parts = strings::split(constant(lines));
  EXPECT_EQ(parts.flat_values().numel(), 80000);
  EXPECT_EQ((parts[{19999, 1}].tensor().item<std::string>()), "19999");
}

TEST(Strings, SplitAtWhiteSpaceWhereverItStandsInLongLines) {
  const std::string kinds = " \t\n\v\f\r";
  std::vector<std::string> lines;
  Words expected;
  for (std::size_t length = 0; length < 9000; length += length < 300 ? 1 : 292) {  // also 4096, which is as much as is looked at at once
    std::string line;
    for (std::size_t i = 0; i < length; ++i) line += (i * i + length) % 11 < 3 ? kinds[(i + length) % kinds.size()] : static_cast<char>(i % 5 ? 'a' + i % 26 : 128 + i % 100);
    lines.push_back(line);
    std::string word;
    for (const char c : line + " ") {
      if (kinds.find(c) == std::string::npos) word += c;
      else if (!word.empty()) expected.push_back(std::exchange(word, {}));
    }
  }
  EXPECT_EQ(words_of(strings::split(constant(lines))), expected);
}

TEST(Strings, SubstrTakesPositionsOfItsOwnForEachElement) {
  EXPECT_EQ(words_of(strings::substr(constant({{"hello"}, {"world"}}), constant({1, 2}), constant({3, 2}))), (Words{"ell", "ll", "orl", "rl"}));
  EXPECT_EQ(words_of(strings::substr(constant({"ab"}), 2, 1)), (Words{""}));
  EXPECT_EQ(words_of(strings::substr(constant({"hello"}), 1, -2)), (Words{"ello"}));
  EXPECT_EQ(words_of(strings::substr(constant({"hello"}), 1, -2, "UTF8_CHAR")), (Words{""}));
  EXPECT_THROW(strings::substr(constant({"ab"}), -3, 1), InvalidArgumentError);
  EXPECT_THROW(strings::substr(constant({"ab"}), 3, 1, "UTF8_CHAR"), InvalidArgumentError);
  EXPECT_THROW(strings::substr(constant({"ab"}), INT64_MIN, INT64_MAX), InvalidArgumentError);
  EXPECT_EQ(words_of(strings::substr(constant({"ab"}), 1, INT64_MAX)), (Words{"b"}));
}

TEST(Strings, CaseFollowsUnicode) {
  EXPECT_EQ(words_of(strings::upper(constant({"ßﬁŉ", "straße ǆ"}), "utf-8")), (Words{"SSFI\u02bcN", "STRASSE Ǆ"}));
  EXPECT_EQ(words_of(strings::lower(constant({"ΑΣ", "ΑΣΑ", "Σ", "İ"}), "utf-8")), (Words{"ας", "ασα", "σ", "i\u0307"}));
  EXPECT_EQ(words_of(strings::upper(constant({"a\xff" "b"}), "utf-8")), (Words{"A\ufffdB"}));
  EXPECT_EQ(words_of(strings::upper(constant({"é"}))), (Words{"é"}));
  EXPECT_THROW(strings::upper(constant({"a"}), "latin"), InvalidArgumentError);
}

TEST(Strings, IllFormedTextIsReplacedByItsMaximalParts) {
  const Tensor bad = constant({"a\xff" "b", "\xe6\x97", "\xe6\x97" "a", "\xf0\x9f\x98", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80\x80"});
  const RaggedTensor decoded = strings::unicode_decode(bad);
  EXPECT_EQ(decoded.row_lengths().to_vector<std::int64_t>(), (Ints64{3, 1, 2, 1, 2, 3, 4, 2}));
  EXPECT_EQ((decoded[{2}].tensor().to_vector<std::int32_t>()), (Ints32{0xFFFD, 'a'}));
  EXPECT_EQ(strings::unicode_decode(constant("a\xff" "b"), {.errors = "ignore"}).tensor().to_vector<std::int32_t>(), (Ints32{'a', 'b'}));
  EXPECT_EQ(strings::unicode_decode(constant("a\xff"), {.replacement_char = 63}).tensor().to_vector<std::int32_t>(), (Ints32{'a', 63}));
  EXPECT_THROW(strings::unicode_decode(bad, {.errors = "strict"}), InvalidArgumentError);
  EXPECT_THROW(strings::unicode_decode(bad, {.errors = "whatever"}), InvalidArgumentError);
  EXPECT_THROW(strings::unicode_decode(bad, {.replacement_char = 0xD800}), InvalidArgumentError);
}

TEST(Strings, KnowOtherEncodings) {
  EXPECT_EQ(strings::unicode_decode(constant(std::string("\0a\0b\xd8\x3d\xde\0", 8)), {.input_encoding = "UTF-16-BE"}).tensor().to_vector<std::int32_t>(), (Ints32{'a', 'b', 0x1F600}));
  EXPECT_EQ(strings::unicode_decode(constant("a\xe9"), {.input_encoding = "ISO-8859-1"}).tensor().to_vector<std::int32_t>(), (Ints32{'a', 233}));
  EXPECT_EQ(strings::unicode_transcode(constant("aé"), {.output_encoding = "UTF-16-BE"}).item<std::string>(), std::string("\0a\0\xe9", 4));
  EXPECT_EQ(strings::unicode_encode(constant({97, 0x110000, -1})).item<std::string>(), "a\ufffd\ufffd");
  EXPECT_THROW(strings::unicode_encode(constant({97, 0xD800}), {.errors = "strict"}), InvalidArgumentError);
  EXPECT_THROW(strings::unicode_encode(constant({97}), {.output_encoding = "ISO-8859-1"}), InvalidArgumentError);
}

TEST(Strings, EveryCodePointSurvivesEncodingAndDecoding) {
  for (const char* encoding : {"UTF-8", "UTF-16-BE", "UTF-32-BE"}) {
    Ints32 all;
    for (std::int32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 37)
      if (c < 0xD800 || c > 0xDFFF) all.push_back(c);
    const Tensor text = strings::unicode_encode(constant(all), {.output_encoding = encoding});
    EXPECT_EQ(strings::unicode_decode(text, {.input_encoding = encoding, .errors = "strict"}).tensor().to_vector<std::int32_t>(), all) << encoding;
  }
}

TEST(Strings, OffsetsSayWhereCharactersBegin) {
  const auto [characters, offsets] = strings::unicode_split_with_offsets(constant({"aé語"}));
  EXPECT_EQ(words_of(characters), (Words{"a", "é", "語"}));
  EXPECT_EQ(offsets.flat_values().to_vector<std::int64_t>(), (Ints64{0, 1, 3}));
}

TEST(Strings, NumbersAreReadAsTensorFlowReadsThem) {
  EXPECT_EQ(strings::to_number(constant({"0x1A", "+3", "1e999", "-1e999", "1e-999", "INF", ".5", "0x1p3", "\t7\n"})).to_vector<float>(),
            (std::vector<float>{26, 3, INFINITY, -INFINITY, 0, INFINITY, .5f, 8, 7}));
  for (const char* bad : {"", "  ", "1e", "1_0", "- 1", "1f", "--1", "+-1"}) EXPECT_THROW(strings::to_number(constant({bad})), InvalidArgumentError) << bad;
  for (const char* bad : {"99999999999", "0x10", "1.0", ""}) EXPECT_THROW(strings::to_number(constant({bad}), int32), InvalidArgumentError) << bad;
  EXPECT_EQ(strings::to_number(constant({"007", " 12 ", "+3"}), int64).to_vector<std::int64_t>(), (Ints64{7, 12, 3}));
  EXPECT_THROW(strings::to_number(constant({"-1"}), uint32), InvalidArgumentError);
  EXPECT_THROW(strings::to_number(constant({"1"}), boolean), TypeError);
}

TEST(Strings, NumbersAreWrittenAsPrintfWritesThem) {
  EXPECT_EQ(words_of(strings::as_string(constant({1.5f, 1e10f, -0.001f}), {.scientific = true})), (Words{"1.500000e+00", "1.000000e+10", "-1.000000e-03"}));
  EXPECT_EQ(words_of(strings::as_string(constant({1.5f, 1e10f, NAN, -INFINITY}), {.shortest = true})), (Words{"1.5", "1e+10", "nan", "-inf"}));
  EXPECT_EQ(words_of(strings::as_string(constant({15, -2}), {.width = 6, .fill = "-"})), (Words{"15    ", "-2    "}));
  EXPECT_EQ(words_of(strings::as_string(constant({15, -2}), {.width = 6, .fill = "+"})), (Words{"   +15", "    -2"}));
  EXPECT_EQ(words_of(strings::as_string(constant(std::complex<float>(1.5f, 2)), {.precision = 2, .width = 8})), (Words{"(    1.50,    2.00)"}));
  EXPECT_THROW(strings::as_string(constant({1}), {.fill = "x"}), InvalidArgumentError);
  EXPECT_THROW(strings::as_string(constant({1}), {.width = INT64_MAX}), InvalidArgumentError);
  EXPECT_THROW(strings::as_string(constant({1.f}), {.precision = std::int64_t(1) << 40}), InvalidArgumentError);
  EXPECT_THROW(strings::as_string(constant({1}), {.precision = 3}), InvalidArgumentError);
  EXPECT_THROW(strings::as_string(constant({1.f}), {.scientific = true, .shortest = true}), InvalidArgumentError);
}

TEST(Strings, HashesHaveTensorFlowsBits) {
  const Tensor x = constant({std::string("hello"), std::string(), std::string("abcdefghijkl"), std::string(100, 'a')});
  const std::int64_t buckets = std::int64_t(1) << 40;
  EXPECT_EQ(strings::to_hash_bucket_fast(x, buckets).to_vector<std::int64_t>(), (Ints64{726675229928, 254201053263, 306177848283, 727850554602}));
  EXPECT_EQ(strings::to_hash_bucket_strong(x, buckets, {1, 2}).to_vector<std::int64_t>(), (Ints64{34011838614, 231421486971, 982396989295, 87610118338}));
  EXPECT_EQ(strings::to_hash_bucket(x, buckets).to_vector<std::int64_t>(), (Ints64{798522768714, 142163811899, 659288812514, 879712427411}));
  EXPECT_THROW(strings::to_hash_bucket_fast(x, 0), InvalidArgumentError);
  EXPECT_THROW(strings::to_hash_bucket_strong(x, 7, {1}), InvalidArgumentError);
}

TEST(Strings, JoinInTheOrderOfTheAxes) {
  const Tensor x = constant({{"a", "b"}, {"c", "d"}});
  EXPECT_EQ(words_of(strings::reduce_join(x, 0, false, "-")), (Words{"a-c", "b-d"}));
  EXPECT_EQ(words_of(strings::reduce_join(x, {}, false, "-")), (Words{"a-b-c-d"}));
  EXPECT_EQ(words_of(strings::reduce_join(x, {0, 1}, false, "-")), (Words{"a-c-b-d"}));
  const std::vector<Tensor> parts{constant({"a", "b"}), constant("c")}, unlike{constant({"a", "b"}), constant({{"c"}, {"d"}})};
  EXPECT_EQ(words_of(strings::join(parts, "-")), (Words{"a-c", "b-c"}));
  EXPECT_THROW(strings::join(unlike), InvalidArgumentError);
}

TEST(Strings, RegularExpressionsAreCheckedBeforeTheyRun) {
  EXPECT_EQ(words_of(strings::regex_replace(constant({"aXbXc"}), "X", "-", false)), (Words{"a-bXc"}));
  EXPECT_EQ(words_of(strings::regex_replace(constant({"abc"}), "", "-")), (Words{"-a-b-c-"}));
  EXPECT_THROW(strings::regex_full_match(constant({"abc"}), "("), InvalidArgumentError);
  EXPECT_THROW(strings::regex_replace(constant({"abc"}), "a", "\\3"), InvalidArgumentError);
}

TEST(Strings, NgramsStayWithinRows) {
  const RaggedTensor grams = strings::ngrams(strings::split(constant({"a b c", "d", "", "e f"})), 2);
  EXPECT_EQ(words_of(grams), (Words{"a b", "b c", "e f"}));
  EXPECT_EQ(splits_of(grams), (Ints64{0, 2, 2, 2, 3}));
  EXPECT_EQ(words_of(strings::ngrams(constant({"a", "b", "c"}), 3)), (Words{"a b c"}));
  EXPECT_EQ(strings::ngrams(strings::split(constant({"a", "b c"})), 3).flat_values().numel(), 0);
}

TEST(Strings, WorkInsideATracedFunction) {
  const auto hashed = autodiff::function([](const Tensor& lines) {
    const RaggedTensor words = strings::split(strings::lower(lines));
    return std::pair(strings::to_hash_bucket_fast(words.flat_values(), 1000), words.row_splits());
  });
  const auto [ids, splits] = hashed(constant({"Hello World", "", "hello"}));
  EXPECT_EQ(ids.to_vector<std::int64_t>()[0], ids.to_vector<std::int64_t>()[2]);
  EXPECT_EQ(splits.to_vector<std::int64_t>(), (Ints64{0, 2, 2, 3}));
}

}  // namespace
}  // namespace lockstep
