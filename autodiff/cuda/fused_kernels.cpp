// The kernels of what the graph passes make: fused programs and copies. A program becomes one kernel by NVRTC; one that the generator has no words
// for, and every program on the emulated device, is run instruction by instruction with the rows' own kernels.

#include <lockstep/autodiff/cuda/fused_kernels.h>

#include <map>
#include <mutex>
#include <vector>

#include <lockstep/autodiff/cuda/fusion_source.h>
#include <lockstep/autodiff/fused.h>
#include <lockstep/tensor/device_plugin.h>

#ifndef LOCKSTEP_CUDA_EMULATED
#include <lockstep/autodiff/cuda/nvrtc.h>
#endif

namespace lockstep::autodiff::cuda {
namespace {

using namespace lockstep::cuda;

const FusedProgram& program_of(const BindContext& context) { return static_cast<const FusedProgram&>(*std::get<std::shared_ptr<const AttrObject>>(context.attr("program"))); }

// ---- instruction by instruction

/// One row's kernel, and the slots it reads and writes; outputs of the node are ~number.
struct Step {
  BoundKernel kernel;
  SmallVector<int, 4> inputs;
  int output = 0;
};

struct Interpreter {
  std::vector<Step> steps;
  std::vector<int> input_of;        // by slot: number of the node's input, or -1
  std::vector<Tensor> memory;       // by slot: constants and results that leave no other way
  std::vector<int> output_of;       // by slot: the node's output that it is written to, or -1

