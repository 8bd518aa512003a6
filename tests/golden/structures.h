#pragma once
// Data structures in golden cases: from JSON, and against it.

#include <variant>

#include "case.h"

namespace golden {

/// What a call gives; no value for one that gives nothing.
using Value = std::variant<std::monostate, lockstep::Tensor, lockstep::RaggedTensor, lockstep::SparseTensor>;

/// {"tensor", "dtype", "shape"}, or nested lists of numbers, bools and strings: int32 or float32 unless `dtype` says otherwise.
lockstep::Tensor tensor_of(const Json& json, std::optional<lockstep::DType> dtype = {});
std::vector<lockstep::Tensor> tensors_of(const Json& list, std::optional<lockstep::DType> dtype = {});
/// {"ragged", "dtype"}, or what tensor_of takes.
lockstep::RaggedTensor ragged_of(const Json& json);
std::vector<lockstep::RaggedTensor> raggeds_of(const Json& list);
/// {"sparse": {"indices", "values", "shape"}}
lockstep::SparseTensor sparse_of(const Json& json);
std::vector<lockstep::SparseTensor> sparses_of(const Json& list);
lockstep::Tensor indices_of(const Json& json, std::size_t axes);
lockstep::Shape shape_of(const Json& json);
lockstep::Ints ints_of(const Json& json);
/// The argument "axis": null, a number or a list.
lockstep::Axes axes_of(const Json& args);
/// {"b64"} or a string.
std::string text_of(const Json& json);
/// "1:3, -1" as Python writes it between brackets.
lockstep::IndexList spec_of(const std::string& text);
lockstep::RaggedTensor indexed(const lockstep::RaggedTensor& x, const lockstep::IndexList& spec);

/// Runs one step: what it gives must be its "expect", or it must throw its "error".
void check_step(const Json& step, const std::function<Value()>& run);
/// The same through a traced function whose arguments are the tensors that the step reads. One that refuses to be traced (UnimplementedError) passes.
void check_traced(const Json& step, const std::function<Value()>& run);

void check_tensor_array(const Json& steps);
void check_queue(const Json& steps);
void check_variable(const Json& steps);

}  // namespace golden
