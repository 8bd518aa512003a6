#pragma once
// Special functions that the C++ library lacks, in double.

namespace lockstep::special {

/// Inverse of the error function on [-1, 1].
double erfinv(double y);
/// Derivative of log|gamma|. NaN at the poles 0, -1, -2, ...
double digamma(double x);
/// n-th derivative of digamma, n >= 0, for x > 0 (and by reflection for n <= 1 below).
double polygamma(int n, double x);

}  // namespace lockstep::special
