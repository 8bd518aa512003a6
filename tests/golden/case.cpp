#include "case.h"

#include <cmath>
#include <fstream>

#include <hdf5.h>

namespace golden {
namespace {

using namespace lockstep;

/// An HDF5 handle.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t), const std::string& what) : id_(id), close_(close) {
    if (id < 0) throw std::runtime_error("HDF5 cannot open " + what);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { close_(id_); }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

std::string read_text_attribute(hid_t group, const char* name) {
  const Handle attribute(H5Aopen(group, name, H5P_DEFAULT), H5Aclose, name);
  const Handle type(H5Aget_type(attribute), H5Tclose, name);
  if (H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    if (H5Aread(attribute, type, &text) < 0 || !text) throw std::runtime_error("HDF5 cannot read an attribute");
    std::string result = text;
    H5free_memory(text);
    return result;
  }
  std::string text(H5Tget_size(type), '\0');
  if (H5Aread(attribute, type, text.data()) < 0) throw std::runtime_error("HDF5 cannot read an attribute");
  return text.c_str();
}

/// The dtype of a data set from its type in the file, where the case does not name it.
DType stored_dtype(hid_t type) {
  const std::size_t size = H5Tget_size(type);
  if (H5Tget_class(type) == H5T_FLOAT) return size == 2 ? float16 : size == 4 ? float32 : float64;
  const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
  switch (size) {
    case 1: return is_signed ? int8 : uint8;
    case 2: return is_signed ? int16 : uint16;
    case 4: return is_signed ? int32 : uint32;
    default: return is_signed ? int64 : uint64;
  }
}

Tensor read_dataset(hid_t group, const std::string& name, std::optional<DType> dtype) {
  const Handle dataset(H5Dopen2(group, name.c_str(), H5P_DEFAULT), H5Dclose, name);
  const Handle type(H5Dget_type(dataset), H5Tclose, name);
  const Handle space(H5Dget_space(dataset), H5Sclose, name);
  hsize_t dims[32];
  const int ndim = H5Sget_simple_extent_dims(space, dims, nullptr);
  Shape shape;
  for (int i = 0; i < ndim; ++i) shape.push_back(std::int64_t(dims[i]));
  const DType stored = dtype.value_or(stored_dtype(type));
  Tensor tensor = Tensor::empty(shape, stored);
  if (H5Tget_size(type) != itemsize(stored)) throw std::runtime_error(name + " is not stored as " + std::string(lockstep::name(stored)));
  // The file's own type: bits are taken as they are, which is right for bool and bfloat16 too.
  if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.mutable_raw()) < 0) throw std::runtime_error("HDF5 cannot read " + name);
  return placed(std::move(tensor));
}

/// The dtypes that the case names for its data sets.
std::map<std::string, DType> named_dtypes(const Json& spec) {
  std::map<std::string, DType> result;
  const auto add_list = [&](const char* key, const std::string& prefix) {
    if (!spec.contains(key) || !spec[key].is_array()) return;
    for (std::size_t i = 0; i < spec[key].size(); ++i)
      if (spec[key][i].is_object()) result[prefix + std::to_string(i)] = dtype_from_name(spec[key][i].at("dtype").get<std::string>());
  };
  add_list("inputs", "in");
  add_list("outputs", "out");
  add_list("outputs", "din");
  add_list("upstream", "g");
  for (const char* key : {"extra", "data"})
    if (spec.contains(key))
      for (const auto& [name, value] : spec[key].items())
        if (value.is_object() && value.contains("dtype")) result[name] = dtype_from_name(value["dtype"].get<std::string>());
  return result;
}

std::vector<std::string> links(hid_t group) {
  std::vector<std::string> names;
  H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, nullptr,
             [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
               static_cast<std::vector<std::string>*>(out)->push_back(name);
               return 0;
             },
             &names);
  return names;
}

Index index_from(const Json& entry) {
  if (entry.is_number_integer()) return Index(entry.get<std::int64_t>());
  if (entry == "ellipsis" || entry == "...") return ellipsis;
  if (entry == "newaxis" || entry.is_null()) return newaxis;
  const auto part = [](const Json& value) { return value.is_null() ? std::optional<std::int64_t>() : value.get<std::int64_t>(); };
  const Json& bounds = entry.at("slice");
  return lockstep::slice(part(bounds[0]), part(bounds[1]), part(bounds[2]));
}

Ints ints_from(const Json& list) {
  Ints result;
  for (const Json& each : list) result.push_back(each.get<std::int64_t>());
  return result;
}

