#pragma once
// The parts of an index expression: integers, slices, `all`, `ellipsis` and `newaxis`, as NumPy has them.

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lockstep {

/// One entry of an index expression.
class Index {
 public:
  enum class Kind : std::uint8_t { integer, slice, ellipsis, newaxis };

  template <std::integral I>
  Index(I at) : kind(Kind::integer), start(std::int64_t(at)) {}
  Index(Kind kind_, std::optional<std::int64_t> start_, std::optional<std::int64_t> stop_, std::optional<std::int64_t> step_)
      : kind(kind_), start(start_), stop(stop_), step(step_) {}

  Kind kind;
  std::optional<std::int64_t> start;
  std::optional<std::int64_t> stop;
  std::optional<std::int64_t> step;
  friend bool operator==(const Index&, const Index&) = default;
};
using IndexList = std::vector<Index>;

/// `slice(1)` is `1:`, `slice(1, 3)` is `1:3`, `slice({}, {}, -1)` is `::-1`.
inline Index slice(std::optional<std::int64_t> start, std::optional<std::int64_t> stop = {}, std::optional<std::int64_t> step = {}) {
  return {Index::Kind::slice, start, stop, step};
}
/// `:`
inline const Index all{Index::Kind::slice, {}, {}, {}};
/// `...`
inline const Index ellipsis{Index::Kind::ellipsis, {}, {}, {}};
/// A new axis of size 1.
inline const Index newaxis{Index::Kind::newaxis, {}, {}, {}};

/// "[1:, ..., newaxis]"
std::string to_string(const IndexList& spec);

}  // namespace lockstep
