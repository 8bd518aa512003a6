#pragma once
// What LSTM, ConvLSTM and GRU have in common: gates, and dropout that each gate has to itself. Private to the room.

#include <span>
#include <vector>

#include <lockstep/nn/activations.h>
#include <lockstep/nn/initializers.h>
#include <lockstep/nn/layers/recurrent.h>
#include <lockstep/nn/layers/regularization.h>
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

/// Masks of a sequence for one cell: `count` for the input, and for the first state, where its rate is not zero.
inline CellMasks draw_masks(const Generator& generator, const Shape& input, const Shape& state, double dropout, double recurrent_dropout, std::int64_t count, DType dtype) {
  CellMasks masks;
  for (std::int64_t gate = 0; gate < count; ++gate) {
    if (dropout > 0) masks.input.push_back(dropout_mask(generator, input, dropout, dtype));
    if (recurrent_dropout > 0) masks.recurrent.push_back(dropout_mask(generator, state, recurrent_dropout, dtype));
  }
  return masks;
}

/// `x` under each mask; itself without any.
inline Tensors masked(const Tensor& x, std::span<const Tensor> masks) {
  if (masks.empty()) return {x};
  Tensors all;
  for (const Tensor& mask : masks) all.push_back(x * mask);
  return all;
}

/// `product` of one input and the kernel, or of each gate's input and its columns of the kernel (its last axis), side by side.
template <class F>
Tensor by_gate(std::span<const Tensor> inputs, const Tensor& kernel, F&& product) {
  if (inputs.size() == 1) return product(inputs[0], kernel);
  const std::vector<Tensor> kernels = split(kernel, std::int64_t(inputs.size()), -1);
  std::vector<Tensor> parts;
  for (std::size_t gate = 0; gate < inputs.size(); ++gate) parts.push_back(product(inputs[gate], kernels[gate]));
  return concat(parts, -1);
}

}  // namespace lockstep::nn::lstm
