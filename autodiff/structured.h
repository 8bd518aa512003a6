#pragma once
// Values made of several tensors, as arguments and results of traced functions: ragged and sparse tensors. Their tensors become arguments of the graph; what is not a
// tensor (ragged axes, a sparse shape) is part of the signature.

#include <span>
#include <string>
#include <type_traits>

#include <lockstep/tensor/ragged.h>
#include <lockstep/tensor/sparse.h>

namespace lockstep::autodiff::detail {

/// Specialized for what is made of tensors: its tensors, what else it is, and itself again from other tensors.
template <class T>
struct Structured : std::false_type {};

template <>
struct Structured<RaggedTensor> : std::true_type {
  static Tensors parts(const RaggedTensor& x) {
    Tensors result{x.flat_values()};
    result.append(x.nested_row_splits().begin(), x.nested_row_splits().end());
    return result;
  }
  static std::string kind(const RaggedTensor& x) { return std::to_string(x.ragged_rank()) + " ragged axes"; }
  static RaggedTensor like(const RaggedTensor&, std::span<const Tensor> parts) { return result(parts); }
  static RaggedTensor result(std::span<const Tensor> parts) { return RaggedTensor::from_nested_row_splits(parts[0], parts.subspan(1)); }
};

template <>
struct Structured<SparseTensor> : std::true_type {
  static Tensors parts(const SparseTensor& x) { return {x.indices(), x.values()}; }
  static std::string kind(const SparseTensor& x) { return "sparse " + to_string(x.shape()); }
  static SparseTensor like(const SparseTensor& x, std::span<const Tensor> parts) { return {parts[0], parts[1], x.dense_shape()}; }
  /// The shape of a result may depend on data: it is a result, too.
  static SparseTensor result(std::span<const Tensor> parts) { return {parts[0], parts[1], parts[2]}; }
};

inline Tensors to_tensors(const RaggedTensor& x) { return Structured<RaggedTensor>::parts(x); }
inline Tensors to_tensors(const SparseTensor& x) { return {x.indices(), x.values(), x.dense_shape()}; }

}  // namespace lockstep::autodiff::detail
