#include <lockstep/io/example.h>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <set>

#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

#include "example.pb.h"

namespace lockstep::io {
namespace {

/// How errors call an example: " of example 3", or nothing where there is one.
std::string place_of(std::int64_t number) { return number < 0 ? std::string() : " of example " + std::to_string(number); }

[[noreturn]] void refuse_feature(const std::string& name, std::int64_t number, const std::string& why) {
  throw InvalidArgumentError("feature '" + name + "'" + place_of(number) + " " + why, "parse_example");
}

DType dtype_of_spec(const FeatureSpec& spec) {
  return std::visit([](const auto& feature) { return feature.dtype; }, spec);
}

/// The values of a feature, of whatever kind.
template <class T>
const auto& values_of(const proto::Feature& feature) {
  if constexpr (std::is_same_v<T, std::string>) return feature.bytes_list().value();
  else if constexpr (std::is_same_v<T, float>) return feature.float_list().value();
  else return feature.int64_list().value();
}

/// Is there something in it? A feature of no kind is as good as none.
bool is_there(const proto::Feature* feature) { return feature && feature->kind_case() != proto::Feature::KIND_NOT_SET; }

void require_kind(const proto::Feature& feature, DType dtype, const std::string& name, std::int64_t number) {
  const proto::Feature::KindCase wanted = dtype == string ? proto::Feature::kBytesList : dtype == float32 ? proto::Feature::kFloatList : proto::Feature::kInt64List;
  if (feature.kind_case() == wanted) return;
  const char* const is = feature.kind_case() == proto::Feature::kBytesList ? "string" : feature.kind_case() == proto::Feature::kFloatList ? "float32" : "int64";
  refuse_feature(name, number, std::string("is ") + is + " in the file, and " + std::string(lockstep::name(dtype)) + " was asked for");
}

/// One feature of all examples.
class FeatureColumn {
 public:
  FeatureColumn(const std::string& name, const FeatureSpec& spec, bool single) : name_(name), spec_(spec), single_(single) {
    const DType dtype = dtype_of_spec(spec);
    if (dtype != int64 && dtype != float32 && dtype != string) throw TypeError("feature '" + name + "': examples hold int64, float32 and string, not " + std::string(lockstep::name(dtype)), "parse_example");
  }

  Nest parse(const std::vector<const proto::Feature*>& features) const {
    const DType dtype = dtype_of_spec(spec_);
    if (dtype == string) return parse_as<std::string>(features);
    return dtype == float32 ? parse_as<float>(features) : parse_as<std::int64_t>(features);
  }

 private:
  std::int64_t number(std::size_t i) const { return single_ ? -1 : std::int64_t(i); }

  template <class T>
  Nest parse_as(const std::vector<const proto::Feature*>& features) const {
    if (const auto* fixed = std::get_if<FixedLenFeature>(&spec_)) return fixed_length<T>(features, *fixed);
    std::vector<std::int64_t> splits{0};
    for (std::size_t i = 0; i < features.size(); ++i) {
      const bool there = is_there(features[i]);
      if (there) require_kind(*features[i], dtype_of<T>, name_, number(i));
      splits.push_back(splits.back() + (there ? std::int64_t(values_of<T>(*features[i]).size()) : 0));
    }
    Tensor values = Tensor::empty({splits.back()}, dtype_of<T>);
    T* to = values.mutable_data<T>();
    for (const proto::Feature* feature : features)
      if (is_there(feature)) to = std::copy(values_of<T>(*feature).begin(), values_of<T>(*feature).end(), to);
    if (std::holds_alternative<RaggedFeature>(spec_)) return single_ ? Nest(values) : Nest::ragged(values, {constant(splits)});
    return sparse(std::move(values), splits);
  }

  Nest sparse(Tensor values, const std::vector<std::int64_t>& splits) const {
    const std::int64_t axes = single_ ? 1 : 2;
    Tensor indices = Tensor::empty({splits.back(), axes}, int64);
    std::int64_t* to = indices.mutable_data<std::int64_t>();
    std::int64_t longest = 0;
    for (std::size_t i = 0; i + 1 < splits.size(); ++i) {
      longest = std::max(longest, splits[i + 1] - splits[i]);
      for (std::int64_t k = 0; k < splits[i + 1] - splits[i]; ++k) {
        if (!single_) *to++ = std::int64_t(i);
        *to++ = k;
      }
    }
    const std::vector<std::int64_t> shape = single_ ? std::vector{longest} : std::vector{std::ssize(splits) - 1, longest};
    return Nest::sparse(std::move(indices), std::move(values), constant(shape));
  }

