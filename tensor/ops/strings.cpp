// Strings as bytes: length, case, parts, joining, regular expressions, numbers. What takes them for characters of an encoding is in unicode.cpp, hashes are in
// hash.cpp. An op on each element is a kernel over one range of elements, run in parallel.

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include <re2/re2.h>

#include <lockstep/tensor/base/allocator.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/ops/array.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/text.h>
#include <lockstep/tensor/ops/white_space.h>

namespace lockstep {
namespace {

constexpr std::int64_t kStringGrain = 2048;  // a part takes tens of microseconds at least

/// Binds `f(element) -> To`.
template <class To, class F>
BoundKernel map_strings(const BindContext& context, F f) {
  return [count = context.shape(0).numel(), f = std::move(f)](Inputs in, Outputs out) {
    const auto* from = static_cast<const std::string*>(in[0]);
    To* to = static_cast<To*>(out[0]);
    text::for_parts(count, kStringGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) to[i] = f(from[i]);
    });
  };
}

bool in_characters(const OpCall& call) {
  const std::string& unit = call.text("unit");
  if (unit != "BYTE" && unit != "UTF8_CHAR") call.refuse("unit must be BYTE or UTF8_CHAR, got \"" + unit + "\"");
  return unit == "UTF8_CHAR";
}

/// The unit of a row is judged with its shapes, so that a bad one is refused while tracing.
void length_infer(InferContext& context) {
  in_characters(context);
  context.output(int32, context.shape(0));
}

BoundKernel length_cpu(const BindContext& context) {
  if (in_characters(context)) return map_strings<std::int32_t>(context, [](const std::string& s) { return std::int32_t(std::count_if(s.begin(), s.end(), text::begins_character)); });
  return map_strings<std::int32_t>(context, [](const std::string& s) { return std::int32_t(s.size()); });
}

void case_infer(InferContext& context) {
  const std::string& encoding = context.text("encoding");
  if (!encoding.empty() && encoding != "utf-8") context.refuse("encoding must be utf-8, or empty for ASCII, got \"" + encoding + "\"");
  rules::like_first(context);
}

template <bool Upper>
BoundKernel case_cpu(const BindContext& context) {
  if (context.text("encoding") == "utf-8") return map_strings<std::string>(context, [](const std::string& s) { return Upper ? text::to_upper_utf8(s) : text::to_lower_utf8(s); });
  return map_strings<std::string>(context, [](std::string s) {
    constexpr char kFirst = Upper ? 'a' : 'A', kShift = 'a' - 'A';
    for (char& c : s)
      if (c >= kFirst && c < kFirst + 26) c = static_cast<char>(Upper ? c - kShift : c + kShift);
    return s;
  });
}

BoundKernel strip_cpu(const BindContext& context) {
  return map_strings<std::string>(context, [](const std::string& s) { return std::string(text::stripped(s)); });
}

// ---- joining

/// Everything of one shape, scalars apart.
void join_infer(InferContext& context) {
  Shape shape;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    if (context.shape(i).ndim() == 0) continue;
    if (shape.ndim() != 0 && shape != context.shape(i)) context.refuse("takes operands of one shape, and scalars");
    shape = context.shape(i);
  }
  context.output(string, shape);
}

BoundKernel join_cpu(const BindContext& context) {
  std::vector<bool> single;
  for (std::size_t i = 0; i < context.input_count(); ++i) single.push_back(context.shape(i).ndim() == 0);
  return [single, separator = context.text("separator"), count = context.output(0).shape.numel()](Inputs in, Outputs out) {
    text::for_parts(count, kStringGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::string joined;
        for (std::size_t k = 0; k < single.size(); ++k) {
          if (k) joined += separator;
          joined += static_cast<const std::string*>(in[k])[single[k] ? 0 : i];
        }
        static_cast<std::string*>(out[0])[i] = std::move(joined);
      }
    });
  };
}

