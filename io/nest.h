#pragma once
// Nest: an element whose tensors have names or stand in groups, as tf.data's nested tuples and dictionaries. Streams carry the tensors flat, in one row;
// the Structure beside them says how they belong together.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lockstep/tensor/ragged.h>
#include <lockstep/tensor/sparse.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// How the tensors of an element belong together: one tensor, rows of unequal lengths, a sparse tensor, a tuple or a map of structures.
struct Structure {
  enum class Kind { tensor, ragged, sparse, tuple, map };
  Kind kind = Kind::tensor;
  int splits = 0;                         // ragged: vectors of row splits, the outermost first; they follow the values
  std::vector<std::string> names = {};    // of a map's parts
  std::vector<Structure> parts = {};
  /// Of `count` tensors that nobody named: one alone, or a tuple of them.
  static Structure flat(std::size_t count);
  /// Tensors in an element of this structure.
  std::size_t width() const;
  friend bool operator==(const Structure&, const Structure&) = default;
};
/// "{a: tensor, b: (tensor, ragged)}"
std::string to_string(const Structure& structure);

/// A tensor, rows of unequal lengths, a sparse tensor, or a tuple or map of nests. A value.
class Nest {
 public:
  Nest() = default;
  Nest(Tensor tensor) : tensors_{std::move(tensor)} {}
  Nest(const RaggedTensor& rows);
  Nest(const SparseTensor& sparse) : Nest(Nest::sparse(sparse.indices(), sparse.values(), sparse.dense_shape())) {}
  /// A map: Nest{{"image", image}, {"label", label}}.
  Nest(std::initializer_list<std::pair<std::string, Nest>> parts) : Nest(map({parts.begin(), parts.end()})) {}
  /// Throws InvalidArgumentError for a name that is there twice.
  static Nest map(std::vector<std::pair<std::string, Nest>> parts);
  static Nest tuple(const std::vector<Nest>& parts);
  /// Row i of the outermost axis is values [splits[i], splits[i + 1]) of the next one, and so on (tf.RaggedTensor.from_nested_row_splits).
  static Nest ragged(Tensor values, const std::vector<Tensor>& splits);
  /// indices int64 (n, ndim), values (n,), shape int64 (ndim,).
  static Nest sparse(Tensor indices, Tensor values, Tensor shape);
  /// These tensors as `structure` says. Throws InvalidArgumentError for another number of them.
  static Nest pack(Tensors tensors, Structure structure);

  const Structure& structure() const { return structure_; }
  /// All tensors in one row, as a stream carries them.
  const Tensors& flat() const { return tensors_; }
  bool is_tensor() const { return structure_.kind == Structure::Kind::tensor; }
  /// Throws TypeError unless this is one tensor.
  const Tensor& tensor() const;
  bool is_ragged() const { return structure_.kind == Structure::Kind::ragged; }
  bool is_sparse() const { return structure_.kind == Structure::Kind::sparse; }
  /// Of rows of unequal lengths or of a sparse tensor. Throw TypeError for others.
  const Tensor& values() const;
  std::vector<Tensor> splits() const;
  const Tensor& indices() const;
  const Tensor& dense_shape() const;
  /// As the values of the engine. Throw TypeError for others.
  RaggedTensor ragged_tensor() const;
  SparseTensor sparse_tensor() const { return SparseTensor(indices(), values(), dense_shape()); }
  /// Parts of a tuple or a map.
  std::size_t size() const { return structure_.parts.size(); }
  /// Part `index`. Throws IndexError.
  Nest operator[](std::size_t index) const;
  /// The part of a map with this name. Throws NotFoundError that suggests the nearest.
  Nest operator[](std::string_view name) const;
  Nest operator[](const char* name) const { return (*this)[std::string_view(name)]; }

 private:
  Nest(Tensors tensors, Structure structure) : tensors_(std::move(tensors)), structure_(std::move(structure)) {}
  Tensors tensors_;
  Structure structure_;
};

namespace detail {
/// The structure of a dataset's elements: known from the start, or from the first element that a function returned.
class StructureCell {
 public:
  StructureCell() = default;
  explicit StructureCell(Structure structure) : known_(std::move(structure)) {}
  /// `find` is asked once, when somebody wants to know before there was an element; it may call set().
  explicit StructureCell(std::function<std::optional<Structure>()> find) : find_(std::move(find)) {}
  void look_with(std::function<std::optional<Structure>()> find) { find_ = std::move(find); }
  /// None: nobody named anything.
  std::optional<Structure> get() const;
  /// What a function returned. Throws InvalidArgumentError for another structure than that of an earlier element.
  void set(const Structure& structure);

 private:
  mutable std::mutex mutex_;
  mutable std::optional<Structure> known_;
  mutable bool asked_ = false;  // find_, which may not have found anything
  std::function<std::optional<Structure>()> find_;
};
using StructurePtr = std::shared_ptr<StructureCell>;
}  // namespace detail

}  // namespace lockstep::io