AttrValue value_from(AttrType type, const Json& value) {
  if (type == AttrType::dtype) return dtype_from_name(value.get<std::string>());
  if (type == AttrType::index) {
    IndexList spec;
    for (const Json& entry : value) spec.push_back(index_from(entry));
    return spec;
  }
  if (type == AttrType::int_lists) {
    if (value.is_null()) return IntLists{};
    if (value.is_number_integer()) return IntLists{{value.get<std::int64_t>()}};
    IntLists lists;
    for (const Json& each : value) lists.push_back(ints_from(each));
    return lists;
  }
  if (value.is_null()) return None{};
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  return ints_from(value);
}

template <class T>
double as_double(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return double(float(value));
  else return double(value);
}

}  // namespace

std::vector<Tensor> Case::inputs() const {
  std::vector<Tensor> result;
  for (std::size_t i = 0; i < spec.at("inputs").size(); ++i) result.push_back(at("in" + std::to_string(i)));
  return result;
}

const Tensor& Case::at(const std::string& name) const {
  const auto found = data.find(name);
  if (found == data.end()) throw std::runtime_error("the case has no data set " + name);
  return found->second;
}

namespace {

/// Python writes NaN and Infinity, which JSON has not: they become strings.
Json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::string quoted;
  bool inside = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (inside && text[i] == '\\') quoted += text[i++];  // and what it escapes
    else if (text[i] == '"') inside = !inside;
    for (const std::string word : {"-Infinity", "Infinity", "NaN"})
      if (!inside && text.compare(i, word.size(), word) == 0) {
        quoted += '"' + word + '"';
        i += word.size();
      }
    quoted += text[i];
  }
  return Json::parse(quoted);
}

void for_each_json_case(const std::filesystem::path& path, const std::function<void(const Case&)>& visit) {
  int position = 0;
  for (const Json& spec : read_json(path)) {
    std::string number = std::to_string(spec.value("id", position++));
    number.insert(0, 4 - std::min<std::size_t>(4, number.size()), '0');
    std::string name = spec.value("group", "") + "_" + spec.value("name", "");
    // Cases without a name are called by their first text.
    const auto text = std::find_if(spec.begin(), spec.end(), [](const Json& value) { return value.is_string(); });
    if (name == "_") name = text == spec.end() ? std::string("case") : text->get<std::string>();
    visit({number + "_" + name, spec, {}, path.parent_path()});
  }
}

}  // namespace

void for_each_case(const std::filesystem::path& path, const std::function<void(const Case&)>& visit) {
  if (path.extension() == ".json") return for_each_json_case(path, visit);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Handle file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose, path.string());
  for (const std::string& name : links(file)) {
    const Handle group(H5Gopen2(file, name.c_str(), H5P_DEFAULT), H5Gclose, name);
    Case c{name, Json::parse(read_text_attribute(group, "case")), {}, path.parent_path()};
    const auto dtypes = named_dtypes(c.spec);
    for (const std::string& dataset : links(group)) {
      const auto named = dtypes.find(dataset);
      c.data.emplace(dataset, read_dataset(group, dataset, named == dtypes.end() ? std::nullopt : std::optional(named->second)));
    }
    visit(c);
  }
}

AttrList attributes(const OpDef& op, const Json& attrs) {
  AttrList result;
  for (const auto& [name, value] : attrs.items()) {
    const auto declared = std::find_if(op.attrs.begin(), op.attrs.end(), [&name = name](const AttrDef& attr) { return attr.name == name; });
    if (declared == op.attrs.end()) throw Mismatch("the row has no attribute '" + name + "'");
    result.push_back({declared->name, value_from(declared->type, value)});
  }
  return result;
}

void require_close(const std::string& what, const Tensor& actual, const Tensor& expected, double rtol, double atol) {
  if (actual.spec() != expected.spec()) throw Mismatch(what + " is " + to_string(actual.spec()) + ", expected " + to_string(expected.spec()));
  visit_dtype(actual.dtype(), [&]<class T>(TypeTag<T>) {
    if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>) {
      throw Mismatch(what + " has a dtype that golden cases do not have");
    } else {
      const auto a = actual.data<T>(), b = expected.data<T>();
      double worst = 0;
      std::size_t at = 0, wrong = 0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        const double x = as_double(a[i]), y = as_double(b[i]);
        if (x == y || (std::isnan(x) && std::isnan(y))) continue;
        if (!is_float(actual.dtype())) rtol = atol = 0;
        const double error = std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) : INFINITY;
        if (error <= atol + rtol * std::fabs(y)) continue;
        ++wrong;
        if (error >= worst) worst = error, at = i;
      }
      if (wrong)
        throw Mismatch(what + ": " + std::to_string(wrong) + " of " + std::to_string(a.size()) + " elements differ; largest error " + std::to_string(worst) + " at " + std::to_string(at) + ": " +
                       std::to_string(as_double(a[at])) + ", expected " + std::to_string(as_double(b[at])));
    }
  });
}

}  // namespace golden
