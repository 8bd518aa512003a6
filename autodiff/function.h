#pragma once
// function(f): `f` is traced once per signature (dtypes and shapes of tensors, values of static arguments) and from then on runs as
// an optimized graph (tf.function).
//   auto f = function([](const Tensor& x, int n) { return pow(x, scalar(n, x.dtype())); });
//   Tensor y = f(x, 3);

#include <any>
#include <array>
#include <memory>
#include <set>
#include <shared_mutex>
#include <string>
#include <tuple>
#include <type_traits>
#include <variant>
#include <vector>

#include <lockstep/autodiff/graph.h>
#include <lockstep/autodiff/staged.h>
#include <lockstep/autodiff/structured.h>
#include <lockstep/tensor/variable.h>

namespace lockstep::autodiff {

/// Dtype and shape that an argument must have; sizes of -1 allow any.
struct InputSpec {
  DType dtype = float32;
  Ints shape;
};

struct FunctionOptions {
  /// For messages and drawings.
  std::string name = "function";
  /// If given, tensor arguments that do not fit are refused instead of traced.
  std::optional<std::vector<InputSpec>> input_signature = {};
  /// Names of passes to leave out (see passes/passes.h).
  std::set<std::string> disabled_passes = {};
  /// More traces than this are reported as an error: most often a C++ number that changes at every call.
  int most_traces = 256;
};

/// A static argument: part of the signature, a plain value inside the trace. A variable counts by its cell, not by its value.
using StaticValue = std::variant<bool, std::int64_t, double, std::string, Variable>;

/// What distinguishes one trace from another.
struct Signature {
  std::uint64_t hash = 0xcbf29ce484222325u;
  SmallVector<TensorSpec, 4> tensors;
  SmallVector<StaticValue, 2> statics;
  /// 't' or 's' per argument, in order.
  SmallVector<char, 8> kinds;
  /// Where the function runs: the device of the first tensor that lies on a GPU, else the default.
  Device device = default_device();

  void add(const Tensor& tensor);
  void add(const StaticValue& value);
  friend bool operator==(const Signature& a, const Signature& b) {
    return a.hash == b.hash && a.device == b.device && a.kinds == b.kinds && a.tensors == b.tensors && a.statics == b.statics;
  }
};
/// "(float32 (2, 3), 5)"
std::string to_string(const Signature& signature);

/// One trace of a function: its graph as traced, as optimized, and its executable.
class ConcreteFunction {
 public:
  ConcreteFunction(Signature signature, Graph traced, const FunctionOptions& options);

  const Signature& signature() const { return signature_; }
  /// As traced, before any pass.
  const Graph& graph() const { return traced_; }
  /// As it runs, behind its head.
  const Graph& optimized() const { return executable().graph(); }
  const Executable& executable() const { return executable_.body(); }
  /// What is interpreted first, for strings and shapes that depend on data; null if there is no such part, or if all of it is interpreted.
  const Executable* head() const { return executable_.head(); }
  /// Computes. Throws InvalidArgumentError for arguments of other dtypes or shapes than the signature's. A tape that watches an argument or a variable sees the single ops. Inside another trace the ops join that trace.
  Tensors operator()(std::span<const Tensor> arguments) const;

 private:
  void check(std::span<const Tensor> arguments) const;
  std::string name_;
  Signature signature_;
  Graph traced_;
  StagedExecutable executable_;
};

/// The traces of one function, safe to use from many threads.
class FunctionCache {
 public:
  explicit FunctionCache(FunctionOptions options) : options_(std::move(options)) {}
  /// The trace for this signature, made by `body` (called with one symbolic tensor per tensor argument) if there is none yet.
  const ConcreteFunction& get(const Signature& signature, const std::function<Tensors(std::span<const Tensor>)>& body);
  /// Null if there is none yet.
  const ConcreteFunction* find(const Signature& signature) const;
  int trace_count() const;
  const FunctionOptions& options() const { return options_; }
  std::vector<const ConcreteFunction*> all() const;

