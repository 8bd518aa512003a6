#pragma once
// Variable: a named cell that holds a tensor. Assigning replaces the tensor, so tensors read before keep their elements.

#include <cstdint>
#include <memory>
#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// How ranks agree on a variable: equal everywhere; each holds a summand (metric state); each owns a part.
enum class StateKind : std::uint8_t { replicated, summed, sharded };

class VariableSlice;

/// A handle: copies refer to the same cell. Reading and assigning are thread-safe; an assignment is seen whole or not at all.
class Variable {
 public:
  struct Options {
    /// Stable path in the state tree ("model/dense_1/kernel"); empty: "Variable".
    std::string path = {};
    bool trainable = true;
    StateKind kind = StateKind::replicated;
  };

  Variable() = default;
  explicit Variable(const Tensor& initial);
  Variable(const Tensor& initial, Options options);

  bool defined() const { return cell_ != nullptr; }
  const std::string& path() const;
  bool trainable() const;
  StateKind kind() const;
  DType dtype() const;
  const Shape& shape() const;
  int ndim() const { return shape().ndim(); }
  /// The present value. Tapes record the reading; inside a traced function it is the symbolic state at this point.
  Tensor value() const;
  operator Tensor() const { return value(); }
  /// Same cell?
  friend bool operator==(const Variable& a, const Variable& b) { return a.cell_ == b.cell_; }
  /// Identity of the cell, for maps.
  const void* key() const { return cell_.get(); }

  /// Each throws InvalidArgumentError (TypeError) for another shape (dtype) than the variable's; the variable is then unchanged.
  /// A literal takes the variable's dtype and is broadcast.
  const Variable& assign(const Tensor& value) const;
  const Variable& assign(const Scalar& value) const;
  const Variable& assign_add(const Tensor& delta) const;
  const Variable& assign_add(const Scalar& delta) const;
  const Variable& assign_sub(const Tensor& delta) const;
  const Variable& assign_sub(const Scalar& delta) const;

  /// A part of the variable that can be read and assigned, as `v[{0, 1}].assign(42)`; plain assignment does not compile.
  VariableSlice operator[](std::initializer_list<Index> spec) const;
  VariableSlice operator[](const Index& index) const;

  /// Rows `indices` of axis 0 are replaced by (added to, ...) the rows of `updates`; repeated indices: the last one wins (all add).
  const Variable& scatter_update(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_add(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_sub(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_max(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_min(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_mul(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_div(const Tensor& indices, const Tensor& updates) const;
  /// As tensor_scatter_update and its kin: `indices` (n, depth) name cells or slices.
  const Variable& scatter_nd_update(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_nd_add(const Tensor& indices, const Tensor& updates) const;
  const Variable& scatter_nd_sub(const Tensor& indices, const Tensor& updates) const;

  /// Gives the variable its place in the state tree; whoever owns it calls this before anybody else looks at the path.
  void rename(std::string path) const;

  /// The engine's own access, unseen by tapes and traces: the present value (shared), and its replacement.
  Tensor peek() const;
  void poke(Tensor value) const;

  struct Cell;  // defined in variable.cpp

  /// Holds the cell: nobody else reads or assigns the variable meanwhile, so whoever finds its value unique() may write in place.
  class Lock {
   public:
    explicit Lock(const Variable& variable);
    Lock(Lock&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
    Lock& operator=(Lock&&) = delete;
    ~Lock();
    Tensor& value() const;

   private:
    Cell* cell_;
  };

 private:
  void check(const Tensor& value, const char* what) const;
  std::shared_ptr<Cell> cell_;
};

/// The part of a variable that an index expression names; made by Variable::operator[], valid while that expression is.
class VariableSlice {
 public:
  VariableSlice(Variable variable, IndexList spec) : variable_(std::move(variable)), spec_(std::move(spec)) {}
  VariableSlice(const VariableSlice&) = delete;
  VariableSlice& operator=(const VariableSlice&) = delete;
  /// The values there.
  Tensor value() const;
  operator Tensor() const { return value(); }
  /// Replaces (adds to, subtracts from) the part; `value` is broadcast to the part's shape. Throws as Variable::assign and IndexError.
  void assign(const Tensor& value) const;
  void assign(const Scalar& value) const;
  void assign_add(const Tensor& value) const;
  void assign_sub(const Tensor& value) const;

 private:
  Variable variable_;
  IndexList spec_;
};

/// "<Variable path=w shape=(2, 3) dtype=float32 value=...>"
std::string to_string(const Variable& variable);

}  // namespace lockstep
