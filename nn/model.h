#pragma once
// Model: a layer that is trained. It has several outputs if need be, a loss, an optimizer and metrics (compile), and the loops fit, evaluate
// and predict. Sequential and Functional are models; a model of one's own overrides call(), as a layer does, and keeps its layers by track().
//   class ResidualRegressor : public nn::Model {
//     std::shared_ptr<nn::Dense> hidden = track("hidden", nn::Dense(30, "relu")), out = track("out", nn::Dense(1));
//     Tensor call(const Tensor& x) override { return (*out)((*hidden)(x)); }
//   };
//   ResidualRegressor model;
//   model.compile({.optimizer = optim::Nadam(), .loss = "mse"});
//   model.fit(x, y, {.epochs = 5});

#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/nn/compile.h>
#include <lockstep/nn/fit.h>
#include <lockstep/nn/layer.h>
#include <lockstep/nn/symbol.h>

namespace lockstep::nn {

class Trainer;

/// One batch, taken apart.
struct Batch {
  Tensors x, y;
  /// Empty, one for all outputs, or one per output (undefined where an output has none).
  Tensors sample_weight;
};

/// Base of all models (keras.Model).
class Model : public Layer {
 public:
  explicit Model(std::string name = {}, DTypePolicy policy = {});
  ~Model() override;
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // ---- training

  /// Sets the optimizer, losses and metrics; weights stay. Metrics start anew.
  void compile(CompileOptions options);
  bool compiled() const;
  /// Throws FailedPreconditionError before compile().
  optim::Optimizer& optimizer() const;
  const CompileOptions& compile_options() const;

  /// Trains on arrays. Throws InvalidArgumentError for arrays of unequal length, shapes that the loss refuses, options that exclude each other.
  History fit(const Arrays& x, const Arrays& y, const FitOptions& options = {});
  /// Trains on a source of batches (x..., y..., or x..., y..., weights...).
  History fit(BatchSource& data, const FitOptions& options = {});
  /// The loss and the metrics over all data, not in training.
  Logs evaluate(const Arrays& x, const Arrays& y, const EvaluateOptions& options = {});
  Logs evaluate(BatchSource& data, const EvaluateOptions& options = {});
  /// The outputs for all rows, batch by batch. Throws InvalidArgumentError if the model has several: use predict_all.
  Tensor predict(const Arrays& x, const EvaluateOptions& options = {});
  Tensor predict(BatchSource& data, const EvaluateOptions& options = {});
  Tensors predict_all(const Arrays& x, const EvaluateOptions& options = {});
  Tensors predict_all(BatchSource& data, const EvaluateOptions& options = {});

  /// One step on one batch; what the metrics are since they were last reset.
  Logs train_on_batch(const Arrays& x, const Arrays& y, const Arrays& sample_weight = {}, const std::map<std::int64_t, double>& class_weight = {});
  Logs test_on_batch(const Arrays& x, const Arrays& y, const Arrays& sample_weight = {});
  Tensors predict_on_batch(const Arrays& x);
  void reset_metrics();

  /// All variables that the training's course depends on: weights and states of layers, the optimizer's, the metrics', the global generator. Those of the
  /// optimizer and the metrics exist from the first batch on. Throws AlreadyExistsError for a path that is there twice.
  std::vector<StateEntry> training_state();
  /// What the callbacks of the fit under way remember, at "callbacks/NAME/...", where NAME is the class's, numbered if there are several of it ("early_stopping",
  /// "early_stopping_1"). Empty while there is none.
  std::vector<StateEntry> callback_state() const;
  /// Where the present or last fit stands.
  const FitPosition& position() const { return position_; }
  /// Sums what parts of this process and all ranks have counted, and leaves it on rank 0, so that the metrics' states are those of the job. All ranks call it.
  void gather_metric_states();

  /// fit ends after the present batch.
  void stop_training() { stop_training_ = true; }
  bool stopping() const { return stop_training_; }

  /// The metrics that the model shows: those of the losses first, then those of compile(), then those of its layers.
  std::vector<std::shared_ptr<Metric>> metrics() const;
  /// "up" if more of the metric called `name` (a "val_" in front is left out) is better, "down" if less is, "" if nobody knows.
  std::string metric_direction(const std::string& name) const;

  // ---- structure

  /// Names of inputs and outputs, as dictionaries of arrays, losses and metrics use them. A subclass's: "input", "output" (numbered if several).
  virtual std::vector<std::string> input_names() const;
  virtual std::vector<std::string> output_names() const;
  /// The layers of the model in their order.
  virtual std::vector<std::shared_ptr<Layer>> layers() const;
  /// Throws NotFoundError that suggests the nearest name.
  std::shared_ptr<Layer> layer(const std::string& name) const;

  /// Dtypes and shapes (-1: free) of the inputs, as far as the model declares them; empty if it takes what comes.
  virtual std::vector<autodiff::InputSpec> input_specs() const { return {}; }
  /// For the table of layers: the output shape "(None, 30)" of one of layers(), "?" if unknown; where its inputs come from ("dense[0][0]").
  virtual std::string output_shape_of(const Layer& layer) const;
  virtual std::vector<std::string> connections_of(const Layer& layer) const;
  virtual bool has_connections() const { return false; }

  /// A table of the layers, their output shapes and parameters, as Keras prints it; `width` in columns.
  std::string summary(int width = 80, bool show_trainable = false) const;

  // ---- for models of one's own

  /// The loss of a batch, with regularization and add_loss. Override for another.
  virtual Tensor compute_loss(const Batch& batch, std::span<const Tensor> y_pred);
  /// One training step; becomes a part of a traced function. Returns the loss. Override for loops of one's own (several optimizers, ...).
  virtual Tensor train_step(const Batch& batch);
  virtual Tensor test_step(const Batch& batch);

  /// Mask of the first output of the last call.
  Tensor compute_mask(std::span<const Tensor> inputs, const CallOptions& options) override;
  /// Makes the weights: calls the model on symbols of these shapes.
  void build_for(std::span<const Shape> shapes) override;
  using Layer::build_for;

 protected:
  /// Calls the model's metrics: to be used by a train_step of one's own, after the update.
  void update_metrics(const Batch& batch, std::span<const Tensor> y_pred, const Tensor& loss);
  /// The masks of the outputs, for models that pass masks on.
  void set_output_masks(Tensors masks) { output_masks_ = std::move(masks); }
  const Tensors& output_masks() const { return output_masks_; }
  /// `mask`, if its axes are the first of `output`'s; else undefined: a layer that changes these axes ends the mask.
  static Tensor fitting_mask(const Tensor& mask, const Tensor& output);
  /// Names the unnamed among `layers` after their classes, numbered in order. Throws AlreadyExistsError for two layers of one name.
  void name_layers(std::span<const std::shared_ptr<Layer>> layers) const;

 private:
  friend class Trainer;
  friend class Loops;
  Trainer& trainer() const;
  Trainer& predictor();
  Tensor only_output(Tensors outputs) const;

  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Trainer> predictor_;  // of a model that was never compiled
  Tensors output_masks_;
  bool stop_training_ = false;
  FitPosition position_;
  std::vector<std::pair<std::string, CallbackRef>> callbacks_;  // of the fit under way, by name
};

}  // namespace lockstep::nn
