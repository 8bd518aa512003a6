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

/// Takes "d.ddde-xx" apart.
Digits parsed(const std::string& scientific, bool negative) {
  Digits result;
  result.negative = negative;
  const std::size_t e = scientific.find('e');
  for (const char c : scientific.substr(0, e))
    if (c != '.') result.digits += c;
  result.point = std::stoi(scientific.substr(e + 1)) + 1;
  return result;
}

void trim_zeros(std::string& digits, std::size_t least) {
  while (digits.size() > least && digits.back() == '0') digits.pop_back();
}

Digits digits_of(double value, DType dtype) {
  Digits result = parsed(shortest_scientific(std::fabs(value), dtype), std::signbit(value));
  trim_zeros(result.digits, 1);
  return result;
}

/// As many digits of the exact value, the last one rounded.
Digits exact_digits(double value, std::size_t count) {
  std::array<char, 512> buffer;
  char* end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(value), std::chars_format::scientific, int(count) - 1).ptr;
  return parsed({buffer.data(), end}, std::signbit(value));
}

/// The scientific form: the shortest digits, but at most `precision` behind the point.
Digits scientific(double value, DType dtype, int precision) {
  Digits result = digits_of(value, dtype);
  if (int(result.digits.size()) - 1 > precision) {
    result = exact_digits(value, std::size_t(precision) + 1);
    trim_zeros(result.digits, 1);
  }
  return result;
}

/// Whole and fractional part of the positional form, the fraction without trailing zeros.
std::pair<std::string, std::string> positional(double value, DType dtype, int precision) {
  const Digits shortest = digits_of(value, dtype);
  const int count = int(shortest.digits.size());
  std::string whole, fraction;
  if (count - shortest.point > precision) {
    std::array<char, 512> buffer;
    const std::string text(buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), std::fabs(value), std::chars_format::fixed, precision).ptr);
    const std::size_t dot = std::min(text.find('.'), text.size());
    whole = text.substr(0, dot);
    if (dot < text.size()) fraction = text.substr(dot + 1);
    trim_zeros(fraction, 0);
  } else {
    for (int i = 0; i < shortest.point; ++i) whole += i < count ? shortest.digits[std::size_t(i)] : '0';
    if (whole.empty()) whole = "0";
    for (int i = shortest.point; i < 0; ++i) fraction += '0';
    for (int i = std::max(0, shortest.point); i < count; ++i) fraction += shortest.digits[std::size_t(i)];
  }
  return {(shortest.negative ? "-" : "") + whole, fraction};
}

/// "e+05", with at least `width` digits.
std::string exponent_text(int exponent, std::size_t width = 2) {
  const std::string digits = std::to_string(std::abs(exponent));
  return std::string("e") + (exponent < 0 ? '-' : '+') + std::string(width - std::min(width, digits.size()), '0') + digits;
}

/// NumPy 2.4 shows no digits that a dtype does not have: larger numbers take an exponent.
struct Cutoff {
  double of_arrays, of_scalars;
};
Cutoff cutoff(DType dtype) {
  switch (dtype) {
    case DType::float16: return {1e3, 1e3};
    case DType::float32:
    case DType::complex64: return {1e6, 1e6};
    default: return {1e8, 1e16};
  }
}

/// `value` rounded to the dtype's precision, in which NumPy compares.
double rounded(double value, DType dtype) {
  switch (dtype) {
    case DType::float16: return double(float(Half(float(value))));
    case DType::bfloat16: return double(float(BFloat16(float(value))));
    case DType::float32:
    case DType::complex64: return double(float(value));
    default: return value;
  }
}

