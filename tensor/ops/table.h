#pragma once
// The families of the op table. A family is one .cpp file with its rows, its CPU kernels and its op functions; it is listed in
// table.cpp, and nowhere else.

#include <vector>

#include <lockstep/tensor/op.h>

namespace lockstep {

/// All rows, family by family.
std::vector<OpDef> all_rows();

}  // namespace lockstep
