#pragma once
// HDF5 files as nobody's writer leaves them, but whole: HDF5 itself makes the changes. (Bytes at random only show where HDF5 1.10 itself falls over them; checkpoints are
// verified before it sees them.)

#include <fuzzer/FuzzedDataProvider.h>

#include <string>

namespace lockstep::fuzz {

/// The file `image` with what `bytes` say deleted, replaced and added: groups, datasets of any type, shape and layout, links, attributes.
std::string with_changes(const std::string& image, FuzzedDataProvider& bytes);

}  // namespace lockstep::fuzz
