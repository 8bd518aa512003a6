// Tensor arrays, queues and variables: steps on one object.

#include <memory>
#include <set>

#include "structures.h"

namespace golden {

using namespace lockstep;

namespace {

const Json& argument(const Json& step, std::size_t i) { return step.at("args").at("args").at(i); }

Value tensor_array_step(std::optional<TensorArray>& array, const Json& step) {
  const std::string call = step.at("call");
  const Json& args = step.at("args");
  if (call == "create") {
    array.emplace(args.at("size").get<std::int64_t>(), dtype_from_name(args.at("dtype").get<std::string>()),
                  TensorArrayOptions{.dynamic_size = args.value("dynamic_size", false), .clear_after_read = args.value("clear_after_read", true), .infer_shape = args.value("infer_shape", true)});
    return {};
  }
  if (call == "write") return array->write(argument(step, 0).get<std::int64_t>(), tensor_of(argument(step, 1))), Value();
  if (call == "read") return array->read(argument(step, 0).get<std::int64_t>());
  if (call == "stack") return array->stack();
  if (call == "concat") return array->concat();
  if (call == "size") return scalar(array->size(), int32);
  if (call == "gather") return array->gather(tensor_of(argument(step, 0)));
  if (call == "unstack") return array->unstack(tensor_of(argument(step, 0))), Value();
  if (call == "scatter") return array->scatter(tensor_of(argument(step, 0)), tensor_of(argument(step, 1))), Value();
  throw Mismatch("there is no call " + call);
}

// ---- queues

/// "PaddingFIFOQueue(10, [int32], [(2, None)])"
struct QueueText {
  std::string kind;
  std::int64_t capacity = 0;
  std::vector<DType> dtypes;
  std::vector<Ints> shapes;

