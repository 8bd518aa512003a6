#include <lockstep/tensor/cuda/fft.h>

#include <cmath>
#include <complex>
#include <list>
#include <map>
#include <mutex>
#include <numbers>
#include <string>
#include <tuple>
#include <vector>

#ifndef LOCKSTEP_CUDA_EMULATED
#include <cufftXt.h>
#endif

namespace lockstep::cuda {

using fft::Kind;

#ifdef LOCKSTEP_CUDA_EMULATED

struct BoundFft::Plan {
  Fft fft;
};

namespace {

using Box = std::vector<std::complex<double>>;

/// Along one axis of a box, as the sum is written.
void transform_axis(Box& box, std::int64_t size, std::int64_t stride, bool back) {
  Box roots(static_cast<std::size_t>(size)), line(roots.size());
  for (std::int64_t k = 0; k < size; ++k) roots[std::size_t(k)] = std::polar(1.0, (back ? 2 : -2) * std::numbers::pi * double(k) / double(size));
  for (std::int64_t first = 0; first < std::int64_t(box.size()); ++first) {
    if (first / stride % size != 0) continue;
    for (std::int64_t k = 0; k < size; ++k) {
      line[std::size_t(k)] = 0;
      for (std::int64_t j = 0; j < size; ++j) line[std::size_t(k)] += box[std::size_t(first + j * stride)] * roots[std::size_t(j * k % size)];
    }
    for (std::int64_t k = 0; k < size; ++k) box[std::size_t(first + k * stride)] = line[std::size_t(k)];
  }
}

/// One transform; a box has the whole spectrum, of which `in` or `out` may have half.
template <class T>
void transform(const Fft& f, const T* in, T* out) {
  const auto [planes, rows, last] = f.sizes;
  const bool real_in = f.kind == Kind::real_forward, half_in = f.kind == Kind::real_backward, back = half_in || f.kind == Kind::backward;
  Box box(std::size_t(planes * rows * last));
  const auto half = [&](std::int64_t row, std::int64_t k) { return std::complex<double>(in[2 * (row * f.bins() + k)], in[2 * (row * f.bins() + k) + 1]); };
  for (std::int64_t a = 0; a < planes; ++a)
    for (std::int64_t b = 0; b < rows; ++b)
      for (std::int64_t c = 0; c < last; ++c) {
        const std::int64_t row = a * rows + b, opposite = (planes - a) % planes * rows + (rows - b) % rows;
        auto& to = box[std::size_t(row * last + c)];
        if (real_in) to = in[row * (f.in_place ? f.pitch() : last) + c];
        else if (half_in) to = c < f.bins() ? half(row, c) : std::conj(half(opposite, last - c));
        else to = {in[2 * (row * last + c)], in[2 * (row * last + c) + 1]};
      }
  transform_axis(box, last, 1, back);
  transform_axis(box, rows, last, back);
  transform_axis(box, planes, rows * last, back);
  const std::int64_t columns = real_in ? f.bins() : last;
  for (std::int64_t i = 0; i < planes * rows * columns; ++i) {
    const std::complex<double> from = box[std::size_t(i / columns * last + i % columns)];
    if (half_in) {
      out[i] = T(from.real());
    } else {
      out[2 * i] = T(from.real());
      out[2 * i + 1] = T(from.imag());
    }
  }
}

template <class T>
void transform_all(const Fft& f, const T* in, T* out) {
  const std::int64_t whole = f.sizes[0] * f.sizes[1] * f.sizes[2], half = f.sizes[0] * f.sizes[1] * f.pitch();
  const std::int64_t in_size = f.kind == Kind::real_forward ? (f.in_place ? half : whole) : f.kind == Kind::real_backward ? half : 2 * whole;
  const std::int64_t out_size = f.kind == Kind::real_forward ? half : f.kind == Kind::real_backward ? whole : 2 * whole;
  for (std::int64_t i = 0; i < f.batch; ++i) transform(f, in + i * in_size, out + i * out_size);
}

}  // namespace

BoundFft::BoundFft(const Fft& fft, std::string_view) : plan_(std::make_shared<Plan>(Plan{fft})) {}
std::size_t BoundFft::workspace_bytes() const { return 0; }
void BoundFft::enqueue(const void* in, void* out, void*) const {
  cuda::enqueue([=, plan = plan_] {
    if (plan->fft.real == float32) transform_all(plan->fft, static_cast<const float*>(in), static_cast<float*>(out));
    else transform_all(plan->fft, static_cast<const double*>(in), static_cast<double*>(out));
  });
}

#else

namespace {

std::string describe(const Fft& f) {
  constexpr const char* kinds[] = {"transforms", "transforms back", "transforms of real numbers", "transforms back to real numbers"};
  std::string text = std::to_string(f.batch) + " " + kinds[int(f.kind)] + " of ";
  for (int i = 3 - f.rank; i < 3; ++i) text += std::to_string(f.sizes[std::size_t(i)]) + (i < 2 ? " x " : "");
  return text + " in " + std::string(name(f.real));
}

const char* name_of(cufftResult code) {
  switch (code) {
    case CUFFT_INVALID_PLAN: return "CUFFT_INVALID_PLAN";
    case CUFFT_ALLOC_FAILED: return "CUFFT_ALLOC_FAILED";
    case CUFFT_INVALID_TYPE: return "CUFFT_INVALID_TYPE";
    case CUFFT_INVALID_VALUE: return "CUFFT_INVALID_VALUE";
    case CUFFT_INTERNAL_ERROR: return "CUFFT_INTERNAL_ERROR";
    case CUFFT_EXEC_FAILED: return "CUFFT_EXEC_FAILED";
    case CUFFT_SETUP_FAILED: return "CUFFT_SETUP_FAILED";
    case CUFFT_INVALID_SIZE: return "CUFFT_INVALID_SIZE";
    case CUFFT_UNALIGNED_DATA: return "CUFFT_UNALIGNED_DATA";
    case CUFFT_INVALID_DEVICE: return "CUFFT_INVALID_DEVICE";
    case CUFFT_NO_WORKSPACE: return "CUFFT_NO_WORKSPACE";
    case CUFFT_NOT_IMPLEMENTED: return "CUFFT_NOT_IMPLEMENTED";
    case CUFFT_NOT_SUPPORTED: return "CUFFT_NOT_SUPPORTED";
    case CUFFT_MISSING_DEPENDENCY: return "CUFFT_MISSING_DEPENDENCY";
    case CUFFT_NVRTC_FAILURE: return "CUFFT_NVRTC_FAILURE";
    case CUFFT_NVJITLINK_FAILURE: return "CUFFT_NVJITLINK_FAILURE";
    default: return "an unknown code";
  }
}

[[noreturn]] void refuse(cufftResult code, const char* what, const Fft& f, int device, std::string_view op) {
  const std::string text = std::string(what) + " failed with " + name_of(code) + " (" + std::to_string(int(code)) + ") for " + describe(f) + " on cuda:" + std::to_string(device);
  switch (code) {
    case CUFFT_ALLOC_FAILED: throw ResourceExhaustedError(text, op);
    case CUFFT_INVALID_SIZE:
    case CUFFT_NOT_IMPLEMENTED:
    case CUFFT_NOT_SUPPORTED: throw UnimplementedError(text, op);
    case CUFFT_SETUP_FAILED:
    case CUFFT_INVALID_DEVICE:
    case CUFFT_MISSING_DEPENDENCY: throw UnavailableError(text, op);
    default: throw InternalError(text, op);
  }
}

}  // namespace

struct BoundFft::Plan {
  Fft fft;
  std::string op;
  int device = current_device();
  cufftHandle handle = CUFFT_PLAN_NULL;
  std::size_t workspace = 0;
  mutable std::mutex running;  // a plan remembers its stream and work area between calls

