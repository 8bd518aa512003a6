// Whole input pipelines, from files to batches, in samples a second; and whether a training waits for them. input_pipeline_peer.py is the same in tf.data.

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/image_random.h>

#include "bench.h"
#include "structures.h"
#include "timing.h"

namespace lockstep::bench {
namespace {

using io::Dataset;

constexpr std::int64_t kBatch = 64;

/// The record files of a run, in a directory that stays if the user named it.
class RecordFiles {
 public:
  explicit RecordFiles(const InputPipelineOptions& options) : kept_(!options.directory.empty()) {
    directory_ = kept_ ? std::filesystem::path(options.directory) : std::filesystem::temp_directory_path() / ("lockstep_bench_" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
    path = (directory_ / ("jpegs-" + std::to_string(options.images) + ".tfrecord")).string();
    if (!std::filesystem::exists(path)) write(options.images);
  }
  ~RecordFiles() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(directory_, ignored);
  }
  RecordFiles(const RecordFiles&) = delete;
  RecordFiles& operator=(const RecordFiles&) = delete;
  std::string path;

 private:
  /// Smooth pictures of 64 x 64 with a little noise, of about 2 KB, each another; a hundred of them are made and go round.
  void write(std::int64_t count) const {
    std::vector<std::string> pictures;
    for (std::int64_t i = 0; i < 100; ++i) {
      Tensor picture = Tensor::empty({64, 64, 3}, uint8);
      for (std::int64_t k = 0; k < picture.numel(); ++k) {
        const std::int64_t y = k / 192, x = k / 3 % 64, c = k % 3;
        picture.mutable_data<std::uint8_t>()[k] = std::uint8_t((x * (1 + i % 4) + y * (1 + c) + i * 37 + (k * 2654435761 >> 7) % 9) & 255);
      }
      pictures.push_back(image::encode_jpeg(picture).item<std::string>());
    }
    io::TFRecordWriter writer(path);
    for (std::int64_t i = 0; i < count; ++i) writer.write(io::make_example({{"image", constant(pictures[std::size_t(i % 100)])}, {"label", constant(std::int32_t(i % 100))}}));
    writer.close();
  }
  std::filesystem::path directory_;
  bool kept_;
};

/// Mirrored or not by a draw of its own, as float32 in [0, 1].
Tensor augmented(const Tensor& picture, const Tensor& number) {
  const Tensor key = constant(std::vector<std::int64_t>{7, number.item<std::int64_t>()});
  return cast(image::random_flip_left_right(picture, key), float32) * (1.f / 255);
}

Dataset fashion_pipeline(int threads) {
  const std::string folder = "/usr/share/datasets/fashion-mnist/";
  return Dataset::zip({io::idx_rows({folder + "train-images-idx3-ubyte.gz"}), io::idx_rows({folder + "train-labels-idx1-ubyte.gz"})})
      .enumerate()
      .shuffle(10000, {.seed = 1})
      .map([](const Tensor& number, const Tensor& picture, const Tensor& label) { return std::pair(augmented(expand_dims(picture, -1), number), cast(label, int32)); }, {.threads = threads})
      .batch(kBatch)
      .prefetch(io::kAutotune);
}

Dataset jpeg_pipeline(const std::string& path, int threads) {
  const io::ExampleSchema schema = {{"image", io::FixedLenFeature{.dtype = string}}, {"label", io::FixedLenFeature{.dtype = int64}}};
  return io::tfrecord_files({path})
      .enumerate()
      .shuffle(1000, {.seed = 1})
      .map([schema](const Tensor& number, const Tensor& record) {
        const io::Nest example = io::parse_single_example(record, schema);
        return std::pair(augmented(image::decode_jpeg(example["image"].tensor(), {.channels = 3}), number), example["label"].tensor());
      }, {.threads = threads})
      .batch(kBatch)
      .prefetch(io::kAutotune);
}

struct Speed {
  double seconds = 0;
  std::int64_t samples = 0;
};

/// Whole passes, one at least, until `seconds` are over.
Speed read_passes(const Dataset& data, double seconds) {
  Speed speed;
  const auto start = Clock::now();
  io::Iterator iterator = data.iterate();
  do {
    for (Tensors batch; iterator.next(batch);) speed.samples += batch[0].shape()[0];
    speed.seconds = seconds_since(start);
  } while (speed.seconds < seconds);
  return speed;
}

/// Tells how long the training waited in next().
class Watched final : public nn::BatchSource {
 public:
  explicit Watched(io::Iterator source) : source_(std::move(source)) {}
  bool next(Tensors& batch) override {
    const auto start = Clock::now();
    const bool found = source_.next(batch);
    if (calls_++ >= 10) waited_ += seconds_since(start);  // after the first ones, which fill the pipeline
    if (calls_ == 10) begin_ = Clock::now();
    return found;
  }
  nn::DatasetState state() const override { return source_.state(); }
  void restore(const nn::DatasetState& state) override { source_.restore(state); }
  std::int64_t cardinality() const override { return source_.cardinality(); }
  double stall() const { return waited_ / seconds_since(begin_); }

