#include <lockstep/io/readers.h>

#include <glob.h>

#include <algorithm>
#include <utility>

#include <lockstep/io/csv_fields.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/idx.h>
#include <lockstep/io/input_file.h>
#include <lockstep/io/stream.h>
#include <lockstep/io/tfrecord.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/npy.h>

namespace lockstep::io {
namespace {

class FilesNode final : public Node {
 public:
  FilesNode(std::vector<std::string> paths, FileOpener open) : paths_(std::move(paths)), open_(std::move(open)) {}
  std::int64_t cardinality() const override { return kUnknown; }
  NodePtr of_files(std::int64_t rank, std::int64_t world) const override {
    if (std::ssize(paths_) < world) return nullptr;
    std::vector<std::string> mine;
    for (std::size_t i = std::size_t(rank); i < paths_.size(); i += std::size_t(world)) mine.push_back(paths_[i]);
    return make_files(std::move(mine), open_);
  }
  StreamPtr<Tensors> open(std::int64_t) const override {
    // (A file that cannot be opened is behind us.)
    return one_after_the_other([this, at = std::size_t(0)]() mutable { return at < paths_.size() ? Opened{nullptr, open_(paths_[at++])} : Opened(); });
  }

 private:
  std::vector<std::string> paths_;
  FileOpener open_;
};

Tensor text_scalar(std::string text) {
  Tensor tensor = Tensor::empty({}, string);
  *tensor.mutable_data<std::string>() = std::move(text);
  return tensor;
}

std::vector<std::string> some(std::vector<std::string> paths, const char* step) {
  if (paths.empty()) throw InvalidArgumentError("there is no file to read", step);
  return paths;
}

struct RecordStream final : Stream<Tensors> {
  explicit RecordStream(const std::string& path) : reader(path) {}
  bool next(Tensors& element) override {
    std::string record;
    if (!reader.next(record)) return false;
    element = {text_scalar(std::move(record))};
    return true;
  }
  std::int64_t skip(std::int64_t count) override { return reader.skip(count); }
  TFRecordReader reader;
};

struct LineStream final : Stream<Tensors> {
  explicit LineStream(const std::string& path) : file(path) {}
  bool next(Tensors& element) override {
    std::string line;
    if (ended) return false;
    ended = true;  // unless the next line is read: behind damage there is nothing to find
    if (!file.line(line)) return false;
    ended = false;
    element = {text_scalar(std::move(line))};
    return true;
  }
  InputFile file;
  bool ended = false;
};

/// Rows of tensors that are in memory.
struct TableStream final : Stream<Tensors> {
  TableStream(const std::string& path, Tensor tensor) : table{std::move(tensor)} {
    if (table[0].ndim() == 0) throw DataLossError("'" + path + "' holds a scalar, which has no rows");
  }
  bool next(Tensors& element) override {
    if (at == table[0].shape()[0]) return false;
    element = row_of(table, at++);
    return true;
  }
  std::int64_t skip(std::int64_t count) override {
    const std::int64_t skipped = std::min(count, table[0].shape()[0] - at);
    at += skipped;
    return skipped;
  }
  Tensors table;
  std::int64_t at = 0;
};

/// Rows of an HDF5 file's datasets, about a megabyte of the widest one at a time.
class Hdf5Stream final : public Stream<Tensors> {
 public:
  Hdf5Stream(const std::string& path, const std::vector<std::string>& names) : file_(hdf5::File::open(path)), names_(names) {
    std::int64_t widest = 1;
    for (const std::string& name : names) {
      const TensorSpec spec = file_.spec(name);
      if (spec.shape.ndim() == 0) throw DataLossError("'" + path + "': '" + name + "' is a scalar and has no rows");
      if (!specs_.empty() && spec.shape[0] != specs_[0].shape[0])
        throw DataLossError("'" + path + "': '" + names[0] + "' has " + std::to_string(specs_[0].shape[0]) + " rows, '" + name + "' " + std::to_string(spec.shape[0]));
      specs_.push_back(spec);
      widest = std::max(widest, width(spec) * std::int64_t(itemsize(spec.dtype)));
    }
    rows_ = specs_[0].shape[0];
    block_rows_ = std::clamp<std::int64_t>((1 << 20) / widest, 1, 4096);
  }
  bool next(Tensors& element) override {
    if (at_ == rows_) return false;
    if (at_ >= block_end_) read();
    element = row_of(block_, at_++ - block_begin_);
    return true;
  }
  std::int64_t skip(std::int64_t count) override {
    const std::int64_t skipped = std::min(count, rows_ - at_);
    at_ += skipped;
    return skipped;
  }

