#pragma once
// Callback: what fit, evaluate and predict tell while they run, and where a program steps in (keras.callbacks.Callback). The callbacks
// themselves are in callbacks.h.

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lockstep/nn/training_state.h>

namespace lockstep::nn {

class Model;

/// Losses and metrics by name, sorted by it.
class Logs {
 public:
  std::optional<double> find(std::string_view name) const;
  /// Throws NotFoundError that suggests the nearest name.
  double at(std::string_view name) const;
  void set(std::string_view name, double value);
  bool empty() const { return entries_.empty(); }
  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }

 private:
  std::vector<std::pair<std::string, double>> entries_;
};

/// The means since the epoch's start, computed when somebody asks, and this batch's own loss, which a model on a GPU gives when somebody asks: whoever
/// does waits for the step, so that who wants to know only now and then should ask only then. Where several ranks train, the means are of this
/// rank's rows, so that asking concerns nobody else; at the end of an epoch callbacks are told those of all ranks.
class BatchLogs {
 public:
  explicit BatchLogs(double loss, std::function<Logs()> compute, std::function<Logs()> compute_reduced = {})
      : loss_(loss), compute_(std::move(compute)), compute_reduced_(std::move(compute_reduced)) {}
  /// `read` gives the loss when it is asked for.
  explicit BatchLogs(std::function<double()> read, std::function<Logs()> compute, std::function<Logs()> compute_reduced = {})
      : read_(std::move(read)), compute_(std::move(compute)), compute_reduced_(std::move(compute_reduced)) {}
  /// Of this batch alone, all ranks' rows (0 in predict).
  double loss() const {
    if (!loss_) loss_ = read_();
    return *loss_;
  }
  const Logs& get() const {
    if (!logs_) logs_ = compute_();
    return *logs_;
  }
  /// Those of all ranks together. All ranks must ask in the same step.
  Logs reduced() const { return compute_reduced_ ? compute_reduced_() : get(); }

 private:
  mutable std::optional<double> loss_;
  std::function<double()> read_;
  std::function<Logs()> compute_, compute_reduced_;
  mutable std::optional<Logs> logs_;
};

/// What a run was started with. `verbose`: 0 silent, 1 a line that rewrites itself, 2 one line per epoch.
struct RunParams {
  std::int64_t epochs = 1;
  /// Steps of an epoch; none if only reading the data shows it.
  std::optional<std::int64_t> steps = {};
  /// Rows of a full batch, for throughput; 0 if unknown.
  std::int64_t batch_size = 0;
  int verbose = 1;
  /// The epoch in which a resumed fit goes on; none: it began from the start.
  std::optional<std::int64_t> resumed_in = {};
};

/// Base of all callbacks. Batches and epochs count from 0. evaluate inside fit (validation) calls the test hooks.
class Callback {
 public:
  virtual ~Callback() = default;

  virtual void on_train_begin() {}
  virtual void on_train_end(const Logs& logs) { static_cast<void>(logs); }
  virtual void on_epoch_begin(std::int64_t epoch) { static_cast<void>(epoch); }
  /// What is set in `logs` is seen by the callbacks after this one (LearningRateScheduler adds the learning rate).
  virtual void on_epoch_end(std::int64_t epoch, Logs& logs) { static_cast<void>(epoch), static_cast<void>(logs); }
  virtual void on_train_batch_begin(std::int64_t batch) { static_cast<void>(batch); }
  virtual void on_train_batch_end(std::int64_t batch, const BatchLogs& logs) { static_cast<void>(batch), static_cast<void>(logs); }
  /// After all callbacks were told of the end of a training batch, and after all were told of the end of an epoch: for those that save what the others remember.
  virtual void on_all_told() {}
  virtual void on_test_begin() {}
  virtual void on_test_end(const Logs& logs) { static_cast<void>(logs); }
  virtual void on_test_batch_begin(std::int64_t batch) { static_cast<void>(batch); }
  virtual void on_test_batch_end(std::int64_t batch, const BatchLogs& logs) { static_cast<void>(batch), static_cast<void>(logs); }
  virtual void on_predict_begin() {}
  virtual void on_predict_end() {}
  virtual void on_predict_batch_begin(std::int64_t batch) { static_cast<void>(batch); }
  virtual void on_predict_batch_end(std::int64_t batch) { static_cast<void>(batch); }

  /// What it must know to go on in another process as if it had never been away, the same on all ranks: checkpoints keep it. Empty: it remembers nothing.
  virtual CallbackState state() const { return {}; }
  /// Takes up what state() gave there. A resumed fit calls it after on_train_begin; in the middle of an epoch, on_epoch_begin is then called once more.
  virtual void set_state(const CallbackState& state) { static_cast<void>(state); }

  /// Called before the first hook of a run.
  void attach(Model& model, const RunParams& params) { model_ = &model, params_ = params; }
  /// The model that runs. Throws FailedPreconditionError outside of a run.
  Model& model() const;
  const RunParams& params() const { return params_; }

 private:
  Model* model_ = nullptr;
  RunParams params_;
};

/// A callback as an argument: an object, or a pointer to one that the caller keeps to look at later.
class CallbackRef {
 public:
  template <std::derived_from<Callback> T>
  CallbackRef(T callback) : callback_(std::make_shared<T>(std::move(callback))) {}
  template <std::derived_from<Callback> T>
  CallbackRef(std::shared_ptr<T> callback) : callback_(std::move(callback)) {}
  Callback* operator->() const { return callback_.get(); }
  Callback& operator*() const { return *callback_; }

 private:
  std::shared_ptr<Callback> callback_;
};

}  // namespace lockstep::nn
