#include <lockstep/autodiff/executable.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include <lockstep/autodiff/captured.h>
#include <lockstep/autodiff/fused.h>
#include <lockstep/autodiff/trace.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/base/parallel.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::autodiff {

/// What one running call needs: the pointer table, the arena and the tensors it keeps alive. Reused by later calls.
struct Executable::Context {
  std::vector<void*> table;
  std::vector<void*> memory;  // by storage
  Tensor arena;
  std::vector<Tensor> snapshots;  // read-only variables
  std::vector<Tensor> fresh;      // new memory of updated variables whose old value somebody else holds
  std::vector<Variable::Lock> locks;
  std::vector<Tensor> buffers;  // on a GPU, by storage: arguments and results at addresses that stay, for the graphs
  CapturedCalls captured;
};

/// The executable's device is the thread's, for kernels and for what ops create.
struct Executable::There {
  std::optional<DeviceScope> scope;
  std::optional<OnDevice> current;
  explicit There(Device device) {
    if (device.is_cpu()) return;
    scope.emplace(device);
    current.emplace(device);
  }
};

/// A context taken from the idle ones; goes back when the call ends, also by an exception.
struct Executable::Borrowed {
  const Executable& owner;
  std::unique_ptr<Context> context;
  Borrowed(const Executable& owner_, std::unique_ptr<Context> context_) : owner(owner_), context(std::move(context_)) {}
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  ~Borrowed() {
    context->locks.clear();
    for (Tensor& tensor : context->snapshots) tensor = Tensor();
    for (Tensor& tensor : context->fresh) tensor = Tensor();
    const std::lock_guard lock(owner.mutex_);
    owner.idle_.push_back(std::move(context));
  }
};

Executable::Executable(Graph graph, const PlanOptions& options) : graph_(std::move(graph)), device_(options.device), name_(options.name) {
  interpreted_ = !graph_.can_be_bound();
  for (const Node& node : graph_.nodes)
    if (node.kind == Node::Kind::op && node.op->settle && std::find(settles_.begin(), settles_.end(), node.op->settle) == settles_.end()) settles_.push_back(node.op->settle);
  plan_ = plan_memory(graph_, schedule(graph_, options.parallel && !interpreted_ && device_.is_cpu() ? intra_op_threads() : 1), options);
  for (Node& node : graph_.nodes)
    if (node.kind == Node::Kind::constant && node.constant.dtype() != string) node.constant = to(node.constant, device_);
  const There there(device_);
  if (interpreted_) {
    last_use_.assign(graph_.values.size(), -1);
    for (std::size_t n = 0; n < graph_.nodes.size(); ++n)
      for (const ValueId input : graph_.nodes[n].inputs) last_use_[std::size_t(input)] = int(n);
    for (const ValueId result : graph_.results) last_use_[std::size_t(result)] = int(graph_.nodes.size());
    for (const Update& update : graph_.updates) last_use_[std::size_t(update.value)] = int(graph_.nodes.size());
  } else {
    build();
    capture_ = options.capture;
    if (!device_.is_cpu()) cut_stretches();
  }
}

Executable::~Executable() = default;

BoundKernel Executable::bind_kernel(const Node& node, std::span<const TensorSpec* const> inputs, std::span<const TensorSpec> outputs) const {
  const BindContext context(*node.op, node.attrs, inputs, outputs, device_);
  if (device_.is_cpu() || node.op->any_device) {
    if (!node.op->cpu) throw UnimplementedError("there is no kernel for device cpu:0", node.op->name);
    return node.op->cpu(context);
  }
  const DeviceKernel kernel = device_plugin().kernel(*node.op);
  if (!kernel.bind)
    throw UnimplementedError("there is no kernel for device " + to_string(device_) + (node.op->no_cuda.empty() ? "" : ": " + std::string(node.op->no_cuda)), node.op->name,
                             "leave it out of the function, or trace the function under DeviceScope(\"cpu\")");
  return kernel.bind(context);
}

/// What needs the host (control flow, collectives, prints) stands between the stretches.
void Executable::cut_stretches() {
  for (std::size_t k = 0; k < steps_.size(); ++k) {
    const bool captured = !graph_.nodes[std::size_t(steps_[k].node)].op->any_device;
    if (stretches_.empty() || stretches_.back().captured != captured) stretches_.push_back({int(k), int(k), captured});
    stretches_.back().end = int(k) + 1;
  }
}

