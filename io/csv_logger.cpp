#include <lockstep/io/csv_logger.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>

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
  std::string before;
  if (options_.append && std::filesystem::exists(path_)) before = read_file(path_);
  errno = 0;
  file_.open(path_, std::ios::binary | (options_.append ? std::ios::app : std::ios::trunc));
  if (!file_) throw NotFoundError("cannot open '" + path_ + "': " + std::strerror(errno), "CSVLogger");
  if (before.empty()) return;
  const std::string header = before.substr(0, before.find('\n'));
  columns_ = parse_csv(header, {.delimiter = options_.separator}, path_).names();
  if (columns_.empty() || columns_[0] != "epoch") throw DataLossError("'" + path_ + "' is no log to go on with: its first column is not 'epoch'", "CSVLogger");
  columns_.erase(columns_.begin());
  // A run that was killed may have left half a line.
  if (before.back() != '\n') file_ << '\n';
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
  file_ << '\n' << std::flush;
  if (!file_) throw ResourceExhaustedError("cannot write to '" + path_ + "': " + std::strerror(errno), "CSVLogger");
}

void CSVLogger::on_train_end(const nn::Logs&) { file_.close(); }

}  // namespace lockstep::io