void reduce_join_infer(InferContext& context) {
  const Shape& shape = context.shape(0);
  context.output(string, rules::reduce(shape, rules::axes(context, context.attr("axis"), shape.ndim()), context.boolean("keepdims")));
}

BoundKernel reduce_join_cpu(const BindContext& context) {
  const Shape& shape = context.shape(0);
  // The axis given first is joined first, and so changes fastest (none: all, the last axis first).
  SmallVector<int, 8> axes;
  if (const auto* list = std::get_if<Ints>(&context.attr("axis")))
    for (std::size_t i = list->size(); i-- > 0;) axes.push_back(rules::wrap_axis((*list)[i], shape.ndim()));
  else axes = rules::wrap_axes(context.attr("axis"), shape.ndim());
  SmallVector<int, 8> kept;
  for (int i = 0; i < shape.ndim(); ++i)
    if (std::find(axes.begin(), axes.end(), i) == axes.end()) kept.push_back(i);
  const auto offsets = [&](const SmallVector<int, 8>& along) {
    std::vector<std::int64_t> result{0};
    const auto strides = row_major_strides(shape);
    for (const int axis : along) {
      std::vector<std::int64_t> next;
      for (const std::int64_t base : result)
        for (std::int64_t k = 0; k < shape[axis]; ++k) next.push_back(base + k * strides[std::size_t(axis)]);
      result = std::move(next);
    }
    return result;
  };
  return [starts = offsets(kept), steps = offsets(axes), separator = context.text("separator")](Inputs in, Outputs out) {
    const auto* x = static_cast<const std::string*>(in[0]);
    for (std::size_t i = 0; i < starts.size(); ++i) {
      std::string joined;
      for (std::size_t k = 0; k < steps.size(); ++k) {
        if (k) joined += separator;
        joined += x[starts[i] + steps[k]];
      }
      static_cast<std::string*>(out[0])[i] = std::move(joined);
    }
  };
}

// ---- parts

void substr_infer(InferContext& context) {
  in_characters(context);
  if (context.shape(1) != context.shape(2)) context.refuse("pos and len must have one shape");
  context.output(string, rules::broadcast(context, context.shape(0), context.shape(1)));
}

/// Where character `n` of `s` begins; the end if there are fewer.
std::size_t character_offset(const std::string& s, std::int64_t n) {
  std::size_t at = 0;
  for (; at < s.size(); ++at)
    if (text::begins_character(s[at]) && n-- == 0) break;
  return at;
}

std::string part_of(const std::string& s, std::int64_t pos, std::int64_t len, bool characters, std::string_view op) {
  const auto size = characters ? std::int64_t(std::count_if(s.begin(), s.end(), text::begins_character)) : std::int64_t(s.size());
  if (pos > size || pos < -size) throw InvalidArgumentError("pos " + std::to_string(pos) + " is out of range for a string of " + std::to_string(size) + (characters ? " characters" : " bytes"), op);
  if (pos < 0) pos += size;
  // A negative length takes no character, but all bytes: so does TensorFlow.
  len = len < 0 ? (characters ? 0 : size - pos) : std::min(len, size - pos);
  if (!characters) return s.substr(std::size_t(pos), std::size_t(len));
  const std::size_t begin = character_offset(s, pos), end = character_offset(s, pos + len);
  return s.substr(begin, end - begin);
}

/// Places of an operand's elements as the broadcast result meets them.
std::vector<std::int64_t> broadcast_places(const Shape& from, const Shape& to) {
  std::vector<std::int64_t> numbers(std::size_t(from.numel())), places(std::size_t(to.numel()));
  std::iota(numbers.begin(), numbers.end(), std::int64_t(0));
  run_copy(array::broadcast_walk(from, to), int64, numbers.data(), places.data());
  return places;
}

std::int64_t int_at(const void* values, bool wide, std::int64_t i) { return wide ? static_cast<const std::int64_t*>(values)[i] : std::int64_t(static_cast<const std::int32_t*>(values)[i]); }

