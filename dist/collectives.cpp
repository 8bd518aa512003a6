#include <lockstep/dist/collectives.h>

#include <cstring>
#include <map>
#include <mutex>
#include <thread>

#include <lockstep/dist/device_channel.h>
#include <lockstep/dist/host_buffer.h>
#include <lockstep/dist/world.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/device_plugin.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::dist {
namespace {

// ---- groups

struct Groups {
  std::mutex mutex;
  std::vector<std::unique_ptr<Communicator>> split;  // group k + 1
};
Groups& groups() {
  static auto* instance = new Groups;
  return *instance;
}

// ---- calls under way, by where their first tensor lies

struct StartedCall {
  Communicator* communicator = nullptr;
  Communicator::Ticket ticket = 0;
  std::thread::id thread = std::this_thread::get_id();
  Tensors kept = {};  // outside graphs, whose memory stays: the tensors may be forgotten before anybody waits
  std::shared_ptr<const std::vector<HostBuffer>> buffers = nullptr;  // of tensors on a GPU: what is reduced
  DeviceChannel* channel = nullptr;                                  // between GPUs: which one reduces them, where they lie
  bool mean = false;
};
struct Started {
  std::mutex mutex;
  std::map<const void*, StartedCall> calls;
};
Started& started() {
  static auto* instance = new Started;
  return *instance;
}

/// Where the first bytes lie; null if there are none.
const void* place_of(std::span<const std::int64_t> bytes, const void* const* tensors) {
  for (std::size_t i = 0; i < bytes.size(); ++i)
    if (bytes[i] > 0) return tensors[i];
  return nullptr;
}

void settle() {
  std::vector<StartedCall> own;
  {
    const std::lock_guard lock(started().mutex);
    std::erase_if(started().calls, [&](auto& entry) {
      const bool mine = entry.second.thread == std::this_thread::get_id() && entry.second.kept.empty();
      if (mine) own.push_back(std::move(entry.second));
      return mine;
    });
  }
  for (const StartedCall& call : own) try {
      if (call.channel) call.channel->lead();
      else call.communicator->wait(call.ticket);
    } catch (const std::exception&) {
      return;  // the exception on its way says more
    }
}

// ---- what the rows have in common

Group group_of_call(const OpCall& call);

ReduceOp op_of(const OpCall& call) { return reduce_op(call.text("op")); }

CollectiveOptions options_of(const GradContext& context) {
  const std::string& label = context.text("label");
  return {group_of_call(context), label.empty() ? "" : label + "/gradient"};
}

/// The call that a kernel makes, without its buffers.
Call call_of(const BindContext& context, Collective kind) {
  Call call{.kind = kind, .dtype = context.dtype_of(0), .label = context.text("label")};
  for (const AttrDef& each : context.op().attrs) {
    if (each.name == "op") call.op = op_of(context);
    if (each.name == "root") call.root = int(context.integer("root"));
  }
  return call;
}

std::int64_t bytes_of(const TensorSpec& spec) { return spec.shape.numel() * std::int64_t(itemsize(spec.dtype)); }

void check(InferContext& context) {
  if (context.dtype_of(0) == string) context.refuse_type("strings do not travel between ranks");
  for (const AttrDef& each : context.op().attrs)
    if (each.name == "op") {
      try {
        check_reduction(reduce_op(context.text("op")), context.dtype_of(0));
      } catch (const InvalidArgumentError& error) {
        context.refuse(error.what());
      }
    }
}

void same_specs(InferContext& context) {
  check(context);
  for (std::size_t i = 0; i < context.input_count(); ++i) context.output(context.dtype_of(i), context.shape(i));
}

/// The first axis, `times` as long (or divided by `over`).
void first_axis(InferContext& context, std::int64_t times, std::int64_t over) {
  check(context);
  Shape shape = context.shape(0);
  if (shape.ndim() == 0) context.refuse("a scalar has no axis to cut or to put together");
  if (shape[0] % over != 0) context.refuse("the first axis, " + std::to_string(shape[0]) + " long, does not divide by " + std::to_string(over) + " ranks");
  shape[0] = shape[0] / over * times;
  context.output(context.dtype_of(0), shape);
}

// ---- kernels

/// The call between GPUs. Its result is ready for what is computed next.
void call_channel(DeviceChannel& channel, const Call& call, const void* in, void* out, std::int64_t count) {
  const std::int64_t bytes = count * std::int64_t(itemsize(call.dtype));
  switch (call.kind) {
    case Collective::all_reduce: channel.all_reduce({&in, 1}, {&out, 1}, {&count, 1}, call.dtype, call.label); break;
    case Collective::reduce_scatter: channel.reduce_scatter(in, out, count, call.dtype, call.label); break;
    case Collective::all_gather: channel.all_gather(in, out, bytes, call.label); break;
    default: channel.broadcast(out, bytes, call.root, call.label);
  }
  channel.lead();
  if (call.op == ReduceOp::mean && (call.kind == Collective::all_reduce || call.kind == Collective::reduce_scatter)) channel.divide(out, count, call.dtype);
}

/// A kernel between ranks works on the host's memory. What lies on a GPU goes from GPU to GPU, or where that does not make the call, through pinned
/// memory there and back. A rank alone has nothing to send.
BoundKernel anywhere(const BindContext& context, Group group, const Call& call, std::int64_t count, BoundKernel on_host) {
  if (context.device().is_cpu()) return on_host;
  std::int64_t in_bytes = bytes_of(context.input(0)), out_bytes = bytes_of(context.output(0));
  return [device = context.device(), in_bytes, out_bytes, alone = group.size() == 1, call, count, &communicator = group.communicator(), kernel = std::make_shared<BoundKernel>(std::move(on_host))](Inputs in, Outputs out) {
    if (alone) {
      if (in[0] != out[0]) copy_bytes(device, out[0], device, in[0], std::size_t(out_bytes));
      return;
    }
    if (DeviceChannel* channel = DeviceChannel::of(communicator, device); channel && channel->takes(call.kind, call.op, call.dtype)) {
      if (call.kind == Collective::broadcast && in[0] != out[0]) copy_bytes(device, out[0], device, in[0], std::size_t(out_bytes));
      return call_channel(*channel, call, in[0], out[0], count);
    }
    const HostBuffer from{std::size_t(in_bytes)}, to{std::size_t(out_bytes)};
    copy_bytes(Device(), from.data(), device, in[0], std::size_t(in_bytes));
    const void* const inputs[] = {from.data()};
    void* const outputs[] = {to.data()};
    (*kernel)(inputs, outputs);
    copy_bytes(device, out[0], Device(), to.data(), std::size_t(out_bytes));
  };
}

/// Of what works where the output lies: the input is copied there, unless it is there already.
template <Collective Kind>
BoundKernel in_place_kernel(const BindContext& context) {
  const std::int64_t count = context.shape(0).numel();
  Group group = group_of_call(context);
  return anywhere(context, group, call_of(context, Kind), count, [call = call_of(context, Kind), bytes = bytes_of(context.input(0)), count, &communicator = group.communicator()](Inputs in, Outputs out) {
    if (in[0] != out[0]) std::memcpy(out[0], in[0], std::size_t(bytes));
    Call now = call;
    now.count = count;
    now.parts = {{out[0], bytes}};
    communicator.run(std::move(now));
  });
}

/// From one buffer to another; `count` elements concern each rank.
template <Collective Kind>
BoundKernel exchange_kernel(const BindContext& context) {
  Group group = group_of_call(context);
  const std::int64_t all = context.shape(0).numel(), count = Kind == Collective::all_gather ? all : all / group.size();
  return anywhere(context, group, call_of(context, Kind), count, [call = call_of(context, Kind), count, &communicator = group.communicator()](Inputs in, Outputs out) {
    Call now = call;
    now.count = count;
    now.input = in[0];
    now.output = out[0];
    communicator.run(std::move(now));
  });
}

/// One replica a rank. Where a process has several, joint_collective takes the kernel's place.
BoundKernel gather_replicas_kernel(const BindContext& context) {
  const auto replicas = context.integer("replicas");
  const int ranks = group_of_call(context).size();
  if (replicas == ranks) return exchange_kernel<Collective::all_gather>(context);
  return [replicas, ranks, op = context.op().name](Inputs, Outputs) {
    throw FailedPreconditionError("there are " + std::to_string(replicas) + " replicas on " + std::to_string(ranks) + " ranks, which are gathered only in a step that runs them together", op);
  };
}

BoundKernel start_kernel(const BindContext& context) {
  std::vector<std::int64_t> bytes;
  std::int64_t count = 0;
  for (std::size_t i = 0; i < context.input_count(); ++i) bytes.push_back(bytes_of(context.input(i))), count += context.shape(i).numel();
  return [call = call_of(context, Collective::all_reduce), bytes, count, device = context.device(), &group = group_of_call(context).communicator()](Inputs in, Outputs out) {
    const auto keep = [&](StartedCall begun) {
      const void* place = place_of(bytes, out);
      if (!place) return;
      const std::lock_guard lock(started().mutex);
      started().calls[place] = std::move(begun);
    };
    if (DeviceChannel* channel = DeviceChannel::of(group, device); channel && channel->takes(call.kind, call.op, call.dtype)) {
      std::vector<std::int64_t> counts;
      for (const std::int64_t each : bytes) counts.push_back(each / std::int64_t(itemsize(call.dtype)));
      // In place, for what lies in `in` may be computed over while the sum is under way.
      for (std::size_t i = 0; i < bytes.size(); ++i)
        if (in[i] != out[i]) copy_bytes(device, out[i], device, in[i], std::size_t(bytes[i]));
      channel->all_reduce({out, bytes.size()}, {out, bytes.size()}, counts, call.dtype, call.label);
      return keep({.communicator = &group, .channel = channel, .mean = call.op == ReduceOp::mean});
    }
    Call now = call;
    now.count = count;
    std::vector<HostBuffer> buffers;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      void* here = out[i];
      if (!device.is_cpu()) here = buffers.emplace_back(std::size_t(bytes[i])).data();
      if (in[i] != here) copy_bytes(Device(), here, device, in[i], std::size_t(bytes[i]));
      now.parts.push_back({here, bytes[i]});
    }
    const Communicator::Ticket ticket = group.start(std::move(now));
    keep({.communicator = &group, .ticket = ticket, .buffers = device.is_cpu() ? nullptr : std::make_shared<const std::vector<HostBuffer>>(std::move(buffers))});
  };
}

