// NumPy's array printing: every element as short as it reads back, columns aligned, exponents when the range asks for them.

#include <lockstep/tensor/print.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ostream>
#include <vector>

#include <lockstep/tensor/base/error.h>

namespace lockstep {
namespace {

/// The shortest digits that read back as the same value of its dtype: 0.d1d2d3... * 10^point.
struct Digits {
  std::string digits;
  int point = 0;
  bool negative = false;
};

std::string shortest_scientific(double value, DType dtype) {
  std::array<char, 64> buffer;
  char* end = nullptr;
  if (dtype == float32 || dtype == complex64) {
    end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), float(value), std::chars_format::scientific).ptr;
  } else if (dtype == float16 || dtype == bfloat16) {
    for (int precision = 0; precision < 12; ++precision) {
      end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific, precision).ptr;
      double back = 0;
      std::from_chars(buffer.data(), end, back);
      if (dtype == float16 ? Half(float(back)) == Half(float(value)) : BFloat16(float(back)) == BFloat16(float(value))) break;
    }
  } else {
    end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::scientific).ptr;
  }
  return {buffer.data(), end};
}

Digits digits_of(double value, DType dtype) {
  Digits result;
  result.negative = std::signbit(value);
  const std::string text = shortest_scientific(std::fabs(value), dtype);
  const std::size_t e = text.find('e');
  for (const char c : text.substr(0, e))
    if (c != '.') result.digits += c;
  result.point = std::stoi(text.substr(e + 1)) + 1;
  while (result.digits.size() > 1 && result.digits.back() == '0') result.digits.pop_back();
  if (result.digits == "0") result.point = 1;
  return result;
}

/// Rounds half to even at `keep` digits.
void round_digits(Digits& value, int keep) {
  if (keep >= int(value.digits.size())) return;
  if (keep < 0) {
    value.digits = "0";
    value.point = 1;
    return;
  }
  const std::string rest = value.digits.substr(std::size_t(keep));
  value.digits.resize(std::size_t(keep));
  const bool odd = keep > 0 && ((value.digits.back() - '0') & 1);
  const bool up = rest[0] > '5' || (rest[0] == '5' && (rest.find_first_not_of('0', 1) != std::string::npos || odd));
  if (up) {
    int i = keep - 1;
    while (i >= 0 && value.digits[std::size_t(i)] == '9') value.digits[std::size_t(i--)] = '0';
    if (i >= 0) {
      ++value.digits[std::size_t(i)];
    } else {
      value.digits.insert(value.digits.begin(), '1');
      ++value.point;
    }
  }
  while (value.digits.size() > 1 && value.digits.back() == '0') value.digits.pop_back();
  if (value.digits.empty() || value.digits == "0") {
    value.digits = "0";
    value.point = 1;
  }
}

/// Whole and fractional part of the positional form, the fraction without trailing zeros.
std::pair<std::string, std::string> positional(Digits value, int precision) {
  round_digits(value, value.point + precision);
  std::string whole, fraction;
  for (int i = 0; i < value.point; ++i) whole += i < int(value.digits.size()) ? value.digits[std::size_t(i)] : '0';
  if (whole.empty()) whole = "0";
  if (value.digits != "0") {
    for (int i = value.point; i < 0; ++i) fraction += '0';
    for (int i = std::max(0, value.point); i < int(value.digits.size()); ++i) fraction += value.digits[std::size_t(i)];
  }
  return {(value.negative ? "-" : "") + whole, fraction};
}

std::string exponent_text(int exponent) {
  const std::string digits = std::to_string(std::abs(exponent));
  return std::string("e") + (exponent < 0 ? '-' : '+') + (digits.size() < 2 ? "0" : "") + digits;
}

std::string non_finite(double value, bool plus) { return std::isnan(value) ? "nan" : value < 0 ? "-inf" : plus ? "+inf" : "inf"; }

std::string pad_left(std::string text, std::size_t width) { return text.size() < width ? std::string(width - text.size(), ' ') + text : text; }

