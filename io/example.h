#pragma once
// tf.train.Example: named lists of numbers or of byte strings, as TFRecord files hold them.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <lockstep/io/nest.h>
#include <lockstep/tensor/attrs.h>

namespace lockstep::io {

/// So many values as the shape has (tf.io.FixedLenFeature): int64, float32 or string.
struct FixedLenFeature {
  Ints shape = {};
  DType dtype = float32;
  /// For examples that lack it: of that shape, or a scalar for all. None: they are refused.
  std::optional<Tensor> default_value = {};
};
/// As many values as there are, as a sparse tensor (tf.io.VarLenFeature).
struct VarLenFeature {
  DType dtype = float32;
};
/// The same as rows of unequal lengths (tf.io.RaggedFeature).
struct RaggedFeature {
  DType dtype = float32;
};
using FeatureSpec = std::variant<FixedLenFeature, VarLenFeature, RaggedFeature>;
/// What is wanted of an example, by name.
using ExampleSchema = std::vector<std::pair<std::string, FeatureSpec>>;

/// One example (tf.io.parse_single_example): a map in the schema's order. VarLenFeature: indices (n, 1), shape (1,); RaggedFeature: a tensor (n,).
/// Throws InvalidArgumentError, naming the feature, for bytes that are no example, another dtype or number of values, and missing features.
Nest parse_single_example(std::string_view serialized, const ExampleSchema& schema);
Nest parse_single_example(const Tensor& serialized, const ExampleSchema& schema);
/// Examples (n,) at once (tf.io.parse_example): tensors (n, ...), sparse ones with indices (m, 2), ragged ones with n rows. The error names the example.
Nest parse_example(const Tensor& serialized, const ExampleSchema& schema);

/// The bytes of an example with these features: integers as int64, floats as float32, strings as they are, in row-major order. Equal features give
/// equal bytes. Throws TypeError for other dtypes, InvalidArgumentError for a name that is there twice.
std::string make_example(const std::vector<std::pair<std::string, Tensor>>& features);

}  // namespace lockstep::io
