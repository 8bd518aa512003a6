// Casts: the usual pairs of dtypes by kernels of their own, all others by one kernel that asks for the dtypes as it runs.

#include <lockstep/tensor/cuda/families.h>
#include <lockstep/tensor/cuda/pointwise.h>

namespace lockstep::cuda {
namespace {

template <class To>
struct cast_body {
  static constexpr int kOperands = 1;
  static constexpr bool kHeavy = false;
  template <class V>
  LOCKSTEP_HD static To apply(const double*, V x) { return converted<To>(x); }
};

/// An element of any dtype: a real number in the widest type of its kind, or a complex one.
struct AnyCast {
  DType from, to;
  const void* x;
  void* z;

  template <class T>
  LOCKSTEP_HD T read(std::int64_t i) const { return static_cast<const T*>(x)[i]; }
  template <class V>
  LOCKSTEP_HD void write(std::int64_t i, V real, double imaginary) const {
    switch (to) {
      case DType::boolean: static_cast<bool*>(z)[i] = converted<bool>(real); break;
      case DType::int8: static_cast<std::int8_t*>(z)[i] = converted<std::int8_t>(real); break;
      case DType::int16: static_cast<std::int16_t*>(z)[i] = converted<std::int16_t>(real); break;
      case DType::int32: static_cast<std::int32_t*>(z)[i] = converted<std::int32_t>(real); break;
      case DType::int64: static_cast<std::int64_t*>(z)[i] = converted<std::int64_t>(real); break;
      case DType::uint8: static_cast<std::uint8_t*>(z)[i] = converted<std::uint8_t>(real); break;
      case DType::uint16: static_cast<std::uint16_t*>(z)[i] = converted<std::uint16_t>(real); break;
      case DType::uint32: static_cast<std::uint32_t*>(z)[i] = converted<std::uint32_t>(real); break;
      case DType::uint64: static_cast<std::uint64_t*>(z)[i] = converted<std::uint64_t>(real); break;
      case DType::float16: static_cast<Half*>(z)[i] = converted<Half>(real); break;
      case DType::bfloat16: static_cast<BFloat16*>(z)[i] = converted<BFloat16>(real); break;
      case DType::float32: static_cast<float*>(z)[i] = converted<float>(real); break;
      case DType::float64: static_cast<double*>(z)[i] = converted<double>(real); break;
      case DType::complex64: static_cast<float*>(z)[2 * i] = float(real), static_cast<float*>(z)[2 * i + 1] = float(imaginary); break;
      case DType::complex128: static_cast<double*>(z)[2 * i] = double(real), static_cast<double*>(z)[2 * i + 1] = imaginary; break;
      case DType::string: break;
    }
  }
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    switch (from) {
      case DType::boolean: write(i, std::int64_t(read<bool>(i)), 0); break;
      case DType::int8: write(i, std::int64_t(read<std::int8_t>(i)), 0); break;
      case DType::int16: write(i, std::int64_t(read<std::int16_t>(i)), 0); break;
      case DType::int32: write(i, std::int64_t(read<std::int32_t>(i)), 0); break;
      case DType::int64: write(i, read<std::int64_t>(i), 0); break;
      case DType::uint8: write(i, std::int64_t(read<std::uint8_t>(i)), 0); break;
      case DType::uint16: write(i, std::int64_t(read<std::uint16_t>(i)), 0); break;
      case DType::uint32: write(i, std::int64_t(read<std::uint32_t>(i)), 0); break;
      case DType::uint64: write(i, read<std::uint64_t>(i), 0); break;
      case DType::float16: write(i, double(value_of(read<Half>(i))), 0); break;
      case DType::bfloat16: write(i, double(value_of(read<BFloat16>(i))), 0); break;
      case DType::float32: write(i, double(read<float>(i)), 0); break;
      case DType::float64: write(i, read<double>(i), 0); break;
      case DType::complex64: write(i, double(read<float>(2 * i)), double(read<float>(2 * i + 1))); break;
      case DType::complex128: write(i, read<double>(2 * i), read<double>(2 * i + 1)); break;
      case DType::string: break;
    }
  }
};

constexpr DTypeSet kUsual = dtypes(boolean, uint8, int32, int64, float16, bfloat16, float32, float64);

BoundKernel cast(const BindContext& context) {
  const DType from = context.dtype_of(0), to = context.output(0).dtype;
  if (kUsual.contains(from) && kUsual.contains(to))
    return visit<kUsual.bits>(from, "cast", [&]<class From>(TypeTag<From>) -> BoundKernel {
      return visit<kUsual.bits>(to, "cast", [&]<class To>(TypeTag<To>) -> BoundKernel { return bind_body<cast_body<To>, To, From>(context); });
    });
  for (const DType dtype : {from, to}) refuse_strings(dtype, "cast");
  return [from, to, count = context.output(0).shape.numel()](Inputs in, Outputs out) { for_each(count, AnyCast{from, to, in[0], out[0]}); };
}

constexpr Kernel kCastKernels[] = {{"cast", cast}};

}  // namespace

std::span<const Kernel> cast_kernels() { return kCastKernels; }

}  // namespace lockstep::cuda