/// NumPy's FloatingFormat: the widths that all elements share.
class FloatFormat {
 public:
  FloatFormat(const std::vector<double>& values, DType dtype, int precision, bool signs) : dtype_(dtype), precision_(precision), signs_(signs) {
    double largest = 0, smallest = 0;
    bool any = false;
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      if (value == 0) continue;
      const double size = std::fabs(value);
      largest = any ? std::max(largest, size) : size;
      smallest = any ? std::min(smallest, size) : size;
      any = true;
    }
    scientific_ = any && (largest >= 1e8 || smallest < 1e-4 || largest / smallest > 1000);
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      if (scientific_) {
        Digits digits = digits_of(value, dtype_);
        round_digits(digits, precision_ + 1);
        fraction_ = std::max(fraction_, digits.digits.size() - 1);
        whole_ = std::max<std::size_t>(whole_, digits.negative || signs_ ? 2 : 1);
      } else {
        const auto [whole, fraction] = positional(digits_of(value, dtype_), precision_);
        whole_ = std::max(whole_, whole.size() + (signs_ && whole[0] != '-' ? 1 : 0));
        fraction_ = std::max(fraction_, fraction.size());
      }
    }
    for (const double value : values)
      if (!std::isfinite(value)) {
        const std::size_t tail = scientific_ ? fraction_ + 5 : fraction_ + 1;
        const std::size_t width = non_finite(value, signs_).size();
        if (width > tail) whole_ = std::max(whole_, width - tail);
      }
  }

  std::string operator()(double value) const {
    const std::size_t tail = scientific_ ? fraction_ + 5 : fraction_ + 1;
    if (!std::isfinite(value)) return pad_left(non_finite(value, signs_), whole_ + tail);
    if (scientific_) {
      Digits digits = digits_of(value, dtype_);
      round_digits(digits, int(fraction_) + 1);
      std::string text = digits.negative ? "-" : signs_ ? "+" : "";
      text += digits.digits[0];
      text += '.';
      std::string fraction = digits.digits.substr(1);
      fraction.resize(fraction_, '0');
      text += fraction + exponent_text(digits.digits == "0" ? 0 : digits.point - 1);
      return pad_left(text, whole_ + fraction_ + 5);
    }
    auto [whole, fraction] = positional(digits_of(value, dtype_), precision_);
    if (signs_ && whole[0] != '-') whole = "+" + whole;
    fraction.resize(fraction_, ' ');
    return pad_left(whole, whole_) + "." + fraction;
  }

 private:
  DType dtype_;
  int precision_;
  bool signs_;
  bool scientific_ = false;
  std::size_t whole_ = 0, fraction_ = 0;
};

/// A 0-d array prints its element as Python would.
std::string scalar_text(double value, DType dtype) {
  if (!std::isfinite(value)) return non_finite(value, false);
  const double size = std::fabs(value);
  const Digits digits = digits_of(value, dtype);
  if (size != 0 && (size < 1e-4 || size >= 1e16)) {
    std::string text = digits.negative ? "-" : "";
    text += digits.digits[0];
    if (digits.digits.size() > 1) text += "." + digits.digits.substr(1);
    return text + exponent_text(digits.point - 1);
  }
  const auto [whole, fraction] = positional(digits, 400);
  return whole + "." + (fraction.empty() ? "0" : fraction);
}

/// Python's bytes literal.
std::string bytes_text(const std::string& value) {
  static constexpr char kHex[] = "0123456789abcdef";
  const char quote = value.find('\'') != std::string::npos && value.find('"') == std::string::npos ? '"' : '\'';
  std::string text = std::string("b") + quote;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\\' || c == quote) text += std::string("\\") + c;
    else if (c == '\n') text += "\\n";
    else if (c == '\r') text += "\\r";
    else if (c == '\t') text += "\\t";
    else if (byte < 32 || byte > 126) text += std::string("\\x") + kHex[byte >> 4] + kHex[byte & 15];
    else text += c;
  }
  return text + quote;
}

template <class T>
double real_of(T value) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) return double(float(value));
  else return double(value);
}

template <class T>
inline constexpr bool kIsComplex = std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>;
template <class T>
inline constexpr bool kIsReal = std::is_floating_point_v<T> || std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>;

/// The elements that are shown, in order of their positions, as aligned text.
template <class T>
std::vector<std::string> element_texts(std::span<const T> data, const std::vector<std::int64_t>& shown, bool single, DType dtype, const PrintOptions& options) {
  std::vector<std::string> texts;
  texts.reserve(shown.size());
  if constexpr (std::is_same_v<T, std::string>) {
    for (const std::int64_t i : shown) texts.push_back(bytes_text(data[std::size_t(i)]));
    if (single) return texts;
    std::size_t width = 0;
    for (const std::string& text : texts) width = std::max(width, text.size());
    for (std::string& text : texts) text.resize(width, ' ');
    return texts;
  } else if constexpr (std::is_same_v<T, bool>) {
    for (const std::int64_t i : shown) texts.push_back(data[std::size_t(i)] ? "True" : "False");
  } else if constexpr (kIsComplex<T>) {
    std::vector<double> real, imaginary;
    for (const std::int64_t i : shown) {
      real.push_back(double(data[std::size_t(i)].real()));
      imaginary.push_back(double(data[std::size_t(i)].imag()));
    }
    const FloatFormat left(real, dtype, options.precision, false), right(imaginary, dtype, options.precision, true);
    for (std::size_t k = 0; k < real.size(); ++k) {
      std::string tail = right(imaginary[k]);
      const std::size_t end = tail.find_last_not_of(' ');
      const std::string spaces = tail.substr(end + 1);
      texts.push_back(left(real[k]) + tail.substr(0, end + 1) + "j" + spaces);
    }
  } else if constexpr (kIsReal<T>) {
    std::vector<double> values;
    for (const std::int64_t i : shown) values.push_back(real_of(data[std::size_t(i)]));
    if (single) return {scalar_text(values[0], dtype)};
    const FloatFormat format(values, dtype, options.precision, false);
    for (const double value : values) texts.push_back(format(value));
  } else {
    for (const std::int64_t i : shown) texts.push_back(std::to_string(data[std::size_t(i)]));
  }
  if (single) return texts;
  std::size_t width = 0;
  for (const std::string& text : texts) width = std::max(width, text.size());
  for (std::string& text : texts) text = pad_left(text, width);
  return texts;
}

