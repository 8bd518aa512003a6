// Two curves over the number of ranks, side by side, as an SVG of a few lines.

#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>

#include "scaling.h"

namespace lockstep::bench {
namespace {

constexpr double kWidth = 420, kHeight = 320, kLeft = 70, kBottom = 50, kTop = 40, kRight = 20;

/// The least of 1, 2, 5, 10, 20, ... that is not below `value`.
double round_up(double value) {
  const double power = std::pow(10, std::floor(std::log10(std::max(value, 1e-9))));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= value) return factor * power;
  return 10 * power;
}

std::string number(double value) {
  std::ostringstream text;
  text.precision(4);
  text << value;
  return text.str();
}

void panel(std::ostream& svg, double x0, const std::string& title, std::span<const ScalingPoint> points, const std::function<double(const ScalingPoint&)>& value, bool ideal) {
  double highest = 0;
  int most = 1;
  for (const ScalingPoint& point : points) highest = std::max(highest, value(point)), most = std::max(most, point.ranks);
  highest = round_up(highest);
  const auto x = [&](double ranks) { return x0 + kLeft + ranks / most * (kWidth - kLeft - kRight); };
  const auto y = [&](double v) { return kHeight - kBottom - v / highest * (kHeight - kBottom - kTop); };
  const auto text = [&](double at_x, double at_y, const char* anchor, const std::string& words) {
    svg << "<text x=\"" << at_x << "\" y=\"" << at_y << "\" text-anchor=\"" << anchor << "\">" << words << "</text>\n";
  };
  text(x0 + (kLeft + kWidth - kRight) / 2, kTop - 16, "middle", title);
  text(x0 + (kLeft + kWidth - kRight) / 2, kHeight - 12, "middle", "ranks");
  for (int k = 0; k <= 4; ++k) {
    const double v = highest * k / 4;
    svg << "<line x1=\"" << x(0) << "\" y1=\"" << y(v) << "\" x2=\"" << x(most) << "\" y2=\"" << y(v) << "\" stroke=\"#ddd\"/>\n";
    text(x(0) - 6, y(v) + 4, "end", number(v));
  }
  if (ideal)  // as many times the throughput as there are ranks
    svg << "<line x1=\"" << x(points[0].ranks) << "\" y1=\"" << y(value(points[0])) << "\" x2=\"" << x(std::min<double>(most, highest / value(points[0]) * points[0].ranks)) << "\" y2=\""
        << y(std::min(highest, value(points[0]) * most / points[0].ranks)) << "\" stroke=\"#888\" stroke-dasharray=\"4 4\"/>\n";
  svg << "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"2\" points=\"";
  for (const ScalingPoint& point : points) svg << x(point.ranks) << "," << y(value(point)) << " ";
  svg << "\"/>\n";
  for (const ScalingPoint& point : points) {
    svg << "<circle cx=\"" << x(point.ranks) << "\" cy=\"" << y(value(point)) << "\" r=\"3.5\" fill=\"#1f5fa8\"><title>" << number(value(point)) << "</title></circle>\n";
    text(x(point.ranks), kHeight - kBottom + 18, "middle", std::to_string(point.ranks));
  }
}

}  // namespace

std::string drawn(std::span<const ScalingPoint> points) {
  std::ostringstream svg;
  svg << "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" << 2 * kWidth << "\" height=\"" << kHeight << "\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  const std::string name = points[0].workload + ", " + points[0].mode + " scaling: ";
  panel(svg, 0, name + "samples/s", points, [](const ScalingPoint& point) { return point.samples_per_s(); }, true);
  panel(svg, kWidth, "step without reductions / data-parallel step", points, [](const ScalingPoint& point) { return point.efficiency(); }, false);
  svg << "</svg>\n";
  return svg.str();
}

}  // namespace lockstep::bench
