#pragma once
// ModelCheckpoint: the callback that saves while fit runs.

#include <memory>
#include <optional>
#include <string>

#include <lockstep/nn/callback.h>

namespace lockstep::io {

struct ModelCheckpointOptions {
  /// Of the generations.
  std::string directory = "run/checkpoints";
  /// After every so many steps, counted over all epochs.
  std::optional<std::int64_t> every_steps = {};
  /// After every so many epochs; 0: never.
  std::int64_t every_epochs = 1;
  /// Only epochs in which this is better than ever before ("val_loss"); empty: all.
  std::string monitor = {};
  /// "min", "max", or "auto": what the metric says of itself.
  std::string mode = "auto";
  /// So many generations stay, the last ones.
  std::int64_t keep = 3;
  /// The files are written beside the training, which goes on meanwhile; at most one save is under way.
  bool asynchronous = true;
  int verbose = 0;
};

/// Saves checkpoints while fit runs (keras.callbacks.ModelCheckpoint, BackupAndRestore). A save that fails, on whatever rank, is told of and leaves the
/// generations that are there; the training goes on. All ranks have one.
class ModelCheckpoint : public nn::Callback {
 public:
  /// Throws InvalidArgumentError for a period or a number below 1 and an unknown mode.
  explicit ModelCheckpoint(ModelCheckpointOptions options = {});
  ModelCheckpoint(ModelCheckpoint&&) noexcept;
  ~ModelCheckpoint() override;

  void on_train_begin() override;
  void on_train_batch_end(std::int64_t batch, const nn::BatchLogs& logs) override;
  void on_epoch_end(std::int64_t epoch, nn::Logs& logs) override;
  void on_all_told() override;
  void on_train_end(const nn::Logs& logs) override;
  /// The best value so far, if it saves the best only.
  nn::CallbackState state() const override;
  void set_state(const nn::CallbackState& state) override { best_ = state.number("best"); }

  /// Waits for the save under way.
  void finish();
  /// The last generation that was saved; empty: none.
  const std::string& last() const;

 private:
  class Writer;
  ModelCheckpointOptions options_;
  std::optional<double> best_;
  bool due_ = false;  // a save, when all callbacks have been told
  std::unique_ptr<Writer> writer_;
};

}  // namespace lockstep::io
