// The text is cut into records once; the fields of the wanted columns stay pieces of it until they are converted.

#include <lockstep/io/csv.h>

#include <algorithm>

#include <lockstep/io/csv_fields.h>
#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

/// The fields of one wanted column, and how they become a tensor.
struct Column {
  CsvColumn wanted;
  std::size_t position = 0;  // in a record
  std::vector<csv::Field> fields = {};
};

class Converter {
 public:
  Converter(const Column& column, const std::vector<std::int64_t>& lines, const CsvOptions& options, const std::string& origin)
      : column_(column), lines_(lines), options_(options), origin_(origin) {}

  Tensor convert() const {
    const DType dtype = column_.wanted.dtype.value_or(string);
    if (!(kReal | kBool | dtypes(string)).contains(dtype)) throw TypeError("no field of a CSV file is " + std::string(name(dtype)), "read_csv");
    if (column_.wanted.dtype) return visit_dtype(dtype, [&]<class T>(TypeTag<T>) { return convert_as<T>(); });
    if (all_are<std::int32_t>()) return convert_as<std::int32_t>();
    if (all_are<std::int64_t>()) return convert_as<std::int64_t>();
    if (all_are<float>()) return convert_as<float>();
    return convert_as<std::string>();
  }

 private:
  bool empty(const csv::Field& field) const { return !field.quoted && csv::without_blanks(field.text).empty(); }
  bool marked(const csv::Field& field) const { return !options_.missing_mark.empty() && csv::without_blanks(field.text) == options_.missing_mark; }

  /// Are all fields that are there, one at least, and what stands for a missing one of type T?
  template <class T>
  bool all_are() const {
    T value{};
    bool any = false;
    for (const csv::Field& field : column_.fields) {
      if (empty(field) || marked(field)) continue;
      if (!csv::to_element(field.text, value)) return false;
      any = true;
    }
    return any && (!column_.wanted.missing || csv::to_element(*column_.wanted.missing, value));
  }

  template <class T>
  Tensor convert_as() const {
    Tensor tensor = Tensor::empty({std::int64_t(column_.fields.size())}, dtype_of<T>);
    T* to = static_cast<T*>(tensor.mutable_raw());
    for (std::size_t i = 0; i < column_.fields.size(); ++i) {
      const csv::Field& field = column_.fields[i];
      const bool missing = empty(field) || marked(field);
      if (missing && !column_.wanted.missing && (dtype_of<T> != string || marked(field)))
        refuse(i, "is missing", "give the column a value for missing fields");
      if constexpr (std::is_same_v<T, std::string>) {
        to[i] = missing && column_.wanted.missing ? *column_.wanted.missing : csv::unescaped(field);
      } else if constexpr (requires(T& value) { csv::to_element(std::string_view(), value); }) {
        const std::string_view text = missing ? std::string_view(*column_.wanted.missing) : field.text;
        if (!csv::to_element(text, to[i])) refuse(i, "is no " + std::string(name(dtype_of<T>)) + ": '" + std::string(text.substr(0, 40)) + "'");
      }
    }
    return tensor;
  }

  [[noreturn]] void refuse(std::size_t i, const std::string& why, const std::string& hint = {}) const {
    throw DataLossError(origin_ + ", line " + std::to_string(lines_[i]) + ", column '" + column_.wanted.name + "': the field " + why, {}, hint);
  }

  const Column& column_;
  const std::vector<std::int64_t>& lines_;
  const CsvOptions& options_;
  const std::string& origin_;
};

/// The names in the header, or "0", "1", ... for as many fields as the first record has. Throws for a name that is there twice.
std::vector<std::string> names_of(const std::vector<csv::Field>& record, bool header, const std::string& origin, std::int64_t line) {
  std::vector<std::string> names;
  for (const csv::Field& field : record) {
    names.push_back(header ? csv::unescaped(field) : std::to_string(names.size()));
    if (std::find(names.begin(), names.end() - 1, names.back()) != names.end() - 1)
      throw DataLossError(origin + ", line " + std::to_string(line) + ": two columns have the name '" + names.back() + "'");
  }
  return names;
}

std::size_t position_of(std::string_view name, const std::vector<std::string>& names, const std::string& where) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return std::size_t(found - names.begin());
  const std::string nearest = nearest_name(name, names);
  throw NotFoundError(where + " has no column '" + std::string(name) + "'", {}, nearest.empty() ? "" : "did you mean '" + nearest + "'?");
}

}  // namespace

CsvTable::CsvTable(std::vector<std::string> names, std::vector<Tensor> columns) : names_(std::move(names)), columns_(std::move(columns)) {
  if (names_.size() != columns_.size()) throw InvalidArgumentError(std::to_string(columns_.size()) + " columns do not go with " + std::to_string(names_.size()) + " names", "CsvTable");
}

const Tensor& CsvTable::column(std::string_view name) const { return columns_[position_of(name, names_, "the table")]; }

Tensor CsvTable::matrix(const std::vector<std::string>& names, DType dtype) const {
  std::vector<Tensor> columns;
  for (const std::string& name : names) {
    const Tensor& values = column(name);
    if (values.dtype() == string) throw TypeError("column '" + name + "' holds strings and does not go into a matrix", "CsvTable.matrix");
    columns.push_back(values.dtype() == dtype ? values : cast(values, dtype));
  }
  return stack(columns, 1);
}

CsvTable read_csv(const std::string& path, const CsvOptions& options) { return parse_csv(read_file(path), options, path); }

CsvTable parse_csv(std::string_view text, const CsvOptions& options, const std::string& origin) {
  if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r') throw InvalidArgumentError("a quote or the end of a line cannot be the delimiter", "read_csv");
  csv::Records records(text, options.delimiter, origin);
  std::vector<csv::Field> record;
  const auto is_blank = [](const std::vector<csv::Field>& fields) { return fields.size() == 1 && !fields[0].quoted && fields[0].text.empty(); };
  do {
    if (!records.next(record)) throw DataLossError(origin + " is empty");
  } while (is_blank(record));

  const std::vector<std::string> names = names_of(record, options.header, origin, records.line());
  std::vector<Column> columns;
  if (options.columns.empty())
    for (const std::string& name : names) columns.push_back({.wanted = {.name = name}, .position = columns.size()});
  for (const CsvColumn& wanted : options.columns) columns.push_back({.wanted = wanted, .position = position_of(wanted.name, names, origin)});

  std::vector<std::int64_t> lines;
  for (bool more = !options.header || records.next(record); more; more = records.next(record)) {
    if (is_blank(record) && names.size() > 1) continue;
    if (record.size() != names.size())
      throw DataLossError(origin + ", line " + std::to_string(records.line()) + ": " + std::to_string(record.size()) + (record.size() == 1 ? " field" : " fields") + " where " +
                          (options.header ? "the header" : "the first line") + " has " + std::to_string(names.size()));
    lines.push_back(records.line());
    for (Column& column : columns) column.fields.push_back(record[column.position]);
  }

  std::vector<std::string> column_names;
  std::vector<Tensor> tensors;
  for (const Column& column : columns) {
    column_names.push_back(column.wanted.name);
    tensors.push_back(Converter(column, lines, options, origin).convert());
  }
  return {std::move(column_names), std::move(tensors)};
}

}  // namespace lockstep::io
