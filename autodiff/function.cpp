#include <lockstep/autodiff/function.h>

#include <algorithm>
#include <mutex>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/tape.h>
#include <lockstep/autodiff/trace.h>

namespace lockstep::autodiff {
namespace {

void mix(std::uint64_t& hash, std::uint64_t word) { hash = (hash ^ word) * 0x100000001b3u ^ (hash >> 29); }

std::set<std::string> disabled_passes(const FunctionOptions& options) {
  std::set<std::string> disabled = passes_disabled_by_environment();
  disabled.insert(options.disabled_passes.begin(), options.disabled_passes.end());
  return disabled;
}

/// Must the ops be seen one by one: does a tape watch an argument, a variable or a captured tensor?
bool seen_by_tapes(const Graph& graph, std::span<const Tensor> arguments) {
  const ThreadListeners& thread = listeners();
  for (Observer* observer : thread.observers) {
    const auto* tape = dynamic_cast<const GradientTape*>(observer);
    if (!tape || !tape->recording()) continue;
    if (tape->tracks(arguments)) return true;
    for (const Node& node : graph.nodes) {
      if (node.kind == Node::Kind::variable && tape->would_watch(node.variable)) return true;
      if (node.kind == Node::Kind::constant && tape->tracks({&node.constant, 1})) return true;
    }
  }
  return false;
}

}  // namespace

void Signature::add(const Tensor& tensor) {
  kinds.push_back('t');
  tensors.push_back(tensor.spec());
  if (device.is_cpu() && tensor.defined() && !tensor.is_symbolic()) device = tensor.device();
  mix(hash, std::uint64_t(tensor.dtype()) + 31 * std::uint64_t(tensor.ndim() + 1));
  for (int i = 0; i < tensor.ndim(); ++i) mix(hash, std::uint64_t(tensor.shape()[i]));
}

void Signature::add(const StaticValue& value) {
  kinds.push_back('s');
  const auto hash_of = []<class T>(const T& each) {
    if constexpr (std::is_same_v<T, Variable>) return std::uint64_t(std::hash<const void*>{}(each.key()));
    else return std::uint64_t(std::hash<T>{}(each));
  };
  mix(hash, value.index() * 7919 + std::visit(hash_of, value));
  statics.push_back(value);
}

std::string to_string(const Signature& signature) {
  std::string text = "(";
  std::size_t tensor = 0, literal = 0;
  for (std::size_t i = 0; i < signature.kinds.size(); ++i) {
    text += i ? ", " : "";
    if (signature.kinds[i] == 't') text += to_string(signature.tensors[tensor++]);
    else
      std::visit([&]<class T>(const T& value) {
        if constexpr (std::is_same_v<T, std::string>) text += "\"" + value + "\"";
        else if constexpr (std::is_same_v<T, Variable>) text += "variable " + value.path();
        else text += to_string(Scalar(value));
      }, signature.statics[literal++]);
  }
  return text + ")";
}

ConcreteFunction::ConcreteFunction(Signature signature, Graph traced, const FunctionOptions& options)
    : name_(options.name),
      signature_(std::move(signature)),
      traced_(std::move(traced)),
      executable_(optimize(traced_, disabled_passes(options)), plan_options(disabled_passes(options), options.name)) {}

void ConcreteFunction::check(std::span<const Tensor> arguments) const {
  if (arguments.size() != signature_.tensors.size())
    throw InvalidArgumentError("called with " + std::to_string(arguments.size()) + " tensors, but traced for " + to_string(signature_), name_);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (!arguments[i].defined()) throw InvalidArgumentError("argument " + std::to_string(i) + " is an undefined Tensor", name_);
    if (!(arguments[i].spec() == signature_.tensors[i]))
      throw InvalidArgumentError("argument " + std::to_string(i) + " is " + to_string(arguments[i].spec()) + ", but this is the trace for " + to_string(signature_), name_,
                                 "call the function itself, which has a trace for each signature");
    if (arguments[i].is_symbolic() && !listeners().tracer)
      throw FailedPreconditionError("argument " + std::to_string(i) + " belongs to a traced function, but is used outside of it", name_,
                                    "return it from the function instead of keeping it");
  }
}

