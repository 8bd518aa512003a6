#pragma once
// Attention. Inputs are query, value and key; without a key it is the value, without a value the query (self-attention). `mask` holds
// their masks in this order.

#include <lockstep/nn/layer.h>
#include <lockstep/nn/layers/core.h>

namespace lockstep::nn {

/// What multi-head layers share: projections of query, key and value to heads, softmax of scaled products, projection back.
class HeadedAttention : public Layer {
 protected:
  using Layer::Layer;
  /// Arguments that all projections get.
  struct Projections {
    Ref<Initializer> kernel_initializer;
    Ref<Initializer> bias_initializer;
    Ref<Regularizer> kernel_regularizer;
    Ref<Regularizer> bias_regularizer;
    Ref<Constraint> kernel_constraint;
    Ref<Constraint> bias_constraint;
    bool use_bias = true;
    bool use_gate = false;
  };
  struct Heads {
    std::int64_t query, key_value;
    std::int64_t key_dim, value_dim;
  };
  void build_projections(std::span<const Shape> inputs, const Projections& projections, const Heads& heads, const Ints& output_shape);
  struct Attending {
    Ints axes;
    double dropout = 0;
    std::optional<std::int64_t> sliding_window = {};
    /// Keras applies a query's mask in grouped-query attention only: elsewhere a masked query may look at what it likes, nobody looks at its row.
    bool masks_queries = false;
  };
  Tensors attend(std::span<const Tensor> inputs, const CallOptions& options, const Attending& how);
  std::optional<Generator> generator_;

 private:
  Heads heads_{};
  std::shared_ptr<EinsumDense> query_, key_, value_, gate_, output_;
};

class MultiHeadAttention : public HeadedAttention {
 public:
  struct Options {
    std::int64_t num_heads = 0;
    std::int64_t key_dim = 0;
    /// Default: key_dim.
    std::optional<std::int64_t> value_dim = {};
    double dropout = 0;
    bool use_bias = true;
    /// The result is multiplied by a sigmoid of the query.
    bool use_gate = false;
    /// Default: as the query's features.
    std::optional<Ints> output_shape = {};
    /// Default: all axes but the batch and the features.
    std::optional<Ints> attention_axes = {};
    /// A query sees keys less than so many positions away.
    std::optional<std::int64_t> sliding_window = {};
    Ref<Initializer> kernel_initializer = "glorot_uniform";
    Ref<Initializer> bias_initializer = "zeros";
    Ref<Regularizer> kernel_regularizer = {};
    Ref<Regularizer> bias_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> kernel_constraint = {};
    Ref<Constraint> bias_constraint = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  MultiHeadAttention() = default;
  /// Throws InvalidArgumentError unless num_heads, key_dim and value_dim are positive.
  explicit MultiHeadAttention(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(std::span<const Shape> inputs) override;
  /// The output; with return_attention_scores also the scores (batch, heads, queries, keys).
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  Options options_;
};

/// Several query heads share a key and a value head.
class GroupedQueryAttention : public HeadedAttention {
 public:
  struct Options {
    std::int64_t head_dim = 0;
    std::int64_t num_query_heads = 0;
    std::int64_t num_key_value_heads = 0;
    /// A query sees keys less than so many positions away.
    std::optional<std::int64_t> sliding_window = {};
    double dropout = 0;
    bool use_bias = true;
    bool use_gate = false;
    Ref<Initializer> kernel_initializer = "glorot_uniform";
    Ref<Initializer> bias_initializer = "zeros";
    Ref<Regularizer> kernel_regularizer = {};
    Ref<Regularizer> bias_regularizer = {};
    Ref<Regularizer> activity_regularizer = {};
    Ref<Constraint> kernel_constraint = {};
    Ref<Constraint> bias_constraint = {};
    std::optional<std::int64_t> seed = {};
    std::string name = {};
    DTypePolicy dtype = {};
  };
  GroupedQueryAttention() = default;
  explicit GroupedQueryAttention(Options options);
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(std::span<const Shape> inputs) override;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;

 private:
  Options options_;
};

/// Dot-product attention without projections (Luong). score_mode "dot" or "concat".
class Attention : public Layer {
 public:
  bool takes_list() const override { return true; }
  struct Options {
    bool use_scale = false;
    std::string score_mode = "dot";
    double dropout = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
  };
  Attention() = default;
  explicit Attention(Options options) : Layer(options.name), options_(std::move(options)) { Attention::configured(); }
  void fields(Fields& f) override;
  void configured() override;

 protected:
  void build(std::span<const Shape> inputs) override;
  Tensors call(std::span<const Tensor> inputs, const CallOptions& options) override;
  /// (batch, queries, keys)
  virtual Tensor scores(const Tensor& query, const Tensor& key) const;

  Options options_;
  Weight scale_, concat_weight_;
  std::optional<Generator> generator_;
};

/// Scores are sums of tanh(query + key) (Bahdanau).
class AdditiveAttention : public Attention {
 public:
  struct Options {
    bool use_scale = true;
    double dropout = 0;
    std::optional<std::int64_t> seed = {};
    std::string name = {};
  };
  AdditiveAttention() : AdditiveAttention(Options()) {}
  explicit AdditiveAttention(Options options) : Attention({.use_scale = options.use_scale, .dropout = options.dropout, .seed = options.seed, .name = options.name}) {}
  void fields(Fields& f) override;

 protected:
  void build(std::span<const Shape> inputs) override;
  Tensor scores(const Tensor& query, const Tensor& key) const override;
};

}  // namespace lockstep::nn
