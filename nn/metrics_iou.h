#pragma once
// Intersection over union of classes, from one confusion matrix. Names, arguments and defaults are Keras's.

#include <cstdint>
#include <optional>
#include <string>

#include <lockstep/nn/metric.h>

namespace lockstep::nn::metrics {

/// Base: a matrix of (true class, predicted class), and the mean over classes of true positives / (row + column - true positives).
/// Classes that never occur are left out. Counts are int64 by default; float weights are then cut off to integers.
class IoUBase : public Metric {
 public:
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  Tensor result() const override;
  std::string direction() const override { return "up"; }
  void configured() override;

 protected:
  struct Setup {
    std::int64_t num_classes = 2;
    Ints target_class_ids = {};  // empty: all
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_true = true;   // else one-hot along `axis`
    bool sparse_y_pred = true;
    std::int64_t axis = -1;
  };
  IoUBase(Setup setup, Metric::Options options);
  Setup setup_;

 private:
  Variable total_;
};

/// Of the classes asked for.
class IoU : public IoUBase {
 public:
  struct Options {
    std::int64_t num_classes = 2;
    Ints target_class_ids = {0, 1};
    std::string name = {};
    DType dtype = int64;
    /// A class of y_true whose elements do not count.
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_true = true;
    bool sparse_y_pred = true;
    std::int64_t axis = -1;
  };
  IoU();
  explicit IoU(Options options);
  void fields(Fields& f) override;
};

/// Of all classes.
class MeanIoU : public IoUBase {
 public:
  struct Options {
    std::int64_t num_classes = 2;
    std::string name = {};
    DType dtype = int64;
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_true = true;
    bool sparse_y_pred = true;
    std::int64_t axis = -1;
  };
  MeanIoU();
  explicit MeanIoU(Options options);
  void fields(Fields& f) override;
};

/// Of two classes, by a threshold for the probability of class 1.
class BinaryIoU : public IoUBase {
 public:
  struct Options {
    Ints target_class_ids = {0, 1};
    double threshold = 0.5;
    std::string name = {};
    DType dtype = int64;
  };
  BinaryIoU();
  explicit BinaryIoU(Options options);
  void update_state(const Tensor& y_true, const Tensor& y_pred, const Tensor& sample_weight = {}) override;
  void fields(Fields& f) override;

 private:
  double threshold_;
};

/// Of the classes asked for, of one-hot targets.
class OneHotIoU : public IoUBase {
 public:
  struct Options {
    std::int64_t num_classes = 2;
    Ints target_class_ids = {0, 1};
    std::string name = {};
    DType dtype = int64;
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_pred = false;
    std::int64_t axis = -1;
  };
  OneHotIoU();
  explicit OneHotIoU(Options options);
  void fields(Fields& f) override;
};

/// Of all classes, of one-hot targets.
class OneHotMeanIoU : public IoUBase {
 public:
  struct Options {
    std::int64_t num_classes = 2;
    std::string name = {};
    DType dtype = int64;
    std::optional<std::int64_t> ignore_class = {};
    bool sparse_y_pred = false;
    std::int64_t axis = -1;
  };
  OneHotMeanIoU();
  explicit OneHotMeanIoU(Options options);
  void fields(Fields& f) override;
};

}  // namespace lockstep::nn::metrics
