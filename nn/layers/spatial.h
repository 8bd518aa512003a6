#pragma once
// Convolution and pooling over one, two or three spatial axes, on tensors of channels last: what layers of these families share.

#include <concepts>
#include <initializer_list>
#include <string>
#include <utility>

#include <lockstep/tensor/ops.h>

namespace lockstep::nn {

/// One number for all spatial axes, or one each: `.kernel_size = 3`, `.kernel_size = {3, 5}`.
struct Sizes {
  Sizes() = default;
  template <std::integral I>
  Sizes(I size) : values{std::int64_t(size)} {}
  Sizes(std::initializer_list<std::int64_t> sizes) : values(sizes) {}
  Sizes(const Ints& sizes) : values(sizes) {}
  /// One for each of `rank` axes. Throws InvalidArgumentError for another number of sizes, or one below `least`.
  void spread(int rank, const char* what, std::int64_t least = 1);
  Ints values = {};
};

/// A layer that its base is for a number of axes, and a kind, which it takes before the options: of 1, 2 or 3 axes; of the largest or of means.
template <class Base, auto... Kind>
class Ranked : public Base {
 public:
  using Options = typename Base::Options;
  Ranked() : Ranked(Options()) {}
  /// Throws InvalidArgumentError for options that do not fit.
  explicit Ranked(Options options) : Base(Kind..., std::move(options)) {}
};

namespace spatial {

/// Throws InvalidArgumentError for another word than "channels_last" or "channels_first".
void require_format(const std::string& data_format);
/// From a layer's data format to channels last, and back.
Tensor channels_last(const Tensor& x, const std::string& data_format);
Tensor as_format(const Tensor& y, const std::string& data_format);

struct ConvOptions {
  Ints strides;
  /// "valid", "same", or "causal" for one axis
  std::string padding = "valid";
  Ints dilations;
  std::int64_t groups = 1;
};
/// x (batch, spatial..., channels), kernel (spatial..., channels / groups, filters).
Tensor conv(const Tensor& x, const Tensor& kernel, const ConvOptions& options);
/// kernel (spatial..., channels, multiplier); one or two spatial axes.
Tensor depthwise_conv(const Tensor& x, const Tensor& kernel, const ConvOptions& options);
/// The gradient of conv by its input: kernel (spatial..., filters, channels), `output` the spatial sizes of the result.
Tensor conv_transpose(const Tensor& x, const Tensor& kernel, const Ints& output, const ConvOptions& options);

/// The largest elements, or the means, of windows.
Tensor pool(const Tensor& x, bool largest, const Ints& size, const Ints& strides, const std::string& padding);

}  // namespace spatial
}  // namespace lockstep::nn
