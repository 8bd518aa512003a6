#pragma once
// Where Keras keeps a model's weights: by place in .weights.h5 (layers/dense_1/vars/0), by order of the layers in legacy .h5. io's own.

#include <string>
#include <unordered_map>
#include <vector>

#include <lockstep/io/hdf5/file.h>
#include <lockstep/nn/model.h>

namespace lockstep::io::keras {

/// The variables that one group holds: PATH/vars/0, 1, ...
struct Group {
  std::string path;
  std::string name;  // of the layer or the optimizer
  std::vector<Variable> variables;
};
/// The groups of a model's weights, in the order in which Keras walks them. Layers "NAME_0", "NAME_1", ... of a class of one's own are Keras's list NAME,
/// unless the file that is to be read has them by these names.
std::vector<Group> weight_groups(const nn::Model& model, const hdf5::File* file = nullptr);

/// Shapes of the tensors of which the ranks have a part each, by the variables' keys.
using WholeShapes = std::unordered_map<const void*, Shape>;

/// Values for variables, found in a file and judged: nothing is assigned before all of them are there. Each rank takes its part of what they share.
class Assignments {
 public:
  explicit Assignments(const hdf5::File& file, WholeShapes wholes = {}) : file_(file), wholes_(std::move(wholes)) {}
  /// Notes a difference unless the dataset at `path` fits the variable.
  void add(const Variable& variable, const std::string& path, const std::string& known_as);
  void differ(const std::string& difference) { differences_.push_back(difference); }
  /// Reads and assigns. Throws InvalidArgumentError that lists the differences, if there are any.
  void apply();
  const std::vector<std::string>& differences() const { return differences_; }

 private:
  struct Value {
    Variable variable;
    std::string path;
  };
  const Shape& shape_of(const Variable& variable) const;
  Tensor read(const Value& value) const;

  const hdf5::File& file_;
  WholeShapes wholes_;
  std::vector<Value> values_;
  std::vector<std::string> differences_;
};

/// How many numbers the datasets of a file have, together.
std::int64_t count_weights(const hdf5::File& file);

/// The optimizer's state that is spread over the ranks (ZeRO-1), put together on rank 0: by the variables' keys. All ranks call it.
using WholeState = std::unordered_map<const void*, Tensor>;
WholeState gather_state(const nn::Model& model);

void write_weights(hdf5::File& file, const nn::Model& model, const WholeState& whole);
/// The weights; the optimizer's state too, if the model is compiled and the file has it.
void read_weights(const hdf5::File& file, const nn::Model& model);

/// The groups "model_weights" and "optimizer_weights".
void write_legacy_weights(hdf5::File& file, const nn::Model& model, const WholeState& whole);
/// `group`: "model_weights" of a model's file, "/" of one that holds weights alone.
void read_legacy_weights(const hdf5::File& file, const nn::Model& model, const std::string& group);
void read_legacy_optimizer(const hdf5::File& file, const nn::Model& model);

}  // namespace lockstep::io::keras
