#pragma once
// The communicator of an MPI job: shared memory inside a host, MPI messages between hosts, sums in one fixed order everywhere.

#include <chrono>

#include <lockstep/dist/communicator.h>
#include <lockstep/dist/mpi/check.h>

namespace lockstep::dist {

/// The ranks of `comm`, which is duplicated. Two ranks with the same `host` share memory. All ranks call it.
std::unique_ptr<Communicator> mpi_communicator(MPI_Comm comm, const std::string& host, std::string name, CommunicatorOptions options);

/// Tells the ranks of this host that this one will call nothing any more; then waits until they have left too, at most so long.
void leave(Communicator& communicator, std::chrono::milliseconds longest);

}  // namespace lockstep::dist