  const void* at(int slot, Inputs in, Outputs out) const {
    const auto k = std::size_t(slot);
    if (input_of[k] >= 0) return in[input_of[k]];
    return output_of[k] >= 0 ? out[output_of[k]] : memory[k].raw();
  }
};

/// The row of that name with these operands, bound on the device of `context`.
BoundKernel bind_row(const OpDef& op, AttrList attrs, std::span<const TensorSpec> inputs, const TensorSpec& output, const BindContext& context) {
  SmallVector<const TensorSpec*, 4> specs;
  for (const TensorSpec& spec : inputs) specs.push_back(&spec);
  const TensorSpec outputs[] = {output};
  const DeviceKernel kernel = device_plugin().kernel(op);
  if (!kernel.bind) throw UnimplementedError("there is no CUDA kernel", op.name);
  return kernel.bind(BindContext(op, canonical_attrs(op, std::move(attrs)), specs, outputs, context.device()));
}

/// The attributes that an instruction's numbers came from.
AttrList attrs_of(const FusedProgram::Instruction& instruction) {
  AttrList attrs;
  std::size_t next = 0;
  for (const AttrDef& declared : instruction.op->attrs) {
    if (declared.type == AttrType::dtype) attrs.push_back({declared.name, instruction.dtype});
    if (declared.type == AttrType::number) attrs.push_back({declared.name, instruction.params[next++]});
    if (declared.type == AttrType::integer) attrs.push_back({declared.name, std::int64_t(instruction.params[next++])});
    if (declared.type == AttrType::boolean) attrs.push_back({declared.name, instruction.params[next++] != 0});
  }
  return attrs;
}

BoundKernel bind_interpreter(const BindContext& context, const FusedProgram& program) {
  auto run = std::make_shared<Interpreter>();
  const std::size_t first = program.operands.size(), slots = first + program.code.size();
  run->input_of.assign(slots, -1);
  run->output_of.assign(slots, -1);
  run->memory.resize(slots);
  const std::int64_t columns = std::max<std::int64_t>(1, program.columns), rows = program.shape.numel() / columns;
  const Shape whole{rows, columns};
  std::vector<TensorSpec> specs(slots);
  int input = 0;
  for (std::size_t i = 0; i < first; ++i) {
    const FusedProgram::Operand& operand = program.operands[i];
    specs[i].dtype = operand.dtype;
    specs[i].shape = operand.layout == Layout::full ? whole : operand.layout == Layout::row ? Shape{columns} : operand.layout == Layout::column ? Shape{rows, 1} : Shape{};
    if (operand.constant.defined()) run->memory[i] = to(operand.constant, context.device());
    else run->input_of[i] = input++;
  }
  for (std::size_t o = 0; o < program.outputs.size(); ++o) {
    const FusedProgram::Output& output = program.outputs[o];
    if (!output.reduced && std::size_t(output.slot) >= first && run->output_of[std::size_t(output.slot)] < 0) run->output_of[std::size_t(output.slot)] = int(o);
  }
  for (std::size_t k = 0; k < program.code.size(); ++k) {
    const FusedProgram::Instruction& instruction = program.code[k];
    const std::size_t slot = first + k;
    specs[slot] = {instruction.dtype, whole};
    if (run->output_of[slot] < 0) run->memory[slot] = Tensor::empty(whole, instruction.dtype, context.device());
    std::vector<TensorSpec> inputs;
    for (const int each : instruction.operands) inputs.push_back(specs[std::size_t(each)]);
    run->steps.push_back({bind_row(*instruction.op, attrs_of(instruction), inputs, specs[slot], context), instruction.operands, int(slot)});
  }
  // What leaves by more than one way: sums, and copies of what is an output or an operand already.
  for (std::size_t o = 0; o < program.outputs.size(); ++o) {
    const FusedProgram::Output& output = program.outputs[o];
    const TensorSpec& spec = specs[std::size_t(output.slot)];
    if (output.reduced) {
      const AttrValue axis = output.layout == Layout::scalar ? AttrValue(None{}) : AttrValue(std::int64_t(output.layout == Layout::row ? 0 : 1));
      const Shape shape = output.layout == Layout::scalar ? Shape{} : output.layout == Layout::row ? Shape{columns} : Shape{rows};
      const OpDef& op = find_op(output.fold == FusedProgram::Fold::sum ? "reduce_sum" : "reduce_mean");
      run->steps.push_back({bind_row(op, {{"axis", axis}}, std::span(&spec, 1), {spec.dtype, shape}, context), {output.slot}, ~int(o)});
    } else if (run->output_of[std::size_t(output.slot)] != int(o)) {
      run->steps.push_back({bind_row(find_op("broadcast_to"), {{"shape", Ints{rows, columns}}}, std::span(&spec, 1), {spec.dtype, whole}, context), {output.slot}, ~int(o)});
    }
  }
  return [run](Inputs in, Outputs out) {
    for (Step& step : run->steps) {
      SmallVector<const void*, 4> from;
      for (const int slot : step.inputs) from.push_back(run->at(slot, in, out));
      void* to = step.output < 0 ? out[~step.output] : const_cast<void*>(run->at(step.output, in, out));
      step.kernel(from.data(), &to);
    }
  };
}

// ---- one kernel

#ifndef LOCKSTEP_CUDA_EMULATED

/// A compiled program on every device that asks for it; kept for the life of the process.
struct Loaded {
  FusedSource source;
  cudaKernel_t fused = nullptr, finish = nullptr;
};

std::shared_ptr<const Loaded> load(const FusedProgram& program, bool wide) {
  std::optional<FusedSource> source = fused_source(program, wide);
  if (!source) return nullptr;
  static std::mutex mutex;
  static auto* all = new std::map<std::pair<std::string, int>, std::shared_ptr<const Loaded>>;
  const std::pair<std::string, int> key{source->text, compute_capability()};
  const std::lock_guard lock(mutex);
  if (const auto found = all->find(key); found != all->end()) return found->second;
  const std::string code = compiled(source->text, compute_capability());
  auto loaded = std::make_shared<Loaded>();
  cudaLibrary_t library = nullptr;
  check(cudaLibraryLoadData(&library, code.data(), nullptr, nullptr, 0, nullptr, nullptr, 0), "cudaLibraryLoadData of a fused kernel");
  check(cudaLibraryGetKernel(&loaded->fused, library, "fused"), "cudaLibraryGetKernel");
  if (source->finish_blocks > 0) check(cudaLibraryGetKernel(&loaded->finish, library, "finish"), "cudaLibraryGetKernel");
  loaded->source = std::move(*source);
  return all->emplace(key, std::move(loaded)).first->second;
}

void launch(cudaKernel_t kernel, std::int64_t blocks, SmallVector<const void*, 16>& pointers, std::int64_t* numel) {
  SmallVector<void*, 20> arguments;
  for (const void*& pointer : pointers) arguments.push_back(&pointer);
  if (numel) arguments.push_back(numel);
  check(cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(unsigned(blocks)), dim3(256), arguments.data(), 0, current_stream()), "a fused kernel");
}

BoundKernel bind_compiled(const BindContext& context, const FusedProgram& program) {
  const std::shared_ptr<const Loaded> wide = load(program, true);
  if (!wide) return bind_interpreter(context, program);
  const std::shared_ptr<const Loaded> single = wide->source.elements > 1 ? load(program, false) : wide;
  SmallVector<std::size_t, 8> alignment;  // of inputs, then outputs, in bytes: what `wide` needs
  for (const FusedProgram::Operand& operand : program.operands)
    if (!operand.constant.defined()) alignment.push_back(operand.layout == Layout::full || operand.layout == Layout::row ? std::min<std::size_t>(16, itemsize(operand.dtype) * 4) : 1);
  SmallVector<bool, 8> finishes;
  for (const FusedProgram::Output& output : program.outputs) finishes.push_back(output.reduced && output.layout != Layout::column);
  for (std::size_t o = 0; o < context.output_count(); ++o) alignment.push_back(std::min<std::size_t>(16, itemsize(context.output(o).dtype) * 4));
  return [=, inputs = context.input_count(), numel = program.shape.numel(), workspace = Workspace(std::size_t(wide->source.part_numel) * sizeof(float))](Inputs in, Outputs out) mutable {
    if (numel == 0) return;
    SmallVector<const void*, 16> pointers;
    for (std::size_t i = 0; i < inputs; ++i) pointers.push_back(in[i]);
    for (std::size_t o = 0; o < finishes.size(); ++o) pointers.push_back(out[o]);
    bool aligned = true;
    for (std::size_t i = 0; i < pointers.size(); ++i) aligned = aligned && reinterpret_cast<std::uintptr_t>(pointers[i]) % alignment[i] == 0;
    const Loaded& chosen = aligned ? *wide : *single;
    pointers.push_back(workspace.data());
    const std::int64_t per_block = std::int64_t(256) * chosen.source.elements;
    launch(chosen.fused, chosen.source.reduces ? chosen.source.blocks : std::min<std::int64_t>((numel + per_block - 1) / per_block, std::int64_t(1) << 20), pointers, &numel);
    if (!chosen.finish) return;
    SmallVector<const void*, 16> sums;
    for (std::size_t o = 0; o < finishes.size(); ++o)
      if (finishes[o]) sums.push_back(out[o]);
    sums.push_back(workspace.data());
    launch(chosen.finish, chosen.source.finish_blocks, sums, nullptr);
  };
}

#endif

BoundKernel bind_fused(const BindContext& context) {
  const FusedProgram& program = program_of(context);
#ifdef LOCKSTEP_CUDA_EMULATED
  return bind_interpreter(context, program);
#else
  return bind_compiled(context, program);
#endif
}

BoundKernel bind_copy(const BindContext& context) {
  return [nbytes = std::size_t(context.shape(0).numel()) * itemsize(context.dtype_of(0))](Inputs in, Outputs out) { copy_on_device(out[0], in[0], nbytes); };
}

constexpr Kernel kKernels[] = {{"fused", bind_fused}, {"copy", bind_copy}};

}  // namespace

std::span<const Kernel> fused_kernels() { return kKernels; }

}  // namespace lockstep::autodiff::cuda
