#pragma once
// ProgressBar: the line that shows how far a loop is (keras.utils.Progbar), for training loops of one's own, and ProgbarLogger, which shows
// it in fit, evaluate and predict. On a terminal the line rewrites itself; elsewhere (a log file) there is one plain line at the end.

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/nn/callback.h>

namespace lockstep::nn {

/// Where progress is shown, and by which clock. Tests give their own.
struct ProgressOutput {
  /// none: std::cout. It must outlive the bar.
  std::ostream* stream = nullptr;
  /// Does the line rewrite itself? none: if the stream is std::cout or std::cerr and a terminal.
  std::optional<bool> terminal = {};
  /// Seconds since any fixed time; none: the steady clock.
  std::function<double()> clock = {};
};

struct ProgressOptions {
  /// Steps of the whole; none if only the end shows it.
  std::optional<std::int64_t> steps = {};
  /// 0 silent, 1 a line that rewrites itself on a terminal, 2 one line at the end.
  int verbose = 1;
  /// Samples of a step: with it, the line says how many samples a second there are. 0: unknown.
  std::int64_t batch_size = 0;
  /// Characters of the bar.
  int width = 20;
  /// Seconds between two rewrites, at least.
  double interval = 0.05;
  ProgressOutput output = {};
};

/// Progress over the steps of one epoch. The clock starts with its construction.
///   nn::ProgressBar bar({.steps = 100, .batch_size = 32});
///   for (std::int64_t step = 1; step <= 100; ++step) {
///     ...
///     bar.update(step, logs);
///   }
///   bar.finish(logs);
class ProgressBar {
 public:
  /// Throws InvalidArgumentError for negative numbers and a `verbose` other than 0, 1 and 2.
  explicit ProgressBar(ProgressOptions options = {});

  /// `step` steps are done. Shows the line if it is time to. Values that are not in `logs` stay as they were shown last.
  void update(std::int64_t step, const Logs& logs = {});
  /// The same; asks for the logs only if the line is shown.
  void update(std::int64_t step, const BatchLogs& logs);
  /// The last line, with the time that has passed. If it was not known how many steps there would be, they are those done.
  void finish(const Logs& logs = {});
  /// Steps done.
  std::int64_t seen() const { return seen_; }

 private:
  bool due(std::int64_t step);
  void remember(const Logs& logs);
  void show(double now, bool last);
  std::string rewriting_line(double now, bool last);
  std::string plain_line(double now) const;
  double seconds_per_step(double now) const;
  std::string speed(double now) const;
  std::string values() const;

  ProgressOptions options_;
  bool terminal_;
  double start_;
  double after_first_step_ = 0, last_step_ = 0, last_shown_ = 0;
  bool first_step_seen_ = false, shown_ = false;
  std::int64_t seen_ = 0;
  std::size_t shown_width_ = 0;
  std::vector<std::pair<std::string, double>> values_;  // in the order of their first appearance
};

/// The callback that shows progress, at params().verbose (keras.callbacks.ProgbarLogger): "Epoch 1/2" if there are several, and a line per epoch.
/// Validation inside fit has no line of its own. fit, evaluate and predict add one by themselves unless they are silent.
class ProgbarLogger : public Callback {
 public:
  explicit ProgbarLogger(ProgressOutput output = {}) : output_(std::move(output)) {}

  void on_train_begin() override;
  void on_train_end(const Logs& logs) override;
  void on_epoch_begin(std::int64_t epoch) override;
  void on_epoch_end(std::int64_t epoch, Logs& logs) override;
  void on_train_batch_end(std::int64_t batch, const BatchLogs& logs) override;
  void on_test_begin() override;
  void on_test_end(const Logs& logs) override;
  void on_test_batch_end(std::int64_t batch, const BatchLogs& logs) override;
  void on_predict_begin() override;
  void on_predict_end() override;
  void on_predict_batch_end(std::int64_t batch) override;

 private:
  void start();
  void finish(const Logs& logs);

  ProgressOutput output_;
  std::optional<ProgressBar> bar_;
  std::optional<std::int64_t> steps_;
  bool training_ = false;
};

}  // namespace lockstep::nn
