// `lockstep inspect`: what is in a checkpoint, whether it is whole, and what distinguishes two.

#include <filesystem>
#include <iomanip>
#include <iostream>
#include <map>

#include <lockstep/lockstep.h>

#include "commands.h"

namespace lockstep::launch {
namespace {

/// The generation itself, or the last one in a directory of them.
std::string generation_at(const std::string& path) {
  if (std::filesystem::exists(path + "/manifest.json")) return path;
  const std::vector<std::string> generations = io::checkpoint_generations(path);
  if (generations.empty()) throw NotFoundError("there is no checkpoint in '" + path + "'", "inspect");
  return path + "/" + generations.back();
}

void print_tree(const std::string& generation, const io::CheckpointManifest& manifest) {
  std::cout << generation << ": step " << manifest.position.step << ", epoch " << manifest.position.epoch << ", written by " << manifest.world_size << (manifest.world_size == 1 ? " rank\n" : " ranks\n");
  std::size_t longest = 0;
  std::int64_t bytes = 0;
  for (const io::CheckpointTensor& tensor : manifest.tensors) longest = std::max(longest, tensor.path.size());
  for (const io::CheckpointTensor& tensor : manifest.tensors) {
    std::cout << "  " << std::left << std::setw(int(longest)) << tensor.path << "  " << std::setw(9) << name(tensor.spec.dtype) << " " << std::setw(16) << to_string(tensor.spec.shape) << " ";
    for (std::size_t i = 0; i < tensor.parts.size(); ++i) {
      std::cout << (i ? ", " : "") << tensor.parts[i].file;
      if (tensor.parts.size() > 1) std::cout << " [" << tensor.parts[i].begin << ", " << tensor.parts[i].end << ")";
    }
    std::cout << "\n";
    bytes += tensor.spec.shape.numel() * std::int64_t(itemsize(tensor.spec.dtype));
  }
  for (const std::string& config : manifest.configs) std::cout << "  config/" << config << "\n";
  std::cout << manifest.tensors.size() << " tensors, " << bytes << " bytes, in " << manifest.files.size() << (manifest.files.size() == 1 ? " file\n" : " files\n");
}

/// Prints every path that differs; how many do.
int print_differences(const std::string& a, const std::string& b) {
  const io::CheckpointManifest first = io::read_manifest(a), second = io::read_manifest(b);
  std::map<std::string, const io::CheckpointTensor*> other;
  for (const io::CheckpointTensor& tensor : second.tensors) other.emplace(tensor.path, &tensor);
  int differing = 0;
  const auto say = [&](const std::string& text) { std::cout << text << "\n", ++differing; };
  for (const io::CheckpointTensor& tensor : first.tensors) {
    const auto found = other.find(tensor.path);
    if (found == other.end()) {
      say("only in " + a + ": " + tensor.path);
      continue;
    }
    if (!(found->second->spec == tensor.spec)) {
      say(tensor.path + ": " + to_string(tensor.spec) + " and " + to_string(found->second->spec));
    } else {
      const Tensor x = io::read_checkpoint_tensor(a, first, tensor.path), y = io::read_checkpoint_tensor(b, second, tensor.path);
      if (std::memcmp(x.host_raw(), y.host_raw(), x.nbytes()) != 0) {
        std::string text = tensor.path + ": the elements differ";
        if (is_float(x.dtype()) && x.numel() > 0) text += ", at most by " + to_string(Scalar(reduce_max(abs(cast(x, float64) - cast(y, float64))).item<double>()));
        say(text);
      }
    }
    other.erase(found);
  }
  for (const auto& [path, tensor] : other) say("only in " + b + ": " + path);
  if (differing == 0) std::cout << "no difference\n";
  return differing;
}

}  // namespace

int inspect(const InspectOptions& options) {
  const std::string generation = generation_at(options.path), other = options.diff.empty() ? std::string() : generation_at(options.diff);
  // HDF5 only sees what is as it was written.
  if (options.hash || !other.empty()) io::verify_checkpoint(generation);
  if (!other.empty()) io::verify_checkpoint(other);
  if (options.hash) {
    std::cout << io::checkpoint_hash(generation) << "\n";
    return 0;
  }
  if (!other.empty()) return print_differences(generation, other) == 0 ? 0 : 1;
  print_tree(generation, io::read_manifest(generation));
  io::verify_checkpoint(generation);
  std::cout << "all files are as the manifest says\n";
  return 0;
}

}  // namespace lockstep::launch
