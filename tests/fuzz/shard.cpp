// HDF5 as shards have it, and as they should not: everything in the file is read, by name and by parts.
#include <lockstep/io/hdf5/file.h>
#include <lockstep/io/hdf5/memory.h>
#include <lockstep/tensor/constant.h>

#include "fuzz.h"
#include "hdf5_changes.h"

using namespace lockstep;

namespace {

std::string shard() {
  io::hdf5::Memory memory;
  io::hdf5::File file = io::hdf5::File::create_in(memory, "shard");
  file.write("/state/kernel", zeros({2, 3}));
  file.write("/state/bias", zeros({3}));
  file.write("/state/flags", ones({4}, boolean));
  file.write("/state/half", zeros({4}, bfloat16));
  file.write("/state/pairs", zeros({2}, complex64));
  file.write("/state/step", zeros({}, int64));
  file.write("/state/nothing", zeros({0, 2}));
  file.write_text("/config/model", "{}");
  file.close();
  return memory.bytes(0, memory.size());
}

void read_all(const io::hdf5::File& file, const std::string& group, int depth) {
  for (const io::hdf5::File::Entry& entry : file.entries(group)) {
    const std::string path = (group == "/" ? "" : group) + "/" + entry.name;
    fuzz::read([&] { file.attribute(path, "dtype"); });
    fuzz::read([&] { file.attribute_list(path, "layer_names"); });
    if (entry.group) {
      // (A group that holds itself has no end.)
      if (depth < 6) fuzz::read([&] { read_all(file, path, depth + 1); });
      continue;
    }
    fuzz::read([&] { file.read_text(path); });
    fuzz::read([&] { file.read(path); });
    fuzz::read([&] {
      const std::int64_t count = file.spec(path).shape.numel();
      file.read(path, count / 3, count - count / 4);
    });
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const std::string whole = shard();
  FuzzedDataProvider bytes(data, size);
  const std::string changed = fuzz::with_changes(whole, bytes);
  fuzz::read([&] { read_all(io::hdf5::File::open_image(changed, "shard"), "/", 0); });
  return 0;
}
