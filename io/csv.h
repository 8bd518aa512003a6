#pragma once
// Tables in CSV files (RFC 4180): quoted fields, a header, columns of numbers and of strings.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// What is wanted of a column.
struct CsvColumn {
  std::string name;                             // in the header; without one: "0", "1", ...
  std::optional<DType> dtype = {};              // none: the first of int32, int64, float32 and string that takes every field
  std::optional<std::string> missing = {};      // stands for a missing field, written as in the file; none: a missing field is an error
};

struct CsvOptions {
  std::vector<CsvColumn> columns = {};  // those to read, in this order; none: all
  bool header = true;                   // the first record names the columns
  char delimiter = ',';
  std::string missing_mark = "";        // a field that reads so, besides an empty one, is missing: "NA"
};

/// Columns by name, each a tensor (rows,).
class CsvTable {
 public:
  CsvTable(std::vector<std::string> names, std::vector<Tensor> columns);
  const std::vector<std::string>& names() const { return names_; }
  const std::vector<Tensor>& columns() const { return columns_; }
  /// Throws NotFoundError, naming the nearest.
  const Tensor& column(std::string_view name) const;
  /// Columns of one dtype, or of numbers of several, side by side as `dtype` (rows, names). Throws TypeError for strings.
  Tensor matrix(const std::vector<std::string>& names, DType dtype = float32) const;
  std::int64_t rows() const { return columns_.empty() ? 0 : columns_[0].shape()[0]; }

 private:
  std::vector<std::string> names_;
  std::vector<Tensor> columns_;
};

/// Reads a file. An unquoted empty field is missing (in a column of strings without `missing` it is the empty string); blanks around
/// numbers do not count; empty lines are passed over where a record has several fields. Throws NotFoundError for the file and for
/// columns that are not there, DataLossError with line and column for ragged records, unclosed quotes, and fields that are missing
/// or not of the column's dtype.
CsvTable read_csv(const std::string& path, const CsvOptions& options = {});
/// The same of a text. `origin` opens the messages: the name of a file.
CsvTable parse_csv(std::string_view text, const CsvOptions& options = {}, const std::string& origin = "CSV");

}  // namespace lockstep::io
