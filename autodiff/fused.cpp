// The executor of fused programs. What does not depend on pointers is settled when the node is bound: the tile length, a register
// (a tile in scratch memory) for every intermediate by liveness, the expansion of constant scalars. A run then walks the tiles.

#include <lockstep/autodiff/fused.h>

#include <algorithm>
#include <cstring>

#include <lockstep/tensor/base/allocator.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/ops/reduce.h>
#include <lockstep/tensor/pointwise/kernels.h>

namespace lockstep::autodiff {
namespace {

constexpr std::int64_t kTileBytes = 4096;     // a tile of the widest dtype; about eight of them fit L1 beside the operands
constexpr std::int64_t kGrain = 32 * 1024;    // elements worth a thread
constexpr std::int64_t kReduceBlocks = 16;    // fixed, so that sums do not depend on the number of threads

/// Where a slot's elements are found for a tile that starts at element `start`.
struct Place {
  enum class Kind : std::uint8_t { memory, periodic, scratch, shared } kind = Kind::scratch;
  int index = 0;                 // memory, periodic: position among node inputs (>= 0) or ~position among outputs; scratch: byte offset
  std::int64_t itemsize = 4;
  const void* shared = nullptr;  // expanded constant
};

using pointwise::ChainOp;
using pointwise::ChainStep;

/// Instructions [first, last) that run together: one by one, or as a chain in registers.
struct Group {
  struct Step {
    ChainOp op;
    int operand;  // slot, -1 for none
    int store;    // slot, -1 for none
  };
  int first = 0, last = 0;
  SmallVector<Step, 12> chain = {};
};

struct Plan {
  std::shared_ptr<const FusedProgram> program;
  std::int64_t numel = 0;
  std::int64_t columns = 1;
  std::int64_t tile = 0;
  bool whole_rows = true;  // a tile is a multiple of the columns (else a part of one row)
  std::vector<Place> places;
  struct Expansion {
    int operand;
    int input;
    Layout layout;
    std::int64_t itemsize;
    std::int64_t offset;  // into scratch
  };
  std::vector<Expansion> once;      // scalars and short rows: filled at the start of a run
  std::vector<Expansion> per_tile;  // columns
  std::int64_t scratch_bytes = 0;
  std::vector<Tensor> constants;  // expanded
  bool has_reduction = false;
  std::vector<Group> groups;
};

/// Repeats the `unit` bytes at `from` until `total` bytes are filled.
void fill_pattern(std::byte* to, const void* from, std::int64_t unit, std::int64_t total) {
  std::int64_t done = std::min(unit, total);
  std::memcpy(to, from, std::size_t(done));
  while (done < total) {
    const std::int64_t more = std::min(done, total - done);
    std::memcpy(to + done, to, std::size_t(more));
    done += more;
  }
}

struct Scratch {
  std::byte* data = nullptr;
  std::size_t size = 0;
  ~Scratch() { deallocate(data, size); }
  std::byte* reserve(std::size_t wanted) {
    if (wanted > size) {
      deallocate(data, size);
      data = nullptr;
      size = 0;
      data = static_cast<std::byte*>(allocate(wanted));
      size = wanted;
    }
    return data;
  }
};
std::byte* thread_scratch(std::size_t nbytes) {
  thread_local Scratch scratch;
  return scratch.reserve(nbytes);
}

void choose_tile(Plan& plan, std::int64_t widest, bool two_dimensional) {
  const std::int64_t most = kTileBytes / widest;
  if (!two_dimensional) {
    plan.tile = std::min(most, std::max<std::int64_t>(plan.numel, 1));
    return;
  }
  plan.whole_rows = plan.columns <= most;
  plan.tile = plan.whole_rows ? std::max<std::int64_t>(1, most / std::max<std::int64_t>(plan.columns, 1)) * plan.columns : most;
  plan.tile = std::max<std::int64_t>(1, std::min(plan.tile, std::max<std::int64_t>(plan.numel, 1)));
}

/// Registers by liveness: an instruction's tile is free again after its last reader.
void assign_registers(Plan& plan, std::int64_t tile_bytes) {
  const FusedProgram& program = *plan.program;
  const int first = int(program.operands.size());
  std::vector<int> last_use(program.code.size(), -1);
  for (std::size_t k = 0; k < program.code.size(); ++k)
    for (const int slot : program.code[k].operands)
      if (slot >= first) last_use[std::size_t(slot - first)] = int(k);
  for (const FusedProgram::Output& output : program.outputs)
    if (output.reduced && output.slot >= first) last_use[std::size_t(output.slot - first)] = int(program.code.size());
  std::vector<std::int64_t> free;
  std::vector<std::vector<std::int64_t>> expiring(program.code.size() + 1);
  for (std::size_t k = 0; k < program.code.size(); ++k) {
    for (const std::int64_t offset : expiring[k]) free.push_back(offset);  // read by k itself: exact aliasing is allowed
    Place& place = plan.places[std::size_t(first) + k];
    place.itemsize = std::int64_t(itemsize(program.code[k].dtype));
    const auto written = std::find_if(program.outputs.begin(), program.outputs.end(), [&](const FusedProgram::Output& output) {
      return !output.reduced && output.slot == first + int(k);
    });
    if (written != program.outputs.end()) {
      place.kind = Place::Kind::memory;
      place.index = ~int(written - program.outputs.begin());
      continue;
    }
    std::int64_t offset = plan.scratch_bytes;
    // A register is reused only for the same width: an 8-byte result over a 1-byte operand would overtake it.
    const auto fitting = std::find_if(free.begin(), free.end(), [](std::int64_t) { return true; });
    const bool same_width = std::all_of(program.code[k].operands.begin(), program.code[k].operands.end(), [&](int slot) {
      return plan.places[std::size_t(slot)].itemsize == place.itemsize;
    });
    if (fitting != free.end() && same_width) {
      offset = *fitting;
      free.erase(fitting);
    } else {
      plan.scratch_bytes += tile_bytes;
    }
    place.kind = Place::Kind::scratch;
    place.index = int(offset);
    if (last_use[k] >= 0) expiring[std::size_t(last_use[k])].push_back(offset);
  }
}

struct ChainForm {
  std::string_view name;
  ChainOp first, second;  // the accumulator is operand 0, or 1
};
constexpr ChainForm kChainForms[] = {
    {"add", ChainOp::add, ChainOp::add},
    {"subtract", ChainOp::subtract, ChainOp::subtract_from},
    {"multiply", ChainOp::multiply, ChainOp::multiply},
    {"divide", ChainOp::divide, ChainOp::divide_into},
    {"maximum", ChainOp::maximum, ChainOp::maximum_of},
    {"minimum", ChainOp::minimum, ChainOp::minimum_of},
    {"squared_difference", ChainOp::squared_difference, ChainOp::squared_difference_of},
    {"neg", ChainOp::neg, ChainOp::neg},
    {"abs", ChainOp::abs, ChainOp::abs},
    {"square", ChainOp::square, ChainOp::square},
    {"sqrt", ChainOp::sqrt, ChainOp::sqrt},
    {"rsqrt", ChainOp::rsqrt, ChainOp::rsqrt},
    {"reciprocal", ChainOp::reciprocal, ChainOp::reciprocal},
    {"relu", ChainOp::relu, ChainOp::relu},
};
constexpr std::size_t kLongestChain = 12;

/// The instruction as a step on the value in slot `accumulator`; none if it is not of that kind.
std::optional<Group::Step> chain_step(const FusedProgram::Instruction& instruction, int accumulator) {
  if (instruction.dtype != float32) return std::nullopt;
  const auto form = std::find_if(std::begin(kChainForms), std::end(kChainForms), [&](const ChainForm& each) { return each.name == instruction.op->name; });
  if (form == std::end(kChainForms)) return std::nullopt;
  const auto& operands = instruction.operands;
  if (operands.size() == 1) return operands[0] == accumulator ? std::optional(Group::Step{form->first, -1, -1}) : std::nullopt;
  if (operands[0] == operands[1]) {
    if (operands[0] != accumulator || form->first != ChainOp::multiply) return std::nullopt;
    return Group::Step{ChainOp::square, -1, -1};
  }
  if (operands[0] == accumulator) return Group::Step{form->first, operands[1], -1};
  if (operands[1] == accumulator) return Group::Step{form->second, operands[0], -1};
  return std::nullopt;
}

/// Cuts the program into chains, where each instruction takes the result of the one before, and single instructions.
void group_instructions(Plan& plan) {
  const FusedProgram& program = *plan.program;
  const int first = int(program.operands.size()), count = int(program.code.size());
  const auto dtype_of_slot = [&](int slot) { return slot < first ? program.operands[std::size_t(slot)].dtype : program.code[std::size_t(slot - first)].dtype; };
  const auto kept = [&](int slot, int next) {
    for (int k = next + 1; k < count; ++k)
      if (std::find(program.code[std::size_t(k)].operands.begin(), program.code[std::size_t(k)].operands.end(), slot) != program.code[std::size_t(k)].operands.end()) return true;
    return std::any_of(program.outputs.begin(), program.outputs.end(), [&](const FusedProgram::Output& output) { return output.slot == slot; });
  };
  for (int k = 0; k < count;) {
    Group group{.first = k, .last = k + 1};
    const int start = program.code[std::size_t(k)].operands[0];
    auto step = dtype_of_slot(start) == float32 ? chain_step(program.code[std::size_t(k)], start) : std::nullopt;
    if (step) group.chain.push_back({ChainOp::load, start, -1});
    while (step && group.chain.size() < kLongestChain) {
      group.chain.push_back(*step);
      group.last = ++k;
      if (k == count) break;
      step = chain_step(program.code[std::size_t(k)], first + k - 1);
      if (step && kept(first + k - 1, k)) group.chain.back().store = first + k - 1;
    }
    if (group.chain.size() > 2) {
      group.chain.back().store = first + group.last - 1;
    } else {
      group.chain.clear();
      k = group.last;
    }
    plan.groups.push_back(std::move(group));
  }
}

void place_operands(Plan& plan, std::int64_t tile_bytes) {
  const FusedProgram& program = *plan.program;
  int input = 0;
  for (std::size_t i = 0; i < program.operands.size(); ++i) {
    const FusedProgram::Operand& operand = program.operands[i];
    Place& place = plan.places[i];
    place.itemsize = std::int64_t(itemsize(operand.dtype));
    if (operand.constant.defined()) {
      Tensor expanded = Tensor::empty({plan.tile}, operand.dtype);
      fill_pattern(static_cast<std::byte*>(expanded.mutable_raw()), operand.constant.raw(), place.itemsize, plan.tile * place.itemsize);
      plan.constants.push_back(expanded);
      place.kind = Place::Kind::shared;
      place.shared = expanded.raw();
      continue;
    }
    place.index = input++;
    if (operand.layout == Layout::full) {
      place.kind = Place::Kind::memory;
    } else if (operand.layout == Layout::row && !plan.whole_rows) {
      place.kind = Place::Kind::periodic;
    } else {
      const Plan::Expansion expansion{int(i), place.index, operand.layout, place.itemsize, plan.scratch_bytes};
      (operand.layout == Layout::column ? plan.per_tile : plan.once).push_back(expansion);
      place.kind = Place::Kind::scratch;
      place.index = int(plan.scratch_bytes);
      plan.scratch_bytes += tile_bytes;
    }
  }
}

/// The pointers of one tile, by slot.
class Tile {
 public:
  Tile(const Plan& plan, Inputs in, Outputs out, std::byte* scratch) : plan_(plan), in_(in), out_(out), scratch_(scratch) {
    pointers_.resize(plan.places.size());
  }

