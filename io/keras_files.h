#pragma once
// Keras's own files: .keras (Keras 3), legacy .h5 and .weights.h5, read and written so that keras.saving.load_model opens ours and
// we open Keras's. What a file is, its content tells; what is written, the name's ending.
//   std::shared_ptr<nn::Model> model = io::load_keras("model.keras", {.custom_objects = nn::CustomObjects().add<MyLayer>("MyLayer")});
//   io::save_keras(*model, "model.h5");

#include <memory>
#include <string>

#include <lockstep/nn/model.h>

namespace lockstep::io {

struct LoadKerasOptions {
  /// Classes and functions of one's own that the file names and that are not registered.
  CustomObjects custom_objects = {};
  /// Compile it as the file says, with the optimizer's state where the file has it.
  bool compile = true;
};

/// The model of a .keras or a legacy .h5 file, with its weights; compiled if the file says how. Where the optimizer's state cannot be restored
/// it begins anew, with a warning. Each rank that calls it reads for itself. Never runs code of the file: a Lambda layer that holds a Python lambda is refused.
/// Throws NotFoundError if there is no such file, or for a class or function that is neither registered nor passed; DataLossError if it is damaged or no such
/// file; InvalidArgumentError for a model that Lockstep cannot build. All name the file and the place in it.
std::shared_ptr<nn::Model> load_keras(const std::string& path, const LoadKerasOptions& options = {});

/// Gives a model that is built the weights of a .weights.h5, .keras or legacy .h5 file, and a compiled one the optimizer's state that a .weights.h5 or .keras file has.
/// Either all weights change or none. Each rank that calls it reads for itself, and takes its part of a state that is spread over the ranks. Throws InvalidArgumentError that lists the paths that differ if they are another model's.
void load_keras_weights(nn::Model& model, const std::string& path);

/// Writes the model: architecture, weights, how it is compiled and the optimizer's state, as .keras or legacy .h5 by the name's ending. The file of that name is
/// replaced when the new one is complete. All ranks call it: state that is spread over them is brought together, rank 0 writes, the others wait.
/// Throws InvalidArgumentError for another ending, for a Sequential in which a layer stands twice (Keras's files cannot say that), and for a model of one's own as
/// legacy .h5; FailedPreconditionError for a model without weights yet, NotFoundError if there is no such directory,
/// ResourceExhaustedError if it cannot be written in full; on the other ranks AbortedError.
void save_keras(const nn::Model& model, const std::string& path);
/// Writes the weights (and, of a compiled model, the optimizer's state) as .weights.h5. Throws as save_keras.
void save_keras_weights(const nn::Model& model, const std::string& path);

/// Reads a model and writes it in another format, how it is compiled and the optimizer's state included: `from` is a file of Keras's or a checkpoint (a generation, or a
/// directory of them: the last complete one); the ending of `to` says what it becomes: .keras, .h5, or .weights.h5; without an ending it is a directory, and gets a
/// generation of the optimizer's step, from which load_model goes on. Returns the path of the file or the generation. All ranks call it. Throws what reading and writing throw.
std::string convert(const std::string& from, const std::string& to, const LoadKerasOptions& options = {});

}  // namespace lockstep::io
