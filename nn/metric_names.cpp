// The names of all metrics.

#include <lockstep/nn/metrics.h>
#include <lockstep/nn/metrics_counts.h>
#include <lockstep/nn/metrics_iou.h>
#include <lockstep/tensor/base/snake_case.h>

namespace lockstep::nn {
namespace {

template <class T>
void add_metric(const char* name, std::vector<std::string> aliases = {}) {
  aliases.push_back(snake_case(name));
  register_class(component_class<T>(name, Metric::kModule, {}, std::move(aliases)));
}

}  // namespace

void Metric::register_builtins() {
  [[maybe_unused]] static const bool done = [] {
    using namespace metrics;
    add_metric<Mean>("Mean");
    add_metric<Sum>("Sum");
    add_metric<Accuracy>("Accuracy");
    add_metric<BinaryAccuracy>("BinaryAccuracy");
    add_metric<CategoricalAccuracy>("CategoricalAccuracy");
    add_metric<SparseCategoricalAccuracy>("SparseCategoricalAccuracy");
    add_metric<TopKCategoricalAccuracy>("TopKCategoricalAccuracy");
    add_metric<SparseTopKCategoricalAccuracy>("SparseTopKCategoricalAccuracy");
    add_metric<MeanSquaredError>("MeanSquaredError", {"mse", "MSE"});
    add_metric<RootMeanSquaredError>("RootMeanSquaredError");
    add_metric<MeanAbsoluteError>("MeanAbsoluteError", {"mae", "MAE"});
    add_metric<MeanAbsolutePercentageError>("MeanAbsolutePercentageError", {"mape", "MAPE"});
    add_metric<MeanSquaredLogarithmicError>("MeanSquaredLogarithmicError", {"msle", "MSLE"});
    add_metric<CosineSimilarity>("CosineSimilarity");
    add_metric<LogCoshError>("LogCoshError");
    add_metric<R2Score>("R2Score");
    add_metric<Hinge>("Hinge");
    add_metric<SquaredHinge>("SquaredHinge");
    add_metric<CategoricalHinge>("CategoricalHinge");
    add_metric<KLDivergence>("KLDivergence");
    add_metric<Poisson>("Poisson");
    add_metric<BinaryCrossentropy>("BinaryCrossentropy", {"bce", "BCE"});
    add_metric<CategoricalCrossentropy>("CategoricalCrossentropy");
    add_metric<SparseCategoricalCrossentropy>("SparseCategoricalCrossentropy");
    add_metric<PearsonCorrelation>("PearsonCorrelation");
    add_metric<ConcordanceCorrelation>("ConcordanceCorrelation");
    add_metric<TruePositives>("TruePositives");
    add_metric<TrueNegatives>("TrueNegatives");
    add_metric<FalsePositives>("FalsePositives");
    add_metric<FalseNegatives>("FalseNegatives");
    add_metric<Precision>("Precision");
    add_metric<Recall>("Recall");
    add_metric<SensitivityAtSpecificity>("SensitivityAtSpecificity");
    add_metric<SpecificityAtSensitivity>("SpecificityAtSensitivity");
    add_metric<PrecisionAtRecall>("PrecisionAtRecall");
    add_metric<RecallAtPrecision>("RecallAtPrecision");
    add_metric<AUC>("AUC");
    add_metric<F1Score>("F1Score");
    add_metric<FBetaScore>("FBetaScore");
    add_metric<IoU>("IoU");
    add_metric<BinaryIoU>("BinaryIoU");
    add_metric<MeanIoU>("MeanIoU");
    add_metric<OneHotIoU>("OneHotIoU");
    add_metric<OneHotMeanIoU>("OneHotMeanIoU");
    return true;
  }();
}

}  // namespace lockstep::nn