 private:
  void check(const Signature& signature) const;
  FunctionOptions options_;
  mutable std::shared_mutex mutex_;
  std::recursive_mutex tracing_;
  std::vector<std::unique_ptr<ConcreteFunction>> functions_;
};

namespace detail {

template <class T>
inline constexpr bool is_tensor_argument = std::is_convertible_v<const T&, const Tensor&> || std::is_same_v<T, Variable>;

/// Can F be called with a tensor wherever a tensor or a variable was given? If not, it takes its variables as variables.
template <class F, class... A>
inline constexpr bool takes_tensors = std::is_invocable_v<const F&, std::conditional_t<is_tensor_argument<A>, const Tensor&, const A&>...>;
template <bool tensors, class T>
inline constexpr bool is_traced_argument = is_tensor_argument<T> && (tensors || !std::is_same_v<T, Variable>);
/// What F receives for an argument of type T.
template <bool tensors, class T>
using Passed = std::conditional_t<is_traced_argument<tensors, T>, const Tensor&, std::conditional_t<Structured<T>::value, T, const T&>>;
template <class F, class... A>
using ResultOf = std::invoke_result_t<const F&, Passed<takes_tensors<F, A...>, A>...>;

template <class T>
StaticValue static_value(const T& value) {
  if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, Variable>) return value;
  else if constexpr (std::is_integral_v<T>) return std::int64_t(value);
  else if constexpr (std::is_floating_point_v<T>) return double(value);
  else return std::string(value);
}

inline Tensors to_tensors(const Tensor& tensor) { return {tensor}; }
inline Tensors to_tensors(const Tensors& tensors) { return tensors; }
inline Tensors to_tensors(const std::vector<Tensor>& tensors) { return {tensors.begin(), tensors.end()}; }
template <class... T>
Tensors to_tensors(const std::tuple<T...>& tuple) {
  return std::apply([](const auto&... each) { return Tensors{Tensor(each)...}; }, tuple);
}
inline Tensors to_tensors(const std::pair<Tensor, Tensor>& pair) { return {pair.first, pair.second}; }
template <std::size_t N>
Tensors to_tensors(const std::array<Tensor, N>& array) {
  return {array.begin(), array.end()};
}

inline bool tracing() { return listeners().tracer != nullptr; }

template <class R>
R from_tensors(Tensors tensors) {
  if constexpr (std::is_same_v<R, Tensor>) return std::move(tensors[0]);
  else if constexpr (std::is_same_v<R, Tensors>) return tensors;
  else if constexpr (Structured<R>::value) return Structured<R>::result(tensors);
  else if constexpr (std::is_same_v<R, std::vector<Tensor>>) return {std::make_move_iterator(tensors.begin()), std::make_move_iterator(tensors.end())};
  else return [&]<std::size_t... I>(std::index_sequence<I...>) { return R{std::move(tensors[I])...}; }(std::make_index_sequence<std::tuple_size_v<R>>{});
}

}  // namespace detail

/// A traced function. Copies share the traces.
template <class F>
class Function {
 public:
  Function(F f, FunctionOptions options) : f_(std::make_shared<F>(std::move(f))), cache_(std::make_shared<FunctionCache>(std::move(options))) {}

  /// Tensors are traced arguments, as are the tensors that ragged and sparse ones are made of; numbers, bools and strings are static: each new value is a new trace. A variable is passed by its
  /// value where F takes a tensor; where F takes a `const Variable&` it is static, and F may assign it. Also callable with one std::span<const Tensor> if F takes that.
  template <class... A>
  auto operator()(const A&... arguments) const {
    if constexpr (sizeof...(A) == 1 && (std::is_convertible_v<const A&, std::span<const Tensor>> && ...)) {
      return call_span(arguments...);
    } else {
      using R = detail::ResultOf<F, A...>;
      if (detail::tracing()) return R((*f_)(arguments...));  // inside another trace the ops join it
      Tensors tensors;
      const ConcreteFunction& concrete = prepare<R>(tensors, arguments...);
      if constexpr (std::is_void_v<R>) concrete(tensors);
      else return detail::from_tensors<R>(concrete(tensors));
    }
  }

