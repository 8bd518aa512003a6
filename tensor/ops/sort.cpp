#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops.h>

namespace lockstep {

std::vector<OpDef> sort_rows() { return {}; }

}  // namespace lockstep
