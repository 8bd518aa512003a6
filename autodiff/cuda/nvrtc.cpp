#ifndef LOCKSTEP_CUDA_EMULATED

#include <lockstep/autodiff/cuda/nvrtc.h>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <nvrtc.h>

#include <lockstep/tensor/base/error.h>

namespace lockstep::autodiff::cuda {
namespace {

void check(nvrtcResult result, const char* what) {
  if (result != NVRTC_SUCCESS) throw InternalError(std::string(what) + " failed with " + nvrtcGetErrorString(result), "fused");
}

struct Program {
  nvrtcProgram handle = nullptr;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  explicit Program(const std::string& source) { check(nvrtcCreateProgram(&handle, source.c_str(), "fused.cu", 0, nullptr, nullptr), "nvrtcCreateProgram"); }
  ~Program() { nvrtcDestroyProgram(&handle); }
  std::string log() const {
    std::size_t size = 0;
    if (nvrtcGetProgramLogSize(handle, &size) != NVRTC_SUCCESS) return {};
    std::string text(size, '\0');
    nvrtcGetProgramLog(handle, text.data());
    return text;
  }
};

/// FNV-1a in two lanes of 64 bits.
std::string fingerprint(std::string_view text) {
  std::uint64_t a = 14695981039346656037u, b = 1099511628211u;
  for (const char c : text) {
    a = (a ^ std::uint8_t(c)) * 1099511628211u;
    b = (b + std::uint8_t(c)) * 6364136223846793005u ^ (b >> 29);
  }
  std::array<char, 33> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx%016llx", static_cast<unsigned long long>(a), static_cast<unsigned long long>(b));
  return digits.data();
}

std::filesystem::path cache_folder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return std::filesystem::path(cache) / "lockstep";
  const char* home = std::getenv("HOME");
  return home && *home ? std::filesystem::path(home) / ".cache" / "lockstep" : std::filesystem::path();
}

/// The code in the file, if its last line is the hash of what stands before it: a file that was cut short is not believed.
std::string read_code(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string content{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  constexpr std::size_t kHash = 32;
  if (content.size() <= kHash) return {};
  const std::string hash = content.substr(content.size() - kHash);
  content.resize(content.size() - kHash);
  return fingerprint(content) == hash ? content : std::string();
}
/// Appears whole or not at all, whoever else writes it.
void write_code(const std::filesystem::path& path, const std::string& code) {
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  const std::filesystem::path draft = path.string() + "." + std::to_string(getpid()) + ".tmp";
  {
    std::ofstream file(draft, std::ios::binary);
    file << code << fingerprint(code);
    if (!file.flush()) return;
  }
  std::filesystem::rename(draft, path, ignored);
  if (ignored) std::filesystem::remove(draft, ignored);
}

}  // namespace

std::string compile(const std::string& source, int architecture) {
  const Program program(source);
  const std::string target = "--gpu-architecture=sm_" + std::to_string(architecture);
  // Products and sums of different ops are rounded one by one, as when each op is a kernel of its own.
  const char* options[] = {target.c_str(), "--std=c++17", "--fmad=false", "-default-device"};
  if (const nvrtcResult result = nvrtcCompileProgram(program.handle, int(std::size(options)), options); result != NVRTC_SUCCESS)
    throw InternalError("NVRTC does not compile a fused kernel for sm_" + std::to_string(architecture) + " (" + nvrtcGetErrorString(result) + "): " + program.log(), "fused");
  std::size_t size = 0;
  check(nvrtcGetCUBINSize(program.handle, &size), "nvrtcGetCUBINSize");
  std::string code(size, '\0');
  check(nvrtcGetCUBIN(program.handle, code.data()), "nvrtcGetCUBIN");
  return code;
}

std::string compiled(const std::string& source, int architecture) {
  int major = 0, minor = 0;
  check(nvrtcVersion(&major, &minor), "nvrtcVersion");
  const std::filesystem::path folder = cache_folder();
  if (folder.empty()) return compile(source, architecture);
  const std::string key = fingerprint(source + "\nsm_" + std::to_string(architecture) + " nvrtc " + std::to_string(major) + "." + std::to_string(minor));
  const std::filesystem::path path = folder / (key + ".cubin");
  if (std::string code = read_code(path); !code.empty()) return code;
  std::string code = compile(source, architecture);
  write_code(path, code);
  return code;
}

}  // namespace lockstep::autodiff::cuda

#endif
