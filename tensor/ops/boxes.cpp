// Boxes in images: which of many to keep, and how to show them.

#include <algorithm>
#include <cmath>
#include <queue>

#include <lockstep/tensor/ops/attr_defs.h>
#include <lockstep/tensor/ops/image.h>
#include <lockstep/tensor/ops/rules.h>

namespace lockstep {
namespace {

// ---- non-maximum suppression

template <class T>
struct Box {
  T top, left, bottom, right;
  explicit Box(const T* edges) : top(std::min(edges[0], edges[2])), left(std::min(edges[1], edges[3])), bottom(std::max(edges[0], edges[2])), right(std::max(edges[1], edges[3])) {}
  T area() const { return (bottom - top) * (right - left); }
};
/// Intersection over union; 0 if one has no area.
template <class T>
T overlap(const Box<T>& a, const Box<T>& b) {
  if (a.area() <= 0 || b.area() <= 0) return 0;
  const T height = std::max(std::min(a.bottom, b.bottom) - std::max(a.top, b.top), T(0)), width = std::max(std::min(a.right, b.right) - std::max(a.left, b.left), T(0));
  return height * width / (a.area() + b.area() - height * width);
}

struct Limits {
  std::int64_t most;
  double overlap, score, sigma;
};
template <class T>
struct Candidate {
  T score;
  std::int32_t box;
  std::size_t judged = 0;  // how many of the chosen have had their say
  /// The best score first, the lower index at ties.
  friend bool operator<(const Candidate& a, const Candidate& b) { return a.score < b.score || (a.score == b.score && a.box > b.box); }
};
template <class T>
struct Choice {
  std::vector<std::int32_t> boxes;
  std::vector<T> scores;
};

/// Takes the best candidate; each one chosen before it takes away what the overlap says: all of the score (hard), or a part (soft), after which the
/// candidate waits for its new turn.
template <class T>
Choice<T> choose(const T* edges, const T* scores, std::int64_t count, const Limits& limits) {
  std::priority_queue<Candidate<T>> waiting;
  for (std::int32_t i = 0; i < count; ++i)
    if (scores[i] > T(limits.score)) waiting.push({scores[i], i});
  const bool soft = limits.sigma > 0;
  Choice<T> choice;
  while (std::int64_t(choice.boxes.size()) < limits.most && !waiting.empty()) {
    Candidate<T> next = waiting.top();
    waiting.pop();
    const T before = next.score;
    bool suppressed = false;
    for (std::size_t j = choice.boxes.size(); j-- > next.judged && !suppressed;) {
      const T shared = overlap(Box<T>(edges + 4 * next.box), Box<T>(edges + 4 * choice.boxes[j]));
      if (soft) next.score *= std::exp(T(-0.5 / limits.sigma) * shared * shared);
      suppressed = soft ? next.score <= T(limits.score) : shared > T(limits.overlap);
    }
    next.judged = choice.boxes.size();
    if (suppressed) continue;
    if (next.score == before) {
      choice.boxes.push_back(next.box);
      choice.scores.push_back(next.score);
    } else {
      waiting.push(next);
    }
  }
  return choice;
}

void suppression_infer(InferContext& context) {
  const Shape &boxes = context.shape(0), &scores = context.shape(1);
  if (boxes.ndim() != 2 || boxes[1] != 4 || scores != Shape{boxes[0]}) context.refuse("boxes must be (n, 4) and scores (n,)");
  if (boxes[0] > INT32_MAX) context.refuse("there are more than 2^31 boxes");
  if (context.integer("max_output_size") < 0) context.refuse("max_output_size must not be negative, got " + std::to_string(context.integer("max_output_size")));
  const double threshold = context.number("iou_threshold");
  if (!(threshold >= 0 && threshold <= 1)) context.refuse("iou_threshold must be in [0, 1], got " + to_string(context.scalar("iou_threshold")));
  context.output(int32, Shape::unknown());
}
void with_scores_infer(InferContext& context) {
  suppression_infer(context);
  if (!(context.number("soft_nms_sigma") >= 0)) context.refuse("soft_nms_sigma must not be negative, got " + to_string(context.scalar("soft_nms_sigma")));
  context.output(context.dtype_of(1), Shape::unknown());
}

template <bool WithScores>
Tensors suppression_cpu(const OpCall& call, std::span<const Tensor> in) {
  const Limits limits{call.integer("max_output_size"), call.number("iou_threshold"), call.number("score_threshold"), WithScores ? call.number("soft_nms_sigma") : 0.0};
  const auto run = [&]<class T>(TypeTag<T>) -> Tensors {
    const Choice<T> choice = choose(in[0].data<T>().data(), in[1].data<T>().data(), in[0].shape()[0], limits);
    const std::int64_t count = std::int64_t(choice.boxes.size());
    Tensor boxes = Tensor::empty({count}, int32), scores = Tensor::empty({count}, dtype_of<T>);
    std::copy(choice.boxes.begin(), choice.boxes.end(), boxes.mutable_data<std::int32_t>());
    std::copy(choice.scores.begin(), choice.scores.end(), scores.template mutable_data<T>());
    if (WithScores) return {boxes, scores};
    return {boxes};
  };
  return in[0].dtype() == float32 ? run(TypeTag<float>{}) : run(TypeTag<double>{});
}

// ---- drawing

void draw_infer(InferContext& context) {
  const Shape &x = context.shape(0), &boxes = context.shape(1), &colors = context.shape(2);
  if (x.ndim() != 4 || boxes.ndim() != 3 || boxes[0] != x[0] || boxes[2] != 4) context.refuse("needs images (batch, height, width, channels) and boxes (batch, n, 4)");
  if (colors.ndim() != 2 || colors[0] < 1 || colors[1] < x[3]) context.refuse("colors must be (m, channels), and at least one");
  rules::like_first(context);
}

/// An edge in pixels.
struct Frame {
  std::int64_t top, left, bottom, right;
};
std::int64_t pixel_of(float edge, std::int64_t size) {
  const float at = edge * float(size - 1);
  return at > -1e9f && at < 1e9f ? std::int64_t(at) : std::int64_t(at < 0 || std::isnan(at) ? -1'000'000'000 : 1'000'000'000);
}

template <class T>
void draw(T* pixels, std::int64_t height, std::int64_t width, std::int64_t channels, const Frame& frame, const float* color) {
  if (frame.top > frame.bottom || frame.left > frame.right || frame.top >= height || frame.bottom < 0 || frame.left >= width || frame.right < 0) return;
  const auto dot = [&](std::int64_t row, std::int64_t column) {
    for (std::int64_t c = 0; c < channels; ++c) pixels[(row * width + column) * channels + c] = static_cast<T>(static_cast<compute_t<T>>(color[c]));
  };
  const std::int64_t first_row = std::max<std::int64_t>(frame.top, 0), last_row = std::min(frame.bottom, height - 1);
  const std::int64_t first_column = std::max<std::int64_t>(frame.left, 0), last_column = std::min(frame.right, width - 1);
  for (std::int64_t column = first_column; column <= last_column; ++column) {
    if (frame.top >= 0) dot(frame.top, column);
    if (frame.bottom < height) dot(frame.bottom, column);
  }
  for (std::int64_t row = first_row; row <= last_row; ++row) {
    if (frame.left >= 0) dot(row, frame.left);
    if (frame.right < width) dot(row, frame.right);
  }
}

BoundKernel draw_cpu(const BindContext& context) {
  const Shape x = context.shape(0);
  const std::int64_t boxes = context.shape(1)[1], colors = context.shape(2)[0], color_width = context.shape(2)[1];
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_floating_point_v<compute_t<T>>) {
      return [=](Inputs in, Outputs out) {
        std::copy_n(static_cast<const T*>(in[0]), x.numel(), static_cast<T*>(out[0]));
        if (x.numel() == 0) return;
        const auto* edges = static_cast<const float*>(in[1]);
        for (std::int64_t i = 0; i < x[0] * boxes; ++i, edges += 4) {
          const Frame frame{pixel_of(edges[0], x[1]), pixel_of(edges[1], x[2]), pixel_of(edges[2], x[1]), pixel_of(edges[3], x[2])};
          draw(static_cast<T*>(out[0]) + i / boxes * x[1] * x[2] * x[3], x[1], x[2], x[3], frame, static_cast<const float*>(in[2]) + i % boxes % colors * color_width);
        }
      };
    } else {
      throw UnimplementedError("there is no CPU kernel for " + std::string(name(dtype_of<T>)), context.op().name);
    }
  });
}

