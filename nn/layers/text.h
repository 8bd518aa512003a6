#pragma once
// Texts as the numbers of their words.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/nn/layers/lookup.h>

namespace lockstep::nn {

/// Strings (n,) or (n, 1): standardized, cut into tokens, perhaps joined to n-grams, looked up, filled up. Inside a traced function the number of columns of "int"
/// is known only with output_sequence_length, which models therefore need.
class TextVectorization : public Layer {
 public:
  struct Options {
    std::optional<std::int64_t> max_tokens = {};
    /// "lower_and_strip_punctuation", "lower", "strip_punctuation" or none; as tf.strings.lower, ASCII letters.
    std::optional<std::string> standardize = "lower_and_strip_punctuation";
    /// "whitespace", "character" or none: each string is a token.
    std::optional<std::string> split = "whitespace";
    /// One number n: n-grams of 1 to n words; several: of these numbers of words. None: words.
    std::optional<Ints> ngrams = {};
    /// "int", "multi_hot", "count" or "tf_idf"
    std::string output_mode = "int";
    /// Rows of "int" are filled up with 0, or cut off, to this length; none: to the longest.
    std::optional<std::int64_t> output_sequence_length = {};
    bool pad_to_max_tokens = false;
    std::optional<std::vector<std::string>> vocabulary = {};
    std::optional<std::vector<double>> idf_weights = {};
    std::string name = {};
  };
  TextVectorization() { TextVectorization::configured(); }
  explicit TextVectorization(Options options) : Layer(options.name), options_(std::move(options)) { TextVectorization::configured(); }

  /// The vocabulary of these texts; see StringLookup.
  void adapt(const Tensor& texts, const AdaptOptions& options = {});
  void adapt(BatchSource& source, const AdaptOptions& options = {});
  void set_vocabulary(const std::vector<std::string>& vocabulary, const std::optional<std::vector<double>>& idf_weights = {}) { lookup_->set_vocabulary(vocabulary, idf_weights); }
  std::vector<std::string> get_vocabulary(bool include_special_tokens = true) const { return lookup_->get_vocabulary(include_special_tokens); }
  std::int64_t vocabulary_size() const { return lookup_->vocabulary_size(); }

  /// The tokens of each text.
  RaggedTensor tokens(const Tensor& texts) const;
  /// Their numbers, without filling up (Keras's ragged = true).
  RaggedTensor ragged(const Tensor& texts) const { return (*lookup_)(tokens(texts)); }

  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Options options_;
  std::shared_ptr<StringLookup> lookup_;
};

}  // namespace lockstep::nn
