#pragma once
// Layer: weights and a computation. A layer is built when it is first called (or by build_for), with the shapes it sees then; from
// there on it is a function of its inputs and of its Variables only, so that it works eagerly and inside a traced function alike.
//   class MyDense : public nn::Layer {
//     void build(const Shape& input) override { kernel = add_weight("kernel", {input.dim(-1), units}, {.initializer = "glorot_normal"}); }
//     Tensor call(const Tensor& x) override { return matmul(x, kernel); }
//   };

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <lockstep/nn/activations.h>
#include <lockstep/nn/constraints.h>
#include <lockstep/nn/initializers.h>
#include <lockstep/nn/regularizers.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/random.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::nn {

/// In training, not in training, or (not given) as the layer around.
class Training {
 public:
  Training() = default;
  template <std::same_as<bool> B>
  Training(B value) : value_(value ? 1 : 0) {}
  bool given() const { return value_ >= 0; }
  /// In training? What is not given counts as no.
  explicit operator bool() const { return value_ > 0; }

 private:
  signed char value_ = -1;
};

/// What a call takes besides its inputs. Inside call() `training` is always given.
struct CallOptions {
  Training training = {};
  /// Masks of the inputs, in their order (bool; true: counts); undefined or left out where there is none.
  Tensors mask = {};
  /// Attention layers: which keys a query may see (batch, queries, keys), and only those up to its own position.
  Tensor attention_mask = {};
  bool use_causal_mask = false;
  bool return_attention_scores = false;

  /// The mask of input i; undefined if there is none.
  Tensor mask_of(std::size_t i) const { return i < mask.size() ? mask[i] : Tensor(); }
};

/// Which dtype a layer computes in and which its variables have: "float32", "float64", "mixed_bfloat16", ...
class DTypePolicy {
 public:
  /// Throws InvalidArgumentError for an unknown name.
  DTypePolicy(std::string name = "float32");
  DTypePolicy(const char* name) : DTypePolicy(std::string(name)) {}
  DTypePolicy(DType dtype) : DTypePolicy(std::string(lockstep::name(dtype))) {}
  const std::string& name() const { return name_; }
  DType compute_dtype() const { return compute_; }
  DType variable_dtype() const { return variable_; }

 private:
  std::string name_;
  DType compute_ = float32;
  DType variable_ = float32;
};

/// Arguments of add_weight.
struct WeightOptions {
  /// Default: glorot_uniform for floats, zeros else.
  Ref<Initializer> initializer = {};
  Ref<Regularizer> regularizer = {};
  Ref<Constraint> constraint = {};
  bool trainable = true;
  /// Default: that of the layer's policy.
  std::optional<DType> dtype = {};
};

/// A weight of a layer: a variable with its regularizer and constraint. A handle; it converts to a Tensor, inside a call in the
/// dtype that the layer computes in.
class Weight {
 public:
  Weight() = default;
  Weight(std::string name, Variable variable, Ref<Regularizer> regularizer, Ref<Constraint> constraint);

  bool defined() const { return body_ != nullptr; }
  /// The last part of the variable's path.
  const std::string& name() const { return body_->name; }
  const Variable& variable() const { return body_->variable; }
  operator const Variable&() const { return body_->variable; }
  Tensor value() const;
  operator Tensor() const { return value(); }
  const Shape& shape() const { return body_->variable.shape(); }
  bool trainable() const { return body_->variable.trainable(); }
  const Ref<Regularizer>& regularizer() const { return body_->regularizer; }
  const Ref<Constraint>& constraint() const { return body_->constraint; }
  void assign(const Tensor& value) const { body_->variable.assign(value); }
  friend bool operator==(const Weight& a, const Weight& b) { return a.body_ == b.body_; }

 private:
  struct Body {
    std::string name;
    Variable variable;
    Ref<Regularizer> regularizer;
    Ref<Constraint> constraint;
  };
  std::shared_ptr<const Body> body_;
};

class Layer;
class Metric;

/// While it lives, ops of this thread compute at once and unseen, even inside a trace or under a tape: variables are made in it.
class InitScope {
 public:
  InitScope();
  ~InitScope();
  InitScope(const InitScope&) = delete;
  InitScope& operator=(const InitScope&) = delete;

 private:
  ThreadListeners saved_;
};

/// While it lives, it is told of every call of a layer on this thread, after the call, with the outputs.
class CallWatch {
 public:
  using Watcher = std::function<void(const Layer&, std::span<const Tensor>)>;
  explicit CallWatch(Watcher watcher);
  ~CallWatch();
  CallWatch(const CallWatch&) = delete;
  CallWatch& operator=(const CallWatch&) = delete;

