#include <lockstep/tensor/special.h>

#include <math.h>

#define LOCKSTEP_CODE(...) __VA_ARGS__
#define LOCKSTEP_HD

namespace lockstep::special {
namespace {
#include <lockstep/tensor/pointwise/special.inc>
}  // namespace

double erfinv(double y) { return special_erfinv(y); }
double digamma(double x) { return special_digamma(x); }
double polygamma(int n, double x) { return special_polygamma(n, x); }

}  // namespace lockstep::special

#undef LOCKSTEP_CODE
#undef LOCKSTEP_HD
