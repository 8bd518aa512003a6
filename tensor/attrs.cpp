#include <lockstep/tensor/attrs.h>

#include <type_traits>

namespace lockstep {
namespace {

std::string list(const Ints& values) {
  std::string text = "[";
  for (std::size_t i = 0; i < values.size(); ++i) text.append(i ? ", " : "").append(std::to_string(values[i]));
  return text + "]";
}

}  // namespace

bool operator==(const Attr& a, const Attr& b) {
  if (a.name != b.name || a.value.index() != b.value.index()) return false;
  if (const auto* object = std::get_if<std::shared_ptr<const AttrObject>>(&a.value)) {
    const auto& other = std::get<std::shared_ptr<const AttrObject>>(b.value);
    return *object == other || (*object && other && (*object)->equals(*other));
  }
  return a.value == b.value;
}

std::string to_string(const AttrValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, None>) return "none";
        else if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
        else if constexpr (std::is_same_v<T, std::int64_t>) return std::to_string(v);
        else if constexpr (std::is_same_v<T, double>) return to_string(Scalar(v));
        else if constexpr (std::is_same_v<T, DType>) return std::string(name(v));
        else if constexpr (std::is_same_v<T, std::string>) return v;
        else if constexpr (std::is_same_v<T, Ints>) return list(v);
        else if constexpr (std::is_same_v<T, IndexList>) return to_string(v);
        else if constexpr (std::is_same_v<T, IntLists>) {
          std::string text = "[";
          for (std::size_t i = 0; i < v.size(); ++i) text.append(i ? ", " : "").append(list(v[i]));
          return text + "]";
        } else return v ? v->describe() : "none";
      },
      value);
}

std::string_view name(AttrType type) {
  switch (type) {
    case AttrType::boolean: return "bool";
    case AttrType::integer: return "int";
    case AttrType::number: return "number";
    case AttrType::string: return "string";
    case AttrType::dtype: return "dtype";
    case AttrType::axis: return "int or none";
    case AttrType::axes: return "int, list of ints or none";
    case AttrType::ints: return "list of ints";
    case AttrType::int_lists: return "list of int lists";
    case AttrType::index: return "index expression";
    case AttrType::object: return "object";
    case AttrType::any: return "any";
  }
  return "any";
}

}  // namespace lockstep
