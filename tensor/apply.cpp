// The one way in. The eager path is kept lean: specs live on the stack, a bound kernel lives on the stack, and the only allocation
// is the result's block. Inside a trace the tracer takes over; afterwards the observers (tapes) of the thread are told.

#include <lockstep/tensor/op.h>

#include <new>
#include <typeinfo>

#include <lockstep/tensor/device_plugin.h>

namespace lockstep {
namespace {

using SpecPointers = SmallVector<const TensorSpec*, 8>;

SpecPointers spec_pointers(std::span<const Tensor> inputs) {
  SpecPointers specs;
  for (const Tensor& input : inputs) specs.push_back(&input.spec());
  return specs;
}

void require_usable(const OpDef& op, std::span<const Tensor> inputs) {
  for (const Tensor& input : inputs) {
    if (!input.defined()) throw InvalidArgumentError("an operand is an undefined Tensor", op.name);
    if (input.is_symbolic())
      throw FailedPreconditionError("an operand belongs to a traced function, but is used outside of it", op.name,
                                    "return it from the function instead of keeping it");
  }
}

/// Compositions look at shapes, so these must be known.
void require_composable(const OpDef& op, std::span<const Tensor> inputs, const Tracer* tracer) {
  if (!tracer) require_usable(op, inputs);
  for (const Tensor& input : inputs) {
    if (!input.defined()) throw InvalidArgumentError("an operand is an undefined Tensor", op.name);
    if (!input.shape().known())
      throw UnimplementedError("an operand's shape depends on data inside the traced function, and this op needs to know it", op.name,
                               "reshape the operand, or call the op outside of the function");
  }
}

/// Runs `f`; errors from where no op is known (memory that ran out, a literal that does not fit) get the op and its operands.
template <class F>
Tensors named(const OpDef& op, std::span<const Tensor> inputs, F&& f) {
  const auto text = [&](std::string message) {
    for (std::size_t i = 0; i < inputs.size(); ++i) message += (i ? ", " : "; operands: ") + to_string(inputs[i].spec());
    return message;
  };
  try {
    return f();
  } catch (const ResourceExhaustedError& error) {
    if (!error.op().empty()) throw;
    throw ResourceExhaustedError(text(error.what()), op.name);
  } catch (const InvalidArgumentError& error) {
    if (!error.op().empty() || typeid(error) != typeid(InvalidArgumentError)) throw;  // a TypeError stays one
    throw InvalidArgumentError(text(error.what()), op.name);
  } catch (const std::bad_alloc&) {
    throw ResourceExhaustedError(text("out of memory"), op.name);
  }
}

/// The row has no kernel for the device.
[[noreturn]] void refuse_device(const OpDef& op, Device device) {
  const std::string why = op.no_cuda.empty() || device.is_cpu() ? std::string() : ": " + std::string(op.no_cuda);
  const std::string hint = device.is_cpu() ? "" : "nothing is copied silently: compute it on the CPU, with to(tensor, \"cpu\") or under DeviceScope(\"cpu\")";
  throw UnimplementedError("there is no kernel for device " + to_string(device) + why, op.name, hint);
}

/// The device of all operands.
Device common_device(const OpDef& op, std::span<const Tensor> inputs) {
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    if (inputs[i].device() == inputs[0].device()) continue;
    std::string list;
    for (const Tensor& input : inputs) list.append(list.empty() ? "" : ", ").append(to_string(input.spec())).append(" on ").append(to_string(input.device()));
    throw InvalidArgumentError("the operands lie on different devices: " + to_string(inputs[0].device()) + " and " + to_string(inputs[i].device()) + " (" + list + ")", op.name,
                               "nothing is copied silently: use to(tensor, device)");
  }
  return inputs.empty() ? default_device() : inputs[0].device();
}

/// Binds the kernel when there is memory for the results: binding may take as much as they do.
template <class Bind>
void call(Bind&& bind, std::span<const Tensor> inputs, std::span<const TensorSpec> outputs, Device device, Tensors& results) {
  SmallVector<const void*, 8> in;
  SmallVector<void*, 4> out;
  for (const Tensor& input : inputs) in.push_back(input.raw());
  for (const TensorSpec& spec : outputs) {
    results.push_back(Tensor::empty(spec.shape, spec.dtype, device));
    out.push_back(results.back().mutable_raw());
  }
  bind()(in.data(), out.data());
}

/// As execute, where an operand or the default device is no CPU.
Tensors execute_on(Device device, const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs, const SpecPointers& specs, std::span<const TensorSpec> outputs) {
  Tensors results;
  const OnDevice current(device);
  if (op.any_device) {
    const DeviceScope scope(device);
    if (op.cpu_dynamic) return op.cpu_dynamic(OpCall(op, attrs), inputs);
    call([&] { return op.cpu(BindContext(op, attrs, specs, outputs, device)); }, inputs, outputs, device, results);
    return results;
  }
  const DeviceKernel kernel = device_plugin().kernel(op);
  if (kernel.dynamic) return kernel.dynamic(OpCall(op, attrs), inputs);
  if (!kernel.bind) refuse_device(op, device);
  call([&] { return kernel.bind(BindContext(op, attrs, specs, outputs, device)); }, inputs, outputs, device, results);
  return results;
}

/// Does a device other than the CPU compute this call?
bool is_elsewhere(const OpDef& op, std::span<const Tensor> inputs) {
  if (inputs.empty()) return !default_device().is_cpu() && op.no_cuda.empty();
  bool elsewhere = false;
  for (const Tensor& input : inputs) elsewhere |= !input.device().is_cpu();
  return elsewhere;
}

/// The literals that a formula is written with lie beside its operands, whatever the default device.
Tensors compose_beside(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs) {
  for (const Tensor& input : inputs) {
    if (input.dtype() == string) continue;  // always on the CPU
    if (input.device() == default_device()) [[likely]] break;
    const DeviceScope there(input.device());
    return op.compose(OpCall(op, attrs), inputs);
  }
  return op.compose(OpCall(op, attrs), inputs);
}

Tensors execute(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs) {
  const SpecPointers specs = spec_pointers(inputs);
  if (op.compose) {
    infer(op, attrs, specs);
    const Unheard unheard;
    return compose_beside(op, inputs, attrs);
  }
  const SmallVector<TensorSpec, 3> outputs = infer(op, attrs, specs);
  Tensors results;
  if (op.fusion == Fusion::view) {
    results.push_back(Tensor::view(inputs[0], outputs[0].shape));
    return results;
  }
  if (is_elsewhere(op, inputs)) [[unlikely]] return execute_on(common_device(op, inputs), op, inputs, attrs, specs, outputs);
  if (op.cpu_dynamic) return op.cpu_dynamic(OpCall(op, attrs), inputs);
  if (!op.cpu) refuse_device(op, Device());
  call([&] { return op.cpu(BindContext(op, attrs, specs, outputs)); }, inputs, outputs, Device(), results);
  return results;
}

}  // namespace

ThreadListeners& listeners() {
  thread_local ThreadListeners instance;
  return instance;
}

Tensors compute(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs) {
  return named(op, inputs, [&] { return execute(op, inputs, attrs); });
}

Tensors apply_all(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs) {
  ThreadListeners& thread = listeners();
  if (op.compose) {
    require_composable(op, inputs, thread.tracer);
    infer(op, attrs, spec_pointers(inputs));
    return compose_beside(op, inputs, attrs);
  }
  Tensors outputs;
  if (thread.tracer) [[unlikely]] {
    outputs = thread.tracer->trace(op, attrs, inputs);
  } else {
    require_usable(op, inputs);
    outputs = compute(op, inputs, attrs);
  }
  for (Observer* observer : thread.observers) observer->on_apply(op, attrs, inputs, outputs);
  return outputs;
}

Tensor apply(const OpDef& op, std::span<const Tensor> inputs, const AttrList& attrs) {
  return std::move(apply_all(op, inputs, attrs).front());
}

Tensors apply_named(std::string_view name, std::span<const Tensor> inputs, AttrList attrs) {
  const OpDef& op = find_op(name);
  return apply_all(op, inputs, canonical_attrs(op, std::move(attrs)));
}

}  // namespace lockstep
