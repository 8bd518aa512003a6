// The bytes of a TFRecord file, and of the examples in it.
#include <fstream>

#include <lockstep/io/example.h>
#include <lockstep/io/readers.h>
#include <lockstep/io/tfrecord.h>

#include "fuzz.h"

using namespace lockstep;

namespace {

const io::ExampleSchema& schema() {
  static const io::ExampleSchema features = {{"x", io::FixedLenFeature{.shape = {3}}}, {"n", io::VarLenFeature{int64}}, {"s", io::RaggedFeature{string}}};
  return features;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // As one example, whose bytes no checksum guards.
  fuzz::read([&] { io::parse_single_example(std::string_view(reinterpret_cast<const char*>(data), size), schema()); });
  // As a file of records, of which the damaged ones are passed over.
  const fuzz::Name name(".tfrecord");
  std::ofstream(name.path, std::ios::binary | std::ios::trunc).write(reinterpret_cast<const char*>(data), std::streamsize(size));
  fuzz::read([&] {
    const auto records = io::tfrecord_files({name.path}).map([](const Tensor& record) { return io::parse_single_example(record, schema()); }).ignore_errors();
    io::Iterator iterator = records.iterate();
    for (Tensors element; iterator.next(element);) {}
  });
  fuzz::read([&] { io::tfrecord_files({name.path}).skip(2).reduce(Tensors{}, [](const Tensors& state, const Tensors&) { return state; }); });
  return 0;
}
