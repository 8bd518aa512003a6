#include "structures.h"

#include <cmath>

namespace golden {

using namespace lockstep;

namespace {

/// The tensors that a step reads, in order: noted while it runs eagerly, replaced by the function's arguments while it is traced.
struct Leaves {
  std::vector<Tensor> seen;
  std::span<const Tensor> given;
  bool giving = false;
  std::size_t next = 0;
};
Leaves& leaves() {
  static Leaves instance;
  return instance;
}
Tensor leaf(const Tensor& tensor) {
  if (leaves().giving) return leaves().given[leaves().next++];
  leaves().seen.push_back(tensor);
  return tensor;
}

/// Innermost elements, row by row.
void flatten(const Json& json, std::vector<const Json*>& out) {
  if (!json.is_array()) return out.push_back(&json);
  for (const Json& each : json) flatten(each, out);
}

double number_of(const Json& json) {
  if (!json.is_string()) return json.get<double>();
  const std::string& word = json.get_ref<const std::string&>();
  return word == "NaN" ? NAN : word == "Infinity" ? INFINITY : -INFINITY;
}

DType dtype_of_elements(const std::vector<const Json*>& elements) {
  bool real = elements.empty();
  for (const Json* each : elements) {
    if (each->is_boolean()) return boolean;
    if (each->is_object()) return string;
    real = real || each->is_number_float() || each->is_string();
  }
  return real ? float32 : int32;
}

Tensor filled(const std::vector<const Json*>& elements, DType dtype, const Shape& shape) {
  Tensor result = Tensor::empty(shape, dtype);
  visit_dtype(dtype, [&]<class T>(TypeTag<T>) {
    T* to = static_cast<T*>(result.mutable_raw());
    for (const Json* each : elements) {
      if constexpr (std::is_same_v<T, std::string>) *to++ = text_of(*each);
      else if constexpr (std::is_same_v<T, bool>) *to++ = each->get<bool>();
      else if constexpr (std::is_integral_v<T>) *to++ = static_cast<T>(each->is_number_float() ? std::int64_t(each->get<double>()) : each->get<std::int64_t>());
      else if constexpr (std::is_floating_point_v<T>) *to++ = static_cast<T>(number_of(*each));
      else throw Mismatch("golden structures have no " + std::string(name(dtype)));
    }
  });
  return result;
}

Tensor parsed_tensor(const Json& json, std::optional<DType> dtype) {
  std::vector<const Json*> elements;
  if (json.is_object() && json.contains("tensor")) {
    flatten(json.at("tensor"), elements);
    return filled(elements, dtype_from_name(json.at("dtype").get<std::string>()), shape_of(json.at("shape")));
  }
  Shape shape;
  for (const Json* level = &json; level->is_array(); level = &level->front()) {
    shape.push_back(std::int64_t(level->size()));
    if (level->empty()) break;
  }
  flatten(json, elements);
  return filled(elements, dtype.value_or(dtype_of_elements(elements)), shape);
}

int depth_of(const Json& json) {
  if (!json.is_array()) return 0;
  int deepest = 0;
  for (const Json& each : json) deepest = std::max(deepest, depth_of(each));
  return deepest + 1;
}

RaggedTensor parsed_ragged(const Json& json, bool as_leaves) {
  const auto tensor = [&](const Tensor& x) { return as_leaves ? leaf(x) : x; };
  if (!json.is_object() || !json.contains("ragged")) return tensor(parsed_tensor(json, {}));
  const Json& rows = json.at("ragged");
  std::vector<std::vector<std::int64_t>> splits;
  std::vector<const Json*> level{&rows};
  for (int depth = std::max(2, depth_of(rows)); depth > 1; --depth) {  // without rows it is one of rows still
    std::vector<const Json*> next;
    for (const Json* each : level)
      for (const Json& child : *each) next.push_back(&child);
    std::vector<std::int64_t> ends{0};
    for (const Json* each : next) ends.push_back(ends.back() + std::int64_t(each->size()));
    splits.push_back(ends);
    level = next;
  }
  std::vector<const Json*> elements;
  flatten(rows, elements);
  const Tensor flat = tensor(filled(elements, dtype_from_name(json.at("dtype").get<std::string>()), {std::int64_t(elements.size())}));
  std::vector<Tensor> nested;
  for (const auto& ends : splits) nested.push_back(tensor(constant(ends)));
  return RaggedTensor::from_nested_row_splits(flat, nested);
}

void require_tensor(const std::string& what, const Tensor& actual, const Tensor& expected) {
  if (actual.spec() != expected.spec()) throw Mismatch(what + " is " + to_string(actual.spec()) + ", expected " + to_string(expected.spec()));
  if (actual.dtype() != string) return require_close(what, actual, expected, 1e-5, 1e-6);
  if (actual.to_vector<std::string>() != expected.to_vector<std::string>()) throw Mismatch(what + " is " + to_string(actual) + ", expected " + to_string(expected));
}

void require_sparse(const SparseTensor& actual, const Json& expected) {
  require_tensor("the values", actual.values(), parsed_tensor(expected.at("values"), {}));
  require_tensor("the indices", actual.indices(), indices_of(expected.at("indices"), expected.at("shape").size()));
  if (actual.shape() != shape_of(expected.at("shape"))) throw Mismatch("the shape is " + to_string(actual.shape()) + ", expected " + to_string(shape_of(expected.at("shape"))));
}

void require_value(const Value& actual, const Json& expected) {
  if (expected.is_null()) return;
  if (expected.is_object() && expected.contains("sparse")) return require_sparse(std::get<SparseTensor>(actual), expected.at("sparse"));
  const RaggedTensor value = std::holds_alternative<Tensor>(actual) ? RaggedTensor(std::get<Tensor>(actual)) : std::get<RaggedTensor>(actual);
  const RaggedTensor wanted = parsed_ragged(expected, false);
  if (value.ragged_rank() != wanted.ragged_rank()) throw Mismatch(to_string(value) + " has " + std::to_string(value.ragged_rank()) + " ragged axes, expected " + to_string(wanted));
  require_tensor("the result", value.flat_values(), wanted.flat_values());
  for (std::size_t i = 0; i < wanted.nested_row_splits().size(); ++i) require_tensor("row splits " + std::to_string(i), value.nested_row_splits()[i], wanted.nested_row_splits()[i]);
}

/// A value as the results of a function, and back.
Tensors to_tensors(const Value& value) {
  if (const auto* tensor = std::get_if<Tensor>(&value)) return {*tensor};
  if (const auto* sparse = std::get_if<SparseTensor>(&value)) return {sparse->indices(), sparse->values(), sparse->dense_shape()};
  const auto& ragged = std::get<RaggedTensor>(value);
  Tensors result{ragged.flat_values()};
  result.append(ragged.nested_row_splits().begin(), ragged.nested_row_splits().end());
  return result;
}
Value from_tensors(const Tensors& tensors, std::size_t kind) {
  if (kind == 1) return tensors[0];
  if (kind == 3) return SparseTensor(tensors[0], tensors[1], tensors[2]);
  return RaggedTensor::from_nested_row_splits(tensors[0], std::span<const Tensor>(tensors.begin() + 1, tensors.end()));
}

std::string decoded_base64(const std::string& text) {
  std::string bytes;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : text) {
    const int value = c >= 'A' && c <= 'Z' ? c - 'A' : c >= 'a' && c <= 'z' ? c - 'a' + 26 : c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
    if (value < 0) break;
    bits = bits << 6 | std::uint32_t(value);
    if ((have += 6) >= 8) bytes.push_back(static_cast<char>(bits >> (have -= 8) & 0xFF));
  }
  return bytes;
}

}  // namespace

