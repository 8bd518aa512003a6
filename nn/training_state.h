#pragma once
// What a training consists of besides the program: the variables of the state tree, and where it stands. Checkpoints hold it; nn knows no files.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <lockstep/nn/batch_source.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::nn {

class Model;

/// One variable of the state tree. A sharded one holds this rank's part of a tensor of shape `whole`: in row-major order as many elements on each rank,
/// the last filled up with zeros. Of others `whole` is the shape.
struct StateEntry {
  Variable variable;
  Shape whole;
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
};

}  // namespace lockstep::nn
