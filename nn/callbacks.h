#pragma once
// Callbacks that steer a training (keras.callbacks). To look at one after fit, pass a pointer:
//   auto stopping = std::make_shared<nn::EarlyStopping>(nn::EarlyStopping::Options{.patience = 10, .restore_best_weights = true});
//   model.fit(x, y, {.epochs = 100, .callbacks = {stopping}, .validation_split = 0.1});
//   std::cout << *stopping->best() << " in epoch " << stopping->best_epoch();

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/nn/callback.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// Base of callbacks that watch one value of the epochs' logs and want it to get better.
class MonitorCallback : public Callback {
 public:
  const std::string& monitor() const { return monitor_; }
  /// The best value of the run so far; none before the first.
  std::optional<double> best() const { return best_; }

  /// The best value, once there is one.
  CallbackState state() const override;
  void set_state(const CallbackState& state) override;

 protected:
  /// `mode`: "min" if less is better, "max" if more is, "auto": as Model::metric_direction says. A change of at most `min_delta` is none.
  /// `who` is the class, for messages. Throws InvalidArgumentError for another mode or an infinite min_delta.
  MonitorCallback(std::string who, std::string monitor, std::string mode, double min_delta);

  /// To be called when a training begins.
  void forget();
  /// The monitored value. If the logs do not have it, warns (once in a run) and returns none.
  /// Throws InvalidArgumentError with mode "auto" if the model cannot tell which direction is better.
  std::optional<double> monitored(const Logs& logs);
  /// Is `value` better than `reference` (none: always)?
  bool improves(double value, std::optional<double> reference) const;
  void set_best(double value) { best_ = value; }
  const std::string& who() const { return who_; }

 private:
  void find_direction(const Logs& logs);

  std::string who_, monitor_, mode_;
  double min_delta_;
  std::optional<double> best_;
  int direction_ = 0;  // 1: more is better, -1: less is, 0: to be found out
  bool warned_ = false;
};

/// Ends the training when a value has not got better for `patience` epochs.
class EarlyStopping : public MonitorCallback {
 public:
  struct Options {
    std::string monitor = "val_loss";
    double min_delta = 0;
    std::int64_t patience = 0;
    /// 1 says on stdout when it acts.
    int verbose = 0;
    std::string mode = "auto";
    /// Epochs count as no better until this is beaten.
    std::optional<double> baseline = {};
    /// At the end, the weights of the best epoch.
    bool restore_best_weights = false;
    /// No watching before.
    std::int64_t start_from_epoch = 0;
  };
  EarlyStopping();
  /// Throws InvalidArgumentError for a negative patience or start_from_epoch, and for an unknown mode.
  explicit EarlyStopping(Options options);

  /// The epoch after which it ended the training; none: it did not.
  std::optional<std::int64_t> stopped_epoch() const { return stopped_epoch_; }
  std::int64_t best_epoch() const { return best_epoch_; }
  /// Epochs since the value last got better.
  std::int64_t wait() const { return wait_; }

  void on_train_begin() override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  void on_train_end(const Logs& logs) override;
  CallbackState state() const override;
  /// A training that it had ended stays ended, unless the patience is greater now.
  void set_state(const CallbackState& state) override;

 private:
  Options options_;
  std::optional<std::int64_t> stopped_epoch_;
  std::int64_t best_epoch_ = 0, wait_ = 0;
  std::optional<std::vector<Tensor>> best_weights_;
};

/// Multiplies the learning rate by `factor` when a value has not got better for `patience` epochs. Logs "learning_rate"
/// ("learning_rate_NAME" for each optimizer of a MultiOptimizer).
class ReduceLROnPlateau : public MonitorCallback {
 public:
  struct Options {
    std::string monitor = "val_loss";
    double factor = 0.1;
    std::int64_t patience = 10;
    /// 1 says on stdout when it acts.
    int verbose = 0;
    std::string mode = "auto";
    double min_delta = 1e-4;
    /// Epochs after a reduction in which nothing is counted.
    std::int64_t cooldown = 0;
    double min_lr = 0;
  };
  ReduceLROnPlateau();
  /// Throws InvalidArgumentError for a factor outside [0, 1), negative epochs or rates, and for an unknown mode.
  explicit ReduceLROnPlateau(Options options);

  /// How often it reduced the rate in this run.
  std::int64_t reductions() const { return reductions_; }

  void on_train_begin() override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  CallbackState state() const override;
  void set_state(const CallbackState& state) override;

 private:
  bool reduce(std::int64_t epoch);

  Options options_;
  std::int64_t wait_ = 0, cooldown_left_ = 0, reductions_ = 0;
};

/// Sets the learning rate at the start of each epoch. Logs it as ReduceLROnPlateau does.
class LearningRateScheduler : public Callback {
 public:
  /// From the epoch and the present rate to the new one. `verbose` 1 says on stdout what it set.
  explicit LearningRateScheduler(std::function<double(std::int64_t epoch, double learning_rate)> schedule, int verbose = 0);