Tensors ConcreteFunction::operator()(std::span<const Tensor> arguments) const {
  check(arguments);
  const ThreadListeners& thread = listeners();
  if (thread.tracer || (!thread.observers.empty() && seen_by_tapes(traced_, arguments))) return replay(traced_, arguments);
  return executable_.run(arguments);
}

const ConcreteFunction* FunctionCache::find(const Signature& signature) const {
  const std::shared_lock lock(mutex_);
  for (const auto& function : functions_)
    if (function->signature() == signature) return function.get();
  return nullptr;
}

void FunctionCache::check(const Signature& signature) const {
  if (!options_.input_signature) return;
  const std::vector<InputSpec>& wanted = *options_.input_signature;
  const auto refuse = [&](const std::string& why) {
    throw InvalidArgumentError("called with " + to_string(signature) + ", but the input signature " + why, options_.name);
  };
  if (wanted.size() != signature.tensors.size()) refuse("has " + std::to_string(wanted.size()) + " tensors");
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const TensorSpec& given = signature.tensors[i];
    bool fits = given.dtype == wanted[i].dtype && std::size_t(given.shape.ndim()) == wanted[i].shape.size();
    for (std::size_t k = 0; fits && k < wanted[i].shape.size(); ++k) fits = wanted[i].shape[k] < 0 || wanted[i].shape[k] == given.shape[int(k)];
    if (!fits) refuse("wants " + std::string(name(wanted[i].dtype)) + " " + to_string(AttrValue(wanted[i].shape)) + " for tensor " + std::to_string(i));
  }
}

const ConcreteFunction& FunctionCache::get(const Signature& signature, const std::function<Tensors(std::span<const Tensor>)>& body) {
  if (const ConcreteFunction* found = find(signature)) return *found;
  check(signature);
  const DeviceScope scope(signature.device);
  const std::lock_guard tracing(tracing_);  // recursive: a function may call itself with another signature
  if (const ConcreteFunction* found = find(signature)) return *found;
  if (trace_count() >= options_.most_traces)
    throw FailedPreconditionError("traced " + std::to_string(options_.most_traces) + " times already, now for " + to_string(signature), options_.name,
                                  "a C++ number that changes at every call retraces each time: pass it as a tensor");
  Graph graph;
  const auto trace_body = [&] {
    Trace trace;
    std::vector<Tensor> symbols;
    for (const TensorSpec& spec : signature.tensors) symbols.push_back(trace.argument(spec));
    graph = trace.finish(body(symbols));
    return trace.created();
  };
  // Variables may be created by the first trace, if it then keeps them: a second one shows whether it does.
  std::vector<Variable> created = trace_body();
  if (!created.empty() && trace_count() == 0) created = trace_body();
  if (!created.empty())
    throw FailedPreconditionError("the function creates variable '" + created[0].path() + "' at every trace", options_.name,
                                  "create it outside of the function, or in its first call only and keep it (in a std::optional<Variable> outside)");
  auto concrete = std::make_unique<ConcreteFunction>(signature, std::move(graph), options_);
  const std::unique_lock lock(mutex_);
  functions_.push_back(std::move(concrete));
  return *functions_.back();
}

int FunctionCache::trace_count() const {
  const std::shared_lock lock(mutex_);
  return int(functions_.size());
}

std::vector<const ConcreteFunction*> FunctionCache::all() const {
  const std::shared_lock lock(mutex_);
  std::vector<const ConcreteFunction*> list;
  for (const auto& function : functions_) list.push_back(function.get());
  return list;
}

}  // namespace lockstep::autodiff
