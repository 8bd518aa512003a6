// The loops of a model: fit, evaluate, predict.

#include <algorithm>
#include <cmath>
#include <csignal>

#include <lockstep/dist/world.h>
#include <lockstep/nn/array_source.h>
#include <lockstep/nn/model.h>
#include <lockstep/nn/progress.h>
#include <lockstep/nn/replicas.h>
#include <lockstep/nn/trainer.h>
#include <lockstep/nn/unread.h>
#include <lockstep/tensor/base/snake_case.h>
#include <lockstep/tensor/base/type_name.h>
#include <lockstep/tensor/base/warning.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/random.h>

namespace lockstep::nn {
namespace {

/// How the tensors of a source's batch lie: inputs, targets, then weights, as many as there are.
BatchLayout layout_of(const Model& model, std::size_t count, bool class_weights) {
  const std::size_t inputs = model.input_names().size(), outputs = model.output_names().size();
  if (count < inputs) throw InvalidArgumentError("a batch has " + std::to_string(count) + " tensors, the model takes " + std::to_string(inputs) + " inputs", "fit");
  const std::size_t targets = std::min(outputs, count - inputs), weights = count - inputs - targets;
  if (weights > 1 && weights != outputs)
    throw InvalidArgumentError("a batch has " + std::to_string(count) + " tensors; the model's " + std::to_string(inputs) + " inputs, " + std::to_string(outputs) + " targets and their weights are fewer", "fit");
  if (class_weights && weights > 0) throw InvalidArgumentError("class_weight and sample_weight exclude each other", "fit");
  return {inputs, targets, weights, class_weights};
}

/// Arrays that all ranks have, unless they have their own, are read by each as far as its part of the batches goes.
ArraySourceOptions shared_arrays(const auto& options, ArraySourceOptions source) {
  const Replicas replicas;
  if (!options.own_data) source.part = replicas.index(), source.parts = replicas.count();
  return source;
}

std::int64_t drawn_seed() { return random::integers({}, 0, std::int64_t(1) << 62, int64).item<std::int64_t>(); }

/// The rows [begin, end) of each array.
Tensors rows_of(std::span<const Tensor> arrays, std::int64_t begin, std::int64_t end) {
  Tensors result;
  for (const Tensor& array : arrays) result.push_back(array[slice(begin, end)]);
  return result;
}

/// Callbacks, told together.
class Listeners {
 public:
  Listeners(std::vector<CallbackRef> callbacks, Model& model, const RunParams& params) : callbacks_(std::move(callbacks)) {
    for (const CallbackRef& each : callbacks_) each->attach(model, params);
  }
  /// After their classes, numbered: "early_stopping", "early_stopping_1".
  std::vector<std::pair<std::string, CallbackRef>> named() const {
    std::map<std::string, int> counts;
    std::vector<std::pair<std::string, CallbackRef>> result;
    for (const CallbackRef& each : callbacks_) {
      const Callback& callback = *each;
      const std::string name = snake_case(type_name(typeid(callback)));
      const int number = counts[name]++;
      result.emplace_back(number == 0 ? name : name + "_" + std::to_string(number), each);
    }
    return result;
  }
  template <class... P, class... A>
  void tell(void (Callback::*hook)(P...), A&&... arguments) const {
    for (const CallbackRef& each : callbacks_) ((*each.operator->()).*hook)(arguments...);
  }