  void prepare() {
    for (const Plan::Expansion& expansion : plan_.once) {
      const std::int64_t unit = expansion.itemsize * (expansion.layout == Layout::row ? plan_.columns : 1);
      fill_pattern(scratch_ + expansion.offset, in_[expansion.input], unit, plan_.tile * expansion.itemsize);
    }
  }

  void run(std::int64_t start, std::int64_t n) {
    start_ = start;
    for (const Plan::Expansion& expansion : plan_.per_tile) fill_column(expansion, start, n);
    point();
    for (const Group& group : plan_.groups)
      if (group.chain.empty()) run_single(group.first, n);
      else run_chain(group, n);
  }

  void* at(int slot) const { return pointers_[std::size_t(slot)]; }

 private:
  void run_chain(const Group& group, std::int64_t n) const {
    ChainStep steps[kLongestChain + 1];
    for (std::size_t s = 0; s < group.chain.size(); ++s) {
      const Group::Step& step = group.chain[s];
      steps[s] = {step.op, step.operand < 0 ? nullptr : static_cast<const float*>(at(step.operand)), step.store < 0 ? nullptr : static_cast<float*>(at(step.store))};
    }
    pointwise::run_chain(steps, int(group.chain.size()), n);
  }

  void run_single(int k, std::int64_t n) const {
    const FusedProgram& program = *plan_.program;
    const FusedProgram::Instruction& instruction = program.code[std::size_t(k)];
    const void* operands[8];
    for (std::size_t i = 0; i < instruction.operands.size(); ++i) operands[i] = at(instruction.operands[i]);
    instruction.run(operands, at(int(program.operands.size()) + k), n, instruction.params.data());
  }

