#pragma once
// World: the job that this process is a rank of. It is found out once, from the environment: started by mpirun, or by srun with PMIx, the
// process is one of many; otherwise it is alone, and MPI is not even initialized.

#include <iosfwd>
#include <memory>
#include <string>

#include <lockstep/dist/communicator.h>

namespace lockstep::dist {

class World {
 public:
  /// Finds out, and meets the other ranks, on the first call; later calls return the same. Thread-safe.
  /// Throws UnavailableError in a Slurm step of several tasks without PMIx (each of them would train alone), and FailedPreconditionError
  /// when the ranks run different builds.
  static World& instance();

  int rank() const { return communicator_->rank(); }
  int size() const { return communicator_->size(); }
  /// Rank 0: the one that prints and writes.
  bool is_chief() const { return rank() == 0; }
  const Topology& topology() const { return communicator_->topology(); }
  Communicator& communicator() { return *communicator_; }

  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

 private:
  World();
  static void begin();
  void meet();
  std::unique_ptr<Communicator> communicator_;
};

/// World::instance()'s.
int rank();
int world_size();
bool is_chief();
Communicator& communicator();
/// std::cout on rank 0, and a stream that forgets what it is told on the others.
std::ostream& out();

/// How a process was started, from its environment.
enum class Launch { alone, mpi, slurm_without_pmix };
/// `lookup` gives an environment variable's value, or null.
Launch detect_launch(const char* (*lookup)(const char* name));

/// What a process ends with when it lost its peers, or gave up waiting for them: a supervisor may start the job again.
inline constexpr int kExitLostPeers = 75;

}  // namespace lockstep::dist
