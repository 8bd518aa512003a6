// Data structures beside TensorFlow: tests/bench/structures_peer.py runs the same there and prints the same lines.

#include "structures.h"

#include <cstdio>
#include <random>

#include <lockstep/lockstep.h>

#include "timing.h"

namespace lockstep::bench {
namespace {

/// The median time of a call, after one that warms up.
template <class F>
double median_seconds(int rounds, F&& f) {
  f();
  std::vector<double> times;
  for (int i = 0; i < std::max(rounds, 1); ++i) {
    const Clock::time_point start = Clock::now();
    f();
    times.push_back(seconds_since(start));
  }
  return median(times);
}

void print_line(const StructureOptions& options, const char* name, double seconds, double work, const char* unit) {
  if (options.json) std::printf("{\"suite\": \"structures\", \"name\": \"%s\", \"ms\": %.3f, \"%s\": %.3f}\n", name, seconds * 1e3, unit, work / seconds);
  else std::printf("%-24s %10.3f ms %10.3f %s\n", name, seconds * 1e3, work / seconds, unit);
  std::fflush(stdout);
}

/// 1 % of the elements, at places drawn at random, in order.
SparseTensor random_sparse(std::int64_t size) {
  std::mt19937_64 random(1);
  std::vector<std::int64_t> indices;
  for (std::int64_t row = 0; row < size; ++row) {
    std::vector<std::int64_t> columns;
    for (std::int64_t k = 0; k < size / 100; ++k) columns.push_back(std::int64_t(random() % std::uint64_t(size)));
    std::sort(columns.begin(), columns.end());
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    for (const std::int64_t column : columns) indices.insert(indices.end(), {row, column});
  }
  const auto count = std::int64_t(indices.size() / 2);
  return {constant(indices, Shape{count, 2}), random::uniform({count}), Shape{size, size}};
}

Tensor random_lines(std::int64_t count) {
  std::mt19937_64 random(2);
  std::vector<std::string> lines(static_cast<std::size_t>(count));
  for (std::string& line : lines)
    for (int word = 0; word < 8; ++word) line += (word ? " word" : "word") + std::to_string(random() % 100000);
  return constant(lines);
}

/// Training steps of a table of 100,000 rows of 64, of which a batch of 256 lines of 20 words reads 5,120: the gradient by rows or, through `identity`, dense.
void run_embedding_steps(const StructureOptions& options, const std::string& name, optim::Optimizer& optimizer, bool dense) {
  const Variable table(random::uniform({100000, 64}, -0.05, 0.05), {.path = "table"}), kernel(random::uniform({64, 1}, -0.1, 0.1), {.path = "kernel"});
  const std::vector<Variable> variables{table, kernel};
  const auto step = autodiff::function([&](const Tensor& ids, const Tensor& y) {
    autodiff::GradientTape tape;
    const Tensor rows = dense ? embedding_lookup(identity(table.value()), ids) : embedding_lookup(table, ids);
    const Tensor loss = reduce_mean(square(matmul(reduce_mean(rows, 1), kernel) - y));
    optimizer.apply(tape.gradient(loss, std::vector<autodiff::Source>(variables.begin(), variables.end())), variables);
    return loss;
  });
  const Tensor ids = random::uniform({256, 20}, 0, 100000, int32), y = random::uniform({256, 1});
  print_line(options, name.c_str(), median_seconds(3 * options.rounds, [&] { step(ids, y); }), 0.256, "kexamples_per_s");
}

}  // namespace

void run_structures(const StructureOptions& options) {
  const auto wanted = [&](const std::string& name) { return name.find(options.filter) != std::string::npos; };
  if (wanted("sparse_dense_matmul")) {
    const SparseTensor x = random_sparse(10000);
    const Tensor y = random::uniform({10000, 64});
    const double flops = 2.0 * double(x.values().numel()) * 64;
    print_line(options, "sparse_dense_matmul", median_seconds(options.rounds, [&] { sparse::matmul(x, y); }), flops / 1e9, "GFLOPs");
  }
  if (wanted("string_split_hash")) {
    const Tensor lines = random_lines(1000000);
    print_line(options, "string_split_hash", median_seconds(options.rounds, [&] { strings::to_hash_bucket_fast(strings::split(lines).flat_values(), 1 << 20); }), 1.0, "Mlines_per_s");
  }
  for (const bool dense : {false, true}) {
    const std::string form = dense ? "_dense" : "_rows";
    optim::SGD sgd;
    optim::Adagrad adagrad;
    if (wanted("embedding_sgd" + form)) run_embedding_steps(options, "embedding_sgd" + form, sgd, dense);
    if (wanted("embedding_adagrad" + form)) run_embedding_steps(options, "embedding_adagrad" + form, adagrad, dense);
  }
}

}  // namespace lockstep::bench
