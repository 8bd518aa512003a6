#include <lockstep/nn/unread.h>

#include <cmath>
#include <utility>

#include <lockstep/tensor/device_plugin.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {
namespace {

constexpr std::size_t kMostAhead = 4;
constexpr std::int64_t kMostUnread = 1024;

}  // namespace

StepsAhead::~StepsAhead() {
  for (void* mark : marks_) device_plugin().forget(mark);
}

void StepsAhead::add(const Tensor& result) {
  if (!result.defined() || result.device().is_cpu()) return;
  marks_.push_back(device_plugin().mark(result.device().index()));
  if (marks_.size() <= kMostAhead) return;
  void* oldest = marks_.front();
  marks_.pop_front();
  device_plugin().wait(oldest);
}

void LossWatch::see(double loss, std::int64_t epoch, std::int64_t batch) {
  look();
  if (warned_ || std::isfinite(loss)) return;
  warned_ = true;
  warn_(loss, epoch, batch);
}

void LossWatch::see(const Tensor& loss, std::int64_t epoch, std::int64_t batch) {
  if (warned_) return;
  const Tensor number = loss.dtype() == float64 ? loss : cast(loss, float64);
  if (!kept_.defined() || !(kept_.device() == number.device())) {
    look();
    kept_ = Tensor::empty({kMostUnread}, float64, number.device());
  }
  copy_bytes(kept_.device(), static_cast<double*>(kept_.mutable_raw()) + places_.size(), number.device(), number.raw(), sizeof(double));
  places_.push_back({epoch, batch});
  if (std::int64_t(places_.size()) == kMostUnread) look();
}

void LossWatch::look() {
  if (places_.empty()) return;
  std::vector<double> losses(places_.size());
  copy_bytes(Device(), losses.data(), kept_.device(), kept_.raw(), losses.size() * sizeof(double));
  const std::vector<Place> places = std::exchange(places_, {});
  for (std::size_t i = 0; i < losses.size() && !warned_; ++i) {
    if (std::isfinite(losses[i])) continue;
    warned_ = true;
    warn_(losses[i], places[i].epoch, places[i].batch);
  }
}

double number_of(const Tensor& loss) { return loss.dtype() == float32 ? double(loss.item<float>()) : cast(loss, float64).item<double>(); }

}  // namespace lockstep::nn