std::string text_of(const Json& json) { return json.is_object() ? decoded_base64(json.at("b64").get<std::string>()) : json.get<std::string>(); }

Tensor tensor_of(const Json& json, std::optional<DType> dtype) { return leaf(parsed_tensor(json, dtype)); }
std::vector<Tensor> tensors_of(const Json& list, std::optional<DType> dtype) {
  std::vector<Tensor> result;
  for (const Json& each : list) result.push_back(tensor_of(each, dtype));
  return result;
}
RaggedTensor ragged_of(const Json& json) { return parsed_ragged(json, true); }
std::vector<RaggedTensor> raggeds_of(const Json& list) {
  std::vector<RaggedTensor> result;
  for (const Json& each : list) result.push_back(ragged_of(each));
  return result;
}
SparseTensor sparse_of(const Json& json) {
  const Json& parts = json.at("sparse");
  const Tensor indices = leaf(indices_of(parts.at("indices"), parts.at("shape").size()));
  return {indices, leaf(parsed_tensor(parts.at("values"), {})), shape_of(parts.at("shape"))};
}
std::vector<SparseTensor> sparses_of(const Json& list) {
  std::vector<SparseTensor> result;
  for (const Json& each : list) result.push_back(sparse_of(each));
  return result;
}

Tensor indices_of(const Json& json, std::size_t axes) {
  std::vector<std::int64_t> flat;
  for (const Json& index : json)
    for (const Json& each : index) flat.push_back(each.get<std::int64_t>());
  return constant(flat, Shape{std::int64_t(flat.size() / std::max<std::size_t>(axes, 1)), std::int64_t(axes)});
}
Shape shape_of(const Json& json) {
  Shape shape;
  for (const Json& size : json) shape.push_back(size.get<std::int64_t>());
  return shape;
}
Ints ints_of(const Json& json) {
  Ints result;
  for (const Json& each : json) result.push_back(each.get<std::int64_t>());
  return result;
}
Axes axes_of(const Json& args) {
  if (!args.contains("axis") || args.at("axis").is_null()) return {};
  if (args.at("axis").is_array()) return ints_of(args.at("axis"));
  return args.at("axis").get<std::int64_t>();
}

