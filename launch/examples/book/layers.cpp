// "Custom layers".
#include "layers.h"

#include <nlohmann/json.hpp>

#include "sections.h"

using namespace lockstep;

namespace book {

void layers() {
  heading("Custom layers (row 23)");
  nn::Lambda exponential(named("exp", [](const Tensor& x) { return exp(x); }));
  const Tensor exponentials = exponential(constant({-1.f, 0.f, 1.f}));
  show("Lambda(exp)({-1, 0, 1})", exponentials, 6);

  random::set_seed(42);
  MyDense dense(30, "relu");
  const Tensor hidden = dense(random::normal({32, 8}));
  show("MyDense(30, \"relu\") of (32, 8)", to_string(hidden.shape()));
  for (const nn::Weight& weight : dense.weights()) show(weight.variable().path(), to_string(weight.shape()));
  show("its config()", dense.config().dump());
  CustomObjects custom_objects;
  custom_objects.add<MyDense>("MyDense");
  const CustomObjectScope scope(custom_objects);
  const Ref<nn::Layer> again = deserialize<nn::Layer>(serialize(dense));
  show("serialized and deserialized", again->config().dump());

  MyMultiLayer multi;
  const Tensors outputs = multi({constant({{3.f, 6.f}, {2.f, 7.f}}), constant({{6.f, 12.f}, {4.f, 3.f}})});
  const Shape shapes[] = {{2, 2}, {2, 2}};
  for (const Tensor& output : outputs) show("MyMultiLayer", output, 4);

  MyGaussianNoise noise(1.0);
  const Tensor x = zeros({1000});
  const Tensor noisy = noise(x, {.training = true}), quiet = noise(x, {.training = false});
  show("MyGaussianNoise(1), spread in training", reduce_std(noisy).item<float>(), 1);
  show("and otherwise", reduce_std(quiet).item<float>(), 1);
  check(23, {near(exponentials, {0.36787945, 1, 2.7182817}), hidden.shape() == Shape({32, 30}), dense.weights().size() == 2, again->config() == dense.config(), dense.config().at("units") == 30,
             equals(outputs[0], {{9, 18}, {6, 10}}), equals(outputs[1], {{18, 72}, {8, 21}}), near(outputs[2], {{0.5, 0.5}, {0.5, 2.3333333}}), multi.compute_output_shape(shapes).size() == 3,
             near(reduce_std(noisy).item<float>(), 1, 0.1), equals(reduce_max(abs(quiet)), 0)});
}

}  // namespace book
