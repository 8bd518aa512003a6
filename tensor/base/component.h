#pragma once
// Component: anything that is saved by its class and its configuration (losses, metrics, layers, initializers, optimizers, ...), as
// Keras's get_config / from_config have it. A class lists its fields once, in fields(); configuration, construction from one,
// validation and help all read that list.

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <typeindex>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/base/error.h>

namespace lockstep {

/// Configurations are JSON objects that keep the order of their keys. (The one foreign type in public headers: a value type that
/// users meet in `config()`; include <nlohmann/json.hpp> to look inside.)
using Json = nlohmann::ordered_json;

class Component;
template <class Base>
class Ref;

/// Visits the fields of a component: writes them to a configuration, reads them from one, or lists them.
class Fields {
 public:
  virtual ~Fields() = default;
  /// The fields without a default, which a configuration must give. Stands before them.
  virtual void required(std::initializer_list<std::string_view> names) { static_cast<void>(names); }
  virtual void field(std::string_view name, bool& value) = 0;
  virtual void field(std::string_view name, std::int64_t& value) = 0;
  virtual void field(std::string_view name, double& value) = 0;
  virtual void field(std::string_view name, std::string& value) = 0;
  virtual void field(std::string_view name, DType& value) = 0;
  /// A number given alone is read as a list of one.
  virtual void field(std::string_view name, Ints& value) = 0;
  virtual void field(std::string_view name, std::vector<double>& value) = 0;
  virtual void field(std::string_view name, std::vector<std::string>& value) = 0;
  /// A whole number, a list of them, a word, or null: as it is ("axis", "axes").
  virtual void field(std::string_view name, AttrValue& value) = 0;
  /// Anything, as it is.
  virtual void field(std::string_view name, Json& value) = 0;
  /// null where there is no value.
  template <class T>
  void field(std::string_view name, std::optional<T>& value) {
    T present = value.value_or(T{});
    bool has = value.has_value();
    if (begin_optional(name, has)) {
      field(name, present);
      value = std::move(present);
    } else if (!has) {
      value.reset();
    }
  }
  /// A component, a function's name, or null.
  template <class Base>
  void field(std::string_view name, Ref<Base>& value);

 protected:
  /// Is the value there to be visited (written: if `has`; read: if the configuration gives one that is not null)? Sets `has`.
  virtual bool begin_optional(std::string_view name, bool& has) = 0;
  /// Visits a component (null: none) of the family `module`; true if another one was read into `value`.
  virtual bool component(std::string_view name, std::shared_ptr<Component>& value, std::string_view module) = 0;
};

/// Base of everything that has a configuration. Held by std::shared_ptr; see Ref for arguments that take one in many forms.
class Component {
 public:
  virtual ~Component() = default;
  /// Lists the fields by `f.field("name", member)`, the parent's first. The order is that of the configuration.
  virtual void fields(Fields& f) { static_cast<void>(f); }
  /// Called after the fields were read from a configuration: checks them, computes what follows from them.
  virtual void configured() {}
  /// The configuration: one key per field.
  Json config() const;
  /// Keras's name of the class: the registered one, or the C++ name of a class that is not registered.
  std::string class_name() const;
  /// For components made from a plain function: the function's name. Empty for all others.
  virtual std::string function_name() const { return {}; }
};

/// Reads the fields of `component` from `config` and calls configured(). Fields that the configuration lacks keep their values.
/// Throws TypeError for an unknown key (the nearest is suggested), a missing one that is required, or a value of another type.
void configure(Component& component, const Json& config);

/// The `Function` of kinds of components of which a plain function cannot stand for one (optimizers, layers).
struct NoFunction {};

/// A function with the name under which it is saved.
template <class F>
struct Named {
  std::string name;
  F function;
};
template <class F>
Named<std::decay_t<F>> named(std::string name, F&& function) {
  return {std::move(name), std::forward<F>(function)};
}

/// How an object is made from its class: an entry of the registry, or of custom_objects.
struct ComponentClass {
  std::string name;                             // "HuberLoss"
  std::string module;                           // Keras's module ("keras.losses"), empty for a custom class
  std::string package;                          // "Custom": registered as "Custom>HuberLoss"; empty for the built-in ones
  std::type_index type = typeid(void);
  std::function<std::shared_ptr<Component>()> make;  // with the default fields
  std::vector<std::string> aliases = {};        // short names: "mse"
  std::string written_module = {};              // the module that a serialized object names, if not `module`
};
template <std::derived_from<Component> T>
ComponentClass component_class(std::string name, std::string module = {}, std::string package = {}, std::vector<std::string> aliases = {}) {
  return {std::move(name), std::move(module), std::move(package), typeid(T), [] { return std::make_shared<T>(); }, std::move(aliases)};
}

/// Adds a class to the registry. Throws AlreadyExistsError if the name belongs to another class. Thread-safe.
void register_class(ComponentClass entry);
/// Adds a function, wrapped as the component that stands for it.
void register_function(std::string name, std::shared_ptr<Component> wrapped);
/// All registered classes, for the generic tests and for help.
std::vector<ComponentClass> registered_classes();

/// Registers a class or a function while the program starts: `LOCKSTEP_REGISTER(HuberLoss, "Custom")` in a .cpp file.
#define LOCKSTEP_REGISTER(CLASS, PACKAGE) \
  [[maybe_unused]] static const bool lockstep_registered_##CLASS = (::lockstep::register_class(::lockstep::component_class<CLASS>(#CLASS, {}, PACKAGE)), true)

/// What a name in a configuration means, beside the registry: classes and wrapped functions by name.
class CustomObjects {
 public:
  CustomObjects() = default;
  /// The class T under its name in the configuration.
  template <std::derived_from<Component> T>
  CustomObjects& add(std::string name) {
    classes_.insert_or_assign(name, component_class<T>(name));
    return *this;
  }
  /// A function, for the components of kind Base (Loss, Activation, ...).
  template <class Base, class F>
  CustomObjects& add(Named<F> function) {
    functions_.insert_or_assign(function.name, Ref<Base>(function).ptr());
    return *this;
  }
  const ComponentClass* find_class(const std::string& name) const;
  std::shared_ptr<Component> find_function(const std::string& name) const;

