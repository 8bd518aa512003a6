#include <lockstep/tensor/base/component.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <set>

#include <nlohmann/json.hpp>

#include <lockstep/tensor/base/type_name.h>

namespace lockstep {
namespace {

// ---- fields

class Writer : public Fields {
 public:
  using Fields::field;
  void field(std::string_view name, bool& value) override { put(name, value); }
  void field(std::string_view name, std::int64_t& value) override { put(name, value); }
  void field(std::string_view name, double& value) override { put(name, value); }
  void field(std::string_view name, std::string& value) override { put(name, value); }
  void field(std::string_view name, DType& value) override { put(name, std::string(lockstep::name(value))); }
  void field(std::string_view name, Ints& value) override { put(name, std::vector<std::int64_t>(value.begin(), value.end())); }
  void field(std::string_view name, std::vector<double>& value) override { put(name, value); }
  void field(std::string_view name, std::vector<std::string>& value) override { put(name, value); }
  void field(std::string_view name, AttrValue& value) override {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) put(name, *integer);
    else if (const auto* list = std::get_if<Ints>(&value)) put(name, std::vector<std::int64_t>(list->begin(), list->end()));
    else if (const auto* word = std::get_if<std::string>(&value)) put(name, *word);
    else put(name, nullptr);
  }
  void field(std::string_view name, Json& value) override { put(name, value); }
  Json config = Json::object();

 protected:
  bool begin_optional(std::string_view name, bool& has) override {
    if (!has) put(name, nullptr);
    return has;
  }
  bool component(std::string_view name, std::shared_ptr<Component>& value, std::string_view) override {
    put(name, value ? serialize(*value) : Json(nullptr));
    return false;
  }

 private:
  template <class T>
  void put(std::string_view name, T&& value) {
    config[std::string(name)] = std::forward<T>(value);
  }
};

class Reader : public Fields {
 public:
  using Fields::field;
  Reader(const Json& config, std::string owner) : config_(config), owner_(std::move(owner)) {
    if (!config.is_object()) throw TypeError("a configuration must be a JSON object, got " + config.dump(), owner_);
  }
  void required(std::initializer_list<std::string_view> names) override {
    for (const std::string_view name : names)
      if (!find(name)) throw TypeError("the argument '" + std::string(name) + "' is missing", owner_);
  }
  void field(std::string_view name, bool& value) override {
    if (const Json* json = find(name)) value = json->is_boolean() ? json->get<bool>() : (refuse(name, "true or false", *json), false);
  }
  void field(std::string_view name, std::int64_t& value) override {
    if (const Json* json = find(name)) value = json->is_number_integer() ? json->get<std::int64_t>() : (refuse(name, "a whole number", *json), 0);
  }
  void field(std::string_view name, double& value) override {
    if (const Json* json = find(name)) value = real(name, *json);
  }
  void field(std::string_view name, std::string& value) override {
    if (const Json* json = find(name)) value = json->is_string() ? json->get<std::string>() : (refuse(name, "a string", *json), "");
  }
  void field(std::string_view name, DType& value) override {
    if (const Json* json = find(name)) value = json->is_string() ? dtype_from_name(json->get<std::string>()) : (refuse(name, "a dtype's name", *json), float32);
  }
  void field(std::string_view name, Ints& value) override {
    const Json* json = find(name);
    if (!json) return;
    value.clear();
    for (const Json& each : json->is_array() ? *json : Json::array({*json}))
      if (each.is_number_integer()) value.push_back(each.get<std::int64_t>());
      else refuse(name, "whole numbers", *json);
  }
  void field(std::string_view name, std::vector<double>& value) override {
    const Json* json = find(name);
    if (!json) return;
    value.clear();
    for (const Json& each : json->is_array() ? *json : Json::array({*json})) value.push_back(real(name, each));
  }
  void field(std::string_view name, std::vector<std::string>& value) override {
    const Json* json = find(name);
    if (!json) return;
    value.clear();
    for (const Json& each : json->is_array() ? *json : Json::array({*json}))
      if (each.is_string()) value.push_back(each.get<std::string>());
      else refuse(name, "strings", *json);
  }
  void field(std::string_view name, AttrValue& value) override {
    const Json* json = find(name);
    if (!json) return;
    if (json->is_null()) {
      value = None{};
    } else if (json->is_number_integer()) {
      value = json->get<std::int64_t>();
    } else if (json->is_string()) {
      value = json->get<std::string>();
    } else {
      Ints list;
      field(name, list);
      value = list;
    }
  }
  void field(std::string_view name, Json& value) override {
    if (const Json* json = find(name)) value = *json;
  }
  void require_all_known() const {
    for (const auto& [key, value] : config_.items())
      if (!known_.contains(key)) {
        const std::string near = nearest_name(key, known_);
        throw TypeError("the configuration has an unknown key '" + key + "'", owner_, near.empty() ? "" : "did you mean '" + near + "'?");
      }
  }

