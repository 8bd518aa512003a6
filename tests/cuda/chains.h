#pragma once
// Chains of pointwise ops and sums as training makes them, for the tests of fused kernels.

#include <lockstep/autodiff/fused.h>
#include <lockstep/autodiff/passes/passes.h>

#include "../autodiff/op_samples.h"

namespace lockstep::autodiff {

/// Broadcasts, masks, casts, sums over everything, over rows and over columns.
struct Chain {
  const char* name;
  std::vector<Shape> shapes;
  Tensors (*body)(std::span<const Tensor>);
};
inline const Chain kChains[] = {
    {"pointwise", {{64, 48}, {64, 48}}, [](std::span<const Tensor> in) -> Tensors { return {tanh(in[0] * in[1] + 1) - sigmoid(in[1])}; }},
    {"odd", {{7, 5}, {7, 5}}, [](std::span<const Tensor> in) -> Tensors { return {exp(in[0] - in[1]) * 2}; }},
    {"row", {{33, 20}, {20}}, [](std::span<const Tensor> in) -> Tensors { return {gelu((in[0] + in[1]) * in[1])}; }},
    {"column", {{33, 20}, {33, 1}}, [](std::span<const Tensor> in) -> Tensors { return {(in[0] - in[1]) / (abs(in[1]) + 1)}; }},
    {"mask", {{40, 10}, {40, 10}}, [](std::span<const Tensor> in) -> Tensors { return {where(in[0] > in[1], in[0] * 3, in[1] - 1), cast(cast(in[0] > 0.5, float32) * in[1], bfloat16)}; }},
    {"low", {{16, 24}}, [](std::span<const Tensor> in) -> Tensors { return {cast(tanh(cast(in[0], float16) * cast(in[0], float16)), float32)}; }},
    {"total", {{300, 41}, {300, 41}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_mean(square(in[0] - in[1])), in[0] * in[1] + 1}; }},
    {"sum_of_rows", {{500, 12}, {500, 12}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_sum(in[0] * in[1] * 2, 0)}; }},
    {"sum_of_wide_rows", {{70, 700}, {70, 700}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_sum(in[0] * in[1] * 2, 0)}; }},
    {"sum_of_columns", {{50, 300}, {50, 300}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_mean(relu(in[0]) * in[1], 1)}; }},
    {"sum_of_short_columns", {{900, 6}}, [](std::span<const Tensor> in) -> Tensors { return {reduce_sum(square(in[0]) + 1, 1)}; }},
    {"integers", {{30, 8}}, [](std::span<const Tensor> in) -> Tensors { const Tensor k = cast(in[0] * 9, int32); return {cast(k * k - 7, float32) + in[0]}; }},
    {"activations", {{12, 16}}, [](std::span<const Tensor> in) -> Tensors { const Tensor& x = in[0]; return {selu(elu(x)) + mish(x) * hard_sigmoid(x) + leaky_relu(x, 0.1) - silu(softplus(x)) + log_sigmoid(x), clip_by_value(x, -0.5, 0.25)}; }},
    {"special", {{12, 16}}, [](std::span<const Tensor> in) -> Tensors { const Tensor x = abs(in[0]) + 0.5; return {lgamma(x) + digamma(x) - erf(x) * erfc(x) + sin(x) * cos(x) - floor(x)}; }},
};

inline void PrintTo(const Chain& chain, std::ostream* stream) { *stream << chain.name; }

/// The fused programs of the chain's graph.
inline std::vector<std::shared_ptr<const FusedProgram>> programs_of(const Chain& chain) {
  std::vector<std::shared_ptr<const FusedProgram>> programs;
  testing::Values operands;
  for (const Shape& shape : chain.shapes) operands.push_back(zeros(shape));
  const auto f = function(chain.body);
  for (const Node& node : f.concrete_function(operands).optimized().nodes)
    if (node.kind == Node::Kind::op && node.op == &fused_op())
      programs.push_back(std::static_pointer_cast<const FusedProgram>(std::get<std::shared_ptr<const AttrObject>>(node.attrs[0].value)));
  return programs;
}

}  // namespace lockstep::autodiff
