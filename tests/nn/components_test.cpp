// Initializers, activations, regularizers, constraints: by name, by object, by function; what is saved of them.

#include <gtest/gtest.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

TEST(Initializer, WithASeedGivesTheSameNumbersEachTime) {
  const GlorotUniform seeded(7), unseeded;
  const Shape shape{4, 5};
  EXPECT_EQ(seeded(shape).to_vector<float>(), seeded(shape).to_vector<float>());
  EXPECT_NE(unseeded(shape).to_vector<float>(), unseeded(shape).to_vector<float>());
  random::set_seed(3);
  const auto first = unseeded(shape).to_vector<float>();
  random::set_seed(3);
  EXPECT_EQ(unseeded(shape).to_vector<float>(), first);
}

TEST(Initializer, IsSavedUnderKerasNameEvenBeforeAnythingAskedForIt) {
  EXPECT_EQ(serialize(HeNormal()).dump(),
            R"({"module":"keras.initializers","class_name":"HeNormal","config":{"seed":null,"input_axes":null,"output_axes":null},"registered_name":null})");
}

TEST(Initializer, CountsFansAsTheShapeHasThem) {
  EXPECT_EQ(compute_fans({3, 5}).in, 3);
  EXPECT_EQ(compute_fans({3, 3, 4, 8}).in, 36);
  EXPECT_EQ(compute_fans({3, 3, 4, 8}).out, 72);
  EXPECT_EQ(compute_fans({6}).out, 6);
}

TEST(Initializer, CanBeAPlainFunction) {
  const auto my_glorot = [](const Shape& shape, DType dtype) { return random::normal(shape, 0, std::sqrt(2.0 / double(shape[0] + shape[1])), dtype); };
  const Ref<Initializer> initializer(named("my_glorot_initializer", my_glorot));
  EXPECT_EQ((*initializer)({2, 3}, float64).spec(), (TensorSpec{float64, {2, 3}}));
  EXPECT_EQ(serialize(*initializer), "my_glorot_initializer");
}

TEST(Initializer, OfALayerIsTheDefaultWhereAConfigurationHasNull) {
  for (const char* name : {"Dense", "LSTM"}) {
    SCOPED_TRACE(name);
    const Ref<Layer> layer = deserialize<Layer>({{"class_name", name}, {"config", {{"units", 3}, {"kernel_initializer", nullptr}, {"bias_initializer", nullptr}}}});
    layer->build_for(Shape{2, 4, 5});
    EXPECT_EQ(layer->config()["kernel_initializer"]["class_name"], "GlorotUniform");
  }
}

TEST(Component, RefusesAnOutputShapeThatHasNoSizes) {
  const Json config = {{"class_name", "EinsumDense"}, {"config", {{"equation", "ab,bc->ac"}, {"output_shape", {1e308}}}}};
  EXPECT_THROW(deserialize<Layer>(config), InvalidArgumentError);
}

TEST(Activation, OfAnAliasIsSavedUnderTheName) { EXPECT_EQ(serialize(*Ref<Activation>("swish")), "silu"); }

TEST(Activation, SuggestsTheNearestName) {
  try {
    Ref<Activation> activation("softplis");
    FAIL() << "accepted";
  } catch (const NotFoundError& error) {
    EXPECT_NE(error.hint().find("'softplus'"), std::string::npos) << error.hint();
  }
}

TEST(Regularizer, RefusesFactorsThatAreNotAtLeastZero) {
  EXPECT_THROW(L2(-0.1), InvalidArgumentError);
  EXPECT_THROW(L1(std::nan("")), InvalidArgumentError);
  EXPECT_THROW(deserialize<Regularizer>(Json{{"class_name", "L1L2"}, {"config", {{"l1", -1}}}}), InvalidArgumentError);
}

/// Row 18: needs no parent's call, is saved with its factor.
class MyL1Regularizer : public Regularizer {
 public:
  explicit MyL1Regularizer(double factor = 0) : factor_(factor) {}
  Tensor operator()(const Tensor& w) const override { return reduce_sum(abs(factor_ * w)); }
  void fields(Fields& f) override { f.field("factor", factor_); }

 private:
  double factor_;
};

TEST(Regularizer, OfAUsersClassIsSavedWithItsFieldsAndReadBack) {
  const Json saved = serialize(MyL1Regularizer(0.01));
  EXPECT_EQ(saved["config"], (Json{{"factor", 0.01}}));
  EXPECT_THROW(deserialize<Regularizer>(saved), NotFoundError);
  CustomObjects objects;
  objects.add<MyL1Regularizer>("MyL1Regularizer");
  const CustomObjectScope scope(objects);
  EXPECT_FLOAT_EQ((*deserialize<Regularizer>(saved))(constant({{1.f, -2.f}})).item<float>(), 0.03f);
}

