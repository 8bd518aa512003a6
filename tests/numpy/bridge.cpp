// The C interface that exchange.py calls: each function brings a value into a Tensor and out again.

#include <dlpack/dlpack.h>

#include <cstddef>
#include <span>
#include <string>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/dlpack.h>
#include <lockstep/tensor/npy.h>

extern "C" {

/// The message of the error after which a function returned null.
const char* bridge_error = "";

/// The bytes of a .npy file, read and written again. They stay until the next call.
const char* bridge_npy(const char* bytes, std::size_t nbytes, std::size_t* out_nbytes);
/// A tensor of another library, taken in and exported again. Takes over `managed`.
DLManagedTensor* bridge_dlpack(DLManagedTensor* managed);
}

namespace {

/// Errors end here: C knows none.
template <class F>
auto guarded(F&& f) -> decltype(f()) {
  static std::string message;
  try {
    return f();
  } catch (const lockstep::Error& error) {
    message = error.what();
    bridge_error = message.c_str();
    return nullptr;
  }
}

}  // namespace

const char* bridge_npy(const char* bytes, std::size_t nbytes, std::size_t* out_nbytes) {
  return guarded([&] {
    static std::string written;
    written = lockstep::to_npy(lockstep::from_npy(std::as_bytes(std::span(bytes, nbytes))));
    *out_nbytes = written.size();
    return written.data();
  });
}

DLManagedTensor* bridge_dlpack(DLManagedTensor* managed) {
  return guarded([&] { return lockstep::to_dlpack(lockstep::from_dlpack(lockstep::DLPackHandle(managed))).release(); });
}
