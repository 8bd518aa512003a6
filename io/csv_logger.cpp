#include <lockstep/io/csv_logger.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include <lockstep/dist/world.h>
#include <lockstep/io/csv.h>
#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep::io {
namespace {

/// With as few digits as read back to the same number.
std::string text_of(double value) {
  if (std::isnan(value)) return "nan";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string quoted(const std::string& field, char separator) {
  if (field.find_first_of(std::string("\"\r\n") + separator) == std::string::npos) return field;
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

}  // namespace

CSVLogger::CSVLogger(std::string path, CSVLoggerOptions options) : path_(std::move(path)), options_(options) {
  if (options_.separator == '"' || options_.separator == '\n' || options_.separator == '\r') throw InvalidArgumentError("a quote or the end of a line cannot be the separator", "CSVLogger");
}

void CSVLogger::on_train_begin() {
  if (!dist::is_chief()) return;
  columns_.clear();
  file_ = {};
  const std::optional<std::int64_t> resumed = params().resumed_in;
  const bool goes_on = options_.append || resumed;
  std::string before;
  if (goes_on && std::filesystem::exists(path_)) before = read_file(path_);
  if (resumed && before.find('\n') == std::string::npos) before.clear();  // killed in the first line
  if (!before.empty()) {
    columns_ = parse_csv(before.substr(0, before.find('\n')), {.delimiter = options_.separator}, path_).names();
    if (columns_.empty() || columns_[0] != "epoch") throw DataLossError("'" + path_ + "' is no log to go on with: its first column is not 'epoch'", "CSVLogger");
    columns_.erase(columns_.begin());
    if (resumed) before.resize(kept_bytes(before, *resumed));
  }
  errno = 0;
  if (resumed && std::filesystem::exists(path_)) std::filesystem::resize_file(path_, before.size());
  file_.open(path_, std::ios::binary | (goes_on ? std::ios::app : std::ios::trunc));
  if (!file_) throw NotFoundError("cannot open '" + path_ + "': " + std::strerror(errno), "CSVLogger");
  // A run that was killed may have left half a line.
  if (!before.empty() && before.back() != '\n') file_ << '\n';
}

std::size_t CSVLogger::kept_bytes(const std::string& text, std::int64_t epoch) const {
  // A line that does not end is of the moment of a kill.
  std::size_t kept = text.rfind('\n') + 1;
  // In the first epoch nothing tells this training's lines from those of an earlier one that it was appended to.
  if (epoch == 0 && options_.append) return kept;
  const std::size_t header = text.find('\n') + 1;
  for (std::int64_t below = std::numeric_limits<std::int64_t>::max(); kept > header;) {
    const std::size_t line = text.rfind('\n', kept - 2) + 1;
    std::int64_t number = -1;
    std::from_chars(text.data() + line, text.data() + kept, number);
    if (number < epoch || number >= below) break;  // what is kept, or an earlier training
    below = number;
    kept = line;
  }
  return kept;
}

void CSVLogger::on_epoch_end(std::int64_t epoch, nn::Logs& logs) {
  if (!dist::is_chief()) return;
  if (columns_.empty()) {
    for (const auto& [name, value] : logs) columns_.push_back(name);
    if (std::none_of(columns_.begin(), columns_.end(), [](const std::string& name) { return name.starts_with("val_"); })) {
      const std::size_t count = columns_.size();
      for (std::size_t i = 0; i < count; ++i) columns_.push_back("val_" + columns_[i]);
    }
    std::vector<std::string> header = {"epoch"};
    header.insert(header.end(), columns_.begin(), columns_.end());
    write(header);
  }
  std::vector<std::string> fields = {std::to_string(epoch)};
  for (const std::string& name : columns_) {
    const std::optional<double> value = logs.find(name);
    fields.push_back(value ? text_of(*value) : "NA");
  }
  write(fields);
}

void CSVLogger::write(const std::vector<std::string>& fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i) file_ << options_.separator;
    file_ << quoted(fields[i], options_.separator);
  }
  errno = 0;
  file_ << '\n'
        << std::flush;
  if (!file_) throw ResourceExhaustedError("cannot write to '" + path_ + "': " + std::strerror(errno), "CSVLogger");
}

void CSVLogger::on_train_end(const nn::Logs&) { file_.close(); }

}  // namespace lockstep::io
