#pragma once
// Learning-rate schedules: the learning rate as a function of the step. A schedule is computed by ops, in float64, so that a traced
// training step computes it anew each time.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::optim {

/// Base of all schedules. To write one, override operator() and fields(); or give a function of the step in its place.
class Schedule : public Component {
 public:
  static constexpr const char* kModule = "keras.optimizers.schedules";
  using Function = std::function<Tensor(const Tensor& step)>;
  static std::shared_ptr<Schedule> wrap(Named<Function> function);
  static void register_builtins();
  /// The learning rate, a float scalar, at `step` (an int64 scalar: the number of calls to the optimizer so far).
  virtual Tensor operator()(const Tensor& step) const = 0;
};

/// initial_learning_rate * decay_rate ^ (step / decay_steps); the exponent is rounded down if `staircase`.
class ExponentialDecay : public Schedule {
 public:
  struct Options {
    double initial_learning_rate = 0.1;
    double decay_steps = 1;
    double decay_rate = 1;
    bool staircase = false;
    std::optional<std::string> name = "ExponentialDecay";
  };
  ExponentialDecay();
  /// Throws InvalidArgumentError unless decay_steps > 0.
  explicit ExponentialDecay(Options options);
  Tensor operator()(const Tensor& step) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

/// values[i] for the first boundaries[i] that is not below the step; the last value beyond all of them.
class PiecewiseConstantDecay : public Schedule {
 public:
  struct Options {
    std::vector<double> boundaries = {};
    std::vector<double> values = {};
    std::optional<std::string> name = "PiecewiseConstant";
  };
  PiecewiseConstantDecay();
  /// Throws InvalidArgumentError unless there is one value more than boundaries.
  explicit PiecewiseConstantDecay(Options options);
  Tensor operator()(const Tensor& step) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

/// (initial - end) * (1 - step / decay_steps) ^ power + end. After decay_steps it stays at the end, or, if `cycle`, decay_steps is
/// replaced by its first multiple that is not below the step.
class PolynomialDecay : public Schedule {
 public:
  struct Options {
    double initial_learning_rate = 0.1;
    double decay_steps = 1;
    double end_learning_rate = 0.0001;
    double power = 1;
    bool cycle = false;
    std::optional<std::string> name = "PolynomialDecay";
  };
  PolynomialDecay();
  /// Throws InvalidArgumentError unless decay_steps > 0.
  explicit PolynomialDecay(Options options);
  Tensor operator()(const Tensor& step) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

/// initial_learning_rate / (1 + decay_rate * step / decay_steps); the quotient is rounded down if `staircase`.
class InverseTimeDecay : public Schedule {
 public:
  struct Options {
    double initial_learning_rate = 0.1;
    double decay_steps = 1;
    double decay_rate = 0;
    bool staircase = false;
    std::optional<std::string> name = "InverseTimeDecay";
  };
  InverseTimeDecay();
  /// Throws InvalidArgumentError unless decay_steps > 0.
  explicit InverseTimeDecay(Options options);
  Tensor operator()(const Tensor& step) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

/// Half a cosine from the initial rate down to `alpha` times it within decay_steps. With a `warmup_target` the rate first rises to
/// it on a line in warmup_steps, and falls from there.
class CosineDecay : public Schedule {
 public:
  struct Options {
    double initial_learning_rate = 0.1;
    double decay_steps = 1;
    double alpha = 0;
    std::optional<std::string> name = "CosineDecay";
    std::optional<double> warmup_target = {};
    double warmup_steps = 0;
  };
  CosineDecay();
  /// Throws InvalidArgumentError unless decay_steps > 0.
  explicit CosineDecay(Options options);
  Tensor operator()(const Tensor& step) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

/// Cosine decays one after the other: the next is t_mul times as long, and begins m_mul times as high.
class CosineDecayRestarts : public Schedule {
 public:
  struct Options {
    double initial_learning_rate = 0.1;
    double first_decay_steps = 1;
    double t_mul = 2;
    double m_mul = 1;
    double alpha = 0;
    std::optional<std::string> name = "SGDRDecay";
  };
  CosineDecayRestarts();
  /// Throws InvalidArgumentError unless first_decay_steps > 0.
  explicit CosineDecayRestarts(Options options);
  Tensor operator()(const Tensor& step) const override;
  void fields(Fields& f) override;
  void configured() override;

 private:
  Options options_;
};

}  // namespace lockstep::optim
