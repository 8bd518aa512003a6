#include <lockstep/io/checksum.h>

#include <xxhash.h>

#include <cstdio>

namespace lockstep::io {

void Checksum::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Checksum::Checksum() : state_(XXH3_createState()) { XXH3_128bits_reset(state_.get()); }
void Checksum::add(const void* bytes, std::size_t count) { XXH3_128bits_update(state_.get(), bytes, count); }
std::string Checksum::text() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64), static_cast<unsigned long long>(hash.low64));
  return text;
}

}  // namespace lockstep::io
