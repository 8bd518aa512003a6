#pragma once
// Sparse products, string splitting with hashing, and training steps of an embedding, at the sizes that are compared with TensorFlow.

#include <string>

namespace lockstep::bench {

struct StructureOptions {
  int rounds = 10;       // timed calls of each; the median counts
  bool json = false;
  std::string filter = {};  // in the name
};
/// Prints one line each (JSON or a table's): `sparse_dense_matmul` (1 % of 10,000 x 10,000 in float32, times 10,000 x 64), `string_split_hash` (1 M lines of 8 words, split at
/// white space, farmhash into 2^20 buckets), `embedding_sgd_rows`, `embedding_sgd_dense`, `embedding_adagrad_rows`, `embedding_adagrad_dense` (a traced
/// training step of a table of 100,000 x 64 on 256 x 20 words, its gradient by rows or dense).
void run_structures(const StructureOptions& options);

}  // namespace lockstep::bench
