// Small real files for the fuzz targets to start from: seeds DIR [GOLDEN]. GOLDEN: files of Keras's own, whose configurations are taken, too.
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>

#include <nlohmann/json.hpp>

#include <lockstep/io/archive.h>
#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

/// The like in every run.
std::string some_bytes(int seed) {
  std::minstd_rand numbers(static_cast<unsigned>(seed) + 1);
  std::string bytes;
  for (int i = 0; i < 60; ++i) bytes += char(numbers() >> 8);
  return bytes;
}

/// The configuration in a .keras file: for itself, and with changes of the weights behind it.
void add_config(const std::filesystem::path& root, const std::string& name, const std::string& file) {
  const io::ArchiveReader archive(file, ".keras");
  const std::vector<std::string> names = archive.names();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != "config.json") continue;
    const std::string config = archive.read(i, names[i]);
    std::ofstream(root / "config" / name) << config;
    for (int k = 0; k < 8; ++k) std::ofstream(root / "keras_file" / (name + "-" + std::to_string(k)), std::ios::binary) << config << '\0' << some_bytes(k);
  }
}

/// Image files of all kinds of pixels; the first byte says how they are decoded.
void add_images(const std::filesystem::path& root) {
  const auto write = [&](const std::string& target, const std::string& name, char choice, const Tensor& file) {
    std::ofstream(root / target / name, std::ios::binary) << choice << file.item<std::string>();
  };
  for (std::int64_t channels = 1; channels <= 4; ++channels) {
    const Tensor picture = reshape(cast(range(0, 6 * 5 * channels), uint8), {6, 5, channels});
    write("png", "bytes-" + std::to_string(channels), 0, image::encode_png(picture));
    write("png", "words-" + std::to_string(channels), 8, image::encode_png(cast(picture, uint16) * scalar(257, uint16)));
    if (channels % 2 == 0) continue;
    for (const bool progressive : {false, true}) write("jpeg", (progressive ? "progressive-" : "plain-") + std::to_string(channels), 32, image::encode_jpeg(picture, {.progressive = progressive}));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::filesystem::path root = argv[1];
  std::filesystem::remove_all(root);
  for (const char* target : {"manifest", "config", "keras_file", "archive", "shard", "png", "jpeg", "wav", "records", "csv"}) std::filesystem::create_directories(root / target);
  add_images(root);
  for (const std::int64_t channels : {1, 2}) std::ofstream(root / "wav" / std::to_string(channels), std::ios::binary) << audio::encode_wav(full({5, channels}, 0.25, float32), scalar(8000, int32)).item<std::string>();
  const Tensor x = ones({4, 2}), y = ones({4, 1});
  const auto save = [&](nn::Model& model, const std::string& name) {
    model.compile({.optimizer = "adam", .loss = "mse", .metrics = {"mae"}});
    model.fit(x, y, {.verbose = 0});
    const std::string generation = io::save_checkpoint(model, (root / "checkpoints" / name).string());
    std::filesystem::copy_file(generation + "/manifest.json", root / "manifest" / name);
    const std::string file = (root / "archive" / (name + ".keras")).string();
    io::save_keras(model, file);
    add_config(root, name, file);
  };
  nn::Sequential dense({nn::InputLayer({2}), nn::Dense({.units = 3, .activation = "relu", .kernel_regularizer = "l2"}), nn::BatchNormalization(), nn::Dropout({.rate = 0.1}), nn::Dense(1)});
  save(dense, "dense");
  const nn::Symbol in = nn::input({2}, {.name = "in"});
  nn::Functional wide({in}, {nn::Symbols{in, in >> nn::Dense(3, "tanh")} >> nn::Concatenate() >> nn::Dense(1)});
  save(wide, "wide");
  nn::Sequential recurrent({nn::InputLayer({2}), nn::Reshape({2, 1}), nn::LSTM({.units = 2}), nn::Dense(1)});
  save(recurrent, "recurrent");
  if (argc > 2 && std::filesystem::is_directory(argv[2]))
    for (const auto& entry : std::filesystem::directory_iterator(argv[2]))
      if (entry.path().extension() == ".keras") add_config(root, entry.path().stem(), entry.path());
  // Small ones, in which a change is more often one that matters.
  io::CheckpointManifest manifest;
  manifest.files = {{"a.h5", 9, "ab"}};
  manifest.tensors = {{"w", {float32, {2}}, StateKind::replicated, {{"a.h5", 0, 2, 1, "cd"}}}};
  std::ofstream(root / "manifest" / "small") << Json::parse(manifest.to_json()).dump();
  const std::string small = R"({"class_name":"Sequential","config":{"name":"s","layers":[{"class_name":"Dense","config":{"name":"d","units":1}}]},"build_config":{"input_shape":[null,2]}})";
  std::ofstream(root / "config" / "small") << small;
  for (int i = 0; i < 32; ++i) std::ofstream(root / "keras_file" / ("small-" + std::to_string(i)), std::ios::binary) << small << '\0' << some_bytes(i);
  const std::string example = io::make_example({{"x", constant({1.f, 2.f, 3.f})}, {"n", constant({4, 5})}, {"s", constant({"six"})}});
  std::ofstream(root / "records" / "example", std::ios::binary) << example;
  for (const bool compressed : {false, true}) {
    io::TFRecordWriter writer((root / "records" / (compressed ? "gzip" : "plain")).string(), {.compressed = compressed});
    for (int i = 0; i < 3; ++i) writer.write(example);
    writer.close();
  }
  std::ofstream(root / "csv" / "table") << "id,price,name\r\n1,2.5,\"a, \"\"b\"\"\nc\"\n-2,,x\n";
  std::ofstream(root / "csv" / "rows") << "1,2.5,abc\n4,,x y\n\"5\",6e-1,\"q\"\n";
  // Changes of all kinds.
  for (int i = 0; i < 32; ++i) std::ofstream(root / "shard" / std::to_string(i), std::ios::binary) << some_bytes(i);
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}
