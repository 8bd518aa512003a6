#pragma once
// String tensors: bytes, characters of UTF-8, regular expressions, numbers, hashes (tf.strings). Each function takes a tensor of any shape, element by element, and
// throws TypeError for other dtypes than string. They run on the CPU, large tensors on several threads.

#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ragged.h>

namespace lockstep::strings {

/// int32: bytes, or characters of UTF-8 (unit "UTF8_CHAR").
Tensor length(const Tensor& x, const std::string& unit = "BYTE");
/// Of ASCII; of all of Unicode with encoding "utf-8", where ill-formed bytes become U+FFFD.
Tensor upper(const Tensor& x, const std::string& encoding = "");
Tensor lower(const Tensor& x, const std::string& encoding = "");
/// Without white space at either end.
Tensor strip(const Tensor& x);
/// Joined element by element; scalars go with every element.
Tensor join(std::span<const Tensor> inputs, const std::string& separator = "");
/// Elements joined along axes, one axis after the other as they are given; none: all, the last first.
Tensor reduce_join(const Tensor& x, const Axes& axis = {}, bool keepdims = false, const std::string& separator = "");
/// `len` bytes (characters) from `pos` on, fewer at the end; a negative position counts from the end. Throws InvalidArgumentError for one outside of a string.
Tensor substr(const Tensor& x, std::int64_t pos, std::int64_t len, const std::string& unit = "BYTE");
/// Positions and lengths of one shape, int32 or int64, that broadcast against the strings.
Tensor substr(const Tensor& x, const Tensor& pos, const Tensor& len, const std::string& unit = "BYTE");

/// The parts of every element, as rows; of a scalar a tensor. An empty separator cuts at runs of white space. After maxsplit cuts the rest is the last part.
RaggedTensor split(const Tensor& x, const std::string& sep = "", std::int64_t maxsplit = -1);
RaggedTensor bytes_split(const Tensor& x);
/// Of the words of every row (last axis) those that follow each other, joined; `width` at a time.
RaggedTensor ngrams(const RaggedTensor& words, std::int64_t width, const std::string& separator = " ");

/// Matches of the pattern (RE2) replaced; "\\1" in the rewrite is the first group. Throws InvalidArgumentError for a pattern or a rewrite that is none.
Tensor regex_replace(const Tensor& x, const std::string& pattern, const std::string& rewrite, bool replace_global = true);
/// bool: does the whole element match?
Tensor regex_full_match(const Tensor& x, const std::string& pattern);

/// int32, int64, uint32, uint64, float32 or float64. Throws InvalidArgumentError for what is no number, or none of the dtype.
Tensor to_number(const Tensor& x, DType out_type = float32);
struct AsStringOptions {
  std::int64_t precision = -1;
  bool scientific = false;
  bool shortest = false;
  std::int64_t width = -1;
  std::string fill = "";
};
/// Numbers of any dtype as text, as printf writes them.
Tensor as_string(const Tensor& x, const AsStringOptions& options = {});

/// int64 in [0, num_buckets), with TensorFlow's bits. `strong`: with a key of two numbers, so that nobody who does not know it can make strings collide.
Tensor to_hash_bucket_fast(const Tensor& x, std::int64_t num_buckets);
Tensor to_hash_bucket_strong(const Tensor& x, std::int64_t num_buckets, const Ints& key);
Tensor to_hash_bucket(const Tensor& x, std::int64_t num_buckets);

/// How ill-formed text is taken: "replace" (by replacement_char), "ignore" or "strict" (InvalidArgumentError). Encodings are UTF-8, UTF-16-BE, UTF-32-BE; to read also
/// US-ASCII and ISO-8859-1.
struct UnicodeOptions {
  std::string input_encoding = "UTF-8";
  std::string output_encoding = "UTF-8";
  std::string errors = "replace";
  std::int32_t replacement_char = 0xFFFD;
  bool replace_control_characters = false;
};
/// int32 code points of every element, as rows; of a scalar a tensor.
RaggedTensor unicode_decode(const Tensor& x, const UnicodeOptions& options = {});
/// Also int64: the byte at which each begins.
std::pair<RaggedTensor, RaggedTensor> unicode_decode_with_offsets(const Tensor& x, const UnicodeOptions& options = {});
/// The characters of every element, each a string.
RaggedTensor unicode_split(const Tensor& x, const UnicodeOptions& options = {});
std::pair<RaggedTensor, RaggedTensor> unicode_split_with_offsets(const Tensor& x, const UnicodeOptions& options = {});
/// Strings of the code points (int32) of the last axis, ragged or not.
Tensor unicode_encode(const RaggedTensor& code_points, const UnicodeOptions& options = {});
Tensor unicode_transcode(const Tensor& x, const UnicodeOptions& options = {});

}  // namespace lockstep::strings