 protected:
  bool begin_optional(std::string_view name, bool& has) override {
    const Json* json = find(name);
    if (!json) return false;
    has = !json->is_null();
    return has;
  }
  bool component(std::string_view name, std::shared_ptr<Component>& value, std::string_view module) override {
    const Json* json = find(name);
    // Without an initializer there is no weight: null means the one there is, as in Keras.
    if (!json || (json->is_null() && module == "keras.initializers")) return false;
    value = json->is_null() ? nullptr : deserialize(*json, module);
    return true;
  }

 private:
  const Json* find(std::string_view name) {
    known_.emplace(name);
    const auto found = config_.find(std::string(name));
    return found == config_.end() ? nullptr : &*found;
  }
  double real(std::string_view name, const Json& json) const {
    if (json.is_number()) return json.get<double>();
    if (json.is_string()) {  // JSON has no form for these
      const std::string text = json.get<std::string>();
      if (text == "nan") return std::numeric_limits<double>::quiet_NaN();
      if (text == "inf" || text == "-inf") return text[0] == '-' ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    }
    refuse(name, "a number", json);
  }
  [[noreturn]] void refuse(std::string_view name, std::string_view wanted, const Json& got) const {
    throw TypeError("'" + std::string(name) + "' must be " + std::string(wanted) + ", got " + got.dump(), owner_);
  }

  const Json& config_;
  std::string owner_;
  std::set<std::string> known_;
};

// ---- the registry

struct Registry {
  std::mutex mutex;
  std::vector<std::shared_ptr<const ComponentClass>> classes;
  std::map<std::string, std::shared_ptr<Component>> functions;
};
Registry& registry() {
  static auto* instance = new Registry;  // outlives every static component
  return *instance;
}

std::string registered_name(const ComponentClass& entry) { return entry.package.empty() ? entry.name : entry.package + ">" + entry.name; }

bool answers_to(const ComponentClass& entry, std::string_view name) {
  return entry.name == name || registered_name(entry) == name || std::find(entry.aliases.begin(), entry.aliases.end(), name) != entry.aliases.end();
}

std::shared_ptr<const ComponentClass> find_class(std::string_view name, std::string_view module) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::shared_ptr<const ComponentClass> found;
  for (const auto& entry : all.classes)
    if (answers_to(*entry, name) && (entry->module.empty() || entry->module == module)) found = entry;
  return found;
}
std::shared_ptr<const ComponentClass> find_class(std::type_index type) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const auto& entry : all.classes)
    if (entry->type == type) return entry;
  return nullptr;
}

std::vector<const CustomObjects*>& scopes() {
  thread_local std::vector<const CustomObjects*> instance;
  return instance;
}

[[noreturn]] void refuse_name(const std::string& name, std::string_view module) {
  std::vector<std::string> names;
  {
    Registry& all = registry();
    const std::lock_guard lock(all.mutex);
    for (const auto& entry : all.classes)
      if (entry->module.empty() || entry->module == module) {
        names.push_back(entry->name);
        names.insert(names.end(), entry->aliases.begin(), entry->aliases.end());
      }
    for (const auto& [function, wrapped] : all.functions) names.push_back(function);
  }
  const std::string near = nearest_name(name, names);
  throw NotFoundError("could not locate '" + name + "' among " + std::string(module), {},
                      (near.empty() ? std::string() : "did you mean '" + near + "'? ") + "A custom class or function must be registered, or passed as a custom object");
}

std::shared_ptr<Component> make(const ComponentClass& entry, const Json& config) {
  std::shared_ptr<Component> component = entry.make();
  configure(*component, config);
  return component;
}

}  // namespace

Json Component::config() const {
  Writer writer;
  const_cast<Component*>(this)->fields(writer);  // a writer only reads the fields
  return std::move(writer.config);
}