OpDef suppression(std::string_view name, std::string_view doc, void (*infer)(InferContext&), Tensors (*cpu)(const OpCall&, std::span<const Tensor>)) {
  const Sample::Operand boxes{.dtype = float32, .shape = {6, 4}, .low = 0, .high = 1}, scores{.dtype = float32, .shape = {6}, .low = 0, .high = 1};
  return {.name = name, .doc = doc, .family = "image", .min_inputs = 2, .max_inputs = 2,
          .attrs = {attrs::integer("max_output_size"), attrs::number("iou_threshold", 0.5), attrs::number("score_threshold", -INFINITY)}, .dtypes = same(dtypes(float32, float64)), .infer = infer,
          .gradient = not_differentiable("its result is a choice"), .onnx = no_onnx("exported as NonMaxSuppression, which has batches"),
          .samples = {{.inputs = {boxes, scores}, .attrs = {{"max_output_size", std::int64_t(4)}, {"iou_threshold", 0.2}}}}, .cpu_dynamic = cpu,
          .no_cuda = "boxes are chosen one after the other, on the host"};
}

}  // namespace

std::vector<OpDef> boxes_rows() {
  std::vector<OpDef> rows;
  rows.push_back(suppression("image_non_max_suppression", "indices of the boxes that remain when each, the best score first, takes out those that overlap it too much", suppression_infer, suppression_cpu<false>));
  rows.push_back(suppression("image_non_max_suppression_with_scores", "indices and scores; a sigma lets overlapping boxes lose score instead", with_scores_infer, suppression_cpu<true>));
  rows.back().attrs.push_back(attrs::number("soft_nms_sigma", 0));
  rows.back().samples.push_back(rows.back().samples.front());
  rows.back().samples.back().attrs.push_back({"soft_nms_sigma", 0.5});
  rows.push_back({.name = "image_draw_bounding_boxes", .doc = "images with one-pixel frames around boxes, in turns of the colours", .family = "image", .min_inputs = 3, .max_inputs = 3, .dtypes = each(kFloats, dtypes(float32), dtypes(float32)), .infer = draw_infer,
                  .gradient = not_differentiable("it is for looking at"), .onnx = no_onnx("it is for looking at"),
                  .samples = {{.inputs = {{.dtype = float32, .shape = {1, 4, 5, 3}}, {.dtype = float32, .shape = {1, 2, 4}, .low = 0, .high = 1}, {.dtype = float32, .shape = {1, 3}}}}}, .cpu = draw_cpu, .no_cuda = "pictures for looking at are drawn on the host"});
  return rows;
}

}  // namespace lockstep
