#pragma once
// MPI's error codes become errors where they occur, and MPI is called by one thread at a time.

#include <mpi.h>

#include <mutex>
#include <source_location>
#include <utility>

namespace lockstep::dist {

/// Throws UnavailableError with MPI's own words unless `code` is MPI_SUCCESS.
void check_mpi(int code, std::source_location where = std::source_location::current());

/// Held around every call of MPI (MPI_THREAD_SERIALIZED).
std::mutex& mpi_mutex();

/// An MPI communicator that is freed with its owner, unless MPI is over by then.
class MpiComm {
 public:
  MpiComm() = default;
  explicit MpiComm(MPI_Comm comm) : comm_(comm) {}
  MpiComm(MpiComm&& other) noexcept : comm_(std::exchange(other.comm_, MPI_COMM_NULL)) {}
  MpiComm& operator=(MpiComm&& other) noexcept {
    std::swap(comm_, other.comm_);
    return *this;
  }
  ~MpiComm();
  MPI_Comm get() const { return comm_; }

 private:
  MPI_Comm comm_ = MPI_COMM_NULL;
};

}  // namespace lockstep::dist
