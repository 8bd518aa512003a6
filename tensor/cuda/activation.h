#pragma once
// What follows a product or a convolution where its library has no epilogue for it: a bias for each channel, then an activation, in place.

#include <string>

#include <lockstep/tensor/cuda/pointwise.h>

namespace lockstep::cuda {

enum class Activation : std::uint8_t { none, relu, tanh, sigmoid, gelu };
inline Activation activation_of(const OpCall& call) {
  const std::string& text = call.text("activation");
  return text == "relu" ? Activation::relu : text == "tanh" ? Activation::tanh : text == "sigmoid" ? Activation::sigmoid : text == "gelu" ? Activation::gelu : Activation::none;
}

template <class T>
struct Activate {
  Activation activation;
  std::int64_t channels;
  const T* bias;  // may be null
  T* z;
  LOCKSTEP_HD void operator()(std::int64_t i) const {
    using C = compute_t<T>;
    const Lanes<C> l;
    C x = value_of(z[i]);
    if (bias) x += value_of(bias[i % channels]);
    switch (activation) {
      case Activation::none: break;
      case Activation::relu: x = relu_body::apply(nullptr, x); break;
      case Activation::tanh: x = l.tanh(x); break;
      case Activation::sigmoid: x = l.sigmoid(x); break;
      case Activation::gelu: x = gelu_erf_body::apply(nullptr, x); break;
    }
    z[i] = stored<T>(x);
  }
};

}  // namespace lockstep::cuda
