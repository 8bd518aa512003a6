#include <lockstep/tensor/onednn/primitive.h>

#include <unordered_map>

#include <lockstep/tensor/tensor.h>

namespace lockstep::onednn {
namespace {

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

struct KeyHash {
  std::size_t operator()(const Key& key) const {
    std::uint64_t hash = 1469598103934665603u;
    for (const std::int64_t word : key) hash = (hash ^ std::uint64_t(word)) * 1099511628211u;
    return hash;
  }
};

constexpr std::size_t kMostArguments = 8;
constexpr std::size_t kMostCached = 1024;

}  // namespace

const dnnl::engine& engine() {
  static const auto* instance = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *instance;
}

Primitive::Primitive(dnnl::primitive primitive, Arguments arguments, dnnl::memory::desc scratchpad)
    : primitive_(std::move(primitive)), arguments_(std::move(arguments)), scratchpad_(std::move(scratchpad)) {
  if (arguments_.size() >= kMostArguments) throw InternalError("a primitive has too many arguments");
  for (const auto& [role, desc] : arguments_) memories_.emplace_back(desc, engine(), nullptr);
  if (scratchpad_.get_size()) memories_.emplace_back(scratchpad_, engine(), nullptr);
}

void Primitive::run(const void* const* pointers, std::size_t count) {
  translating([&] {
    Tensor scratch;
    if (scratchpad_.get_size()) scratch = Tensor::empty({std::int64_t(scratchpad_.get_size())}, uint8);
    std::vector<dnnl::memory> own;
    const bool mine = !busy_.test_and_set(std::memory_order_acquire);
    if (!mine)
      for (const dnnl::memory& memory : memories_) own.emplace_back(memory.get_desc(), engine(), nullptr);
    std::vector<dnnl::memory>& memories = mine ? memories_ : own;
    dnnl_exec_arg_t arguments[kMostArguments];
    for (std::size_t i = 0; i < memories.size(); ++i) {
      void* pointer = i < count ? const_cast<void*>(pointers[i]) : scratch.mutable_raw();
      dnnl_memory_set_data_handle_v2(memories[i].get(), pointer, nullptr);
      arguments[i] = {i < count ? arguments_[i].first : DNNL_ARG_SCRATCHPAD, memories[i].get()};
    }
    const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), stream().get(), int(memories.size()), arguments);
    if (mine) busy_.clear(std::memory_order_release);
    dnnl::error::wrap_c_api(status, "could not execute a primitive");
  });
}

std::shared_ptr<Primitive> cached(const Key& key, const std::function<std::shared_ptr<Primitive>()>& make) {
  thread_local std::unordered_map<Key, std::shared_ptr<Primitive>, KeyHash> cache;
  const auto found = cache.find(key);
  if (found != cache.end()) return found->second;
  if (cache.size() >= kMostCached) cache.clear();
  return cache.emplace(key, translating(make)).first->second;
}

dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::memory::data_type data_type(DType dtype) {
  switch (dtype) {
    case DType::float32: return dnnl::memory::data_type::f32;
    case DType::bfloat16: return dnnl::memory::data_type::bf16;
    default: throw InternalError("oneDNN kernels take float32 and bfloat16");
  }
}

dnnl::memory::desc strided(const dnnl::memory::dims& dims, const dnnl::memory::dims& strides, DType dtype) {
  return {dims, data_type(dtype), strides};
}

dnnl::memory::desc dense(const dnnl::memory::dims& dims, DType dtype) {
  dnnl::memory::dims strides(dims.size(), 1);
  for (std::size_t i = dims.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * std::max<std::int64_t>(1, dims[i]);
  return strided(dims, strides, dtype);
}

}  // namespace lockstep::onednn