BoundKernel wait_kernel(const BindContext& context) {
  std::vector<std::int64_t> bytes;
  for (std::size_t i = 0; i < context.input_count(); ++i) bytes.push_back(bytes_of(context.input(i)));
  const DType dtype = context.input_count() ? context.dtype_of(0) : float32;
  return [bytes, dtype, size = std::int64_t(itemsize(dtype)), device = context.device(), &group = group_of_call(context).communicator()](Inputs in, Outputs out) {
    const void* place = place_of(bytes, in);
    if (!place) return;
    StartedCall call;
    {
      const std::lock_guard lock(started().mutex);
      const auto found = started().calls.find(place);
      if (found == started().calls.end()) throw FailedPreconditionError("these tensors are not being reduced", "all_reduce_wait", "give it what all_reduce_start returned, once");
      call = std::move(found->second);
      started().calls.erase(found);
    }
    if (call.channel) {
      call.channel->lead();
      for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (in[i] != out[i]) copy_bytes(device, out[i], device, in[i], std::size_t(bytes[i]));
        if (call.mean) call.channel->divide(out[i], bytes[i] / size, dtype);
      }
      return;
    }
    group.wait(call.ticket);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const void* here = device.is_cpu() ? in[i] : (*call.buffers)[i].data();
      if (here != out[i]) copy_bytes(device, out[i], Device(), here, std::size_t(bytes[i]));
    }
  };
}

