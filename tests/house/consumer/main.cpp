// A program of somebody who installed Lockstep. It uses what the libraries need inside: oneDNN, Highway, LAPACK and OpenMP.

#include <lockstep/lockstep.h>

#include <iostream>

using namespace lockstep;

int main() {
  const Tensor a = constant({{4.f, 2.f}, {2.f, 3.f}});
  auto squared_sum = autodiff::function([](const Tensor& x) { return reduce_sum(square(matmul(x, x)) + exp(x - x)); });
  const float traced = squared_sum(a).item<float>();
  const Tensor root = cholesky(a);
  std::cout << a << "\n" << traced << "\n" << root << "\n";
  return traced == 965.f && root.to_vector<float>()[0] == 2.f ? 0 : 1;
}
