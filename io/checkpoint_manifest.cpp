// The manifest of a checkpoint, as JSON and back. Whatever a file claims is checked before it is believed.

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/io/checkpoint.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

using Json = nlohmann::ordered_json;

const char* name(StateKind kind) {
  switch (kind) {
    case StateKind::replicated: return "replicated";
    case StateKind::summed: return "summed";
    case StateKind::sharded: break;
  }
  return "sharded";
}

StateKind kind_of(const std::string& text, const std::string& where) {
  for (const StateKind kind : {StateKind::replicated, StateKind::summed, StateKind::sharded})
    if (text == name(kind)) return kind;
  throw DataLossError(where + ": no kind of state is called '" + text + "'", "checkpoint");
}

DType dtype_named(const std::string& text, const std::string& where) {
  for (int i = 0; i < kDTypeCount; ++i)
    if (lockstep::name(DType(i)) == text && DType(i) != string) return DType(i);
  throw DataLossError(where + ": no dtype of a checkpoint is called '" + text + "'", "checkpoint");
}

/// A value of JSON with its place, for errors.
class Reader {
 public:
  Reader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}
  Reader at(const char* key) const {
    if (!json_.is_object() || !json_.contains(key)) throw DataLossError(where_ + " has no '" + key + "'", "checkpoint");
    return {json_[key], where_ + "." + key};
  }
  bool has(const char* key) const { return json_.is_object() && json_.contains(key); }
  std::vector<Reader> list() const {
    if (!json_.is_array()) throw DataLossError(where_ + " is no list", "checkpoint");
    std::vector<Reader> items;
    for (std::size_t i = 0; i < json_.size(); ++i) items.push_back({json_[i], where_ + "[" + std::to_string(i) + "]"});
    return items;
  }
  std::int64_t number(std::int64_t least = 0) const {
    if (!json_.is_number_integer() || json_.get<std::int64_t>() < least) throw DataLossError(where_ + " is no whole number from " + std::to_string(least) + " on", "checkpoint");
    return json_.get<std::int64_t>();
  }
  std::int64_t any_number() const {
    if (!json_.is_number_integer()) throw DataLossError(where_ + " is no whole number", "checkpoint");
    return json_.get<std::int64_t>();
  }
  std::string text() const {
    if (!json_.is_string()) throw DataLossError(where_ + " is no text", "checkpoint");
    return json_.get<std::string>();
  }
  /// The name of a file beside the manifest, and nowhere else.
  std::string file_name() const {
    const std::string name = text();
    if (name.empty() || name.find('/') != std::string::npos || name[0] == '.') throw DataLossError(where_ + ": '" + name + "' is no name of a file of the checkpoint", "checkpoint");
    return name;
  }
  const std::string& where() const { return where_; }

 private:
  const Json& json_;
  std::string where_;
};

}  // namespace

std::string CheckpointManifest::to_json() const {
  Json json{{"format", "lockstep-checkpoint"}, {"version", kVersion}, {"world_size", world_size}};
  json["position"] = {{"epoch", position.epoch}, {"batch", position.batch}, {"step", position.step}, {"data_epoch", position.data.epoch}, {"data_offset", position.data.offset}, {"seed", position.seed}};
  if (position.data.ranks != 0) json["position"]["data_ranks"] = position.data.ranks, json["position"]["data_rest"] = position.data.rest;
  json["configs"] = configs;
  json["files"] = Json::array();
  for (const CheckpointFile& file : files) json["files"].push_back({{"name", file.name}, {"bytes", file.nbytes}, {"xxh3_128", file.checksum}});
  json["tensors"] = Json::array();
  for (const CheckpointTensor& tensor : tensors) {
    Json parts = Json::array();
    for (const CheckpointPart& part : tensor.parts) parts.push_back({{"file", part.file}, {"begin", part.begin}, {"end", part.end}, {"offset", part.offset}, {"xxh3_128", part.checksum}});
    json["tensors"].push_back({{"path", tensor.path}, {"dtype", std::string(lockstep::name(tensor.spec.dtype))}, {"shape", std::vector<std::int64_t>(tensor.spec.shape.begin(), tensor.spec.shape.end())}, {"kind", name(tensor.kind)}, {"parts", parts}});
    if (tensor.of_callback) json["tensors"].back()["of_callback"] = true;
  }
  return json.dump(1) + "\n";
}

