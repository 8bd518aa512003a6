// Looking up rows, checking a call against its row, and the contexts' access to attributes.

#include <lockstep/tensor/op.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <shared_mutex>

#include <lockstep/tensor/ops/table.h>

namespace lockstep {
namespace {

std::string describe(std::span<const TensorSpec* const> inputs) {
  if (inputs.empty()) return {};
  std::string text = "; operands: ";
  for (std::size_t i = 0; i < inputs.size(); ++i) text.append(i ? ", " : "").append(to_string(*inputs[i]));
  return text;
}

std::string suggestion(const std::string& near) { return near.empty() ? std::string() : "did you mean '" + near + "'?"; }

struct Table {
  std::vector<OpDef> rows;
  std::map<std::string_view, const OpDef*> by_name;
  std::shared_mutex mutex;
  static constexpr std::size_t kRoom = 64;  // for families of later rooms: rows do not move
  Table() {
    std::vector<OpDef> own = all_rows();
    rows.reserve(own.size() + kRoom);
    extend(std::move(own));
  }
  void extend(std::vector<OpDef> more) {
    const std::unique_lock lock(mutex);
    if (rows.size() + more.size() > rows.capacity()) throw InternalError("the op table has no room for " + std::to_string(more.size()) + " more rows");
    for (OpDef& row : more) {
      rows.push_back(std::move(row));
      add(rows.back().name, rows.back());
      for (const std::string_view alias : rows.back().aliases) add(alias, rows.back());
    }
  }
  void add(std::string_view name, const OpDef& row) {
    if (!by_name.emplace(name, &row).second) throw InternalError("the op table has two rows named '" + std::string(name) + "'");
  }
};

Table& table() {
  static auto* instance = new Table;  // rows are referred to from graphs and tapes of static objects
  return *instance;
}

/// Does `value` fit the declared type? An int is accepted where a number or a list is declared.
bool fits(AttrType type, const AttrValue& value) {
  const bool none = std::holds_alternative<None>(value), integer = std::holds_alternative<std::int64_t>(value),
             list = std::holds_alternative<Ints>(value);
  switch (type) {
    case AttrType::boolean: return std::holds_alternative<bool>(value);
    case AttrType::integer: return integer;
    case AttrType::number: return integer || std::holds_alternative<double>(value) || std::holds_alternative<bool>(value);
    case AttrType::string: return std::holds_alternative<std::string>(value);
    case AttrType::dtype: return std::holds_alternative<DType>(value);
    case AttrType::axis: return none || integer;
    case AttrType::axes: return none || integer || list;
    case AttrType::ints: return integer || list;
    case AttrType::int_lists: return std::holds_alternative<IntLists>(value);
    case AttrType::index: return std::holds_alternative<IndexList>(value);
    case AttrType::object: return none || std::holds_alternative<std::shared_ptr<const AttrObject>>(value);
    case AttrType::any: return true;
  }
  return false;
}

}  // namespace

std::span<const OpDef> op_table() {
  const std::shared_lock lock(table().mutex);
  return table().rows;
}

void extend_op_table(std::vector<OpDef> rows) { table().extend(std::move(rows)); }

const OpDef& find_op(std::string_view name) {
  const std::shared_lock lock(table().mutex);
  const auto& by_name = table().by_name;
  const auto found = by_name.find(name);
  if (found != by_name.end()) return *found->second;
  std::vector<std::string_view> names;
  for (const auto& entry : by_name) names.push_back(entry.first);
  throw NotFoundError("there is no op named '" + std::string(name) + "'", {}, suggestion(nearest_name(name, names)));
}

const AttrValue& OpCall::attr(std::string_view name) const {
  for (const Attr& given : attrs_)
    if (given.name == name) return given.value;
  for (const AttrDef& declared : op_.attrs)
    if (declared.name == name) return declared.fallback;
  throw InternalError("the row declares no attribute '" + std::string(name) + "'", op_.name);
}

double OpCall::number(std::string_view name) const { return scalar(name).real(); }

Scalar OpCall::scalar(std::string_view name) const {
  const AttrValue& value = attr(name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  return std::get<double>(value);
}

Ints OpCall::ints(std::string_view name) const {
  const AttrValue& value = attr(name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return {*integer};
  return std::get<Ints>(value);
}

void OpCall::refuse(std::string_view message, std::string_view hint) const { throw InvalidArgumentError(message, op_.name, hint); }

void InferContext::refuse(std::string_view message, std::string_view hint) const {
  throw InvalidArgumentError(std::string(message) + describe(inputs_), op().name, hint);
}

void InferContext::refuse_type(std::string_view message, std::string_view hint) const {
  throw TypeError(std::string(message) + describe(inputs_), op().name, hint);
}

AttrList canonical_attrs(const OpDef& op, AttrList attrs) {
  AttrList ordered;
  for (const AttrDef& declared : op.attrs) {
    auto given = std::find_if(attrs.begin(), attrs.end(), [&](const Attr& attr) { return attr.name == declared.name; });
    if (given == attrs.end()) {
      if (declared.required) throw InvalidArgumentError("attribute '" + std::string(declared.name) + "' is missing", op.name);
      ordered.push_back({declared.name, declared.fallback});
      continue;
    }
    if (!fits(declared.type, given->value) && !(given->value == declared.fallback))
      throw InvalidArgumentError("attribute '" + std::string(declared.name) + "' must be " + std::string(name(declared.type)) + ", got " +
                                     to_string(given->value), op.name);
    ordered.push_back({declared.name, std::move(given->value)});
    attrs.erase(given);
  }
  if (!attrs.empty()) {
    std::vector<std::string_view> names;
    for (const AttrDef& declared : op.attrs) names.push_back(declared.name);
    throw InvalidArgumentError("unknown attribute '" + std::string(attrs.front().name) + "'", op.name,
                               suggestion(nearest_name(attrs.front().name, names)));
  }
  return ordered;
}

SmallVector<TensorSpec, 3> infer(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec* const> inputs) {
  InferContext context(op, attrs, inputs);
  const int count = int(inputs.size());
  if (count < op.min_inputs || (op.max_inputs >= 0 && count > op.max_inputs)) {
    const std::string wanted = op.max_inputs == op.min_inputs ? std::to_string(op.min_inputs)
                               : op.max_inputs < 0            ? "at least " + std::to_string(op.min_inputs)
                                                              : std::to_string(op.min_inputs) + " to " + std::to_string(op.max_inputs);
    context.refuse("takes " + wanted + " operands, got " + std::to_string(count));
  }
  const std::vector<DTypeRule::Operand>& rules = op.dtypes.inputs;
  for (std::size_t i = 0; i < inputs.size() && !rules.empty(); ++i) {
    const DTypeRule::Operand& rule = rules[std::min(i, rules.size() - 1)];
    const DType dtype = inputs[i]->dtype;
    for (std::size_t j = 0; j < i && rule.group >= 0; ++j)
      if (rules[std::min(j, rules.size() - 1)].group == rule.group && inputs[j]->dtype != dtype)
        context.refuse_type("operands " + std::to_string(j) + " and " + std::to_string(i) + " must have one dtype, got " +
                                std::string(name(inputs[j]->dtype)) + " and " + std::string(name(dtype)),
                            "there are no implicit casts: use cast(x, " + std::string(name(inputs[j]->dtype)) + ")");
    if (!rule.allowed.contains(dtype))
      context.refuse_type("operand " + std::to_string(i) + " is " + std::string(name(dtype)) + ", but must be one of " + to_string(rule.allowed));
  }
  try {
    op.infer(context);
  } catch (const InvalidArgumentError& error) {
    if (!error.op().empty()) throw;
    context.refuse(error.what());  // a shape that overflows, a literal that does not fit: thrown where no op is known
  }
  return std::move(context.outputs);
}

}  // namespace lockstep
