// A pass that is kept: in memory, or in a file. What is kept is the first pass, whenever that happens, so that what comes out depends on no history.
// A file is a TFRecord file: a record with the format's name and the elements' structure, one for each element, and one that counts them.

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <lockstep/io/element_bytes.h>
#include <lockstep/io/stream.h>
#include <lockstep/io/tfrecord.h>
#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

class MemoryCacheNode final : public Node {
 public:
  MemoryCacheNode(NodePtr upstream, detail::GaugePtr gauge) : upstream_(std::move(upstream)), held_(std::move(gauge)) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  StreamPtr<Tensors> open(std::int64_t epoch) const override {
    if (const NodePtr list = kept()) return list->open(epoch);
    return std::make_unique<Keeping>(*this, upstream_->open(0));
  }

 private:
  /// A pass that is kept when it was read from its beginning to its end.
  class Keeping final : public Stream<Tensors> {
   public:
    Keeping(const MemoryCacheNode& node, StreamPtr<Tensors> upstream) : node_(node), upstream_(std::move(upstream)) {}
    bool next(Tensors& element) override {
      const bool whole = std::exchange(whole_, false);  // unless the next line throws
      if (upstream_->next(element)) {
        whole_ = whole;
        if (whole_) elements_.push_back(element);
        return true;
      }
      if (whole) node_.keep(std::move(elements_));
      return false;
    }
    std::int64_t skip(std::int64_t count) override {
      if (count > 0) whole_ = false, elements_.clear();
      return upstream_->skip(count);
    }

   private:
    const MemoryCacheNode& node_;
    StreamPtr<Tensors> upstream_;
    std::vector<Tensors> elements_;
    bool whole_ = true;  // nothing was skipped, failed or has ended: what is read is all of it
  };

  NodePtr kept() const {
    const std::lock_guard lock(mutex_);
    return kept_;
  }
  void keep(std::vector<Tensors> elements) const {
    const std::lock_guard lock(mutex_);
    if (kept_) return;
    for (const Tensors& element : elements) held_.add(1, nbytes_of(element));
    kept_ = make_list(std::move(elements));
  }

  NodePtr upstream_;
  mutable std::mutex mutex_;
  mutable NodePtr kept_;  // once it is there it stays: streams read it
  mutable Held held_;
};

// ---- files

constexpr std::string_view kFormat = "lockstep elements 1";
constexpr std::string_view kEnd = "end ";

Json to_json(const Structure& structure) {
  using Kind = Structure::Kind;
  if (structure.kind == Kind::tensor) return "tensor";
  if (structure.kind == Kind::sparse) return "sparse";
  if (structure.kind == Kind::ragged) return structure.splits;
  Json json = structure.kind == Kind::map ? Json::object() : Json::array();
  for (std::size_t i = 0; i < structure.parts.size(); ++i) {
    if (structure.kind == Kind::map) json[structure.names[i]] = to_json(structure.parts[i]);
    else json.push_back(to_json(structure.parts[i]));
  }
  return json;
}

Structure structure_from(const Json& json, int depth = 0) {
  constexpr int kDeepest = 64;
  if (depth > kDeepest) throw DataLossError("a cache file nests its elements' structure more than " + std::to_string(kDeepest) + " deep");
  using Kind = Structure::Kind;
  if (json == "tensor") return {};
  if (json == "sparse") return {.kind = Kind::sparse};
  if (json.is_number_integer() && json > 0 && json <= Shape::kMaxDims) return {.kind = Kind::ragged, .splits = json.get<int>()};
  if (!json.is_structured()) throw DataLossError("a cache file says nothing of its elements' structure");
  Structure structure{.kind = json.is_object() ? Kind::map : Kind::tuple};
  for (const auto& [key, part] : json.items()) {
    if (json.is_object()) structure.names.push_back(key);
    structure.parts.push_back(structure_from(part, depth + 1));
  }
  return structure;
}

