#include <lockstep/tensor/base/warning.h>

#include <cstdio>
#include <utility>

namespace lockstep {
namespace {

std::string& warning_prefix() {
  static auto* prefix = new std::string;
  return *prefix;
}

}  // namespace

void set_warning_prefix(std::string prefix) { warning_prefix() = std::move(prefix); }

void warn(std::string_view where, std::string_view message) {
  std::fprintf(stderr, "%slockstep: warning: [%.*s] %.*s\n", warning_prefix().c_str(), int(where.size()), where.data(), int(message.size()), message.data());
}

}  // namespace lockstep
