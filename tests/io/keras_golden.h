#pragma once
// The models that Keras wrote, and what it computed with them: golden/keras_files.

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/keras_files.h>
#include <lockstep/nn/loss.h>
#include <lockstep/nn/regularizers.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {

/// The loss and the regularizer of the model "custom_objects", which are registered nowhere.
class HuberLoss : public nn::Loss {
 public:
  using Loss::Loss;
  Tensor call(const Tensor& y_true, const Tensor& y_pred) const override {
    const Tensor error = abs(y_true - y_pred);
    return reduce_mean(where(error < threshold_, square(error) * 0.5, error * threshold_ - threshold_ * threshold_ / 2), -1);
  }
  void fields(Fields& f) override {
    Loss::fields(f);
    f.field("threshold", threshold_);
  }

 private:
  double threshold_ = 1;
};
class MyL1Regularizer : public nn::Regularizer {
 public:
  void fields(Fields& f) override { f.field("factor", factor_); }
  Tensor operator()(const Tensor& w) const override { return reduce_sum(abs(w * factor_)); }

 private:
  double factor_ = 0.01;
};

/// By the names that .keras and legacy .h5 have for them.
inline CustomObjects golden_objects() {
  CustomObjects objects;
  for (const std::string prefix : {"", "Custom>"}) objects.add<HuberLoss>(prefix + "HuberLoss").add<MyL1Regularizer>(prefix + "MyL1Regularizer");
  return objects;
}

inline std::string golden_file(const std::string& name) {
  const char* given = std::getenv("LOCKSTEP_GOLDEN");
  return ((given ? std::filesystem::path(given) : std::filesystem::path(LOCKSTEP_SOURCE_DIR) / "../shared/golden") / "keras_files" / name).string();
}

/// NAME.io.h5: data, and what Keras made of them.
class GoldenModel {
 public:
  explicit GoldenModel(const std::string& name) : file_(hdf5::File::open(golden_file(name + ".io.h5"))), group_("0001_" + name) { spec = Json::parse(file_.attribute(group_, "case")); }
  Tensor at(const std::string& name) const { return file_.read(group_ + "/" + name); }
  bool has(const std::string& name) const { return file_.contains(group_ + "/" + name); }
  /// NAME0, NAME1, ...
  std::vector<Tensor> all(const std::string& name) const {
    std::vector<Tensor> result;
    for (int i = 0; has(name + std::to_string(i)); ++i) result.push_back(at(name + std::to_string(i)));
    return result;
  }
  Json spec;

 private:
  hdf5::File file_;
  std::string group_;
};

}  // namespace lockstep::io
