#pragma once
// Fourier transforms by cuFFT; in the emulation the sums of their definition.

#include <array>
#include <memory>
#include <string_view>

#include <lockstep/tensor/cuda/kernel.h>
#include <lockstep/tensor/fft/plan.h>

namespace lockstep::cuda {

/// `batch` transforms over `rank` axes, their operands and results one behind the other. None is scaled.
struct Fft {
  fft::Kind kind = fft::Kind::forward;  // no cosines: cuFFT has none
  DType real = float32;                 // or float64: complex numbers are of two of these
  int rank = 1;
  std::array<std::int64_t, 3> sizes{1, 1, 1};  // of the real side; the last `rank` count
  std::int64_t batch = 1;
  /// Kind::real_forward only: the operand lies where the result will, its rows `pitch()` numbers apart.
  bool in_place = false;

  /// Numbers of a row of the half spectrum.
  std::int64_t bins() const { return sizes[2] / 2 + 1; }
  std::int64_t pitch() const { return 2 * bins(); }
  /// Rows of all operands, along the last axis.
  std::int64_t rows() const { return batch * sizes[0] * sizes[1]; }
};

/// A prepared transform.
class BoundFft {
 public:
  BoundFft() = default;
  /// Makes cuFFT's plan once for each of these and device. Throws with the op's name and the sizes if there is none.
  BoundFft(const Fft& fft, std::string_view op);
  std::size_t workspace_bytes() const;
  /// Both at multiples of a complex number's size. Of Kind::real_backward the operand is overwritten, and its rows are spectra of real numbers.
  void enqueue(const void* in, void* out, void* workspace) const;

 private:
  struct Plan;
  std::shared_ptr<const Plan> plan_;
};

}  // namespace lockstep::cuda