IndexList spec_of(const std::string& text) {
  IndexList spec;
  std::stringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::erase(part, ' ');
    if (part == "...") spec.push_back(ellipsis);
    else if (part.find(':') == std::string::npos) spec.push_back(Index(std::stoll(part)));
    else {
      std::optional<std::int64_t> bounds[3];
      std::size_t at = 0;
      for (int k = 0; k < 3 && at <= part.size(); ++k) {
        const std::size_t end = std::min(part.find(':', at), part.size());
        if (end > at) bounds[k] = std::stoll(part.substr(at, end - at));
        at = end + 1;
      }
      spec.push_back(slice(bounds[0], bounds[1], bounds[2]));
    }
  }
  return spec;
}

RaggedTensor indexed(const RaggedTensor& x, const IndexList& spec) { return ragged::strided_slice(x, spec); }

void check_step(const Json& step, const std::function<Value()>& run) {
  leaves() = {};
  if (step.contains("error")) return require_refusal(step.at("error").get<std::string>(), [&] { run(); });
  require_value(run(), step.value("expect", Json()));
}

void check_traced(const Json& step, const std::function<Value()>& run) {
  const std::vector<Tensor> arguments = leaves().seen;  // of the eager run just before
  std::size_t kind = 0;
  const auto traced = autodiff::function([&](std::span<const Tensor> given) {
    leaves() = {.seen = {}, .given = given, .giving = true};
    const Value value = run();
    kind = value.index();
    return to_tensors(value);
  });
  const auto call = [&] {
    const Tensors results = traced(std::span<const Tensor>(arguments));
    return from_tensors(results, kind);
  };
  try {
    if (step.contains("error")) return require_refusal(step.at("error").get<std::string>(), [&] { call(); });
    require_value(call(), step.value("expect", Json()));
  } catch (const UnimplementedError&) {
  } catch (const std::exception& error) {
    throw Mismatch(std::string("traced: ") + error.what());
  }
}

}  // namespace golden
