// The vocabulary of lanes for one Highway target: included once per target, inside lockstep::HWY_NAMESPACE. Elementary functions
// reduce their argument and evaluate a polynomial; float32 exp, tanh and sigmoid stay within 2 ulp (tests/tensor/accuracy_test.cpp).

template <class D>
struct Lanes {
  using T = hn::TFromD<D>;
  using V = hn::VFromD<D>;
  using M = decltype(hn::Eq(hn::Zero(D()), hn::Zero(D())));
  static constexpr bool kDouble = sizeof(T) == 8;
  D d;

  HWY_INLINE V c(double value) const { return hn::Set(d, static_cast<T>(value)); }
  HWY_INLINE V add(V x, V y) const { return hn::Add(x, y); }
  HWY_INLINE V sub(V x, V y) const { return hn::Sub(x, y); }
  HWY_INLINE V mul(V x, V y) const { return hn::Mul(x, y); }
  HWY_INLINE V div(V x, V y) const { return hn::Div(x, y); }
  HWY_INLINE V fma(V x, V y, V z) const { return hn::MulAdd(x, y, z); }
  HWY_INLINE V neg(V x) const { return hn::Neg(x); }
  HWY_INLINE V abs(V x) const { return hn::Abs(x); }
  HWY_INLINE V sqrt(V x) const { return hn::Sqrt(x); }
  HWY_INLINE V square(V x) const { return hn::Mul(x, x); }
  HWY_INLINE V floor(V x) const { return keep_large(x, hn::Floor(x)); }
  HWY_INLINE V ceil(V x) const { return keep_large(x, hn::Ceil(x)); }
  HWY_INLINE V round(V x) const { return keep_large(x, hn::Round(x)); }
  HWY_INLINE M lt(V x, V y) const { return hn::Lt(x, y); }
  HWY_INLINE M gt(V x, V y) const { return hn::Gt(x, y); }
  HWY_INLINE M eq(V x, V y) const { return hn::Eq(x, y); }
  HWY_INLINE M is_nan(V x) const { return hn::IsNaN(x); }
  HWY_INLINE V select(M mask, V yes, V no) const { return hn::IfThenElse(mask, yes, no); }
  /// NaN stays NaN.
  HWY_INLINE V clamp(V x, V low, V high) const { return select(lt(x, low), low, select(gt(x, high), high, x)); }
  /// A NaN on either side is kept. Highway leaves open which operand Max gives then; x86 gives the second.
  HWY_INLINE V maximum(V x, V y) const { return select(is_nan(x), x, HWY_ARCH_X86 ? hn::Max(x, y) : select(is_nan(y), y, hn::Max(x, y))); }
  HWY_INLINE V minimum(V x, V y) const { return select(is_nan(x), x, HWY_ARCH_X86 ? hn::Min(x, y) : select(is_nan(y), y, hn::Min(x, y))); }
  /// Every float beyond 2^52 is whole; some targets' rounding passes through integers.
  HWY_INLINE V keep_large(V x, V rounded) const { return select(lt(abs(x), c(kDouble ? 4503599627370496.0 : 8388608.0)), hn::CopySign(rounded, x), x); }

  template <std::size_t N>
  HWY_INLINE V horner(V x, const double (&coefficients)[N]) const {
    V result = c(coefficients[0]);
    for (std::size_t i = 1; i < N; ++i) result = fma(result, x, c(coefficients[i]));
    return result;
  }

  /// 2^n within the range of normal numbers.
  HWY_INLINE V power_of_two(hn::VFromD<hn::RebindToSigned<D>> n) const {
    constexpr int kBias = kDouble ? 1023 : 127, kMantissa = kDouble ? 52 : 23;
    return hn::BitCast(d, hn::ShiftLeft<kMantissa>(hn::Add(n, hn::Set(hn::RebindToSigned<D>(), kBias))));
  }

