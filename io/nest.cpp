#include <lockstep/io/nest.h>

#include <algorithm>

#include <lockstep/tensor/base/error.h>

namespace lockstep::io {

Structure Structure::flat(std::size_t count) {
  if (count == 1) return {};
  return {.kind = Kind::tuple, .parts = std::vector<Structure>(count)};
}

std::size_t Structure::width() const {
  if (kind == Kind::tensor) return 1;
  if (kind == Kind::sparse) return 3;
  if (kind == Kind::ragged) return 1 + std::size_t(splits);
  std::size_t total = 0;
  for (const Structure& part : parts) total += part.width();
  return total;
}

std::string to_string(const Structure& structure) {
  if (structure.kind == Structure::Kind::tensor) return "tensor";
  if (structure.kind == Structure::Kind::ragged) return "ragged";
  if (structure.kind == Structure::Kind::sparse) return "sparse";
  const bool named = structure.kind == Structure::Kind::map;
  std::string text = named ? "{" : "(";
  for (std::size_t i = 0; i < structure.parts.size(); ++i) text += (i ? ", " : "") + (named ? structure.names[i] + ": " : "") + to_string(structure.parts[i]);
  return text + (named ? "}" : ")");
}

Nest::Nest(const RaggedTensor& rows) : Nest(rows.is_ragged() ? Nest::ragged(rows.flat_values(), {rows.nested_row_splits().begin(), rows.nested_row_splits().end()}) : Nest(rows.tensor())) {}

RaggedTensor Nest::ragged_tensor() const { return RaggedTensor::from_nested_row_splits(values(), splits()); }

Nest Nest::map(std::vector<std::pair<std::string, Nest>> parts) {
  Nest all;
  all.structure_.kind = Structure::Kind::map;
  for (auto& [name, part] : parts) {
    if (std::find(all.structure_.names.begin(), all.structure_.names.end(), name) != all.structure_.names.end()) throw InvalidArgumentError("two parts have the name '" + name + "'", "Nest");
    all.structure_.names.push_back(std::move(name));
    all.structure_.parts.push_back(std::move(part.structure_));
    for (Tensor& tensor : part.tensors_) all.tensors_.push_back(std::move(tensor));
  }
  return all;
}

Nest Nest::tuple(const std::vector<Nest>& parts) {
  Nest all;
  all.structure_.kind = Structure::Kind::tuple;
  for (const Nest& part : parts) {
    all.structure_.parts.push_back(part.structure_);
    for (const Tensor& tensor : part.tensors_) all.tensors_.push_back(tensor);
  }
  return all;
}

Nest Nest::ragged(Tensor values, const std::vector<Tensor>& splits) {
  if (splits.empty()) throw InvalidArgumentError("rows of unequal lengths need their splits", "Nest.ragged");
  Nest result(std::move(values));
  result.structure_ = {.kind = Structure::Kind::ragged, .splits = int(splits.size())};
  for (const Tensor& each : splits) result.tensors_.push_back(each);
  return result;
}

Nest Nest::sparse(Tensor indices, Tensor values, Tensor shape) { return {{std::move(indices), std::move(values), std::move(shape)}, {.kind = Structure::Kind::sparse}}; }

Nest Nest::pack(Tensors tensors, Structure structure) {
  if (tensors.size() != structure.width())
    throw InvalidArgumentError("an element of " + std::to_string(tensors.size()) + " tensors is no " + to_string(structure) + ", which has " + std::to_string(structure.width()), "Nest");
  return {std::move(tensors), std::move(structure)};
}

const Tensor& Nest::tensor() const {
  if (!is_tensor() || tensors_.size() != 1) throw TypeError("not one tensor, but " + to_string(structure_), "Nest");
  return tensors_[0];
}

const Tensor& Nest::values() const {
  if (!is_ragged() && !is_sparse()) throw TypeError("neither rows of unequal lengths nor a sparse tensor, but " + to_string(structure_), "Nest");
  return tensors_[is_sparse() ? 1 : 0];
}
std::vector<Tensor> Nest::splits() const {
  if (!is_ragged()) throw TypeError("not rows of unequal lengths, but " + to_string(structure_), "Nest");
  return {tensors_.begin() + 1, tensors_.end()};
}
const Tensor& Nest::indices() const {
  if (!is_sparse()) throw TypeError("not a sparse tensor, but " + to_string(structure_), "Nest");
  return tensors_[0];
}
const Tensor& Nest::dense_shape() const {
  static_cast<void>(indices());
  return tensors_[2];
}

Nest Nest::operator[](std::size_t index) const {
  if (index >= size()) throw IndexError("there is no part " + std::to_string(index) + " in " + to_string(structure_), "Nest");
  std::size_t begin = 0;
  for (std::size_t i = 0; i < index; ++i) begin += structure_.parts[i].width();
  const Structure& part = structure_.parts[index];
  return {Tensors(tensors_.begin() + begin, tensors_.begin() + begin + part.width()), part};
}

Nest Nest::operator[](std::string_view name) const {
  const auto found = std::find(structure_.names.begin(), structure_.names.end(), name);
  if (found != structure_.names.end()) return (*this)[std::size_t(found - structure_.names.begin())];
  const std::string nearest = nearest_name(name, structure_.names);
  throw NotFoundError("there is no part '" + std::string(name) + "' in " + to_string(structure_), "Nest", nearest.empty() ? "" : "did you mean '" + nearest + "'?");
}

std::optional<Structure> detail::StructureCell::get() const {
  {
    const std::lock_guard lock(mutex_);
    if (known_ || asked_ || !find_) return known_;
  }
  const std::optional<Structure> found = find_();  // runs functions that may call set()
  const std::lock_guard lock(mutex_);
  asked_ = true;
  if (!known_) known_ = found;
  return known_;
}

void detail::StructureCell::set(const Structure& structure) {
  const std::lock_guard lock(mutex_);
  if (!known_) known_ = structure;
  if (*known_ != structure) throw InvalidArgumentError("a function returned " + to_string(structure) + " after " + to_string(*known_) + ": all elements of a dataset have one structure", "Dataset");
}

}  // namespace lockstep::io
