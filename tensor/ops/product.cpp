#include <lockstep/tensor/ops/product.h>

namespace lockstep {

Product product_of(const OpCall& call, const Shape& a, const Shape& b, const Shape& out) {
  Product p;
  p.transpose_a = call.boolean("transpose_a");
  p.transpose_b = call.boolean("transpose_b");
  p.m = a[a.ndim() - (p.transpose_a ? 1 : 2)];
  p.k = a[a.ndim() - (p.transpose_a ? 2 : 1)];
  p.n = b[b.ndim() - (p.transpose_b ? 2 : 1)];
  for (int i = 0; i < out.ndim() - 2; ++i) {
    const int ia = i - (out.ndim() - a.ndim()), ib = i - (out.ndim() - b.ndim());
    p.batch_a.push_back(ia < 0 ? 1 : a[ia]);
    p.batch_b.push_back(ib < 0 ? 1 : b[ib]);
    p.batch.push_back(out[i]);
  }
  // One matrix on the right for all: the left ones are one tall matrix.
  if (p.batch_b.numel() == 1 && !p.transpose_a && p.batch.ndim() > 0) {
    p.m *= p.batch.numel();
    p.batch_a = p.batch_b = p.batch = Shape();
  }
  if (p.batch.numel() == 1) p.batch_a = p.batch_b = p.batch = Shape();
  return p;
}

std::pair<std::int64_t, std::int64_t> batch_offsets(const Product& p, std::int64_t position) {
  std::int64_t a = 0, b = 0, size_a = p.m * p.k, size_b = p.k * p.n;
  for (int i = p.batch.ndim() - 1; i >= 0; --i) {
    const std::int64_t at = position % p.batch[i];
    position /= p.batch[i];
    if (p.batch_a[i] != 1) a += at * size_a;
    if (p.batch_b[i] != 1) b += at * size_b;
    size_a *= p.batch_a[i];
    size_b *= p.batch_b[i];
  }
  return {a, b};
}

}  // namespace lockstep
