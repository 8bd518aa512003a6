#pragma once
// Gradients by rows (IndexedSlices, op.h): summing equal indices, and adding rows to a table without passing over the rest of it.

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/variable.h>

namespace lockstep {

/// The slices with equal indices added up, in order and from zero as in their dense form, in place of the first of them; the others stay, with zeros. As many
/// slices as before, so that it is an op of fixed shapes. Throws InvalidArgumentError for an index outside of the dense shape (on a GPU such a slice becomes
/// zeros).
IndexedSlices sum_slices(const IndexedSlices& slices);
/// Rows summed as by sum_slices where there are fewer of them than in the dense gradient, which it is otherwise. Dense gradients, and none, stay what they are.
Gradient summed(const Gradient& gradient);

/// The gradient with `f` of its values (of its rows): `f` makes zeros of zeros, element by element.
template <class F>
Gradient map_values(const Gradient& gradient, const F& f) {
  if (!gradient.is_slices()) return gradient.exists() ? Gradient(f(gradient.dense())) : Gradient();
  const IndexedSlices& slices = gradient.slices();
  return IndexedSlices{slices.indices, f(slices.values), slices.dense_shape};
}

/// x (rows, ...) with `rows` (n, ...) added to the rows that `indices` (n,) name, in order; an index that names none is passed over.
Tensor add_rows(const Tensor& x, const Tensor& indices, const Tensor& rows);
/// The same for a variable. Written in place where nobody else holds its value (inside a traced function, and on the CPU): the other rows are not touched.
void add_rows(const Variable& variable, const Tensor& indices, const Tensor& rows);

}  // namespace lockstep