CheckpointManifest CheckpointManifest::from_json(const std::string& text, const std::string& where) {
  // The depth is limited before the parser goes down: a manifest has six levels.
  int depth = 0, deepest = 0;
  for (const char c : text) depth += (c == '[' || c == '{') - (c == ']' || c == '}'), deepest = std::max(deepest, depth);
  if (deepest > 64) throw DataLossError(where + " is nested " + std::to_string(deepest) + " deep", "checkpoint");
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::exception& error) {
    throw DataLossError(where + " is no JSON: " + error.what(), "checkpoint");
  }
  const Reader root(json, where);
  if (root.at("format").text() != "lockstep-checkpoint") throw DataLossError(where + " is no manifest of a checkpoint", "checkpoint");
  if (root.at("version").number() != kVersion) throw DataLossError(where + " has version " + std::to_string(root.at("version").number()) + ", this program reads " + std::to_string(kVersion), "checkpoint");
  CheckpointManifest manifest;
  manifest.world_size = int(root.at("world_size").number(1));
  const Reader position = root.at("position");
  manifest.position = {position.at("epoch").number(), position.at("batch").number(), position.at("step").number(), {position.at("data_epoch").number(), position.at("data_offset").number()}, position.at("seed").any_number()};
  if (position.has("data_ranks")) manifest.position.data.ranks = position.at("data_ranks").number(), manifest.position.data.rest = position.at("data_rest").number();
  for (const Reader& config : root.at("configs").list()) manifest.configs.push_back(config.text());
  for (const Reader& file : root.at("files").list()) manifest.files.push_back({file.at("name").file_name(), file.at("bytes").number(), file.at("xxh3_128").text()});
  for (const Reader& tensor : root.at("tensors").list()) {
    CheckpointTensor& each = manifest.tensors.emplace_back();
    each.path = tensor.at("path").text();
    each.spec.dtype = dtype_named(tensor.at("dtype").text(), tensor.where());
    each.kind = kind_of(tensor.at("kind").text(), tensor.where());
    each.of_callback = tensor.has("of_callback");
    if (each.of_callback && (!each.path.starts_with("callbacks/") || each.path.find('/', 10) == std::string::npos)) throw DataLossError(tensor.where() + ": '" + each.path + "' is no place of a callback's state", "checkpoint");
    std::vector<std::int64_t> sizes;
    for (const Reader& size : tensor.at("shape").list()) sizes.push_back(size.number());
    try {
      each.spec.shape = Shape(std::span<const std::int64_t>(sizes));
    } catch (const Error& error) {
      throw DataLossError(tensor.where() + ".shape: " + error.what(), "checkpoint");
    }
    std::int64_t covered = 0;
    for (const Reader& part : tensor.at("parts").list()) {
      each.parts.push_back({part.at("file").file_name(), part.at("begin").number(), part.at("end").number(), part.at("offset").number(), part.at("xxh3_128").text()});
      if (each.parts.back().begin != covered || each.parts.back().end < covered) throw DataLossError(part.where() + " does not go on where the part before ended", "checkpoint");
      covered = each.parts.back().end;
      if (std::none_of(manifest.files.begin(), manifest.files.end(), [&](const CheckpointFile& file) { return file.name == each.parts.back().file; }))
        throw DataLossError(part.where() + " is in '" + each.parts.back().file + "', which is no file of the checkpoint", "checkpoint");
    }
    if (covered != each.spec.shape.numel()) throw DataLossError(tensor.where() + ": the parts hold " + std::to_string(covered) + " of " + std::to_string(each.spec.shape.numel()) + " elements", "checkpoint");
  }
  return manifest;
}

}  // namespace lockstep::io
