#include <lockstep/tensor/lookup.h>

#include <lockstep/tensor/op.h>

namespace lockstep {

KeyIndex::KeyIndex(const Tensor& keys) : keys_(keys) {
  static const OpDef& op = find_op("key_slots");
  slots_ = apply(op, {keys});
}

Tensor KeyIndex::find(const Tensor& x, bool required) const {
  static const OpDef& op = find_op("find_keys");
  return apply(op, {x, keys_, slots_}, {{"required", required}});
}

}  // namespace lockstep