BoundKernel substr_cpu(const BindContext& context) {
  const Shape& shape = context.output(0).shape;
  return [characters = in_characters(context), wide = context.dtype_of(1) == int64, count = shape.numel(), at = broadcast_places(context.shape(0), shape),
          bounds = broadcast_places(context.shape(1), shape), op = context.op().name](Inputs in, Outputs out) {
    text::for_parts(count, kStringGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t k = bounds[std::size_t(i)];
        static_cast<std::string*>(out[0])[i] = part_of(static_cast<const std::string*>(in[0])[at[std::size_t(i)]], int_at(in[1], wide, k), int_at(in[2], wide, k), characters, op);
      }
    });
  };
}

constexpr std::size_t kMarked = 4096;  // bytes whose white space is marked at a time

std::int64_t count_words(std::string_view s) {
  std::uint64_t bits[kMarked / 64];
  std::int64_t words = 0;
  for (std::size_t at = 0; at < s.size(); at += kMarked) words += mark_white_space(s.data() + at, std::min(kMarked, s.size() - at), at == 0 || text::is_space(s[at - 1]), bits);
  return words;
}

/// Calls `take(word)` for what stands between white space.
template <class F>
void for_each_word(std::string_view s, F&& take) {
  std::uint64_t bits[kMarked / 64], before = 1;
  std::size_t begin = 0;
  bool inside = false;
  for (std::size_t at = 0; at < s.size(); at += kMarked) {
    const std::size_t size = std::min(kMarked, s.size() - at);
    mark_white_space(s.data() + at, size, true, bits);
    for (std::size_t i = 0; i * 64 < size; ++i) {
      std::uint64_t edges = bits[i] ^ (bits[i] << 1 | before);
      before = bits[i] >> 63;
      for (; edges; edges &= edges - 1) {
        const std::size_t edge = at + i * 64 + std::size_t(std::countr_zero(edges));
        if (inside) take(s.substr(begin, edge - begin));
        else begin = edge;
        inside = !inside;
      }
    }
  }
  if (inside) take(s.substr(begin));
}

/// Calls `take(part)` for the parts of `s`. An empty separator: runs of white space, none at the ends; after `most` parts comes the rest as it is, even if it is
/// empty. Else every separator counts. As TensorFlow does it.
template <class F>
void for_each_part(std::string_view s, std::string_view separator, std::int64_t most, F&& take) {
  if (most == 0) return take(s);
  std::int64_t parts = 0;
  if (separator.empty()) {
    const auto skip = [&] { s.remove_prefix(std::size_t(std::find_if_not(s.begin(), s.end(), text::is_space) - s.begin())); };
    for (skip(); !s.empty();) {
      const auto size = std::size_t(std::find_if(s.begin(), s.end(), text::is_space) - s.begin());
      take(s.substr(0, size));
      s.remove_prefix(size);
      skip();
      if (++parts == most) return take(s);
    }
    return;
  }
  while (most < 0 || parts++ < most) {
    const std::size_t at = separator.size() == 1 ? s.find(separator[0]) : s.find(separator);
    if (at == std::string_view::npos) break;
    take(s.substr(0, at));
    s.remove_prefix(at + separator.size());
  }
  take(s);
}

void pieces_infer(InferContext& context) {
  context.output(string, Shape::unknown());
  context.output(int64, Shape{context.shape(0).numel() + 1});
}

/// A tensor of strings that `construct(elements)` makes in place: cheaper than empty ones that are filled. If it throws, it leaves none behind.
template <class F>
Tensor constructed(std::int64_t count, F&& construct) {
  const std::size_t nbytes = std::size_t(count) * sizeof(std::string);
  auto* elements = static_cast<std::string*>(allocate(nbytes));
  try {
    construct(elements);
  } catch (...) {
    deallocate(elements, nbytes);
    throw;
  }
  const auto release = [=] {
    parallel_for(count, kStringGrain, [&](std::int64_t begin, std::int64_t end) { std::destroy(elements + begin, elements + end); });
    deallocate(elements, nbytes);
  };
  try {
    return Tensor::borrow(elements, {count}, string, release);
  } catch (...) {
    release();
    throw;
  }
}