// ---- gradients

Gradients all_reduce_gradient(const GradContext& context) {
  const ReduceOp op = op_of(context);
  const CollectiveOptions options = options_of(context);
  if (op == ReduceOp::sum || op == ReduceOp::mean) return {all_reduce(context.upstream(), op, options)};
  const Tensor winner = cast(equal(context.input(0), context.output()), context.input(0).dtype());
  return {winner * all_reduce(context.upstream(), ReduceOp::sum, options) / all_reduce(winner, ReduceOp::sum, options)};
}

Gradients broadcast_gradient(const GradContext& context) {
  const Tensor sum = all_reduce(context.upstream(), ReduceOp::sum, options_of(context));
  return {group_of_call(context).rank() == context.integer("root") ? sum : zeros_like(sum)};
}

Gradients reduce_scatter_gradient(const GradContext& context) {
  const ReduceOp op = op_of(context);
  if (op == ReduceOp::max || op == ReduceOp::min) context.refuse("the gradient of a maximum or minimum is defined for all_reduce only");
  const Tensor gathered = all_gather(context.upstream(), options_of(context));
  return {op == ReduceOp::mean ? gathered / Scalar(group_of_call(context).size()) : gathered};
}

Gradients start_gradient(const GradContext& context) {
  Gradients gradients;
  for (std::size_t i = 0; i < context.input_count(); ++i) gradients.push_back(all_reduce(context.upstream(i), op_of(context), options_of(context)));
  return gradients;
}