  template <class T>
  Nest fixed_length(const std::vector<const proto::Feature*>& features, const FixedLenFeature& fixed) const {
    Shape shape;
    if (!single_) shape.push_back(std::ssize(features));
    std::int64_t each = 1;
    for (const std::int64_t size : fixed.shape) {
      if (size < 0) throw InvalidArgumentError("feature '" + name_ + "': a FixedLenFeature has no axis of size " + std::to_string(size), "parse_example", "VarLenFeature and RaggedFeature take any number of values");
      shape.push_back(size);
      each *= size;
    }
    Tensor values = Tensor::empty(shape, dtype_of<T>);
    T* to = values.mutable_data<T>();
    for (std::size_t i = 0; i < features.size(); ++i, to += each) {
      if (!is_there(features[i])) {
        fill<T>(to, each, fixed, number(i));
        continue;
      }
      require_kind(*features[i], dtype_of<T>, name_, number(i));
      const auto& from = values_of<T>(*features[i]);
      if (std::int64_t(from.size()) != each)
        refuse_feature(name_, number(i), "has " + std::to_string(from.size()) + (from.size() == 1 ? " value" : " values") + ", and " + std::to_string(each) + " were asked for");
      std::copy(from.begin(), from.end(), to);
    }
    return values;
  }

  template <class T>
  void fill(T* to, std::int64_t count, const FixedLenFeature& fixed, std::int64_t number) const {
    if (!fixed.default_value) refuse_feature(name_, number, "is missing, and has no default value");
    const Tensor& value = *fixed.default_value;
    if (value.dtype() != dtype_of<T> || (value.numel() != 1 && value.numel() != count))
      throw InvalidArgumentError("feature '" + name_ + "': the default value is " + to_string(value.spec()) + ", not " + std::to_string(count) + " of " + std::string(lockstep::name(dtype_of<T>)), "parse_example");
    const auto from = value.data<T>();
    for (std::int64_t i = 0; i < count; ++i) to[i] = from[from.size() == 1 ? 0 : std::size_t(i)];
  }

  const std::string& name_;
  const FeatureSpec& spec_;
  bool single_;
};

Nest parse(const std::vector<std::string_view>& serialized, const ExampleSchema& schema, bool single) {
  if (schema.empty()) throw InvalidArgumentError("the schema names no feature", "parse_example");
  google::protobuf::Arena arena;
  std::vector<const proto::Example*> examples;
  for (std::size_t i = 0; i < serialized.size(); ++i) {
    auto* example = google::protobuf::Arena::CreateMessage<proto::Example>(&arena);
    if (serialized[i].size() > std::size_t(INT32_MAX) || !example->ParseFromArray(serialized[i].data(), int(serialized[i].size())))
      throw InvalidArgumentError("the " + std::to_string(serialized[i].size()) + " bytes" + place_of(single ? -1 : std::int64_t(i)) + " are no tf.train.Example", "parse_example");
    examples.push_back(example);
  }
  std::vector<std::pair<std::string, Nest>> parts;
  for (const auto& [name, spec] : schema) {
    std::vector<const proto::Feature*> features;
    for (const proto::Example* example : examples) {
      const auto& all = example->features().feature();
      const auto found = all.find(name);
      features.push_back(found == all.end() ? nullptr : &found->second);
    }
    parts.emplace_back(name, FeatureColumn(name, spec, single).parse(features));
  }
  return Nest::map(std::move(parts));
}

}  // namespace

Nest parse_single_example(std::string_view serialized, const ExampleSchema& schema) { return parse({serialized}, schema, true); }

Nest parse_single_example(const Tensor& serialized, const ExampleSchema& schema) { return parse_single_example(serialized.item<std::string>(), schema); }

Nest parse_example(const Tensor& serialized, const ExampleSchema& schema) {
  if (serialized.ndim() != 1) throw InvalidArgumentError("the examples must be strings (n,), got " + to_string(serialized.spec()), "parse_example");
  const auto texts = serialized.data<std::string>();
  return parse({texts.begin(), texts.end()}, schema, false);
}

std::string make_example(const std::vector<std::pair<std::string, Tensor>>& features) {
  proto::Example example;
  auto& all = *example.mutable_features()->mutable_feature();
  for (const auto& [name, tensor] : features) {
    if (all.contains(name)) throw InvalidArgumentError("two features have the name '" + name + "'", "make_example");
    proto::Feature& feature = all[name];
    if (tensor.dtype() == string) {
      for (const std::string& text : tensor.data<std::string>()) feature.mutable_bytes_list()->add_value(text);
      feature.mutable_bytes_list();
    } else if (is_float(tensor.dtype())) {
      const auto values = cast(tensor, float32).to_vector<float>();
      feature.mutable_float_list()->mutable_value()->Add(values.begin(), values.end());
    } else if (kInts.contains(tensor.dtype()) || tensor.dtype() == boolean) {
      const auto values = cast(tensor, int64).to_vector<std::int64_t>();
      feature.mutable_int64_list()->mutable_value()->Add(values.begin(), values.end());
    } else {
      throw TypeError("feature '" + name + "' is " + to_string(tensor.spec()) + ", and examples hold numbers and strings", "make_example");
    }
  }
  // A map has no order of its own; the bytes shall have one.
  std::string bytes;
  google::protobuf::io::StringOutputStream out(&bytes);
  google::protobuf::io::CodedOutputStream coded(&out);
  coded.SetSerializationDeterministic(true);
  example.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace lockstep::io