/// The pieces of each element, `pieces(element, take)`: counted by `count(element)`, then made where they belong.
template <class C, class F>
Tensors pieces_of(const Tensor& x, C&& count, F&& pieces) {
  const auto from = x.data<std::string>();
  const Tensor splits = text::part_splits(x.numel(), kStringGrain, [&](std::int64_t i) { return count(from[std::size_t(i)]); });
  const auto* ends = splits.data<std::int64_t>().data();
  const Tensor values = constructed(ends[x.numel()], [&](std::string* to) {
    std::exception_ptr failed;
    std::mutex mutex;
    parallel_for(x.numel(), kStringGrain, [&](std::int64_t begin, std::int64_t end) {
      std::string* next = to + ends[begin];
      try {
        for (std::int64_t i = begin; i < end; ++i) pieces(from[std::size_t(i)], [&](std::string_view part) { std::construct_at(next, part), ++next; });
      } catch (...) {
        std::uninitialized_default_construct(next, to + ends[end]);
        const std::scoped_lock lock(mutex);
        failed = std::current_exception();
      }
    });
    if (!failed) return;
    std::destroy_n(to, ends[x.numel()]);
    std::rethrow_exception(failed);
  });
  return {values, splits};
}

Tensors split_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const std::string& separator = call.text("sep");
  const std::int64_t most = call.integer("maxsplit");
  if (separator.empty() && most < 0) return pieces_of(inputs[0], count_words, [](std::string_view s, auto&& take) { for_each_word(s, take); });
  const auto pieces = [&](std::string_view s, auto&& take) { for_each_part(s, separator, most, take); };
  const auto count = [&](std::string_view s) {
    std::int64_t parts = 0;
    pieces(s, [&](std::string_view) { ++parts; });
    return parts;
  };
  return pieces_of(inputs[0], count, pieces);
}

Tensors bytes_split_cpu(const OpCall&, std::span<const Tensor> inputs) {
  return pieces_of(inputs[0], [](std::string_view s) { return std::int64_t(s.size()); }, [](std::string_view s, auto&& take) {
    for (std::size_t i = 0; i < s.size(); ++i) take(s.substr(i, 1));
  });
}

// ---- regular expressions

/// Compiled once where the same pattern is asked for again and again: the shape rule and the kernel of a call do, and so do the calls of a loop.
std::shared_ptr<const RE2> pattern_of(const OpCall& call) {
  thread_local std::shared_ptr<const RE2> latest;
  const std::string& text = call.text("pattern");
  if (latest && latest->pattern() == text) return latest;
  auto pattern = std::make_shared<const RE2>(text, RE2::Quiet);
  if (!pattern->ok()) call.refuse("the pattern \"" + text + "\" is none: " + pattern->error());
  return latest = std::move(pattern);
}

void replace_infer(InferContext& context) {
  std::string error;
  if (!pattern_of(context)->CheckRewriteString(context.text("rewrite"), &error)) context.refuse("the rewrite \"" + context.text("rewrite") + "\" does not fit the pattern: " + error);
  rules::like_first(context);
}

BoundKernel replace_cpu(const BindContext& context) {
  return map_strings<std::string>(context, [pattern = pattern_of(context), rewrite = context.text("rewrite"), all = context.boolean("replace_global")](std::string s) {
    if (all) RE2::GlobalReplace(&s, *pattern, rewrite);
    else RE2::Replace(&s, *pattern, rewrite);
    return s;
  });
}

void full_match_infer(InferContext& context) {
  pattern_of(context);
  context.output(boolean, context.shape(0));
}