Gradients wait_gradient(const GradContext& context) {
  Gradients gradients;
  for (std::size_t i = 0; i < context.input_count(); ++i) gradients.push_back(context.upstream(i));
  return gradients;
}

// ---- rows

AttrDef group_attr() { return {.name = "group", .type = AttrType::integer, .fallback = std::int64_t(0), .doc = "which ranks; 0: all"}; }
AttrDef label_attr() { return {.name = "label", .type = AttrType::string, .fallback = std::string(), .doc = "what it is for"}; }
AttrDef op_attr() { return {.name = "op", .type = AttrType::string, .fallback = std::string("sum"), .doc = "sum, mean, max or min"}; }

std::vector<OpDef> collective_rows() {
  const std::vector<Sample> rows_sample{{.inputs = {{float64, {12, 2}}}}};
  const OnnxForm no_form = no_onnx("ONNX knows no ranks");
  std::vector<OpDef> rows;
  const auto add = [&](OpDef row) {
    row.family = "collective";
    row.dtypes = same(kFixedSize);
    row.effect = Effect::collective;
    row.any_device = true;
    row.onnx = no_form;
    row.samples = rows_sample;
    rows.push_back(std::move(row));
  };
  add({.name = "all_reduce", .doc = "the reduction over all ranks", .attrs = {op_attr(), group_attr(), label_attr()}, .infer = same_specs, .gradient = all_reduce_gradient, .cpu = in_place_kernel<Collective::all_reduce>, .over_inputs = true});
  add({.name = "broadcast", .doc = "the root's value", .attrs = {{.name = "root", .type = AttrType::integer, .fallback = std::int64_t(0)}, group_attr(), label_attr()}, .infer = same_specs, .gradient = broadcast_gradient, .cpu = in_place_kernel<Collective::broadcast>, .over_inputs = true});
  add({.name = "all_gather", .doc = "the ranks' values, along the first axis", .attrs = {group_attr(), label_attr()}, .infer = [](InferContext& context) { first_axis(context, group_of_call(context).size(), 1); }, .gradient = [](const GradContext& context) { return Gradients{reduce_scatter(context.upstream(), ReduceOp::sum, options_of(context))}; }, .cpu = exchange_kernel<Collective::all_gather>});
  add({.name = "gather_replicas", .doc = "the values of a step's replicas, along the first axis", .attrs = {{.name = "replicas", .type = AttrType::integer, .fallback = std::int64_t(1), .doc = "how many there are in all ranks"}, group_attr(), label_attr()}, .infer = [](InferContext& context) { first_axis(context, context.integer("replicas"), 1); }, .gradient = not_differentiable("it is for gradients on their way to an optimizer"), .cpu = gather_replicas_kernel});
  add({.name = "reduce_scatter", .doc = "this rank's part of the reduction, along the first axis", .attrs = {op_attr(), group_attr(), label_attr()}, .infer = [](InferContext& context) { first_axis(context, 1, group_of_call(context).size()); }, .gradient = reduce_scatter_gradient, .cpu = exchange_kernel<Collective::reduce_scatter>});
  add({.name = "all_to_all", .doc = "part k of the first axis goes to rank k", .attrs = {group_attr(), label_attr()}, .infer = [](InferContext& context) { first_axis(context, group_of_call(context).size(), group_of_call(context).size()); }, .gradient = [](const GradContext& context) { return Gradients{all_to_all(context.upstream(), options_of(context))}; }, .cpu = exchange_kernel<Collective::all_to_all>});
  add({.name = "all_reduce_start", .doc = "begins to reduce several tensors", .max_inputs = -1, .attrs = {op_attr(), group_attr(), label_attr()}, .infer = same_specs, .gradient = start_gradient, .cpu = start_kernel, .over_inputs = true, .settle = settle});
  add({.name = "all_reduce_wait", .doc = "what all_reduce_start began, when it is done", .max_inputs = -1, .attrs = {group_attr(), label_attr()}, .infer = same_specs, .gradient = wait_gradient, .cpu = wait_kernel, .over_inputs = true});
  return rows;
}

