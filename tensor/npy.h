#pragma once
// Tensors as NumPy's .npy files (format 1.0, 2.0 and 3.0): a header in Python's syntax, then the elements. Lockstep writes 1.0,
// little-endian, row-major, as numpy.save does; it reads every order and byte order and gives back a row-major tensor.

#include <cstddef>
#include <span>
#include <string>

#include <lockstep/tensor/tensor.h>

namespace lockstep {

/// The tensor as the bytes of a .npy file. Throws TypeError for bfloat16 and string, which NumPy has no dtype for.
std::string to_npy(const Tensor& tensor);
/// The tensor in the bytes of one .npy file. Throws DataLossError for a damaged header and for too few or too many bytes,
/// TypeError for a dtype that Lockstep lacks (objects, text, dates, records).
Tensor from_npy(std::span<const std::byte> bytes);

/// Writes a .npy file, replacing the one of that name. Throws as to_npy() does, NotFoundError if there is no such directory,
/// ResourceExhaustedError if the file cannot be written in full.
void save_npy(const std::string& path, const Tensor& tensor);
/// Reads a .npy file. Throws NotFoundError if there is none, and as from_npy() does, naming the file.
Tensor load_npy(const std::string& path);

}  // namespace lockstep
