// CSV record by record: a record is a line, or several where quotes hold the ends of lines.

#include <lockstep/io/readers.h>

#include <algorithm>
#include <utility>

#include <lockstep/io/csv_fields.h>
#include <lockstep/io/input_file.h>
#include <lockstep/io/stream.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

void require_options(const CsvRowOptions& options, const char* step) {
  if (options.fields.empty()) throw InvalidArgumentError("the fields are not described", step);
  if (options.delimiter == '"' || options.delimiter == '\n' || options.delimiter == '\r') throw InvalidArgumentError("a quote or the end of a line cannot be the delimiter", step);
  if (!options.columns.empty() && options.columns.size() != options.fields.size())
    throw InvalidArgumentError(std::to_string(options.columns.size()) + " columns do not go with " + std::to_string(options.fields.size()) + " fields", step);
  if (!std::is_sorted(options.columns.begin(), options.columns.end(), std::less_equal<>()) || (!options.columns.empty() && options.columns[0] < 0))
    throw InvalidArgumentError("columns must ascend, from 0 on", step);
  for (const CsvField& field : options.fields)
    if (!dtypes(int32, int64, float32, float64, string).contains(field.dtype)) throw TypeError("a field is int32, int64, float32, float64 or string, not " + std::string(name(field.dtype)), step);
}

/// One field as a scalar; `where` opens the message.
Tensor field_as_tensor(const csv::Field& field, const CsvField& wanted, const std::string& missing_mark, const std::string& where) {
  const bool missing = (!field.quoted && field.text.empty()) || (!missing_mark.empty() && !field.quoted && field.text == missing_mark);
  if (wanted.dtype == string) {
    Tensor tensor = Tensor::empty({}, string);
    if (missing && !wanted.text) throw DataLossError(where + " is required and is missing");
    *tensor.mutable_data<std::string>() = missing ? *wanted.text : csv::unescaped(field);
    return tensor;
  }
  if (missing || (field.quoted && field.text.empty())) {
    if (!wanted.number) throw DataLossError(where + " is required and is missing");
    return scalar(*wanted.number, wanted.dtype);
  }
  Tensor tensor = Tensor::empty({}, wanted.dtype);
  visit_dtype(wanted.dtype, [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_arithmetic_v<T>)
      if (!csv::to_element(field.text, *tensor.mutable_data<T>())) throw DataLossError(where + " is no " + std::string(name(wanted.dtype)) + ": '" + std::string(field.text.substr(0, 40)) + "'");
  });
  return tensor;
}

/// The fields of a record that is all of `text`. Throws DataLossError.
Tensors fields_of(std::string_view text, const CsvRowOptions& options, const std::string& origin) {
  std::vector<csv::Field> fields, beyond;
  csv::Records records(text, options.delimiter, origin);
  if (!records.next(fields)) fields.push_back({});
  if (records.next(beyond)) throw DataLossError(origin + " has more than one line");
  const bool all = options.columns.empty();
  if (all ? fields.size() != options.fields.size() : std::ssize(fields) <= options.columns.back())
    throw DataLossError(origin + " has " + std::to_string(fields.size()) + (fields.size() == 1 ? " field" : " fields") + " where " + (all ? std::to_string(options.fields.size()) + " are" : "number " + std::to_string(options.columns.back()) + " is") +
                        " asked for");
  Tensors element;
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    const std::size_t column = all ? i : std::size_t(options.columns[i]);
    element.push_back(field_as_tensor(fields[column], options.fields[i], options.missing_mark, origin + ", field " + std::to_string(column)));
  }
  return element;
}

