#include <lockstep/nn/layers/spatial.h>

#include <algorithm>

#include <lockstep/tensor/base/error.h>

namespace lockstep::nn {

void Sizes::spread(int rank, const char* what, std::int64_t least) {
  if (values.size() == 1) values = Ints(std::size_t(rank), values[0]);
  bool good = int(values.size()) == rank;
  for (const std::int64_t value : values) good = good && value >= least;
  if (!good) throw InvalidArgumentError(std::string(what) + " must be a number >= " + std::to_string(least) + ", or " + std::to_string(rank) + " of them, got " + to_string(AttrValue(values)));
}

namespace spatial {
namespace {

Ints dims(const Shape& shape) { return {shape.begin(), shape.end()}; }
std::size_t at(std::int64_t index) { return std::size_t(index); }

/// A new axis of size 1 before the only spatial one, or away with it.
Tensor with_height(const Tensor& x, std::int64_t axis) { return expand_dims(x, axis); }
Ints with_one(const Ints& sizes) { return {1, sizes[0]}; }

/// Zeros between the elements along `axis`: element i moves to i * step.
Tensor spread_out(const Tensor& x, std::int64_t axis, std::int64_t step) {
  if (step == 1) return x;
  Ints shape = dims(x.shape()), split;
  for (std::int64_t i = 0; i < x.ndim(); ++i) {
    split.push_back(shape[at(i)]);
    if (i == axis) split.push_back(1);
  }
  IntLists paddings(split.size(), Ints{0, 0});
  paddings[at(axis + 1)] = {0, step - 1};
  const std::int64_t n = shape[at(axis)];
  shape[at(axis)] = n * step;
  const Tensor spread = reshape(pad(reshape(x, split), paddings), shape);
  shape[at(axis)] = (n - 1) * step + 1;
  return slice(spread, Ints(at(x.ndim()), 0), shape);
}

/// `before` and `after` elements more along `axis`; fewer where negative.
Tensor extend(const Tensor& x, std::int64_t axis, std::int64_t before, std::int64_t after) {
  IntLists paddings(at(x.ndim()), Ints{0, 0});
  paddings[at(axis)] = {std::max<std::int64_t>(0, before), std::max<std::int64_t>(0, after)};
  Tensor y = before > 0 || after > 0 ? pad(x, paddings) : x;
  if (before >= 0 && after >= 0) return y;
  Ints begin(at(x.ndim()), 0), size = dims(y.shape());
  begin[at(axis)] = std::max<std::int64_t>(0, -before);
  size[at(axis)] -= std::max<std::int64_t>(0, -before) + std::max<std::int64_t>(0, -after);
  return slice(y, begin, size);
}

/// Throws InvalidArgumentError if the kernel is larger than the input.
void require_room(const Tensor& x, const Tensor& kernel, const ConvOptions& options) {
  if (options.padding != "valid") return;
  for (int i = 0; i + 2 < x.ndim(); ++i)
    if ((kernel.shape()[i] - 1) * options.dilations[at(i)] + 1 > x.shape()[i + 1])
      throw InvalidArgumentError("nothing is left of an input of shape " + to_string(x.shape()) + " after a kernel of shape " + to_string(kernel.shape()), "conv");
}

Tensor conv3(const Tensor& x, const Tensor& kernel, const ConvOptions& options) {
  Tensor spread = kernel;
  for (std::int64_t axis = 0; axis < 3; ++axis) spread = spread_out(spread, axis, options.dilations[at(axis)]);
  if (options.groups == 1) return conv3d(x, spread, options.strides, options.padding);
  const std::vector<Tensor> inputs = split(x, options.groups, -1), kernels = split(spread, options.groups, -1);
  std::vector<Tensor> outputs;
  for (std::size_t i = 0; i < inputs.size(); ++i) outputs.push_back(conv3d(inputs[i], kernels[i], options.strides, options.padding));
  return concat(outputs, -1);
}

}  // namespace

void require_format(const std::string& data_format) {
  if (data_format != "channels_last" && data_format != "channels_first") throw InvalidArgumentError("data_format must be \"channels_last\" or \"channels_first\", got \"" + data_format + "\"");
}

Tensor channels_last(const Tensor& x, const std::string& data_format) {
  if (data_format == "channels_last") return x;
  Ints order = {0};
  for (std::int64_t i = 2; i < x.ndim(); ++i) order.push_back(i);
  order.push_back(1);
  return transpose(x, order);
}

Tensor as_format(const Tensor& y, const std::string& data_format) {
  if (data_format == "channels_last" || y.ndim() < 3) return y;
  Ints order = {0, y.ndim() - 1};
  for (std::int64_t i = 1; i + 1 < y.ndim(); ++i) order.push_back(i);
  return transpose(y, order);
}

Tensor conv(const Tensor& x, const Tensor& kernel, const ConvOptions& options) {
  require_room(x, kernel, options);
  switch (x.ndim() - 2) {
    case 1: {
      const bool causal = options.padding == "causal";
      const Tensor padded = causal ? extend(x, 1, options.dilations[0] * (kernel.shape()[0] - 1), 0) : x;
      const Tensor y = conv2d(with_height(padded, 1), with_height(kernel, 0), with_one(options.strides), causal ? "valid" : options.padding, with_one(options.dilations), options.groups);
      return squeeze(y, 1);
    }
    case 2: return conv2d(x, kernel, options.strides, options.padding, options.dilations, options.groups);
    default: return conv3(x, kernel, options);
  }
}

Tensor depthwise_conv(const Tensor& x, const Tensor& kernel, const ConvOptions& options) {
  require_room(x, kernel, options);
  if (x.ndim() == 4) return depthwise_conv2d(x, kernel, options.strides, options.padding, options.dilations);
  return squeeze(depthwise_conv2d(with_height(x, 1), with_height(kernel, 0), with_one(options.strides), options.padding, with_one(options.dilations)), 1);
}

Tensor conv_transpose(const Tensor& x, const Tensor& kernel, const Ints& output, const ConvOptions& options) {
  const std::int64_t rank = x.ndim() - 2, filters = kernel.shape().dim(-2);
  const bool dilated = std::any_of(options.dilations.begin(), options.dilations.end(), [](std::int64_t d) { return d != 1; });
  if (rank == 2 && !dilated) return conv2d_transpose(x, kernel, {x.shape()[0], output[0], output[1], filters}, options.strides, options.padding);
  if (rank == 1 && !dilated) return squeeze(conv2d_transpose(with_height(x, 1), with_height(kernel, 0), {x.shape()[0], 1, output[0], filters}, with_one(options.strides), options.padding), 1);
  // A plain convolution of the input with zeros between its elements by the mirrored kernel.
  Tensor y = x, mirrored = kernel;
  Ints order, mirrored_axes;
  for (std::int64_t axis = 0; axis < rank; ++axis) {
    mirrored = spread_out(mirrored, axis, options.dilations[at(axis)]);
    const std::int64_t k = mirrored.shape()[int(axis)], s = options.strides[at(axis)], n = x.shape()[int(axis) + 1], out = output[at(axis)];
    const std::int64_t before = options.padding == "same" ? std::max<std::int64_t>(0, (n - 1) * s + k - out) / 2 : 0;
    const std::int64_t left = k - 1 - before;
    y = extend(spread_out(y, axis + 1, s), axis + 1, left, out - (n - 1) * s - 1 - left + k - 1);
    order.push_back(axis);
    mirrored_axes.push_back(axis);
  }
  order.push_back(rank + 1);
  order.push_back(rank);
  const Ints ones(at(rank), 1);
  return conv(y, transpose(reverse(mirrored, mirrored_axes), order), {.strides = ones, .padding = "valid", .dilations = ones});
}

Tensor pool(const Tensor& x, bool largest, const Ints& size, const Ints& strides, const std::string& padding) {
  switch (x.ndim() - 2) {
    case 1: return largest ? max_pool1d(x, size[0], strides[0], padding) : avg_pool1d(x, size[0], strides[0], padding);
    case 2: return largest ? max_pool2d(x, size, strides, padding) : avg_pool2d(x, size, strides, padding);
    default: break;
  }
  // Over height and width for each depth, then over depth: maxima and means of boxes are those of their slices.
  const auto flat = [&](const Tensor& t, const Ints& window, const Ints& step) { return largest ? max_pool2d(t, window, step, padding) : avg_pool2d(t, window, step, padding); };
  const Shape& in = x.shape();
  const Tensor planes = flat(reshape(x, {in[0] * in[1], in[2], in[3], in[4]}), {size[1], size[2]}, {strides[1], strides[2]});
  const std::int64_t height = planes.shape()[1], width = planes.shape()[2];
  const Tensor boxes = flat(reshape(planes, {in[0], in[1], height * width, in[4]}), {size[0], 1}, {strides[0], 1});
  return reshape(boxes, {in[0], boxes.shape()[1], height, width, in[4]});
}

}  // namespace spatial
}  // namespace lockstep::nn
