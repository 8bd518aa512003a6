#include <lockstep/dist/replica.h>

#include <utility>

namespace lockstep::dist {
namespace {

const Replica*& current_replica() {
  thread_local const Replica* replica = nullptr;
  return replica;
}

}  // namespace

const Replica* replica() { return current_replica(); }

ReplicaScope::ReplicaScope(const Replica* replica) : before_(std::exchange(current_replica(), replica)) {}
ReplicaScope::~ReplicaScope() { current_replica() = before_; }

Tensor Replica::sum(const Tensor& x, const std::string& label) const { return all_reduce(x, ReduceOp::sum, {.group = group, .label = label}); }

}  // namespace lockstep::dist
