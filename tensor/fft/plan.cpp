#include <lockstep/tensor/fft/plan.h>

#include <fftw3.h>

#include <array>
#include <list>
#include <map>
#include <mutex>
#include <new>
#include <tuple>
#include <type_traits>
#include <vector>

#include <lockstep/tensor/base/error.h>

namespace lockstep::fft {
namespace {

/// FFTW's two libraries under one set of names.
template <class T>
struct Api;
template <>
struct Api<double> {
  using Handle = fftw_plan;
  using Complex = fftw_complex;
  using Axis = fftw_iodim64;
  static constexpr auto c2c = fftw_plan_guru64_dft;
  static constexpr auto r2c = fftw_plan_guru64_dft_r2c;
  static constexpr auto c2r = fftw_plan_guru64_dft_c2r;
  static constexpr auto r2r = fftw_plan_guru64_r2r;
  static constexpr auto run_c2c = fftw_execute_dft;
  static constexpr auto run_r2c = fftw_execute_dft_r2c;
  static constexpr auto run_c2r = fftw_execute_dft_c2r;
  static constexpr auto run_r2r = fftw_execute_r2r;
  static constexpr auto destroy = fftw_destroy_plan;
  static constexpr auto allocate = fftw_malloc;
  static constexpr auto release = fftw_free;
};
template <>
struct Api<float> {
  using Handle = fftwf_plan;
  using Complex = fftwf_complex;
  using Axis = fftwf_iodim64;
  static constexpr auto c2c = fftwf_plan_guru64_dft;
  static constexpr auto r2c = fftwf_plan_guru64_dft_r2c;
  static constexpr auto c2r = fftwf_plan_guru64_dft_c2r;
  static constexpr auto r2r = fftwf_plan_guru64_r2r;
  static constexpr auto run_c2c = fftwf_execute_dft;
  static constexpr auto run_r2c = fftwf_execute_dft_r2c;
  static constexpr auto run_c2r = fftwf_execute_dft_c2r;
  static constexpr auto run_r2r = fftwf_execute_r2r;
  static constexpr auto destroy = fftwf_destroy_plan;
  static constexpr auto allocate = fftwf_malloc;
  static constexpr auto release = fftwf_free;
};

/// Of FFTW's planner, which both libraries need held while plans are made or destroyed.
std::mutex& planner() {
  static auto* instance = new std::mutex;
  return *instance;
}

template <class T>
std::vector<typename Api<T>::Axis> axes(std::span<const std::int64_t> sizes, std::int64_t stride) {
  std::vector<typename Api<T>::Axis> result(sizes.size());
  for (std::size_t i = sizes.size(); i-- > 0; stride *= sizes[i]) result[i] = {.n = std::ptrdiff_t(sizes[i]), .is = std::ptrdiff_t(stride), .os = std::ptrdiff_t(stride)};
  return result;
}

template <class T>
class FftwPlan final : public Plan<T> {
  using A = Api<T>;

 public:
  /// Holds planner().
  FftwPlan(Kind kind, std::span<const std::int64_t> sizes) : kind_(kind), last_(sizes.back()) {
    for (const std::int64_t size : sizes.first(sizes.size() - 1)) rows_ *= size;
    const bool real_in = kind != Kind::forward && kind != Kind::backward && kind != Kind::real_backward, real_out = kind >= Kind::real_backward;
    const std::int64_t bins = kind == Kind::real_forward || kind == Kind::real_backward ? last_ / 2 + 1 : last_;
    this->in_count = real_in ? rows_ * last_ : 2 * rows_ * bins;
    this->out_count = real_out ? rows_ * last_ : 2 * rows_ * bins;
    Buffer<T> in(this->in_count), out(this->out_count);
    make(sizes, bins, in.data(), out.data());
  }
  ~FftwPlan() override {
    const std::scoped_lock lock(planner());
    first_.reset();
    second_.reset();
  }

  void run(T* in, T* out) const override {
    auto *in_complex = reinterpret_cast<typename A::Complex*>(in), *out_complex = reinterpret_cast<typename A::Complex*>(out);
    switch (kind_) {
      case Kind::forward:
      case Kind::backward: return A::run_c2c(first_.get(), in_complex, out_complex);
      case Kind::real_forward: return A::run_r2c(first_.get(), in, out_complex);
      case Kind::real_backward:
        if (second_) A::run_c2c(second_.get(), in_complex, in_complex);
        // These have no imaginary part in the spectrum of anything real; what is given there must not count.
        for (std::int64_t row = 0, bins = last_ / 2 + 1; row < rows_; ++row) {
          in_complex[row * bins][1] = 0;
          if (last_ % 2 == 0) in_complex[row * bins + last_ / 2][1] = 0;
        }
        return A::run_c2r(first_.get(), in_complex, out);
      default: return A::run_r2r(first_.get(), in, out);
    }
  }

