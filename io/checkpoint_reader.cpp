#include <lockstep/io/checkpoint_reader.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>

#include <lockstep/dist/world.h>
#include <lockstep/io/checkpoint_files.h>
#include <lockstep/io/checksum.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/base/warning.h>

namespace lockstep::io {
namespace {

/// What stays in the cache between its copy from the system and its checksum.
constexpr std::int64_t kChunk = std::int64_t(1) << 18;

void require_checksum(const Checksum& found, const std::string& said, const std::string& what) {
  if (const std::string text = found.text(); text != said) throw DataLossError(what + " is damaged: its checksum is " + text + ", the manifest says " + said, "checkpoint");
}

std::string named(const CheckpointTensor& tensor, const std::string& path) { return "dataset '" + tensor.dataset() + "' of '" + path + "'"; }

}  // namespace

/// A file of the generation, to be read at any place by any thread.
class CheckpointReader::Source {
 public:
  Source(std::string path, const CheckpointFile& said) : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) throw DataLossError("'" + path_ + "' is missing or cannot be read: " + std::strerror(errno), "checkpoint");
    std::error_code none;
    const auto bytes = std::filesystem::file_size(path_, none);
    if (!none && std::int64_t(bytes) == said.nbytes) return;
    ::close(descriptor_);
    throw DataLossError("'" + path_ + "' has " + std::to_string(bytes) + " bytes, the manifest says " + std::to_string(said.nbytes), "checkpoint");
  }
  Source(const Source&) = delete;
  ~Source() { ::close(descriptor_); }

  const std::string& path() const { return path_; }
  void read(std::int64_t at, std::int64_t count, std::byte* target) const {
    for (std::int64_t done = 0; done < count;) {
      const ssize_t n = ::pread(descriptor_, target + done, std::size_t(count - done), at + done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) throw DataLossError("'" + path_ + "' cannot be read to its end" + (n < 0 ? std::string(": ") + std::strerror(errno) : ""), "checkpoint");
      done += n;
    }
  }
  /// The same, added to `checksum` if there is one. Without a target the bytes are only looked at.
  void read(std::int64_t at, std::int64_t count, std::byte* target, Checksum* checksum) const {
    std::vector<std::byte> buffer(target ? 0 : std::size_t(std::min(count, kChunk)));
    for (std::int64_t done = 0; done < count; done += kChunk) {
      const std::int64_t n = std::min(kChunk, count - done);
      std::byte* const into = target ? target + done : buffer.data();
      read(at + done, n, into);
      if (checksum) checksum->add(into, std::size_t(n));
    }
  }

 private:
  std::string path_;
  int descriptor_;
};

/// A part of a tensor, in a file.
struct CheckpointReader::Piece {
  const CheckpointTensor* tensor;
  const CheckpointPart* part;
  bool verified = false;       // does this rank compare its checksum?
  std::byte* target = nullptr;  // null: looked at only
  std::int64_t nbytes() const { return (part->end - part->begin) * std::int64_t(itemsize(tensor->spec.dtype)); }
};

CheckpointReader::CheckpointReader(std::string generation, const Wanted& wanted, int rank, int world_size) : generation_(std::move(generation)), manifest_(read_manifest(generation_)) {
  for (const CheckpointFile& file : manifest_.files) sources_.emplace(file.name, std::make_shared<Source>(generation_ + "/" + file.name, file));
  for (const CheckpointTensor& tensor : manifest_.tensors) by_path_.emplace(tensor.path, &tensor);
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < manifest_.files.size(); ++i) {
    const CheckpointFile& file = manifest_.files[i];
    const bool verified = int(i % std::size_t(world_size)) == rank;
    const std::vector<Piece> all = pieces_of(file, verified);
    if (verified) {
      check_frame(*sources_.at(file.name), file, all);
      check_datasets(file, all);
    }
    pieces.insert(pieces.end(), all.begin(), all.end());
  }
  for (const CheckpointTensor& tensor : manifest_.tensors)
    if (wanted(tensor)) wholes_.emplace(&tensor, Tensor::empty(tensor.spec.shape, tensor.spec.dtype));
  for (Piece& piece : pieces)
    if (const auto whole = wholes_.find(piece.tensor); whole != wholes_.end())
      piece.target = static_cast<std::byte*>(whole->second.mutable_raw()) + std::size_t(piece.part->begin) * itemsize(piece.tensor->spec.dtype);
  std::erase_if(pieces, [](const Piece& piece) { return !piece.target && !piece.verified; });
  read_pieces(pieces);
}

/// In the order of the file. Throws for what overlaps or lies outside.
std::vector<CheckpointReader::Piece> CheckpointReader::pieces_of(const CheckpointFile& file, bool verified) const {
  std::vector<Piece> pieces;
  for (const CheckpointTensor& tensor : manifest_.tensors)
    for (const CheckpointPart& part : tensor.parts)
      if (part.file == file.name && part.begin < part.end) pieces.push_back({&tensor, &part, verified});
  std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) { return a.part->offset < b.part->offset; });
  std::int64_t at = 0;
  for (const Piece& piece : pieces) {
    const std::int64_t offset = piece.part->offset, count = piece.part->end - piece.part->begin, size = std::int64_t(itemsize(piece.tensor->spec.dtype));
    if (offset < at || offset > file.nbytes || count > (file.nbytes - offset) / size)
      throw DataLossError(named(*piece.tensor, generation_ + "/" + file.name) + " is not where the manifest says", "checkpoint");
    at = offset + count * size;
  }
  return pieces;
}

