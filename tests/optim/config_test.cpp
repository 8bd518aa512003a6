// Optimizers by name, and their configurations.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace lockstep::optim {
namespace {

// (In a process of its own, in which nobody has read a configuration yet.)
TEST(Config, NamesTheModulesOfClassesThatWereNeverAskedForByName) {
  const Json saved = serialize(Adam({.learning_rate = CosineDecay({.initial_learning_rate = 0.1, .decay_steps = 10})}));
  EXPECT_EQ(saved["module"], "keras.optimizers") << saved;
  EXPECT_EQ(saved["config"]["learning_rate"]["module"], "keras.optimizers.schedules") << saved;
}

TEST(Config, IsKerasOwnKeyByKey) {
  EXPECT_EQ(Adam().config().dump(),
            R"({"name":"adam","learning_rate":0.001,"weight_decay":null,"clipnorm":null,"global_clipnorm":null,"clipvalue":null,"use_ema":false,)"
            R"("ema_momentum":0.99,"ema_overwrite_frequency":null,"loss_scale_factor":null,"gradient_accumulation_steps":null,)"
            R"("beta_1":0.9,"beta_2":0.999,"epsilon":1e-07,"amsgrad":false})");
}

TEST(Config, OfEveryClassMakesItAgain) {
  Optimizer::register_builtins();
  int count = 0;
  for (const ComponentClass& entry : registered_classes()) {
    const bool plain = entry.module == Optimizer::kModule && entry.name != "OptimizerMap" && !entry.name.starts_with("LossScale") && !entry.name.starts_with("Multi");
    if (!plain && entry.module != Schedule::kModule) continue;
    const Json saved = serialize(*entry.make());
    EXPECT_EQ(serialize(*deserialize(saved, entry.module)), saved) << entry.name;
    EXPECT_EQ(saved.at("class_name"), entry.name);
    ++count;
  }
  EXPECT_EQ(count, 14 + 6);
}

TEST(Config, RefusesAnUnknownKeyAndSuggestsTheNearest) {
  try {
    deserialize<Optimizer>(Json::parse(R"({"class_name": "Adam", "config": {"beta1": 0.5}})"));
    FAIL() << "accepted";
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(error.hint().find("beta_1"), std::string::npos) << error.what();
  }
}

TEST(Config, ShowsTheLearningRateOfNow) {
  SGD optimizer({.learning_rate = 0.5});
  optimizer.build({});
  optimizer.set_learning_rate(0.125);
  EXPECT_EQ(optimizer.config().at("learning_rate"), 0.125);
}

TEST(Name, OfAnOptimizerIsTakenInAnyCase) {
  EXPECT_EQ(Ref<Optimizer>("nadam")->class_name(), "Nadam");
  EXPECT_EQ(Ref<Optimizer>("ADAM")->class_name(), "Adam");
  EXPECT_EQ(Ref<Optimizer>("RMSprop")->name(), "rm_sprop");
  EXPECT_EQ(Ref<Optimizer>("adamw")->name(), "adam_w");
  EXPECT_THROW(Ref<Optimizer>("lamb"), NotFoundError) << "Keras has no short name for it";
}

TEST(Name, MisspeltIsRefusedWithTheNearest) {
  try {
    Ref<Optimizer> optimizer("nadm");
    FAIL() << "accepted";
  } catch (const NotFoundError& error) {
    EXPECT_NE(error.hint().find("nadam"), std::string::npos) << error.hint();
  }
}

TEST(Options, AreCheckedByTheConstructor) {
  EXPECT_THROW(SGD({.momentum = 1.5}), InvalidArgumentError);
  EXPECT_THROW(Adam({.clipnorm = 1, .clipvalue = 1}), InvalidArgumentError);
  EXPECT_THROW(Adam({.gradient_accumulation_steps = 1}), InvalidArgumentError);
  EXPECT_THROW(Adam({.use_ema = true, .ema_overwrite_frequency = 0}), InvalidArgumentError);
  EXPECT_THROW(AdamW({.weight_decay = std::nullopt}), InvalidArgumentError);
  EXPECT_THROW(Lion({.beta_1 = 0}), InvalidArgumentError);
  EXPECT_THROW(CosineDecay({.decay_steps = 0}), InvalidArgumentError);
}

// ---- a user's optimizer, as in the book

class MyMomentumOptimizer : public Optimizer {
 public:
  explicit MyMomentumOptimizer(double learning_rate = 0.001, double momentum = 0.9) : Optimizer({.learning_rate = learning_rate}), momentum_(momentum) {}
  void fields(Fields& f) override {
    Optimizer::fields(f);
    f.field("momentum", momentum_);
  }

 protected:
  void build_slots(std::span<const Variable> variables) override {
    for (const Variable& variable : variables) add_slot(variable, "momentum");
  }
  void update_step(const Tensor& gradient, const Variable& variable, const Tensor& learning_rate) override {
    const Variable& m = slot(variable, "momentum");
    m.assign(m * momentum_ - gradient * learning_rate);
    variable.assign_add(m);
  }

 private:
  double momentum_;
};

TEST(CustomOptimizer, MovesAsTheBuiltInOneDoes) {
  const Variable mine(constant({1.0f, 2.0f}), {.path = "mine"}), theirs(constant({1.0f, 2.0f}), {.path = "theirs"});
  MyMomentumOptimizer custom(0.1, 0.5);
  SGD sgd({.learning_rate = 0.1, .momentum = 0.5});
  const auto step = autodiff::function([&](const Tensor& g) {
    custom.apply_gradients({{g, mine}});
    sgd.apply_gradients({{g, theirs}});
  });
  for (int i = 0; i < 3; ++i) step(constant({0.5f, -1.0f}) * float(i));
  EXPECT_EQ(mine.value().to_vector<float>(), theirs.value().to_vector<float>());
  EXPECT_EQ(custom.variables()[2].path(), "optimizer/my_momentum_optimizer/mine/momentum");
}

TEST(CustomOptimizer, IsSavedWithItsMomentum) {
  const Json saved = serialize(MyMomentumOptimizer(0.25, 0.75));
  EXPECT_EQ(saved.at("config").at("momentum"), 0.75);
  EXPECT_EQ(saved.at("config").at("learning_rate"), 0.25);
  CustomObjects objects;
  objects.add<MyMomentumOptimizer>("MyMomentumOptimizer");
  const CustomObjectScope scope(objects);
  EXPECT_EQ(serialize(*deserialize<Optimizer>(saved)), saved);
}

}  // namespace
}  // namespace lockstep::optim
