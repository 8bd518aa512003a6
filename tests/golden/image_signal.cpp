// image_signal.h5: tf.image and tf.signal, eager and through a traced function.

#include <cmath>

#include "case.h"

namespace golden {

using namespace lockstep;

namespace {

/// tf.image.NAME and tf.signal.NAME are rows of these names.
const OpDef& row_of_family(const std::string& name) {
  for (const std::string prefix : {"image_", "signal_"})
    try {
      return find_op(prefix + name);
    } catch (const NotFoundError&) {
    }
  throw Mismatch("there is no op image_" + name + " or signal_" + name);
}

bool takes_complex(const std::string& op) { return op.starts_with("fft") || op.starts_with("ifft") || op.starts_with("irfft") || op == "inverse_stft"; }

/// The last axis of two is a real and an imaginary part.
Tensor joined(const Tensor& x) { return complex(x[{ellipsis, 0}], x[{ellipsis, 1}]); }
Tensor parted(const Tensor& z) {
  const Tensor parts[] = {real(z), imag(z)};
  return stack(parts, -1);
}

/// The bytes of a file as a string.
Tensor bytes_of(const Tensor& x) {
  Tensor text = Tensor::empty({}, string);
  const auto bytes = x.data<std::uint8_t>();
  *text.mutable_data<std::string>() = std::string(bytes.begin(), bytes.end());
  return text;
}

/// "name(1, 2)": the numbers between the parentheses.
std::int64_t argument_of(const std::string& call) { return std::stoll(call.substr(call.find('(') + 1)); }

}  // namespace

void check_image_signal(const Case& c) {
  const OpDef& op = row_of_family(c.op());
  Json attrs = c.spec.at("attrs");
  const bool is_complex_case = attrs.value("complex", false);
  attrs.erase("complex");
  std::vector<Tensor> inputs = c.inputs();
  if (is_complex_case && takes_complex(c.op())) inputs[0] = joined(inputs[0]);
  if (c.op().starts_with("decode_")) inputs[0] = bytes_of(inputs[0]);
  if (attrs.contains("window") && attrs["window"].is_string() && attrs["window"].get<std::string>().starts_with("inverse_stft_window_fn")) {
    inputs.push_back(signal::inverse_stft_window(attrs["frame_length"].get<std::int64_t>(), argument_of(attrs["window"])));
    attrs.erase("window");
  }
  const auto call = [&](std::span<const Tensor> operands) { return apply_named(op.name, operands, attributes(op, attrs)); };
  const auto traced = autodiff::function([&](std::span<const Tensor> operands) { return call(operands); });
  const std::span<const Tensor> operands(inputs);
  if (!c.spec.at("error").is_null()) {
    require_refusal(c.spec.at("error"), [&] { call(operands); });
    require_refusal(c.spec.at("error"), [&] { traced(operands); });
    return;
  }
  const auto compare_outputs = [&](const Tensors& outputs, const std::string& how) {
    const Json& expected = c.spec.at("outputs");
    if (outputs.size() != expected.size()) throw Mismatch(how + ": " + std::to_string(outputs.size()) + " outputs, expected " + std::to_string(expected.size()));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      Tensor actual = is_complex(outputs[i].dtype()) ? parted(outputs[i]) : outputs[i], wanted = c.at("out" + std::to_string(i));
      if (is_integer(wanted.dtype()) && atol(c) > 0 && actual.spec() == wanted.spec()) {  // levels that may differ by a few
        actual = cast(actual, float64);
        wanted = cast(wanted, float64);
      }
      require_close(how + ", output " + std::to_string(i), actual, wanted, rtol(c), atol(c));
    }
  };
  compare_outputs(call(operands), "eager");
  compare_outputs(traced(operands), "traced");
}

}  // namespace golden
