#pragma once
// Inside checkpoints: what reading and writing have in common, and the writer that works beside the training.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <lockstep/dist/communicator.h>
#include <lockstep/io/checkpoint.h>

namespace lockstep::io {

namespace hdf5 {
class File;
}

/// What one rank writes of a tensor: elements [begin, end).
struct OwnedPart {
  std::size_t entry;
  std::int64_t begin, end;
};
/// Who writes what, by rank: sharded tensors their owners, replicated ones (and summed ones, which rank 0 holds) spread by bytes, those that are a great part
/// of all in as many pieces as there are ranks. A function of its arguments alone.
std::vector<std::vector<OwnedPart>> ownership(const std::vector<nn::StateEntry>& entries, int world_size);

/// The values of a moment, and all that a generation says besides.
struct Snapshot {
  std::vector<nn::StateEntry> entries;
  std::vector<Tensor> values;  // this rank's, shared with the variables until these change
  nn::FitPosition position;
  std::vector<std::pair<std::string, std::string>> configs;
};
/// Brings the metrics' states together on rank 0 and takes hold of all values; copies nothing. All ranks call it.
Snapshot take_snapshot(nn::Model& model);

/// A file says of a part's dataset what the manifest says. Throws DataLossError naming both.
void require_dataset(const hdf5::File& file, const CheckpointTensor& tensor, const CheckpointPart& part);

/// Called before each step of the protocol, with its name: for tests that kill the process there.
using StepHook = std::function<void(const std::string& step)>;

/// Writes generations into a directory, with the ranks of a communicator, and remembers between them what the shards have in common.
class CheckpointWriter {
 public:
  CheckpointWriter(std::string directory, dist::Communicator& ranks, StepHook hook = {});
  CheckpointWriter(const CheckpointWriter&) = delete;
  ~CheckpointWriter();
  /// The path of the generation. Throws ResourceExhaustedError, on all ranks, with the reason of the first that failed.
  std::string write(const Snapshot& snapshot);

 private:
  struct LastFrame;
  struct Generation;
  void step(const char* name) const;
  void agree(const Generation& generation, const std::string& wrong, const char* what) const;
  void make_room(const Generation& generation) const;
  std::string write_own_shard(Generation& generation);
  void commit(Generation& generation) const;

  const std::string directory_;
  dist::Communicator& ranks_;
  const StepHook hook_;
  std::unique_ptr<LastFrame> last_frame_;
};
/// Writes one generation.
std::string write_generation(const Snapshot& snapshot, const std::string& directory, dist::Communicator& ranks, const StepHook& hook = {});

}  // namespace lockstep::io
