#include <lockstep/io/confusion_matrix.h>

#include <algorithm>
#include <cstdio>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

/// Characters of UTF-8 text: bytes that do not continue one.
std::size_t width_of(const std::string& text) {
  return std::size_t(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}
std::string right(const std::string& text, std::size_t width) { return std::string(width - std::min(width, width_of(text)), ' ') + text; }
std::string left(const std::string& text, std::size_t width) { return text + std::string(width - std::min(width, width_of(text)), ' '); }

/// The first characters of a name, as a column's head has room for them.
std::string shortened(const std::string& text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t characters = 0; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && characters++ == width) break;
  return text.substr(0, end);
}

}  // namespace

std::string format_confusion_matrix(const Tensor& counts, const std::vector<std::string>& class_names) {
  constexpr std::size_t kMostHead = 8;
  if (!is_integer(counts.dtype())) throw TypeError("counts are whole numbers, not " + to_string(counts.spec()), "format_confusion_matrix");
  if (counts.ndim() != 2 || counts.shape()[0] != counts.shape()[1] || counts.shape()[0] == 0)
    throw InvalidArgumentError("a confusion matrix has as many rows as columns, not " + to_string(counts.spec()), "format_confusion_matrix");
  const std::size_t classes = std::size_t(counts.shape()[0]);
  if (!class_names.empty() && class_names.size() != classes)
    throw InvalidArgumentError(std::to_string(class_names.size()) + " names for " + std::to_string(classes) + " classes", "format_confusion_matrix");
  const std::vector<std::int64_t> values = (counts.dtype() == int64 ? counts : cast(counts, int64)).to_vector<std::int64_t>();
  if (std::any_of(values.begin(), values.end(), [](std::int64_t count) { return count < 0; })) throw InvalidArgumentError("counts are not negative", "format_confusion_matrix");

  std::vector<std::string> names = class_names;
  for (std::size_t i = names.size(); i < classes; ++i) names.push_back(std::to_string(i));
  const std::string corner = "true \\ predicted";
  std::size_t name_width = width_of(corner), cell_width = 1;
  for (const std::string& name : names) {
    name_width = std::max(name_width, width_of(name));
    cell_width = std::max(cell_width, std::min(kMostHead, width_of(name)));
  }
  for (const std::int64_t count : values) cell_width = std::max(cell_width, std::to_string(count).size());

  std::string text = left(corner, name_width);
  for (const std::string& name : names) text += "  " + right(shortened(name, cell_width), cell_width);
  text += "    right\n";
  for (std::size_t row = 0; row < classes; ++row) {
    text += left(names[row], name_width);
    std::int64_t total = 0;
    for (std::size_t column = 0; column < classes; ++column) {
      const std::int64_t count = values[row * classes + column];
      total += count;
      text += "  " + right(std::to_string(count), cell_width);
    }
    char share[16] = "-";
    if (total > 0) std::snprintf(share, sizeof share, "%.1f %%", 100 * double(values[row * classes + row]) / double(total));
    text += "  " + right(share, 7) + "\n";
  }
  return text;
}

}  // namespace lockstep::io
