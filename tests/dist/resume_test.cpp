// A training that goes on from a checkpoint, and its callbacks with it. Alone, this is one rank.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

#include "shared_directory.h"
#include "support.h"

using namespace lockstep;

namespace {

struct Samples {
  Tensor x = random::normal_from(constant(std::vector<std::int64_t>{4, 0}), {60, 6}), y = reduce_sum(x, {1}, true);
};

/// A model that soon gets hardly better any more, and the callbacks that notice.
struct Interrupted {
  explicit Interrupted(const std::string& folder, const std::string& checkpoints) : directory(folder + "/" + checkpoints) {
    model.compile({.optimizer = optim::Adam({.learning_rate = 0.02}), .loss = "mse", .metrics = {"mae"}});
    options = {.batch_size = 16, .epochs = 40, .verbose = 0, .validation_split = 0.3, .seed = 3, .shards = dist::world_size()};
    // The one that saves comes first, and saves what those behind it remember.
    options.callbacks = {io::ModelCheckpoint({.directory = directory, .every_steps = 1, .every_epochs = 0, .keep = 2, .asynchronous = false}), best, stopping, plateau, nn::LearningRateScheduler([](std::int64_t, double rate) { return 0.97 * rate; }),
                         io::CSVLogger(directory + ".csv"), nn::LambdaCallback({.on_epoch_end = [this](std::int64_t, const nn::Logs& logs) { rates.push_back(logs.at("learning_rate")); }})};
  }
  std::string log() const {
    std::ostringstream text;
    text << std::ifstream(directory + ".csv").rdbuf();
    return text.str();
  }
  /// Trains until step `last`, as if the process ended there.
  void train_until(std::int64_t last) {
    nn::FitOptions broken = options;
    broken.callbacks.push_back(nn::LambdaCallback({.on_train_batch_begin = [this, last](std::int64_t) {
      if (model.position().step == last) throw InternalError("killed");
    }}));
    EXPECT_THROW(model.fit(data.x, data.y, broken), InternalError);
  }
  nn::History train_on() {
    options.resume = io::resume_from(directory);
    return model.fit(data.x, data.y, options);
  }