  /// Finds every slot's memory for the tile that starts at start_.
  void point() {
    for (std::size_t slot = 0; slot < plan_.places.size(); ++slot) {
      const Place& place = plan_.places[slot];
      switch (place.kind) {
        case Place::Kind::memory: {
          std::byte* base = static_cast<std::byte*>(place.index >= 0 ? const_cast<void*>(in_[place.index]) : out_[~place.index]);
          pointers_[slot] = base + start_ * place.itemsize;
          break;
        }
        case Place::Kind::periodic: pointers_[slot] = static_cast<std::byte*>(const_cast<void*>(in_[place.index])) + start_ % plan_.columns * place.itemsize; break;
        case Place::Kind::shared: pointers_[slot] = const_cast<void*>(place.shared); break;
        case Place::Kind::scratch: pointers_[slot] = scratch_ + place.index; break;
      }
    }
  }

  void fill_column(const Plan::Expansion& expansion, std::int64_t start, std::int64_t n) {
    const std::byte* from = static_cast<const std::byte*>(in_[expansion.input]);
    std::byte* to = scratch_ + expansion.offset;
    const std::int64_t columns = plan_.columns;
    for (std::int64_t done = 0; done < n;) {
      const std::int64_t row = (start + done) / columns;
      const std::int64_t run = std::min(n - done, columns - (start + done) % columns);
      fill_pattern(to + done * expansion.itemsize, from + row * expansion.itemsize, expansion.itemsize, run * expansion.itemsize);
      done += run;
    }
  }

