#include <lockstep/dist/gradients.h>

#include <algorithm>
#include <array>
#include <sstream>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/indexed_slices.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::dist {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// Where a traced step comes to this point, all ranks do, so that they can compare what they are about to record.
void require_same_gradients(const Replica& replica, std::span<const Gradient> gradients, std::span<const Variable> variables) {
  std::string text;
  for (std::size_t i = 0; i < gradients.size(); ++i)
    text += variables[i].path() + " " + to_string(TensorSpec{variables[i].dtype(), variables[i].shape()}) + (!gradients[i].exists() ? ": has none\n" : gradients[i].is_slices() ? ": has a gradient by rows\n" : ": has a gradient\n");
  require_same(replica.group.communicator(), text, "the gradients");
}

Tensor in_dtype(const Tensor& values, DType dtype) { return values.dtype() == dtype ? values : cast(values, dtype); }
Tensor on_wire(const Replica& replica, const Tensor& values) { return in_dtype(values, replica.wire.value_or(values.dtype())); }

/// For each gradient by rows, how many the replica with the most has; none (nullopt) where the gathered rows would be more than the dense gradient, the same
/// everywhere.
std::vector<std::optional<std::int64_t>> most_rows(const Replica& replica, std::span<const Gradient> gradients) {
  std::vector<std::optional<std::int64_t>> result(gradients.size());
  std::vector<std::int64_t> own;
  for (const Gradient& gradient : gradients)
    if (gradient.is_slices()) own.push_back(gradient.slices().indices.numel());
  if (own.empty()) return result;
  std::vector<std::int64_t> most = own;
  if (replica.joint) {
    // The members of a process are traced one by one: they do not know of each other's shapes unless all have as many rows.
    if (replica.division != 0 || replica.global_rows % replica.count != 0) return result;
  } else {
    Communicator& communicator = replica.group.communicator();
    std::vector<std::int64_t> all(own.size() * std::size_t(communicator.size()));
    communicator.all_gather(own.data(), all.data(), std::int64_t(own.size()), int64, "numbers of rows of the gradients");
    for (std::size_t i = 0; i < all.size(); ++i) most[i % own.size()] = std::max(most[i % own.size()], all[i]);
  }
  std::size_t k = 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].is_slices()) continue;
    const IndexedSlices& slices = gradients[i].slices();
    const std::int64_t rows = slices.dense_shape.ndim() ? slices.dense_shape[0] : 0, longest = most[k++];
    const std::int64_t row = rows ? slices.dense_shape.numel() / rows * std::int64_t(itemsize(replica.wire.value_or(slices.values.dtype()))) : 0;
    if (replica.count * longest * (row + std::int64_t(itemsize(slices.indices.dtype()))) < rows * row) result[i] = longest;
  }
  return result;
}

/// With zeros for row 0 behind the last slice.
IndexedSlices padded(const IndexedSlices& slices, std::int64_t count) {
  const std::int64_t missing = count - slices.indices.numel();
  if (missing == 0) return slices;
  Shape shape = slices.values.shape();
  shape[0] = missing;
  const Tensor indices = concat(std::array{slices.indices, zeros({missing}, slices.indices.dtype())}, 0);
  return {indices, concat(std::array{slices.values, zeros(shape, slices.values.dtype())}, 0), slices.dense_shape};
}

/// The sums of what replicas [first, last) bring, `count` slices each, in the tree of reduction.h (which adds zeros where a replica has no such row).
IndexedSlices tree_sum(const IndexedSlices& all, std::int64_t count, int first, int last) {
  if (last - first <= 2) {
    const auto part = slice(first * count, last * count);
    const IndexedSlices slices{all.indices[part], all.values[part], all.dense_shape};
    return last - first == 1 ? slices : sum_slices(slices);
  }
  const int middle = first + tree_split(last - first);
  const IndexedSlices a = tree_sum(all, count, first, middle), b = tree_sum(all, count, middle, last);
  return sum_slices({concat(std::array{a.indices, b.indices}, 0), concat(std::array{a.values, b.values}, 0), all.dense_shape});
}

