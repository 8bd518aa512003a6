#include <lockstep/nn/replicas.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>
#include <vector>

#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

Replicas::Replicas(std::optional<int> shards) : index_(dist::rank()), count_(dist::world_size()), shards_(shards) {
  if (shards_ && (*shards_ < 1 || *shards_ % count_ != 0))
    throw InvalidArgumentError(std::to_string(*shards_) + " shards cannot be dealt out to " + std::to_string(count_) + " ranks", "fit", "the number of shards must be a multiple of the number of ranks");
}

std::vector<BatchPart> Replicas::members_of(const BatchPart& part) const {
  const std::int64_t global_rows = part.replica ? part.replica->global_rows : part.tensors[0].shape()[0], before = part.replica ? part.replica->first_row : 0;
  std::vector<BatchPart> members;
  for (int m = index_ * this->members(); m < (index_ + 1) * this->members(); ++m) {
    const dist::RowRange range = dist::rows_of_part(global_rows, m, parts());
    Tensors rows;
    for (const Tensor& each : part.tensors) rows.push_back(each[slice(range.begin - before, range.end - before)]);
    members.push_back({std::move(rows), dist::Replica{.count = parts(), .index = m, .rows = range.end - range.begin, .first_row = range.begin, .global_rows = global_rows, .joint = true}});
  }
  return members;
}

double Replicas::contribution(double loss, const std::optional<dist::Replica>& replica) { return !replica ? loss : replica->rows > 0 ? loss * replica->share() : 0.0; }

Tensor Replicas::loss_of_all(const Tensor& loss, const std::optional<dist::Replica>& replica) const {
  if (!several()) return loss;
  const Tensor wide = cast(loss, float64);
  return dist::all_reduce(!replica ? wide : replica->rows > 0 ? wide * replica->share() : zeros_like(wide), dist::ReduceOp::sum, {.label = "loss"});
}

BatchPart Replicas::cut(const Tensors& whole) const {
  if (!several()) return {whole, {}};
  if (whole.empty()) throw InvalidArgumentError("a batch without tensors cannot be cut into the replicas' parts", "fit");
  Tensors rows;
  for (const Tensor& each : whole) {
    if (each.ndim() == 0 || each.shape()[0] != whole[0].shape()[0])
      throw InvalidArgumentError("a batch is cut along its rows, but has tensors of shapes " + to_string(whole[0].shape()) + " and " + to_string(each.shape()), "fit");
    const dist::RowRange range = dist::rows_of_part(each.shape()[0], index_, count_);
    rows.push_back(each[slice(range.begin, range.end)]);
  }
  return part(std::move(rows), whole[0].shape()[0]);
}

BatchPart Replicas::part(Tensors rows, std::int64_t global_rows) const {
  if (!several()) return {std::move(rows), {}};
  const dist::RowRange range = dist::rows_of_part(global_rows, index_, count_);
  return {std::move(rows), dist::Replica{.count = count_, .index = index_, .rows = range.end - range.begin, .first_row = range.begin, .global_rows = global_rows}};
}

bool Replicas::next_own(BatchSource& source, BatchPart& batch) {
  Tensors rows;
  const bool found = !ended_ && source.next(rows);  // one that has ended would begin its next pass
  ended_ = !found && several();
  if (!several()) return batch = {std::move(rows), {}}, found;
  if (found && (rows.empty() || rows[0].ndim() == 0)) throw InvalidArgumentError("a batch without rows cannot be a rank's part", "fit");
  if (found) last_ = rows;
  const std::int64_t own = found ? rows[0].shape()[0] : 0;
  std::vector<std::int64_t> all(static_cast<std::size_t>(count_));
  const std::array<std::int64_t, 1> mine{found ? own : -1};
  dist::communicator().all_gather(mine.data(), all.data(), 1, int64, "rows of the batch");
  std::int64_t total = 0, before = 0, finished = 0;
  for (int r = 0; r < count_; ++r) {
    finished += all[std::size_t(r)] < 0;
    const std::int64_t each = std::max<std::int64_t>(0, all[std::size_t(r)]);
    if (r < index_) before += each;
    total += each;
  }
  if (!found) source.idle(finished == count_);
  if (finished == count_) return ended_ = false;
  if (!found) {
    if (last_.empty()) throw InvalidArgumentError("rank " + std::to_string(index_) + " has no data at all", "fit");
    for (const Tensor& each : last_) rows.push_back(each[slice(0, 0)]);
  }
  const std::uint64_t division = std::hash<std::string_view>()({reinterpret_cast<const char*>(all.data()), all.size() * sizeof all[0]});
  batch = {std::move(rows), dist::Replica{.count = count_, .index = index_, .rows = own, .first_row = before, .global_rows = total, .division = division}};
  return true;
}

Replicas::Agreement Replicas::agree(double contribution, bool stop, bool interrupted) const {
  if (!several()) return {contribution, stop || interrupted, interrupted};
  std::array<double, 3> all{contribution, stop || interrupted ? 1.0 : 0.0, interrupted ? 1.0 : 0.0};
  dist::communicator().all_reduce(all.data(), 3, float64, dist::ReduceOp::sum, "loss and stop");
  return {all[0], all[1] > 0, all[2] > 0};
}

Tensors Replicas::gather_rows(const Tensors& outputs, const std::optional<dist::Replica>& replica) const {
  if (!replica) return outputs;
  // Parts differ by a row at most: all send as many as the longest has.
  std::int64_t longest = 0;
  for (int r = 0; r < count_; ++r) {
    const dist::RowRange range = dist::rows_of_part(replica->global_rows, r, count_);
    longest = std::max(longest, range.end - range.begin);
  }
  Tensors result;
  for (const Tensor& output : outputs) {
    Shape shape = output.shape();
    if (shape.ndim() == 0 || shape[0] != replica->rows) throw InvalidArgumentError("an output of shape " + to_string(shape) + " has no row for each of the " + std::to_string(replica->rows) + " inputs", "predict");
    shape[0] = longest - replica->rows;
    const Tensor all = dist::all_gather(shape[0] == 0 ? output : concat(std::array{output, zeros(shape, output.dtype())}, 0), {.label = "predictions"});
    std::vector<Tensor> parts;
    for (int r = 0; r < count_; ++r) {
      const dist::RowRange range = dist::rows_of_part(replica->global_rows, r, count_);
      parts.push_back(all[slice(r * longest, r * longest + range.end - range.begin)]);
    }
    result.push_back(concat(parts, 0));
  }
  return result;
}

std::int64_t Replicas::agreed_seed(std::int64_t seed) const {
  if (several()) dist::communicator().broadcast(&seed, 1, int64, 0, "seed of the order");
  return seed;
}

}  // namespace lockstep::nn
