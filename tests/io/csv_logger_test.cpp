// The file that CSVLogger writes, driven by hand.

#include <lockstep/io/csv_logger.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <lockstep/io/csv.h>
#include <lockstep/nn/sequential.h>
#include <lockstep/tensor/base/error.h>

#include "files.h"

namespace lockstep::io {
namespace {

using Entries = std::vector<std::pair<std::string, double>>;

/// A training of these epochs, the first of which has the number `first`.
void train(CSVLogger& logger, const std::vector<Entries>& epochs, std::int64_t first = 0) {
  logger.on_train_begin();
  for (const Entries& entries : epochs) {
    nn::Logs logs;
    for (const auto& [name, value] : entries) logs.set(name, value);
    logger.on_epoch_end(first++, logs);
  }
  logger.on_train_end({});
}

TEST(CsvLogger, WritesALineForEachEpochWithSortedNames) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"));
  train(logger, {{{"val_loss", 0.75}, {"loss", 0.5}, {"accuracy", 1}}, {{"val_loss", 0.625}, {"loss", 0.25}, {"accuracy", 0}}});
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch,accuracy,loss,val_loss\n0,1,0.5,0.75\n1,0,0.25,0.625\n");
}

TEST(CsvLogger, KeepsColumnsForValidationThatComesLater) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"));
  train(logger, {{{"loss", 4}}, {{"loss", 2}, {"val_loss", 3}}});
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch,loss,val_loss\n0,4,NA\n1,2,3\n");
}

TEST(CsvLogger, WritesNumbersThatReadBackAsTheyWere) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"));
  const std::vector<double> values = {0.1, 1.0 / 3, -2e-300, 123456789.123456789, std::numeric_limits<double>::infinity()};
  std::vector<Entries> epochs;
  for (const double value : values) epochs.push_back({{"loss", value}, {"val_loss", -value}});
  train(logger, epochs);
  const CsvTable table = read_csv(folder.path("log.csv"), {.columns = {{.name = "loss", .dtype = float64}}});
  EXPECT_EQ(table.column("loss").to_vector<double>(), values);
}

TEST(CsvLogger, WritesNaNWithoutASign) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"));
  train(logger, {{{"loss", -std::nan("")}, {"val_loss", std::nan("")}}});
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch,loss,val_loss\n0,nan,nan\n");
}

TEST(CsvLogger, SeparatesAsAskedAndQuotesNamesThatNeedIt) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"), {.separator = ';'});
  train(logger, {{{"a;b", 1}, {"c\"d", 2}, {"val_a,b", 3}}});
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch;\"a;b\";\"c\"\"d\";val_a,b\n0;1;2;3\n");
}

TEST(CsvLogger, ReplacesTheFileOfAnEarlierTraining) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"));
  train(logger, {{{"loss", 1}, {"val_loss", 1}}});
  train(logger, {{{"mae", 2}, {"val_mae", 2}}});
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch,mae,val_mae\n0,2,2\n");
}

TEST(CsvLogger, GoesOnInTheColumnsOfTheFileItAppendsTo) {
  const Folder folder;
  const std::string path = folder.write("log.csv", "epoch,loss,mae,val_loss\r\n0,4,5,6\r\n");
  CSVLogger logger(path, {.append = true});
  train(logger, {{{"loss", 1}, {"val_loss", 2}, {"other", 3}}}, 1);
  EXPECT_EQ(bytes_of(path), "epoch,loss,mae,val_loss\r\n0,4,5,6\r\n1,1,NA,2\n");
}

TEST(CsvLogger, StartsALineOfItsOwnBehindHalfALine) {
  const Folder folder;
  const std::string path = folder.write("log.csv", "epoch,loss\n0,4\n1,");
  CSVLogger logger(path, {.append = true});
  train(logger, {{{"loss", 2}}}, 1);
  EXPECT_EQ(bytes_of(path), "epoch,loss\n0,4\n1,\n1,2\n");
}

