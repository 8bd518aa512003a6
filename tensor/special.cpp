#include <lockstep/tensor/special.h>

#include <lockstep/tensor/ops/special_functions.h>

namespace lockstep::special {

double erfinv(double y) { return special_functions::erfinv(y); }
double digamma(double x) { return special_functions::digamma(x); }
double polygamma(int n, double x) { return special_functions::polygamma(n, x); }

}  // namespace lockstep::special