TEST(Constraint, MovesNormsIntoTheirRange) {
  const Tensor w = constant({{3.f, 0.1f}, {4.f, 0.f}});
  EXPECT_NEAR(reduce_max(norm(MaxNorm({.max_value = 2})(w), 2, 0)).item<float>(), 2, 1e-5);
  EXPECT_NEAR(reduce_min(norm(UnitNorm()(w), 2, 0)).item<float>(), 1, 1e-5);
  EXPECT_NEAR(reduce_min(norm(MinMaxNorm({.min_value = 0.5})(w), 2, 0)).item<float>(), 0.5, 1e-5);
  EXPECT_EQ(NonNeg()(constant({-1.f, 2.f})).to_vector<float>(), (std::vector<float>{0, 2}));
}

TEST(Constraint, ReadsAnAxisAsANumberOrAList) {
  for (const char* text : {R"({"axis": 1})", R"({"axis": [0, 1]})"}) {
    const auto constraint = deserialize<Constraint>(Json{{"class_name", "UnitNorm"}, {"config", Json::parse(text)}});
    EXPECT_EQ(constraint->config(), Json::parse(text));
  }
}

TEST(Component, NeedsTheArgumentsThatHaveNoDefault) {
  const auto missing = [](const auto& make, const char* class_name, const Json& config) {
    try {
      make(Json{{"class_name", class_name}, {"config", config}});
    } catch (const TypeError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const auto layer = [](const Json& json) { return deserialize<Layer>(json); };
  const auto metric = [](const Json& json) { return deserialize<Metric>(json); };
  const auto schedule = [](const Json& json) { return deserialize<optim::Schedule>(json); };
  const Json none = Json::object();
  for (const char* name : {"Dense", "Conv2D", "LSTM", "Embedding", "Dropout", "Bidirectional", "AveragePooling1D", "Hashing", "SpectralNormalization"}) EXPECT_NE(missing(layer, name, none).find("is missing"), std::string::npos) << name;
  EXPECT_NE(missing(layer, "MultiHeadAttention", {{"num_heads", 2}}).find("'key_dim'"), std::string::npos);
  EXPECT_NE(missing(metric, "IoU", {{"num_classes", 3}}).find("'target_class_ids'"), std::string::npos);
  EXPECT_NE(missing(metric, "PrecisionAtRecall", none).find("'recall'"), std::string::npos);
  EXPECT_NE(missing(schedule, "ExponentialDecay", {{"initial_learning_rate", 0.1}}).find("'decay_steps'"), std::string::npos);
  EXPECT_NO_THROW(layer({{"class_name", "MaxPooling1D"}, {"config", none}}));
}

TEST(Component, RefusesUnknownKeysAndValuesOfAnotherTypeAsTypeErrors) {
  EXPECT_THROW(deserialize<Constraint>({{"class_name", "MaxNorm"}, {"config", {{"foo", 1}}}}), TypeError);
  EXPECT_THROW(deserialize<Metric>({{"class_name", "Precision"}, {"config", {{"thresholds", "a"}}}}), TypeError);
  EXPECT_THROW(deserialize<Layer>({{"class_name", "RepeatVector"}, {"config", {{"n", 2.5}}}}), TypeError);
  EXPECT_THROW(deserialize<Layer>({{"class_name", "UnitNormalization"}, {"config", {{"axis", "a"}}}}), TypeError);
}

/// Every registered class of a kind: what it saves, it reads.
TEST(Component, OfEveryBuiltInClassGoesThroughItsConfiguration) {
  Layer::register_builtins();
  Loss::register_builtins();
  Metric::register_builtins();
  Initializer::register_builtins();
  Regularizer::register_builtins();
  Constraint::register_builtins();
  optim::Optimizer::register_builtins();
  optim::Schedule::register_builtins();
  int seen = 0;
  for (const ComponentClass& entry : registered_classes()) {
    if (!entry.module.starts_with("keras.") || entry.module == "keras.shades") continue;
    const auto component = entry.make();
    const Json config = component->config();
    EXPECT_TRUE(config.is_object()) << entry.name;
    const auto other = entry.make();
    try {
      configure(*other, config);
    } catch (const InvalidArgumentError&) {
      continue;  // of a layer without its required arguments: its own refusal
    }
    EXPECT_EQ(other->config(), config) << entry.name;
    ++seen;
  }
  EXPECT_GT(seen, 150);
}

}  // namespace
}  // namespace lockstep::nn
