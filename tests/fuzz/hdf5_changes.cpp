#include "hdf5_changes.h"

#include <hdf5.h>

#include <algorithm>
#include <vector>

namespace lockstep::fuzz {
namespace {

/// Closes whatever it is; what could not be made is -1, which HDF5 takes for an error of its own.
class Handle {
 public:
  explicit Handle(hid_t id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  ~Handle() {
    if (id_ >= 0) H5Idec_ref(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
};

Handle some_text(FuzzedDataProvider& bytes) {
  Handle type(H5Tcopy(H5T_C_S1));
  H5Tset_size(type, bytes.ConsumeBool() ? H5T_VARIABLE : bytes.ConsumeIntegralInRange<std::size_t>(1, 40));
  H5Tset_cset(type, bytes.ConsumeBool() ? H5T_CSET_UTF8 : H5T_CSET_ASCII);
  return type;
}

Handle some_type(FuzzedDataProvider& bytes) {
  static const hid_t plain[] = {H5T_STD_I8LE, H5T_STD_U8LE, H5T_STD_I16BE, H5T_STD_U16LE, H5T_STD_I32LE, H5T_STD_U32BE, H5T_STD_I64LE, H5T_STD_U64LE, H5T_IEEE_F32LE, H5T_IEEE_F32BE, H5T_IEEE_F64LE,
                                H5T_NATIVE_LDOUBLE, H5T_STD_B8LE, H5T_STD_REF_OBJ};
  switch (bytes.ConsumeIntegralInRange(0, 7)) {
    case 0: return some_text(bytes);
    case 1: {  // an enumeration, of FALSE and TRUE or not
      Handle type(H5Tenum_create(bytes.ConsumeBool() ? H5T_STD_I8LE : H5T_STD_I32LE));
      const std::int32_t values[] = {0, bytes.ConsumeIntegralInRange(1, 100)};
      H5Tenum_insert(type, "FALSE", &values[0]);
      H5Tenum_insert(type, "TRUE", &values[1]);
      return type;
    }
    case 2: {  // a pair, of parts of a complex number or not
      Handle type(H5Tcreate(H5T_COMPOUND, 16));
      H5Tinsert(type, bytes.ConsumeBool() ? "r" : "x", 0, bytes.ConsumeBool() ? H5T_IEEE_F32LE : H5T_STD_I32LE);
      H5Tinsert(type, "i", 8, bytes.ConsumeBool() ? H5T_IEEE_F64LE : H5T_IEEE_F32LE);
      return type;
    }
    case 3: return Handle(H5Tcreate(H5T_OPAQUE, bytes.ConsumeIntegralInRange<std::size_t>(1, 9)));
    case 4: return Handle(H5Tvlen_create(H5T_STD_I32LE));
    case 5: {
      const hsize_t sizes[] = {bytes.ConsumeIntegralInRange<hsize_t>(1, 5)};
      return Handle(H5Tarray_create2(H5T_IEEE_F32LE, 1, sizes));
    }
    case 6: {  // a number of a size that no machine has
      Handle type(H5Tcopy(bytes.ConsumeBool() ? H5T_STD_I32LE : H5T_IEEE_F64LE));
      H5Tset_size(type, bytes.ConsumeIntegralInRange<std::size_t>(1, 9));
      return type;
    }
    default: return Handle(H5Tcopy(plain[bytes.ConsumeIntegralInRange<std::size_t>(0, std::size(plain) - 1)]));
  }
}

Handle some_space(FuzzedDataProvider& bytes, std::vector<hsize_t>& sizes) {
  const int kind = bytes.ConsumeIntegralInRange(0, 9);
  if (kind < 2) return Handle(H5Screate(kind == 0 ? H5S_SCALAR : H5S_NULL));
  for (int axis = bytes.ConsumeIntegralInRange(1, kind == 2 ? 12 : 3); axis > 0; --axis)
    sizes.push_back(bytes.ConsumeIntegralInRange(0, 9) == 0 ? bytes.ConsumeIntegral<hsize_t>() >> bytes.ConsumeIntegralInRange(0, 40) : bytes.ConsumeIntegralInRange<hsize_t>(0, 6));
  return Handle(H5Screate_simple(int(sizes.size()), sizes.data(), nullptr));
}

void add_dataset(hid_t file, const std::string& path, hid_t links, FuzzedDataProvider& bytes) {
  const Handle type = some_type(bytes);
  std::vector<hsize_t> sizes;
  const Handle space = some_space(bytes, sizes), properties(H5Pcreate(H5P_DATASET_CREATE));
  const int layout = bytes.ConsumeIntegralInRange(0, 5);
  if (layout == 0) H5Pset_layout(properties, H5D_COMPACT);
  if (layout == 1 && !sizes.empty()) {
    for (hsize_t& size : sizes) size = std::clamp<hsize_t>(size, 1, 4);
    H5Pset_chunk(properties, int(sizes.size()), sizes.data());
    if (bytes.ConsumeBool()) H5Pset_deflate(properties, 1);
  }
  if (layout == 2) H5Pset_external(properties, "elsewhere", 0, 64);
  const Handle dataset(H5Dcreate2(file, path.c_str(), type, space, links, properties, H5P_DEFAULT));
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  const std::size_t size = H5Tget_size(type);
  if (dataset < 0 || count <= 0 || count > 4096 || size == 0 || size > 64 || H5Tdetect_class(type, H5T_VLEN) != 0 || H5Tis_variable_str(type) > 0 || H5Tget_class(type) == H5T_REFERENCE || layout == 2) return;
  std::vector<std::uint8_t> elements(std::size_t(count) * size, bytes.ConsumeIntegral<std::uint8_t>());
  H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, elements.data());
}

void add_attribute(hid_t file, const std::string& path, FuzzedDataProvider& bytes) {
  static const char* const names[] = {"dtype", "model_config", "training_config", "layer_names", "layer_names0", "weight_names", "keras_version", "backend"};
  const char* name = names[bytes.ConsumeIntegralInRange<std::size_t>(0, std::size(names) - 1)];
  const Handle object(H5Oopen(file, path.c_str(), H5P_DEFAULT));
  if (object < 0) return;
  if (H5Aexists(object, name) > 0) H5Adelete(object, name);
  if (bytes.ConsumeBool()) return;
  const bool texts = bytes.ConsumeBool();
  const Handle type = texts ? some_text(bytes) : some_type(bytes);
  std::vector<hsize_t> sizes;
  const Handle space = some_space(bytes, sizes), attribute(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (attribute < 0 || count <= 0 || count > 64 || !texts) return;
  const std::string word = bytes.ConsumeRandomLengthString(60);
  if (H5Tis_variable_str(type) > 0) {
    const std::vector<const char*> words(std::size_t(count), word.c_str());
    H5Awrite(attribute, type, words.data());
  } else {
    std::string all(std::size_t(count) * H5Tget_size(type), 'x');
    std::copy_n(word.begin(), std::min(word.size(), all.size()), all.begin());
    H5Awrite(attribute, type, all.data());
  }
}

void change(hid_t file, const std::vector<std::string>& paths, FuzzedDataProvider& bytes) {
  const auto some_path = [&] { return paths[bytes.ConsumeIntegralInRange<std::size_t>(0, paths.size() - 1)]; };
  const Handle links(H5Pcreate(H5P_LINK_CREATE));
  H5Pset_create_intermediate_group(links, 1);
  std::string path = some_path();
  const int kind = bytes.ConsumeIntegralInRange(0, 7);
  if (kind == 0) return add_attribute(file, path, bytes);
  if (kind == 1) return add_attribute(file, "/", bytes);
  if (bytes.ConsumeIntegralInRange(0, 3) == 0) path += "/x";
  else H5Ldelete(file, path.c_str(), H5P_DEFAULT);
  switch (kind) {
    case 2: return;
    case 3: Handle(H5Gcreate2(file, path.c_str(), links, H5P_DEFAULT, H5P_DEFAULT)); return;
    case 4:
      switch (bytes.ConsumeIntegralInRange(0, 2)) {
        case 0: H5Lcreate_soft(some_path().c_str(), file, path.c_str(), links, H5P_DEFAULT); return;
        case 1: H5Lcreate_external("elsewhere", "/", file, path.c_str(), links, H5P_DEFAULT); return;
        default: H5Lcreate_hard(file, some_path().c_str(), file, path.c_str(), links, H5P_DEFAULT); return;
      }
    default: add_dataset(file, path, links, bytes);
  }
}

}  // namespace

std::string with_changes(const std::string& image, FuzzedDataProvider& bytes) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Handle access(H5Pcreate(H5P_FILE_ACCESS));
  H5Pset_fapl_core(access, 1 << 16, false);
  std::string copy = image;
  H5Pset_file_image(access, copy.data(), copy.size());
  const Handle file(H5Fopen("fuzz", H5F_ACC_RDWR, access));
  std::vector<std::string> paths;
  const auto add = [](hid_t, const char* name, const H5L_info_t*, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->push_back("/" + std::string(name));
    return 0;
  };
  H5Lvisit(file, H5_INDEX_NAME, H5_ITER_INC, add, &paths);
  if (file < 0 || paths.empty()) return image;
  for (int changes = bytes.ConsumeIntegralInRange(0, 6); changes > 0; --changes) change(file, paths, bytes);
  H5Fflush(file, H5F_SCOPE_LOCAL);
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  if (size <= 0 || size > (1 << 22)) return image;
  std::string changed(std::size_t(size), '\0');
  H5Fget_file_image(file, changed.data(), changed.size());
  return changed;
}

}  // namespace lockstep::fuzz
