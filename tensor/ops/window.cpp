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

}  // namespace lockstep::window