/// The elements of a file, which says of itself whether it is whole.
class ElementFile final : public Stream<Tensors> {
 public:
  explicit ElementFile(const std::string& path) : path_(path), reader_(path) {
    std::string head;
    if (!reader_.next(head) || !head.starts_with(kFormat)) throw DataLossError("'" + path + "' is no file of elements that a dataset has written");
    head_ = head.substr(kFormat.size());
  }
  std::optional<Structure> structure() const {
    const Json json = Json::parse(head_, nullptr, false);
    return json.is_discarded() || json.is_null() ? std::nullopt : std::optional(structure_from(json));
  }
  bool next(Tensors& element) override {
    std::string record;
    if (ended_) return false;
    if (!reader_.next(record)) ended_ = true;
    if (ended_) throw DataLossError("'" + path_ + "' ends after " + std::to_string(count_) + " elements, without saying that these are all");
    if (record.starts_with(kEnd)) {
      ended_ = true;
      if (record.substr(kEnd.size()) != std::to_string(count_)) throw DataLossError("'" + path_ + "' has " + std::to_string(count_) + " elements and says " + record.substr(kEnd.size()));
      return false;
    }
    try {
      element = from_bytes(std::span(record).subspan(1));
    } catch (const DataLossError& error) {
      throw DataLossError("'" + path_ + "', element " + std::to_string(count_) + ": " + error.what());
    }
    ++count_;
    return true;
  }

 private:
  std::string path_, head_;
  TFRecordReader reader_;
  std::int64_t count_ = 0;
  bool ended_ = false;
};

class ElementFileWriter {
 public:
  ElementFileWriter(const std::string& path, bool compressed, const std::optional<Structure>& structure) : writer_(path, {.compressed = compressed}) {
    writer_.write(std::string(kFormat) + (structure ? to_json(*structure).dump() : "null"));
  }
  void write(const Tensors& element) {
    writer_.write("e" + to_bytes(element));
    ++count_;
  }
  void close() {
    writer_.write(std::string(kEnd) + std::to_string(count_));
    writer_.close();
  }

 private:
  TFRecordWriter writer_;
  std::int64_t count_ = 0;
};

class FileCacheNode final : public Node {
 public:
  FileCacheNode(NodePtr upstream, std::string path, bool compressed) : upstream_(std::move(upstream)), path_(std::move(path)), compressed_(compressed) {}
  std::int64_t cardinality() const override { return upstream_->cardinality(); }
  StreamPtr<Tensors> open(std::int64_t) const override {
    if (std::filesystem::exists(path_)) return std::make_unique<ElementFile>(path_);
    return std::make_unique<Kept>(upstream_->open(0), path_, compressed_);
  }

 private:
  class Kept final : public Stream<Tensors> {
   public:
    Kept(StreamPtr<Tensors> upstream, const std::string& path, bool compressed) : upstream_(std::move(upstream)), path_(path), compressed_(compressed) {}
    bool next(Tensors& element) override {
      const bool whole = std::exchange(whole_, false);  // unless something throws: such a pass is not kept
      if (!whole) writer_.reset();
      else if (!writer_) writer_.emplace(path_, compressed_, std::nullopt);
      const bool found = upstream_->next(element);
      if (whole && found) writer_->write(element);
      if (whole && !found) writer_->close();
      whole_ = whole && found;
      return found;
    }
    std::int64_t skip(std::int64_t count) override {
      if (count > 0) whole_ = false, writer_.reset();
      return upstream_->skip(count);
    }

   private:
    StreamPtr<Tensors> upstream_;
    const std::string& path_;
    bool compressed_, whole_ = true;
    std::optional<ElementFileWriter> writer_;
  };

  NodePtr upstream_;
  std::string path_;
  bool compressed_;
};

/// What save() wrote.
class LoadedNode final : public Node {
 public:
  explicit LoadedNode(std::string path) : path_(std::move(path)) {}
  std::int64_t cardinality() const override { return kUnknown; }
  StreamPtr<Tensors> open(std::int64_t) const override { return std::make_unique<ElementFile>(path_); }

 private:
  std::string path_;
};

}  // namespace

NodePtr make_memory_cache(NodePtr upstream, detail::GaugePtr gauge) { return std::make_shared<MemoryCacheNode>(std::move(upstream), std::move(gauge)); }
NodePtr make_file_cache(NodePtr upstream, std::string path, bool compressed) { return std::make_shared<FileCacheNode>(std::move(upstream), std::move(path), compressed); }

Dataset Dataset::load(const std::string& path) {
  const std::optional<Structure> structure = ElementFile(path).structure();
  return Dataset(std::make_shared<LoadedNode>(path), structure ? std::make_shared<detail::StructureCell>(*structure) : nullptr);
}

void Dataset::save(const std::string& path, const SnapshotOptions& options) const {
  if (cardinality() == kInfinite) throw InvalidArgumentError("a dataset without end cannot be saved", "Dataset.save", "take() a part of it");
  ElementFileWriter writer(path, options.compressed, structure());
  Iterator iterator = iterate();
  for (Tensors element; iterator.next(element);) writer.write(element);
  writer.close();
}

}  // namespace lockstep::io
