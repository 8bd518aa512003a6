#pragma once
// Sparse products and string splitting with hashing, at the sizes that are compared with TensorFlow.

#include <string>

namespace lockstep::bench {

struct StructureOptions {
  int rounds = 10;       // timed calls of each; the median counts
  bool json = false;
  std::string filter = {};  // in the name
};
/// Prints one line each (JSON or a table's): `sparse_dense_matmul` (1 % of 10,000 x 10,000 in float32, times 10,000 x 64), `string_split_hash` (1 M lines of 8 words, split at
/// white space, farmhash into 2^20 buckets).
void run_structures(const StructureOptions& options);

}  // namespace lockstep::bench