void Executable::bind_node(const Node& node) {
  SmallVector<const TensorSpec*, 8> inputs;
  std::vector<TensorSpec> outputs;
  for (const ValueId input : node.inputs) inputs.push_back(&graph_.spec(input));
  for (const ValueId output : node.outputs) outputs.push_back(graph_.spec(output));
  const auto add_entries = [&](const auto& values) {
    const int first = int(table_storage_.size());
    for (const ValueId value : values) {
      const int storage = plan_.storage_of[std::size_t(value)];
      positions_[std::size_t(storage)].push_back(int(table_storage_.size()));
      table_storage_.push_back(storage);
    }
    return first;
  };
  const int first_input = add_entries(node.inputs);
  const int first_output = add_entries(node.outputs);
  steps_.push_back({bind_kernel(node, inputs, outputs), first_input, first_output, int(&node - graph_.nodes.data())});
}

void Executable::build() {
  positions_.resize(plan_.storages.size());
  struct Sharing {  // of workspaces
    bool on;
    void end(bool keep) {
      if (std::exchange(on, false)) device_plugin().workspaces_shared(keep);
    }
    ~Sharing() { end(false); }
  } sharing{!device_.is_cpu()};
  if (sharing.on) device_plugin().share_workspaces(device_.index(), ("workspaces of " + name_).c_str());
  // Views need no step; the stages are renumbered to the steps that remain.
  std::vector<Stage> stages;
  for (const Stage& stage : plan_.schedule.stages) {
    const int begin = int(steps_.size());
    for (int k = stage.begin; k < stage.end; ++k) {
      const Node& node = graph_.nodes[std::size_t(plan_.schedule.order[std::size_t(k)])];
      if (node.op->fusion != Fusion::view) bind_node(node);
    }
    if (int(steps_.size()) > begin) stages.push_back({begin, int(steps_.size()), stage.parallel});
  }
  sharing.end(true);
  plan_.schedule.stages = std::move(stages);
  update_of_.assign(plan_.storages.size(), -1);
  for (std::size_t s = 0; s < plan_.storages.size(); ++s)
    for (std::size_t u = 0; u < graph_.updates.size() && plan_.storages[s].kind == Storage::Kind::variable; ++u)
      if (graph_.updates[u].variable == graph_.nodes[std::size_t(plan_.storages[s].index)].variable) update_of_[s] = int(u);
  lock_order_.resize(graph_.updates.size());
  for (std::size_t u = 0; u < lock_order_.size(); ++u) lock_order_[u] = int(u);
  std::sort(lock_order_.begin(), lock_order_.end(), [&](int a, int b) {
    return std::less<>()(graph_.updates[std::size_t(a)].variable.key(), graph_.updates[std::size_t(b)].variable.key());
  });
  lock_place_.resize(lock_order_.size());
  for (std::size_t k = 0; k < lock_order_.size(); ++k) lock_place_[std::size_t(lock_order_[k])] = int(k);
}

Executable::Borrowed Executable::acquire() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Context> context = std::move(idle_.back());
      idle_.pop_back();
      return {*this, std::move(context)};
    }
  }
  auto context = std::make_unique<Context>();
  context->table.resize(table_storage_.size());
  context->memory.resize(plan_.storages.size());
  context->buffers.resize(device_.is_cpu() ? 0 : plan_.storages.size());
  if (device_.is_cpu()) {
    context->arena = Tensor::empty({plan_.arena_bytes}, uint8);
  } else {
    void* memory = device_plugin().allocate(device_.index(), std::size_t(plan_.arena_bytes), ("arena of " + name_).c_str());
    context->arena = Tensor::borrow(memory, {plan_.arena_bytes}, uint8, [memory, index = device_.index()] { device_plugin().deallocate(index, memory); }, device_);
  }
  context->snapshots.resize(graph_.nodes.size());
  context->fresh.resize(graph_.updates.size());
  context->locks.reserve(graph_.updates.size());
  for (std::size_t s = 0; s < plan_.storages.size(); ++s) {
    const Storage& storage = plan_.storages[s];
    if (storage.kind == Storage::Kind::arena) point(*context, int(s), static_cast<std::byte*>(context->arena.mutable_raw()) + storage.offset);
    if (storage.kind == Storage::Kind::constant)
      point(*context, int(s), const_cast<void*>(graph_.nodes[std::size_t(storage.index)].constant.raw()));
  }
  return {*this, std::move(context)};
}