  /// e^r = 2^n e^(bounded - n log 2): the second factor, for the whole number n nearest to bounded / log 2.
  HWY_INLINE V exp_fraction(V bounded, V n) const {
    V r, p;
    if constexpr (kDouble) {
      r = fma(n, c(-6.93147180369123816490e-01), bounded);
      r = fma(n, c(-1.90821492927058770002e-10), r);
      static constexpr double k[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5};
      p = horner(r, k);
    } else {
      r = fma(n, c(-0.693359375), bounded);
      r = fma(n, c(2.12194440e-4), r);
      static constexpr double k[] = {1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1};
      p = horner(r, k);
    }
    return add(fma(p, mul(r, r), r), c(1));
  }
  HWY_INLINE V exp_exponent(V x) const { return hn::Round(mul(x, c(1.44269504088896340735992468100189214))); }

  HWY_INLINE V exp(V x) const {
    const V bounded = hn::Min(hn::Max(x, c(kDouble ? -746.0 : -105.0)), c(kDouble ? 710.0 : 89.0));
    const V n = exp_exponent(bounded);
    // In two factors, so that subnormal results and those near the largest number come out right.
    const hn::RebindToSigned<D> di;
    const auto whole = hn::ConvertTo(di, n);
    const auto half = hn::ShiftRight<1>(whole);
    const V result = mul(mul(exp_fraction(bounded, n), power_of_two(half)), power_of_two(hn::Sub(whole, half)));
    return select(is_nan(x), x, result);
  }

  /// exp where it is a normal number, |x| <= 87 in float32 (708 in float64): no bounds, and one factor is enough.
  HWY_INLINE V exp_of_normal(V x) const {
    const V n = exp_exponent(x);
    return mul(exp_fraction(x, n), power_of_two(hn::ConvertTo(hn::RebindToSigned<D>(), n)));
  }

  /// exp for x <= 0, where results that are no normal number are 0.
  HWY_INLINE V decay(V x) const { return select(lt(x, c(kDouble ? -708.0 : -87.0)), c(0), exp_of_normal(x)); }

  HWY_INLINE V expm1(V x) const {
    V series;
    if constexpr (kDouble) {
      static constexpr double k[] = {1.0 / 121645100408832000.0, 1.0 / 6402373705728000.0, 1.0 / 355687428096000.0, 1.0 / 20922789888000.0, 1.0 / 1307674368000.0, 1.0 / 87178291200.0,
                                     1.0 / 6227020800.0, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5};
      series = horner(x, k);
    } else {
      static constexpr double k[] = {1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5};
      series = horner(x, k);
    }
    series = fma(series, mul(x, x), x);
    return select(lt(abs(x), c(1)), series, sub(exp(x), c(1)));
  }

