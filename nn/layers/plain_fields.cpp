#include <lockstep/nn/layers/plain_fields.h>

#include <string>

namespace lockstep::nn {

void detail::plain_fields(Fields& f, Layer& layer) {
  std::string name = layer.name();
  f.field("name", name);
  if (name != layer.name()) layer.set_name(name);
  bool trainable = layer.trainable();
  f.field("trainable", trainable);
  if (trainable != layer.trainable()) layer.set_trainable(trainable);
  std::string dtype = layer.dtype_policy().name();
  f.field("dtype", dtype);
  if (dtype != layer.dtype_policy().name()) layer.set_dtype_policy(dtype);
}

}  // namespace lockstep::nn
