#pragma once
// Datasets of files. They are read one after the other, front to back, as far as somebody asks; what is skipped is not decoded. shard() deals the
// files out where there are enough of them. A damaged file or record throws DataLossError (or NotFoundError) that names the file and the place in it;
// behind Dataset::ignore_errors() reading goes on after it: at the next record, or, where that cannot be found any more, at the next file.

#include <optional>
#include <string>
#include <vector>

#include <lockstep/io/dataset.h>
#include <lockstep/io/example.h>

namespace lockstep::io {

/// Files whose names match `pattern` (*, ? and [...]), sorted. Throws NotFoundError if there is none.
std::vector<std::string> list_files(const std::string& pattern);

/// The records of TFRecord files, plain or gzipped, as string scalars (tf.data.TFRecordDataset).
Dataset tfrecord_files(const std::vector<std::string>& paths);
/// The same, parsed: each element a map by the schema. (Batches are parsed faster: tfrecord_files(paths).batch(n).map(parse_example).)
Dataset example_files(const std::vector<std::string>& paths, const ExampleSchema& schema, const MapOptions& options = {});

/// The lines of text files, plain or gzipped, as string scalars, without their ends (tf.data.TextLineDataset).
Dataset text_lines(const std::vector<std::string>& paths);

/// A field of a CSV record: what it is, and what stands for an empty one. None: an empty one is refused.
struct CsvField {
  DType dtype = float32;
  std::optional<Scalar> number = {};
  std::optional<std::string> text = {};
  /// From a scalar (tf's record_defaults), an empty vector of one dtype for a field that is required.
  CsvField(const Tensor& value_or_nothing);
  CsvField(float value) : number(value) {}
  CsvField(int value) : dtype(int32), number(value) {}
  CsvField(const char* value) : dtype(string), text(value) {}
  CsvField(std::string value) : dtype(string), text(std::move(value)) {}
  /// Required.
  CsvField(DType required) : dtype(required) {}
};
struct CsvRowOptions {
  std::vector<CsvField> fields = {};        // of the selected columns, or of all
  std::vector<std::int64_t> columns = {};   // which to take, ascending; none: all
  std::vector<std::string> names = {};      // of the fields; none: from the header, or no names
  bool header = false;                      // the first record of each file is passed over
  char delimiter = ',';
  std::string missing_mark = "";            // a field that reads so is as good as empty
};
/// The fields of one record, a scalar each (tf.io.decode_csv): int32, int64, float32, float64 or string. Throws InvalidArgumentError that names the field
/// for another number of fields, one that is no number, and an empty one that is required.
Tensors decode_csv(const std::string& record, const CsvRowOptions& options);
/// The records of CSV files, plain or gzipped, in constant memory (tf.data.experimental.CsvDataset). With a header elements are maps by its names.
/// DataLossError names file, line and field.
Dataset csv_rows(const std::vector<std::string>& paths, const CsvRowOptions& options);

/// Rows of the tensors in .npy files, and in IDX files, one file in memory at a time. Several lists, side by side, are one for each tensor of an element.
Dataset npy_rows(const std::vector<std::string>& paths);
Dataset idx_rows(const std::vector<std::string>& paths);
/// Rows of datasets of HDF5 files, read in blocks: elements are maps by the datasets' names, or one tensor for one name.
Dataset hdf5_rows(const std::vector<std::string>& paths, const std::vector<std::string>& names);

}  // namespace lockstep::io