  explicit QueueText(const std::string& text) : kind(text.substr(0, text.find('('))), capacity(std::stoll(text.substr(text.find('(') + 1))) {
    const std::size_t first = text.find('['), close = text.find(']', first), second = text.find('[', close);
    std::stringstream names(text.substr(first + 1, close - first - 1));
    for (std::string name; std::getline(names, name, ',');) {
      std::erase(name, ' ');
      dtypes.push_back(dtype_from_name(name));
    }
    for (std::size_t at = second == std::string::npos ? second : text.find('(', second); at != std::string::npos; at = text.find('(', at + 1)) {
      std::stringstream sizes(text.substr(at + 1, text.find(')', at) - at - 1));
      Ints shape;
      for (std::string size; std::getline(sizes, size, ',');) {
        std::erase(size, ' ');
        if (!size.empty()) shape.push_back(size == "None" ? -1 : std::stoll(size));
      }
      shapes.push_back(shape);
    }
  }
};

std::unique_ptr<Queue> new_queue(const std::string& text) {
  const QueueText parts(text);
  const QueueOptions options{.shapes = parts.shapes, .timeout_seconds = 20};
  if (parts.kind == "FIFOQueue") return std::make_unique<FIFOQueue>(parts.capacity, parts.dtypes, options);
  if (parts.kind == "PriorityQueue") return std::make_unique<PriorityQueue>(parts.capacity, parts.dtypes, options);
  if (parts.kind == "PaddingFIFOQueue") return std::make_unique<PaddingFIFOQueue>(parts.capacity, parts.dtypes, options);
  throw Mismatch("there is no queue " + text);
}

Tensors components_of(const Json& element, std::span<const DType> dtypes) {
  if (!element.is_array()) return {tensor_of(element, dtypes[0])};
  Tensors result;
  for (std::size_t i = 0; i < element.size(); ++i) result.push_back(tensor_of(element[i], dtypes[i]));
  return result;
}

/// A value for each component, compared one by one.
void check_components(const Json& step, const std::function<Tensors()>& take) {
  if (step.contains("error")) return check_step(step, [&] { return take()[0]; });
  const Tensors taken = take();
  const Json& expected = step.at("expect");
  for (std::size_t i = 0; i < taken.size(); ++i) check_step(Json{{"expect", expected.is_array() ? expected.at(i) : expected}}, [&] { return taken[i]; });
}

void queue_step(const Queue& queue, std::span<const DType> dtypes, const Json& step) {
  const std::string call = step.at("call");
  if (call == "enqueue") return check_step(step, [&] { return queue.enqueue(components_of(argument(step, 0), dtypes)), Value(); });
  if (call == "enqueue_many") return check_step(step, [&] { return queue.enqueue_many(components_of(argument(step, 0), dtypes)), Value(); });
  if (call == "size") return check_step(step, [&] { return scalar(queue.size(), int32); });
  if (call == "is_closed") return check_step(step, [&] { return scalar(queue.is_closed(), boolean); });
  if (call == "close") return queue.close();
  if (call == "dequeue") return check_components(step, [&] { return queue.dequeue(); });
  if (call == "dequeue_many") return check_components(step, [&] { return queue.dequeue_many(argument(step, 0).get<std::int64_t>()); });
  if (call == "dequeue_up_to") return check_components(step, [&] { return queue.dequeue_up_to(argument(step, 0).get<std::int64_t>()); });
  throw Mismatch("there is no call " + call);
}

void check_random_shuffle(const Json& step) {
  const Json &args = step.at("args"), &expect = step.at("expect");
  const RandomShuffleQueue queue(args.at("capacity").get<std::int64_t>(), args.at("min_after_dequeue").get<std::int64_t>(), {int32}, {.shapes = {Ints{}}, .timeout_seconds = 20});
  queue.enqueue_many(tensor_of(args.at("enqueue_many"), int32));
  std::set<std::int32_t> taken;
  const auto dequeues = args.at("dequeues").get<int>();
  for (int i = 0; i < dequeues; ++i) taken.insert(queue.dequeue()[0].item<std::int32_t>());
  for (const std::int32_t each : taken)
    if (std::find(expect.at("subset_of").begin(), expect.at("subset_of").end(), each) == expect.at("subset_of").end()) throw Mismatch(std::to_string(each) + " was never put in");
  if (Json(taken.size()) != expect.at("distinct")) throw Mismatch(std::to_string(taken.size()) + " distinct elements");
  if (Json(queue.size()) != expect.at("size_left")) throw Mismatch(std::to_string(queue.size()) + " elements are left");
  queue.close();
  for (std::int64_t left = queue.size(); left > 0; --left) queue.dequeue();
  require_refusal("OutOfRange", [&] { queue.dequeue(); });
}

// ---- variables

template <class Slice>
void assign_item(const Slice& slice, const Tensor& value) {
  if constexpr (requires { slice = value; }) slice = value;
  else throw TypeError("v[...] = value does not compile");
}

Value variable_step(Variable& v, const Json& step) {
  using Scatter = const Variable& (Variable::*)(const Tensor&, const Tensor&) const;
  static const std::map<std::string, Scatter> scatters{
      {"scatter_update", &Variable::scatter_update}, {"scatter_add", &Variable::scatter_add}, {"scatter_sub", &Variable::scatter_sub}, {"scatter_mul", &Variable::scatter_mul}, {"scatter_div", &Variable::scatter_div},
      {"scatter_max", &Variable::scatter_max}, {"scatter_min", &Variable::scatter_min}, {"scatter_nd_update", &Variable::scatter_nd_update}, {"scatter_nd_add", &Variable::scatter_nd_add}, {"scatter_nd_sub", &Variable::scatter_nd_sub}};
  const std::string call = step.at("call");
  const Json& args = step.at("args");
  if (const auto scatter = scatters.find(call); scatter != scatters.end()) {
    (v.*scatter->second)(tensor_of(args.contains("indices") ? args.at("indices") : args.at("rows")), tensor_of(args.at("updates"), v.dtype()));
    return v.value();
  }
  const Tensor value = args.at("value").is_string() ? v.value() * 2 : tensor_of(args.at("value"), args.at("value").is_object() || call == "create" ? std::nullopt : std::optional(v.dtype()));
  if (call == "create") v = Variable(value);
  else if (call == "assign") v.assign(value);
  else if (call == "assign_add") v.assign_add(value);
  else if (call == "assign_sub") v.assign_sub(value);
  else if (call == "assign_at") VariableSlice(v, spec_of(args.at("spec"))).assign(value);
  else if (call == "item_assignment") assign_item(v[1], value);
  else throw Mismatch("there is no call " + call);
  return v.value();
}

}  // namespace

void check_tensor_array(const Json& steps) {
  std::optional<TensorArray> array;
  for (const Json& step : steps) check_step(step, [&] { return tensor_array_step(array, step); });
}

void check_queue(const Json& steps) {
  if (steps.at(0).at("call") == "random_shuffle") return check_random_shuffle(steps.at(0));
  const std::string text = steps.at(0).at("args").at("kind");
  const auto queue = new_queue(text);
  std::vector<DType> dtypes = QueueText(text).dtypes;
  if (text.starts_with("Priority")) dtypes.insert(dtypes.begin(), int64);
  for (std::size_t i = 1; i < steps.size(); ++i) queue_step(*queue, dtypes, steps[i]);
}

void check_variable(const Json& steps) {
  Variable v;
  for (const Json& step : steps) check_step(step, [&] { return variable_step(v, step); });
}

}  // namespace golden
