#pragma once
// The bodies behind tensor/special.h. They are templates (of double) marked constexpr, which lets nvcc compile the same lines for GPUs.

#include <cmath>
#include <concepts>
#include <limits>
#include <numbers>

namespace lockstep::special_functions {

template <std::floating_point Real>
constexpr Real erfinv(Real y) {
  if (!(y >= -1 && y <= 1)) return std::numeric_limits<double>::quiet_NaN();
  if (std::fabs(y) == 1) return std::copysign(std::numeric_limits<double>::infinity(), y);
  // M. Giles, "Approximating the erfinv function" (2010), then Newton's steps on erfc where erf is flat.
  const double w = -std::log((1 - y) * (1 + y));
  Real x = 0;
  if (w < 5) {
    const double v = w - 2.5;
    x = 2.81022636e-08;
    constexpr double k[] = {3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941};
    for (const double c : k) x = c + x * v;
  } else {
    const double v = std::sqrt(w) - 3;
    x = -0.000200214257;
    constexpr double k[] = {0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682};
    for (const double c : k) x = c + x * v;
  }
  x *= y;
  for (int step = 0; step < 3; ++step) {
    const double beyond = (1 - std::fabs(y)) - std::erfc(std::fabs(x));  // |erf(x)| - |y|
    const double error = std::fabs(y) > 0.5 ? (y < 0 ? -beyond : beyond) : std::erf(x) - y;
    x -= error / (2 / std::sqrt(std::numbers::pi) * std::exp(-x * x));
  }
  return x;
}

template <std::floating_point Real>
constexpr Real digamma(Real x) {
  if (x <= 0) {
    if (x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    return digamma(Real(1) - x) - std::numbers::pi / std::tan(std::numbers::pi * x);
  }
  double result = 0;
  while (x < 10) {
    result -= 1 / x;
    x += 1;
  }
  const double z = 1 / (x * x);
  double series = 0;
  constexpr double k[] = {1.0 / 12, -691.0 / 32760, 1.0 / 132, -1.0 / 240, 1.0 / 252, -1.0 / 120, 1.0 / 12};
  for (const double c : k) series = series * z + c;
  return result + std::log(x) - 0.5 / x - z * series;
}

/// Hurwitz zeta(s, q) for s > 1, q > 0 by Euler-Maclaurin summation.
template <std::floating_point Real>
constexpr Real hurwitz_zeta(Real s, Real q) {
  constexpr int kTerms = 12;
  double sum = 0;
  for (int k = 0; k < kTerms; ++k) sum += std::pow(q + k, -s);
  const double a = q + kTerms;
  sum += std::pow(a, 1 - s) / (s - 1) + 0.5 * std::pow(a, -s);
  constexpr double kBernoulli[] = {1.0 / 6, -1.0 / 30, 1.0 / 42, -1.0 / 30, 5.0 / 66, -691.0 / 2730, 7.0 / 6, -3617.0 / 510};
  double factor = s, power = std::pow(a, -s - 1), factorial = 2;
  for (int j = 1; j <= 8; ++j) {
    sum += kBernoulli[j - 1] * factor * power / factorial;
    factor *= (s + 2 * j - 1) * (s + 2 * j);
    power /= a * a;
    factorial *= (2 * j + 1) * (2 * j + 2);
  }
  return sum;
}

template <std::floating_point Real>
constexpr Real polygamma(int n, Real x) {
  if (n == 0) return digamma(x);
  if (x <= 0) {
    if (n != 1 || x == std::floor(x)) return std::numeric_limits<double>::quiet_NaN();
    const double sine = std::sin(std::numbers::pi * x);
    return std::numbers::pi * std::numbers::pi / (sine * sine) - polygamma(1, Real(1) - x);
  }
  return (n % 2 ? 1 : -1) * std::tgamma(n + 1.0) * hurwitz_zeta(Real(n + 1), x);
}

}  // namespace lockstep::special_functions
