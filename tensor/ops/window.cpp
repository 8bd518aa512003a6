#include <lockstep/tensor/ops/window.h>

#include <algorithm>

namespace lockstep::window {

IntLists paddings(const OpCall& call, std::span<const std::int64_t> in, std::span<const std::int64_t> kernel, std::span<const std::int64_t> strides,
                  std::span<const std::int64_t> dilations, const std::string& padding) {
  IntLists result;
  for (std::size_t i = 0; i < in.size(); ++i) {
    const std::int64_t extent = (kernel[i] - 1) * dilations[i] + 1;
    if (padding == "valid") {
      result.push_back({0, 0});
    } else if (padding == "same") {
      const std::int64_t windows = (in[i] + strides[i] - 1) / strides[i];
      const std::int64_t total = std::max<std::int64_t>(0, (windows - 1) * strides[i] + extent - in[i]);
      result.push_back({total / 2, total - total / 2});
    } else {
      call.refuse("padding must be valid or same, got \"" + padding + "\"");
    }
  }
  return result;
}

std::int64_t count(const OpCall& call, std::int64_t in, std::int64_t kernel, std::int64_t stride, std::int64_t dilation, std::int64_t before, std::int64_t after) {
  const std::int64_t room = in + before + after - ((kernel - 1) * dilation + 1);
  if (in == 0) return 0;
  if (room < 0)
    call.refuse("a window of " + std::to_string((kernel - 1) * dilation + 1) + " is larger than an axis of size " + std::to_string(in) + " with padding " + std::to_string(before) + " and " + std::to_string(after));
  return room / stride + 1;
}

Convolution convolution_of(const OpCall& call, const Shape& x, const Shape& kernel) {
  Convolution c;
  c.ndim = x.ndim() - 2;
  c.batch = x[0];
  c.in_channels = x[x.ndim() - 1];
  c.out_channels = kernel[kernel.ndim() - 1];
  c.groups = call.integer("groups");
  const Ints strides = call.ints("strides"), dilations = call.ints("dilations");
  const IntLists& pads = call.int_lists("padding");
  for (int i = 0; i < c.ndim; ++i) {
    const auto k = std::size_t(3 - c.ndim + i), s = std::size_t(i);
    c.in[k] = x[i + 1];
    c.kernel[k] = kernel[i];
    c.stride[k] = strides[s];
    c.dilation[k] = dilations[s];
    c.before[k] = pads[s][0];
    c.after[k] = pads[s][1];
    c.out[k] = count(call, c.in[k], c.kernel[k], c.stride[k], c.dilation[k], c.before[k], c.after[k]);
  }
  return c;
}

Pool pool_of(const OpCall& call, const Shape& x) {
  const Ints size = call.ints("ksize"), stride = call.ints("strides"), dilation{1, 1};
  const IntLists pads = paddings(call, x.dims().subspan(1, 2), size, stride, dilation, call.text("padding"));
  Pool p{.batch = x[0], .channels = x[3], .in = {}, .out = {}, .size = {}, .stride = {}, .before = {}, .after = {}};
  for (std::size_t i = 0; i < 2; ++i) {
    p.in[i] = x[int(i) + 1];
    p.size[i] = size[i];
    p.stride[i] = stride[i];
    p.before[i] = pads[i][0];
    p.after[i] = pads[i][1];
    p.out[i] = count(call, p.in[i], size[i], stride[i], 1, pads[i][0], pads[i][1]);
  }
  return p;
}

}  // namespace lockstep::window
