// data_structures.json: strings, ragged and sparse tensors, sets, tensor arrays, queues, variables. A case is a list of calls on one object; ops run eagerly, and
// through a traced function where their arguments are tensors.

#include <cmath>
#include <map>

#include "case.h"
#include "structures.h"

namespace golden {

using namespace lockstep;

namespace {

using Call = Value (*)(const Json& args);
using Group = std::map<std::string, Call>;

// ---- strings

std::string separator_of(const Json& args, const char* key) { return args.contains(key) && !args.at(key).is_null() ? text_of(args.at(key)) : std::string(); }
Tensor input_of(const Json& args) { return tensor_of(args.at("input"), string); }
strings::UnicodeOptions with_errors(const Json& args) { return {.errors = args.value("errors", "replace")}; }

Value as_string(const Json& args) {
  return strings::as_string(tensor_of(args.at("input")), {.precision = args.value("precision", std::int64_t(-1)), .scientific = args.value("scientific", false), .shortest = args.value("shortest", false),
                                                          .width = args.value("width", std::int64_t(-1)), .fill = args.value("fill", std::string())});
}

const Group kStrings{
    {"length", [](const Json& a) -> Value { return strings::length(input_of(a), a.value("unit", "BYTE")); }},
    {"upper", [](const Json& a) -> Value { return strings::upper(input_of(a)); }},
    {"lower", [](const Json& a) -> Value { return strings::lower(input_of(a)); }},
    {"strip", [](const Json& a) -> Value { return strings::strip(input_of(a)); }},
    {"upper_utf8", [](const Json& a) -> Value { return strings::upper(input_of(a), a.at("encoding")); }},
    {"lower_utf8", [](const Json& a) -> Value { return strings::lower(input_of(a), a.at("encoding")); }},
    {"split", [](const Json& a) -> Value { return strings::split(input_of(a), separator_of(a, "sep")); }},
    {"split_maxsplit", [](const Json& a) -> Value { return strings::split(input_of(a), separator_of(a, "sep"), a.at("maxsplit")); }},
    {"join", [](const Json& a) -> Value { return strings::join(tensors_of(a.at("inputs"), string), separator_of(a, "separator")); }},
    {"reduce_join", [](const Json& a) -> Value { return strings::reduce_join(input_of(a), axes_of(a), a.value("keepdims", false), separator_of(a, "separator")); }},
    {"substr", [](const Json& a) -> Value { return strings::substr(input_of(a), a.at("pos").get<std::int64_t>(), a.at("len").get<std::int64_t>(), a.value("unit", "BYTE")); }},
    {"regex_replace", [](const Json& a) -> Value { return strings::regex_replace(input_of(a), text_of(a.at("pattern")), text_of(a.at("rewrite")), a.value("replace_global", true)); }},
    {"regex_full_match", [](const Json& a) -> Value { return strings::regex_full_match(input_of(a), text_of(a.at("pattern"))); }},
    {"to_number", [](const Json& a) -> Value { return strings::to_number(input_of(a), dtype_from_name(a.value("out_type", std::string("float32")))); }},
    {"as_string", as_string},
    {"to_hash_bucket_fast", [](const Json& a) -> Value { return strings::to_hash_bucket_fast(input_of(a), a.at("num_buckets")); }},
    {"to_hash_bucket_strong", [](const Json& a) -> Value { return strings::to_hash_bucket_strong(input_of(a), a.at("num_buckets"), ints_of(a.at("key"))); }},
    {"to_hash_bucket", [](const Json& a) -> Value { return strings::to_hash_bucket(input_of(a), a.at("num_buckets")); }},
    {"equal", [](const Json& a) -> Value { return equal(input_of(a), tensor_of(a.at("other"), string)); }},
    {"unicode_encode", [](const Json& a) -> Value { return strings::unicode_encode(tensor_of(a.at("codepoints"), int32), with_errors(a)); }},
    {"unicode_decode", [](const Json& a) -> Value { return strings::unicode_decode(input_of(a), with_errors(a)); }},
    {"unicode_decode_bad", [](const Json& a) -> Value { return strings::unicode_decode(input_of(a), with_errors(a)); }},
    {"unicode_decode_strict", [](const Json& a) -> Value { return strings::unicode_decode(input_of(a), with_errors(a)); }},
    {"unicode_split", [](const Json& a) -> Value { return strings::unicode_split(input_of(a)); }},
    {"add", [](const Json& a) -> Value { return add(tensor_of(a.at("inputs")[0], string), tensor_of(a.at("inputs")[1], string)); }},
    {"constant", [](const Json& a) -> Value { return constant(text_of(a.at("input"))); }},
};

// ---- ragged

Tensor literal_like(const Json& value, DType dtype) { return tensor_of(value, dtype); }

Value ragged_add(const Json& a) {
  const RaggedTensor x = ragged_of(a.at("input"));
  if (a.at("other").is_object() && a.at("other").contains("ragged")) return x + ragged_of(a.at("other"));
  return x + RaggedTensor(literal_like(a.at("other"), x.dtype()));
}

Value ragged_to_tensor(const Json& a) {
  const RaggedTensor x = ragged_of(a.at("input"));
  Ints shape;
  if (a.contains("shape"))
    for (const Json& size : a.at("shape")) shape.push_back(size.is_null() ? -1 : size.get<std::int64_t>());
  return x.to_tensor(shape, a.contains("default_value") ? literal_like(a.at("default_value"), x.dtype()) : Tensor());
}

Value ragged_from_tensor(const Json& a) {
  const Tensor x = tensor_of(a.at("input"));
  if (a.contains("padding") && !a.at("padding").is_null()) return RaggedTensor::from_tensor_with_padding(x, literal_like(a.at("padding"), x.dtype()));
  if (a.contains("lengths") && !a.at("lengths").is_null()) return RaggedTensor::from_tensor_with_lengths(x, tensor_of(a.at("lengths")));
  return RaggedTensor::from_tensor(x, a.value("ragged_rank", 1));
}

Value map_flat_values(const Json& a) {
  static const std::map<std::string, Tensor (*)(const Tensor&)> functions{{"square", square}, {"neg", neg}, {"abs", abs}, {"exp", exp}};
  return ragged::map_flat_values(functions.at(a.at("fn").get<std::string>()), ragged_of(a.at("input")));
}

template <RaggedTensor (*Reduce)(const RaggedTensor&, const Axes&)>
Value ragged_reduce(const Json& a) {
  return Reduce(ragged_of(a.at("input")), axes_of(a));
}

const Group kRagged{
    {"row_splits", [](const Json& a) -> Value { return ragged_of(a.at("input")).row_splits(); }},
    {"row_lengths", [](const Json& a) -> Value { return ragged_of(a.at("input")).row_lengths(); }},
    {"value_rowids", [](const Json& a) -> Value { return ragged_of(a.at("input")).value_rowids(); }},
    {"values", [](const Json& a) -> Value { return ragged_of(a.at("input")).values(); }},
    {"bounding_shape", [](const Json& a) -> Value { return ragged_of(a.at("input")).bounding_shape(); }},
    {"index", [](const Json& a) -> Value { return indexed(ragged_of(a.at("input")), spec_of(a.at("spec"))); }},
    {"from_row_splits", [](const Json& a) -> Value { return RaggedTensor::from_row_splits(tensor_of(a.at("values")), tensor_of(a.at("row_splits"), int64)); }},
    {"from_row_lengths", [](const Json& a) -> Value { return RaggedTensor::from_row_lengths(tensor_of(a.at("values")), tensor_of(a.at("row_lengths"), int64)); }},
    {"from_value_rowids", [](const Json& a) -> Value { return RaggedTensor::from_value_rowids(tensor_of(a.at("values")), tensor_of(a.at("value_rowids"), int64), a.contains("nrows") ? std::optional(a.at("nrows").get<std::int64_t>()) : std::nullopt); }},
    {"concat", [](const Json& a) -> Value { return ragged::concat(raggeds_of(a.at("inputs")), a.at("axis")); }},
    {"stack", [](const Json& a) -> Value { return ragged::stack(raggeds_of(a.at("inputs")), a.value("axis", 0)); }},
    {"to_tensor", ragged_to_tensor},
    {"from_tensor", ragged_from_tensor},
    {"reduce_sum", ragged_reduce<ragged::reduce_sum>},
    {"reduce_mean", ragged_reduce<ragged::reduce_mean>},
    {"reduce_max", ragged_reduce<ragged::reduce_max>},
    {"reduce_min", ragged_reduce<ragged::reduce_min>},
    {"reduce_prod", ragged_reduce<ragged::reduce_prod>},
    {"add", ragged_add},
    {"map_flat_values", map_flat_values},
    {"boolean_mask", [](const Json& a) -> Value { return ragged::boolean_mask(ragged_of(a.at("input")), ragged_of(a.at("mask"))); }},
    {"to_sparse", [](const Json& a) -> Value { return ragged::to_sparse(ragged_of(a.at("input"))); }},
    {"strings_upper", [](const Json& a) -> Value { return ragged::map_flat_values([](const Tensor& x) { return strings::upper(x); }, ragged_of(a.at("input"))); }},
    {"gather", [](const Json& a) -> Value { return ragged::gather(ragged_of(a.at("input")), tensor_of(a.at("indices"))); }},
    {"tile", [](const Json& a) -> Value { return ragged::tile(ragged_of(a.at("input")), ints_of(a.at("multiples"))); }},
    {"range", [](const Json& a) -> Value { return ragged::range(tensor_of(a.at("limits"))); }},
};

// ---- sparse

template <Tensor (*Reduce)(const SparseTensor&, const Axes&, bool)>
Value sparse_reduce(const Json& a) {
  return Reduce(sparse_of(a.at("input")), axes_of(a), a.value("keepdims", false));
}

Value sparse_to_dense(const Json& a) {
  const SparseTensor x = sparse_of(a.at("input"));
  return sparse::to_dense(x, a.contains("default_value") ? literal_like(a.at("default_value"), x.dtype()) : Tensor());
}

/// There is no such sum: it does not compile.
template <class T>
Value add_number(const T& x, const Json& number) {
  if constexpr (requires { x + number.get<double>(); }) return x + number.get<double>();
  else throw TypeError("a sparse tensor plus a number does not compile");
}

const Group kSparse{
    {"to_dense", sparse_to_dense},
    {"to_dense_unordered", sparse_to_dense},
    {"bad_index", [](const Json& a) -> Value { return sparse::to_dense(SparseTensor(indices_of(a.at("indices"), a.at("shape").size()), tensor_of(a.at("values")), shape_of(a.at("shape")))); }},
    {"reorder", [](const Json& a) -> Value { return sparse::reorder(sparse_of(a.at("input"))); }},
    {"multiply_scalar", [](const Json& a) -> Value { return sparse_of(a.at("input")) * Scalar(a.at("other").get<double>()); }},
    {"add_scalar", [](const Json& a) -> Value { return add_number(sparse_of(a.at("input")), a.at("other")); }},
    {"add", [](const Json& a) -> Value { return sparse::add(sparse_of(a.at("input")), sparse_of(a.at("other"))); }},
    {"sparse_dense_matmul", [](const Json& a) -> Value { return sparse::matmul(sparse_of(a.at("input")), tensor_of(a.at("dense")), {.adjoint_a = a.value("adjoint_a", false), .adjoint_b = a.value("adjoint_b", false)}); }},
    {"from_dense", [](const Json& a) -> Value { return sparse::from_dense(tensor_of(a.at("input"))); }},
    {"slice", [](const Json& a) -> Value { return sparse::slice(sparse_of(a.at("input")), ints_of(a.at("start")), ints_of(a.at("size"))); }},
    {"transpose", [](const Json& a) -> Value { return sparse::transpose(sparse_of(a.at("input")), a.contains("perm") && !a.at("perm").is_null() ? Axes(ints_of(a.at("perm"))) : Axes()); }},
    {"concat", [](const Json& a) -> Value { return sparse::concat(sparses_of(a.at("inputs")), a.at("axis")); }},
    {"reshape", [](const Json& a) -> Value { return sparse::reshape(sparse_of(a.at("input")), ints_of(a.at("shape"))); }},
    {"retain", [](const Json& a) -> Value {
       const SparseTensor x = sparse_of(a.at("input"));
       return sparse::retain(x, x.values() > Scalar(std::stod(a.at("mask").get<std::string>().substr(std::string("values > ").size()))));
     }},
    {"reduce_sum", sparse_reduce<sparse::reduce_sum>},
    {"reduce_max", sparse_reduce<sparse::reduce_max>},
    {"fill_empty_rows", [](const Json& a) -> Value {
       const SparseTensor x = sparse_of(a.at("input"));
       return sparse::fill_empty_rows(x, literal_like(a.at("default_value"), x.dtype())).first;
     }},
    {"softmax", [](const Json& a) -> Value { return sparse::softmax(sparse_of(a.at("input"))); }},
    {"embedding_lookup_sparse", [](const Json& a) -> Value { return sparse::embedding_lookup_sparse(tensor_of(a.at("params")), sparse_of(a.at("ids")), {}, a.value("combiner", "mean")); }},
};

// ---- sets

template <SparseTensor (*Operation)(const Tensor&, const Tensor&), bool Dense>
Value set_operation(const Json& a) {
  const SparseTensor result = Operation(tensor_of(a.at("a")), tensor_of(a.at("b")));
  if constexpr (Dense) return sparse::to_dense(result);
  else return result;
}
SparseTensor union_of(const Tensor& a, const Tensor& b) { return sets::set_union(a, b); }
SparseTensor difference_of(const Tensor& a, const Tensor& b) { return sets::difference(a, b); }
SparseTensor intersection_of(const Tensor& a, const Tensor& b) { return sets::intersection(a, b); }

const Group kSets{
    {"union", set_operation<union_of, false>},
    {"union_dense", set_operation<union_of, true>},
    {"difference", set_operation<difference_of, false>},
    {"difference_dense", set_operation<difference_of, true>},
    {"intersection", set_operation<intersection_of, false>},
    {"intersection_dense", set_operation<intersection_of, true>},
    {"size", [](const Json& a) -> Value { return sets::size(sets::set_union(tensor_of(a.at("a")), tensor_of(a.at("b")))); }},
};

/// Every case of these groups is one call. Traced, its tensors are the function's arguments.
void check_call(const Group& calls, const Json& step) {
  const auto call = calls.find(step.at("call").get<std::string>());
  if (call == calls.end()) throw Mismatch("there is no call " + step.at("call").dump());
  check_step(step, [&] { return call->second(step.at("args")); });
  check_traced(step, [&] { return call->second(step.at("args")); });
}

}  // namespace

void check_data_structures(const Case& c) {
  static const std::map<std::string, Group> groups{{"strings", kStrings}, {"ragged", kRagged}, {"sparse", kSparse}, {"sets", kSets}};
  const std::string group = c.spec.at("group");
  if (group == "tensor_array") return check_tensor_array(c.spec.at("steps"));
  if (group == "queue") return check_queue(c.spec.at("steps"));
  if (group == "variable") return check_variable(c.spec.at("steps"));
  const auto calls = groups.find(group);
  if (calls == groups.end()) throw Mismatch("there is no group " + group);
  for (const Json& step : c.spec.at("steps")) check_call(calls->second, step);
}

}  // namespace golden
