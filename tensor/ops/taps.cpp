// The weights of resizing. How positions are rounded follows TensorFlow's kernels, which compute them in float32.

#include <lockstep/tensor/ops/taps.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace lockstep {
namespace {

using resizing::Taps;

float center(std::int64_t i, float scale) { return (float(i) + 0.5f) * scale - 0.5f; }

Taps linear_taps(std::int64_t in, std::int64_t out) {
  Taps taps;
  const float scale = float(in) / float(out);
  for (std::int64_t i = 0; i < out; ++i, taps.close()) {
    const float at = center(i, scale), below = std::floor(at);
    const std::int64_t lower = std::clamp<std::int64_t>(std::int64_t(below), 0, in - 1), upper = std::clamp<std::int64_t>(std::int64_t(std::ceil(at)), 0, in - 1);
    if (lower == upper) {
      taps.add(lower, 1);
    } else {
      taps.add(lower, 1 - (at - below));
      taps.add(upper, at - below);
    }
  }
  return taps;
}

/// Keys' cubic (a = -1/2) at distances that are whole 1024ths; neighbours outside of the image count nothing.
Taps cubic_taps(std::int64_t in, std::int64_t out) {
  const auto near = [](double x) { return float(((1.5 * x - 2.5) * x) * x + 1); };
  const auto far = [](double x) { return float(((-0.5 * (x + 1) + 2.5) * (x + 1) - 4) * (x + 1) + 2); };
  Taps taps;
  const float scale = float(in) / float(out);
  for (std::int64_t i = 0; i < out; ++i, taps.close()) {
    const float at = center(i, scale);
    const auto base = std::int64_t(std::floor(at));
    const double fraction = double(std::lrint((at - float(base)) * 1024)) / 1024;
    const float weights[] = {far(fraction), near(fraction), near(1 - fraction), far(1 - fraction)};
    float sum = 0;
    for (int k = 0; k < 4; ++k)
      if (const std::int64_t source = base - 1 + k; source >= 0 && source < in) sum += weights[k];
    const bool normal = std::fabs(sum) >= 1000 * std::numeric_limits<float>::min();
    for (int k = 0; k < 4; ++k)
      if (const std::int64_t source = base - 1 + k; source >= 0 && source < in) taps.add(source, normal ? weights[k] * (1 / sum) : weights[k]);
  }
  return taps;
}

/// Means over the cells that a result cell covers.
Taps area_taps(std::int64_t in, std::int64_t out) {
  Taps taps;
  const float scale = float(in) / float(out);
  for (std::int64_t i = 0; i < out; ++i, taps.close()) {
    const float begin = float(i) * scale, end = float(i + 1) * scale;
    for (auto source = std::int64_t(std::floor(begin)); source < std::int64_t(std::ceil(end)); ++source) {
      const float covered = std::min(end, float(source + 1)) - std::max(begin, float(source));
      taps.add(std::clamp<std::int64_t>(source, 0, in - 1), covered / scale);
    }
  }
  return taps;
}

struct Filter {
  float radius;
  float (*at)(float distance);
};
template <int Radius>
float lanczos(float x) {
  if (x > float(Radius)) return 0;
  if (x <= 1e-3f) return 1;
  const float pi = std::numbers::pi_v<float>;
  return float(Radius) * std::sin(pi * x) * std::sin(pi * x / float(Radius)) / (pi * pi * x * x);
}
float gaussian(float x) { return x >= 1.5f ? 0 : std::exp(-2 * x * x); }
float triangle(float x) { return x < 1 ? 1 - x : 0; }
float keys_cubic(float x) {
  if (x >= 2) return 0;
  return x >= 1 ? ((-0.5f * x + 2.5f) * x - 4) * x + 2 : ((1.5f * x - 2.5f) * x) * x + 1;
}
float mitchell_cubic(float x) {
  if (x >= 2) return 0;
  return x >= 1 ? (((-7.0f / 18) * x + 2) * x - 10.0f / 3) * x + 16.0f / 9 : (((7.0f / 6) * x - 2) * x) * x + 8.0f / 9;
}

/// tf.image's scale_and_translate: a filter around each position, wider where the image shrinks and antialias is wanted.
Taps filter_taps(std::int64_t in, std::int64_t out, const Filter& filter, bool antialias) {
  Taps taps;
  const float scale = float(out) / float(in), inverse = float(1.0 / double(scale)), widened = antialias ? std::max(inverse, 1.0f) : 1.0f, narrow = 1 / widened;
  std::vector<float> weights;
  for (std::int64_t i = 0; i < out; ++i, taps.close()) {
    const float at = (float(i) + 0.5f) * inverse;
    if (at < 0 || at > float(in)) continue;
    const auto begin = std::clamp<std::int64_t>(std::int64_t(std::ceil(at - filter.radius * widened - 0.5f)), 0, in - 1);
    const auto end = std::clamp<std::int64_t>(std::int64_t(std::floor(at + filter.radius * widened - 0.5f)), 0, in - 1) + 1;
    weights.clear();
    float sum = 0;
    for (std::int64_t source = begin; source < end; ++source) {
      weights.push_back(filter.at(std::fabs((float(source) + 0.5f - at) * narrow)));
      sum += weights.back();
    }
    if (std::fabs(sum) < 1000 * std::numeric_limits<float>::min()) continue;
    for (std::int64_t source = begin; source < end; ++source) taps.add(source, weights[std::size_t(source - begin)] * (1 / sum));
  }
  return taps;
}

}  // namespace

Taps resizing::taps_of(const std::string& method, bool antialias, std::int64_t in, std::int64_t out) {
  if (method == "bilinear") return antialias ? filter_taps(in, out, {1, triangle}, true) : linear_taps(in, out);
  if (method == "bicubic") return antialias ? filter_taps(in, out, {2, keys_cubic}, true) : cubic_taps(in, out);
  if (method == "area") return area_taps(in, out);
  if (method == "lanczos3") return filter_taps(in, out, {3, lanczos<3>}, antialias);
  if (method == "lanczos5") return filter_taps(in, out, {5, lanczos<5>}, antialias);
  if (method == "gaussian") return filter_taps(in, out, {1.5, gaussian}, antialias);
  return filter_taps(in, out, {2, mitchell_cubic}, antialias);
}

Taps resizing::taps_of(const OpCall& call, std::int64_t in, std::int64_t out) {
  const std::string& method = call.text("method");
  const bool antialias = call.boolean("antialias");
  return call.boolean("transposed") ? taps_of(method, antialias, out, in).transposed(out) : taps_of(method, antialias, in, out);
}

}  // namespace lockstep
