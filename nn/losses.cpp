// The classes of the losses: their arguments, configurations and names.

#include <lockstep/nn/losses.h>
#include <lockstep/tensor/base/snake_case.h>

namespace lockstep::nn {
namespace losses {

Huber::Huber() : Huber(Options()) {}
Huber::Huber(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor Huber::call(const Tensor& y_true, const Tensor& y_pred) const { return huber(y_true, y_pred, options_.delta); }
void Huber::fields(Fields& f) {
  Loss::fields(f);
  f.field("delta", options_.delta);
}

CosineSimilarity::CosineSimilarity() : CosineSimilarity(Options()) {}
CosineSimilarity::CosineSimilarity(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor CosineSimilarity::call(const Tensor& y_true, const Tensor& y_pred) const { return cosine_similarity(y_true, y_pred, options_.axis); }
void CosineSimilarity::fields(Fields& f) {
  Loss::fields(f);
  f.field("axis", options_.axis);
}

BinaryCrossentropy::BinaryCrossentropy() : BinaryCrossentropy(Options()) {}
BinaryCrossentropy::BinaryCrossentropy(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor BinaryCrossentropy::call(const Tensor& y_true, const Tensor& y_pred) const { return binary_crossentropy(y_true, y_pred, options_.from_logits, options_.label_smoothing, options_.axis); }
void BinaryCrossentropy::fields(Fields& f) {
  Loss::fields(f);
  f.field("from_logits", options_.from_logits);
  f.field("label_smoothing", options_.label_smoothing);
  f.field("axis", options_.axis);
}

BinaryFocalCrossentropy::BinaryFocalCrossentropy() : BinaryFocalCrossentropy(Options()) {}
BinaryFocalCrossentropy::BinaryFocalCrossentropy(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor BinaryFocalCrossentropy::call(const Tensor& y_true, const Tensor& y_pred) const { return binary_focal_crossentropy(y_true, y_pred, options_.apply_class_balancing, options_.alpha, options_.gamma, options_.from_logits, options_.label_smoothing, options_.axis); }
void BinaryFocalCrossentropy::fields(Fields& f) {
  Loss::fields(f);
  f.field("apply_class_balancing", options_.apply_class_balancing);
  f.field("alpha", options_.alpha);
  f.field("gamma", options_.gamma);
  f.field("from_logits", options_.from_logits);
  f.field("label_smoothing", options_.label_smoothing);
  f.field("axis", options_.axis);
}

CategoricalCrossentropy::CategoricalCrossentropy() : CategoricalCrossentropy(Options()) {}
CategoricalCrossentropy::CategoricalCrossentropy(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor CategoricalCrossentropy::call(const Tensor& y_true, const Tensor& y_pred) const { return categorical_crossentropy(y_true, y_pred, options_.from_logits, options_.label_smoothing, options_.axis); }
void CategoricalCrossentropy::fields(Fields& f) {
  Loss::fields(f);
  f.field("from_logits", options_.from_logits);
  f.field("label_smoothing", options_.label_smoothing);
  f.field("axis", options_.axis);
}

CategoricalFocalCrossentropy::CategoricalFocalCrossentropy() : CategoricalFocalCrossentropy(Options()) {}
CategoricalFocalCrossentropy::CategoricalFocalCrossentropy(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor CategoricalFocalCrossentropy::call(const Tensor& y_true, const Tensor& y_pred) const { return categorical_focal_crossentropy(y_true, y_pred, options_.alpha, options_.gamma, options_.from_logits, options_.label_smoothing, options_.axis); }
void CategoricalFocalCrossentropy::fields(Fields& f) {
  Loss::fields(f);
  visit(f, "alpha", options_.alpha);
  f.field("gamma", options_.gamma);
  f.field("from_logits", options_.from_logits);
  f.field("label_smoothing", options_.label_smoothing);
  f.field("axis", options_.axis);
}

SparseCategoricalCrossentropy::SparseCategoricalCrossentropy() : SparseCategoricalCrossentropy(Options()) {}
SparseCategoricalCrossentropy::SparseCategoricalCrossentropy(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) { SparseCategoricalCrossentropy::configured(); }
Tensor SparseCategoricalCrossentropy::call(const Tensor& y_true, const Tensor& y_pred) const { return sparse_categorical_crossentropy(y_true, y_pred, options_.from_logits, options_.ignore_class, options_.axis); }
void SparseCategoricalCrossentropy::fields(Fields& f) {
  Loss::fields(f);
  f.field("from_logits", options_.from_logits);
  f.field("ignore_class", options_.ignore_class);
  f.field("axis", options_.axis);
}
Tensor SparseCategoricalCrossentropy::valid(const Tensor& y_true, const Tensor& y_pred, const Tensor&) const {
  return options_.ignore_class ? not_ignored(y_true, y_pred, *options_.ignore_class) : Tensor();
}
void SparseCategoricalCrossentropy::configured() {
  Loss::configured();
  if (options_.axis < -1) throw InvalidArgumentError("the classes must be the last axis, got axis " + std::to_string(options_.axis), "SparseCategoricalCrossentropy");
}

CategoricalGeneralizedCrossEntropy::CategoricalGeneralizedCrossEntropy() : CategoricalGeneralizedCrossEntropy(Options()) {}
CategoricalGeneralizedCrossEntropy::CategoricalGeneralizedCrossEntropy(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) { CategoricalGeneralizedCrossEntropy::configured(); }
Tensor CategoricalGeneralizedCrossEntropy::call(const Tensor& y_true, const Tensor& y_pred) const { return categorical_generalized_cross_entropy(y_true, y_pred, options_.q); }
void CategoricalGeneralizedCrossEntropy::fields(Fields& f) {
  Loss::fields(f);
  f.field("q", options_.q);
}
void CategoricalGeneralizedCrossEntropy::configured() {
  Loss::configured();
  if (!(options_.q > 0 && options_.q < 1)) throw InvalidArgumentError("q must be between 0 and 1, got " + std::to_string(options_.q), "CategoricalGeneralizedCrossEntropy");
}

Dice::Dice() : Dice(Options()) {}
Dice::Dice(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor Dice::call(const Tensor& y_true, const Tensor& y_pred) const { return dice(y_true, y_pred, options_.axis); }
void Dice::fields(Fields& f) {
  Loss::fields(f);
  f.field("axis", options_.axis.value);
}

Tversky::Tversky() : Tversky(Options()) {}
Tversky::Tversky(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor Tversky::call(const Tensor& y_true, const Tensor& y_pred) const { return tversky(y_true, y_pred, options_.alpha, options_.beta, options_.axis); }
void Tversky::fields(Fields& f) {
  Loss::fields(f);
  f.field("alpha", options_.alpha);
  f.field("beta", options_.beta);
  f.field("axis", options_.axis.value);
}

Circle::Circle() : Circle(Options()) {}
Circle::Circle(Options options) : Loss({options.reduction, options.name, options.dtype}), options_(std::move(options)) {}
Tensor Circle::call(const Tensor& y_true, const Tensor& y_pred) const { return circle(y_true, y_pred, options_.gamma, options_.margin, options_.remove_diagonal); }
void Circle::fields(Fields& f) {
  Loss::fields(f);
  f.field("gamma", options_.gamma);
  f.field("margin", options_.margin);
  f.field("remove_diagonal", options_.remove_diagonal);
}
/// Samples without a pair do not count.
Tensor Circle::valid(const Tensor&, const Tensor&, const Tensor& values) const { return values > 0; }

}  // namespace losses

namespace {

template <class T>
void add_loss(const char* name, std::vector<std::string> aliases = {}) {
  aliases.push_back(snake_case(name));
  register_class(component_class<T>(name, Loss::kModule, {}, std::move(aliases)));
}

}  // namespace

void Loss::register_builtins() {
  [[maybe_unused]] static const bool done = [] {
    using namespace losses;
    add_loss<MeanSquaredError>("MeanSquaredError", {"mse", "MSE"});
    add_loss<MeanAbsoluteError>("MeanAbsoluteError", {"mae", "MAE"});
    add_loss<MeanAbsolutePercentageError>("MeanAbsolutePercentageError", {"mape", "MAPE"});
    add_loss<MeanSquaredLogarithmicError>("MeanSquaredLogarithmicError", {"msle", "MSLE"});
    add_loss<LogCosh>("LogCosh");
    add_loss<Poisson>("Poisson");
    add_loss<KLDivergence>("KLDivergence", {"kld", "KLD"});
    add_loss<Hinge>("Hinge");
    add_loss<SquaredHinge>("SquaredHinge");
    add_loss<CategoricalHinge>("CategoricalHinge");
    add_loss<CTC>("CTC");
    add_loss<Huber>("Huber");
    add_loss<CosineSimilarity>("CosineSimilarity");
    add_loss<BinaryCrossentropy>("BinaryCrossentropy", {"bce", "BCE"});
    add_loss<BinaryFocalCrossentropy>("BinaryFocalCrossentropy");
    add_loss<CategoricalCrossentropy>("CategoricalCrossentropy");
    add_loss<CategoricalFocalCrossentropy>("CategoricalFocalCrossentropy");
    add_loss<SparseCategoricalCrossentropy>("SparseCategoricalCrossentropy");
    add_loss<CategoricalGeneralizedCrossEntropy>("CategoricalGeneralizedCrossEntropy");
    add_loss<Dice>("Dice");
    add_loss<Tversky>("Tversky");
    add_loss<Circle>("Circle");
    return true;
  }();
}

}  // namespace lockstep::nn
