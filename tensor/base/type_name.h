#pragma once
// Names of C++ classes, for names of objects and for messages.

#include <string>
#include <typeinfo>

namespace lockstep {

/// The name of a class without its namespaces: "EarlyStopping".
std::string type_name(const std::type_info& type);

}  // namespace lockstep
