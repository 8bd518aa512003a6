#pragma once
// What the steps of a Dataset can be told, and what its buffers hold.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// As many threads as there are cores, or as deep a buffer as turns out to be needed (tf.data.AUTOTUNE).
inline constexpr int kAutotune = -1;

struct ShuffleOptions {
  std::optional<std::int64_t> seed = {};  // none: drawn from the global generator when the dataset is described
  bool reshuffle_each_iteration = true;   // false: every pass in the order of the first
  std::int64_t most_bytes = 0;            // the buffer grows no further than this, even if it has fewer elements; 0: no limit
};
struct MapOptions {
  int threads = 0;  // in the background; 0: in the thread that asks for the element; kAutotune: one for each core
};
struct PrefetchOptions {
  std::int64_t most_bytes = std::int64_t(256) << 20;  // so much waits at most (one element may be larger)
};
struct InterleaveOptions {
  std::int64_t cycle_length = 2;  // datasets that are open at once
  std::int64_t block_length = 1;  // elements that one of them gives in a row
  int threads = 0;                // read them in the background, up to so many at once; the order is the same. kAutotune: one for each core
};
struct WindowOptions {
  std::int64_t shift = 0;   // from the beginning of one window to that of the next; 0: its size
  std::int64_t stride = 1;  // from one element of a window to the next
  bool drop_remainder = false;
};
struct PaddedBatchOptions {
  /// Shape of each of an element's tensors in the batch; -1: as long as the longest there. None: every axis so.
  std::vector<std::vector<std::int64_t>> padded_shapes = {};
  /// Scalars to fill up with, one for each tensor, or one for all. None: zeros and empty strings.
  std::vector<Tensor> padding_values = {};
  bool drop_remainder = false;
};
struct BucketOptions {
  std::vector<std::int64_t> boundaries = {};   // ascending; bucket i takes lengths below boundary i, the last one the rest
  std::vector<std::int64_t> batch_sizes = {};  // one more than boundaries
  std::vector<std::vector<std::int64_t>> padded_shapes = {};
  std::vector<Tensor> padding_values = {};
  bool pad_to_bucket_boundary = false;  // to the boundary less one; throws for elements of the last bucket, which has none
  bool drop_remainder = false;
};
struct SampleOptions {
  std::vector<double> weights = {};       // none: all alike
  std::optional<std::int64_t> seed = {};  // none: drawn from the global generator
  bool stop_on_empty_dataset = false;     // end with the first one that is drawn and has no element left; else go on with the others
};
struct ResampleOptions {
  std::vector<double> initial = {};       // shares of the classes as they come; none: counted on the way
  std::optional<std::int64_t> seed = {};
};
struct SnapshotOptions {
  bool compressed = false;  // gzip
};

/// What a step holds at the moment, and what it may hold.
struct BufferUse {
  std::string step;  // "shuffle", "prefetch", "map", ...
  std::int64_t elements = 0;
  std::int64_t bytes = 0;
  std::int64_t peak_bytes = 0;     // the most since the dataset was described
  std::int64_t most_elements = 0;  // the limits; 0: none
  std::int64_t most_bytes = 0;
};

namespace detail {
/// Counts what all streams of one step hold; thread-safe.
class BufferGauge {
 public:
  BufferGauge(std::string step, std::int64_t most_elements, std::int64_t most_bytes) : step_(std::move(step)), most_elements_(most_elements), most_bytes_(most_bytes) {}
  void add(std::int64_t elements, std::int64_t bytes);
  BufferUse use() const;

 private:
  std::string step_;
  std::int64_t most_elements_, most_bytes_;
  std::atomic<std::int64_t> elements_{0}, bytes_{0}, peak_{0};
};
using GaugePtr = std::shared_ptr<BufferGauge>;
}  // namespace detail

/// Elements that were left out because reading or computing them failed.
class SkipCount {
 public:
  std::int64_t value() const { return count_.load(std::memory_order_relaxed); }
  /// The message of the last one; empty: none.
  std::string last() const;
  void add(const std::string& message);

 private:
  std::atomic<std::int64_t> count_{0};
  mutable std::mutex mutex_;
  std::string last_;
};

}  // namespace lockstep::io
