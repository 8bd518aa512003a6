#include <lockstep/nn/layers/reshaping.h>

#include <algorithm>

#include <nlohmann/json.hpp>

#include <lockstep/tensor/image.h>

namespace lockstep::nn {

void Flatten::fields(Fields& f) {
  Layer::fields(f);
  f.field("data_format", data_format_);
}
void Flatten::configured() { spatial::require_format(data_format_); }
Tensor Flatten::call(const Tensor& x) {
  require(x.ndim() >= 1, "a scalar has no batch");
  return reshape(x.ndim() > 2 ? spatial::channels_last(x, data_format_) : x, {x.shape()[0], x.shape()[0] == 0 ? 1 : x.numel() / x.shape()[0]});
}

void Reshape::fields(Fields& f) {
  Layer::fields(f);
  f.required({"target_shape"});
  f.field("target_shape", target_shape_);
}
Tensor Reshape::call(const Tensor& x) {
  Ints shape = {x.shape()[0]};
  shape.append(target_shape_.begin(), target_shape_.end());
  return reshape(x, shape);
}

void Permute::fields(Fields& f) {
  Layer::fields(f);
  f.required({"dims"});
  f.field("dims", dims_);
}
void Permute::configured() {
  Ints sorted = dims_;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i) require(sorted[i] == std::int64_t(i) + 1, "dims must be 1 ... n in some order, got " + to_string(AttrValue(dims_)));
}
Tensor Permute::call(const Tensor& x) {
  Ints order = {0};
  order.append(dims_.begin(), dims_.end());
  return transpose(x, order);
}

void RepeatVector::fields(Fields& f) {
  Layer::fields(f);
  f.required({"n"});
  f.field("n", n_);
}
void RepeatVector::configured() { require(n_ > 0, "n must be positive, got " + std::to_string(n_)); }
Tensor RepeatVector::call(const Tensor& x) {
  require(x.ndim() == 2, "the input needs two axes, got " + to_string(x.shape()));
  return repeat(expand_dims(x, 1), {n_}, 1);
}

// ---- UpSampling

void UpSampling::fields(Fields& f) {
  Layer::fields(f);
  if (rank_ == 1) {
    f.field("size", options_.size.values[0]);
    return;
  }
  f.field("size", options_.size.values);
  f.field("data_format", options_.data_format);
  if (rank_ == 2) f.field("interpolation", options_.interpolation);
}
void UpSampling::configured() {
  options_.size.spread(rank_, "size");
  spatial::require_format(options_.data_format);
  const auto known = {"nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"};
  require(std::find(known.begin(), known.end(), options_.interpolation) != known.end(), "there is no interpolation \"" + options_.interpolation + "\"");
  require(std::all_of(options_.size.values.begin(), options_.size.values.end(), [](std::int64_t factor) { return factor > 0; }), "size must be positive, got " + to_string(AttrValue(options_.size.values)));
}
Tensor UpSampling::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  Tensor y = spatial::channels_last(x, options_.data_format);
  const Ints& size = options_.size.values;
  if (options_.interpolation != "nearest") {
    y = cast(image::resize(y, {y.shape()[1] * size[0], y.shape()[2] * size[1]}, {.method = options_.interpolation}), x.dtype());
  } else {
    for (int i = 0; i < rank_; ++i)
      if (size[std::size_t(i)] != 1) y = repeat(y, {size[std::size_t(i)]}, i + 1);
  }
  return spatial::as_format(y, options_.data_format);
}

// ---- Framing

void Framing::fields(Fields& f) {
  Layer::fields(f);
  const auto written = [&]() -> Json {
    Json all = Json::array();
    for (const Ints& axis : options_.margins.values) all.push_back(std::vector<std::int64_t>(axis.begin(), axis.end()));
    return rank_ == 1 ? all[0] : all;
  };
  const Json before = written();
  Json margins = before;
  f.field(crops_ ? "cropping" : "padding", margins);
  if (margins != before) {
    // A number; for one axis [before, after]; for several one entry each, a number or such a pair.
    IntLists values;
    const bool pair_of_one = rank_ == 1 && margins.is_array() && margins.size() == 2 && margins[0].is_number_integer();
    for (const Json& each : margins.is_array() && !pair_of_one ? margins : Json::array({margins})) {
      Ints axis;
      for (const Json& number : each.is_array() ? each : Json::array({each})) {
        require(number.is_number_integer(), "margins must be whole numbers, got " + margins.dump());
        axis.push_back(number.get<std::int64_t>());
      }
      values.push_back(axis);
    }
    options_.margins.values = values;
  }
  if (rank_ > 1 || !crops_) f.field("data_format", options_.data_format);
}

void Framing::configured() {
  IntLists& values = options_.margins.values;
  if (values.size() == 1) values = IntLists(std::size_t(rank_), values[0]);
  require(int(values.size()) == rank_, "margins must be one number, or one or two for each of " + std::to_string(rank_) + " axes");
  for (Ints& axis : values) {
    if (axis.size() == 1) axis = {axis[0], axis[0]};
    require(axis.size() == 2 && axis[0] >= 0 && axis[1] >= 0, "an axis has one or two margins >= 0, got " + to_string(AttrValue(axis)));
  }
  spatial::require_format(options_.data_format);
}

Tensor Framing::call(const Tensor& x) {
  require(x.ndim() == rank_ + 2, "the input needs " + std::to_string(rank_ + 2) + " axes, got " + to_string(x.shape()));
  const int first = options_.data_format == "channels_first" ? 2 : 1;
  if (!crops_) {
    IntLists paddings(std::size_t(x.ndim()), Ints{0, 0});
    for (int i = 0; i < rank_; ++i) paddings[std::size_t(first + i)] = options_.margins.values[std::size_t(i)];
    return pad(x, paddings);
  }
  Ints begin(std::size_t(x.ndim()), 0), size(x.shape().begin(), x.shape().end());
  for (int i = 0; i < rank_; ++i) {
    const Ints& margin = options_.margins.values[std::size_t(i)];
    begin[std::size_t(first + i)] = margin[0];
    size[std::size_t(first + i)] -= margin[0] + margin[1];
    require(size[std::size_t(first + i)] > 0, "nothing is left of " + to_string(x.shape()) + " after cropping");
  }
  return slice(x, begin, size);
}

}  // namespace lockstep::nn
