#pragma once
// A CSV file of what a training showed, a line per epoch.

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <lockstep/nn/callback.h>

namespace lockstep::io {

struct CSVLoggerOptions {
  char separator = ',';
  /// Go on with a file that is there, in its columns.
  bool append = false;
};

/// Writes the epoch and the logs of each epoch to a file (keras.callbacks.CSVLogger). The columns are the names that the first epoch logs,
/// sorted; if there is none of validation among them, "val_" columns follow, for validation that comes later. What an epoch does not log
/// is "NA". Numbers read back as they were. A resumed fit goes on with the file that is there, without the lines of the epochs that it does again.
class CSVLogger : public nn::Callback {
 public:
  explicit CSVLogger(std::string path, CSVLoggerOptions options = {});

  /// Opens the file. Throws NotFoundError if it cannot be opened, DataLossError if the one to go on with has no column "epoch".
  void on_train_begin() override;
  /// Throws ResourceExhaustedError if the line cannot be written.
  void on_epoch_end(std::int64_t epoch, nn::Logs& logs) override;
  void on_train_end(const nn::Logs& logs) override;

 private:
  void write(const std::vector<std::string>& fields);
  std::size_t kept_bytes(const std::string& text, std::int64_t epoch) const;

  std::string path_;
  CSVLoggerOptions options_;
  std::ofstream file_;
  std::vector<std::string> columns_;  // without the epoch; empty: to be taken from the first epoch
};

}  // namespace lockstep::io