BoundKernel full_match_cpu(const BindContext& context) {
  return map_strings<bool>(context, [pattern = pattern_of(context)](const std::string& s) { return RE2::FullMatch(s, *pattern); });
}

// ---- numbers

void to_number_infer(InferContext& context) {
  const DType dtype = context.dtype("out_type");
  if (!dtypes(int32, int64, uint32, uint64, float32, float64).contains(dtype)) context.refuse_type("out_type must be int32, int64, uint32, uint64, float32 or float64, not " + std::string(name(dtype)));
  context.output(dtype, context.shape(0));
}

/// White space at either end, a sign, decimal or (floats) hexadecimal digits; floats too large are infinite and too small 0, other numbers are refused.
template <class T>
T number_of(const std::string& element, std::string_view op) {
  std::string_view digits = text::stripped(element);
  const auto refuse = [&] { throw InvalidArgumentError("\"" + element + "\" is no " + std::string(name(dtype_of<T>)), op); };
  const bool negative = !digits.empty() && digits[0] == '-';
  if (!digits.empty() && (negative || digits[0] == '+')) digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') refuse();
  T value{};
  std::from_chars_result result{};
  if constexpr (std::is_floating_point_v<T>) {
    const bool hexadecimal = digits.size() > 2 && digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X');
    if (hexadecimal) digits.remove_prefix(2);
    result = std::from_chars(digits.data(), digits.data() + digits.size(), value, hexadecimal ? std::chars_format::hex : std::chars_format::general);
    if (result.ec == std::errc::result_out_of_range) {
      value = std::strtod((hexadecimal ? "0x" + std::string(digits) : std::string(digits)).c_str(), nullptr) > 1 ? std::numeric_limits<T>::infinity() : T(0);
      result.ec = {};
    }
    if (negative) value = -value;
  } else {
    if (negative && std::is_unsigned_v<T>) refuse();
    const std::string signed_digits = (negative ? "-" : "") + std::string(digits);
    result = std::from_chars(signed_digits.data(), signed_digits.data() + signed_digits.size(), value);
    if (result.ec != std::errc() || result.ptr != signed_digits.data() + signed_digits.size()) refuse();
    return value;
  }
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size()) refuse();
  return value;
}

BoundKernel to_number_cpu(const BindContext& context) {
  return visit_dtype(context.output(0).dtype, [&]<class T>(TypeTag<T>) -> BoundKernel {
    if constexpr (std::is_arithmetic_v<T> && sizeof(T) >= 4) return map_strings<T>(context, [op = context.op().name](const std::string& s) { return number_of<T>(s, op); });
    else throw InternalError("the shape rule let a dtype pass");
  });
}

void as_string_infer(InferContext& context) {
  const DType dtype = context.dtype_of(0);
  const std::string& fill = context.text("fill");
  const bool notation = context.boolean("scientific") || context.boolean("shortest");
  if (fill.size() > 1 || (!fill.empty() && std::string_view(" 0-+").find(fill[0]) == std::string_view::npos)) context.refuse("fill must be empty, a space, 0, - or +, got \"" + fill + "\"");
  if (context.boolean("scientific") && context.boolean("shortest")) context.refuse("scientific and shortest exclude each other");
  if (!is_differentiable(dtype) && notation) context.refuse("scientific and shortest are for floats, not for " + std::string(name(dtype)));
  constexpr std::int64_t kMost = std::int64_t(1) << 20;
  for (const char* attr : {"precision", "width"})
    if (context.integer(attr) > kMost) context.refuse(std::string(attr) + " must be at most " + std::to_string(kMost) + ", got " + std::to_string(context.integer(attr)));
  if (!is_differentiable(dtype) && context.integer("precision") >= 0) context.refuse("a precision is for floats, not for " + std::string(name(dtype)));
  context.output(string, context.shape(0));
}