  HWY_INLINE V log(V x) const {
    const hn::RebindToSigned<D> di;
    constexpr int kMantissa = kDouble ? 52 : 23;
    const M subnormal = lt(x, c(kDouble ? 2.2250738585072014e-308 : 1.17549435e-38));
    const V scaled = select(subnormal, mul(x, c(kDouble ? 18014398509481984.0 : 16777216.0)), x);
    const auto bits = hn::BitCast(di, scaled);
    // Exponent such that the mantissa lies in [sqrt(1/2), sqrt(2)).
    const auto offset = hn::Sub(bits, hn::Set(di, static_cast<hn::TFromD<decltype(di)>>(kDouble ? 0x3fe6a09e667f3bcdLL : 0x3f3504f3LL)));
    const auto exponent = hn::ShiftRight<kMantissa>(offset);
    const V m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<kMantissa>(exponent)));
    const V e = sub(hn::ConvertTo(d, exponent), select(subnormal, c(kDouble ? 54 : 24), c(0)));
    const V f = sub(m, c(1));
    const V s = div(f, add(m, c(1)));
    const V s2 = mul(s, s);
    V p;
    if constexpr (kDouble) {
      static constexpr double k[] = {2.0 / 25, 2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15, 2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3};
      p = horner(s2, k);
    } else {
      static constexpr double k[] = {2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3};
      p = horner(s2, k);
    }
    // log m = f - s (f - s^2 p), which keeps f exact.
    const V log_m = sub(f, mul(s, sub(f, mul(s2, p))));
    V result = fma(e, c(kDouble ? 6.93147180369123816490e-01 : 0.693359375), fma(e, c(kDouble ? 1.90821492927058770002e-10 : -2.12194440e-4), log_m));
    result = select(eq(x, c(0)), hn::Neg(infinity()), result);
    result = select(lt(x, c(0)), hn::NaN(d), result);
    return select(hn::Or(is_nan(x), eq(x, infinity())), x, result);
  }

  HWY_INLINE V infinity() const { return hn::Inf(d); }

  HWY_INLINE V log1p(V x) const {
    const V u = add(c(1), x);
    const V corrected = mul(log(u), div(x, sub(u, c(1))));
    return select(hn::Or(eq(u, c(1)), eq(x, infinity())), x, corrected);
  }

  HWY_INLINE V tanh(V x) const {
    if constexpr (!kDouble) {
      // Near 0 an odd polynomial (Cephes' tanhf), elsewhere (1 - t) / (1 + t) with t = e^(-2|x|), which is at most 0.29 there.
      const V size = abs(x), x2 = mul(x, x);
      static constexpr double k[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1};
      const V near_zero = fma(mul(horner(x2, k), x2), x, x);
      const V t = exp_of_normal(mul(hn::Min(size, c(16)), c(-2)));
      const V far = hn::CopySign(div(sub(c(1), t), add(c(1), t)), x);
      return select(is_nan(x), x, select(lt(size, c(0.625)), near_zero, far));
    }
    const V t = expm1(mul(c(2), select(gt(abs(x), c(20)), c(20), abs(x))));
    return hn::CopySign(div(t, add(t, c(2))), x);
  }

  HWY_INLINE V sigmoid(V x) const {
    const V e = exp(neg(abs(x)));
    // q = e / (1 + e) is the result on one side of 0 already; e (1 - q), as 1 - q on the other, forgives half of q's rounding.
    const V q = div(e, add(c(1), e));
    const V top = select(lt(x, c(0)), e, c(1));
    return fma(neg(top), q, top);
  }

  /// max(x, 0) + log1p(exp(-|x|))
  HWY_INLINE V softplus(V x) const {
    return add(select(lt(x, c(0)), c(0), x), log1p(exp(neg(abs(x)))));
  }

  /// Of x (1 + tanh(u)) / 2 with u = 0.798 (x + 0.0447 x^3): the factor of x, as 1 / (1 + e^(-2u)), which takes no near and far side.
  HWY_INLINE V gelu_tanh_factor(V x, V cubic) const {
    constexpr double kFar = kDouble ? 700 : 87;
    const V minus_2u = hn::Max(mul(c(-1.5957691216057307117597842397375), fma(cubic, x, x)), c(-kFar));
    return select(gt(minus_2u, c(kFar)), c(0), div(c(1), add(c(1), exp_of_normal(minus_2u))));
  }
  HWY_INLINE V gelu_tanh_cubic(V x) const { return mul(c(0.0447149984538555145263671875), mul(x, x)); }
  HWY_INLINE V gelu_tanh(V x) const { return mul(x, gelu_tanh_factor(x, gelu_tanh_cubic(x))); }
  /// Its derivative.
  HWY_INLINE V gelu_tanh_slope(V x) const {
    const V cubic = gelu_tanh_cubic(x), s = gelu_tanh_factor(x, cubic);
    const V steep = mul(mul(c(1.5957691216057307117597842397375), x), fma(c(3), cubic, c(1)));
    return fma(mul(s, sub(c(1), s)), steep, s);
  }
  /// float32 only: an odd rational function on [-4, 4], where erf reaches 1 in float32.
  HWY_INLINE V erf_float(V x) const {
    const V b = clamp(x, c(-4), c(4));
    const V b2 = mul(b, b);
    static constexpr double top[] = {-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02};
    static constexpr double bottom[] = {-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03, -1.42647390514189e-02};
    return mul(b, div(horner(b2, top), horner(b2, bottom)));
  }
};