 private:
  Watcher watcher_;
  const Watcher* outer_;
};

/// Base of all layers (keras.layers.Layer). Movable until it is shared, never copied: two layers have two sets of weights.
class Layer : public Component {
 public:
  static constexpr const char* kModule = "keras.layers";
  using Function = NoFunction;
  static void register_builtins();

  Layer() : Layer(std::string()) {}
  explicit Layer(std::string name, DTypePolicy policy = {}) : name_(std::move(name)), policy_(std::move(policy)) { register_builtins(); }
  Layer(Layer&&) = default;
  Layer& operator=(Layer&&) = default;
  void fields(Fields& f) override;

  /// Computes. Builds the layer first if that was not done. Throws InvalidArgumentError if the layer gives several outputs.
  Tensor operator()(const Tensor& x, const CallOptions& options = {});
  /// For several inputs or outputs.
  Tensors operator()(std::span<const Tensor> inputs, const CallOptions& options = {});
  Tensors operator()(std::initializer_list<Tensor> inputs, const CallOptions& options = {}) {
    return (*this)(std::span<const Tensor>(inputs.begin(), inputs.size()), options);
  }

  /// Makes the weights for inputs of these shapes, unless that was done.
  virtual void build_for(std::span<const Shape> shapes);
  void build_for(const Shape& shape) { build_for(std::span<const Shape>(&shape, 1)); }
  bool built() const { return built_; }
  /// The inputs' shapes that it was built for.
  const std::vector<Shape>& build_shapes() const { return build_shapes_; }