 private:
  std::vector<CallbackRef> callbacks_;
};

/// Gives callbacks what they remembered, and tells which of them begin anew.
void restore(const std::vector<std::pair<std::string, CallbackRef>>& callbacks, std::map<std::string, CallbackState> saved) {
  for (const auto& [name, callback] : callbacks) {
    if (const auto found = saved.find(name); found != saved.end()) {
      callback->set_state(found->second);
      saved.erase(found);
    } else if (!callback->state().empty() && dist::is_chief()) {
      warn("fit", "the checkpoint knows nothing of the callback '" + name + "', which begins anew");
    }
  }
  for (const auto& [name, state] : saved)
    if (dist::is_chief()) warn("fit", "the checkpoint holds what the callback '" + name + "' remembered, and this fit has no such callback");
}

/// Fills in a History, and remembers what is in it.
class HistoryRecorder : public Callback {
 public:
  explicit HistoryRecorder(History& history) : history_(history) {}
  void on_epoch_end(std::int64_t epoch, Logs& logs) override {
    history_.epoch.push_back(epoch);
    for (const auto& [name, value] : logs) history_.history[name].push_back(value);
  }
  CallbackState state() const override {
    CallbackState state;
    if (!history_.epoch.empty()) state.set("epoch", constant(history_.epoch));
    for (const auto& [name, values] : history_.history) state.set("values/" + name, constant(values));
    return state;
  }
  void set_state(const CallbackState& state) override {
    for (const auto& [name, values] : state) {
      if (name == "epoch") history_.epoch = values.to_vector<std::int64_t>();
      else if (name.starts_with("values/")) history_.history[name.substr(7)] = values.to_vector<double>();
    }
  }

 private:
  History& history_;
};

std::optional<std::int64_t> steps_of(const BatchSource& source, std::optional<std::int64_t> asked) {
  if (asked) return asked;
  const std::int64_t count = source.cardinality();
  return count < 0 ? std::nullopt : std::optional(count);
}

/// Batches of one run over a source: `steps` of them, or to the end of the pass. With `steps` the source is read on, pass after pass.
class Steps {
 public:
  /// `done` steps have been taken already.
  Steps(BatchSource& source, std::optional<std::int64_t> steps, bool own_data, std::int64_t done = 0) : source_(source), steps_(steps), own_data_(own_data), done_(done) {
    if (steps && *steps < 1) throw InvalidArgumentError("the number of steps must be at least 1, got " + std::to_string(*steps), "fit");
    if (!steps && source.cardinality() == kInfinite) throw InvalidArgumentError("the data have no end", "fit", "give the number of steps");
  }
  bool next(BatchPart& batch) {
    if (steps_ && done_ == *steps_) return false;
    bool found = read(batch);
    if (!found && (steps_ || done_ == 0)) {
      // An epoch in steps goes on into the next pass; and a source may still stand at the end of its last one.
      found = read(batch);
      if (!found) throw InvalidArgumentError("the data set is empty", "fit");
    }
    if (found) ++done_;
    return found;
  }
  std::int64_t done() const { return done_; }

 private:
  bool read(BatchPart& batch) {
    if (own_data_) return replicas_.next_own(source_, batch);
    Tensors tensors;
    if (!source_.next(tensors)) return false;
    const std::int64_t rows = source_.global_rows();
    batch = rows == kUnknown ? replicas_.cut(tensors) : replicas_.part(std::move(tensors), rows);
    return true;
  }

  BatchSource& source_;
  std::optional<std::int64_t> steps_;
  bool own_data_;  // has every rank another source?
  Replicas replicas_;
  std::int64_t done_;
};

/// The loss of a step: a number, or one on a device that can wait until somebody wants to know.
struct StepLoss {
  double number = 0;
  Tensor unread = {};
};
/// What `loss` is for fit and evaluate. On devices the ranks' losses are added up there, so that none waits; on hosts with what else the ranks agree on.
StepLoss step_loss(const Tensor& loss, const std::optional<dist::Replica>& replica, const Replicas& replicas) {
  if (!loss.device().is_cpu()) return {.unread = replicas.loss_of_all(loss, replica)};
  return {.number = Replicas::contribution(number_of(loss), replica)};
}
BatchLogs batch_logs(const StepLoss& loss, std::function<Logs()> own, std::function<Logs()> reduced) {
  if (!loss.unread.defined()) return BatchLogs(loss.number, std::move(own), std::move(reduced));
  return BatchLogs([unread = loss.unread] { return number_of(unread); }, std::move(own), std::move(reduced));
}

/// While it lives, SIGTERM asks for an end instead of being one.
class StopSignal {
 public:
  StopSignal() : before_(std::signal(SIGTERM, [](int) { asked() = 1; })) { asked() = 0; }
  ~StopSignal() { std::signal(SIGTERM, before_); }
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static bool received() { return asked() != 0; }

