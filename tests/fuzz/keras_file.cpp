// .keras and legacy .h5 files, as Keras has them and changed: the input is a configuration, a zero, and what is changed in the weights of its model.
#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include <lockstep/io/archive.h>
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras/config.h>
#include <lockstep/io/keras_files.h>
#include <lockstep/nn/model.h>
#include <lockstep/nn/weight_limit.h>

#include "fuzz.h"
#include "hdf5_changes.h"
#include "json_changes.h"

using namespace lockstep;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

std::string contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint8_t* end = std::find(data, data + size, std::uint8_t(0));
  const std::string text(data, end);
  FuzzedDataProvider bytes(std::min(end + 1, data + size), std::size_t(data + size - std::min(end + 1, data + size)));
  const fuzz::Name keras(".keras"), legacy(".h5"), weights(".weights.h5");
  fuzz::read([&] {
    const Json config = io::keras::parse_config(text);
    const nn::WeightLimit limit(10000);
    const std::shared_ptr<nn::Model> model = io::keras::build_model(config, "config");
    if (config.contains("compile_config")) io::keras::in_place("config", [&] { model->compile(io::keras::compile_options(config["compile_config"], model->output_names())); });
    if (bytes.ConsumeBool()) {
      io::save_keras(*model, legacy.path);
      std::ofstream(weights.path, std::ios::binary) << fuzz::with_changes(contents(legacy.path), bytes);
      io::load_keras(weights.path);
    } else {
      io::save_keras_weights(*model, weights.path);
      io::write_archive(keras.path, {{.name = "metadata.json", .bytes = "{}"}, {.name = "config.json", .bytes = text}, {.name = "model.weights.h5", .bytes = fuzz::with_changes(contents(weights.path), bytes)}});
      io::load_keras(keras.path);
    }
  });
  return 0;
}

/// The configuration is changed as JSON, what follows as bytes.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
  const std::uint8_t* zero = std::find(data, data + size, std::uint8_t(0));
  const std::size_t length = std::size_t(zero - data);
  const std::vector<std::uint8_t> behind(zero, static_cast<const std::uint8_t*>(data) + size);
  if (seed % 3 == 0 || behind.size() >= most) return LLVMFuzzerMutate(data, size, most);
  const std::size_t changed = fuzz::change_json(data, length, most - behind.size(), seed);
  std::copy(behind.begin(), behind.end(), data + changed);
  return changed + behind.size();
}