const OpDef& row(std::string_view name) {
  register_collectives();
  return find_op(name);
}

AttrValue name_of(ReduceOp op) { return std::string(name(op)); }
AttrValue id_of(const CollectiveOptions& options) { return std::int64_t(options.group.id()); }

}  // namespace

Group group_of(std::int64_t id) { return Group(int(id)); }

namespace {
Group group_of_call(const OpCall& call) { return group_of(call.integer("group")); }
}  // namespace

Group Group::split(int color, const std::string& name) {
  std::unique_ptr<Communicator> part = dist::communicator().split(color, name);
  const std::lock_guard lock(groups().mutex);
  groups().split.push_back(std::move(part));
  return Group(int(groups().split.size()));
}

Communicator& Group::communicator() const {
  if (id_ == 0) return dist::communicator();
  const std::lock_guard lock(groups().mutex);
  if (id_ < 0 || std::size_t(id_) > groups().split.size()) throw NotFoundError("there is no group " + std::to_string(id_) + " of ranks");
  return *groups().split[std::size_t(id_) - 1];
}

namespace {

/// The tree's reduction of the members' buffers, in every member's output.
void reduce_members(Communicator& communicator, ReduceOp op, DType dtype, std::int64_t count, std::span<const void* const> sources, std::span<void* const> targets, int members, const std::string& label) {
  const int own = int(sources.size()), ranks = communicator.size();
  const auto bytes = std::size_t(count) * itemsize(dtype);
  void* const result = targets[0];
  if (ranks == 1) {
    reduce_sources(op, dtype, sources, result, count, members);
  } else if ((own & (own - 1)) == 0 && itemsize(wide_dtype(dtype)) == itemsize(dtype)) {
    // This process's members are a subtree of the tree over all: the ranks' results are its leaves. (Of 16-bit floats they would be rounded.)
    const ReduceOp inner = op == ReduceOp::mean ? ReduceOp::sum : op;
    reduce_sources(inner, dtype, sources, result, count, members);
    communicator.all_reduce(result, count, dtype, inner, label);
    const void* sum[] = {result};
    if (op == ReduceOp::mean) reduce_sources(op, dtype, sum, result, count, members);
  } else {
    std::vector<std::byte> mine(bytes * std::size_t(own)), all(bytes * std::size_t(members));
    for (std::size_t m = 0; m < sources.size(); ++m) std::memcpy(mine.data() + m * bytes, sources[m], bytes);
    communicator.all_gather(mine.data(), all.data(), count * own, dtype, label);
    std::vector<const void*> leaves;
    for (int m = 0; m < members; ++m) leaves.push_back(all.data() + std::size_t(m) * bytes);
    reduce_sources(op, dtype, leaves, result, count, members);
  }
  for (std::size_t m = 1; m < targets.size(); ++m) std::memcpy(targets[m], result, bytes);
}

/// All members' values, in every member's output.
void gather_members(Communicator& communicator, const TensorSpec& spec, std::span<const void* const* const> inputs, std::span<void* const* const> outputs, int members, const std::string& label) {
  const auto bytes = std::size_t(bytes_of(spec));
  std::vector<std::byte> mine(bytes * inputs.size());
  for (std::size_t m = 0; m < inputs.size(); ++m)
    if (bytes) std::memcpy(mine.data() + m * bytes, inputs[m][0], bytes);
  communicator.all_gather(mine.data(), outputs[0][0], spec.shape.numel() * std::int64_t(inputs.size()), spec.dtype, label);
  for (std::size_t m = 1; m < outputs.size(); ++m)
    if (bytes) std::memcpy(outputs[m][0], outputs[0][0], bytes * std::size_t(members));
}

void joint_on_host(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec> specs, std::span<const void* const* const> inputs, std::span<void* const* const> outputs, int members) {
  const OpCall call(op, attrs);
  if (op.name == "all_reduce_wait") {  // reduced when it was started
    for (std::size_t m = 0; m < inputs.size(); ++m)
      for (std::size_t i = 0; i < specs.size(); ++i)
        if (inputs[m][i] != outputs[m][i]) std::memcpy(outputs[m][i], inputs[m][i], std::size_t(bytes_of(specs[i])));
    return;
  }
  if (op.name == "all_gather") {  // of what the members of a process have in common
    Communicator& communicator = group_of_call(call).communicator();
    const std::int64_t bytes = bytes_of(specs[0]) * communicator.size();
    communicator.all_gather(inputs[0][0], outputs[0][0], specs[0].shape.numel(), specs[0].dtype, call.text("label"));
    for (std::size_t m = 1; m < outputs.size(); ++m) std::memcpy(outputs[m][0], outputs[0][0], std::size_t(bytes));
    return;
  }
  if (op.name == "gather_replicas") return gather_members(group_of_call(call).communicator(), specs[0], inputs, outputs, members, call.text("label"));
  if (op.name != "all_reduce" && op.name != "all_reduce_start") throw UnimplementedError("members of one process cannot make this call together", op.name, "train with as many shards as ranks");
  for (std::size_t i = 0; i < specs.size(); ++i) {
    std::vector<const void*> sources;
    std::vector<void*> targets;
    for (std::size_t m = 0; m < inputs.size(); ++m) sources.push_back(inputs[m][i]), targets.push_back(outputs[m][i]);
    reduce_members(group_of_call(call).communicator(), op_of(call), specs[i].dtype, specs[i].shape.numel(), sources, targets, members, call.text("label"));
  }
}

}  // namespace

