// The JSON of a model, and of how it is compiled, as .keras files and checkpoints hold it.
#include <lockstep/io/keras/config.h>
#include <lockstep/nn/model.h>
#include <lockstep/nn/weight_limit.h>

#include "fuzz.h"
#include "json_changes.h"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::read([&] {
    const Json config = io::keras::parse_config(std::string(reinterpret_cast<const char*>(data), size));
    const nn::WeightLimit limit(10000);
    const std::shared_ptr<nn::Model> model = io::keras::build_model(config, "config");
    if (config.contains("compile_config")) io::keras::in_place("config", [&] { model->compile(io::keras::compile_options(config["compile_config"], model->output_names())); });
    io::keras::model_config(*model).dump();
  });
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) { return fuzz::change_json(data, size, most, seed); }