TEST(CsvLogger, AppendsToNothingWithAHeader) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"), {.append = true});
  train(logger, {{{"loss", 2}, {"val_loss", 3}}});
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch,loss,val_loss\n0,2,3\n");
}

/// What is in the file after a training of one epoch that was resumed in the epoch `first`.
std::string resumed(const std::string& before, std::int64_t first, CSVLoggerOptions options = {}) {
  const Folder folder;
  const std::string path = folder.write("log.csv", before);
  CSVLogger logger(path, options);
  nn::Sequential model;
  logger.attach(model, {.resumed_in = first});
  train(logger, {{{"loss", 9}, {"val_loss", 9}}}, first);
  return bytes_of(path);
}

TEST(CsvLogger, DropsTheLinesOfEpochsThatAResumedTrainingDoesAgain) {
  EXPECT_EQ(resumed("epoch,loss\n0,4\n1,5\n2,6\n3,7\n", 2), "epoch,loss\n0,4\n1,5\n2,9\n");
  EXPECT_EQ(resumed("epoch,loss\n0,4\n1,5\n", 0), "epoch,loss\n0,9\n");
  EXPECT_EQ(resumed("epoch,loss\n0,4\n1,", 1), "epoch,loss\n0,4\n1,9\n");
  EXPECT_EQ(resumed("epoch,lo", 0), "epoch,loss,val_loss\n0,9,9\n");
  EXPECT_EQ(resumed("", 0), "epoch,loss,val_loss\n0,9,9\n");
}

TEST(CsvLogger, LeavesTheLinesOfAnEarlierTrainingWhereItAppends) {
  EXPECT_EQ(resumed("epoch,loss\n0,1\n1,2\n0,4\n1,5\n", 1, {.append = true}), "epoch,loss\n0,1\n1,2\n0,4\n1,9\n");
  EXPECT_EQ(resumed("epoch,loss\n0,1\n1,2\n", 0, {.append = true}), "epoch,loss\n0,1\n1,2\n0,9\n");
}

TEST(CsvLogger, WritesEachLineWhenItsEpochEnds) {
  const Folder folder;
  CSVLogger logger(folder.path("log.csv"));
  logger.on_train_begin();
  nn::Logs logs;
  logs.set("val_loss", 1);
  logger.on_epoch_end(0, logs);
  EXPECT_EQ(bytes_of(folder.path("log.csv")), "epoch,val_loss\n0,1\n");
}

TEST(CsvLogger, NamesPathAndReasonOfAFileThatCannotBeOpened) {
  const Folder folder;
  CSVLogger logger(folder.path("missing/log.csv"));
  const std::string message = message_of<NotFoundError>([&] { logger.on_train_begin(); });
  EXPECT_NE(message.find("missing/log.csv': No such file or directory"), std::string::npos) << message;
}

TEST(CsvLogger, NamesPathAndReasonOfAFileThatCannotBeWritten) {
  CSVLogger logger("/dev/full");
  const std::string message = message_of<ResourceExhaustedError>([&] { train(logger, {{{"loss", 1}}}); });
  EXPECT_NE(message.find("/dev/full': No space left on device"), std::string::npos) << message;
}

TEST(CsvLogger, DoesNotAppendToAFileThatIsNoLog) {
  const Folder folder;
  const std::string path = folder.write("cars.csv", "speed,distance\n4,2\n");
  CSVLogger logger(path, {.append = true});
  const std::string message = message_of<DataLossError>([&] { logger.on_train_begin(); });
  EXPECT_NE(message.find("cars.csv"), std::string::npos) << message;
  EXPECT_EQ(bytes_of(path), "speed,distance\n4,2\n");
}

TEST(CsvLogger, RefusesAQuoteAsTheSeparator) { EXPECT_THROW(CSVLogger("log.csv", {.separator = '"'}), InvalidArgumentError); }

}  // namespace
}  // namespace lockstep::io
