#pragma once
// The IDX format of MNIST and its relatives: a magic number, the sizes, then the elements, all big-endian.

#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// The tensor in an IDX file, plain or gzipped: uint8, int8, int16, int32, float32 or float64. Throws NotFoundError if there is no such
/// file, DataLossError, naming the file and the offset, if it is neither gzip nor IDX, damaged, too short or too long.
Tensor read_idx(const std::string& path);

}  // namespace lockstep::io