/// The mean over the replicas of `slices`, of which each has up to `count`: what all bring is gathered, and every rank adds it up in the same order.
IndexedSlices mean_of_slices(const Replica& replica, const IndexedSlices& slices, std::int64_t count, const CollectiveOptions& options) {
  const IndexedSlices own = padded(sum_slices(slices), count);
  const Tensor values = on_wire(replica, own.values);
  const Tensor indices = gather_replicas(own.indices, replica.count, options);
  const Tensor all = in_dtype(gather_replicas(values, replica.count, options), wide_dtype(values.dtype()));
  const IndexedSlices sum = tree_sum({indices, all, own.dense_shape}, count, 0, replica.count);
  const Tensor mean = in_dtype(sum.values * scalar(1.0 / replica.count, sum.values.dtype()), values.dtype());
  return {sum.indices, in_dtype(mean, slices.values.dtype()), sum.dense_shape};
}

}  // namespace

void require_same(Communicator& communicator, const std::string& text, const std::string& what) {
  if (communicator.size() == 1) return;
  const auto hash = std::int64_t(std::hash<std::string>()(text));
  std::vector<std::int64_t> hashes(static_cast<std::size_t>(communicator.size()));
  communicator.all_gather(&hash, hashes.data(), 1, int64, what);
  if (std::all_of(hashes.begin(), hashes.end(), [&](std::int64_t each) { return each == hashes[0]; })) return;
  const std::vector<std::string> all = communicator.gather_texts(text, what);
  const std::vector<std::string> first = lines_of(all[0]);
  for (std::size_t r = 1; r < all.size(); ++r) {
    const std::vector<std::string> other = lines_of(all[r]);
    for (std::size_t i = 0; i < std::max(first.size(), other.size()); ++i) {
      const std::string a = i < first.size() ? first[i] : "nothing more", b = i < other.size() ? other[i] : "nothing more";
      if (a != b) throw FailedPreconditionError(what + " differ between the ranks: rank 0: " + a + "; rank " + std::to_string(r) + ": " + b, {}, "every rank must run the same program on the same configuration");
    }
  }
}

std::vector<std::vector<std::size_t>> bucket_plan(std::span<const TensorSpec> specs, std::int64_t limit) {
  std::vector<std::vector<std::size_t>> buckets;
  std::int64_t filled = 0;
  for (std::size_t i = specs.size(); i-- > 0;) {
    const std::int64_t bytes = specs[i].shape.numel() * std::int64_t(itemsize(specs[i].dtype));
    if (buckets.empty() || specs[buckets.back().back()].dtype != specs[i].dtype || filled + bytes > limit) {
      buckets.emplace_back();
      filled = 0;
    }
    buckets.back().push_back(i);
    filled += bytes;
  }
  return buckets;
}

std::vector<Gradient> reduce_gradients(std::span<const Gradient> gradients, std::span<const Variable> variables) {
  const Replica* here = replica();
  std::vector<Gradient> result;
  if (!here || here->count == 1 || gradients.empty()) {
    for (const Gradient& gradient : gradients) result.push_back(summed(gradient));
    return result;
  }
  // A trace is compared when it is made; eager steps by the buckets' labels only.
  if (listeners().tracer) require_same_gradients(*here, gradients, variables);
  const std::vector<std::optional<std::int64_t>> by_rows = most_rows(*here, gradients);
  std::vector<std::size_t> present;
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    result.push_back(gradients[i].exists() && !by_rows[i] ? Gradient(gradients[i].dense()) : gradients[i]);
    if (!gradients[i].exists() || by_rows[i]) continue;
    present.push_back(i);
    specs.push_back(result[i].dense().spec());
  }
  const std::vector<std::vector<std::size_t>> buckets = bucket_plan(specs);
  std::vector<Tensors> started;
  std::vector<CollectiveOptions> options;
  for (const std::vector<std::size_t>& bucket : buckets) {
    Tensors tensors;
    for (const std::size_t i : bucket) tensors.push_back(on_wire(*here, result[present[i]].dense()));
    options.push_back({.group = here->group, .label = "gradients of " + variables[present[bucket.front()]].path() + (bucket.size() > 1 ? " and " + std::to_string(bucket.size() - 1) + " more" : "")});
    started.push_back(all_reduce_start(tensors, ReduceOp::mean, options.back()));
  }
  // Rows last: the buckets are on their way.
  for (std::size_t i = gradients.size(); i-- > 0;)
    if (by_rows[i]) result[i] = mean_of_slices(*here, gradients[i].slices(), *by_rows[i], {.group = here->group, .label = "rows of the gradient of " + variables[i].path()});
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const Tensors reduced = all_reduce_wait(started[b], options[b]);
    for (std::size_t k = 0; k < buckets[b].size(); ++k) {
      const DType own = specs[buckets[b][k]].dtype;
      result[present[buckets[b][k]]] = Gradient(in_dtype(reduced[k], own));
    }
  }
  return result;
}

}  // namespace lockstep::dist
