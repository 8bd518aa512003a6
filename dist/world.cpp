#include <lockstep/dist/world.h>

#include <link.h>
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <thread>

#include <lockstep/dist/device_channel.h>
#include <lockstep/dist/mpi/mpi_communicator.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/base/warning.h>

namespace lockstep::dist {
namespace {

const char* environment(const char* name) { return std::getenv(name); }

double number_from(const char* name, double fallback) {
  const char* text = environment(name);
  if (!text || !*text) return fallback;
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  if (*end || !(value > 0)) throw InvalidArgumentError(std::string(name) + " must be a positive number, not '" + text + "'");
  return value;
}

/// The linker's identity of the program: equal only for the same build.
std::string build_id() {
  std::string id;
  dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* data) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          if (header.p_type != PT_NOTE) continue;
          const char* at = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
          for (const char* end = at + header.p_memsz; at + sizeof(ElfW(Nhdr)) <= end;) {
            const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
            const char* name = at + sizeof(*note);
            const char* bytes = name + (note->n_namesz + 3) / 4 * 4;
            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
              char hex[3];
              for (unsigned k = 0; k < note->n_descsz; ++k) {
                std::snprintf(hex, sizeof hex, "%02x", static_cast<unsigned char>(bytes[k]));
                *static_cast<std::string*>(data) += hex;
              }
              return 1;
            }
            at = bytes + (note->n_descsz + 3) / 4 * 4;
          }
        }
        return 1;  // only the program itself, the first object
      },
      &id);
  return id;
}

std::string host_identity() {
  if (const char* given = environment("LOCKSTEP_HOST")) return given;
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

void start_mpi() {
  int begun = 0;
  MPI_Initialized(&begun);
  if (begun) return;
  int provided = 0;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS || provided < MPI_THREAD_SERIALIZED)
    throw UnavailableError("MPI could not be initialized with the thread support that is needed (MPI_THREAD_SERIALIZED)");
}

/// Two ranks on one GPU halve it without a word, and NCCL refuses them.
void require_own_devices(Communicator& communicator, Device device) {
  if (const char* share = environment("LOCKSTEP_SHARE_GPU"); share && std::string(share) == "1") return;
  const Topology& topology = communicator.topology();
  const std::vector<std::string> all = communicator.gather_texts(std::to_string(topology.host) + " " + to_string(device) + " " + device_info(device).pci, "devices");
  for (std::size_t r = 0; r < all.size(); ++r)
    for (std::size_t other = 0; other < r; ++other)
      if (all[r] == all[other])
        throw FailedPreconditionError("ranks " + std::to_string(other) + " and " + std::to_string(r) + " compute on the same GPU, " + to_string(device) + " of host " + std::to_string(topology.host), {},
                                      "LOCKSTEP_DEVICE=cuda gives each rank of a host its own; LOCKSTEP_SHARE_GPU=1 lets them share one, for tests");
}

World*& current() {
  static World* world = nullptr;
  return world;
}

}  // namespace

Launch detect_launch(const char* (*lookup)(const char* name)) {
  if (lookup("OMPI_COMM_WORLD_SIZE")) return Launch::mpi;
  const char* tasks = lookup("SLURM_STEP_NUM_TASKS");
  if (!tasks || !lookup("SLURM_PROCID")) return Launch::alone;
  if (lookup("PMIX_RANK") && lookup("PMIX_NAMESPACE")) return Launch::mpi;
  return std::atoi(tasks) > 1 ? Launch::slurm_without_pmix : Launch::alone;
}

World::World() {
  switch (detect_launch([](const char* name) -> const char* { return std::getenv(name); })) {
    case Launch::alone: communicator_ = single_communicator(); return;
    case Launch::slurm_without_pmix:
      throw UnavailableError("srun started " + std::string(environment("SLURM_STEP_NUM_TASKS")) + " tasks that cannot find one another", {}, "start them with srun --mpi=pmix");
    case Launch::mpi: break;
  }
  start_mpi();
  // A thread of its own for collectives pays where a core is left for it.
  CommunicatorOptions options{.timeout = number_from("LOCKSTEP_TIMEOUT", 300)};
  const char* local_size = environment("OMPI_COMM_WORLD_LOCAL_SIZE");
  const int ranks = std::max(1, local_size ? std::atoi(local_size) : 1), cores = int(std::thread::hardware_concurrency());
  options.thread = ranks * intra_op_threads() < cores;
  if (const char* asked = environment("LOCKSTEP_COMM_THREAD")) options.thread = std::atoi(asked) != 0;
  communicator_ = mpi_communicator(MPI_COMM_WORLD, host_identity(), "world", options);
  if (rank() > 0) set_warning_prefix("rank " + std::to_string(rank()) + ": ");
}

/// Refuses a job of unequal programs before anything is computed.
void World::meet() {
  if (size() == 1) return;
  const Device device = default_device();
  const std::string own = "protocol 1, build " + build_id() + (device.is_cpu() ? ", device cpu" : ", device cuda");
  const std::vector<std::string> all = communicator_->gather_texts(own, "handshake");
  for (std::size_t r = 1; r < all.size(); ++r)
    if (all[r] != all[0]) throw FailedPreconditionError("the ranks run different programs: rank 0 has " + all[0] + ", rank " + std::to_string(r) + " has " + all[r], {}, "install one build on all hosts, and give all ranks the same LOCKSTEP_DEVICE");
  if (!device.is_cpu()) require_own_devices(*communicator_, device);
}

World::~World() = default;

World& World::instance() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (!current()) begin();
    current()->meet();
  });
  return *current();
}

void World::begin() {
  current() = new World;
  // The exit status decides how to part: a rank that failed does not wait for the others, who wait for it in vain.
  on_exit(
      [](int status, void*) {
        World& world = *current();
        if (status == 0) DeviceChannel::close_all();
        if (world.size() == 1 && detect_launch([](const char* name) -> const char* { return std::getenv(name); }) == Launch::alone) return;
        std::fflush(nullptr);
        // mpirun kills the others as soon as one has failed: they shall be able to say what they saw before.
        const bool broken = world.communicator().broken();
        leave(world.communicator(), std::chrono::milliseconds(broken ? 1000 : 0));
        if (broken || status != 0) _exit(broken ? kExitLostPeers : status);
        delete current();
        int over = 0;
        MPI_Finalized(&over);
        if (!over) MPI_Finalize();
      },
      nullptr);
}

int rank() { return World::instance().rank(); }
int world_size() { return World::instance().size(); }
bool is_chief() { return World::instance().is_chief(); }
Communicator& communicator() { return World::instance().communicator(); }

std::ostream& out() {
  static auto* nowhere = new std::ostream(nullptr);
  return is_chief() ? std::cout : *nowhere;
}

}  // namespace lockstep::dist