  /// The outputs' shapes for inputs of these shapes; by default found by tracing call(). Builds the layer.
  virtual std::vector<Shape> compute_output_shape(std::span<const Shape> shapes);
  Shape compute_output_shape(const Shape& shape) { return compute_output_shape(std::span<const Shape>(&shape, 1)).front(); }
  /// The mask of the first output, undefined if there is none: by default that of the first input.
  virtual Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options);

  /// The given name, or the class's in snake_case.
  std::string name() const;
  void set_name(std::string name) { name_ = std::move(name); }
  bool has_name() const { return !name_.empty(); }
  /// Where the layer stands in the state tree: its parent's path and its name there; known once built.
  const std::string& path() const { return path_; }
  /// Moves the layer, its variables and those of its sublayers to another place in the state tree; its last part is the name there.
  void set_path(const std::string& path);
  /// In Keras's configurations, does it take its inputs as one list (Add, Concatenate), not as single arguments (attention)?
  virtual bool takes_list() const { return false; }
  bool trainable() const { return trainable_; }
  /// Also of all sublayers.
  void set_trainable(bool trainable);
  const DTypePolicy& dtype_policy() const { return policy_; }
  void set_dtype_policy(DTypePolicy policy) { policy_ = std::move(policy); }

  /// Own trainable weights, own others, then those of the sublayers; each once.
  std::vector<Weight> weights() const;
  /// Those that the layer itself made, or shares with a sublayer.
  std::vector<Weight> own_weights() const;
  std::vector<Weight> trainable_weights() const;
  std::vector<Weight> non_trainable_weights() const;
  /// The variables of trainable_weights(), for a tape.
  std::vector<Variable> trainable_variables() const;
  /// All state: weights and the states of random generators.
  std::vector<Variable> variables() const;
  std::vector<Tensor> get_weights() const;
  /// In the order of weights(). Throws InvalidArgumentError for another number or shape; other float dtypes are cast.
  void set_weights(std::span<const Tensor> values);
  void set_weights(std::initializer_list<Tensor> values) { set_weights(std::span<const Tensor>(values.begin(), values.size())); }
  std::int64_t count_params() const;

  /// What add_loss gave during the last call, of this layer and its sublayers, then the penalties of the trainable weights.
  std::vector<Tensor> losses() const;
  /// Forgets what add_loss gave.
  void clear_losses();
  /// What add_loss gave, without the penalties, and forgets it: for who runs a layer in a graph of its own (a loop's body), where these must leave as results.
  std::vector<Tensor> take_losses();
  /// What track_metric and add_metric made, here and in the sublayers; a model shows them and resets them at the start of an epoch.
  std::vector<std::shared_ptr<Metric>> tracked_metrics() const;

  /// A sublayer and its name here.
  struct Child {
    std::string name;
    std::shared_ptr<Layer> layer;
  };
  const std::vector<Child>& sublayers() const { return children_; }

 protected:
  /// Makes the weights; `input` is the shape of the first input. Override one of the two, or none.
  virtual void build(const Shape& input) { static_cast<void>(input); }
  virtual void build(std::span<const Shape> inputs) {
    if (!inputs.empty()) build(inputs[0]);
  }
  /// The computation. Override one of the three.
  virtual Tensor call(const Tensor& x);
  virtual Tensor call(const Tensor& x, const CallOptions& options);
  virtual Tensors call(std::span<const Tensor> inputs, const CallOptions& options);

  /// A new weight; only while the layer is being built. Throws AlreadyExistsError for a second one of a name.
  Weight add_weight(const std::string& name, const Shape& shape, const WeightOptions& options = {});
  /// A sublayer's weight becomes one of this layer, too: it stands in the place of its own.
  void share_weight(const Weight& weight) { weights_.push_back(weight); }
  /// A source of keys for random numbers; without a seed it starts from the global generator. A part of variables(), not of weights().
  Generator add_generator(const std::string& name, std::optional<std::int64_t> seed);
  /// State that is no weight: neither counted nor set by set_weights.
  Variable add_state(const std::string& name, const Tensor& initial);
  /// A scalar that joins the model's loss in this call.
  void add_loss(const Tensor& loss) { call_losses_.push_back(loss); }
  /// In call(): the mean of `value` over the calls is a metric of the model, called `name`.
  void add_metric(const Tensor& value, const std::string& name);
  /// A metric that the layer updates itself, in call().
  template <std::derived_from<Metric> T>
  std::shared_ptr<T> track_metric(std::shared_ptr<T> metric) {
    metrics_.push_back(metric);
    return metric;
  }
  template <std::derived_from<Metric> T>
  std::shared_ptr<T> track_metric(T metric) {
    return track_metric(std::make_shared<T>(std::move(metric)));
  }
  /// Added to the loss for each output, over the batch size.
  void set_activity_regularizer(Ref<Regularizer> regularizer) { activity_regularizer_ = std::move(regularizer); }

  /// Makes `layer` a part of this one, under a name of its own: its weights are this layer's weights. Returns it.
  /// Throws AlreadyExistsError for a second one of a name.
  template <std::derived_from<Layer> T>
  std::shared_ptr<T> track(const std::string& name, std::shared_ptr<T> layer) {
    add_child(name, layer);
    return layer;
  }
  template <std::derived_from<Layer> T>
  std::shared_ptr<T> track(const std::string& name, T layer) {
    return track(name, std::make_shared<T>(std::move(layer)));
  }

  /// Takes a sublayer away again.
  void untrack(const std::string& name);

  DType compute_dtype() const { return policy_.compute_dtype(); }
  /// While the layer is being built by a call: the dtypes of its inputs. Empty in build_for().
  const SmallVector<DType, 4>& build_dtypes() const { return build_dtypes_; }
  /// An InvalidArgumentError that names the layer.
  [[noreturn]] void refuse(const std::string& message) const;
  void require(bool condition, const std::string& message) const {
    if (!condition) refuse(message);
  }

  /// False for layers whose inputs keep their float dtype.
  bool autocast_ = true;

 private:
  /// The one way in: eager calls, sublayers' calls and traces all come through here.
  Tensors enter(std::span<const Tensor> inputs, const CallOptions& options);
  void build_now(std::span<const Shape> shapes);
  void add_child(const std::string& name, std::shared_ptr<Layer> layer);
  void collect_own(std::vector<Weight>& into, bool trainable_only) const;
  void collect(std::vector<Weight>& into, bool trainable_only) const;
  void collect_states(std::vector<Variable>& into) const;
  void collect_losses(std::vector<Tensor>& into) const;
  void collect_metrics(std::vector<std::shared_ptr<Metric>>& into) const;

  std::string name_;
  std::string segment_;  // name in the parent
  std::string path_;
  bool trainable_ = true;
  bool built_ = false;
  bool building_ = false;
  DTypePolicy policy_;
  Ref<Regularizer> activity_regularizer_;
  std::vector<Shape> build_shapes_;
  SmallVector<DType, 4> build_dtypes_;
  std::vector<Weight> weights_;
  std::vector<Variable> states_;
  std::vector<Child> children_;
  std::vector<Tensor> call_losses_;
  std::vector<std::shared_ptr<Metric>> metrics_;
};

}  // namespace lockstep::nn