void Executable::point(Context& context, int storage, void* memory) const {
  context.memory[std::size_t(storage)] = memory;
  for (const int position : positions_[std::size_t(storage)]) context.table[std::size_t(position)] = memory;
}

void Executable::set_profiling(bool on) const {
  if (on) {
    if (!nanoseconds_) nanoseconds_ = std::make_unique<std::atomic<std::int64_t>[]>(steps_.size());
    for (std::size_t k = 0; k < steps_.size(); ++k) nanoseconds_[k] = 0;
  }
  profiling_ = on;
}

std::vector<Executable::StepTime> Executable::step_times() const {
  std::vector<StepTime> times;
  for (std::size_t k = 0; nanoseconds_ && k < steps_.size(); ++k) times.push_back({steps_[k].node, double(nanoseconds_[k]) * 1e-9});
  return times;
}

void Executable::run_step(Context& context, std::size_t k, bool timed) const {
  const Step& step = steps_[k];
  void** table = context.table.data();
  // On a GPU a kernel's workspace is its own only until the next call: two threads must not enqueue their parts of it in turn.
  std::unique_lock lock(enqueuing_, std::defer_lock);
  if (!device_.is_cpu() && !graph_.nodes[std::size_t(step.node)].op->any_device) lock.lock();
  if (!timed) return step.kernel(table + step.first_input, table + step.first_output);
  synchronize(device_);
  const auto start = std::chrono::steady_clock::now();
  step.kernel(table + step.first_input, table + step.first_output);
  synchronize(device_);
  nanoseconds_[k] += std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now() - start).count();
}

