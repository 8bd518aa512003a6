#include <lockstep/tensor/sets.h>

#include <lockstep/tensor/op.h>

namespace lockstep::sets {
namespace {

Ints known_sizes(const Shape& shape) {
  if (!shape.known()) throw UnimplementedError("the shape of an operand depends on data inside the traced function, and must be known here", "sets");
  return Ints(shape.begin(), shape.end());
}
Ints sizes_of(const SparseTensor& x) { return known_sizes(x.shape()); }

}  // namespace

Operand::Operand(const Tensor& dense) {
  static const OpDef& op = find_op("sparse_unravel");
  const Ints sizes = known_sizes(dense.shape());
  sparse_ = SparseTensor(apply(op, {range(0, dense.numel(), 1, int64)}, {{"shape", sizes}}), reshape(dense, {-1}), dense.shape());
}

namespace {

SparseTensor operation(const char* word, const SparseTensor& a, const SparseTensor& b, bool validate) {
  static const OpDef& op = find_op("set_operation");
  const Tensors result = apply_all(op, {a.indices(), a.values(), b.indices(), b.values()},
                                   {{"shape_a", sizes_of(a)}, {"shape_b", sizes_of(b)}, {"operation", std::string(word)}, {"validate_indices", validate}});
  return {result[0], result[1], result[2]};
}

}  // namespace

SparseTensor set_union(const Operand& a, const Operand& b, bool validate_indices) { return operation("union", a.sparse(), b.sparse(), validate_indices); }
SparseTensor intersection(const Operand& a, const Operand& b, bool validate_indices) { return operation("intersection", a.sparse(), b.sparse(), validate_indices); }
SparseTensor difference(const Operand& a, const Operand& b, bool a_minus_b, bool validate_indices) {
  return a_minus_b ? operation("difference", a.sparse(), b.sparse(), validate_indices) : operation("difference", b.sparse(), a.sparse(), validate_indices);
}

Tensor size(const Operand& a, bool validate_indices) {
  static const OpDef& op = find_op("set_size");
  return apply(op, {a.sparse().indices(), a.sparse().values()}, {{"shape", sizes_of(a.sparse())}, {"validate_indices", validate_indices}});
}

}  // namespace lockstep::sets