 private:
  std::map<std::string, ComponentClass> classes_;
  std::map<std::string, std::shared_ptr<Component>> functions_;
};

/// While it lives, names are looked up in these objects first, on this thread (keras.utils.custom_object_scope).
class CustomObjectScope {
 public:
  explicit CustomObjectScope(const CustomObjects& objects);
  ~CustomObjectScope();
  CustomObjectScope(const CustomObjectScope&) = delete;
  CustomObjectScope& operator=(const CustomObjectScope&) = delete;
};

/// {"module", "class_name", "config", "registered_name"}, or for a function its name, as Keras 3 writes them.
Json serialize(const Component& component);
/// The component that `json` describes: such an object, a class name or alias, or a function's name. `module` is the family in which
/// short names are looked up ("keras.losses"). Throws NotFoundError naming what is missing, with both remedies (register it, or
/// pass it as a custom object); for a misspelt built-in name the nearest is suggested.
std::shared_ptr<Component> deserialize(const Json& json, std::string_view module);

/// An argument that takes a component in any form: a short name ("relu", "he_normal"), an object, a pointer, or a plain function
/// (`Base::Function`, given alone or with a name). Base offers `static constexpr const char* kModule`, `using Function`,
/// `static std::shared_ptr<Base> wrap(Named<Function>)` and `static void register_builtins()`.
template <class Base>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  Ref(const char* name) : Ref(std::string(name)) {}
  Ref(const std::string& name);
  template <std::derived_from<Base> T>
  Ref(std::shared_ptr<T> object) : object_(std::move(object)) {}
  template <std::derived_from<Base> T>
  Ref(T object) : object_(std::make_shared<T>(std::move(object))) {}
  template <class F>
    requires std::convertible_to<F, typename Base::Function>
  Ref(Named<F> function) : object_(Base::wrap({std::move(function.name), typename Base::Function(std::move(function.function))})) {}
  template <class F>
    requires(std::convertible_to<F, typename Base::Function> && !std::derived_from<std::remove_cvref_t<F>, Component> && !std::convertible_to<F, std::string> && !std::same_as<std::remove_cvref_t<F>, std::nullptr_t>)
  Ref(F function) : object_(Base::wrap({"", typename Base::Function(std::move(function))})) {}

  explicit operator bool() const { return object_ != nullptr; }
  Base* operator->() const { return object_.get(); }
  Base& operator*() const { return *object_; }
  const std::shared_ptr<Base>& ptr() const { return object_; }

 private:
  std::shared_ptr<Base> object_;
};

namespace detail {
std::shared_ptr<Component> deserialize_name(const std::string& name, std::string_view module);
[[noreturn]] void refuse_kind(const Component& component, std::string_view module);
bool is_null(const Json& json);

template <class Base>
std::shared_ptr<Base> as_kind(std::shared_ptr<Component> component) {
  auto object = std::dynamic_pointer_cast<Base>(component);
  if (!object) refuse_kind(*component, Base::kModule);
  return object;
}
}  // namespace detail

template <class Base>
Ref<Base>::Ref(const std::string& name) {
  Base::register_builtins();
  object_ = detail::as_kind<Base>(detail::deserialize_name(name, Base::kModule));
}

/// As deserialize, for one kind of component; null gives none.
template <class Base>
Ref<Base> deserialize(const Json& json) {
  Base::register_builtins();
  if (detail::is_null(json)) return {};
  return detail::as_kind<Base>(deserialize(json, Base::kModule));
}

template <class Base>
void Fields::field(std::string_view name, Ref<Base>& value) {
  Base::register_builtins();
  std::shared_ptr<Component> object = value.ptr();
  if (component(name, object, Base::kModule)) value = object ? Ref<Base>(detail::as_kind<Base>(std::move(object))) : Ref<Base>();
}

}  // namespace lockstep
