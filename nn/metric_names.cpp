// The names of all metrics.

#include <lockstep/nn/metrics.h>
#include <lockstep/nn/metrics_counts.h>
#include <lockstep/nn/metrics_iou.h>
#include <lockstep/tensor/base/snake_case.h>

namespace lockstep::nn {
namespace {

template <class T>
void add(const char* name, std::vector<std::string> aliases = {}) {
  aliases.push_back(snake_case(name));
  register_class(component_class<T>(name, Metric::kModule, {}, std::move(aliases)));
}

}  // namespace

void Metric::register_builtins() {
  [[maybe_unused]] static const bool done = [] {
    using namespace metrics;
    add<Mean>("Mean");
    add<Sum>("Sum");
    add<Accuracy>("Accuracy");
    add<BinaryAccuracy>("BinaryAccuracy");
    add<CategoricalAccuracy>("CategoricalAccuracy");
    add<SparseCategoricalAccuracy>("SparseCategoricalAccuracy");
    add<TopKCategoricalAccuracy>("TopKCategoricalAccuracy");
    add<SparseTopKCategoricalAccuracy>("SparseTopKCategoricalAccuracy");
    add<MeanSquaredError>("MeanSquaredError", {"mse", "MSE"});
    add<RootMeanSquaredError>("RootMeanSquaredError");
    add<MeanAbsoluteError>("MeanAbsoluteError", {"mae", "MAE"});
    add<MeanAbsolutePercentageError>("MeanAbsolutePercentageError", {"mape", "MAPE"});
    add<MeanSquaredLogarithmicError>("MeanSquaredLogarithmicError", {"msle", "MSLE"});
    add<CosineSimilarity>("CosineSimilarity");
    add<LogCoshError>("LogCoshError");
    add<R2Score>("R2Score");
    add<Hinge>("Hinge");
    add<SquaredHinge>("SquaredHinge");
    add<CategoricalHinge>("CategoricalHinge");
    add<KLDivergence>("KLDivergence");
    add<Poisson>("Poisson");
    add<BinaryCrossentropy>("BinaryCrossentropy", {"bce", "BCE"});
    add<CategoricalCrossentropy>("CategoricalCrossentropy");
    add<SparseCategoricalCrossentropy>("SparseCategoricalCrossentropy");
    add<PearsonCorrelation>("PearsonCorrelation");
    add<ConcordanceCorrelation>("ConcordanceCorrelation");
    add<TruePositives>("TruePositives");
    add<TrueNegatives>("TrueNegatives");
    add<FalsePositives>("FalsePositives");
    add<FalseNegatives>("FalseNegatives");
    add<Precision>("Precision");
    add<Recall>("Recall");
    add<SensitivityAtSpecificity>("SensitivityAtSpecificity");
    add<SpecificityAtSensitivity>("SpecificityAtSensitivity");
    add<PrecisionAtRecall>("PrecisionAtRecall");
    add<RecallAtPrecision>("RecallAtPrecision");
    add<AUC>("AUC");
    add<F1Score>("F1Score");
    add<FBetaScore>("FBetaScore");
    add<IoU>("IoU");
    add<BinaryIoU>("BinaryIoU");
    add<MeanIoU>("MeanIoU");
    add<OneHotIoU>("OneHotIoU");
    add<OneHotMeanIoU>("OneHotMeanIoU");
    return true;
  }();
}

}  // namespace lockstep::nn
