#pragma once
// Categories by their hash: no vocabulary, but strangers may meet.

#include <optional>
#include <string>
#include <variant>

#include <lockstep/nn/layer.h>
#include <lockstep/tensor/ragged.h>

namespace lockstep::nn {

/// Strings and whole numbers (as decimal text) to [0, num_bins), with TensorFlow's bits: FarmHash64, or SipHash64 with a salt.
class Hashing : public Layer {
 public:
  struct Options {
    std::int64_t num_bins = 0;
    /// A string or a whole number, as the values are: has bin 0 for itself.
    std::optional<std::variant<std::int64_t, std::string>> mask_value = {};
    /// One or two numbers.
    std::optional<Ints> salt = {};
    /// "int", "one_hot", "multi_hot" or "count"
    std::string output_mode = "int";
    std::string name = {};
    /// Of the output. For "int" whole numbers: int64, unless another integer dtype is given.
    DTypePolicy dtype = {};
  };
  Hashing() = default;
  explicit Hashing(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { Hashing::configured(); }
  RaggedTensor operator()(const RaggedTensor& values) const { return values.with_flat_values(bins(values.flat_values())); }
  using Layer::operator();
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensor call(const Tensor& x) override;

 private:
  Tensor bins(const Tensor& values) const;
  Options options_;
};

/// Combinations of two or more features, (), (n,) or (n, 1) each, to [0, num_bins) as tf.sparse.cross_hashed has them.
class HashedCrossing : public Layer {
 public:
  struct Options {
    std::int64_t num_bins = 0;
    /// "int" or "one_hot"
    std::string output_mode = "int";
    std::string name = {};
    /// As that of Hashing.
    DTypePolicy dtype = {};
  };
  HashedCrossing() = default;
  explicit HashedCrossing(Options options) : Layer(options.name, options.dtype), options_(std::move(options)) { HashedCrossing::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  Options options_;
};

}  // namespace lockstep::nn
