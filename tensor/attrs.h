#pragma once
// Attributes: the arguments of an op that are not tensors. A row of the op table declares them; a call carries them by name.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <lockstep/tensor/base/small_vector.h>
#include <lockstep/tensor/dtype.h>
#include <lockstep/tensor/index.h>
#include <lockstep/tensor/scalar.h>

namespace lockstep {

/// Something only the engine puts into a graph: a fused program, a branch of `cond`.
struct AttrObject {
  virtual ~AttrObject() = default;
  /// For printing graphs.
  virtual std::string describe() const = 0;
  /// Equal objects may be merged by common-subexpression elimination; by default only the same object is equal.
  virtual bool equals(const AttrObject& other) const { return this == &other; }
};

/// No value: "all axes", "not given".
using None = std::monostate;
/// A list of integer lists: paddings, axes pairs.
using IntLists = std::vector<Ints>;
using AttrValue = std::variant<None, bool, std::int64_t, double, DType, std::string, Ints, IntLists, IndexList, std::shared_ptr<const AttrObject>>;

/// What an attribute may hold. `axes` is none, an int or a list of ints; `number` an int, a double or a bool; `any` what the row's code accepts.
enum class AttrType : std::uint8_t { boolean, integer, number, string, dtype, axis, axes, ints, int_lists, index, object, any };

/// Declaration of an attribute in a row.
struct AttrDef {
  std::string_view name;
  AttrType type;
  AttrValue fallback = None{};
  /// A call that omits it is refused.
  bool required = false;
  std::string_view doc = {};
};

struct Attr {
  std::string_view name;  // points into the row, or to a literal
  AttrValue value;
  friend bool operator==(const Attr&, const Attr&);
};

/// The attributes of one call, in the order of the row once `canonical` has run.
using AttrList = SmallVector<Attr, 2>;

/// "2", "[0, 1]", "none", "float32"
std::string to_string(const AttrValue& value);
std::string_view name(AttrType type);

}  // namespace lockstep