void Executable::run_stage(Context& context, const Stage& stage, bool timed) const {
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic, 1)
  for (int k = stage.begin; k < stage.end; ++k) {
    try {
      run_step(context, std::size_t(k), timed);
    } catch (...) {
#pragma omp critical(lockstep_stage_failure)
      failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

/// What a run that fails had begun still works on its memory.
struct Executable::Begun {
  const Executable& executable;
  int exceptions = std::uncaught_exceptions();
  ~Begun() {
    if (std::uncaught_exceptions() == exceptions) return;
    for (const auto settle : executable.settles_) settle();
  }
};

void Executable::run_steps(Context& context) const {
  const Begun begun{*this};
  const bool timed = profiling_.load(std::memory_order_acquire);
  if (!stretches_.empty() && capture_ && !timed) return run_stretches(context);
  for (const Stage& stage : plan_.schedule.stages) {
    if (stage.parallel) {
      run_stage(context, stage, timed);
      continue;
    }
    for (int k = stage.begin; k < stage.end; ++k) run_step(context, std::size_t(k), timed);
  }
}

void Executable::run_stretches(Context& context) const {
  for (std::size_t s = 0; s < stretches_.size(); ++s) {
    const Stretch& stretch = stretches_[s];
    const auto enqueue = [&] {
      for (int k = stretch.begin; k < stretch.end; ++k) run_step(context, std::size_t(k), false);
    };
    if (!stretch.captured) {
      enqueue();
      continue;
    }
    const Step &first = steps_[std::size_t(stretch.begin)], &last = steps_[std::size_t(stretch.end) - 1];
    const std::size_t from = std::size_t(first.first_input), to = std::size_t(last.first_output) + graph_.nodes[std::size_t(last.node)].outputs.size();
    const std::lock_guard lock(enqueuing_);
    context.captured.run(device_, s, std::span<void* const>(context.table).subspan(from, to - from), enqueue);
  }
}

const Variable::Lock& Executable::lock_of(const Context& context, int update) const { return context.locks[std::size_t(lock_place_[std::size_t(update)])]; }

/// On a GPU arguments come to stand in memory of the context, at addresses that stay the same.
void Executable::place_argument(Context& context, int storage, const Tensor& argument) const {
  if (device_.is_cpu()) return point(context, storage, const_cast<void*>(argument.raw()));
  Tensor& buffer = context.buffers[std::size_t(storage)];
  if (!buffer.defined()) {
    buffer = Tensor::empty(argument.shape(), argument.dtype(), device_);
    point(context, storage, buffer.mutable_raw());
  }
  copy_bytes(device_, buffer.mutable_raw(), argument.device(), argument.raw(), argument.nbytes());
}

/// The memory that a result is computed in: its own, or on a GPU a buffer of the context.
Tensor Executable::fresh_result(Context& context, int storage, ValueId value) const {
  const TensorSpec& spec = graph_.spec(value);
  if (device_.is_cpu()) {
    Tensor result = Tensor::empty(spec.shape, spec.dtype);
    point(context, storage, result.mutable_raw());
    return result;
  }
  Tensor& buffer = context.buffers[std::size_t(storage)];
  if (!buffer.defined()) {
    buffer = Tensor::empty(spec.shape, spec.dtype, device_);
    point(context, storage, buffer.mutable_raw());
  }
  return {};
}

/// Copies results out of the context's buffers.
void Executable::collect_results(Context& context, Tensors& results) const {
  for (std::size_t s = 0; s < context.buffers.size(); ++s) {
    const Storage& storage = plan_.storages[s];
    if (storage.kind != Storage::Kind::result) continue;
    const Tensor& buffer = context.buffers[s];
    Tensor& result = results[std::size_t(storage.index)] = Tensor::empty(buffer.shape(), buffer.dtype(), device_);
    copy_bytes(device_, result.mutable_raw(), device_, buffer.raw(), buffer.nbytes());
  }
}

/// A variable is where the function that uses it runs.
Tensor Executable::moved_here(const Variable& variable) const {
  const Variable::Lock lock(variable);
  return lock.value() = to(lock.value(), device_);
}

/// Points the table to the call's arguments, results and variables; from then on the variables to be updated are locked.
void Executable::place_sources(Context& context, std::span<const Tensor> arguments, Tensors& results) const {
  // Variables that are only read: a snapshot each, taken before any lock is held.
  for (std::size_t s = 0; s < plan_.storages.size(); ++s) {
    const Storage& storage = plan_.storages[s];
    if (storage.kind != Storage::Kind::variable) continue;
    if (update_of_[s] >= 0) continue;
    const Variable& variable = graph_.nodes[std::size_t(storage.index)].variable;
    Tensor& snapshot = context.snapshots[std::size_t(storage.index)] = variable.peek();
    if (!(snapshot.device() == device_)) [[unlikely]] snapshot = moved_here(variable);
    point(context, int(s), const_cast<void*>(snapshot.raw()));
  }
  for (const int u : lock_order_) {
    const Variable::Lock& lock = context.locks.emplace_back(graph_.updates[std::size_t(u)].variable);
    if (!(lock.value().device() == device_)) [[unlikely]] lock.value() = to(lock.value(), device_);
  }

  for (std::size_t s = 0; s < plan_.storages.size(); ++s) {
    const Storage& storage = plan_.storages[s];
    switch (storage.kind) {
      case Storage::Kind::argument: place_argument(context, int(s), arguments[std::size_t(storage.index)]); break;
      case Storage::Kind::result: results[std::size_t(storage.index)] = fresh_result(context, int(s), graph_.results[std::size_t(storage.index)]); break;
      case Storage::Kind::variable: {
        if (update_of_[s] >= 0) point(context, int(s), const_cast<void*>(lock_of(context, update_of_[s]).value().raw()));
        break;
      }
      case Storage::Kind::update: {
        const auto u = std::size_t(storage.index);
        Tensor& current = lock_of(context, storage.index).value();
        if (!current.unique()) context.fresh[u] = Tensor::empty(current.shape(), current.dtype(), device_);
        point(context, int(s), (context.fresh[u].defined() ? context.fresh[u] : current).mutable_raw());
        break;
      }
      case Storage::Kind::constant:
      case Storage::Kind::arena: break;
    }
  }
}

/// After the steps: results that are no new values, and the variables' new ones.
void Executable::replace_variables(Context& context, std::span<const Tensor> arguments, Tensors& results) const {
  if (!device_.is_cpu()) collect_results(context, results);
  // Old values that are returned are taken before anything is replaced.
  for (std::size_t r = 0; r < results.size(); ++r) {
    const ValueId value = graph_.results[r];
    const Storage& storage = plan_.storages[std::size_t(plan_.storage_of[std::size_t(value)])];
    Tensor source;
    if (storage.kind == Storage::Kind::argument) source = to(arguments[std::size_t(storage.index)], device_);
    if (storage.kind == Storage::Kind::constant) source = graph_.nodes[std::size_t(storage.index)].constant;
    if (storage.kind == Storage::Kind::result && std::size_t(storage.index) != r) source = results[std::size_t(storage.index)];
    if (storage.kind == Storage::Kind::variable) {
      const int u = update_of_[std::size_t(plan_.storage_of[std::size_t(value)])];
      source = u >= 0 ? lock_of(context, u).value() : context.snapshots[std::size_t(storage.index)];
    }
    if (source.defined()) results[r] = source.shape() == graph_.spec(value).shape ? source : Tensor::view(source, graph_.spec(value).shape);
  }
  // Updates that could not be written in place get memory of their own first (two variables may exchange their values), then all
  // variables change.
  for (std::size_t u = 0; u < graph_.updates.size(); ++u) {
    if (plan_.update_in_place[u]) continue;
    const Tensor& current = lock_of(context, int(u)).value();
    context.fresh[u] = Tensor::empty(current.shape(), current.dtype(), device_);
    copy_bytes(device_, context.fresh[u].mutable_raw(), device_, context.memory[std::size_t(plan_.storage_of[std::size_t(graph_.updates[u].value)])], current.nbytes());
  }
  for (std::size_t u = 0; u < graph_.updates.size(); ++u)
    if (context.fresh[u].defined()) lock_of(context, int(u)).value() = std::move(context.fresh[u]);
}

Tensors Executable::run(std::span<const Tensor> arguments) const {
  const There there(device_);
  if (interpreted_) return interpret(arguments);
  Borrowed borrowed = acquire();
  Tensors results(graph_.results.size());
  place_sources(*borrowed.context, arguments, results);
  run_steps(*borrowed.context);
  replace_variables(*borrowed.context, arguments, results);
  return results;
}

// ---- a call in pieces

struct Executable::Run::State {
  const Executable& executable;
  Tensors arguments, results;
  Borrowed borrowed;
  std::size_t stage = 0;
  int paused = -1;  // step of the collective
};

Executable::Run::Run(const Executable& executable, std::span<const Tensor> arguments) {
  if (executable.interpreted_) throw UnimplementedError("a graph with shapes that are known only when it runs cannot run in lockstep with others");
  state_.reset(new State{executable, Tensors(arguments.begin(), arguments.end()), Tensors(executable.graph_.results.size()), executable.acquire()});
  const There there(executable.device_);
  executable.place_sources(*state_->borrowed.context, state_->arguments, state_->results);
}
Executable::Run::Run(Run&&) noexcept = default;
Executable::Run::~Run() = default;

const Node* Executable::Run::advance() {
  const Executable& all = state_->executable;
  const There there(all.device_);
  const bool timed = all.profiling_.load(std::memory_order_acquire);
  while (state_->stage < all.plan_.schedule.stages.size()) {
    const Stage& stage = all.plan_.schedule.stages[state_->stage++];
    const Node& node = all.graph_.nodes[std::size_t(all.steps_[std::size_t(stage.begin)].node)];
    if (node.effect == Effect::collective) {
      state_->paused = stage.begin;
      return &node;
    }
    if (stage.parallel) all.run_stage(*state_->borrowed.context, stage, timed);
    else
      for (int k = stage.begin; k < stage.end; ++k) all.run_step(*state_->borrowed.context, std::size_t(k), timed);
  }
  return nullptr;
}

Inputs Executable::Run::inputs() const { return state_->borrowed.context->table.data() + state_->executable.steps_[std::size_t(state_->paused)].first_input; }
Outputs Executable::Run::outputs() const { return state_->borrowed.context->table.data() + state_->executable.steps_[std::size_t(state_->paused)].first_output; }

Tensors Executable::Run::finish() {
  state_->executable.replace_variables(*state_->borrowed.context, state_->arguments, state_->results);
  Tensors results = std::move(state_->results);
  state_.reset();
  return results;
}

void Executable::run_raw(Inputs arguments, Outputs results) const {
  if (interpreted_) {
    Tensors given;
    for (std::size_t i = 0; i < graph_.arguments.size(); ++i)
      given.push_back(Tensor::borrow(const_cast<void*>(arguments[i]), graph_.spec(graph_.arguments[i]).shape, graph_.spec(graph_.arguments[i]).dtype, {}, device_));
    const Tensors made = interpret(given);
    for (std::size_t r = 0; r < made.size(); ++r) {
      if (made[r].dtype() == string) std::copy_n(static_cast<const std::string*>(made[r].raw()), made[r].numel(), static_cast<std::string*>(results[r]));
      else copy_bytes(device_, results[r], device_, made[r].raw(), made[r].nbytes());
    }
    return;
  }
  const Borrowed borrowed = acquire();
  Context& context = *borrowed.context;
  for (std::size_t s = 0; s < plan_.storages.size(); ++s) {
    const Storage& storage = plan_.storages[s];
    if (storage.kind == Storage::Kind::argument) point(context, int(s), const_cast<void*>(arguments[storage.index]));
    if (storage.kind == Storage::Kind::result) point(context, int(s), results[storage.index]);
  }
  run_steps(context);
  for (std::size_t r = 0; r < graph_.results.size(); ++r) {
    const ValueId value = graph_.results[r];
    const TensorSpec& spec = graph_.spec(value);
    const void* memory = context.memory[std::size_t(plan_.storage_of[std::size_t(value)])];
    if (memory != results[r]) copy_bytes(device_, results[r], device_, memory, std::size_t(spec.shape.numel()) * itemsize(spec.dtype));
  }
}

/// Can the device compute the op? What it cannot is interpreted on the host, as everything on strings.
bool Executable::computes(const OpDef& op) const {
  if (device_.is_cpu() || op.any_device || op.fusion == Fusion::view) return true;
  const DeviceKernel kernel = device_plugin().kernel(op);
  return kernel.bind || kernel.dynamic;
}

Tensors Executable::interpret(std::span<const Tensor> arguments) const {
  const UpdateLocks locks(graph_);
  std::vector<Tensor> values(graph_.values.size());
  const Begun begun{*this};
  for (std::size_t i = 0; i < graph_.arguments.size(); ++i) {
    const auto value = std::size_t(graph_.arguments[i]);
    if (last_use_[value] >= 0) values[value] = arguments[i].dtype() == string ? arguments[i] : to(arguments[i], device_);
  }
  for (std::size_t n = 0; n < graph_.nodes.size(); ++n) {
    const Node& node = graph_.nodes[n];
    if (node.kind == Node::Kind::constant) values[std::size_t(node.outputs[0])] = node.constant;
    if (node.kind == Node::Kind::variable) {
      const Variable::Lock* lock = locks.find(node.variable);
      if (lock && lock->value().dtype() != string && !(lock->value().device() == device_)) lock->value() = to(lock->value(), device_);
      values[std::size_t(node.outputs[0])] = lock ? lock->value() : node.variable.dtype() == string ? node.variable.peek() : to(node.variable.peek(), device_);
    }
    if (node.kind != Node::Kind::op) continue;
    const bool has_strings = std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId input) { return graph_.spec(input).dtype == string; });
    const Device where = !has_strings && computes(*node.op) ? device_ : Device();
    Tensors inputs;
    for (const ValueId input : node.inputs) {
      const Tensor& value = values[std::size_t(input)];
      inputs.push_back(value.dtype() == string || value.device() == where ? value : to(value, where));
    }
    const DeviceScope scope(where);
    Tensors outputs = compute(*node.op, inputs, node.attrs);
    for (std::size_t i = 0; i < outputs.size(); ++i) values[std::size_t(node.outputs[i])] = std::move(outputs[i]);
    for (const ValueId input : node.inputs)
      if (last_use_[std::size_t(input)] == int(n)) values[std::size_t(input)] = Tensor();
  }
  for (const Update& update : graph_.updates) {
    const Tensor& value = values[std::size_t(update.value)];
    if (!(value.shape() == update.variable.shape()))
      throw InvalidArgumentError("variable '" + update.variable.path() + "' of shape " + to_string(update.variable.shape()) +
                                 " was assigned " + to_string(value.spec()));
  }
  for (std::size_t u = 0; u < graph_.updates.size(); ++u) {
    const Tensor& value = values[std::size_t(graph_.updates[u].value)];
    locks.of(u).value() = value.dtype() == string ? value : to(value, device_);
  }
  Tensors results;
  for (const ValueId result : graph_.results) {
    const Tensor& value = values[std::size_t(result)];
    results.push_back(value.dtype() == string ? value : to(value, device_));
  }
  return results;
}

}  // namespace lockstep::autodiff
