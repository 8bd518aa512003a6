#include <lockstep/io/hdf5/memory.h>

#include <hdf5.h>

#include <algorithm>
#include <cstring>
#include <memory>

namespace lockstep::io::hdf5 {
namespace {

/// What H5Pset_driver hands on to open.
struct Access {
  Memory* memory;
};

/// An open file, as HDF5's drivers have it: its own part first.
struct Open {
  H5FD_t base;
  Memory* memory;
  haddr_t end;  // of what is allocated
};
Open* self(H5FD_t* file) { return reinterpret_cast<Open*>(file); }
const Open* self(const H5FD_t* file) { return reinterpret_cast<const Open*>(file); }

H5FD_t* open(const char*, unsigned, hid_t access, haddr_t) {
  const auto* given = static_cast<const Access*>(H5Pget_driver_info(access));
  auto* file = new (std::nothrow) Open{};
  if (!file || !given) return nullptr;
  file->memory = given->memory;
  return &file->base;
}
herr_t close(H5FD_t* file) { return delete self(file), 0; }
herr_t query(const H5FD_t*, unsigned long* flags) {
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_AGGREGATE_SMALLDATA;
  return 0;
}
haddr_t get_end(const H5FD_t* file, H5FD_mem_t) { return self(file)->end; }
herr_t set_end(H5FD_t* file, H5FD_mem_t, haddr_t end) { return self(file)->end = end, 0; }
haddr_t size_of(const H5FD_t* file, H5FD_mem_t) { return haddr_t(self(file)->memory->size()); }
herr_t read(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, std::size_t count, void* into) {
  self(file)->memory->read(std::int64_t(at), count, static_cast<char*>(into));
  return 0;
}
herr_t write(H5FD_t* file, H5FD_mem_t, hid_t, haddr_t at, std::size_t count, const void* from) {
  try {
    self(file)->memory->write(std::int64_t(at), count, static_cast<const char*>(from));
  } catch (const std::bad_alloc&) {  // nothing may fly through HDF5
    return -1;
  }
  return 0;
}
herr_t truncate(H5FD_t* file, hid_t, hbool_t) {
  self(file)->memory->resize(std::int64_t(self(file)->end));
  return 0;
}

hid_t driver() {
  static const hid_t id = [] {
    H5FD_class_t driver{};
    driver.name = "lockstep_memory";
    driver.maxaddr = haddr_t(1) << 62;
    driver.fc_degree = H5F_CLOSE_WEAK;
    driver.fapl_size = sizeof(Access);
    driver.open = open;
    driver.close = close;
    driver.query = query;
    driver.get_eoa = get_end;
    driver.set_eoa = set_end;
    driver.get_eof = size_of;
    driver.read = read;
    driver.write = write;
    driver.truncate = truncate;
    const H5FD_mem_t lists[] = H5FD_FLMAP_DICHOTOMY;
    std::copy(std::begin(lists), std::end(lists), driver.fl_map);
    return H5FDregister(&driver);
  }();
  return id;
}

}  // namespace

std::int64_t Memory::access() {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  const Access info{this};
  H5Pset_driver(access, driver(), &info);
  return access;
}

std::string Memory::bytes(std::int64_t begin, std::int64_t end) const {
  std::string bytes(static_cast<std::size_t>(end - begin), '\0');
  read(begin, bytes.size(), bytes.data());
  return bytes;
}

void Memory::read(std::int64_t at, std::size_t count, char* into) const {
  while (count > 0) {
    const std::int64_t within = at % kPage;
    const std::size_t here = std::min(count, std::size_t(kPage - within));
    if (const auto page = pages_.find(at / kPage); page != pages_.end()) std::memcpy(into, page->second.data() + within, here);
    else std::memset(into, 0, here);
    at += std::int64_t(here), into += here, count -= here;
  }
}

void Memory::write(std::int64_t at, std::size_t count, const char* from) {
  size_ = std::max(size_, at + std::int64_t(count));
  while (count > 0) {
    const std::int64_t within = at % kPage;
    const std::size_t here = std::min(count, std::size_t(kPage - within));
    std::memcpy(pages_[at / kPage].data() + within, from, here);
    at += std::int64_t(here), from += here, count -= here;
  }
}

}  // namespace lockstep::io::hdf5
