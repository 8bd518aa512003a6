// "Custom metrics": streaming metrics, Keras's and one's own. (Row 19, a function as a metric of fit, is in losses.cpp.)
#include <nlohmann/json.hpp>

#include "huber.h"
#include "sections.h"

using namespace lockstep;

namespace book {

void metrics() {
  heading("Streaming metrics (row 20)");
  nn::metrics::Precision precision;
  // Not the mean of the precisions of two batches (0.8 and 0), but that of all predictions together.
  const Tensor first = precision(constant({0, 1, 1, 1, 0, 1, 0, 1}), constant({1, 1, 0, 1, 0, 1, 0, 1}));
  show("precision of the first batch", first);
  const Tensor second = precision(constant({0, 1, 0, 0, 1, 0, 1, 1}), constant({1, 0, 1, 1, 0, 0, 0, 0}));
  show("precision after the second", second);
  const auto counts = precision.variables();
  for (const Variable& count : counts) show(count.path(), count);
  const bool four = counts.size() == 2 && equals(counts[0], {4}) && equals(counts[1], {4}) && equals(precision.result(), 0.5);
  precision.reset_states();
  show("precision.reset_states(), result()", precision.result());
  check(20, {near(first, 0.8), near(second, 0.5), four, equals(counts[0], {0}), equals(counts[1], {0})});

  heading("Metrics of one's own (row 21)");
  HuberMetric metric(2);
  const Tensor one = metric(constant({{2.f}}), constant({{10.f}}));
  show("HuberMetric(2)({{2}}, {{10}})", one);
  const Tensor two = metric(constant({{0.f}, {5.f}}), constant({{1.f}, {9.25f}}));
  show("and after ({{0}, {5}}, {{1}, {9.25}})", two);
  const auto state = metric.variables();
  for (const Variable& variable : state) show(variable.path(), variable);
  const bool summed = state.size() == 2 && equals(state[0], 21) && equals(state[1], 3);
  metric.reset_state();
  show("metric.config()", metric.config().dump());

  HuberMean mean(2);
  mean.update_state(constant({{2.f}}), constant({{10.f}}));
  mean.update_state(constant({{0.f}, {5.f}}), constant({{1.f}, {9.25f}}));
  show("the one built on Mean", mean.result());
  mean.reset_state();
  const Tensor weighted = mean(constant({{0.f}, {5.f}}), constant({{1.f}, {9.25f}}), constant({3.f, 1.f}));
  show("with weights 3 and 1: (3 * 0.5 + 6.5) / 4", weighted);
  HuberMean copy;
  configure(copy, HuberMean(2).config());
  check(21, {equals(one, 14), equals(two, 7), summed, equals(state[0], 0), metric.config().at("threshold") == 2.0, equals(weighted, 2), copy.config() == HuberMean(2).config()});
}

}  // namespace book
