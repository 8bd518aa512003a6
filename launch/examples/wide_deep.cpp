// Wide & Deep (Cheng et al., 2016) on housing data: a functional model of two inputs, one of which goes straight to the output, and of two
// outputs, an auxiliary one to keep the deep part learning by itself.
//   wide_deep [EPOCHS]
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include <lockstep/lockstep.h>

#include "book/housing.h"

using namespace lockstep;

int main(int argc, char** argv) try {
  const std::int64_t epochs = argc > 1 ? std::atoll(argv[1]) : 10;
  const book::Housing data = book::housing();
  const auto wide = [](const Tensor& x) { return x[{all, slice(0, 5)}]; };
  const auto deep = [](const Tensor& x) { return x[{all, slice(2)}]; };

  random::set_seed(42);
  const nn::Symbol input_wide = nn::input({5}, {.name = "wide"}), input_deep = nn::input({6}, {.name = "deep"});
  const nn::Symbol hidden = input_deep >> nn::Dense(30, "relu") >> nn::Dense(30, "relu");
  const nn::Symbol main_output = nn::Symbols{input_wide, hidden} >> nn::Concatenate() >> nn::Dense({.units = 1, .name = "main"});
  const nn::Symbol auxiliary = hidden >> nn::Dense({.units = 1, .name = "auxiliary"});
  nn::Functional model({input_wide, input_deep}, {main_output, auxiliary}, "wide_deep");
  std::cout << model.summary();

  // By name or by position: inputs, targets, losses, metrics and the losses' weights.
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.003}),
                 .loss = {{"main", "mse"}, {"auxiliary", "mse"}},
                 .loss_weights = {{"main", 0.9}, {"auxiliary", 0.1}},
                 .metrics = {{"main", nn::MetricList{"mae"}}, {"auxiliary", nn::MetricList{"mae"}}}});
  const nn::Arrays x_train{{"wide", wide(data.x_train)}, {"deep", deep(data.x_train)}};
  const nn::Arrays y_train{{"main", data.y_train}, {"auxiliary", data.y_train}};
  const nn::Arrays x_valid{wide(data.x_valid), deep(data.x_valid)}, y_valid{data.y_valid, data.y_valid};
  model.fit(x_train, y_train, {.epochs = epochs, .verbose = 2, .validation_data = {x_valid, y_valid}});

  const nn::Logs test = model.evaluate({wide(data.x_test), deep(data.x_test)}, {data.y_test, data.y_test}, {.verbose = 0});
  std::cout << std::fixed << std::setprecision(2);
  for (const auto& [name, value] : test) std::cout << "test " << name << " " << value << "\n";
  const Tensors predictions = model.predict_all({wide(data.x_test)[{slice(0, 3)}], deep(data.x_test)[{slice(0, 3)}]}, {.verbose = 0});
  std::cout << "three test districts: values, main and auxiliary predictions\n" << array_to_string(concat(Tensors{data.y_test[{slice(0, 3)}], predictions[0], predictions[1]}, 1), {.precision = 2}) << "\n";
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