 private:
  static volatile std::sig_atomic_t& asked() {
    static volatile std::sig_atomic_t flag = 0;
    return flag;
  }
  void (*before_)(int);
};

}  // namespace

/// The loops over a source, of which the public functions are forms.
class Loops {
 public:
  static History fit(Model& model, BatchSource& data, const std::optional<BatchLayout>& layout, BatchSource* validation, const std::optional<BatchLayout>& validation_layout, const FitOptions& options);
  static Logs evaluate(Model& model, BatchSource& data, const std::optional<BatchLayout>& layout, std::optional<std::int64_t> steps, bool own_data, const Listeners& listeners);
  static Tensors predict(Model& model, BatchSource& data, std::optional<std::size_t> inputs, const EvaluateOptions& options);
  static Logs evaluate_alone(Model& model, BatchSource& data, const std::optional<BatchLayout>& layout, const EvaluateOptions& options);
};

History Loops::fit(Model& model, BatchSource& data, const std::optional<BatchLayout>& layout, BatchSource* validation, const std::optional<BatchLayout>& validation_layout, const FitOptions& options) {
  Trainer& trainer = model.trainer();
  if (options.epochs < options.initial_epoch) throw InvalidArgumentError("epochs is the number of the last epoch: " + std::to_string(options.epochs) + " is before initial_epoch " + std::to_string(options.initial_epoch), "fit");
  if (options.validation_freq < 1) throw InvalidArgumentError("validation_freq must be at least 1, got " + std::to_string(options.validation_freq), "fit");
  trainer.set_class_weight(options.class_weight);
  const Replicas replicas(options.shards);
  if (replicas.sharded() && (options.own_data || options.check_numerics || model.compile_options().run_eagerly))
    throw InvalidArgumentError("shards need data that all ranks have, and traced steps", "fit", "leave out own_data, check_numerics and run_eagerly");
  const int verbose = replicas.is_chief() ? options.verbose : 0;
  History history;
  history.params = {options.epochs, steps_of(data, options.steps_per_epoch), layout ? options.batch_size : 0, verbose};
  model.stop_training_ = false;
  struct NumericsOff {
    Trainer& trainer;
    ~NumericsOff() { trainer.set_check_numerics(false); }
  } numerics_off{trainer};
  trainer.set_check_numerics(options.check_numerics);

  Logs logs;
  LossWatch watch([&](double loss, std::int64_t epoch, std::int64_t batch) {
    if (!replicas.is_chief()) return;
    warn("fit", "the loss is " + std::string(std::isnan(loss) ? "NaN" : "infinite") + " in epoch " + std::to_string(epoch) + ", batch " + std::to_string(batch) + " (.check_numerics = true says in which layer it begins)");
  });
  StepsAhead ahead;
  const StopSignal signal;
  FitPosition& position = model.position_;
  const std::int64_t seed = position.seed;
  position = {.epoch = options.initial_epoch, .step = position.step, .data = data.state(), .seed = seed};
  if (options.resume)
    if (const std::optional<FitPosition> found = options.resume->position()) {
      // The state exists when a batch has shown its shapes; then the data go back to where they were.
      BatchPart first;
      if (!Steps(data, 1, options.own_data).next(first)) throw InvalidArgumentError("the data set is empty", "fit");
      trainer.make_variables(model, layout ? *layout : layout_of(model, first.tensors.size(), !options.class_weight.empty()), first);
      options.resume->restore(model);
      data.restore(found->data);
      position = *found;
      history.params.resumed_in = position.epoch;
    }
  std::vector<CallbackRef> callbacks = options.callbacks;
  if (verbose > 0) callbacks.push_back(ProgbarLogger());
  callbacks.push_back(std::make_shared<HistoryRecorder>(history));
  const Listeners listeners(std::move(callbacks), model, history.params);
  struct Running {
    Model& model;
    ~Running() { model.callbacks_.clear(); }
  } running{model};
  model.callbacks_ = listeners.named();
  listeners.tell(&Callback::on_train_begin);
  if (history.params.resumed_in) restore(model.callbacks_, options.resume->callbacks());
  for (std::int64_t epoch = position.epoch; epoch < options.epochs && !model.stopping(); ++epoch) {
    if (position.batch == 0) trainer.reset(model);
    listeners.tell(&Callback::on_epoch_begin, epoch);
    Steps steps(data, options.steps_per_epoch, options.own_data, position.batch);
    BatchPart batch;
    // Several ranks stop together, after the step in which they have told one another.
    bool stop = model.stopping();
    while (!stop && steps.next(batch)) {
      const std::int64_t number = steps.done() - 1;
      listeners.tell(&Callback::on_train_batch_begin, number);
      StepLoss loss;
      try {
        const BatchLayout lies = layout ? *layout : layout_of(model, batch.tensors.size(), !options.class_weight.empty());
        loss = replicas.sharded() ? StepLoss{trainer.train_members(model, lies, replicas.members_of(batch))} : step_loss(trainer.train(model, lies, batch.tensors, batch.replica), batch.replica, replicas);
      } catch (const InvalidArgumentError& error) {
        if (!options.check_numerics) throw;
        throw InvalidArgumentError(std::string(error.what()) + " (epoch " + std::to_string(epoch) + ", batch " + std::to_string(number) + ")", "fit");
      }
      const Replicas::Agreement agreed = replicas.agree(loss.number, model.stopping(), StopSignal::received());
      loss.number = agreed.loss;
      if (agreed.stop) model.stop_training();
      history.interrupted = history.interrupted || agreed.interrupted;
      if (loss.unread.defined()) watch.see(loss.unread, epoch, number);
      else watch.see(loss.number, epoch, number);
      ahead.add(loss.unread);
      position = {epoch, steps.done(), position.step + 1, data.state(), seed};
      listeners.tell(&Callback::on_train_batch_end, number, batch_logs(
                                                                loss,
                                                                [&] {
                                                                  watch.look();
                                                                  return trainer.logs(model, false);
                                                                },
                                                                [&] { return trainer.logs(model, true); }));
      listeners.tell(&Callback::on_all_told);
      stop = replicas.several() ? agreed.stop : model.stopping();
    }
    watch.look();
    logs = trainer.logs(model, true);
    if (validation && (epoch + 1) % options.validation_freq == 0) {
      for (const auto& [name, value] : evaluate(model, *validation, validation_layout, options.validation_steps, options.own_data, listeners)) logs.set("val_" + name, value);
    }
    position = {epoch + 1, 0, position.step, data.state(), seed};
    listeners.tell(&Callback::on_epoch_end, epoch, logs);
    listeners.tell(&Callback::on_all_told);
    const Replicas::Agreement agreed = replicas.agree(0, model.stopping(), StopSignal::received());
    if (agreed.stop) model.stop_training();
    history.interrupted = history.interrupted || agreed.interrupted;
  }
  model.optimizer().finalize_variable_values(model.trainable_variables());
  listeners.tell(&Callback::on_train_end, logs);
  return history;
}

Logs Loops::evaluate(Model& model, BatchSource& data, const std::optional<BatchLayout>& layout, std::optional<std::int64_t> asked, bool own_data, const Listeners& listeners) {
  Trainer& trainer = model.trainer();
  const Replicas replicas;
  trainer.reset(model);
  listeners.tell(&Callback::on_test_begin);
  Steps steps(data, asked, own_data);
  BatchPart batch;
  StepsAhead ahead;
  while (steps.next(batch)) {
    const std::int64_t number = steps.done() - 1;
    listeners.tell(&Callback::on_test_batch_begin, number);
    StepLoss loss = step_loss(trainer.test(model, layout ? *layout : layout_of(model, batch.tensors.size(), false), batch.tensors, batch.replica), batch.replica, replicas);
    loss.number = replicas.agree(loss.number, false, false).loss;
    ahead.add(loss.unread);
    listeners.tell(&Callback::on_test_batch_end, number, batch_logs(
                                                             loss, [&] { return trainer.logs(model, false); }, [&] { return trainer.logs(model, true); }));
  }
  const Logs logs = trainer.logs(model, true);
  listeners.tell(&Callback::on_test_end, logs);
  return logs;
}

Logs Loops::evaluate_alone(Model& model, BatchSource& data, const std::optional<BatchLayout>& layout, const EvaluateOptions& options) {
  const int verbose = dist::is_chief() ? options.verbose : 0;
  std::vector<CallbackRef> callbacks = options.callbacks;
  if (verbose > 0) callbacks.push_back(ProgbarLogger());
  const Listeners listeners(std::move(callbacks), model, {1, steps_of(data, options.steps), layout ? options.batch_size : 0, verbose});
  return evaluate(model, data, layout, options.steps, options.own_data, listeners);
}

Tensors Loops::predict(Model& model, BatchSource& data, std::optional<std::size_t> inputs, const EvaluateOptions& options) {
  const int verbose = dist::is_chief() ? options.verbose : 0;
  std::vector<CallbackRef> callbacks = options.callbacks;
  if (verbose > 0) callbacks.push_back(ProgbarLogger());
  const Listeners listeners(std::move(callbacks), model, {1, steps_of(data, options.steps), inputs ? options.batch_size : 0, verbose});
  listeners.tell(&Callback::on_predict_begin);
  Steps steps(data, options.steps, options.own_data);
  const Replicas replicas;
  std::vector<Tensors> parts;
  BatchPart batch;
  StepsAhead ahead;
  while (steps.next(batch)) {
    const std::int64_t number = steps.done() - 1;
    listeners.tell(&Callback::on_predict_batch_begin, number);
    const std::size_t count = inputs ? *inputs : std::min(batch.tensors.size(), model.input_names().size());
    Tensors outputs = model.predictor().predict(model, std::span<const Tensor>(batch.tensors).first(count));
    if (!options.own_data) outputs = replicas.gather_rows(outputs, batch.replica);
    ahead.add(outputs[0]);
    parts.resize(outputs.size());
    for (std::size_t i = 0; i < outputs.size(); ++i) parts[i].push_back(outputs[i]);
    listeners.tell(&Callback::on_predict_batch_end, number);
  }
  listeners.tell(&Callback::on_predict_end);
  Tensors result;
  for (const Tensors& part : parts) result.push_back(part.size() == 1 ? part[0] : concat(part, 0));
  return result;
}

// ---- the public functions

std::vector<StateEntry> Model::callback_state() const {
  std::vector<StateEntry> entries;
  for (const auto& [name, callback] : callbacks_)
    for (const auto& [key, value] : callback->state()) entries.push_back({Variable(value, {.path = "callbacks/" + name + "/" + key, .trainable = false}), value.shape(), true});
  return entries;
}

History Model::fit(BatchSource& data, const FitOptions& options) {
  if (options.validation_split != 0) throw InvalidArgumentError("validation_split is for arrays; give a source of its own as validation_data", "fit");
  if (!options.sample_weight.empty()) throw InvalidArgumentError("a source of batches brings its own sample weights", "fit");
  const ValidationData& given = options.validation_data;
  if (!given.source && given.given()) {
    const FlatBatch flat = flatten(*this, given.x, given.y, given.sample_weight, false);
    ArraySource validation(flat.tensors, shared_arrays(options, {.batch_size = options.validation_batch_size.value_or(options.batch_size)}));
    return Loops::fit(*this, data, {}, &validation, flat.layout, options);
  }
  return Loops::fit(*this, data, {}, given.source, {}, options);
}

History Model::fit(const Arrays& x, const Arrays& y, const FitOptions& options) {
  trainer();
  FlatBatch flat = flatten(*this, x, y, options.sample_weight, !options.class_weight.empty());
  std::optional<FlatBatch> held_out;
  if (options.validation_data.given()) {
    const ValidationData& given = options.validation_data;
    if (!given.source) held_out = flatten(*this, given.x, given.y, given.sample_weight, false);
  } else if (options.validation_split != 0) {
    if (!(options.validation_split > 0 && options.validation_split < 1)) throw InvalidArgumentError("validation_split must be between 0 and 1, got " + std::to_string(options.validation_split), "fit");
    const std::int64_t rows = flat.tensors[0].shape().dim(0), kept = std::int64_t(std::floor(double(rows) * (1 - options.validation_split)));
    if (kept == 0 || kept == rows) throw InvalidArgumentError("validation_split " + std::to_string(options.validation_split) + " of " + std::to_string(rows) + " rows leaves nothing to " + (kept == 0 ? "train on" : "validate on"), "fit");
    ArraySource(flat.tensors, {});  // are they of one length?
    held_out = FlatBatch{rows_of(flat.tensors, kept, rows), flat.layout};
    held_out->layout.class_weights = false;
    flat.tensors = rows_of(flat.tensors, 0, kept);
  }
  const Replicas replicas;
  std::int64_t seed = !options.shuffle ? 0 : replicas.agreed_seed(options.seed ? *options.seed : drawn_seed());
  if (options.resume)
    if (const std::optional<FitPosition> found = options.resume->position()) seed = found->seed;
  position_.seed = seed;
  ArraySource data(flat.tensors, shared_arrays(options, {.batch_size = options.batch_size, .shuffle = options.shuffle, .seed = seed}));
  data.restore({options.initial_epoch, 0});
  if (!held_out) return Loops::fit(*this, data, flat.layout, options.validation_data.source, {}, options);
  ArraySource validation(held_out->tensors, shared_arrays(options, {.batch_size = options.validation_batch_size.value_or(options.batch_size)}));
  return Loops::fit(*this, data, flat.layout, &validation, held_out->layout, options);
}

Logs Model::evaluate(const Arrays& x, const Arrays& y, const EvaluateOptions& options) {
  trainer();
  const FlatBatch flat = flatten(*this, x, y, options.sample_weight, false);
  ArraySource data(flat.tensors, shared_arrays(options, {.batch_size = options.batch_size}));
  return Loops::evaluate_alone(*this, data, flat.layout, options);
}
Logs Model::evaluate(BatchSource& data, const EvaluateOptions& options) { return Loops::evaluate_alone(*this, data, {}, options); }

Tensors Model::predict_all(const Arrays& x, const EvaluateOptions& options) {
  const Tensors inputs = arrays_in_order(x, input_names(), "x");
  ArraySource data(inputs, shared_arrays(options, {.batch_size = options.batch_size}));
  return Loops::predict(*this, data, inputs.size(), options);
}
Tensors Model::predict_all(BatchSource& data, const EvaluateOptions& options) { return Loops::predict(*this, data, {}, options); }
Tensor Model::predict(const Arrays& x, const EvaluateOptions& options) { return only_output(predict_all(x, options)); }
Tensor Model::predict(BatchSource& data, const EvaluateOptions& options) { return only_output(predict_all(data, options)); }

Tensor Model::only_output(Tensors outputs) const {
  if (outputs.size() != 1) throw InvalidArgumentError("the model has " + std::to_string(outputs.size()) + " outputs", class_name(), "predict_all gives them all");
  return std::move(outputs[0]);
}

}  // namespace lockstep::nn
