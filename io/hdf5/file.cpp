#include <lockstep/io/hdf5/file.h>

#include <hdf5.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <utility>

#include <lockstep/io/file.h>
#include <lockstep/io/hdf5/memory.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io::hdf5 {
namespace {

/// What an object's header has room for.
constexpr std::size_t kMostAttributeBytes = 64512;

/// An HDF5 object that is closed by its own function.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

/// The innermost message of HDF5's error stack, which is emptied.
std::string reason() {
  std::string text;
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, [](unsigned, const H5E_error2_t* error, void* into) -> herr_t {
    auto& found = *static_cast<std::string*>(into);
    if (found.empty() && error->desc) found = error->desc;
    return 0;
  }, &text);
  H5Eclear2(H5E_DEFAULT);
  return text.empty() ? "no reason given" : text;
}

/// HDF5 prints its errors by itself unless it is told not to, once for each thread.
void be_silent() {
  thread_local const bool done = (H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr), true);
  static_cast<void>(done);
}

Handle type_of(DType dtype) {
  const auto plain = [](hid_t type) { return Handle(H5Tcopy(type), H5Tclose); };
  const auto complex = [](hid_t part, std::size_t size) {
    Handle type(H5Tcreate(H5T_COMPOUND, 2 * size), H5Tclose);
    H5Tinsert(type, "r", 0, part);
    H5Tinsert(type, "i", size, part);
    return type;
  };
  switch (dtype) {
    case DType::boolean: {
      Handle type(H5Tenum_create(H5T_STD_I8LE), H5Tclose);
      const std::int8_t no = 0, yes = 1;
      H5Tenum_insert(type, "FALSE", &no);
      H5Tenum_insert(type, "TRUE", &yes);
      return type;
    }
    case DType::int8: return plain(H5T_STD_I8LE);
    case DType::int16: return plain(H5T_STD_I16LE);
    case DType::int32: return plain(H5T_STD_I32LE);
    case DType::int64: return plain(H5T_STD_I64LE);
    case DType::uint8: return plain(H5T_STD_U8LE);
    case DType::uint16:
    case DType::bfloat16: return plain(H5T_STD_U16LE);
    case DType::uint32: return plain(H5T_STD_U32LE);
    case DType::uint64: return plain(H5T_STD_U64LE);
    case DType::float16: {
      Handle type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
      H5Tset_fields(type, 15, 10, 5, 0, 10);
      H5Tset_size(type, 2);
      H5Tset_ebias(type, 15);
      return type;
    }
    case DType::float32: return plain(H5T_IEEE_F32LE);
    case DType::float64: return plain(H5T_IEEE_F64LE);
    case DType::complex64: return complex(H5T_IEEE_F32LE, 4);
    case DType::complex128: return complex(H5T_IEEE_F64LE, 8);
    case DType::string: break;
  }
  throw TypeError("there is no place for a tensor of strings in the file", "hdf5");
}

/// Two numbers by the names that type_of gives them: of others HDF5 would leave the memory as it is.
bool is_complex_type(hid_t type) {
  if (H5Tget_nmembers(type) != 2) return false;
  for (const char* part : {"r", "i"}) {
    const int index = H5Tget_member_index(type, part);
    if (index < 0 || H5Tget_member_class(type, unsigned(index)) != H5T_FLOAT) return false;
  }
  return true;
}

/// HDF5 fills in all bits for an enum's value that has no name in memory: no bool.
void require_truth_values(const Tensor& tensor, const std::string& where) {
  if (tensor.dtype() != boolean) return;
  const auto* bytes = static_cast<const std::uint8_t*>(tensor.host_raw());
  if (std::any_of(bytes, bytes + tensor.numel(), [](std::uint8_t each) { return each > 1; })) throw DataLossError(where + " has elements that are neither FALSE nor TRUE", "hdf5");
}

