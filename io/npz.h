#pragma once
// NumPy's .npz: a zip archive of .npy files, as numpy.savez and numpy.savez_compressed write it.

#include <string>
#include <utility>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// Tensors by name, in the order of the file.
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

struct NpzOptions {
  bool compressed = false;  // deflated, as numpy.savez_compressed
};

/// Reads all arrays of a .npz file. Throws NotFoundError if there is no such file, DataLossError, naming file and entry, if it is not a
/// zip archive or damaged, TypeError for a dtype that Lockstep lacks.
NamedTensors load_npz(const std::string& path);
/// Reads one of them. Throws NotFoundError, naming the nearest, if it is not there.
Tensor load_npz(const std::string& path, const std::string& name);
/// Writes a .npz file, replacing the one of that name when it is complete; the same tensors give the same bytes. Throws
/// InvalidArgumentError for no tensors and for a name that is there twice, TypeError for bfloat16 and string, NotFoundError if there is
/// no such directory, ResourceExhaustedError if it cannot be written in full.
void save_npz(const std::string& path, const NamedTensors& tensors, const NpzOptions& options = {});

}  // namespace lockstep::io
