#include <lockstep/nn/progress.h>

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>

#include <lockstep/tensor/base/error.h>

namespace lockstep::nn {
namespace {

template <class... Args>
std::string format(const char* pattern, Args... args) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, args...);
  return text;
}

std::string bold(const std::string& text) { return "\x1b[1m" + text + "\x1b[0m"; }

std::string bar_part(const char* color, std::int64_t width) {
  std::string text = color;
  for (std::int64_t i = 0; i < width; ++i) text += "━";
  return text + "\x1b[0m";
}

/// Columns that a text takes on a terminal: characters of UTF-8, without escape codes.
std::size_t columns_of(const std::string& text) {
  std::size_t columns = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') i = std::min(text.find('m', i), text.size());
    else if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) ++columns;
  }
  return columns;
}

std::string time_left(double seconds) {
  const long long whole = static_cast<long long>(seconds);
  if (seconds > 3600) return format("%lld:%02lld:%02lld", whole / 3600, whole % 3600 / 60, whole % 60);
  if (seconds > 60) return format("%lld:%02lld", whole / 60, whole % 60);
  return format("%llds", whole);
}

std::string count(std::int64_t seen, std::int64_t steps) {
  return format("%*lld/%lld", int(std::to_string(steps).size()), static_cast<long long>(seen), static_cast<long long>(steps));
}

bool is_terminal(const std::ostream& stream) { return (&stream == &std::cout && isatty(STDOUT_FILENO)) || (&stream == &std::cerr && isatty(STDERR_FILENO)); }

double steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/// Losses and metrics, then those of validation, then learning rates: the order in which Keras's logs get them.
int place(const std::string& name) { return name.starts_with("learning_rate") ? 2 : name.starts_with("val_") ? 1 : 0; }

}  // namespace

ProgressBar::ProgressBar(ProgressOptions options) : options_(std::move(options)) {
  if (options_.verbose < 0 || options_.verbose > 2) throw InvalidArgumentError("verbose is 0, 1 or 2, got " + std::to_string(options_.verbose), "ProgressBar");
  if (options_.steps && *options_.steps < 0) throw InvalidArgumentError("there cannot be " + std::to_string(*options_.steps) + " steps", "ProgressBar");
  if (options_.batch_size < 0) throw InvalidArgumentError("batch_size must not be negative, got " + std::to_string(options_.batch_size), "ProgressBar");
  if (options_.width < 0 || !(options_.interval >= 0)) throw InvalidArgumentError("width and interval must not be negative", "ProgressBar");
  if (!options_.output.stream) options_.output.stream = &std::cout;
  if (!options_.output.clock) options_.output.clock = steady_seconds;
  terminal_ = options_.output.terminal.value_or(is_terminal(*options_.output.stream));
  start_ = options_.output.clock();
}

bool ProgressBar::due(std::int64_t step) {
  if (options_.verbose == 0) return seen_ = step, false;
  seen_ = step;
  last_step_ = options_.output.clock();
  if (step == 1) after_first_step_ = last_step_, first_step_seen_ = true;
  return options_.verbose == 1 && terminal_ && (!shown_ || last_step_ - last_shown_ >= options_.interval);
}

void ProgressBar::update(std::int64_t step, const Logs& logs) {
  const bool shows = due(step);
  remember(logs);
  if (shows) show(last_step_, false);
}

void ProgressBar::update(std::int64_t step, const BatchLogs& logs) {
  if (!due(step)) return;
  remember(logs.get());
  show(last_step_, false);
}

void ProgressBar::finish(const Logs& logs) {
  remember(logs);
  if (!options_.steps) options_.steps = seen_;
  if (options_.verbose) show(options_.output.clock(), true);
}

void ProgressBar::remember(const Logs& logs) {
  const std::size_t known = values_.size();
  for (const auto& [name, value] : logs) {
    const auto at = std::find_if(values_.begin(), values_.end(), [&name = name](const auto& entry) { return entry.first == name; });
    if (at == values_.end()) values_.emplace_back(name, value);
    else at->second = value;
  }
  std::stable_sort(values_.begin() + std::ptrdiff_t(known), values_.end(), [](const auto& a, const auto& b) { return place(a.first) < place(b.first); });
}

void ProgressBar::show(double now, bool last) {
  std::ostream& stream = *options_.output.stream;
  stream << (terminal_ && options_.verbose == 1 ? rewriting_line(now, last) : plain_line(now)) << std::flush;
  last_shown_ = now;
  shown_ = true;
}

