#pragma once
// The JSON of Keras's files: read with care, turned into compile options, and written as Keras 3 and as its legacy format have it. io's own.

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <lockstep/nn/model.h>

namespace lockstep::io::keras {

/// Runs `read`; errors, those of JSON values of another type too, say that they arose in `where`.
void in_place(const std::string& where, const std::function<void()>& read);

/// The configuration in `text`. Throws DataLossError for what is no JSON, nested too deep, or has words longer than any configuration has, and InvalidArgumentError
/// for Python code, which is never run.
Json parse_config(const std::string& text);
/// The same for how a model is compiled.
Json parse_training_config(const std::string& text);

/// "compile_config" of .keras, "training_config" of legacy .h5, for a model of these outputs.
nn::CompileOptions compile_options(const Json& config, const std::vector<std::string>& outputs);
/// The same from a compiled model. `legacy`: losses by their full names, which is what Keras's reader of .h5 understands.
Json compile_config(const nn::Model& model, bool legacy);
/// {"module", "class_name", "config", "registered_name", "build_config"}
Json model_config(const nn::Model& model);
/// Throws InvalidArgumentError for what Keras's configurations cannot say: a layer that stands twice in a Sequential.
void require_expressible(const Json& config);
/// The model of a configuration, with weights of the shapes that it says. Throws InvalidArgumentError, naming `where`, if it is none or does not say for what input it is.
std::shared_ptr<nn::Model> build_model(const Json& config, const std::string& where);
/// Classes by "class_name" and "config" alone, custom ones by their registered names, as the legacy format has them.
Json legacy_form(Json config);

}  // namespace lockstep::io::keras
