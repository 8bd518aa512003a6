#pragma once
// Checkpoints: everything that a training's course depends on, in a directory of HDF5 files, one per rank, and a manifest. A directory appears under
// its name only when it is complete, so that whoever looks finds the last complete generation, whatever happened to the process or the machine.
//
//   run/checkpoints/step-00000042/manifest.json            what is where, with checksums
//                                 shard-00000-of-00002.h5  /state/PATH and /callbacks/NAME/... datasets, /config/... texts
//
// Replicated tensors are written once, spread over the ranks; sharded ones by their owners; big ones in parts. Any number of ranks reads what any other
// number has written. All ranks call the same functions.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/nn/model.h>
#include <lockstep/nn/training_state.h>

namespace lockstep::io {

/// A part of a tensor in a file: elements [begin, end) in row-major order.
struct CheckpointPart {
  std::string file;
  std::int64_t begin = 0, end = 0;
  std::int64_t offset = 0;  // of its elements in the file, in bytes
  std::string checksum;     // of its elements: XXH3, 128 bits, in hexadecimal digits
};
struct CheckpointTensor {
  std::string path;
  TensorSpec spec;
  StateKind kind = StateKind::replicated;
  std::vector<CheckpointPart> parts;
  /// What a callback remembers, not the model's: at "callbacks/NAME/...".
  bool of_callback = false;

  /// Where its parts are in their files.
  std::string dataset() const { return of_callback ? "/" + path : "/state/" + path; }
};
struct CheckpointFile {
  std::string name;
  std::int64_t nbytes = 0;
  std::string checksum;  // of what is no part's elements
};

/// What manifest.json says.
struct CheckpointManifest {
  static constexpr int kVersion = 2;
  int world_size = 1;
  nn::FitPosition position;
  std::vector<CheckpointFile> files;
  std::vector<CheckpointTensor> tensors;
  std::vector<std::string> configs;  // names of the texts under /config of the first file

  std::string to_json() const;
  /// Throws DataLossError, naming `where` and the key, for anything that is not what it should be.
  static CheckpointManifest from_json(const std::string& text, const std::string& where);
};

/// The complete generations in a directory, oldest first: "step-00000042".
std::vector<std::string> checkpoint_generations(const std::string& directory);
/// Reads the manifest of a generation (a directory with a manifest.json). Throws NotFoundError, DataLossError.
CheckpointManifest read_manifest(const std::string& generation);
/// Compares sizes and checksums of all files. Throws DataLossError naming the file that is missing or has another size, or the dataset that differs.
void verify_checkpoint(const std::string& generation);
/// A tensor of a checkpoint, put together. Throws NotFoundError that suggests the nearest path, DataLossError naming file and dataset.
Tensor read_checkpoint_tensor(const std::string& generation, const CheckpointManifest& manifest, const std::string& path);
/// One number for all weights and states of a checkpoint's model, whatever their distribution over files: of paths, dtypes, shapes and elements.
std::string checkpoint_hash(const std::string& generation);

/// Writes a generation: DIRECTORY/step-NNNNNNNN, by the model's position. Returns its path. Throws ResourceExhaustedError on all ranks, with the reason of the
/// first that failed; what was there before stays.
std::string save_checkpoint(nn::Model& model, const std::string& directory);

struct LoadOptions {
  /// Loads what both have, and leaves the rest as it is. Otherwise a path that only one of them has is an error.
  bool partial = false;
  /// Weights and states of layers only, not the optimizer's, the metrics' and the generators'.
  bool weights_only = false;
};
/// Gives the model's variables their values from a generation, or from the last complete one in a directory of them (if that is damaged, from the one before,
/// with a warning). Throws NotFoundError if there is none, InvalidArgumentError that lists the paths that differ if it is of another model.
void load_checkpoint(nn::Model& model, const std::string& path, const LoadOptions& options = {});

struct LoadModelOptions {
  /// Classes and functions of one's own that the checkpoint names and that are not registered.
  CustomObjects custom_objects = {};
  /// Compile it as it was, with the optimizer's state.
  bool compile = true;
};
/// The model that a checkpoint (a generation, or the last complete one in a directory) describes, with its weights, ready to go on. Throws as load_checkpoint does, and
/// NotFoundError for a model without a configuration (a class of one's own that lists no fields), or for a class that is neither registered nor passed.
std::shared_ptr<nn::Model> load_model(const std::string& path, const LoadModelOptions& options = {});

/// For FitOptions::resume: the last complete generation in the directory, if there is one.
std::shared_ptr<nn::ResumePoint> resume_from(const std::string& directory);

}  // namespace lockstep::io
