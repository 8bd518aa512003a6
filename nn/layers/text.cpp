#include <lockstep/nn/layers/text.h>

#include <utility>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/categories.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/strings.h>

namespace lockstep::nn {
namespace {

/// n-grams of these numbers of words: of each row those of the first number, then of the second, ...
RaggedTensor several_ngrams(const RaggedTensor& words, const Ints& widths) {
  std::vector<RaggedTensor> parts;
  for (const std::int64_t width : widths) parts.push_back(strings::ngrams(words, width));
  return parts.size() == 1 ? parts[0] : ragged::concat(parts, 1);
}

}  // namespace

void TextVectorization::fields(Fields& f) {
  Layer::fields(f);
  f.field("max_tokens", options_.max_tokens);
  f.field("standardize", options_.standardize);
  f.field("split", options_.split);
  f.field("ngrams", options_.ngrams);
  f.field("output_mode", options_.output_mode);
  f.field("output_sequence_length", options_.output_sequence_length);
  f.field("pad_to_max_tokens", options_.pad_to_max_tokens);
  detail::fixed(f, "sparse", false);
  detail::fixed(f, "ragged", false);
  // What was learnt belongs to the configuration as what was given does.
  if (lookup_->given_vocabulary()) options_.vocabulary = lookup_->given_vocabulary(), options_.idf_weights = lookup_->given_weights();
  f.field("vocabulary", options_.vocabulary);
  f.field("idf_weights", options_.idf_weights);
  detail::fixed(f, "encoding", std::string("utf-8"));
  Json size = options_.vocabulary ? Json(vocabulary_size()) : Json(nullptr);  // follows from the others
  f.field("vocabulary_size", size);
}

void TextVectorization::configured() {
  const auto one_of = [&](const std::optional<std::string>& value, std::initializer_list<const char*> allowed, const char* what) {
    bool found = !value;
    std::string names;
    for (const char* each : allowed) found = found || *value == each, names += (names.empty() ? "\"" : ", \"") + std::string(each) + "\"";
    require(found, std::string(what) + " must be " + names + " or none, got \"" + value.value_or("") + "\"");
  };
  one_of(options_.standardize, {"lower_and_strip_punctuation", "lower", "strip_punctuation"}, "standardize");
  one_of(options_.split, {"whitespace", "character"}, "split");
  one_of(options_.output_mode, {"int", "multi_hot", "count", "tf_idf", "binary", "tf-idf"}, "output_mode");
  if (options_.ngrams)
    for (const std::int64_t width : *options_.ngrams) require(width > 0, "n-grams have one word at least, got " + std::to_string(width));
  require(!options_.output_sequence_length || (options_.output_mode == "int" && *options_.output_sequence_length > 0), "output_sequence_length is a positive number, for output_mode \"int\"");
  lookup_ = std::make_shared<StringLookup>(StringLookup::Options{.max_tokens = options_.max_tokens, .mask_token = "", .vocabulary = options_.vocabulary,
                                                                 .output_mode = options_.output_mode, .idf_weights = options_.idf_weights, .pad_to_max_tokens = options_.pad_to_max_tokens});
}

RaggedTensor TextVectorization::tokens(const Tensor& texts) const {
  if (texts.dtype() != string) throw TypeError("texts are strings, got " + to_string(texts.spec()), name());
  require(texts.ndim() < 2 || (texts.ndim() == 2 && texts.shape()[1] == 1), "texts are (n,) or (n, 1), got " + to_string(texts.shape()));
  Tensor x = reshape(texts, {texts.numel()});
  const std::string standardize = options_.standardize.value_or("");
  if (standardize.starts_with("lower")) x = strings::lower(x);
  if (standardize.ends_with("strip_punctuation")) x = strings::regex_replace(x, R"([!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~'])", "");
  RaggedTensor words = !options_.split ? RaggedTensor::from_tensor(expand_dims(x, 1)) : *options_.split == "character" ? strings::unicode_split(x) : strings::split(x);
  if (!options_.ngrams) return words;
  Ints widths = *options_.ngrams;
  if (widths.size() == 1)  // 1 to n
    for (std::int64_t width = std::exchange(widths, Ints{})[0], n = 1; n <= width; ++n) widths.push_back(n);
  return several_ngrams(words, widths);
}

void TextVectorization::adapt(const Tensor& texts, const AdaptOptions& options) {
  lookup_->adapt(tokens(texts), options);
}

void TextVectorization::adapt(BatchSource& source, const AdaptOptions& options) {
  // The lookup takes a source of tokens: each batch's, taken apart as it comes.
  struct Tokens final : BatchSource {
    Tokens(BatchSource& texts, const TextVectorization& layer) : texts(texts), layer(layer) {}
    bool next(Tensors& batch) override {
      if (!texts.next(batch)) return false;
      batch = {layer.tokens(batch[0]).to_tensor()};  // filled up with "", the mask token, which does not count
      return true;
    }
    DatasetState state() const override { return texts.state(); }
    void restore(const DatasetState& state) override { texts.restore(state); }
    std::int64_t cardinality() const override { return texts.cardinality(); }
    BatchSource& texts;
    const TextVectorization& layer;
  };
  Tokens tokens(source, *this);
  lookup_->adapt(tokens, options);
}

Tensor TextVectorization::call(const Tensor& x) {
  const auto numbers = [&] {
    const DeviceScope here{x.is_symbolic() ? default_device() : Device()};  // strings are on the host
    const RaggedTensor words = tokens(x);
    if (options_.output_mode != "int") return lookup_->encode(words);
    const Tensor rows = (*lookup_)(words).to_tensor({-1, options_.output_sequence_length.value_or(-1)});
    return rows.shape().known() || !options_.output_sequence_length ? rows : reshape(rows, {x.numel(), *options_.output_sequence_length});
  };
  return placed(numbers());
}

}  // namespace lockstep::nn
