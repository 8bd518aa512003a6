// The cell behind a Variable. Its tensor is replaced, never written to while anybody else holds it; in eager mode a compound
// assignment (assign_add, scatter_add, a slice) happens under the cell's lock, so that none is lost between threads.

#include <lockstep/tensor/variable.h>

#include <array>
#include <mutex>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/print.h>

namespace lockstep {

struct Variable::Cell {
  std::mutex mutex;
  Tensor value;
  TensorSpec spec;
  std::string path;
  bool trainable = true;
  StateKind kind = StateKind::replicated;
};

namespace {

/// The elements under an id of their own: a variable's tensor is never also the output of an op on some tape.
Tensor own(const Tensor& value) { return Tensor::view(value, value.shape()); }

void require_concrete(const Tensor& value, const std::string& path, const char* what) {
  if (!value.defined()) throw InvalidArgumentError("an undefined Tensor cannot be the value of variable '" + path + "'", what);
  if (value.is_symbolic())
    throw FailedPreconditionError("the value for variable '" + path + "' belongs to a traced function, but is used outside of it", what,
                                  "assign inside the function, or return the value from it");
}

/// Runs `op` on the variable's value and `operands` and makes the result the value: as ops of the trace, or at once under the lock.
const Variable& update(const Variable& variable, const OpDef& op, std::initializer_list<Tensor> operands, const AttrList& attrs = {}) {
  SmallVector<Tensor, 4> inputs;
  if (Tracer* tracer = listeners().tracer) {
    inputs.push_back(tracer->read(variable));
    inputs.append(operands.begin(), operands.end());
    tracer->assign(variable, apply(op, inputs, attrs));
    return variable;
  }
  for (const Tensor& operand : operands) require_concrete(operand, variable.path(), op.name.data());
  Variable::Lock lock(variable);
  inputs.push_back(lock.value());
  inputs.append(operands.begin(), operands.end());
  lock.value() = std::move(compute(op, inputs, attrs).front());
  return variable;
}

/// The part of the variable that `spec` names becomes `op` of it and `value`, in one piece.
void update_part(const Variable& variable, const IndexList& spec, const OpDef& op, const Tensor& value) {
  static const OpDef &read = find_op("strided_slice"), &write = find_op("tensor_strided_slice_update");
  const AttrList attrs{{"spec", spec}};
  if (listeners().tracer) {
    update(variable, write, {apply(op, {apply(read, {variable.value()}, attrs), value})}, attrs);
    return;
  }
  require_concrete(value, variable.path(), op.name.data());
  Variable::Lock lock(variable);
  const Tensor part = compute(read, std::array{lock.value()}, attrs).front();
  lock.value() = std::move(compute(write, std::array{lock.value(), compute(op, std::array{part, value}, {}).front()}, attrs).front());
}

Tensor column(const Tensor& indices) { return expand_dims(indices, -1); }

}  // namespace

Variable::Variable(const Tensor& initial) : Variable(initial, Options()) {}

Variable::Variable(const Tensor& initial, Options options) : cell_(std::make_shared<Cell>()) {
  cell_->path = options.path.empty() ? "Variable" : std::move(options.path);
  require_concrete(initial, cell_->path, "Variable");
  cell_->value = own(placed(initial));
  cell_->spec = initial.spec();
  cell_->trainable = options.trainable;
  cell_->kind = options.kind;
  if (Tracer* tracer = listeners().tracer) tracer->on_create(*this);
}

const std::string& Variable::path() const { return cell_->path; }
void Variable::rename(std::string path) const { cell_->path = std::move(path); }
bool Variable::trainable() const { return cell_->trainable; }
StateKind Variable::kind() const { return cell_->kind; }
DType Variable::dtype() const { return cell_->spec.dtype; }
const Shape& Variable::shape() const { return cell_->spec.shape; }

Tensor Variable::peek() const {
  const std::scoped_lock lock(cell_->mutex);
  return cell_->value;
}

void Variable::poke(Tensor value) const {
  const std::scoped_lock lock(cell_->mutex);
  if (!(value.device() == cell_->value.device())) [[unlikely]] value = to(value, cell_->value.device());
  cell_->value = std::move(value);
}

Tensor Variable::value() const {
  ThreadListeners& thread = listeners();
  Tensor result = thread.tracer ? thread.tracer->read(*this) : peek();
  for (Observer* observer : thread.observers) observer->on_read(*this, result);
  return result;
}

void Variable::check(const Tensor& value, const char* what) const {
  if (!value.defined()) throw InvalidArgumentError("an undefined Tensor cannot be assigned to variable '" + path() + "'", what);
  if (value.dtype() != dtype())
    throw TypeError("variable '" + path() + "' is " + to_string(cell_->spec) + ", the value is " + to_string(value.spec()), what,
                    "there are no implicit casts: use cast");
  if (value.shape().known() && value.shape() != shape())
    throw InvalidArgumentError("variable '" + path() + "' has shape " + to_string(shape()) + ", the value has " + to_string(value.shape()), what);
}

const Variable& Variable::assign(const Tensor& value) const {
  check(value, "assign");
  if (Tracer* tracer = listeners().tracer) {
    tracer->assign(*this, value);
    return *this;
  }
  require_concrete(value, path(), "assign");
  poke(own(value));
  return *this;
}

const Variable& Variable::assign(const Scalar& value) const { return assign(full(shape(), value, dtype())); }

const Variable& Variable::assign_add(const Tensor& delta) const {
  check(delta, "assign_add");
  static const OpDef& op = find_op("add");
  return update(*this, op, {delta});
}

const Variable& Variable::assign_add(const Scalar& delta) const {
  static const OpDef& op = find_op("add");
  return update(*this, op, {scalar(delta, dtype())});
}

const Variable& Variable::assign_sub(const Tensor& delta) const {
  check(delta, "assign_sub");
  static const OpDef& op = find_op("subtract");
  return update(*this, op, {delta});
}

const Variable& Variable::assign_sub(const Scalar& delta) const {
  static const OpDef& op = find_op("subtract");
  return update(*this, op, {scalar(delta, dtype())});
}

VariableSlice Variable::operator[](std::initializer_list<Index> spec) const { return {*this, IndexList(spec)}; }
VariableSlice Variable::operator[](const Index& index) const { return {*this, IndexList{index}}; }

const Variable& Variable::scatter_update(const Tensor& indices, const Tensor& updates) const { return scatter_nd_update(column(indices), updates); }
const Variable& Variable::scatter_add(const Tensor& indices, const Tensor& updates) const { return scatter_nd_add(column(indices), updates); }
const Variable& Variable::scatter_sub(const Tensor& indices, const Tensor& updates) const { return scatter_nd_sub(column(indices), updates); }

const Variable& Variable::scatter_max(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_max");
  return update(*this, op, {column(indices), updates});
}

const Variable& Variable::scatter_min(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_min");
  return update(*this, op, {column(indices), updates});
}

const Variable& Variable::scatter_mul(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_mul");
  return update(*this, op, {column(indices), updates});
}

const Variable& Variable::scatter_div(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_div");
  return update(*this, op, {column(indices), updates});
}

const Variable& Variable::scatter_nd_update(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_update");
  return update(*this, op, {indices, updates});
}

const Variable& Variable::scatter_nd_add(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_add");
  return update(*this, op, {indices, updates});
}

const Variable& Variable::scatter_nd_sub(const Tensor& indices, const Tensor& updates) const {
  static const OpDef& op = find_op("tensor_scatter_sub");
  return update(*this, op, {indices, updates});
}

Variable::Lock::Lock(const Variable& variable) : cell_(variable.cell_.get()) { cell_->mutex.lock(); }
Variable::Lock::~Lock() {
  if (cell_) cell_->mutex.unlock();
}
Tensor& Variable::Lock::value() const { return cell_->value; }

Tensor VariableSlice::value() const { return strided_slice(variable_.value(), spec_); }

void VariableSlice::assign(const Tensor& value) const {
  static const OpDef& op = find_op("tensor_strided_slice_update");
  update(variable_, op, {value}, {{"spec", spec_}});
}

void VariableSlice::assign(const Scalar& value) const { assign(scalar(value, variable_.dtype())); }
void VariableSlice::assign_add(const Tensor& value) const {
  static const OpDef& op = find_op("add");
  update_part(variable_, spec_, op, value);
}

void VariableSlice::assign_sub(const Tensor& value) const {
  static const OpDef& op = find_op("subtract");
  update_part(variable_, spec_, op, value);
}

std::string to_string(const Variable& variable) {
  if (!variable.defined()) return "<Variable undefined>";
  return "<Variable path=" + variable.path() + " shape=" + to_string(variable.shape()) + " dtype=" + std::string(name(variable.dtype())) +
         " value=\n" + array_to_string(variable.peek()) + ">";
}

}  // namespace lockstep
