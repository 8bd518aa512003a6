#pragma once
// Fields that some layers write otherwise than the others. nn's own.

#include <lockstep/nn/layer.h>

namespace lockstep::nn::detail {

/// Name, trainable and dtype, this by its name: as Keras has it for some layers.
void plain_fields(Fields& f, Layer& layer);

}  // namespace lockstep::nn::detail
