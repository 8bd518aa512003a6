// Keras draws its table with the library rich; widths, wraps and cuts are rich's.

#include <lockstep/nn/summary.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include <lockstep/tensor/base/error.h>

namespace lockstep::nn {
namespace {

using Lines = std::vector<std::string>;

enum class Align { left, right, center };

struct Column {
  std::string title;
  Align align;
  double end;  // as a share of the table's width
  int width = 0;
};

/// Characters, not bytes, of a UTF-8 text.
int length(const std::string& text) {
  return int(std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string first_characters(const std::string& text, int count) {
  std::size_t end = 0;
  for (; end < text.size(); ++end)
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && count-- == 0) break;
  return text.substr(0, end);
}

std::string repeat(const char* character, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += character;
  return text;
}

/// Lines of at most `width` characters, broken between words; a word that is longer is cut.
Lines wrap(const std::string& text, int width) {
  Lines lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (!lines.empty() && length(lines.back()) + 1 + length(word) <= width) lines.back() += " " + word;
    else lines.push_back(word);
  }
  for (std::string& line : lines)
    if (length(line) > width) line = first_characters(line, width - 1) + "…";
  return lines;
}

std::string align(const std::string& text, Align align, int width) {
  const int free = width - length(text);
  const int left = align == Align::left ? 0 : align == Align::right ? free : free / 2;
  return std::string(std::size_t(left), ' ') + text + std::string(std::size_t(free - left), ' ');
}

/// Widths of the texts inside the cells. Keras gives each column its share of the whole width; rich then takes away evenly what borders and padding need.
std::vector<Column> layout(int width, const SummaryOptions& options) {
  std::vector<Column> columns;
  if (options.show_connections)
    columns = {{"Layer (type)", Align::left, 0.3}, {"Output Shape", Align::left, 0.56}, {"Param #", Align::right, 0.74}, {"Connected to", Align::left, 1}};
  else
    columns = {{"Layer (type)", Align::left, 0.45}, {"Output Shape", Align::left, 0.8}, {"Param #", Align::right, 1}};
  if (options.show_trainable) {
    for (Column& column : columns) column.end *= 0.9;
    columns.push_back({"Trainable", Align::center, 1});
  }
  int used = 0;
  for (Column& column : columns) {
    column.width = int(column.end * width) - used;
    used += column.width;
    if (column.width < 4) throw InvalidArgumentError(std::to_string(options.width) + " columns are too few for the table of layers", "summary");
  }
  const int count = int(columns.size());
  int excess = used + 2 * count + (count + 1) - width;
  for (int i = 0; i < count; ++i) {
    const int share = int(std::lround(double(excess) / (count - i)));
    columns[std::size_t(i)].width -= share;
    excess -= share;
  }
  return columns;
}

/// "┡━━╇━━┩": a rule of `line`, opened, crossed and closed by the others.
std::string rule(const std::vector<Column>& columns, const char* open, const char* line, const char* cross, const char* close) {
  std::string text = open;
  for (std::size_t i = 0; i < columns.size(); ++i) text += (i ? cross : "") + repeat(line, columns[i].width + 2);
  return text + close + "\n";
}

/// A row of cells, each of as many lines as the highest one.
std::string cells(const std::vector<Column>& columns, const std::vector<std::string>& texts, const char* border, bool at_bottom) {
  std::vector<Lines> wrapped;
  std::size_t height = 1;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    wrapped.push_back(wrap(texts[i], columns[i].width));
    height = std::max(height, wrapped.back().size());
  }
  std::string text;
  for (std::size_t y = 0; y < height; ++y) {
    text += border;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const std::size_t above = at_bottom ? height - wrapped[i].size() : 0;
      const bool inside = y >= above && y - above < wrapped[i].size();
      text += " " + align(inside ? wrapped[i][y - above] : "", columns[i].align, columns[i].width) + " " + border;
    }
    text += "\n";
  }
  return text;
}

std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t at = std::ptrdiff_t(digits.size()) - 3; at > (number < 0 ? 1 : 0); at -= 3) digits.insert(std::size_t(at), ",");
  return digits;
}

std::string readable_size(std::int64_t bytes) {
  const char* const units[] = {"B", "KB", "MB", "GB", "TB", "PB"};
  double size = double(bytes);
  std::size_t unit = 0;
  for (; size >= 1024 && unit + 1 < std::size(units); ++unit) size /= 1024;
  char text[48];
  std::snprintf(text, sizeof text, "%.2f %s", size, units[unit]);
  return text;
}

std::string total(const char* what, const ParamCount& count) { return std::string(" ") + what + " params: " + with_commas(count.params) + " (" + readable_size(count.bytes) + ")\n"; }

std::vector<std::string> texts_of(const SummaryRow& row, const SummaryOptions& options) {
  std::vector<std::string> texts = {row.name + " (" + row.class_name + ")", row.output_shape, row.params ? with_commas(*row.params) : "0 (unbuilt)"};
  if (options.show_connections) {
    std::string list;
    for (const std::string& source : row.connected_to) list += (list.empty() ? "" : ", ") + source;
    texts.push_back(list.empty() ? "-" : list);
  }
  if (options.show_trainable) texts.push_back(!row.trainable ? "-" : *row.trainable ? "Y" : "N");
  return texts;
}

}  // namespace

std::string render_summary(const std::string& model_name, std::span<const SummaryRow> rows, const SummaryTotals& totals, const SummaryOptions& options) {
  const int widest = (options.show_connections ? 108 : 88) + (options.show_trainable ? 12 : 0);
  const std::vector<Column> columns = layout(std::min(widest, options.width - 4), options);

  std::vector<std::string> titles;
  for (const Column& column : columns) titles.push_back(column.title);
  std::string text = "Model: \"" + model_name + "\"\n";
  text += rule(columns, "┏", "━", "┳", "┓") + cells(columns, titles, "┃", true) + rule(columns, "┡", "━", "╇", "┩");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i) text += rule(columns, "├", "─", "┼", "┤");
    text += cells(columns, texts_of(rows[i], options), "│", false);
  }
  text += rule(columns, "└", "─", "┴", "┘");

  ParamCount all;
  for (const ParamCount& part : {totals.trainable, totals.non_trainable, totals.optimizer.value_or(ParamCount())}) all.params += part.params, all.bytes += part.bytes;
  text += total("Total", all) + total("Trainable", totals.trainable) + total("Non-trainable", totals.non_trainable);
  if (totals.optimizer) text += total("Optimizer", *totals.optimizer);
  return text;
}

}  // namespace lockstep::nn
