#pragma once
// Lookups: whole numbers and strings to their positions in a vocabulary, and back.

#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <lockstep/nn/adapt.h>
#include <lockstep/nn/layer.h>
#include <lockstep/tensor/lookup.h>
#include <lockstep/tensor/ragged.h>

namespace lockstep::nn {

/// The position of each token in a vocabulary, behind the mask token (for output_mode "int") and the indices for what is not in it. T: std::string or
/// std::int64_t. A traced function keeps the vocabulary that it was traced with, as Keras's does: compile a model anew when its layers have learnt another one.
template <class T>
class IndexLookup : public Layer {
  static constexpr bool kText = std::is_same_v<T, std::string>;

 public:
  using Tokens = std::conditional_t<kText, std::vector<std::string>, Ints>;
  struct Options {
    /// Of the vocabulary, mask and indices of unknown tokens included.
    std::optional<std::int64_t> max_tokens = {};
    /// Unknown tokens share so many indices: whole numbers modulo, strings by FarmHash64. With 0 they are refused.
    std::int64_t num_oov_indices = 1;
    std::optional<T> mask_token = {};
    T oov_token = unknown();
    std::optional<Tokens> vocabulary = {};
    /// From positions to tokens.
    bool invert = false;
    /// "int", "one_hot", "multi_hot" or "count", of int64; or "tf_idf", of float32
    std::string output_mode = "int";
    std::string name = {};
    /// Of the vocabulary's tokens, for "tf_idf"; or found by adapt.
    std::optional<std::vector<double>> idf_weights = {};
    /// Rows as long as max_tokens, though there be fewer.
    bool pad_to_max_tokens = false;
    /// Of unknown whole numbers: "floormod" or "farmhash".
    std::string oov_method = "floormod";
    /// One or two numbers: SipHash64 with this key in place of FarmHash64.
    std::optional<Ints> salt = {};
  };
  IndexLookup() = default;
  explicit IndexLookup(Options options);

  /// The tokens of the data, the most frequent first, of those that come equally often the larger one. "tf_idf": rows are documents.
  /// Throws FailedPreconditionError if the vocabulary was given.
  void adapt(const Tensor& data, const AdaptOptions& options = {});
  void adapt(const RaggedTensor& data, const AdaptOptions& options = {});
  void adapt(BatchSource& source, const AdaptOptions& options = {});
  /// In place of what was there. May begin with the mask and the unknown token. Throws InvalidArgumentError for repeated and reserved tokens and too many.
  void set_vocabulary(const Tokens& vocabulary, const std::optional<std::vector<double>>& idf_weights = {});
  /// By position; without special tokens: from the first learnt one on.
  std::vector<T> get_vocabulary(bool include_special_tokens = true) const;
  std::int64_t vocabulary_size() const;
  /// Of special tokens, too; none outside of "tf_idf".
  const std::optional<std::vector<double>>& idf_weights() const { return all_weights_; }
  /// Given or learnt, as a configuration has them: weights of special tokens only where they were given.
  const std::optional<Tokens>& given_vocabulary() const { return options_.vocabulary; }
  const std::optional<std::vector<double>>& given_weights() const { return options_.idf_weights; }
  /// Width of a row of "one_hot", "multi_hot", "count" and "tf_idf".
  std::int64_t depth() const { return options_.pad_to_max_tokens ? options_.max_tokens.value_or(0) : vocabulary_size(); }

  /// Positions under the same rows; only for output_mode "int".
  RaggedTensor operator()(const RaggedTensor& tokens) const;
  /// Rows of one of the other output modes, of tokens in rows of unequal lengths.
  Tensor encode(const RaggedTensor& tokens) const;
  using Layer::operator();

  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  static T unknown() {
    if constexpr (kText) return "[UNK]";
    else return -1;
  }
  /// What adapt has seen.
  struct Seen {
    std::map<T, std::int64_t> counts, documents;
    std::int64_t document_count = 0;
  };
  /// Whole numbers as int64. Throws TypeError where strings are wanted and are none.
  Tensor as_tokens(const Tensor& x) const;
  void count(Seen& seen, const Tensor& given, const std::vector<std::int64_t>& splits) const;
  void finish(Seen seen, const AdaptOptions& options);
  void set_tokens(Tokens tokens);
  bool masks() const { return options_.mask_token && options_.output_mode == "int"; }
  std::int64_t oov_start() const { return masks() ? 1 : 0; }
  std::int64_t token_start() const { return oov_start() + options_.num_oov_indices; }
  void require_ready() const;
  /// -1: none, outside of "int".
  Tensor positions(const Tensor& given) const;
  Tensor found(const Tensor& tokens) const;
  Tensor bucket(const Tensor& tokens) const;
  Tensor tokens_at(const Tensor& positions) const;
  Tensor weighed(const Tensor& rows) const;
  DType row_dtype() const { return options_.output_mode == "tf_idf" ? float32 : int64; }

  Options options_;
  bool adapted_ = false;                            // the vocabulary was learnt, not given
  std::optional<Tokens> learnt_;                    // without the special tokens that the options' may begin with
  std::optional<std::vector<double>> all_weights_;  // of special tokens, too
  KeyIndex index_;                                  // strings: the mask token and the vocabulary
  Tensor sorted_;                                   // whole numbers: the same in ascending order
  Tensor places_;                                   // where what is unknown goes, then the position of each of these
  Tensor tokens_;                                   // inverted: all tokens by position, then the unknown token
};

class IntegerLookup : public IndexLookup<std::int64_t> {
 public:
  using IndexLookup::IndexLookup;
};
class StringLookup : public IndexLookup<std::string> {
 public:
  using IndexLookup::IndexLookup;
};

}  // namespace lockstep::nn
