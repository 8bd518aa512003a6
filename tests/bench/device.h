#pragma once
// What measurements on a GPU have in common: work there is enqueued, so several calls are timed together, up to the end of the last.

#include <functional>
#include <optional>
#include <string>

#include <lockstep/tensor/device.h>
#include <lockstep/tensor/dtype.h>

namespace lockstep::bench {

/// Is it the emulated device of the tests, on which sizes have to be small?
bool is_emulated(Device device);

/// Seconds of one call, of `calls` that are enqueued one behind the other and waited for at the end.
double seconds_of_calls(Device device, int calls, const std::function<void()>& call);
/// So many calls that they take about `seconds` (at most 1000).
int calls_within(Device device, double seconds, const std::function<void()>& call);

/// GB/s read and written by a copy of memory that no cache holds.
double copy_bandwidth(Device device);
/// GFLOP/s of the fastest of cuBLASLt's products of two large matrices; none where cuBLASLt does not multiply.
std::optional<double> product_gflops(Device device, DType dtype);
/// GFLOP/s by the maker's data sheet, dense and at the boost clock, of the units that Lockstep's products of this dtype run on (with LOCKSTEP_TF32=1 those of float32
/// in TF32); 0 for a GPU that is not in the table.
double nominal_gflops(const std::string& gpu, DType dtype);

}  // namespace lockstep::bench
