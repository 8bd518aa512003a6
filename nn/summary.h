#pragma once
// The table that Model::summary shows, as Keras 3 prints it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace lockstep::nn {

/// One layer of the table.
struct SummaryRow {
  std::string name, class_name;
  /// "(None, 10)"; "?" if nobody knows it.
  std::string output_shape = "?";
  /// Number of parameters; none: the layer is not built.
  std::optional<std::int64_t> params = {};
  /// None: the layer has no weights.
  std::optional<bool> trainable = {};
  /// "dense_1[0][0]", for graphs.
  std::vector<std::string> connected_to = {};
};

/// How many parameters there are, and how large they are.
struct ParamCount {
  std::int64_t params = 0, bytes = 0;
};

/// What stands below the table. The optimizer's state, once there is some, counts in the total, as in Keras.
struct SummaryTotals {
  ParamCount trainable, non_trainable;
  std::optional<ParamCount> optimizer = {};
};

struct SummaryOptions {
  /// Columns of the terminal: the table leaves four of them free, and is never wider than 88 (108 with connections, and 12 more with show_trainable).
  int width = 80;
  bool show_trainable = false;
  /// For models that are no chain of layers: what each layer reads.
  bool show_connections = false;
};

/// The table with title and totals, each line ended. Throws InvalidArgumentError if `width` leaves no room for the columns.
std::string render_summary(const std::string& model_name, std::span<const SummaryRow> rows, const SummaryTotals& totals, const SummaryOptions& options = {});

}  // namespace lockstep::nn
