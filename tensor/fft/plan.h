#pragma once
// FFTW's plans behind two types. Its planner is not thread-safe and knows one global state: plans are made under a lock, kept, and shared by all calls of
// that size; running one is thread-safe. They are estimated, not measured: the same plan, and so the same bits, in every run and on every rank.

#include <cstdint>
#include <memory>
#include <span>

namespace lockstep::fft {

enum class Kind : std::uint8_t {
  forward, backward,            // complex to complex; neither is scaled
  real_forward, real_backward,  // real to the non-negative half of its spectrum along the last axis, and back
  dct1, dct2, dct3, dct4,       // cosines, as SciPy's dct without norm
};

/// A transform over up to three axes; T is float or double. Arrays are of T: a complex number is two of them.
template <class T>
class Plan {
 public:
  virtual ~Plan() = default;
  /// T's of one operand, and of one result.
  std::int64_t in_count = 0, out_count = 0;
  /// `in` and `out` must be of Buffer; `in` is overwritten.
  virtual void run(T* in, T* out) const = 0;
};

/// The plan for these sizes (of the real side, for the real kinds), made on first use. Throws ResourceExhaustedError if FFTW gives none.
template <class T>
std::shared_ptr<const Plan<T>> plan(Kind kind, std::span<const std::int64_t> sizes);

/// Memory as FFTW wants it aligned.
template <class T>
class Buffer {
 public:
  /// Throws std::bad_alloc.
  explicit Buffer(std::int64_t count);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data() { return data_; }

 private:
  T* data_;
};

}  // namespace lockstep::fft
