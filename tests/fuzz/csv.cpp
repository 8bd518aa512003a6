// The text of a CSV file, as a table and record by record.
#include <fstream>

#include <lockstep/io/csv.h>
#include <lockstep/io/readers.h>

#include "fuzz.h"

using namespace lockstep;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  fuzz::read([&] { io::parse_csv(text, {.header = size % 2 == 0}); });
  const io::CsvRowOptions options{.fields = {io::CsvField(int64), io::CsvField(1.f), io::CsvField("none")}, .header = size % 2 == 0};
  fuzz::read([&] { io::decode_csv(text, options); });
  const fuzz::Name name(".csv");
  std::ofstream(name.path, std::ios::binary | std::ios::trunc).write(text.data(), std::streamsize(size));
  fuzz::read([&] {
    io::Iterator iterator = io::csv_rows({name.path}, options).ignore_errors().iterate();
    for (Tensors element; iterator.next(element);) {}
  });
  return 0;
}