/// As printf has it, which writes no more than 2^31 - 1 characters.
template <class T>
std::string formatted(const std::string& format, T value) {
  const int size = std::snprintf(nullptr, 0, format.c_str(), value);
  if (size < 0) throw InvalidArgumentError("numbers cannot be written as \"" + format + "\": width and precision are too large", "as_string");
  std::string text(std::size_t(size), '\0');
  std::snprintf(text.data(), text.size() + 1, format.c_str(), value);
  return text;
}

BoundKernel as_string_cpu(const BindContext& context) {
  const std::int64_t width = context.integer("width"), precision = context.integer("precision");
  const std::string head = "%" + (width >= 0 ? context.text("fill") + std::to_string(width) : std::string());
  const std::string real = head + (precision >= 0 ? "." + std::to_string(precision) : "") + (context.boolean("scientific") ? "e" : context.boolean("shortest") ? "g" : "f");
  return visit_dtype(context.dtype_of(0), [&]<class T>(TypeTag<T>) -> BoundKernel {
    return [=, count = context.shape(0).numel()](Inputs in, Outputs out) {
      text::for_parts(count, kStringGrain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          const T& value = static_cast<const T*>(in[0])[i];
          std::string& to = static_cast<std::string*>(out[0])[i];
          if constexpr (std::is_same_v<T, std::string>) to = value;
          else if constexpr (std::is_same_v<T, bool>) to = value ? "true" : "false";
          else if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
            to = "(" + formatted(real, double(value.real())) + "," + formatted(real, double(value.imag())) + ")";
          else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) to = formatted(head + "lld", static_cast<long long>(value));
          else if constexpr (std::is_integral_v<T>) to = formatted(head + "llu", static_cast<unsigned long long>(value));
          else to = formatted(real, double(static_cast<compute_t<T>>(value)));
        }
      });
    };
  });
}

OpDef string_row(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), BoundKernel (*cpu)(const BindContext&), std::vector<Sample> samples) {
  return {.name = name, .doc = doc, .family = "strings", .attrs = std::move(attrs), .dtypes = same(dtypes(string)), .infer = infer,
          .gradient = not_differentiable("strings have no gradient"), .onnx = no_onnx("strings are prepared before the model"), .samples = std::move(samples), .cpu = cpu, .no_cuda = text::kNoCuda};
}
AttrDef text_attr(std::string_view name, const char* fallback) { return {.name = name, .type = AttrType::string, .fallback = std::string(fallback)}; }

}  // namespace

