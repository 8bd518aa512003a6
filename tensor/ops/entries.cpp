#include <lockstep/tensor/ops/entries.h>

#include <algorithm>

namespace lockstep::entries {

std::string index_text(const std::int64_t* index, int axes) {
  std::string text = "(";
  for (int k = 0; k < axes; ++k) text.append(k ? ", " : "").append(std::to_string(index[k]));
  return text + ")";
}

SmallVector<int, 8> all_axes(int ndim) {
  SmallVector<int, 8> axes;
  for (int k = 0; k < ndim; ++k) axes.push_back(k);
  return axes;
}

void require_inside(const std::int64_t* indices, std::int64_t count, const Shape& shape, std::string_view op) {
  const std::int64_t* index = indices;
  for (std::int64_t e = 0; e < count; ++e, index += shape.ndim())
    for (int k = 0; k < shape.ndim(); ++k)
      if (index[k] < 0 || index[k] >= shape[k]) throw InvalidArgumentError("index " + index_text(index, shape.ndim()) + " (entry " + std::to_string(e) + ") is outside of shape " + to_string(shape), op);
}

std::vector<std::int64_t> offsets_of(const std::int64_t* indices, std::int64_t count, const Shape& shape, std::span<const int> axes, std::string_view op) {
  require_inside(indices, count, shape, op);
  std::vector<std::int64_t> offsets(std::size_t(count), 0);
  for (std::int64_t e = 0; e < count; ++e)
    for (const int k : axes) offsets[std::size_t(e)] = offsets[std::size_t(e)] * shape[k] + indices[e * shape.ndim() + k];
  return offsets;
}

void require_in_order(std::span<const std::int64_t> offsets, const std::int64_t* indices, const Shape& shape, std::string_view op) {
  const auto at = std::adjacent_find(offsets.begin(), offsets.end(), std::greater_equal<>());
  if (at == offsets.end()) return;
  const std::int64_t e = at - offsets.begin() + 1;
  throw InvalidArgumentError("index " + index_text(indices + e * shape.ndim(), shape.ndim()) + " (entry " + std::to_string(e) + ") is " + (at[0] == at[1] ? "given twice" : "out of order"), op,
                             "sort the entries with sparse::reorder");
}

Tensor int64_tensor(std::span<const std::int64_t> values) { return int64_tensor(values, Shape{std::int64_t(values.size())}); }

Tensor int64_tensor(std::span<const std::int64_t> values, const Shape& shape) {
  Tensor tensor = Tensor::empty(shape, int64);
  std::copy(values.begin(), values.end(), tensor.mutable_data<std::int64_t>());
  return tensor;
}

}  // namespace lockstep::entries