std::string ProgressBar::rewriting_line(double now, bool last) {
  const std::int64_t steps = options_.steps.value_or(0);
  std::string line;
  if (steps > 0) {
    const std::int64_t done = std::clamp<std::int64_t>(std::int64_t(options_.width * (double(seen_) / double(steps))), 0, options_.width);
    line = bold(count(seen_, steps)) + " " + (done ? bar_part("\x1b[32m", done) : "") + bar_part("\x1b[37m", options_.width - done);
  } else {
    line = format("%7lld/Unknown", static_cast<long long>(seen_));
  }
  const double per_step = seconds_per_step(now);
  line += " " + bold(steps > 0 && !last ? time_left(std::max(0., per_step * double(steps - seen_))) : format("%.0fs", now - start_)) + " " + speed(now) + values();

  const std::size_t width = columns_of(line);
  std::string text = std::string(shown_width_, '\b') + "\r" + line;
  // What is left of a longer line before.
  if (width < shown_width_) text += std::string(shown_width_ - width, ' ');
  shown_width_ = width;
  return last ? text + "\n" : text;
}

std::string ProgressBar::plain_line(double now) const {
  return (options_.steps.value_or(0) > 0 ? count(seen_, *options_.steps) : std::to_string(seen_)) + format(" - %.0fs - ", now - start_) + speed(now) + values() + "\n";
}

double ProgressBar::seconds_per_step(double now) const {
  if (seen_ == 0) return 0;
  // The first step is left out, if there are others: it also traces and allocates.
  return first_step_seen_ && seen_ > 1 ? (now - after_first_step_) / double(seen_ - 1) : (now - start_) / double(seen_);
}

std::string ProgressBar::speed(double now) const {
  const double per_step = seconds_per_step(now);
  std::string text = per_step >= 1 || per_step == 0 ? format("%.0fs/step", per_step) : per_step >= 1e-3 ? format("%.0fms/step", per_step * 1e3) : format("%.0fus/step", per_step * 1e6);
  // Time per step includes, as in Keras, what came after the last step (validation); samples a second do not.
  const double per_update = seconds_per_step(last_step_);
  if (options_.batch_size > 0 && per_update > 0) {
    const double samples = double(options_.batch_size) / per_update;
    text += format(samples < 10 ? " - %.1f samples/s" : " - %.0f samples/s", samples);
  }
  return text;
}

std::string ProgressBar::values() const {
  std::string text;
  for (const auto& [name, value] : values_) {
    // Keras's single line takes the sign into account, its rewriting line does not.
    const double size = options_.verbose == 2 ? value : std::abs(value);
    text += " - " + name + ": " + (std::isnan(value) ? "nan" : format(size > 1e-3 ? "%.4f" : "%.4e", value));
  }
  return text;
}

// ---- in fit, evaluate and predict

void ProgbarLogger::start() { bar_.emplace(ProgressOptions{.steps = steps_, .verbose = params().verbose, .batch_size = params().batch_size, .output = output_}); }

void ProgbarLogger::finish(const Logs& logs) {
  if (!bar_) return;
  bar_->finish(logs);
  // The next epoch is as long as this one.
  if (!steps_) steps_ = bar_->seen();
  bar_.reset();
}

void ProgbarLogger::on_train_begin() {
  training_ = true;
  steps_ = params().steps;
}

void ProgbarLogger::on_train_end(const Logs&) { training_ = false; }

void ProgbarLogger::on_epoch_begin(std::int64_t epoch) {
  if (params().verbose && params().epochs > 1) (output_.stream ? *output_.stream : std::cout) << "Epoch " << epoch + 1 << "/" << params().epochs << std::endl;
  start();
}

void ProgbarLogger::on_epoch_end(std::int64_t, Logs& logs) { finish(logs); }

void ProgbarLogger::on_train_batch_end(std::int64_t batch, const BatchLogs& logs) { bar_->update(batch + 1, logs); }

void ProgbarLogger::on_test_begin() {
  if (training_) return;
  steps_ = params().steps;
  start();
}

void ProgbarLogger::on_test_end(const Logs& logs) {
  if (!training_) finish(logs);
}

void ProgbarLogger::on_test_batch_end(std::int64_t batch, const BatchLogs& logs) {
  if (!training_) bar_->update(batch + 1, logs);
}

void ProgbarLogger::on_predict_begin() {
  steps_ = params().steps;
  start();
}

void ProgbarLogger::on_predict_end() { finish({}); }

void ProgbarLogger::on_predict_batch_end(std::int64_t batch) { bar_->update(batch + 1); }

}  // namespace lockstep::nn