void joint_collective(const OpDef& op, const AttrList& attrs, std::span<const TensorSpec> specs, std::span<const void* const* const> inputs, std::span<void* const* const> outputs, int members, Device device) {
  if (device.is_cpu()) return joint_on_host(op, attrs, specs, inputs, outputs, members);
  const std::int64_t times = op.name == "all_gather" ? group_of_call(OpCall(op, attrs)).size() : op.name == "gather_replicas" ? members : 1;
  std::vector<HostBuffer> buffers;
  std::vector<std::vector<const void*>> from(inputs.size());
  std::vector<std::vector<void*>> to(inputs.size());
  for (std::size_t m = 0; m < inputs.size(); ++m)
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const auto bytes = std::size_t(bytes_of(specs[i]));
      HostBuffer& source = buffers.emplace_back(bytes);
      copy_bytes(Device(), source.data(), device, inputs[m][i], bytes);
      from[m].push_back(source.data());
      to[m].push_back(buffers.emplace_back(bytes * std::size_t(times)).data());
    }
  std::vector<const void* const*> host_inputs;
  std::vector<void* const*> host_outputs;
  for (std::size_t m = 0; m < inputs.size(); ++m) host_inputs.push_back(from[m].data()), host_outputs.push_back(to[m].data());
  joint_on_host(op, attrs, specs, host_inputs, host_outputs, members);
  for (std::size_t m = 0; m < inputs.size(); ++m)
    for (std::size_t i = 0; i < specs.size(); ++i) copy_bytes(device, outputs[m][i], Device(), to[m][i], std::size_t(bytes_of(specs[i]) * times));
}

