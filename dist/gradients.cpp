#include <lockstep/dist/gradients.h>

#include <algorithm>
#include <sstream>

#include <lockstep/tensor/base/error.h>

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
    text += variables[i].path() + " " + to_string(TensorSpec{variables[i].dtype(), variables[i].shape()}) + (gradients[i].exists() ? ": has a gradient\n" : ": has none\n");
  require_same(replica.group.communicator(), text, "the gradients");
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
  std::vector<Gradient> result;
  std::vector<std::size_t> present;
  std::vector<TensorSpec> specs;
  for (const Gradient& gradient : gradients) {
    result.push_back(gradient.exists() ? Gradient(gradient.dense()) : Gradient());
    if (!gradient.exists()) continue;
    present.push_back(result.size() - 1);
    specs.push_back(result.back().dense().spec());
  }
  const Replica* here = replica();
  if (!here || here->count == 1 || gradients.empty()) return result;
  // A trace is compared when it is made; eager steps by the buckets' labels only.
  if (listeners().tracer) require_same_gradients(*here, gradients, variables);
  const std::vector<std::vector<std::size_t>> buckets = bucket_plan(specs);
  std::vector<Tensors> started;
  std::vector<CollectiveOptions> options;
  for (const std::vector<std::size_t>& bucket : buckets) {
    Tensors tensors;
    for (const std::size_t i : bucket) tensors.push_back(result[present[i]].dense());
    options.push_back({.group = here->group, .label = "gradients of " + variables[present[bucket.front()]].path() + (bucket.size() > 1 ? " and " + std::to_string(bucket.size() - 1) + " more" : "")});
    started.push_back(all_reduce_start(tensors, ReduceOp::mean, options.back()));
  }
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    const Tensors reduced = all_reduce_wait(started[b], options[b]);
    for (std::size_t k = 0; k < buckets[b].size(); ++k) result[present[buckets[b][k]]] = Gradient(reduced[k]);
  }
  return result;
}

}  // namespace lockstep::dist
