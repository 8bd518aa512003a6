#include <lockstep/io/model_checkpoint.h>

#include <pthread.h>

#include <cmath>
#include <filesystem>
#include <future>
#include <utility>

#include <lockstep/dist/world.h>
#include <lockstep/io/checkpoint.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/warning.h>

namespace lockstep::io {

/// Writes one generation at a time, on a thread of its own and with a communicator of its own: the training's calls go on beside it.
class ModelCheckpoint::Writer {
 public:
  Writer(std::string directory, std::int64_t keep) : directory_(std::move(directory)), keep_(keep), ranks_(dist::communicator().split(0, "checkpoint")), files_(directory_, *ranks_) {}
  ~Writer() {
    if (running_.valid()) running_.wait();
  }

  void begin(Snapshot snapshot) {
    finish();
    running_ = std::async(std::launch::async, [this, held = std::move(snapshot)]() mutable {
      pthread_setname_np(pthread_self(), "checkpoint");  // as profilers show it
      const Snapshot snapshot = std::move(held);  // let go of when it is written, not when the next save begins
      const std::string path = files_.write(snapshot);
      if (ranks_->rank() == 0) drop_old();
      return path;
    });
  }
  /// Waits for what was begun; a failure is told of here.
  void finish() {
    if (!running_.valid()) return;
    try {
      last_ = running_.get();
    } catch (const Error& error) {
      if (ranks_->broken()) throw;  // the ranks are out of step
      if (dist::is_chief()) warn("ModelCheckpoint", std::string(error.what()) + (last_.empty() ? "" : "; the last one is " + last_));
    }
  }
  const std::string& last() const { return last_; }

 private:
  void drop_old() const {
    const std::vector<std::string> all = checkpoint_generations(directory_);
    std::error_code ignored;
    for (std::size_t i = 0; i + std::size_t(keep_) < all.size(); ++i) std::filesystem::remove_all(directory_ + "/" + all[i], ignored);
  }

  std::string directory_;
  std::int64_t keep_;
  std::unique_ptr<dist::Communicator> ranks_;
  CheckpointWriter files_;
  std::future<std::string> running_;
  std::string last_;
};

ModelCheckpoint::ModelCheckpoint(ModelCheckpointOptions options) : options_(std::move(options)) {
  const auto require = [](bool holds, const std::string& what) {
    if (!holds) throw InvalidArgumentError(what, "ModelCheckpoint");
  };
  require(options_.every_steps.value_or(1) >= 1, "every_steps must be at least 1");
  require(options_.every_epochs >= 0, "every_epochs must not be negative");
  require(options_.keep >= 1, "keep must be at least 1, got " + std::to_string(options_.keep));
  require(options_.mode == "auto" || options_.mode == "min" || options_.mode == "max", "mode is auto, min or max, not '" + options_.mode + "'");
}
ModelCheckpoint::ModelCheckpoint(ModelCheckpoint&&) noexcept = default;
ModelCheckpoint::~ModelCheckpoint() = default;

void ModelCheckpoint::on_train_begin() {
  due_ = false;
  if (!writer_) writer_ = std::make_unique<Writer>(options_.directory, options_.keep);
}

void ModelCheckpoint::on_all_told() {
  if (!std::exchange(due_, false)) return;
  writer_->begin(take_snapshot(model()));
  if (!options_.asynchronous) writer_->finish();
  if (options_.verbose > 0) dist::out() << "saving step " << model().position().step << " to " << options_.directory << std::endl;
}

void ModelCheckpoint::on_train_batch_end(std::int64_t, const nn::BatchLogs&) {
  if (options_.every_steps && model().position().step % *options_.every_steps == 0) due_ = true;
}

void ModelCheckpoint::on_epoch_end(std::int64_t epoch, nn::Logs& logs) {
  if (options_.every_epochs == 0 || (epoch + 1) % options_.every_epochs != 0) return;
  if (!options_.monitor.empty()) {
    const double value = logs.at(options_.monitor);
    const bool down = options_.mode == "min" || (options_.mode == "auto" && model().metric_direction(options_.monitor) != "up");
    if (std::isnan(value) || (best_ && !(down ? value < *best_ : value > *best_))) return;
    best_ = value;
  }
  due_ = true;
}

void ModelCheckpoint::on_train_end(const nn::Logs&) { finish(); }
nn::CallbackState ModelCheckpoint::state() const {
  nn::CallbackState state;
  if (best_) state.set_number("best", *best_);
  return state;
}
void ModelCheckpoint::finish() {
  if (writer_) writer_->finish();
}
const std::string& ModelCheckpoint::last() const {
  static const std::string none;
  return writer_ ? writer_->last() : none;
}

}  // namespace lockstep::io
