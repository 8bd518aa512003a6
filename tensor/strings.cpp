// The rows on strings as functions. Parts come as values and row splits, and are given the shape of what they are parts of.

#include <lockstep/tensor/strings.h>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ragged_parts.h>

namespace lockstep::strings {
namespace {

/// A row of parts for each element of `like`: none, one or more uniform axes outside.
RaggedTensor as_rows(const Tensor& values, const Tensor& splits, const Tensor& like) {
  if (like.ndim() == 0) return values;
  RaggedTensor rows = RaggedTensor::from_row_splits(values, splits);
  for (int axis = like.ndim() - 1; axis > 0; --axis) {
    std::int64_t count = 1;
    for (int k = 0; k < axis; ++k) count *= like.shape()[k];
    rows = RaggedTensor::from_row_splits(rows, range(0, count + 1, 1, int64) * like.shape()[axis]);
  }
  return rows;
}

Tensor bucket(const OpDef& op, const Tensor& x, std::int64_t num_buckets) { return apply(op, {x}, {{"num_buckets", num_buckets}}); }

AttrList reading(const UnicodeOptions& options) {
  return {{"input_encoding", options.input_encoding}, {"replace_control_characters", options.replace_control_characters}, {"errors", options.errors}, {"replacement_char", std::int64_t(options.replacement_char)}};
}

std::pair<RaggedTensor, RaggedTensor> characters(const OpDef& op, const Tensor& x, const UnicodeOptions& options) {
  const Tensors parts = apply_all(op, {x}, reading(options));
  return {as_rows(parts[0], parts[1], x), as_rows(parts[2], parts[1], x)};
}

}  // namespace

Tensor length(const Tensor& x, const std::string& unit) {
  static const OpDef& op = find_op("string_length");
  return apply(op, {x}, {{"unit", unit}});
}

Tensor upper(const Tensor& x, const std::string& encoding) {
  static const OpDef& op = find_op("string_upper");
  return apply(op, {x}, {{"encoding", encoding}});
}

Tensor lower(const Tensor& x, const std::string& encoding) {
  static const OpDef& op = find_op("string_lower");
  return apply(op, {x}, {{"encoding", encoding}});
}

Tensor strip(const Tensor& x) {
  static const OpDef& op = find_op("string_strip");
  return apply(op, {x});
}

Tensor join(std::span<const Tensor> inputs, const std::string& separator) {
  static const OpDef& op = find_op("string_join");
  return apply(op, inputs, {{"separator", separator}});
}

Tensor reduce_join(const Tensor& x, const Axes& axis, bool keepdims, const std::string& separator) {
  static const OpDef& op = find_op("reduce_join");
  return apply(op, {x}, {{"axis", axis.value}, {"keepdims", keepdims}, {"separator", separator}});
}

Tensor substr(const Tensor& x, std::int64_t pos, std::int64_t len, const std::string& unit) { return substr(x, scalar(pos, int64), scalar(len, int64), unit); }

Tensor substr(const Tensor& x, const Tensor& pos, const Tensor& len, const std::string& unit) {
  static const OpDef& op = find_op("substr");
  return apply(op, {x, pos, len}, {{"unit", unit}});
}

RaggedTensor split(const Tensor& x, const std::string& sep, std::int64_t maxsplit) {
  static const OpDef& op = find_op("string_split");
  const Tensors parts = apply_all(op, {x}, {{"sep", sep}, {"maxsplit", maxsplit}});
  return as_rows(parts[0], parts[1], x);
}

RaggedTensor bytes_split(const Tensor& x) {
  static const OpDef& op = find_op("string_bytes_split");
  const Tensors parts = apply_all(op, {x});
  return as_rows(parts[0], parts[1], x);
}

/// Each row without its last words, joined with the row without its first, ...
RaggedTensor ngrams(const RaggedTensor& words, std::int64_t width, const std::string& separator) {
  if (width < 1) throw InvalidArgumentError("the width must be at least 1, got " + std::to_string(width), "strings::ngrams");
  if (words.ndim() < 1) throw InvalidArgumentError("words need at least one axis", "strings::ngrams");
  if (words.ndim() == 1) return ngrams(ragged::expand_dims(words, 0), width, separator)[0];
  if (words.ragged_rank() + 1 < words.ndim()) return ngrams(ragged_parts::with_ragged_rank(words, words.ndim() - 1), width, separator);
  if (words.ragged_rank() > 1) return words.with_values(ngrams(words.values(), width, separator));
  std::vector<Tensor> shifted;
  RaggedTensor rows;
  for (std::int64_t i = 0; i < width; ++i) {  // rows shorter than the width give none: both bounds are cut there
    rows = words[{all, slice(i)}];
    const std::int64_t rest = width - 1 - i;
    if (rest) rows = rows[{all, slice({}, -rest)}];
    shifted.push_back(rows.flat_values());
  }
  return rows.with_flat_values(join(shifted, separator));
}

Tensor regex_replace(const Tensor& x, const std::string& pattern, const std::string& rewrite, bool replace_global) {
  static const OpDef& op = find_op("regex_replace");
  return apply(op, {x}, {{"pattern", pattern}, {"rewrite", rewrite}, {"replace_global", replace_global}});
}

Tensor regex_full_match(const Tensor& x, const std::string& pattern) {
  static const OpDef& op = find_op("regex_full_match");
  return apply(op, {x}, {{"pattern", pattern}});
}

Tensor to_number(const Tensor& x, DType out_type) {
  static const OpDef& op = find_op("string_to_number");
  return apply(op, {x}, {{"out_type", out_type}});
}

Tensor as_string(const Tensor& x, const AsStringOptions& options) {
  static const OpDef& op = find_op("as_string");
  return apply(op, {x}, {{"precision", options.precision}, {"scientific", options.scientific}, {"shortest", options.shortest}, {"width", options.width}, {"fill", options.fill}});
}

Tensor to_hash_bucket_fast(const Tensor& x, std::int64_t num_buckets) {
  static const OpDef& op = find_op("string_to_hash_bucket_fast");
  return bucket(op, x, num_buckets);
}

Tensor to_hash_bucket_strong(const Tensor& x, std::int64_t num_buckets, const Ints& key) {
  static const OpDef& op = find_op("string_to_hash_bucket_strong");
  return apply(op, {x}, {{"num_buckets", num_buckets}, {"key", key}});
}

Tensor to_hash_bucket(const Tensor& x, std::int64_t num_buckets) {
  static const OpDef& op = find_op("string_to_hash_bucket");
  return bucket(op, x, num_buckets);
}

std::pair<RaggedTensor, RaggedTensor> unicode_decode_with_offsets(const Tensor& x, const UnicodeOptions& options) {
  static const OpDef& op = find_op("unicode_decode");
  return characters(op, x, options);
}

RaggedTensor unicode_decode(const Tensor& x, const UnicodeOptions& options) { return unicode_decode_with_offsets(x, options).first; }

std::pair<RaggedTensor, RaggedTensor> unicode_split_with_offsets(const Tensor& x, const UnicodeOptions& options) {
  static const OpDef& op = find_op("unicode_split");
  return characters(op, x, options);
}

RaggedTensor unicode_split(const Tensor& x, const UnicodeOptions& options) { return unicode_split_with_offsets(x, options).first; }

Tensor unicode_encode(const RaggedTensor& code_points, const UnicodeOptions& options) {
  if (code_points.ndim() < 1) throw InvalidArgumentError("code points need at least one axis", "strings::unicode_encode");
  if (code_points.ndim() == 1) return reshape(unicode_encode(ragged::expand_dims(code_points, 0), options), {});
  if (!code_points.is_ragged()) {
    Ints outer;
    for (int k = 0; k + 1 < code_points.ndim(); ++k) outer.push_back(code_points.tensor().shape()[k]);
    const std::int64_t last = code_points.tensor().shape()[code_points.ndim() - 1];
    std::int64_t count = 1;
    for (const std::int64_t size : outer) count *= size;
    return reshape(unicode_encode(RaggedTensor::from_row_splits(reshape(code_points.tensor(), {-1}), range(0, count + 1, 1, int64) * last), options), outer);
  }
  if (code_points.ragged_rank() > 1 || code_points.ndim() > 2) throw InvalidArgumentError("rows of rows of code points make no tensor of strings", "strings::unicode_encode", "encode the values of the outer rows");
  static const OpDef& op = find_op("unicode_encode");
  return apply(op, {code_points.flat_values(), code_points.row_splits()}, {{"output_encoding", options.output_encoding}, {"errors", options.errors}, {"replacement_char", std::int64_t(options.replacement_char)}});
}

Tensor unicode_transcode(const Tensor& x, const UnicodeOptions& options) {
  static const OpDef& op = find_op("unicode_transcode");
  return apply(op, {x}, {{"input_encoding", options.input_encoding}, {"output_encoding", options.output_encoding}, {"replace_control_characters", options.replace_control_characters},
                         {"errors", options.errors}, {"replacement_char", std::int64_t(options.replacement_char)}});
}

}  // namespace lockstep::strings