void register_collectives() {
  static const bool done = (extend_op_table(collective_rows()), true);
  static_cast<void>(done);
}

Tensor all_reduce(const Tensor& x, ReduceOp op, const CollectiveOptions& options) {
  static const OpDef& def = row("all_reduce");
  return apply(def, {x}, {{"op", name_of(op)}, {"group", id_of(options)}, {"label", options.label}});
}
Tensor broadcast(const Tensor& x, int root, const CollectiveOptions& options) {
  static const OpDef& def = row("broadcast");
  return apply(def, {x}, {{"root", std::int64_t(root)}, {"group", id_of(options)}, {"label", options.label}});
}
Tensor all_gather(const Tensor& x, const CollectiveOptions& options) {
  static const OpDef& def = row("all_gather");
  return apply(def, {x}, {{"group", id_of(options)}, {"label", options.label}});
}
Tensor gather_replicas(const Tensor& x, int replicas, const CollectiveOptions& options) {
  static const OpDef& def = row("gather_replicas");
  return apply(def, {x}, {{"replicas", std::int64_t(replicas)}, {"group", id_of(options)}, {"label", options.label}});
}
Tensor reduce_scatter(const Tensor& x, ReduceOp op, const CollectiveOptions& options) {
  static const OpDef& def = row("reduce_scatter");
  return apply(def, {x}, {{"op", name_of(op)}, {"group", id_of(options)}, {"label", options.label}});
}
Tensor all_to_all(const Tensor& x, const CollectiveOptions& options) {
  static const OpDef& def = row("all_to_all");
  return apply(def, {x}, {{"group", id_of(options)}, {"label", options.label}});
}
Tensors all_reduce_start(std::span<const Tensor> tensors, ReduceOp op, const CollectiveOptions& options) {
  static const OpDef& def = row("all_reduce_start");
  Tensors begun = apply_all(def, tensors, {{"op", name_of(op)}, {"group", id_of(options)}, {"label", options.label}});
  if (!listeners().tracer) {
    const std::lock_guard lock(started().mutex);
    for (const Tensor& each : begun)
      if (const auto found = started().calls.find(each.raw()); found != started().calls.end()) found->second.kept = begun;
  }
  return begun;
}
Tensors all_reduce_wait(std::span<const Tensor> started, const CollectiveOptions& options) {
  static const OpDef& def = row("all_reduce_wait");
  return apply_all(def, started, {{"group", id_of(options)}, {"label", options.label}});
}

}  // namespace lockstep::dist
