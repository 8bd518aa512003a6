#pragma once
// What every loss and metric function begins with: targets in the predictions' dtype and shape. Internal to the room.

#include <string_view>

#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// keras.backend.epsilon()
inline constexpr double kEpsilon = 1e-7;

/// Target and prediction of one dtype and, for elementwise functions, of one shape.
struct Aligned {
  Tensor y_true;
  Tensor y_pred;
};
/// Casts the prediction to a float dtype (integers to float32) and the target to the same, and aligns (n,) with (n, 1). Throws
/// InvalidArgumentError, naming `owner` and both shapes, if they then differ.
Aligned aligned(const Tensor& y_true, const Tensor& y_pred, std::string_view owner);
/// Throws the same for two tensors that must have one shape.
void require_same_shape(const Tensor& y_true, const Tensor& y_pred, std::string_view owner);
/// The prediction as floats.
Tensor as_float(const Tensor& y_pred);
/// Class numbers (..., ) of int64 for predictions (..., classes): floats are cast, a last axis of 1 is dropped. Throws
/// InvalidArgumentError if the shapes do not fit.
Tensor labels_of(const Tensor& y_true, const Tensor& y_pred, std::string_view owner);
/// The tensor that `op` ("softmax", "sigmoid") was applied to, if `x` is its result inside the trace at hand; else undefined.
Tensor operand_of(const Tensor& x, std::string_view op);

}  // namespace lockstep::nn