  Plan(const Fft& f, std::string_view name) : fft(f), op(name) {
    check(cufftCreate(&handle), "cufftCreate");
    try {
      check(cufftSetAutoAllocation(handle, 0), "cufftSetAutoAllocation");
      make();
    } catch (const Error&) {
      cufftDestroy(handle);
      throw;
    }
  }
  ~Plan() { cufftDestroy(handle); }
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;

  void check(cufftResult code, const char* what) const {
    if (code != CUFFT_SUCCESS) refuse(code, what, fft, device, op);
  }

  void make() {
    const bool single = fft.real == float32;
    const cudaDataType_t real = single ? CUDA_R_32F : CUDA_R_64F, complex = single ? CUDA_C_32F : CUDA_C_64F;
    long long sizes[3], in[3], out[3];
    for (int i = 0; i < fft.rank; ++i) sizes[i] = in[i] = out[i] = fft.sizes[std::size_t(3 - fft.rank + i)];
    const int last = fft.rank - 1;
    if (fft.kind == Kind::real_forward) out[last] = fft.bins();
    if (fft.kind == Kind::real_forward && fft.in_place) in[last] = fft.pitch();
    if (fft.kind == Kind::real_backward) in[last] = fft.bins();
    long long in_size = 1, out_size = 1;
    for (int i = 0; i < fft.rank; ++i) in_size *= in[i], out_size *= out[i];
    const cudaDataType_t from = fft.kind == Kind::real_forward ? real : complex, to = fft.kind == Kind::real_backward ? real : complex;
    check(cufftXtMakePlanMany(handle, fft.rank, sizes, in, 1, in_size, from, out, 1, out_size, to, fft.batch, &workspace, complex), "cufftXtMakePlanMany");
  }
};

namespace {

using FftKey = std::tuple<int, Kind, DType, int, std::array<std::int64_t, 3>, std::int64_t, bool>;

/// Plans hold tables in device memory. A program that meets ever new sizes keeps this many, the latest used, besides those that kernels hold.
constexpr std::size_t kMostPlans = 128;

}  // namespace

BoundFft::BoundFft(const Fft& f, std::string_view op) {
  using Entry = std::pair<FftKey, std::shared_ptr<const Plan>>;
  static std::mutex mutex;
  static auto* plans = new std::list<Entry>;  // the latest used first
  static auto* places = new std::map<FftKey, std::list<Entry>::iterator>;
  const FftKey key{current_device(), f.kind, f.real, f.rank, f.sizes, f.batch, f.in_place};
  std::shared_ptr<const Plan> dropped;  // destroyed after the lock
  const std::lock_guard lock(mutex);
  if (const auto found = places->find(key); found != places->end()) {
    plans->splice(plans->begin(), *plans, found->second);
  } else {
    plans->emplace_front(key, std::make_shared<const Plan>(f, op));
    places->emplace(key, plans->begin());
    if (plans->size() > kMostPlans) {
      dropped = std::move(plans->back().second);
      places->erase(plans->back().first);
      plans->pop_back();
    }
  }
  plan_ = plans->front().second;
}

std::size_t BoundFft::workspace_bytes() const { return plan_->workspace; }

void BoundFft::enqueue(const void* in, void* out, void* workspace) const {
  const Plan& plan = *plan_;
  const std::lock_guard lock(plan.running);
  plan.check(cufftSetStream(plan.handle, current_stream()), "cufftSetStream");
  plan.check(cufftSetWorkArea(plan.handle, workspace), "cufftSetWorkArea");
  const bool forward = plan.fft.kind == Kind::forward || plan.fft.kind == Kind::real_forward;
  plan.check(cufftXtExec(plan.handle, const_cast<void*>(in), out, forward ? CUFFT_FORWARD : CUFFT_INVERSE), "cufftXtExec");
}

#endif

}  // namespace lockstep::cuda