/// Reads whole records of a file.
class CsvLines {
 public:
  explicit CsvLines(const std::string& path) : file_(path) {}
  /// The next record that is not an empty line; false at the end.
  bool next(std::string& record) {
    do {
      if (ended_) return false;
      first_ = ++line_;
      ended_ = true;
      if (!file_.line(record)) return false;
      // An odd number of quotes: one of them is open, and the record goes on.
      std::string more;
      for (bool open = has_odd_quotes(record); open; ++line_) {
        if (!file_.line(more)) throw DataLossError(place() + ": a quoted field has no end");
        record += '\n';
        record += more;
        open = !has_odd_quotes(more);
        if (record.size() > kLongest) throw DataLossError(place() + ": a quoted field has no end within " + std::to_string(kLongest) + " bytes");
      }
      if (first_ == 1 && record.starts_with("\xEF\xBB\xBF")) record.erase(0, 3);
      ended_ = false;
    } while (record.empty());
    return true;
  }
  std::string place() const { return "'" + file_.path() + "', line " + std::to_string(first_); }

 private:
  static bool has_odd_quotes(const std::string& text) { return std::count(text.begin(), text.end(), '"') % 2 == 1; }
  static constexpr std::size_t kLongest = 16 << 20;
  InputFile file_;
  std::int64_t line_ = 0, first_ = 0;
  bool ended_ = false;
};

struct CsvStream final : Stream<Tensors> {
  CsvStream(const std::string& path, const CsvRowOptions& options) : lines(path), options(options) {
    std::string header;
    if (options.header) lines.next(header);
  }
  bool next(Tensors& element) override {
    std::string record;
    if (!lines.next(record)) return false;
    element = fields_of(record, options, lines.place());
    return true;
  }
  std::int64_t skip(std::int64_t count) override {
    std::string record;
    std::int64_t skipped = 0;
    while (skipped < count && lines.next(record)) ++skipped;
    return skipped;
  }
  CsvLines lines;
  const CsvRowOptions& options;
};

/// The names in a file's header, of the columns that are taken.
std::vector<std::string> names_in_header(const std::string& path, const CsvRowOptions& options) {
  CsvLines lines(path);
  std::string header;
  std::vector<csv::Field> fields;
  if (!lines.next(header)) throw DataLossError("'" + path + "' is empty, and should have a header");
  const std::string place = lines.place();
  csv::Records(header, options.delimiter, place).next(fields);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < options.fields.size(); ++i) {
    const std::size_t column = options.columns.empty() ? i : std::size_t(options.columns[i]);
    if (column >= fields.size()) throw DataLossError(place + ": the header has " + std::to_string(fields.size()) + " fields, and number " + std::to_string(column) + " is asked for");
    names.push_back(csv::unescaped(fields[column]));
  }
  return names;
}

}  // namespace

CsvField::CsvField(const Tensor& value) : dtype(value.dtype()) {
  if (value.numel() == 0) return;
  if (value.numel() != 1) throw InvalidArgumentError("a default is one value or none, not " + to_string(value.spec()), "CsvField");
  if (dtype == string) text = value.item<std::string>();
  else if (kInts.contains(dtype)) number = cast(value, int64).item<std::int64_t>();
  else number = cast(value, float64).item<double>();
}

Tensors decode_csv(const std::string& record, const CsvRowOptions& options) {
  require_options(options, "decode_csv");
  try {
    return fields_of(record, options, "the record");
  } catch (const DataLossError& error) {
    throw InvalidArgumentError(error.what(), "decode_csv");
  }
}

Dataset csv_rows(const std::vector<std::string>& paths, const CsvRowOptions& options) {
  require_options(options, "csv_rows");
  if (paths.empty()) throw InvalidArgumentError("there is no file to read", "csv_rows");
  std::vector<std::string> names = options.names;
  if (names.empty() && options.header) names = names_in_header(paths[0], options);
  if (!names.empty() && names.size() != options.fields.size()) throw InvalidArgumentError(std::to_string(names.size()) + " names do not go with " + std::to_string(options.fields.size()) + " fields", "csv_rows");
  const auto shared = std::make_shared<const CsvRowOptions>(options);
  const NodePtr node = make_files(paths, [shared](const std::string& path) -> StreamPtr<Tensors> { return std::make_unique<CsvStream>(path, *shared); });
  if (names.empty()) return Dataset(node);
  return Dataset(node, std::make_shared<detail::StructureCell>(Structure{.kind = Structure::Kind::map, .names = names, .parts = std::vector<Structure>(names.size())}));
}

}  // namespace lockstep::io
