#include <lockstep/nn/adapt.h>

#include <cstring>

#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::nn::detail {

void for_each_batch(BatchSource& source, const AdaptOptions& options, const std::function<void(const Tensor&)>& update) {
  if (!options.steps && source.cardinality() == kInfinite) throw InvalidArgumentError("the data have no end", "adapt", "give the number of steps");
  Tensors batch;
  for (std::int64_t step = 0; (!options.steps || step < *options.steps) && source.next(batch); ++step) update(batch[0]);
}

bool have_others(const AdaptOptions& options) { return options.own_data && dist::world_size() > 1; }

std::vector<std::string> summaries_of_ranks(const std::string& mine, const AdaptOptions& options, const std::string& label) {
  if (!have_others(options)) return {mine};
  return dist::communicator().gather_texts(mine, label);
}

std::string bytes_of_numbers(const std::vector<double>& numbers) { return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)}; }

std::vector<double> numbers_of_bytes(const std::string& bytes) {
  std::vector<double> numbers(bytes.size() / sizeof(double));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(double));
  return numbers;
}

}  // namespace lockstep::nn::detail