/// What is no dataset's elements: HDF5's own.
void CheckpointReader::check_frame(const Source& source, const CheckpointFile& file, const std::vector<Piece>& pieces) const {
  Checksum around;
  std::int64_t at = 0;
  for (const Piece& piece : pieces) {
    source.read(at, piece.part->offset - at, nullptr, &around);
    at = piece.part->offset + piece.nbytes();
  }
  source.read(at, file.nbytes - at, nullptr, &around);
  require_checksum(around, file.checksum, "'" + source.path() + "', apart from its datasets' elements,");
}

/// HDF5 and the manifest say the same of every dataset.
void CheckpointReader::check_datasets(const CheckpointFile& file, const std::vector<Piece>& pieces) const {
  const hdf5::File opened = hdf5::File::open(generation_ + "/" + file.name);
  for (const Piece& piece : pieces) {
    require_dataset(opened, *piece.tensor, *piece.part);
    if (opened.offset(piece.tensor->dataset()) != piece.part->offset) throw DataLossError(named(*piece.tensor, opened.path()) + " is not where the manifest says", "checkpoint");
  }
}

void CheckpointReader::read_pieces(const std::vector<Piece>& pieces) {
  std::vector<std::exception_ptr> failed(pieces.size());
  std::atomic<std::size_t> next = 0;
  const auto read = [&](const Piece& piece) {
    const Source& source = *sources_.at(piece.part->file);
    Checksum own;
    source.read(piece.part->offset, piece.nbytes(), piece.target, piece.verified ? &own : nullptr);
    if (piece.verified) require_checksum(own, piece.part->checksum, named(*piece.tensor, source.path()));
  };
  parallel_for(std::min<std::int64_t>(intra_op_threads(), std::int64_t(pieces.size())), 1, [&](std::int64_t, std::int64_t) {
    for (std::size_t i = next++; i < pieces.size(); i = next++) {
      try {
        read(pieces[i]);
      } catch (...) {
        failed[i] = std::current_exception();
      }
    }
  });
  for (const std::exception_ptr& error : failed)
    if (error) std::rethrow_exception(error);
}

const CheckpointTensor* CheckpointReader::find(const std::string& path) const {
  const auto found = by_path_.find(path);
  return found == by_path_.end() ? nullptr : found->second;
}

Tensor CheckpointReader::whole(const CheckpointTensor& tensor) const {
  if (const auto read = wholes_.find(&tensor); read != wholes_.end()) return read->second;
  Tensor whole = Tensor::empty(tensor.spec.shape, tensor.spec.dtype);
  read_range(tensor, 0, whole.numel(), static_cast<std::byte*>(whole.mutable_raw()));
  return whole;
}

void CheckpointReader::read_range(const CheckpointTensor& tensor, std::int64_t begin, std::int64_t end, std::byte* target) const {
  const std::int64_t size = std::int64_t(itemsize(tensor.spec.dtype));
  for (const CheckpointPart& part : tensor.parts) {
    const std::int64_t from = std::max(begin, part.begin), to = std::min(end, part.end);
    if (from < to) sources_.at(part.file)->read(part.offset + (from - part.begin) * size, (to - from) * size, target + (from - begin) * size);
  }
}

std::shared_ptr<CheckpointReader> open_checkpoint(const std::string& path, const CheckpointReader::Wanted& wanted) {
  dist::Communicator& world = dist::communicator();
  std::string listed;
  const bool single = std::filesystem::exists(path + "/manifest.json");
  if (single) listed = std::filesystem::path(path).filename().string() + "\n";
  else
    for (const std::string& name : checkpoint_generations(path)) listed += name + "\n";
  // Rank 0 says what there is: a file system may show the others another moment.
  const std::string told = world.broadcast_text((single ? "=" : "*") + listed, 0, "generations");
  std::vector<std::string> names;
  for (std::size_t at = 1; at < told.size(); at = told.find('\n', at) + 1) names.push_back(told.substr(at, told.find('\n', at) - at));
  for (std::size_t k = names.size(); k-- > 0;) {
    std::string wrong;  // begins with ! if it is not the file's fault
    std::shared_ptr<CheckpointReader> reader;
    try {
      reader = std::make_shared<CheckpointReader>(told[0] == '=' ? path : path + "/" + names[k], wanted, world.rank(), world.size());
    } catch (const DataLossError& error) {
      wrong = error.what();
    } catch (const NotFoundError& error) {
      wrong = error.what();
    } catch (const std::exception& error) {
      wrong = std::string("!") + error.what();
    }
    for (const std::string& each : world.gather_texts(wrong, "verified"))
      if (!each.empty() && (wrong.empty() || each[0] == '!')) wrong = each;
    if (wrong.empty()) return reader;
    if (wrong[0] == '!') throw ResourceExhaustedError("'" + path + "' cannot be read: " + wrong.substr(1), "checkpoint");
    if (told[0] == '=') throw DataLossError(wrong);
    if (world.rank() == 0) warn("checkpoint", wrong + (k > 0 ? "; going back to " + names[k - 1] : "; there is none before it"));
  }
  return nullptr;
}

bool is_kept_whole(const CheckpointTensor& tensor) {
  if (tensor.kind == StateKind::sharded) return dist::world_size() == 1;
  return tensor.kind != StateKind::summed || dist::is_chief();
}

}  // namespace lockstep::io
