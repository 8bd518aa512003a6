#pragma once
// Inside checkpoints: a generation that is looked through and read at the same time, each byte once.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <lockstep/dist/communicator.h>
#include <lockstep/io/checkpoint.h>

namespace lockstep::io {

/// A generation whose files are what the manifest says, and the values that were read on the way. Nothing of a model has changed yet.
class CheckpointReader {
 public:
  /// Does this rank want the tensor as a whole? Of the others it may ask later.
  using Wanted = std::function<bool(const CheckpointTensor&)>;
  /// Looks through every world_size-th file, this rank's share, and reads what is wanted. Throws DataLossError, NotFoundError: each rank for itself, the ranks
  /// have to agree on what they found. HDF5 opens no file that was not looked through.
  CheckpointReader(std::string generation, const Wanted& wanted, int rank, int world_size);

  CheckpointReader(const CheckpointReader&) = delete;

  const std::string& generation() const { return generation_; }
  const CheckpointManifest& manifest() const { return manifest_; }
  /// Null if the generation has none of that path. Paths of callbacks' states begin with "callbacks/".
  const CheckpointTensor* find(const std::string& path) const;
  /// What was read, or is read now: a model may keep as a whole what was sharded, and the other way round.
  Tensor whole(const CheckpointTensor& tensor) const;
  /// Elements [begin, end) of a tensor, into `target`; reads only the parts that hold them.
  void read_range(const CheckpointTensor& tensor, std::int64_t begin, std::int64_t end, std::byte* target) const;

 private:
  class Source;
  struct Piece;
  std::vector<Piece> pieces_of(const CheckpointFile& file, bool verified) const;
  void check_frame(const Source& source, const CheckpointFile& file, const std::vector<Piece>& pieces) const;
  void check_datasets(const CheckpointFile& file, const std::vector<Piece>& pieces) const;
  void read_pieces(const std::vector<Piece>& pieces);

  std::string generation_;
  CheckpointManifest manifest_;
  std::map<std::string, std::shared_ptr<Source>> sources_;
  std::map<std::string, const CheckpointTensor*> by_path_;
  std::map<const CheckpointTensor*, Tensor> wholes_;
};

/// Opens the generation, or, of a directory of them, the last one that all ranks find whole; null if there is none. Those behind it are named in a warning.
/// Throws, on all ranks, DataLossError for a generation that is damaged, ResourceExhaustedError if there is no memory for it. All ranks call it.
std::shared_ptr<CheckpointReader> open_checkpoint(const std::string& path, const CheckpointReader::Wanted& wanted);
/// What this rank has had as a whole: all but its parts of sharded tensors, and the sums that rank 0 keeps.
bool is_kept_whole(const CheckpointTensor& tensor);

}  // namespace lockstep::io