std::string Component::class_name() const {
  const auto entry = find_class(std::type_index(typeid(*this)));
  return entry ? entry->name : type_name(typeid(*this));
}

void configure(Component& component, const Json& config) {
  Reader reader(config, component.class_name());
  component.fields(reader);
  reader.require_all_known();
  component.configured();
}

void register_class(ComponentClass entry) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  for (const auto& other : all.classes)
    if (registered_name(*other) == registered_name(entry) && other->module == entry.module) {
      if (other->type == entry.type) return;
      throw AlreadyExistsError("'" + registered_name(entry) + "' is registered for another class");
    }
  all.classes.push_back(std::make_shared<const ComponentClass>(std::move(entry)));
}

void register_function(std::string name, std::shared_ptr<Component> wrapped) {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  all.functions.insert_or_assign(std::move(name), std::move(wrapped));
}

std::vector<ComponentClass> registered_classes() {
  Registry& all = registry();
  const std::lock_guard lock(all.mutex);
  std::vector<ComponentClass> result;
  for (const auto& entry : all.classes) result.push_back(*entry);
  return result;
}

const ComponentClass* CustomObjects::find_class(const std::string& name) const {
  const auto found = classes_.find(name);
  return found == classes_.end() ? nullptr : &found->second;
}
std::shared_ptr<Component> CustomObjects::find_function(const std::string& name) const {
  const auto found = functions_.find(name);
  return found == functions_.end() ? nullptr : found->second;
}

CustomObjectScope::CustomObjectScope(const CustomObjects& objects) { scopes().push_back(&objects); }
CustomObjectScope::~CustomObjectScope() { scopes().pop_back(); }

Json serialize(const Component& component) {
  if (std::string function = component.function_name(); !function.empty()) return function;
  const auto entry = find_class(std::type_index(typeid(component)));
  const std::string name = entry ? entry->name : type_name(typeid(component));
  const bool builtin = entry && !entry->module.empty();
  Json result;
  result["module"] = builtin ? Json(entry->written_module.empty() ? entry->module : entry->written_module) : Json(nullptr);
  result["class_name"] = name;
  result["config"] = component.config();
  result["registered_name"] = builtin ? Json(nullptr) : Json(entry ? registered_name(*entry) : name);
  return result;
}

namespace detail {

std::shared_ptr<Component> deserialize_name(const std::string& name, std::string_view module) {
  for (auto scope = scopes().rbegin(); scope != scopes().rend(); ++scope) {
    if (auto function = (*scope)->find_function(name)) return function;
    if (const ComponentClass* entry = (*scope)->find_class(name)) return make(*entry, Json::object());
  }
  if (const auto entry = find_class(name, module)) return make(*entry, Json::object());
  Registry& all = registry();
  {
    const std::lock_guard lock(all.mutex);
    const auto function = all.functions.find(name);
    if (function != all.functions.end()) return function->second;
  }
  refuse_name(name, module);
}

void refuse_kind(const Component& component, std::string_view module) {
  throw InvalidArgumentError("a " + component.class_name() + " is given where one of " + std::string(module) + " is wanted");
}

bool is_null(const Json& json) { return json.is_null(); }

}  // namespace detail

std::shared_ptr<Component> deserialize(const Json& json, std::string_view module) {
  if (json.is_string()) return detail::deserialize_name(json.get<std::string>(), module);
  if (!json.is_object() || !json.contains("class_name")) throw InvalidArgumentError("expected a component's name or {\"class_name\", \"config\"}, got " + json.dump());
  const std::string name = json.at("class_name").get<std::string>();
  const Json config = json.value("config", Json::object());
  if (name == "function" && config.is_string()) return detail::deserialize_name(config.get<std::string>(), module);
  const Json& given = json.contains("registered_name") ? json.at("registered_name") : json;
  const std::string registered = given.is_string() ? given.get<std::string>() : name;
  for (auto scope = scopes().rbegin(); scope != scopes().rend(); ++scope)
    for (const std::string& each : {registered, name})
      if (const ComponentClass* entry = (*scope)->find_class(each)) return make(*entry, config);
  for (const std::string& each : {registered, name})
    if (const auto entry = find_class(each, module)) return make(*entry, config);
  refuse_name(registered, module);
}

}  // namespace lockstep
