#pragma once
// A chain of pointwise ops as one kernel: tiles of a few hundred elements go through all instructions while they are in the L1
// cache, so memory is passed over once. Chains may end in reductions. The instructions are the rows' own runs (PointwiseFn).

#include <memory>
#include <string>
#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep::autodiff {

/// How an operand lies over the domain of the program, seen as `rows` x `columns`.
enum class Layout : std::uint8_t { full, scalar, row, column };

/// A straight-line program over the elements of one shape.
class FusedProgram : public AttrObject {
 public:
  struct Operand {
    DType dtype = float32;
    Layout layout = Layout::full;
    Tensor constant;  // defined: a scalar known when the graph was made; it is not an input of the node
  };
  struct Instruction {
    const OpDef* op = nullptr;
    PointwiseFn run = nullptr;
    SmallVector<double, 4> params;
    SmallVector<int, 4> operands;  // slots: operand i is slot i, the result of instruction k is slot operands.size() + k
    DType dtype = float32;
  };
  enum class Fold : std::uint8_t { sum, mean };
  /// What leaves the program: an instruction's elements, or their reduction.
  struct Output {
    int slot = 0;
    bool reduced = false;
    Fold fold = Fold::sum;
    Layout layout = Layout::full;  // of a reduced output: scalar (over everything), row (over the rows), column (over the columns)
  };

  Shape shape;
  std::int64_t columns = 1;  // meaningful when an operand or output is a row or a column
  std::vector<Operand> operands;
  std::vector<Instruction> code;
  std::vector<Output> outputs;

  /// May output `o` be written over input `i` (of the node's inputs: constants not counted)? True when the input is read for the
  /// last time no later than the output is written.
  bool may_alias(std::size_t o, std::size_t i) const;
  std::string describe() const override;
  bool equals(const AttrObject& other) const override;
};

/// The op of fused nodes: any inputs, any outputs; attribute `program`.
const OpDef& fused_op();
/// A plain copy of one tensor, where a view will not do.
const OpDef& copy_op();

}  // namespace lockstep::autodiff