  bool seeded = (random::set_seed(7), true);  // before the model draws its weights
  std::string directory;
  Samples data;
  nn::Sequential model{{nn::InputLayer({6}), nn::Dense({.units = 16, .activation = "relu"}), nn::Dropout({.rate = 0.2}), nn::Dense(1)}};
  nn::FitOptions options;
  std::shared_ptr<nn::EarlyStopping> stopping = std::make_shared<nn::EarlyStopping>(nn::EarlyStopping::Options{.min_delta = 0.2, .patience = 5, .restore_best_weights = true});
  std::shared_ptr<nn::ReduceLROnPlateau> plateau = std::make_shared<nn::ReduceLROnPlateau>(nn::ReduceLROnPlateau::Options{.factor = 0.5, .patience = 2, .min_delta = 0.2, .cooldown = 1});
  std::shared_ptr<io::ModelCheckpoint> best = std::make_shared<io::ModelCheckpoint>(io::ModelCheckpointOptions{.directory = directory + "_best", .monitor = "val_loss", .keep = 99, .asynchronous = false});
  std::vector<double> rates;
};

std::string warnings(const auto& call) {
  testing::internal::CaptureStderr();
  call();
  return testing::internal::GetCapturedStderr();
}

TEST(Resume, CallbacksGoOnAsIfTheTrainingHadNeverBeenInterrupted) {
  const SharedDirectory folder;
  Interrupted whole(folder.path(), "whole");
  const nn::History undisturbed = whole.train_on();
  ASSERT_TRUE(whole.stopping->stopped_epoch());
  const std::int64_t best = whole.stopping->best_epoch(), stopped = *whole.stopping->stopped_epoch(), steps = whole.model.position().step / (stopped + 1);
  ASSERT_GT(best, 0);
  ASSERT_GT(whole.plateau->reductions(), 0);
  // In the middle of an epoch and at an end, before the best epoch, while they wait, and when it had stopped already.
  for (const std::int64_t step : {best * steps, (best + 3) * steps + 1, (stopped + 1) * steps}) {
    SCOPED_TRACE(step);
    const std::string name = "killed_" + std::to_string(step);
    if (step < (stopped + 1) * steps) Interrupted(folder.path(), name).train_until(step);
    else Interrupted(folder.path(), name).train_on();
    Interrupted second(folder.path(), name);
    random::set_seed(99);  // another process would have other numbers
    const nn::History history = second.train_on();
    EXPECT_EQ(second.stopping->stopped_epoch(), stopped);
    EXPECT_EQ(second.stopping->best_epoch(), best);
    EXPECT_EQ(second.stopping->best(), whole.stopping->best());
    EXPECT_EQ(second.plateau->reductions(), whole.plateau->reductions());
    EXPECT_EQ(second.rates, std::vector<double>(whole.rates.end() - std::ptrdiff_t(second.rates.size()), whole.rates.end()));
    EXPECT_EQ(history.epoch, undisturbed.epoch);
    EXPECT_EQ(history.history, undisturbed.history);
    EXPECT_TRUE(same_weights(second.model, whole.model)) << "those of the best epoch";
    dist::communicator().barrier();
    EXPECT_EQ(second.log(), whole.log());
    EXPECT_EQ(io::checkpoint_generations(second.directory + "_best"), io::checkpoint_generations(whole.directory + "_best"));
  }
  random::set_seed(0);
}

TEST(Resume, GoesOnAfterAnEarlyStopIfThePatienceIsGreater) {
  const SharedDirectory folder;
  Interrupted first(folder.path(), "run");
  first.train_on();
  const std::int64_t stopped = first.stopping->stopped_epoch().value_or(-1);
  Interrupted second(folder.path(), "run");
  second.options.epochs = stopped + 3;
  second.options.callbacks[2] = nn::EarlyStopping({.patience = 50});
  EXPECT_EQ(second.train_on().epoch.back(), stopped + 2);
  random::set_seed(0);
}

TEST(Resume, TellsWhichCallbacksBeginAnewAndWhichAreMissing) {
  const SharedDirectory folder;
  Interrupted first(folder.path(), "run");
  first.train_until(5);
  Interrupted second(folder.path(), "run");
  second.options.callbacks = {nn::EarlyStopping(), nn::EarlyStopping({.monitor = "loss"})};
  second.options.epochs = 3;
  const std::string text = warnings([&] { second.train_on(); });
  random::set_seed(0);
  if (!dist::is_chief()) return;
  EXPECT_NE(text.find("the checkpoint knows nothing of the callback 'early_stopping_1', which begins anew"), std::string::npos) << text;
  EXPECT_NE(text.find("the checkpoint holds what the callback 'reduce_lr_on_plateau' remembered, and this fit has no such callback"), std::string::npos) << text;
  EXPECT_EQ(text.find("'early_stopping'"), std::string::npos) << text;
}

/// Counts the steps of all processes.
class Odometer : public nn::Callback {
 public:
  void on_train_batch_end(std::int64_t, const nn::BatchLogs&) override { ++steps; }
  nn::CallbackState state() const override {
    nn::CallbackState state;
    state.set_count("steps", steps);
    return state;
  }
  void set_state(const nn::CallbackState& state) override { steps = state.count("steps"); }
  std::int64_t steps = 0;
};

TEST(Resume, GivesACallbackOfOnesOwnWhatItRemembered) {
  const SharedDirectory folder;
  Interrupted first(folder.path(), "run");
  first.options.callbacks = {first.options.callbacks[0], Odometer()};
  first.train_until(5);
  Interrupted second(folder.path(), "run");
  const auto odometer = std::make_shared<Odometer>();
  second.options.callbacks = {odometer};
  second.options.epochs = 4;
  second.train_on();
  random::set_seed(0);
  EXPECT_EQ(odometer->steps, second.model.position().step);
}

TEST(Resume, KeepsTheAveragesApartFromTheWeightsThatTheyStandInFor) {
  const Samples data;
  const SharedDirectory folder;
  std::vector<std::vector<Tensor>> weights;
  for (const bool interrupted : {false, true}) {
    const std::string directory = folder.path() + (interrupted ? "/interrupted" : "/whole");
    for (const std::int64_t epochs : interrupted ? std::vector<std::int64_t>{2, 4} : std::vector<std::int64_t>{4}) {
      random::set_seed(7);
      nn::Sequential model({nn::InputLayer({6}), nn::Dense(1)});
      model.compile({.optimizer = optim::SGD({.learning_rate = 0.05, .use_ema = true, .ema_momentum = 0.5}), .loss = "mse"});
      nn::FitOptions options{.batch_size = 16, .epochs = 4, .verbose = 0, .callbacks = {nn::SwapEMAWeights({.swap_on_epoch = true}), io::ModelCheckpoint({.directory = directory, .asynchronous = false})}, .seed = 3};
      options.callbacks.push_back(nn::LambdaCallback({.on_epoch_begin = [epochs](std::int64_t epoch) {
        if (epoch == epochs) throw InternalError("killed");
      }}));
      options.resume = io::resume_from(directory);
      if (epochs < 4) EXPECT_THROW(model.fit(data.x, data.y, options), InternalError);
      else model.fit(data.x, data.y, options), weights.push_back(model.get_weights());
    }
  }
  random::set_seed(0);
  for (std::size_t i = 0; i < weights[0].size(); ++i) EXPECT_TRUE(same_bits(weights[0][i], weights[1][i]));
}

TEST(Resume, RefusesToSaveWhereTheRanksHaveOtherCallbacks) {
  if (dist::world_size() == 1) return;
  const SharedDirectory folder;
  Interrupted job(folder.path(), "run");
  job.options.callbacks = {job.options.callbacks[0]};
  if (dist::rank() == 1) job.options.callbacks.push_back(Odometer());
  job.options.epochs = 1;
  const std::string text = warnings([&] { job.train_on(); });
  random::set_seed(0);
  if (dist::is_chief()) {
    EXPECT_NE(text.find("rank 1 has other variables, or callbacks that remember other things, than rank 0"), std::string::npos) << text;
  }
  EXPECT_TRUE(io::checkpoint_generations(job.directory).empty());
}

}  // namespace