std::vector<OpDef> string_rows() {
  const Sample::Operand x{.dtype = string, .shape = {2, 3}};
  const std::vector<Sample> plain{{.inputs = {x}}};
  const auto prepared_positions = [](std::span<const Tensor> in) -> Tensors { return {add(in[0], constant("text")), in[1], in[2]}; };
  const AttrDef separator = text_attr("separator", ""), unit = text_attr("unit", "BYTE"), pattern{.name = "pattern", .type = AttrType::string, .required = true};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(string_row("string_length", "int32: how many bytes, or characters of UTF-8 (unit UTF8_CHAR)", {unit}, length_infer, length_cpu, {plain[0], {.inputs = {x}, .attrs = {{"unit", std::string("UTF8_CHAR")}}}}));
  rows.push_back(string_row("string_upper", "in capitals: of ASCII, or of Unicode (encoding utf-8)", {text_attr("encoding", "")}, case_infer, case_cpu<true>, {plain[0], {.inputs = {x}, .attrs = {{"encoding", std::string("utf-8")}}}}));
  rows.push_back(string_row("string_lower", "in small letters: of ASCII, or of Unicode (encoding utf-8)", {text_attr("encoding", "")}, case_infer, case_cpu<false>, plain));
  rows.push_back(string_row("string_strip", "without white space at either end", {}, rules::like_first, strip_cpu, plain));
  rows.push_back(string_row("string_join", "the operands' elements joined, a separator between them; scalars go with every element", {separator}, join_infer, join_cpu, {{.inputs = {x, x}, .attrs = {{"separator", std::string("-")}}}}));
  rows.back().max_inputs = -1;
  rows.push_back(string_row("reduce_join", "elements joined along axes, one axis after the other as they are given; none: all, the last first", {{.name = "axis", .type = AttrType::axes}, {.name = "keepdims", .type = AttrType::boolean, .fallback = false}, separator},
      reduce_join_infer, reduce_join_cpu, {plain[0], {.inputs = {x}, .attrs = {{"axis", std::int64_t(-1)}, {"keepdims", true}}}}));
  rows.push_back(string_row("substr", "len bytes or characters from pos on (operands 1 and 2, which broadcast against the strings); pos counts from the end if negative, and may not lie outside", {unit}, substr_infer, substr_cpu,
      {{.inputs = {x, {.dtype = int32, .shape = {3}, .low = -3, .high = 4}, {.dtype = int32, .shape = {3}, .low = 0, .high = 4}}, .prepare = prepared_positions}}));
  rows.back().dtypes = {{{dtypes(string), 0}, {kIndexInts, 1}, {kIndexInts, 1}}};
  rows.back().min_inputs = rows.back().max_inputs = 3;
  rows.push_back(string_row("string_split", "the parts of every element, one behind the other, and int64 where each element's begin: by a separator, or by white space; at most maxsplit cuts unless that is negative",
      {text_attr("sep", ""), {.name = "maxsplit", .type = AttrType::integer, .fallback = std::int64_t(-1)}}, pieces_infer, nullptr, {plain[0], {.inputs = {x}, .attrs = {{"sep", std::string("a")}}}}));
  rows.back().cpu_dynamic = split_cpu;
  rows.push_back(string_row("string_bytes_split", "the bytes of every element, one behind the other, and int64 where each element's begin", {}, pieces_infer, nullptr, plain));
  rows.back().cpu_dynamic = bytes_split_cpu;
  rows.push_back(string_row("regex_replace", "matches of a pattern (RE2) replaced by the rewrite, in which \\1 is the first group; all, or the first", {pattern, {.name = "rewrite", .type = AttrType::string, .required = true}, {.name = "replace_global", .type = AttrType::boolean, .fallback = true}},
      replace_infer, replace_cpu, {{.inputs = {x}, .attrs = {{"pattern", std::string("a+")}, {"rewrite", std::string("x")}}}}));
  rows.push_back(string_row("regex_full_match", "bool: does the pattern (RE2) match the whole element?", {pattern}, full_match_infer, full_match_cpu, {{.inputs = {x}, .attrs = {{"pattern", std::string("a*")}}}}));
  rows.push_back(string_row("string_to_number", "the number that an element writes, white space apart", {{.name = "out_type", .type = AttrType::dtype, .fallback = float32}}, to_number_infer, to_number_cpu,
      {{.inputs = {x}, .attrs = {{"out_type", int64}}, .prepare = [](std::span<const Tensor> in) -> Tensors { return {apply_named("as_string", apply_named("string_length", in)).front()}; }}}));
  rows.push_back(string_row("as_string", "numbers as text: of floats 6 digits behind the point or as many as precision says, in scientific or the shortest notation; filled to a width with fill",
      {{.name = "precision", .type = AttrType::integer, .fallback = std::int64_t(-1)}, {.name = "scientific", .type = AttrType::boolean, .fallback = false}, {.name = "shortest", .type = AttrType::boolean, .fallback = false},
       {.name = "width", .type = AttrType::integer, .fallback = std::int64_t(-1)}, text_attr("fill", "")}, as_string_infer, as_string_cpu, {{.inputs = {{.shape = {4}}}}, {.inputs = {{.shape = {4}}}, .attrs = {{"precision", std::int64_t(2)}, {"width", std::int64_t(9)}}}}));
  rows.back().dtypes = same(kAny);
  // clang-format on
  return rows;
}

}  // namespace lockstep