 private:
  void make(std::span<const std::int64_t> sizes, std::int64_t bins, T* in, T* out) {
    auto *in_complex = reinterpret_cast<typename A::Complex*>(in), *out_complex = reinterpret_cast<typename A::Complex*>(out);
    const unsigned flags = FFTW_ESTIMATE | FFTW_DESTROY_INPUT;
    auto dims = axes<T>(sizes, 1);
    const int rank = int(dims.size());
    switch (kind_) {
      case Kind::forward:
      case Kind::backward: first_.reset(A::c2c(rank, dims.data(), 0, nullptr, in_complex, out_complex, kind_ == Kind::forward ? FFTW_FORWARD : FFTW_BACKWARD, flags)); break;
      case Kind::real_forward:
        for (std::size_t i = 0; i + 1 < dims.size(); ++i) dims[i].os = dims[i].is / last_ * bins;
        first_.reset(A::r2c(rank, dims.data(), 0, nullptr, in, out_complex, flags));
        break;
      case Kind::real_backward: {
        // The other axes first, in place; then row by row.
        if (rank > 1) {
          const auto outer = axes<T>(sizes.first(sizes.size() - 1), bins);
          const typename A::Axis each_bin{.n = std::ptrdiff_t(bins), .is = 1, .os = 1};
          second_.reset(A::c2c(rank - 1, outer.data(), 1, &each_bin, in_complex, in_complex, FFTW_BACKWARD, flags));
        }
        const typename A::Axis row{.n = std::ptrdiff_t(last_), .is = 1, .os = 1}, each_row{.n = std::ptrdiff_t(rows_), .is = std::ptrdiff_t(bins), .os = std::ptrdiff_t(last_)};
        first_.reset(A::c2r(1, &row, 1, &each_row, in_complex, out, flags));
        break;
      }
      default: {
        static constexpr fftw_r2r_kind kinds[] = {FFTW_REDFT00, FFTW_REDFT10, FFTW_REDFT01, FFTW_REDFT11};
        const std::vector<fftw_r2r_kind> each(dims.size(), kinds[int(kind_) - int(Kind::dct1)]);
        first_.reset(A::r2r(rank, dims.data(), 0, nullptr, in, out, each.data(), flags));
      }
    }
    if (!first_ || (kind_ == Kind::real_backward && rank > 1 && !second_)) throw ResourceExhaustedError("FFTW has no plan for a transform of " + std::to_string(last_) + " elements");
  }

  Kind kind_;
  std::int64_t last_, rows_ = 1;
  /// Holds planner(): also where the constructor throws.
  struct Destroy {
    void operator()(typename A::Handle plan) const { A::destroy(plan); }
  };
  std::unique_ptr<std::remove_pointer_t<typename A::Handle>, Destroy> first_, second_;
};

/// Plans by size, the latest used first. A program that meets ever new sizes keeps this many.
template <class T>
class Cache {
  using Key = std::tuple<Kind, std::size_t, std::array<std::int64_t, 3>>;
  using Entry = std::pair<Key, std::shared_ptr<const Plan<T>>>;
  static constexpr std::size_t kMost = 512;

 public:
  std::shared_ptr<const Plan<T>> get(Kind kind, std::span<const std::int64_t> sizes) {
    Key key{kind, sizes.size(), {}};
    std::copy(sizes.begin(), sizes.end(), std::get<2>(key).begin());
    std::shared_ptr<const Plan<T>> dropped;  // destroyed after the lock, which its destructor takes
    const std::scoped_lock lock(planner());
    if (const auto found = places_.find(key); found != places_.end()) {
      plans_.splice(plans_.begin(), plans_, found->second);
      return plans_.front().second;
    }
    plans_.emplace_front(key, std::make_shared<const FftwPlan<T>>(kind, sizes));
    places_[key] = plans_.begin();
    if (plans_.size() > kMost) {
      dropped = std::move(plans_.back().second);
      places_.erase(plans_.back().first);
      plans_.pop_back();
    }
    return plans_.front().second;
  }

 private:
  std::list<Entry> plans_;
  std::map<Key, typename std::list<Entry>::iterator> places_;
};

}  // namespace

template <class T>
std::shared_ptr<const Plan<T>> plan(Kind kind, std::span<const std::int64_t> sizes) {
  static auto* cache = new Cache<T>;
  return cache->get(kind, sizes);
}
template std::shared_ptr<const Plan<float>> plan(Kind, std::span<const std::int64_t>);
template std::shared_ptr<const Plan<double>> plan(Kind, std::span<const std::int64_t>);

template <class T>
Buffer<T>::Buffer(std::int64_t count) : data_(static_cast<T*>(Api<T>::allocate(std::size_t(count) * sizeof(T)))) {
  if (!data_) throw std::bad_alloc();
}
template <class T>
Buffer<T>::~Buffer() {
  Api<T>::release(data_);
}
template class Buffer<float>;
template class Buffer<double>;

}  // namespace lockstep::fft