/// The dtype of a type in a file, in whatever byte order.
DType dtype_of(hid_t type, const std::string& where) {
  const std::size_t size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_INTEGER: {
      const bool is_signed = H5Tget_sign(type) == H5T_SGN_2;
      switch (size) {
        case 1: return is_signed ? int8 : uint8;
        case 2: return is_signed ? int16 : uint16;
        case 4: return is_signed ? int32 : uint32;
        case 8: return is_signed ? int64 : uint64;
        default: break;
      }
      break;
    }
    case H5T_FLOAT:
      if (size == 2) return float16;
      if (size == 4) return float32;
      if (size == 8) return float64;
      break;
    case H5T_ENUM:
      if (size == 1) return boolean;
      break;
    case H5T_COMPOUND:
      if (is_complex_type(type) && size == 8) return complex64;
      if (is_complex_type(type) && size == 16) return complex128;
      break;
    default: break;
  }
  throw TypeError(where + " has elements that are no numbers", "hdf5");
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool has_path(hid_t file, const std::string& path) {
  std::string so_far;
  for (const std::string& part : parts_of(path)) {
    so_far += "/" + part;
    if (H5Lexists(file, so_far.c_str(), H5P_DEFAULT) <= 0) return false;
    H5L_info_t link;
    if (H5Lget_info(file, so_far.c_str(), &link, H5P_DEFAULT) < 0 || link.type != H5L_TYPE_HARD) throw DataLossError("'" + so_far + "' is a link to elsewhere, which is not followed", "hdf5");
  }
  return true;
}

Handle fixed_text(std::size_t length) {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, std::max<std::size_t>(1, length));
  H5Tset_cset(type, H5T_CSET_UTF8);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

/// The texts in a dataset or an attribute of texts, of fixed or variable length.
std::vector<std::string> texts_of(hid_t type, hid_t space, const std::string& where, std::int64_t most, const std::function<herr_t(hid_t, void*)>& read) {
  if (H5Tget_class(type) != H5T_STRING) throw DataLossError(where + " is no text", "hdf5");
  const auto count = std::size_t(std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space)));
  std::vector<std::string> texts;
  if (H5Tis_variable_str(type) > 0) {
    if (std::int64_t(count) > most) throw DataLossError(where + " claims " + std::to_string(count) + " texts", "hdf5");
    std::vector<char*> pointers(count);
    Handle memory(H5Tcopy(H5T_C_S1), H5Tclose);
    H5Tset_size(memory, H5T_VARIABLE);
    H5Tset_cset(memory, H5Tget_cset(type));
    if (read(memory, pointers.data()) < 0) throw DataLossError(where + " cannot be read: " + reason(), "hdf5");
    for (const char* each : pointers) texts.emplace_back(each ? each : "");
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, pointers.data());
    return texts;
  }
  const std::size_t length = H5Tget_size(type);
  if (length == 0 || std::int64_t(length) > most || std::int64_t(count) > most / std::int64_t(length)) throw DataLossError(where + " claims more text than the file holds", "hdf5");
  std::string all(length * count, '\0');
  if (read(type, all.data()) < 0) throw DataLossError(where + " cannot be read: " + reason(), "hdf5");
  for (std::size_t i = 0; i < count; ++i) {
    const std::string text = all.substr(i * length, length);
    texts.push_back(text.substr(0, std::min(text.find('\0'), text.size())));
  }
  return texts;
}

}  // namespace