 private:
  io::Iterator source_;
  std::int64_t calls_ = 0;
  double waited_ = 0;
  Clock::time_point begin_;
};

/// The share of its time that a training of workload `cnn` waits for the pipeline.
double stall_share(const Dataset& data, double seconds) {
  nn::Sequential model({nn::InputLayer({28, 28, 1}), nn::Conv2D({.filters = 32, .kernel_size = 3, .activation = "relu"}), nn::Conv2D({.filters = 64, .kernel_size = 3, .activation = "relu"}), nn::MaxPooling2D(),
                        nn::Flatten(), nn::Dense(128, "relu"), nn::Dense(10)});
  model.compile({.optimizer = "adam", .loss = nn::losses::SparseCategoricalCrossentropy({.from_logits = true})});
  Watched source(data.repeat().iterate());
  model.fit(source, {.epochs = 1, .verbose = 0, .steps_per_epoch = 15});
  const auto start = Clock::now();
  model.fit(source, {.epochs = 1, .verbose = 0, .steps_per_epoch = 5});
  const double step = seconds_since(start) / 5;
  model.fit(source, {.epochs = 1, .verbose = 0, .steps_per_epoch = std::max<std::int64_t>(10, std::int64_t(seconds / step))});
  return source.stall();
}

void print(const InputPipelineOptions& options, const std::string& name, const char* what, double value) {
  if (options.json) std::printf("%s\n", nlohmann::ordered_json{{"suite", "pipeline"}, {"case", name}, {what, value}, {"threads", options.threads}}.dump().c_str());
  else std::printf("%-44s %14.4g %s\n", name.c_str(), value, what);
  std::fflush(stdout);
}

}  // namespace

void run_input_pipelines(const InputPipelineOptions& options) {
  const auto wanted = [&](const std::string& name) { return name.find(options.filter) != std::string::npos; };
  const auto measure = [&](const std::string& name, const Dataset& data) {
    const Speed speed = read_passes(data, options.seconds);
    print(options, name, "samples_per_s", double(speed.samples) / speed.seconds);
    std::int64_t peak = 0;
    for (const io::BufferUse& use : data.buffers()) peak += use.peak_bytes;
    print(options, name + "_buffers", "peak_MB", double(peak) / 1e6);
  };
  if (wanted("fashion_mnist")) measure("fashion_mnist", fashion_pipeline(options.threads));
  if (wanted("jpeg_records")) {
    const RecordFiles files(options);
    measure("jpeg_records", jpeg_pipeline(files.path, options.threads));
  }
  if (wanted("cnn_stall")) print(options, "cnn_stall", "share", stall_share(fashion_pipeline(options.threads), options.seconds));
  run_structures({.json = options.json, .filter = options.filter});
}

}  // namespace lockstep::bench
