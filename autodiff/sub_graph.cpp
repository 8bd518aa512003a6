#include <lockstep/autodiff/sub_graph.h>

#include <algorithm>

#include <lockstep/autodiff/passes/passes.h>
#include <lockstep/autodiff/scan_object.h>
#include <lockstep/tensor/device_plugin.h>

namespace lockstep::autodiff {

void SubGraph::compile() {
  executable = std::make_shared<Executable>(optimize(graph, passes_disabled_by_environment()), plan_options(passes_disabled_by_environment()));
}

std::vector<Tensor> SubGraph::pick(std::span<const Tensor> from) const {
  std::vector<Tensor> picked;
  for (const int operand : operands) picked.push_back(from[std::size_t(operand)]);
  return picked;
}

bool SubGraph::has_effects() const {
  return std::any_of(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) { return node.effect != Effect::none; });
}

std::string CondObject::describe() const {
  return "{true: " + std::to_string(branches[1].graph.op_count()) + " ops, false: " + std::to_string(branches[0].graph.op_count()) + " ops}";
}

std::string LoopObject::describe() const {
  return "{condition: " + std::to_string(condition.graph.op_count()) + " ops, body: " + std::to_string(body.graph.op_count()) + " ops}";
}

bool LoopObject::goes_on(std::span<const Tensor> operands) const { return *static_cast<const bool*>(condition.call(operands)[0].host_raw()); }

namespace {

SubGraph silent(const SubGraph& sub) {
  SubGraph quiet{autodiff::silent(sub.graph), sub.operands, {}};
  quiet.compile();
  return quiet;
}

std::shared_ptr<const AttrObject> silent(const std::shared_ptr<const AttrObject>& object) {
  if (auto loop = std::dynamic_pointer_cast<const LoopObject>(object)) return autodiff::silent(loop);
  if (auto scan = std::dynamic_pointer_cast<const ScanObject>(object)) return autodiff::silent(scan);
  const auto* cond = dynamic_cast<const CondObject*>(object.get());
  if (!cond) return object;
  auto quiet = std::make_shared<CondObject>();
  for (int i = 0; i < 2; ++i) quiet->branches[i] = silent(cond->branches[i]);
  return quiet;
}

}  // namespace

Graph silent(const Graph& graph) {
  GraphRewriter rewriter(graph);
  for (const Node& node : graph.nodes) {
    if (node.effect == Effect::print) continue;
    Node& copied = rewriter.graph().nodes[std::size_t(rewriter.copy(node))];
    if (node.effect != Effect::control_flow) continue;
    auto& object = std::get<std::shared_ptr<const AttrObject>>(copied.attrs[0].value);
    object = silent(object);
  }
  return rewriter.finish();
}

std::shared_ptr<const LoopObject> silent(const std::shared_ptr<const LoopObject>& loop) {
  if (!loop->body.has_effects() && !loop->condition.has_effects()) return loop;
  auto quiet = std::make_shared<LoopObject>();
  quiet->condition = silent(loop->condition);
  quiet->body = silent(loop->body);
  quiet->state_count = loop->state_count;
  return quiet;
}

Tensors as_results(std::span<const Tensor> tensors) {
  Tensors results;
  for (const Tensor& tensor : tensors) results.push_back(Tensor::view(tensor, tensor.shape()));
  return results;
}

BoundKernel bind_by_tensors(const BindContext& context) {
  std::vector<TensorSpec> specs;
  for (std::size_t i = 0; i < context.input_count(); ++i) specs.push_back(context.input(i));
  auto op = &context.op();
  auto attrs = std::make_shared<const AttrList>(context.attrs());
  return [specs = std::make_shared<const std::vector<TensorSpec>>(std::move(specs)), op, attrs, device = context.device()](Inputs in, Outputs out) {
    std::vector<Tensor> operands;
    for (std::size_t i = 0; i < specs->size(); ++i)
      operands.push_back(Tensor::borrow(const_cast<void*>(in[i]), (*specs)[i].shape, (*specs)[i].dtype, {}, device));
    const Tensors results = op->cpu_dynamic(OpCall(*op, *attrs), operands);
    for (std::size_t i = 0; i < results.size(); ++i) copy_bytes(device, out[i], results[i].device(), results[i].raw(), results[i].nbytes());
  };
}

}  // namespace lockstep::autodiff
