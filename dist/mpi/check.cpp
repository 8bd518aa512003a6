#include <lockstep/dist/mpi/check.h>

#include <string>

#include <lockstep/tensor/base/error.h>

namespace lockstep::dist {

void check_mpi(int code, const char* where) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw UnavailableError("MPI failed: " + std::string(text, std::size_t(length)) + " (in " + where + ")");
}

std::mutex& mpi_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

MpiComm::~MpiComm() {
  if (comm_ == MPI_COMM_NULL) return;
  const std::lock_guard lock(mpi_mutex());
  int over = 0;
  MPI_Finalized(&over);
  if (!over) MPI_Comm_free(&comm_);
}

}  // namespace lockstep::dist
