#include <lockstep/tensor/onednn/primitive.h>

#include <unordered_map>

#include <lockstep/tensor/pointwise/kernels.h>
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

void append_activation(dnnl::primitive_attr& attributes, const std::string& activation) {
  if (activation == "none") return;
  using dnnl::algorithm;
  const auto function = activation == "relu" ? algorithm::eltwise_relu : activation == "tanh" ? algorithm::eltwise_tanh : activation == "sigmoid" ? algorithm::eltwise_logistic : algorithm::eltwise_gelu_erf;
  dnnl::post_ops post;
  post.append_eltwise(1, function, 0, 0);
  attributes.set_post_ops(post);
}

std::shared_ptr<Primitive> reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, attributes());
  return std::make_shared<Primitive>(dnnl::reorder(pd), Primitive::Arguments{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, pd.scratchpad_desc());
}

bool has_bfloat16() {
  static const bool has = [] {
    const dnnl::memory::desc square({16, 16}, dnnl::memory::data_type::bf16, dnnl::memory::format_tag::ab);
    return bool(dnnl::matmul::primitive_desc(dnnl::matmul::desc(square, square, square), engine(), true));
  }();
  return has;
}

BoundKernel in_float32(const BindContext& context) {
  struct Operand {
    TensorSpec spec;  // float32 where `convert`
    bool convert;
  };
  const auto operand = [](const TensorSpec& spec) {
    const bool convert = spec.dtype == bfloat16;
    return Operand{{convert ? float32 : spec.dtype, spec.shape}, convert};
  };
  std::vector<Operand> inputs, outputs;
  for (std::size_t i = 0; i < context.input_count(); ++i) inputs.push_back(operand(context.input(i)));
  for (std::size_t i = 0; i < context.output_count(); ++i) outputs.push_back(operand(context.output(i)));
  SmallVector<const TensorSpec*, 8> in_specs;
  SmallVector<TensorSpec, 3> out_specs;
  for (const Operand& each : inputs) in_specs.push_back(&each.spec);
  for (const Operand& each : outputs) out_specs.push_back(each.spec);
  return [inputs, outputs, kernel = context.op().cpu(BindContext(context.op(), context.attrs(), in_specs, out_specs))](Inputs in, Outputs out) mutable {
    static const PointwiseFn widen = pointwise::cast_run(bfloat16, float32), narrow = pointwise::cast_run(float32, bfloat16);
    SmallVector<Tensor, 8> wide_in, wide_out;
    SmallVector<const void*, 8> from;
    SmallVector<void*, 4> to;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      from.push_back(in[i]);
      if (!inputs[i].convert) continue;
      Tensor& wide = (wide_in.push_back(Tensor::empty(inputs[i].spec.shape, float32)), wide_in.back());
      widen(&in[i], wide.mutable_raw(), wide.numel(), nullptr);
      from.back() = wide.raw();
    }
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      wide_out.push_back(outputs[i].convert ? Tensor::empty(outputs[i].spec.shape, float32) : Tensor());
      to.push_back(outputs[i].convert ? wide_out.back().mutable_raw() : out[i]);
    }
    kernel(from.data(), to.data());
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (const void* result = to[i]; outputs[i].convert) narrow(&result, out[i], wide_out[i].numel(), nullptr);
  };
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