namespace {

hid_t create_file(const std::string& path, hid_t access, bool ordered) {
  be_silent();
  errno = 0;
  const Handle properties(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  if (ordered) H5Pset_link_creation_order(properties, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, properties, access);
  if (id < 0) {
    const std::string why = errno ? std::strerror(errno) : reason();
    H5Eclear2(H5E_DEFAULT);
    throw ResourceExhaustedError("cannot make the file '" + path + "': " + why, "hdf5");
  }
  return id;
}

}  // namespace

File File::create(const std::string& path) { return File(create_file(path, H5P_DEFAULT, true), path); }

File File::create_in(Memory& memory, const std::string& name) {
  const Handle access(memory.access(), H5Pclose);
  File file(create_file(name, access, false), name);
  file.ordered_ = false;
  return file;
}

File File::open(const std::string& path) {
  be_silent();
  const std::int64_t bytes = require_file(path);
  const hid_t id = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  if (id < 0) throw DataLossError("'" + path + "' is no HDF5 file, or damaged: " + reason(), "hdf5");
  return File(id, path, bytes);
}

File File::open_image(const std::string& bytes, const std::string& name) {
  be_silent();
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fapl_core(access, 1 << 16, false);
  std::string copy = bytes;  // HDF5 wants to be allowed to write to it, and copies it itself
  const hid_t id = H5Pset_file_image(access, copy.data(), copy.size()) < 0 ? -1 : H5Fopen(name.c_str(), H5F_ACC_RDONLY, access);
  if (id < 0) throw DataLossError("'" + name + "' is no HDF5 file, or damaged: " + reason(), "hdf5");
  return File(id, name, std::int64_t(bytes.size()));
}

File::File(File&& other) noexcept : id_(std::exchange(other.id_, -1)), path_(std::move(other.path_)), bytes_(other.bytes_), ordered_(other.ordered_), made_(std::move(other.made_)) {}
File& File::operator=(File&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  std::swap(ordered_, other.ordered_);
  std::swap(made_, other.made_);
  return *this;
}
File::~File() {
  if (id_ >= 0) H5Fclose(id_);
}

void File::close() {
  const hid_t id = std::exchange(id_, -1);
  if (id < 0) return;
  errno = 0;
  const bool flushed = H5Fflush(id, H5F_SCOPE_GLOBAL) >= 0;
  const int why = errno;
  if (H5Fclose(id) < 0 || !flushed) {
    const std::string text = why ? std::strerror(why) : reason();
    H5Eclear2(H5E_DEFAULT);
    throw ResourceExhaustedError("cannot write '" + path_ + "' in full: " + text, "hdf5");
  }
}

void File::make_group(const std::string& path) {
  be_silent();
  std::string so_far;
  for (const std::string& part : parts_of(path)) {
    so_far += "/" + part;
    if (!made_.insert(so_far).second || H5Lexists(id_, so_far.c_str(), H5P_DEFAULT) > 0) continue;
    const Handle properties(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
    if (ordered_) H5Pset_link_creation_order(properties, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    const Handle group(H5Gcreate2(id_, so_far.c_str(), H5P_DEFAULT, properties, H5P_DEFAULT), H5Gclose);
    if (group < 0) throw ResourceExhaustedError("cannot make the group '" + so_far + "' in '" + path_ + "': " + reason(), "hdf5");
  }
}

namespace {

Handle space_of(const Shape& shape) {
  std::vector<hsize_t> sizes;
  for (int i = 0; i < shape.ndim(); ++i) sizes.push_back(hsize_t(shape[i]));
  return Handle(sizes.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(int(sizes.size()), sizes.data(), nullptr), H5Sclose);
}

/// Empty if that is the root.
std::string parent_of(const std::string& path) { return path.find('/') == std::string::npos ? std::string() : path.substr(0, path.rfind('/')); }

}  // namespace

std::int64_t File::reserve(const std::string& path, const TensorSpec& spec) {
  be_silent();
  make_group(parent_of(path));
  const Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
  const Handle dataset(H5Dcreate2(id_, path.c_str(), type_of(spec.dtype), space_of(spec.shape), H5P_DEFAULT, properties, H5P_DEFAULT), H5Dclose);
  const haddr_t offset = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
  if (dataset < 0 || (offset == HADDR_UNDEF && spec.shape.numel() > 0)) throw ResourceExhaustedError("cannot make '" + path + "' in '" + path_ + "': " + reason(), "hdf5");
  if (spec.dtype == bfloat16) set_attribute(path, "dtype", std::string("bfloat16"));
  H5Eclear2(H5E_DEFAULT);
  return offset == HADDR_UNDEF ? 0 : std::int64_t(offset);
}

void File::write(const std::string& path, const Tensor& tensor) {
  be_silent();
  make_group(parent_of(path));
  const Handle type = type_of(tensor.dtype());
  const Handle dataset(H5Dcreate2(id_, path.c_str(), type, space_of(tensor.shape()), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
  errno = 0;
  if (dataset < 0 || (tensor.numel() > 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.host_raw()) < 0)) {
    const std::string why = errno ? std::strerror(errno) : reason();
    H5Eclear2(H5E_DEFAULT);
    throw ResourceExhaustedError("cannot write '" + path + "' to '" + path_ + "': " + why, "hdf5");
  }
  if (tensor.dtype() == bfloat16) set_attribute(path, "dtype", std::string("bfloat16"));
}

namespace {

/// An open dataset with what it claims to be, judged against the file.
struct Dataset {
  Handle dataset, type, space;
  TensorSpec spec;
};

Dataset open_dataset(hid_t file, const std::string& file_path, std::int64_t file_bytes, const std::string& path) {
  const std::string where = "dataset '" + path + "' of '" + file_path + "'";
  Handle dataset(H5Dopen2(file, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (dataset < 0) throw DataLossError(where + " cannot be opened: " + reason(), "hdf5");
  const Handle layout(H5Dget_create_plist(dataset), H5Pclose);
  if (H5Pget_layout(layout) == H5D_VIRTUAL || H5Pget_external_count(layout) > 0) throw DataLossError(where + " keeps its data in other files, which are not opened", "hdf5");
  Handle type(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose);
  const int ndim = H5Sget_simple_extent_ndims(space);
  if (ndim < 0 || ndim > Shape::kMaxDims) throw DataLossError(where + " has " + std::to_string(ndim) + " axes", "hdf5");
  std::vector<hsize_t> sizes(static_cast<std::size_t>(ndim));
  H5Sget_simple_extent_dims(space, sizes.data(), nullptr);
  TensorSpec spec;
  spec.dtype = H5Tget_class(type) == H5T_STRING ? string : dtype_of(type, where);
  hsize_t bytes = H5Tget_size(type);
  for (const hsize_t size : sizes) {
    if (size > hsize_t(std::numeric_limits<std::int64_t>::max()) || (size > 0 && bytes > hsize_t(std::numeric_limits<std::int64_t>::max()) / size)) throw DataLossError(where + " claims a shape that overflows", "hdf5");
    bytes *= size;
    spec.shape.push_back(std::int64_t(size));
  }
  // Data that are not compressed take the place that they take; compressed ones at most so much less.
  if (std::int64_t(bytes) / kMostInflation > file_bytes || (H5Dget_storage_size(dataset) == 0 && bytes > 0 && spec.dtype != string))
    throw DataLossError(where + " claims " + std::to_string(bytes) + " bytes, more than the file holds", "hdf5");
  return {std::move(dataset), std::move(type), std::move(space), spec};
}

void require_range(std::int64_t begin, std::int64_t end, std::int64_t elements, const std::string& where) {
  if (begin < 0 || end < begin || end > elements) throw DataLossError(where + " has " + std::to_string(elements) + " elements, not [" + std::to_string(begin) + ", " + std::to_string(end) + ")", "hdf5");
}

}  // namespace

std::int64_t File::offset(const std::string& path) const {
  const haddr_t offset = H5Dget_offset(open_dataset(id_, path_, bytes_, path).dataset);
  H5Eclear2(H5E_DEFAULT);
  return offset == HADDR_UNDEF ? 0 : std::int64_t(offset);
}
TensorSpec File::spec(const std::string& path) const {
  be_silent();
  if (!contains(path)) throw NotFoundError("'" + path_ + "' has no dataset '" + path + "'", "hdf5");
  TensorSpec spec = open_dataset(hid_t(id_), path_, bytes_, path).spec;
  if (spec.dtype == uint16 && has_attribute(path, "dtype") && attribute(path, "dtype") == "bfloat16") spec.dtype = bfloat16;
  return spec;
}

Tensor File::read(const std::string& path) const {
  const TensorSpec known = spec(path);
  const Dataset found = open_dataset(hid_t(id_), path_, bytes_, path);
  if (known.dtype == string) throw TypeError("dataset '" + path + "' of '" + path_ + "' holds texts", "hdf5");
  Tensor tensor = Tensor::empty(known.shape, known.dtype);
  if (tensor.numel() > 0 && H5Dread(found.dataset, type_of(known.dtype), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.mutable_raw()) < 0)
    throw DataLossError("dataset '" + path + "' of '" + path_ + "' cannot be read: " + reason(), "hdf5");
  require_truth_values(tensor, "dataset '" + path + "' of '" + path_ + "'");
  return tensor;
}

Tensor File::read(const std::string& path, std::int64_t begin, std::int64_t end) const {
  const TensorSpec known = spec(path);
  require_range(begin, end, known.shape.numel(), "dataset '" + path + "' of '" + path_ + "'");
  Tensor tensor = Tensor::empty({end - begin}, known.dtype);
  read_into(path, begin, end, tensor.mutable_raw());
  return tensor;
}

void File::read_into(const std::string& path, std::int64_t begin, std::int64_t end, void* target) const {
  const std::string where = "dataset '" + path + "' of '" + path_ + "'";
  const TensorSpec known = spec(path);
  const Dataset found = open_dataset(hid_t(id_), path_, bytes_, path);
  require_range(begin, end, known.shape.numel(), where);
  if (known.dtype == string) throw TypeError(where + " holds texts", "hdf5");
  if (begin == end) return;
  const bool whole = begin == 0 && end == known.shape.numel();
  if (!whole && known.shape.ndim() != 1) {
    const std::size_t size = itemsize(known.dtype);
    std::memcpy(target, static_cast<const std::byte*>(read(path).raw()) + std::size_t(begin) * size, std::size_t(end - begin) * size);
    return;
  }
  const hsize_t start = hsize_t(begin), count = hsize_t(end - begin);
  const Handle memory(H5Screate_simple(1, &count, nullptr), H5Sclose);
  if (!whole) H5Sselect_hyperslab(found.space, H5S_SELECT_SET, &start, nullptr, &count, nullptr);
  if (H5Dread(found.dataset, type_of(known.dtype), memory, found.space, H5P_DEFAULT, target) < 0) throw DataLossError(where + " cannot be read: " + reason(), "hdf5");
  require_truth_values(Tensor::borrow(target, {end - begin}, known.dtype, {}), where);
}

bool File::contains(const std::string& path) const {
  be_silent();
  return has_path(hid_t(id_), path);
}

void File::write_text(const std::string& path, const std::string& text) {
  be_silent();
  const std::size_t slash = path.rfind('/');
  if (slash != std::string::npos && slash > 0) make_group(path.substr(0, slash));
  const Handle type = fixed_text(text.size()), space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle dataset(H5Dcreate2(id_, path.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Dclose);
  const std::string padded = text.empty() ? std::string(1, '\0') : text;
  if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, padded.data()) < 0) throw ResourceExhaustedError("cannot write '" + path + "' to '" + path_ + "': " + reason(), "hdf5");
}

std::string File::read_text(const std::string& path) const {
  be_silent();
  if (!contains(path)) throw NotFoundError("'" + path_ + "' has no text '" + path + "'", "hdf5");
  const Handle dataset(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (dataset < 0) throw DataLossError("'" + path + "' of '" + path_ + "' is no text", "hdf5");
  const Handle type(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose);
  const std::vector<std::string> texts = texts_of(type, space, "'" + path + "' of '" + path_ + "'", bytes_,
                                                  [&](hid_t memory, void* into) { return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, into); });
  if (texts.size() != 1) throw DataLossError("'" + path + "' of '" + path_ + "' is a list of " + std::to_string(texts.size()) + " texts", "hdf5");
  return texts[0];
}

std::vector<File::Entry> File::entries(const std::string& group) const {
  be_silent();
  if (group != "/" && !contains(group)) throw NotFoundError("'" + path_ + "' has no group '" + group + "'", "hdf5");
  const Handle opened(H5Gopen2(id_, group.c_str(), H5P_DEFAULT), H5Gclose);
  if (opened < 0) throw DataLossError("'" + group + "' of '" + path_ + "' is no group", "hdf5");
  std::vector<Entry> result;
  const auto add = [](hid_t parent, const char* name, const H5L_info_t*, void* into) -> herr_t {
    const Handle object(H5Oopen(parent, name, H5P_DEFAULT), H5Oclose);
    if (object >= 0) static_cast<std::vector<Entry>*>(into)->push_back({name, H5Iget_type(object) == H5I_GROUP});
    return 0;
  };
  if (H5Literate(opened, H5_INDEX_CRT_ORDER, H5_ITER_INC, nullptr, add, &result) < 0) {
    H5Eclear2(H5E_DEFAULT);
    result.clear();
    if (H5Literate(opened, H5_INDEX_NAME, H5_ITER_INC, nullptr, add, &result) < 0) throw DataLossError("group '" + group + "' of '" + path_ + "' cannot be read: " + reason(), "hdf5");
  }
  return result;
}

void File::set_attribute(const std::string& path, const std::string& name, const std::string& text) {
  be_silent();
  if (text.size() > kMostAttributeBytes) {
    const Handle type(H5Tcopy(H5T_C_S1), H5Tclose), space(H5Screate(H5S_SCALAR), H5Sclose);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const Handle attribute(H5Acreate_by_name(id_, path.c_str(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    const char* pointer = text.c_str();
    if (attribute < 0 || H5Awrite(attribute, type, &pointer) < 0) throw ResourceExhaustedError("cannot write attribute '" + name + "' of '" + path + "' in '" + path_ + "': " + reason(), "hdf5");
    return;
  }
  const Handle type = fixed_text(text.size()), space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate_by_name(id_, path.c_str(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const std::string padded = text.empty() ? std::string(1, '\0') : text;
  if (attribute < 0 || H5Awrite(attribute, type, padded.data()) < 0) throw ResourceExhaustedError("cannot write attribute '" + name + "' of '" + path + "' in '" + path_ + "': " + reason(), "hdf5");
}

void File::set_attribute(const std::string& path, const std::string& name, const std::vector<std::string>& texts) {
  be_silent();
  std::size_t longest = 1;
  for (const std::string& each : texts) longest = std::max(longest, each.size());
  std::string all;
  for (const std::string& each : texts) all += each + std::string(longest - each.size(), '\0');
  const hsize_t count = texts.size();
  const Handle type = fixed_text(longest), space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Handle attribute(H5Acreate_by_name(id_, path.c_str(), name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (attribute < 0 || (count > 0 && H5Awrite(attribute, type, all.data()) < 0)) throw ResourceExhaustedError("cannot write attribute '" + name + "' of '" + path + "' in '" + path_ + "': " + reason(), "hdf5");
}

bool File::has_attribute(const std::string& path, const std::string& name) const {
  be_silent();
  const bool has = (path == "/" || contains(path)) && H5Aexists_by_name(id_, path.c_str(), name.c_str(), H5P_DEFAULT) > 0;
  H5Eclear2(H5E_DEFAULT);
  return has;
}

std::vector<std::string> File::attribute_list(const std::string& path, const std::string& name) const {
  if (!has_attribute(path, name)) throw NotFoundError("'" + path + "' of '" + path_ + "' has no attribute '" + name + "'", "hdf5");
  const Handle attribute(H5Aopen_by_name(id_, path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const Handle type(H5Aget_type(attribute), H5Tclose), space(H5Aget_space(attribute), H5Sclose);
  if (H5Sget_simple_extent_npoints(space) == 0) return {};  // h5py does not know of what an empty list is, and says float64
  return texts_of(type, space, "attribute '" + name + "' of '" + path + "' in '" + path_ + "'", bytes_, [&](hid_t memory, void* into) { return H5Aread(attribute, memory, into); });
}

std::string File::attribute(const std::string& path, const std::string& name) const {
  const std::vector<std::string> texts = attribute_list(path, name);
  if (texts.size() != 1) throw DataLossError("attribute '" + name + "' of '" + path + "' in '" + path_ + "' is a list of " + std::to_string(texts.size()) + " texts", "hdf5");
  return texts[0];
}

}  // namespace lockstep::io::hdf5
