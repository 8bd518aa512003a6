// Saves checkpoints while a disk fails for real, on one rank or on all: disk save DIR SMALL, or disk fit FAULT DIR. Prints what happened.
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <string>

#include <lockstep/io/checkpoint_files.h>
#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

/// The call that fails in `folder`; empty: none does.
std::string folder;
std::atomic<const char*> failing = "";
bool fails(const char* call, std::string_view path) { return std::strcmp(failing, call) == 0 && path.starts_with(folder); }
bool fails(const char* call, int descriptor) {
  if (std::strcmp(failing, call) != 0) return false;
  char path[4096];
  const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(descriptor)).c_str(), path, sizeof path);
  return length > 0 && fails(call, std::string_view(path, std::size_t(length)));
}
long failed() { return errno = EIO, -1; }

}  // namespace

// The program's own come before the C library's, as with LD_PRELOAD. (libfiu, which offers that, also puts itself before malloc, and now and then waits for itself there.)
extern "C" int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const int mode = va_arg(rest, int);  // whatever it is, if there is none
  va_end(rest);
  return int(fails("open", path) ? failed() : ::syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
extern "C" ssize_t write(int descriptor, const void* bytes, std::size_t count) { return fails("write", descriptor) ? failed() : ::syscall(SYS_write, descriptor, bytes, count); }
extern "C" int fsync(int descriptor) { return int(fails("fsync", descriptor) ? failed() : ::syscall(SYS_fsync, descriptor)); }

namespace {

/// While it lives, a system call on files in `directory` fails with EIO, or, for "full", there is no room on their file system (rank 0 fills it up).
class Fault {
 public:
  Fault(std::string what, const std::string& directory) : what_(std::move(what)), ballast_(directory + "/ballast") {
    if (what_ != "full") {
      folder = directory;
      failing = what_.c_str();
    } else if (dist::is_chief()) {
      const std::string block(1 << 16, 'x');
      const int file = ::open(ballast_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
      while (::write(file, block.data(), block.size()) > 0) continue;
      ::close(file);
    }
  }
  Fault(const Fault&) = delete;
  ~Fault() {
    failing = "";
    if (what_ == "full" && dist::is_chief()) std::filesystem::remove(ballast_);
  }

 private:
  std::string what_, ballast_;
};

struct Job {
  Job() { model.compile({.optimizer = optim::Adam({.learning_rate = 0.01}), .loss = "mse"}); }
  nn::History train(std::int64_t epochs, std::vector<nn::CallbackRef> callbacks = {}) { return model.fit(x, y, {.batch_size = 8, .epochs = epochs, .verbose = 0, .callbacks = std::move(callbacks), .shuffle = false}); }

  nn::Sequential model{{nn::InputLayer({6}), nn::Dense(300, "relu"), nn::Dense(1000), nn::Dense(1)}};
  Tensor x = random::normal_from(constant(std::vector<std::int64_t>{1, 1}), {8, 6}), y = random::normal_from(constant(std::vector<std::int64_t>{1, 2}), {8, 1});
};

std::ptrdiff_t descriptors() { return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), std::filesystem::directory_iterator()); }

/// Saves again and again; at `step` of the protocol something fails on one rank.
void save(const std::string& directory, const std::string& small) {
  struct Case {
    int rank;
    std::string step, fault;
  };
  const int own = dist::rank(), last = dist::world_size() - 1;
  Job job;
  job.train(1);
  const std::string good = io::save_checkpoint(job.model, directory), hash = io::checkpoint_hash(good);
  const std::ptrdiff_t open = descriptors();
  job.train(1);
  for (const Case& each : {Case{last, "shard", "full"}, Case{last, "shard", "open"}, Case{last, "shard", "write"}, Case{last, "shard", "fsync"}, Case{0, "shard", "write"},
                           Case{0, "manifest", "write"}, Case{0, "sync", "fsync"}, Case{0, "renamed", "fsync"}}) {
    std::optional<Fault> fault;
    std::string text = "saved";
    try {
      io::write_generation(io::take_snapshot(job.model), directory, dist::communicator(), [&](const std::string& here) {
        if (here != each.step || own != each.rank) {
          fault.reset();
          return;
        }
        // One shard on a file system of its own, which is too small for it.
        if (each.fault == "full") std::filesystem::create_symlink(small + "/shard", directory + "/step-00000002.tmp/shard-0000" + std::to_string(own) + "-of-0000" + std::to_string(dist::world_size()) + ".h5");
        else fault.emplace(each.fault, directory);
      });
    } catch (const ResourceExhaustedError& error) {
      text = error.what();
    }
    fault.reset();
    dist::communicator().barrier();
    std::string left;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) left += " " + entry.path().filename().string();
    const bool same = io::checkpoint_hash(good) == hash;
    std::ostringstream line;
    line << "rank " << own << ", " << each.step << " of rank " << each.rank << ", " << each.fault << ": " << text << " | there are" << left << (same ? "" : " DAMAGED") << (descriptors() == open ? "" : " DESCRIPTORS LOST") << "\n";
    std::cout << line.str() << std::flush;
    dist::communicator().barrier();
    std::error_code ignored;
    if (dist::is_chief()) std::filesystem::remove_all(directory + "/step-00000002", ignored);
    dist::communicator().barrier();
  }
  io::verify_checkpoint(io::save_checkpoint(job.model, directory));
  io::load_checkpoint(job.model, directory);
  dist::out() << "then saved step " << job.model.position().step << std::endl;
}

/// Trains on while nothing can be saved from step 3 to step 7.
void fit(const std::string& what, const std::string& directory) {
  Job job;
  const auto checkpoint = std::make_shared<io::ModelCheckpoint>(io::ModelCheckpointOptions{.directory = directory, .every_steps = 2, .every_epochs = 0, .keep = 9});
  std::optional<Fault> fault;
  const bool here = what == "full" || what == "none" || dist::rank() == dist::world_size() - 1;
  const nn::History history = job.train(12, {checkpoint, nn::LambdaCallback({.on_train_batch_begin = [&](std::int64_t) {
                                               const std::int64_t done = job.model.position().step;
                                               if (done != 3 && done != 7) return;
                                               checkpoint->finish();
                                               dist::communicator().barrier();
                                               if (done == 3 && here && what != "none") fault.emplace(what, directory);
                                               else fault.reset();
                                               dist::communicator().barrier();
                                             }})});
  dist::out() << "loss " << history.history.at("loss").back() << " after " << history.epoch.size() << " epochs, last " << checkpoint->last() << std::endl;
  if (dist::is_chief())
    for (const std::string& generation : io::checkpoint_generations(directory)) {
      io::verify_checkpoint(directory + "/" + generation);
      std::cout << "whole: " << generation << std::endl;
    }
}

}  // namespace

int main(int, char** argv) try {
  if (std::string(argv[1]) == "save") save(argv[2], argv[3]);
  else fit(argv[2], argv[3]);
  return 0;
} catch (const std::exception& error) {
  std::cerr << error.what() << std::endl;
  return 1;
}
