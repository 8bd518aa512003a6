// Components: configurations, the registry, custom objects, arguments in many forms.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>
#include <lockstep/tensor/base/component.h>

namespace lockstep {
namespace {

/// A kind of component as nn's kinds are: with a base, a function form and built-in classes.
struct Shade : Component {
  static constexpr const char* kModule = "keras.shades";
  using Function = std::function<double(double)>;
  static std::shared_ptr<Shade> wrap(Named<Function> function);
  static void register_builtins();
  virtual double apply(double x) const = 0;
};
struct Darken : Shade {
  double factor = 0.5;
  std::optional<std::int64_t> steps;
  Ints axes = {1, 2};
  void fields(Fields& f) override {
    f.field("factor", factor);
    f.field("steps", steps);
    f.field("axes", axes);
  }
  void configured() override {
    if (factor < 0) throw InvalidArgumentError("factor must not be negative", "Darken");
  }
  double apply(double x) const override { return x * factor; }
};
struct FunctionShade : Shade {
  Named<Function> function;
  double apply(double x) const override { return function.function(x); }
  std::string function_name() const override { return function.name; }
};
std::shared_ptr<Shade> Shade::wrap(Named<Function> function) {
  auto shade = std::make_shared<FunctionShade>();
  shade->function = std::move(function);
  return shade;
}
void Shade::register_builtins() { register_class(component_class<Darken>("Darken", kModule, {}, {"darken", "dark"})); }

struct Lamp : Component {
  std::string name = "lamp";
  Ref<Shade> shade;
  void fields(Fields& f) override {
    f.field("name", name);
    f.field("shade", shade);
  }
};

struct Custom : Shade {
  double threshold = 1;
  void fields(Fields& f) override { f.field("threshold", threshold); }
  double apply(double x) const override { return std::min(x, threshold); }
};

TEST(Component, WritesItsFieldsInOrderAndReadsThemBack) {
  Darken darken;
  darken.factor = 0.25;
  EXPECT_EQ(darken.config().dump(), R"({"factor":0.25,"steps":null,"axes":[1,2]})");
  Darken other;
  configure(other, Json::parse(R"({"steps": 3, "axes": 7})"));
  EXPECT_EQ(other.config().dump(), R"({"factor":0.5,"steps":3,"axes":[7]})");
}

TEST(Component, RefusesAnUnknownKeyAndSuggestsTheNearest) {
  Darken darken;
  try {
    configure(darken, Json::parse(R"({"facter": 1.0})"));
    FAIL() << "accepted";
  } catch (const InvalidArgumentError& error) {
    EXPECT_NE(std::string(error.what()).find("'facter'"), std::string::npos) << error.what();
    EXPECT_NE(error.hint().find("'factor'"), std::string::npos) << error.hint();
  }
}

TEST(Component, RefusesAValueOfAnotherTypeAndWhatItsClassRefuses) {
  Darken darken;
  EXPECT_THROW(configure(darken, Json::parse(R"({"factor": "much"})")), InvalidArgumentError);
  EXPECT_THROW(configure(darken, Json::parse(R"({"factor": -1})")), InvalidArgumentError);
  EXPECT_THROW(configure(darken, Json::parse("[1]")), InvalidArgumentError);
}

TEST(Component, IsSerializedAsKerasDoes) {
  Shade::register_builtins();
  EXPECT_EQ(serialize(Darken()).dump(), R"({"module":"keras.shades","class_name":"Darken","config":{"factor":0.5,"steps":null,"axes":[1,2]},"registered_name":null})");
  EXPECT_EQ(serialize(Custom()).dump(), R"({"module":null,"class_name":"Custom","config":{"threshold":1.0},"registered_name":"Custom"})");
}

TEST(Component, GoesThroughJsonInsideAnother) {
  Lamp lamp;
  Darken darken;
  darken.factor = 0.75;
  lamp.shade = darken;
  Lamp read;
  configure(read, lamp.config());
  ASSERT_TRUE(read.shade);
  EXPECT_EQ(read.shade->apply(4), 3);
  configure(read, Json::parse(R"({"shade": null})"));
  EXPECT_FALSE(read.shade);
}

TEST(Ref, TakesNamesObjectsPointersAndFunctions) {
  EXPECT_EQ(Ref<Shade>("dark")->apply(2), 1);
  EXPECT_EQ(Ref<Shade>(Darken())->apply(2), 1);
  EXPECT_EQ(Ref<Shade>(std::make_shared<Darken>())->apply(2), 1);
  EXPECT_EQ(Ref<Shade>([](double x) { return x + 1; })->apply(2), 3);
  EXPECT_FALSE(Ref<Shade>(nullptr));
  EXPECT_EQ(serialize(*Ref<Shade>(named("brighten", [](double x) { return x + 1; }))).dump(), "\"brighten\"");
}

TEST(Ref, SuggestsTheNearestForAMisspeltName) {
  try {
    Ref<Shade> shade("darkn");
    FAIL() << "accepted";
  } catch (const NotFoundError& error) {
    EXPECT_NE(error.hint().find("'darken'"), std::string::npos) << error.hint();
  }
}

TEST(CustomObjects, NameClassesAndFunctionsWhileTheirScopeLives) {
  Custom custom;
  custom.threshold = 2;
  Lamp lamp;
  lamp.shade = custom;
  const Json saved = lamp.config();
  Lamp read;
  EXPECT_THROW(configure(read, saved), NotFoundError);
  {
    CustomObjects objects;
    objects.add<Custom>("Custom").add<Shade>(named("brighten", [](double x) { return x + 1; }));
    const CustomObjectScope scope(objects);
    configure(read, saved);
    EXPECT_EQ(read.shade->apply(9), 2);
    configure(read, Json::parse(R"({"shade": "brighten"})"));
    EXPECT_EQ(read.shade->apply(9), 10);
  }
  EXPECT_THROW(configure(read, saved), NotFoundError);
}

TEST(Registry, RefusesASecondClassUnderOneName) {
  register_class(component_class<Darken>("Twice", {}, "Test"));
  EXPECT_NO_THROW(register_class(component_class<Darken>("Twice", {}, "Test")));
  EXPECT_THROW(register_class(component_class<Custom>("Twice", {}, "Test")), AlreadyExistsError);
}

}  // namespace
}  // namespace lockstep