/// Lays the texts out in brackets.
class Layout {
 public:
  Layout(const Shape& shape, const PrintOptions& options) : shape_(shape), options_(options), summarized_(shape.numel() > options.threshold) {
    collect(0, 0);
  }
  const std::vector<std::int64_t>& shown() const { return shown_; }

  std::string text(const std::vector<std::string>& elements) {
    elements_ = &elements;
    next_ = 0;
    return format(0, " ");
  }

 private:
  bool cut(int axis) const { return summarized_ && shape_[axis] > 2 * options_.edge_items; }

  template <class Each, class Gap>
  void walk(int axis, Each&& each, Gap&& gap) const {
    for (std::int64_t i = 0; i < shape_[axis]; ++i) {
      if (cut(axis) && i == options_.edge_items) {
        gap();
        i = shape_[axis] - options_.edge_items;
      }
      each(i);
    }
  }

  void collect(int axis, std::int64_t offset) {
    if (axis == shape_.ndim()) {
      shown_.push_back(offset);
      return;
    }
    walk(axis, [&](std::int64_t i) { collect(axis + 1, offset * shape_[axis] + i); }, [] {});
  }

  std::string format(int axis, const std::string& indent) {
    if (axis == shape_.ndim()) return (*elements_)[next_++];
    std::string text = "[";
    if (axis == shape_.ndim() - 1) {
      const int room = options_.line_width - std::max(1, axis + 1);
      std::string line = indent, lines;
      const auto word = [&](const std::string& element, bool last) {
        const int limit = last ? room : options_.line_width;
        if (int(line.size() + element.size()) > limit && line.size() > indent.size()) {
          lines += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
          line = indent;
        }
        line += element;
      };
      std::int64_t position = 0;
      const std::int64_t count = cut(axis) ? 2 * options_.edge_items : shape_[axis];
      walk(axis,
           [&](std::int64_t) {
             const bool last = ++position == count;
             word((*elements_)[next_++], last);
             if (!last) line += " ";
           },
           [&] {
             word("...", false);
             line += " ";
           });
      lines += line;
      return text + lines.substr(indent.size()) + "]";
    }
    const std::string between = std::string(std::size_t(shape_.ndim() - axis - 1), '\n') + indent;
    bool first = true;
    walk(axis,
         [&](std::int64_t) {
           if (!first) text += between;
           first = false;
           text += format(axis + 1, indent + " ");
         },
         [&] { text += between + "..."; });
    return text + "]";
  }

  const Shape& shape_;
  const PrintOptions& options_;
  bool summarized_;
  std::vector<std::int64_t> shown_;
  const std::vector<std::string>* elements_ = nullptr;
  std::size_t next_ = 0;
};

}  // namespace

std::string array_to_string(const Tensor& tensor, const PrintOptions& options) {
  if (!tensor.defined()) throw FailedPreconditionError("an undefined Tensor has no elements");
  if (!tensor.is_symbolic() && tensor.numel() == 0) return "[]";
  return visit_dtype(tensor.dtype(), [&]<class T>(TypeTag<T>) {
    const std::span<const T> data = tensor.data<T>();
    Layout layout(tensor.shape(), options);
    return layout.text(element_texts<T>(data, layout.shown(), tensor.ndim() == 0, tensor.dtype(), options));
  });
}

std::string to_string(const Tensor& tensor) {
  if (!tensor.defined()) return "<Tensor undefined>";
  std::string text = "<Tensor shape=" + to_string(tensor.shape()) + " dtype=" + std::string(name(tensor.dtype()));
  if (tensor.is_symbolic()) return text + " (symbolic)>";
  return text + "\n" + array_to_string(tensor) + ">";
}

std::ostream& operator<<(std::ostream& stream, const Tensor& tensor) { return stream << to_string(tensor); }

}  // namespace lockstep
