#pragma once
// What layers of categories have in common. nn's own.

#include <optional>
#include <string>

#include <lockstep/tensor/base/component.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::nn {

/// Whole numbers as "one_hot" (one per row), "multi_hot" (which occur) or "count" (how often) rows of `depth` numbers. Negative ones count nowhere.
Tensor encode_categories(const Tensor& indices, const std::string& output_mode, std::int64_t depth, DType dtype, const Tensor& weights = {});

namespace detail {
/// A key of Keras's configurations of which only one value is built.
template <class T>
void fixed(Fields& f, const char* key, T value) {
  const T given = value;
  f.field(key, value);
  if (value != given) throw UnimplementedError("'" + std::string(key) + "' must be left at its default");
}
/// One number stands for two. Throws InvalidArgumentError for another number of them.
void require_salt(std::optional<Ints>& salt, const char* layer);
/// Strings to [0, count): by FarmHash64, or by SipHash64 with a salt.
Tensor hash_buckets(const Tensor& texts, std::int64_t count, const std::optional<Ints>& salt);
/// Throws InvalidArgumentError unless it is "one_hot", "multi_hot", "count", or, `with_int`, "int".
void require_mode(const std::string& mode, bool with_int, const char* layer);
}  // namespace detail

}  // namespace lockstep::nn
