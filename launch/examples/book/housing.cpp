#include "housing.h"

using namespace lockstep;

namespace book {

Housing housing() {
  constexpr std::int64_t kTrain = 1161, kValid = 387, kTest = 516, kAll = kTrain + kValid + kTest;
  const Generator generator(42);
  const Tensor x = random::normal_from(generator.next_key(), {kAll, 8});
  const Tensor income = x[{all, slice(0, 1)}], age = x[{all, slice(1, 2)}], rooms = x[{all, slice(2, 3)}], people = x[{all, slice(3, 4)}];
  const Tensor north = x[{all, slice(6, 7)}], west = x[{all, slice(7, 8)}];
  const Tensor noise = random::normal_from(generator.next_key(), {kAll, 1}, 0, 0.3);
  // Income counts most; people per room less; near the coast it is dearer; values are capped at 5, as those of 1990 are.
  const Tensor value = 2 + 0.8 * income + 0.3 * tanh(rooms - people) + 0.1 * age + 0.5 * exp(-square(north + west)) + noise;
  const Tensor y = clip_by_value(value, 0.15, 5);
  const auto part = [](const Tensor& t, std::int64_t begin, std::int64_t end) { return t[{slice(begin, end)}]; };
  return {part(x, 0, kTrain), part(y, 0, kTrain), part(x, kTrain, kTrain + kValid), part(y, kTrain, kTrain + kValid), part(x, kTrain + kValid, kAll), part(y, kTrain + kValid, kAll)};
}

}  // namespace book