  /// The trace that a call with these arguments would run.
  template <class... A>
  const ConcreteFunction& concrete_function(const A&... arguments) const {
    Tensors tensors;
    if constexpr (sizeof...(A) == 1 && (std::is_convertible_v<const A&, std::span<const Tensor>> && ...)) {
      return prepare_span(std::span<const Tensor>(arguments)...);
    } else {
      return prepare<detail::ResultOf<F, A...>>(tensors, arguments...);
    }
  }
  /// How often `f` was traced.
  int trace_count() const { return cache_->trace_count(); }
  std::vector<const ConcreteFunction*> concrete_functions() const { return cache_->all(); }

 private:
  template <class R, class... A>
  const ConcreteFunction& prepare(Tensors& tensors, const A&... arguments) const {
    constexpr bool kTensors = detail::takes_tensors<F, A...>;
    Signature signature;
    const auto add = [&]<class T>(const T& argument) {
      if constexpr (detail::is_traced_argument<kTensors, T>) {
        tensors.push_back(Tensor(argument));
        signature.add(tensors.back());
      } else if constexpr (detail::Structured<T>::value) {
        for (const Tensor& part : detail::Structured<T>::parts(argument)) tensors.push_back(part), signature.add(part);
        signature.add(StaticValue(detail::Structured<T>::kind(argument)));
      } else {
        signature.add(detail::static_value(argument));
      }
    };
    (add(arguments), ...);
    if (const ConcreteFunction* found = cache_->find(signature)) return *found;  // without the allocation of a std::function
    return cache_->get(signature, [&](std::span<const Tensor> symbols) {
      std::size_t next = 0;
      const auto pick = [&]<class T>(const T& argument) -> decltype(auto) {
        if constexpr (detail::is_traced_argument<kTensors, T>) return (symbols[next++]);
        else if constexpr (detail::Structured<T>::value) {
          const std::size_t first = next;
          next += detail::Structured<T>::parts(argument).size();
          return T(detail::Structured<T>::like(argument, symbols.subspan(first, next - first)));
        } else return (argument);
      };
      // Braces evaluate left to right, which function arguments need not.
      const std::tuple<detail::Passed<kTensors, A>...> picked{pick(arguments)...};
      if constexpr (std::is_void_v<R>) {
        std::apply(*f_, picked);
        return Tensors{};
      } else {
        return detail::to_tensors(std::apply(*f_, picked));
      }
    });
  }

  const ConcreteFunction& prepare_span(std::span<const Tensor> tensors) const {
    Signature signature;
    for (const Tensor& tensor : tensors) signature.add(tensor);
    if (const ConcreteFunction* found = cache_->find(signature)) return *found;
    return cache_->get(signature, [&](std::span<const Tensor> symbols) { return detail::to_tensors((*f_)(symbols)); });
  }
  auto call_span(std::span<const Tensor> tensors) const {
    using R = std::invoke_result_t<const F&, std::span<const Tensor>>;
    if (detail::tracing()) return R((*f_)(tensors));
    return detail::from_tensors<R>(prepare_span(tensors)(tensors));
  }

  std::shared_ptr<F> f_;
  std::shared_ptr<FunctionCache> cache_;
};

/// Wraps `f`. Its side effects in C++ (printing with std::cout, counting) happen while tracing only. Variables may be created by its
/// first trace, if `f` keeps them (f then runs twice, to show that it does); any other trace that creates one throws
/// FailedPreconditionError.
template <class F>
Function<std::decay_t<F>> function(F&& f, FunctionOptions options = {}) {
  return {std::forward<F>(f), std::move(options)};
}

}  // namespace lockstep::autodiff