  const Plan& plan_;
  Inputs in_;
  Outputs out_;
  std::byte* scratch_;
  std::int64_t start_ = 0;
  SmallVector<void*, 48> pointers_;  // by slot
};

/// Length of the tile that starts at `start` and ends by `end`.
std::int64_t tile_length(const Plan& plan, std::int64_t start, std::int64_t end) {
  std::int64_t n = std::min(plan.tile, end - start);
  if (!plan.whole_rows) n = std::min(n, plan.columns - start % plan.columns);
  return n;
}

void run_range(const Plan& plan, Inputs in, Outputs out, std::int64_t begin, std::int64_t end) {
  Tile tile(plan, in, out, thread_scratch(std::size_t(plan.scratch_bytes)));
  tile.prepare();
  for (std::int64_t start = begin; start < end;) {
    const std::int64_t n = tile_length(plan, start, end);
    tile.run(start, n);
    start += n;
  }
}

void run_pointwise(const Plan& plan, Inputs in, Outputs out) {
  if (plan.numel <= kGrain) {
    if (plan.numel > 0) run_range(plan, in, out, 0, plan.numel);
    return;
  }
  const std::int64_t unit = plan.whole_rows ? plan.tile : plan.columns;
  const std::int64_t units = (plan.numel + unit - 1) / unit;
  parallel_for(units, std::max<std::int64_t>(1, kGrain / unit), [&](std::int64_t begin, std::int64_t end) {
    run_range(plan, in, out, begin * unit, std::min(end * unit, plan.numel));
  });
}

/// Adds one tile of a reduced slot into the block's accumulators.
void accumulate(const Plan& plan, const FusedProgram::Output& output, const float* x, std::int64_t start, std::int64_t n, float* total) {
  const std::int64_t columns = plan.columns;
  if (output.layout == Layout::scalar) {
    total[0] += sum_run(x, n);
    return;
  }
  if (output.layout == Layout::row) {
    if (plan.whole_rows) add_rows(x, n / columns, columns, total);
    else add_rows(x, 1, n, total + start % columns);
    return;
  }
  for (std::int64_t done = 0; done < n;) {
    const std::int64_t run = std::min(n - done, columns - (start + done) % columns);
    total[(start + done) / columns] += sum_run(x + done, run);
    done += run;
  }
}

std::int64_t reduced_numel(const Plan& plan, const FusedProgram::Output& output) {
  if (output.layout == Layout::scalar) return 1;
  return output.layout == Layout::row ? plan.columns : plan.numel / std::max<std::int64_t>(plan.columns, 1);
}

/// Programs with reductions: a fixed number of blocks, each with accumulators of its own, added in their order.
void run_reducing(const Plan& plan, Inputs in, Outputs out) {
  const FusedProgram& program = *plan.program;
  const std::int64_t unit = plan.whole_rows ? plan.tile : plan.columns;
  const std::int64_t units = (plan.numel + unit - 1) / unit;
  const std::int64_t blocks = plan.numel <= kGrain ? 1 : std::min(kReduceBlocks, units);
  // Column outputs are disjoint between blocks; the others get one accumulator per block.
  std::int64_t per_block = 0;
  for (const FusedProgram::Output& output : program.outputs)
    if (output.reduced && output.layout != Layout::column) per_block += reduced_numel(plan, output);
  std::byte* memory = static_cast<std::byte*>(allocate(std::size_t(std::max<std::int64_t>(1, per_block * blocks)) * sizeof(float)));
  float* totals = reinterpret_cast<float*>(memory);
  std::fill_n(totals, per_block * blocks, 0.0f);
  for (std::size_t o = 0; o < program.outputs.size(); ++o)
    if (program.outputs[o].reduced && program.outputs[o].layout == Layout::column)
      std::fill_n(static_cast<float*>(out[o]), reduced_numel(plan, program.outputs[o]), 0.0f);
  parallel_for(blocks, 1, [&](std::int64_t first_block, std::int64_t last_block) {
    Tile tile(plan, in, out, thread_scratch(std::size_t(plan.scratch_bytes)));
    tile.prepare();
    for (std::int64_t block = first_block; block < last_block; ++block) {
      const std::int64_t end = std::min(plan.numel, units * (block + 1) / blocks * unit);
      for (std::int64_t start = units * block / blocks * unit; start < end;) {
        const std::int64_t n = tile_length(plan, start, end);
        tile.run(start, n);
        float* total = totals + block * per_block;
        for (std::size_t o = 0; o < program.outputs.size(); ++o) {
          const FusedProgram::Output& output = program.outputs[o];
          if (!output.reduced) continue;
          const bool column = output.layout == Layout::column;
          accumulate(plan, output, static_cast<const float*>(tile.at(output.slot)), start, n, column ? static_cast<float*>(out[o]) : total);
          if (!column) total += reduced_numel(plan, output);
        }
        start += n;
      }
    }
  });
  std::int64_t offset = 0;
  for (std::size_t o = 0; o < program.outputs.size(); ++o) {
    const FusedProgram::Output& output = program.outputs[o];
    if (!output.reduced) continue;
    const std::int64_t count = reduced_numel(plan, output);
    float* result = static_cast<float*>(out[o]);
    if (output.layout != Layout::column) {
      std::copy_n(totals + offset, count, result);
      for (std::int64_t block = 1; block < blocks; ++block) add_rows(totals + block * per_block + offset, 1, count, result);
      offset += count;
    }
    if (output.fold == FusedProgram::Fold::mean) {
      const float scale = float(count) / float(plan.numel);
      for (std::int64_t i = 0; i < count; ++i) result[i] *= scale;
    }
  }
  deallocate(memory, std::size_t(std::max<std::int64_t>(1, per_block * blocks)) * sizeof(float));
}

BoundKernel bind_fused(const BindContext& context) {
  auto plan = std::make_shared<Plan>();
  plan->program = std::static_pointer_cast<const FusedProgram>(std::get<std::shared_ptr<const AttrObject>>(context.attr("program")));
  const FusedProgram& program = *plan->program;
  plan->numel = program.shape.numel();
  plan->columns = program.columns;
  std::int64_t widest = 1;
  bool two_dimensional = false;
  for (const FusedProgram::Operand& operand : program.operands) {
    widest = std::max(widest, std::int64_t(itemsize(operand.dtype)));
    two_dimensional = two_dimensional || operand.layout == Layout::row || operand.layout == Layout::column;
  }
  for (const FusedProgram::Instruction& instruction : program.code) widest = std::max(widest, std::int64_t(itemsize(instruction.dtype)));
  for (const FusedProgram::Output& output : program.outputs) {
    plan->has_reduction = plan->has_reduction || output.reduced;
    two_dimensional = two_dimensional || (output.reduced && output.layout != Layout::scalar);
  }
  choose_tile(*plan, widest, two_dimensional);
  const std::int64_t tile_bytes = (plan->tile * widest + std::int64_t(kAlignment) - 1) / std::int64_t(kAlignment) * std::int64_t(kAlignment);
  plan->places.resize(program.operands.size() + program.code.size());
  place_operands(*plan, tile_bytes);
  assign_registers(*plan, tile_bytes);
  group_instructions(*plan);
  if (plan->has_reduction) return [plan](Inputs in, Outputs out) { run_reducing(*plan, in, out); };
  return [plan](Inputs in, Outputs out) { run_pointwise(*plan, in, out); };
}

void infer_fused(InferContext& context) {
  const auto& program = static_cast<const FusedProgram&>(*std::get<std::shared_ptr<const AttrObject>>(context.attr("program")));
  for (const FusedProgram::Output& output : program.outputs) {
    const std::size_t first = program.operands.size();
    const DType dtype = std::size_t(output.slot) < first ? program.operands[std::size_t(output.slot)].dtype : program.code[std::size_t(output.slot) - first].dtype;
    if (output.reduced) context.refuse("the specs of reduced outputs are set by the pass that made them");
    context.output(dtype, program.shape);
  }
}

}  // namespace

bool FusedProgram::may_alias(std::size_t o, std::size_t i) const {
  std::size_t operand = 0;
  for (std::size_t input = 0; operand < operands.size(); ++operand) {
    if (operands[operand].constant.defined()) continue;
    if (input++ == i) break;
  }
  const Output& output = outputs[o];
  if (output.reduced || operands[operand].layout != Layout::full) return false;
  const int written = output.slot - int(operands.size());
  if (written < 0 || itemsize(code[std::size_t(written)].dtype) != itemsize(operands[operand].dtype)) return false;
  for (std::size_t k = std::size_t(written) + 1; k < code.size(); ++k)
    for (const int slot : code[k].operands)
      if (slot == int(operand)) return false;
  return std::none_of(outputs.begin(), outputs.end(), [&](const Output& each) { return each.slot == int(operand); });
}

std::string FusedProgram::describe() const {
  std::string text = "{";
  for (std::size_t k = 0; k < code.size(); ++k) {
    text.append(k ? "; " : "").append("t").append(std::to_string(operands.size() + k)).append("=").append(code[k].op->name).append("(");
    for (std::size_t i = 0; i < code[k].operands.size(); ++i) {
      const int slot = code[k].operands[i];
      const bool constant = slot < int(operands.size()) && operands[std::size_t(slot)].constant.defined();
      text.append(i ? "," : "").append(constant ? "c" : "t").append(std::to_string(slot));
    }
    text += ")";
  }
  for (const Output& output : outputs)
    if (output.reduced) text.append("; ").append(output.fold == Fold::sum ? "sum" : "mean").append("(t").append(std::to_string(output.slot)).append(")");
  return text + "}";
}

bool FusedProgram::equals(const AttrObject& other) const { return this == &other; }

const OpDef& fused_op() {
  static const OpDef op{.name = "fused",
                        .doc = "a chain of pointwise ops in one pass over memory",
                        .family = "engine",
                        .min_inputs = 0,
                        .max_inputs = -1,
                        .attrs = {{.name = "program", .type = AttrType::object, .required = true}},
                        .infer = infer_fused,
                        .gradient = not_differentiable("made after gradients"),
                        .onnx = no_onnx("made by the fusion pass; models are exported before it"),
                        .cpu = bind_fused};
  return op;
}

const OpDef& copy_op() {
  static const OpDef op{.name = "copy",
                        .doc = "the same elements in memory of their own",
                        .family = "engine",
                        .infer = [](InferContext& context) { context.output(context.dtype_of(0), context.shape(0)); },
                        .gradient = not_differentiable("made after gradients"),
                        .onnx = no_onnx("made by the memory plan"),
                        .cpu = [](const BindContext& context) -> BoundKernel {
                          const std::size_t nbytes = std::size_t(context.shape(0).numel()) * itemsize(context.dtype_of(0));
                          return [nbytes](Inputs in, Outputs out) { std::memcpy(out[0], in[0], nbytes); };
                        }};
  return op;
}

}  // namespace lockstep::autodiff
