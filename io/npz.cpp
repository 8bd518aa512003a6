#include <lockstep/io/npz.h>

#include <algorithm>
#include <set>
#include <span>

#include <lockstep/io/archive.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/npy.h>

namespace lockstep::io {
namespace {

/// Names of the entries, without ".npy".
std::vector<std::string> array_names(const ArchiveReader& archive) {
  std::vector<std::string> names = archive.names();
  for (std::string& name : names) {
    if (!name.ends_with(".npy")) archive.damaged("holds '" + name + "', which is no .npy file");
    name.resize(name.size() - 4);
  }
  return names;
}

Tensor read_array(const ArchiveReader& archive, std::size_t index, const std::string& name) {
  const std::string bytes = archive.read(index, name), origin = "'" + archive.path() + "', array '" + name + "': ";
  try {
    return from_npy(std::as_bytes(std::span<const char>(bytes)));
  } catch (const DataLossError& error) {
    throw DataLossError(origin + error.what());
  } catch (const TypeError& error) {
    throw TypeError(origin + error.what());
  }
}

}  // namespace

NamedTensors load_npz(const std::string& path) {
  const ArchiveReader archive(path, ".npz");
  const std::vector<std::string> names = array_names(archive);
  NamedTensors tensors;
  for (std::size_t i = 0; i < names.size(); ++i) tensors.emplace_back(names[i], read_array(archive, i, names[i]));
  return tensors;
}

Tensor load_npz(const std::string& path, const std::string& name) {
  const ArchiveReader archive(path, ".npz");
  const std::vector<std::string> names = array_names(archive);
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return read_array(archive, std::size_t(found - names.begin()), name);
  const std::string nearest = nearest_name(name, names);
  throw NotFoundError("'" + path + "' has no array '" + name + "'", {}, nearest.empty() ? "" : "did you mean '" + nearest + "'?");
}

void save_npz(const std::string& path, const NamedTensors& tensors, const NpzOptions& options) {
  if (tensors.empty()) throw InvalidArgumentError("there is nothing to write to '" + path + "'", "save_npz");
  std::set<std::string> names;
  std::vector<ArchiveEntry> entries;
  for (const auto& [name, tensor] : tensors) {
    if (name.empty() || !names.insert(name).second) throw InvalidArgumentError("arrays need names, each its own; '" + name + "' does not do", "save_npz");
    entries.push_back({.name = name + ".npy", .bytes = to_npy(tensor)});
  }
  write_archive(path, entries, options.compressed);
}

}  // namespace lockstep::io
