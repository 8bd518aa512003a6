#pragma once
// Strings found among keys by hashing (tf.lookup). What belongs to the keys is a tensor of its own: gather it by the places found.

#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// Keys and their hash table, both tensors: inside a trace they are constants of the graph (tf.lookup.StaticHashTable).
class KeyIndex {
 public:
  KeyIndex() = default;
  /// string (n,); of equal keys the first one counts. O(n). Throws TypeError and InvalidArgumentError for anything else.
  explicit KeyIndex(const Tensor& keys);
  /// int64, of the shape of x: where each element stands among the keys. What is none of them is -1, or refused with InvalidArgumentError (`required`).
  Tensor find(const Tensor& x, bool required = false) const;
  const Tensor& keys() const { return keys_; }

 private:
  Tensor keys_, slots_;
};

}  // namespace lockstep
