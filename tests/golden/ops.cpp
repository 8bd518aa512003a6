// ops.h5: every op, eager and through a traced function.

#include "case.h"

namespace golden {

using namespace lockstep;

namespace {

/// The row behind a name of the index: `where` with one operand is a row of its own.
const OpDef& row_of(const Case& c) { return find_op(c.op() == "where" && c.spec.at("inputs").size() == 1 ? "where_index" : c.op()); }

/// Q and R are unique up to signs: made so that R's diagonal is positive, as the reference has it.
void normalize_signs(Tensors& qr) {
  const Tensor signs = sign(diag_part(qr[1]));
  qr[0] = qr[0] * expand_dims(signs, -2);
  qr[1] = qr[1] * expand_dims(signs, -1);
}

void compare(const Case& c, Tensors outputs, const std::string& how) {
  const Json& expected = c.spec.at("outputs");
  if (outputs.size() != expected.size()) throw Mismatch(how + ": " + std::to_string(outputs.size()) + " outputs, expected " + std::to_string(expected.size()));
  if (c.op() == "qr") normalize_signs(outputs);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    require_close(how + ", output " + std::to_string(i), outputs[i], c.at("out" + std::to_string(i)), c.spec.at("rtol"), c.spec.at("atol"));
}

template <class F>
void require_error(const std::string& wanted, const std::string& how, F&& f) {
  try {
    f();
    synchronize(default_device());  // a GPU says so later
  } catch (const Error& error) {
    const bool right = wanted == "InvalidArgument" ? dynamic_cast<const InvalidArgumentError*>(&error) != nullptr
                       : wanted == "TypeError"     ? dynamic_cast<const TypeError*>(&error) != nullptr
                       : wanted == "IndexError"    ? dynamic_cast<const IndexError*>(&error) != nullptr
                                                   : false;
    if (!right) throw Mismatch(how + ": expected " + wanted + ", got another error: " + error.what());
    return;
  }
  accepted(how + ": expected " + wanted + ", but it was accepted");
}

}  // namespace

void check_op(const Case& c) {
  const OpDef& op = row_of(c);
  const std::vector<Tensor> inputs = c.inputs();
  const auto call = [&](std::span<const Tensor> operands) { return apply_named(op.name, operands, attributes(op, c.spec.at("attrs"))); };
  const auto traced = autodiff::function([&](std::span<const Tensor> operands) { return call(operands); });
  const std::span<const Tensor> operands(inputs);
  if (!c.spec.at("error").is_null()) {
    const std::string wanted = c.spec.at("error");
    require_error(wanted, "eager", [&] { call(operands); });
    require_error(wanted, "traced", [&] { traced(operands); });
    return;
  }
  compare(c, call(operands), "eager");
  compare(c, traced(operands), "traced");
}

}  // namespace golden
