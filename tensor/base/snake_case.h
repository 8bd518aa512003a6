#pragma once
// Names of classes as Keras turns them into names of objects.

#include <string>
#include <string_view>

namespace lockstep {

/// "MeanSquaredError" -> "mean_squared_error", "KLDivergence" -> "kl_divergence", "IoU" -> "io_u".
std::string snake_case(std::string_view class_name);

}  // namespace lockstep
