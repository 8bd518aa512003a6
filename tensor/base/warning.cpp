#include <lockstep/tensor/base/warning.h>

#include <cstdio>

namespace lockstep {

void warn(std::string_view where, std::string_view message) {
  std::fprintf(stderr, "lockstep: warning: [%.*s] %.*s\n", int(where.size()), where.data(), int(message.size()), message.data());
}

}  // namespace lockstep