std::string non_finite(double value, bool plus) {
  if (std::isnan(value)) return plus ? "+nan" : "nan";
  return value < 0 ? "-inf" : plus ? "+inf" : "inf";
}

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
    scientific_ = any && (largest >= cutoff(dtype).of_arrays || smallest < rounded(1e-4, dtype) || rounded(largest / smallest, dtype) > 1000);
    for (const double value : values) {
      if (!std::isfinite(value)) continue;
      if (scientific_) {
        const Digits digits = scientific(value, dtype_, precision_);
        exponent_ = std::max(exponent_, exponent_text(exponent_of(digits)).size() - 2);
        fraction_ = std::max(fraction_, digits.digits.size() - 1);
        whole_ = std::max<std::size_t>(whole_, digits.negative || signs_ ? 2 : 1);
      } else {
        const auto [whole, fraction] = positional(value, dtype_, precision_);
        whole_ = std::max(whole_, whole.size() + (signs_ && whole[0] != '-' ? 1 : 0));
        fraction_ = std::max(fraction_, fraction.size());
      }
    }
    for (const double value : values)
      if (!std::isfinite(value)) {
        const std::size_t width = non_finite(value, signs_).size();
        if (width > tail()) whole_ = std::max(whole_, width - tail());
      }
  }

  std::string operator()(double value) const {
    if (!std::isfinite(value)) return pad_left(non_finite(value, signs_), whole_ + tail());
    if (scientific_) {
      Digits digits = scientific(value, dtype_, precision_);
      // Columns are filled with the value's own further digits: 1.0000000149e-01 where the shortest is 1e-01.
      if (value != 0 && digits.digits.size() - 1 < fraction_) digits = exact_digits(value, fraction_ + 1);
      std::string text = digits.negative ? "-" : signs_ ? "+" : "";
      text += digits.digits[0];
      text += '.';
      std::string fraction = digits.digits.substr(1);
      fraction.resize(fraction_, '0');
      text += fraction + exponent_text(exponent_of(digits), exponent_);
      return pad_left(text, whole_ + tail());
    }
    auto [whole, fraction] = positional(value, dtype_, precision_);
    if (signs_ && whole[0] != '-') whole = "+" + whole;
    fraction.resize(fraction_, ' ');
    return pad_left(whole, whole_) + "." + fraction;
  }

 private:
  static int exponent_of(const Digits& digits) { return digits.digits[0] == '0' ? 0 : digits.point - 1; }
  /// The width of the point and what follows.
  std::size_t tail() const { return scientific_ ? fraction_ + exponent_ + 3 : fraction_ + 1; }

  DType dtype_;
  int precision_;
  bool signs_;
  bool scientific_ = false;
  std::size_t whole_ = 0, fraction_ = 0, exponent_ = 2;
};

/// A 0-d array prints its element as Python would; `whole_end` follows whole numbers.
std::string scalar_text(double value, DType dtype, const char* whole_end = ".0") {
  if (!std::isfinite(value)) return non_finite(value, false);
  const double size = std::fabs(value);
  if (size != 0 && (size < 1e-4 || size >= cutoff(dtype).of_scalars)) {
    const Digits digits = digits_of(value, dtype);
    std::string text = digits.negative ? "-" : "";
    text += digits.digits[0];
    if (digits.digits.size() > 1) text += "." + digits.digits.substr(1);
    return text + exponent_text(digits.point - 1);
  }
  const auto [whole, fraction] = positional(value, dtype, 400);
  return whole + (fraction.empty() ? whole_end : "." + fraction);
}

/// "(1+2j)", "2j"
std::string complex_text(double real, double imaginary, DType dtype) {
  const std::string tail = scalar_text(imaginary, dtype, "") + "j";
  if (real == 0 && !std::signbit(real)) return tail;
  return "(" + scalar_text(real, dtype, "") + (tail[0] == '-' ? "" : "+") + tail + ")";
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
    return texts;
  } else if constexpr (std::is_same_v<T, bool>) {
    for (const std::int64_t i : shown) texts.push_back(data[std::size_t(i)] ? (single ? "True" : " True") : "False");
  } else if constexpr (kIsComplex<T>) {
    std::vector<double> real, imaginary;
    for (const std::int64_t i : shown) {
      real.push_back(double(data[std::size_t(i)].real()));
      imaginary.push_back(double(data[std::size_t(i)].imag()));
    }
    if (single) return {complex_text(real[0], imaginary[0], dtype)};
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
class PrintLayout {
 public:
  PrintLayout(const Shape& shape, const PrintOptions& options) : shape_(shape), options_(options), summarized_(shape.numel() > options.threshold) {
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
      const int room = options_.line_width - (axis + 1);
      std::string line = indent, lines;
      const auto word = [&](const std::string& element) {
        if (int(line.size() + element.size()) > room && line.size() > indent.size()) {
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
             word((*elements_)[next_++]);
             if (!last) line += " ";
           },
           [&] {
             word("...");
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
    PrintLayout layout(tensor.shape(), options);
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
