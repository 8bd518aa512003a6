#pragma once
// A directory of a test's own, where all ranks are on one machine.

#include <stdlib.h>

#include <filesystem>
#include <string>

#include <lockstep/dist/world.h>

/// A directory that all ranks share, empty at first.
class SharedDirectory {
 public:
  SharedDirectory() {
    std::string made;
    if (lockstep::dist::is_chief()) {
      std::string pattern = std::filesystem::temp_directory_path() / "lockstep_checkpoint_XXXXXX";
      made = mkdtemp(pattern.data());
    }
    path_ = lockstep::dist::communicator().broadcast_text(made, 0, "test directory");
  }
  ~SharedDirectory() {
    lockstep::dist::communicator().barrier("test directory");
    std::error_code ignored;
    if (lockstep::dist::is_chief()) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
