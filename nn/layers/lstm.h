#pragma once
// What LSTM and ConvLSTM have in common. Private to the room.

#include <vector>

#include <lockstep/nn/activations.h>
#include <lockstep/nn/initializers.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn::lstm {

/// Initial bias of the gates: ones for the forget gate, the others by `other`.
inline Ref<Initializer> forget_bias(const Ref<Initializer>& other, std::int64_t units) {
  return Ref<Initializer>(named("", [other, units](const Shape&, DType dtype) {
    const Tensor parts[] = {(*other)({units}, dtype), ones({units}, dtype), (*other)({2 * units}, dtype)};
    return concat(parts, 0);
  }));
}

/// Output, hidden state and carry from the sums of the gates: input, forget, candidate, output.
inline Tensors step(const Tensor& sums, const Tensor& carry, const Activation& activation, const Activation& gate) {
  const std::vector<Tensor> z = split(sums, 4, -1);
  const Tensor c = gate(z[1]) * carry + gate(z[0]) * activation(z[2]);
  const Tensor h = gate(z[3]) * activation(c);
  return {h, h, c};
}

}  // namespace lockstep::nn::lstm
