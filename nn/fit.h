#pragma once
// Arguments and results of fit, evaluate and predict.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <lockstep/nn/batch_source.h>
#include <lockstep/nn/callback.h>
#include <lockstep/nn/per_output.h>
#include <lockstep/nn/training_state.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// Arrays for the inputs or the outputs of a model: one tensor, a list, or by name. Axis 0 is the samples'.
using Arrays = PerOutput<Tensor>;

/// What `validation_data` is: arrays, or a source of batches (which the caller keeps alive).
struct ValidationData {
  ValidationData() = default;
  ValidationData(Arrays x, Arrays y, Arrays sample_weight = {}) : x(std::move(x)), y(std::move(y)), sample_weight(std::move(sample_weight)) {}
  ValidationData(BatchSource& source) : source(&source) {}
  bool given() const { return source || !x.empty(); }

  Arrays x, y, sample_weight;
  BatchSource* source = nullptr;
};

/// Arguments of Model::fit (Keras's, with its defaults).
struct FitOptions {
  /// Of arrays; sources bring their own.
  std::int64_t batch_size = 32;
  /// The number of the last epoch, not how many there are, if initial_epoch is given.
  std::int64_t epochs = 1;
  /// 0 silent, 1 a progress line that rewrites itself on a terminal, 2 one line per epoch.
  int verbose = 1;
  std::vector<CallbackRef> callbacks = {};
  /// The last part of the arrays, split off before shuffling.
  double validation_split = 0;
  ValidationData validation_data = {};
  /// Arrays: another order of the rows in each epoch.
  bool shuffle = true;
  /// Of the orders; none: drawn from the global generator.
  std::optional<std::int64_t> seed = {};
  /// Class -> weight of its samples in the loss; classes that are not named weigh 1. For a model of one output.
  std::map<std::int64_t, double> class_weight = {};
  /// One weight per sample, for all outputs or per output.
  Arrays sample_weight = {};
  std::int64_t initial_epoch = 0;
  /// Steps of an epoch; none: until the data end.
  std::optional<std::int64_t> steps_per_epoch = {};
  std::optional<std::int64_t> validation_steps = {};
  std::optional<std::int64_t> validation_batch_size = {};
  /// Validation after every so many epochs.
  std::int64_t validation_freq = 1;
  /// Finds out where NaNs come from: steps run op by op, and the first input or layer output that is not finite is an error that names it, the
  /// epoch and the batch. Slow.
  bool check_numerics = false;
  /// Where several ranks train: has each of them data of its own (its part of the data set, batches of its own size)? Otherwise all have the same,
  /// batch_size counts the rows of all ranks together, and each takes its part of every batch.
  bool own_data = false;
  /// Each batch is cut in so many parts, which are computed alike wherever they are, and added up in one order: the weights are the same to the bit for
  /// every number of ranks that divides it. None: as many as there are ranks, which is fastest.
  std::optional<int> shards = {};
  /// Goes on from there (io::resume_from), in the middle of an epoch if need be, with the same batches, random numbers and learning rate; from the start if
  /// there is nothing. Callbacks take up what they remembered (best values, waiting, best weights), and what earlier epochs logged is in the History.
  std::shared_ptr<ResumePoint> resume = {};
};

/// Arguments of Model::evaluate and Model::predict.
struct EvaluateOptions {
  std::int64_t batch_size = 32;
  int verbose = 1;
  Arrays sample_weight = {};
  std::optional<std::int64_t> steps = {};
  std::vector<CallbackRef> callbacks = {};
  /// As in FitOptions. predict then gives each rank what belongs to its own data.
  bool own_data = false;
};

/// What fit returns (keras.callbacks.History).
struct History {
  /// "loss", "val_loss", ... -> a value per epoch.
  std::map<std::string, std::vector<double>> history;
  std::vector<std::int64_t> epoch;
  RunParams params;
  /// Did SIGTERM end it, here or on another rank? The epoch under way was ended, and what callbacks do at its end was done.
  bool interrupted = false;
};

}  // namespace lockstep::nn