  void on_train_begin() override { set_for_.reset(); }
  void on_epoch_begin(std::int64_t epoch) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  CallbackState state() const override;
  /// The rate of an epoch that goes on is set already: a schedule may go by the rate before.
  void set_state(const CallbackState& state) override;

 private:
  std::optional<std::int64_t> set_for_;  // the last epoch whose rate it set
  std::function<double(std::int64_t, double)> schedule_;
  int verbose_;
};

/// Ends the training when the loss of a batch is NaN or infinite, with a warning that names epoch, batch and the first weight that is not finite.
class TerminateOnNaN : public Callback {
 public:
  struct Options {
    /// Throw InvalidArgumentError instead: what other callbacks do at the end of a training is left out.
    bool raise_error = false;
  };
  TerminateOnNaN() = default;
  explicit TerminateOnNaN(Options options) : options_(options) {}

  /// The epoch and the batch, both from 0, whose loss was not finite; none: all were.
  std::optional<std::pair<std::int64_t, std::int64_t>> stopped_at() const { return stopped_at_; }

  void on_train_begin() override { stopped_at_.reset(); }
  void on_epoch_begin(std::int64_t epoch) override { epoch_ = epoch; }
  void on_train_batch_end(std::int64_t batch, const BatchLogs& logs) override;

 private:
  Options options_;
  std::int64_t epoch_ = 0;
  std::optional<std::pair<std::int64_t, std::int64_t>> stopped_at_;
};

/// Evaluates with the averages of the weights that the optimizer keeps (use_ema): they are the model's weights while evaluate, predict and
/// validation run.
class SwapEMAWeights : public Callback {
 public:
  struct Options {
    /// From the end of each epoch to the start of the next one as well, for callbacks that save the weights. Belongs behind callbacks that end the training.
    bool swap_on_epoch = false;
  };
  SwapEMAWeights() = default;
  explicit SwapEMAWeights(Options options) : options_(options) {}

  /// All throw FailedPreconditionError if the optimizer keeps no averages.
  void on_epoch_begin(std::int64_t epoch) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  void on_test_begin() override { swap(true); }
  void on_test_end(const Logs&) override { swap(false); }
  void on_predict_begin() override { swap(true); }
  void on_predict_end() override { swap(false); }
  /// Which weights are in the model.
  CallbackState state() const override;
  void set_state(const CallbackState& state) override;

 private:
  void swap(bool averages);

  Options options_;
  bool averages_in_model_ = false;
};

/// Functions in place of a class.
class LambdaCallback : public Callback {
 public:
  struct Options {
    std::function<void(std::int64_t epoch)> on_epoch_begin = {};
    std::function<void(std::int64_t epoch, Logs& logs)> on_epoch_end = {};
    std::function<void()> on_train_begin = {};
    std::function<void(const Logs& logs)> on_train_end = {};
    std::function<void(std::int64_t batch)> on_train_batch_begin = {};
    std::function<void(std::int64_t batch, const BatchLogs& logs)> on_train_batch_end = {};
    std::function<void()> on_test_begin = {};
    std::function<void(const Logs& logs)> on_test_end = {};
    std::function<void(std::int64_t batch)> on_test_batch_begin = {};
    std::function<void(std::int64_t batch, const BatchLogs& logs)> on_test_batch_end = {};
    std::function<void()> on_predict_begin = {};
    std::function<void()> on_predict_end = {};
    std::function<void(std::int64_t batch)> on_predict_batch_begin = {};
    std::function<void(std::int64_t batch)> on_predict_batch_end = {};
  };
  explicit LambdaCallback(Options functions) : f_(std::move(functions)) {}

  void on_epoch_begin(std::int64_t epoch) override { call(f_.on_epoch_begin, epoch); }
  void on_epoch_end(std::int64_t epoch, Logs& logs) override { call(f_.on_epoch_end, epoch, logs); }
  void on_train_begin() override { call(f_.on_train_begin); }
  void on_train_end(const Logs& logs) override { call(f_.on_train_end, logs); }
  void on_train_batch_begin(std::int64_t batch) override { call(f_.on_train_batch_begin, batch); }
  void on_train_batch_end(std::int64_t batch, const BatchLogs& logs) override { call(f_.on_train_batch_end, batch, logs); }
  void on_test_begin() override { call(f_.on_test_begin); }
  void on_test_end(const Logs& logs) override { call(f_.on_test_end, logs); }
  void on_test_batch_begin(std::int64_t batch) override { call(f_.on_test_batch_begin, batch); }
  void on_test_batch_end(std::int64_t batch, const BatchLogs& logs) override { call(f_.on_test_batch_end, batch, logs); }
  void on_predict_begin() override { call(f_.on_predict_begin); }
  void on_predict_end() override { call(f_.on_predict_end); }
  void on_predict_batch_begin(std::int64_t batch) override { call(f_.on_predict_batch_begin, batch); }
  void on_predict_batch_end(std::int64_t batch) override { call(f_.on_predict_batch_end, batch); }

 private:
  template <class F, class... Args>
  static void call(const F& function, Args&&... args) {
    if (function) function(args...);
  }

  Options f_;
};

}  // namespace lockstep::nn
