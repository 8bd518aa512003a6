// A hash table of strings as tensors: the keys, and slots that hold their places or -1. A key stands in the slot that its hash names, or in the next free one.

#include <algorithm>
#include <bit>

#include <farmhash.h>

#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops/text.h>

namespace lockstep {
namespace {

constexpr std::int64_t kFindGrain = 1024;

/// Calls `visit(slot)` for the slots where a key may stand, until that says that the search is over.
template <class F>
void search(const std::string& key, std::int64_t slots, F&& visit) {
  const std::uint64_t mask = std::uint64_t(slots) - 1;
  std::uint64_t slot = util::Fingerprint64(key.data(), key.size()) & mask;
  for (std::int64_t i = 0; i < slots && !visit(slot); ++i) slot = (slot + 1) & mask;
}

/// Twice the keys at least, so that a search is short.
void slots_infer(InferContext& context) {
  if (context.shape(0).ndim() != 1) context.refuse("keys have one axis");
  context.output(int64, Shape{std::int64_t(std::bit_ceil(2 * std::uint64_t(context.shape(0)[0]) + 1))});
}

BoundKernel slots_cpu(const BindContext& context) {
  return [count = context.shape(0)[0], size = context.output(0).shape[0]](Inputs in, Outputs out) {
    const auto* keys = static_cast<const std::string*>(in[0]);
    auto* slots = static_cast<std::int64_t*>(out[0]);
    std::fill_n(slots, size, std::int64_t(-1));
    for (std::int64_t i = 0; i < count; ++i)
      search(keys[i], size, [&](std::uint64_t slot) {
        if (slots[slot] < 0) slots[slot] = i;
        return slots[slot] == i || keys[slots[slot]] == keys[i];
      });
  };
}

void find_infer(InferContext& context) {
  if (context.shape(1).ndim() != 1) context.refuse("keys have one axis");
  if (context.shape(2).ndim() != 1 || !std::has_single_bit(std::uint64_t(context.shape(2)[0]))) context.refuse("slots have one axis, of a power of two");
  context.output(int64, context.shape(0));
}

BoundKernel find_cpu(const BindContext& context) {
  return [count = context.shape(0).numel(), known = context.shape(1)[0], size = context.shape(2)[0], required = context.boolean("required"), op = context.op().name](Inputs in, Outputs out) {
    const auto *x = static_cast<const std::string*>(in[0]), *keys = static_cast<const std::string*>(in[1]);
    const auto* slots = static_cast<const std::int64_t*>(in[2]);
    text::for_parts(count, kFindGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::int64_t place = -1;
        search(x[i], size, [&](std::uint64_t slot) {
          const std::int64_t at = slots[slot];
          if (at >= known) throw InvalidArgumentError("a slot holds " + std::to_string(at) + ", but there are " + std::to_string(known) + " keys", op);
          if (at >= 0 && keys[at] == x[i]) place = at;
          return at < 0 || place >= 0;
        });
        if (place < 0 && required) throw InvalidArgumentError("\"" + x[i] + "\" is none of the " + std::to_string(known) + " keys", op);
        static_cast<std::int64_t*>(out[0])[i] = place;
      }
    });
  };
}

OpDef lookup_row(std::string_view name, std::string_view doc, DTypeRule dtypes, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), std::vector<Sample> samples) {
  const int inputs = int(dtypes.inputs.size());
  return {.name = name, .doc = doc, .family = "strings", .min_inputs = inputs, .max_inputs = inputs, .dtypes = std::move(dtypes), .infer = infer, .gradient = not_differentiable("strings have no gradient"),
          .onnx = no_onnx("strings are prepared before the model"), .samples = std::move(samples), .cpu = cpu, .no_cuda = text::kNoCuda};
}

}  // namespace

std::vector<OpDef> lookup_rows() {
  const Sample::Operand keys{.dtype = string, .shape = {5}};
  const auto with_slots = [](std::span<const Tensor> in) -> Tensors { return {in[0], in[1], apply_named("key_slots", in.subspan(1, 1)).front()}; };
  std::vector<OpDef> rows{lookup_row("key_slots", "int64: the hash table of keys (n,), their places or -1 in slots, a power of two of them; of equal keys the first", same(dtypes(string)), slots_infer, slots_cpu, {{.inputs = {keys}}}),
                          lookup_row("find_keys", "int64: where each element of operand 0 stands among the keys (operand 1, with their slots as operand 2); -1 where it does not, unless that is an error (required)",
                                     {{{dtypes(string), 0}, {dtypes(string), 0}, {dtypes(int64), 1}}}, find_infer, find_cpu, {{.inputs = {{.dtype = string, .shape = {2, 3}}, keys, {.dtype = int64, .shape = {16}}}, .prepare = with_slots}})};
  rows[1].attrs = {{.name = "required", .type = AttrType::boolean, .fallback = false}};
  return rows;
}

}  // namespace lockstep
