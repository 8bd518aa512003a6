#include "wire.h"

#include <cstdlib>
#include <utility>

namespace lockstep::launch {
namespace {

constexpr char kEscape = '\\', kEnd = '.', kTag = '[';
constexpr std::string_view kDigits = "0123456789abcdef";

bool plain(char byte) { return static_cast<unsigned char>(byte) >= 0x20 && byte != 0x7f && byte != kEscape && byte != kTag; }

}  // namespace

std::string encode(RecordKind kind, std::string_view payload) {
  std::string text(1, char(kind));
  for (const char byte : payload) {
    if (plain(byte)) {
      text += byte;
    } else {
      const auto value = static_cast<unsigned char>(byte);
      text.append({kEscape, kDigits[value >> 4], kDigits[value & 15]});
    }
  }
  return text.append({kEscape, kEnd});
}

void Decoder::add(std::string_view bytes) {
  for (const char byte : bytes) {
    if (byte == kTag) {
      in_tag_ = true;
      tag_.clear();
    } else if (in_tag_) {
      // "1,RANK]<stdout>:"
      if (byte == ':') {
        rank_ = std::atoi(tag_.substr(tag_.find(',') + 1).c_str());
        in_tag_ = false;
      } else {
        tag_ += byte;
      }
    } else if (byte != '\n' && rank_ >= 0) {
      take(partial_[rank_], rank_, byte);
    }
  }
}

void Decoder::take(Partial& partial, int rank, char byte) {
  if (partial.high >= 0) {
    partial.text += char(partial.high * 16 + int(kDigits.find(byte)));
    partial.high = -1;
    partial.escaped = false;
  } else if (!partial.escaped) {
    if (byte == kEscape) partial.escaped = true;
    else partial.text += byte;
  } else if (byte == kEnd) {
    const std::string record = std::exchange(partial, {}).text;
    if (!record.empty()) receive_(rank, RecordKind(record[0]), std::string_view(record).substr(1));
  } else {
    partial.high = int(kDigits.find(byte));
  }
}

}  // namespace lockstep::launch
