#pragma once
// What a training consists of besides the program: the variables of the state tree, what callbacks remember, and where it stands. Checkpoints hold it; nn knows no files.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <lockstep/nn/batch_source.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::nn {

class Model;

/// One variable of the state tree. A sharded one holds this rank's part of a tensor of shape `whole`: in row-major order as many elements on each rank,
/// the last filled up with zeros. Of others `whole` is the shape.
struct StateEntry {
  Variable variable;
  Shape whole;
  /// What a callback remembers ("callbacks/early_stopping/best"); not the model's.
  bool of_callback = false;
};

/// What a callback remembers, by name; a number is a tensor without axes.
class CallbackState {
 public:
  void set(std::string name, Tensor value) { values_.insert_or_assign(std::move(name), std::move(value)); }
  void set_count(std::string name, std::int64_t value);
  void set_number(std::string name, double value);
  bool has(std::string_view name) const { return values_.contains(name); }
  /// Throws NotFoundError if it is not there.
  const Tensor& at(std::string_view name) const;
  /// Throw as at(), and TypeError for another dtype.
  std::int64_t count(std::string_view name) const { return at(name).item<std::int64_t>(); }
  double number(std::string_view name) const { return at(name).item<double>(); }
  bool empty() const { return values_.empty(); }
  auto begin() const { return values_.begin(); }
  auto end() const { return values_.end(); }

 private:
  std::map<std::string, Tensor, std::less<>> values_;
};

/// Where fit stands between two steps.
struct FitPosition {
  std::int64_t epoch = 0;
  std::int64_t batch = 0;  // steps of this epoch that are done
  std::int64_t step = 0;   // of all epochs, and of all calls of fit
  DatasetState data;
  std::int64_t seed = 0;  // of the order of the rows, for arrays
};

/// Where fit goes on from (io implements it with checkpoints). All ranks call the same functions.
class ResumePoint {
 public:
  virtual ~ResumePoint() = default;
  /// Where the training stood; none if there is nothing to go on from.
  virtual std::optional<FitPosition> position() = 0;
  /// Gives the model's variables, which exist, the values that they had there.
  virtual void restore(Model& model) = 0;
  /// What the callbacks remembered there, by their names.
  virtual std::map<std::string, CallbackState> callbacks() = 0;
};

}  // namespace lockstep::nn