 private:
  static std::int64_t width(const TensorSpec& spec) { return Shape(spec.shape.dims().subspan(1)).numel(); }
  void read() {
    const std::int64_t begin = at_, end = std::min(rows_, begin + block_rows_);
    Tensors block;
    const std::int64_t last = std::exchange(rows_, at_);  // behind damage there is nothing to find
    for (std::size_t i = 0; i < names_.size(); ++i)
      block.push_back(Tensor::view(file_.read(names_[i], begin * width(specs_[i]), end * width(specs_[i])), rows_shape(end - begin, Shape(specs_[i].shape.dims().subspan(1)))));
    rows_ = last;
    block_ = std::move(block), block_begin_ = begin, block_end_ = end;
  }

  hdf5::File file_;
  std::vector<std::string> names_;
  std::vector<TensorSpec> specs_;
  Tensors block_;
  std::int64_t rows_ = 0, block_rows_ = 1, at_ = 0, block_begin_ = 0, block_end_ = 0;
};

}  // namespace

NodePtr make_files(std::vector<std::string> paths, FileOpener open) { return std::make_shared<FilesNode>(std::move(paths), std::move(open)); }

std::vector<std::string> list_files(const std::string& pattern) {
  glob_t found{};
  const int code = ::glob(pattern.c_str(), GLOB_MARK, nullptr, &found);
  std::vector<std::string> paths;
  for (std::size_t i = 0; code == 0 && i < found.gl_pathc; ++i)
    if (std::string path = found.gl_pathv[i]; !path.ends_with('/')) paths.push_back(std::move(path));
  ::globfree(&found);
  if (paths.empty()) throw NotFoundError("no file matches '" + pattern + "'", "list_files");
  return paths;
}

Dataset tfrecord_files(const std::vector<std::string>& paths) {
  return Dataset(make_files(some(paths, "tfrecord_files"), [](const std::string& path) -> StreamPtr<Tensors> { return std::make_unique<RecordStream>(path); }));
}

Dataset example_files(const std::vector<std::string>& paths, const ExampleSchema& schema, const MapOptions& options) {
  return tfrecord_files(paths).map([schema](const Tensor& record) { return parse_single_example(record, schema); }, options);
}

Dataset text_lines(const std::vector<std::string>& paths) {
  return Dataset(make_files(some(paths, "text_lines"), [](const std::string& path) -> StreamPtr<Tensors> { return std::make_unique<LineStream>(path); }));
}

Dataset npy_rows(const std::vector<std::string>& paths) {
  return Dataset(make_files(some(paths, "npy_rows"), [](const std::string& path) -> StreamPtr<Tensors> { return std::make_unique<TableStream>(path, load_npy(path)); }));
}

Dataset idx_rows(const std::vector<std::string>& paths) {
  return Dataset(make_files(some(paths, "idx_rows"), [](const std::string& path) -> StreamPtr<Tensors> { return std::make_unique<TableStream>(path, read_idx(path)); }));
}

Dataset hdf5_rows(const std::vector<std::string>& paths, const std::vector<std::string>& names) {
  if (names.empty()) throw InvalidArgumentError("name the datasets to read", "hdf5_rows");
  const NodePtr node = make_files(some(paths, "hdf5_rows"), [names](const std::string& path) -> StreamPtr<Tensors> { return std::make_unique<Hdf5Stream>(path, names); });
  if (names.size() == 1) return Dataset(node);
  return Dataset(node, std::make_shared<detail::StructureCell>(Structure{.kind = Structure::Kind::map, .names = names, .parts = std::vector<Structure>(names.size())}));
}

}  // namespace lockstep::io
