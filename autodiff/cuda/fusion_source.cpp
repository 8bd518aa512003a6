#include <lockstep/autodiff/cuda/fusion_source.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <map>
#include <string_view>

namespace lockstep::autodiff::cuda {
namespace {

// ---- what every source begins with

constexpr std::string_view kTypes = R"(
#define LOCKSTEP_HD __device__
struct Half { unsigned short bits; };
struct BFloat16 { unsigned short bits; };
template <class T> __device__ T value_of(T x) { return x; }
__device__ inline float value_of(Half x) { float y; asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits)); return y; }
__device__ inline float value_of(BFloat16 x) { return __uint_as_float((unsigned)x.bits << 16); }
template <class T> __device__ T stored(T x) { return x; }
template <class T> __device__ T stored(float x);
template <> __device__ inline Half stored<Half>(float x) { Half y; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x)); return y; }
template <> __device__ inline BFloat16 stored<BFloat16>(float x) {
  const unsigned word = __float_as_uint(x);
  BFloat16 y;
  y.bits = x != x ? (unsigned short)((word >> 16) | 0x40u) : (unsigned short)((word + 0x7fffu + ((word >> 16) & 1u)) >> 16);
  return y;
}
template <class T, int N> struct alignas(sizeof(T) * N > 16 ? 16 : sizeof(T) * N) Pack { T at[N]; };
)";

constexpr std::string_view kVocabulary =
#define LOCKSTEP_CODE(...) #__VA_ARGS__ "\n"
#include <lockstep/tensor/cuda/lanes.inc>
#include <lockstep/tensor/pointwise/special.inc>
#undef LOCKSTEP_CODE
    ;

struct Body {
  std::string_view name, expression;
  int operands;
};
constexpr Body kBodies[] = {
#define LOCKSTEP_UNARY(name, expression) {#name, #expression, 1},
#define LOCKSTEP_HEAVY(name, expression) {#name, #expression, 1},
#define LOCKSTEP_BINARY(name, expression) {#name, #expression, 2},
#include <lockstep/tensor/pointwise/kernels.inc>
#include <lockstep/tensor/cuda/plain.inc>
#undef LOCKSTEP_UNARY
#undef LOCKSTEP_HEAVY
#undef LOCKSTEP_BINARY
};
const Body* find_body(std::string_view name) {
  const auto found = std::find_if(std::begin(kBodies), std::end(kBodies), [&](const Body& body) { return body.name == name; });
  return found == std::end(kBodies) ? nullptr : &*found;
}

std::string_view type_of(DType dtype) {
  switch (dtype) {
    case DType::boolean: return "bool";
    case DType::int8: return "signed char";
    case DType::int16: return "short";
    case DType::int32: return "int";
    case DType::int64: return "long long";
    case DType::uint8: return "unsigned char";
    case DType::uint16: return "unsigned short";
    case DType::uint32: return "unsigned int";
    case DType::uint64: return "unsigned long long";
    case DType::float16: return "Half";
    case DType::bfloat16: return "BFloat16";
    case DType::float32: return "float";
    case DType::float64: return "double";
    default: return {};
  }
}

/// A number exactly as text.
std::string literal(double value) {
  if (value != value) return "__longlong_as_double(0x7ff8000000000000ll)";
  if (value - value != 0) return value > 0 ? "__longlong_as_double(0x7ff0000000000000ll)" : "__longlong_as_double(0xfff0000000000000ll)";
  char text[64];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

/// The only element of a tensor, as an expression of its type.
std::string constant_of(const Tensor& tensor) {
  return visit_dtype(tensor.dtype(), [&]<class T>(TypeTag<T>) -> std::string {
    if constexpr (std::is_same_v<T, bool>) {
      return tensor.item<T>() ? "true" : "false";
    } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
      return std::string(type_of(tensor.dtype())) + "{" + std::to_string(tensor.item<T>().bits) + "}";
    } else if constexpr (std::is_integral_v<T>) {
      return "(" + std::string(type_of(tensor.dtype())) + ")" + std::to_string(std::uint64_t(tensor.item<T>())) + "ull";
    } else if constexpr (std::is_floating_point_v<T>) {
      return "(" + std::string(type_of(tensor.dtype())) + ")" + literal(double(tensor.item<T>()));
    } else {
      return {};
    }
  });
}

// ---- one program

class Writer {
 public:
  Writer(const FusedProgram& program, bool wide) : program_(program), wide_(wide) {}

  std::optional<FusedSource> write() {
    if (!measure() || !write_instructions()) return std::nullopt;
    text_ = std::string(kTypes);
    text_ += kVocabulary;
    for (const auto& [name, body] : used_)
      line("struct " + std::string(name) + "_body { template <class V> __device__ static auto apply(const double* p, V x" + (body->operands == 2 ? ", V y" : "") + ") { const Lanes<V> l; return " +
           std::string(body->expression) + "; } };");
    if (source_.reduces) write_reducing();
    else write_pointwise();
    source_.text = text_;
    return source_;
  }

 private:
  std::size_t first() const { return program_.operands.size(); }
  DType dtype_of(int slot) const { return std::size_t(slot) < first() ? program_.operands[std::size_t(slot)].dtype : program_.code[std::size_t(slot) - first()].dtype; }
  static std::string number(std::int64_t value) { return std::to_string(value); }
  void line(const std::string& text) { text_.append(text).append("\n"); }

  bool measure() {
    for (const FusedProgram::Operand& operand : program_.operands) {
      if (type_of(operand.dtype).empty()) return false;
      two_dimensional_ = two_dimensional_ || operand.layout == Layout::row || operand.layout == Layout::column;
    }
    for (const FusedProgram::Instruction& instruction : program_.code)
      if (type_of(instruction.dtype).empty()) return false;
    for (const FusedProgram::Output& output : program_.outputs) {
      source_.reduces = source_.reduces || output.reduced;
      sums_rows_ = sums_rows_ || (output.reduced && output.layout == Layout::row);
      two_dimensional_ = two_dimensional_ || (output.reduced && output.layout != Layout::scalar);
      if (output.reduced && dtype_of(output.slot) != float32) return false;
    }
    const std::int64_t numel = program_.shape.numel();
    if (wide_ && !source_.reduces && numel % 4 == 0 && (!two_dimensional_ || program_.columns % 4 == 0)) source_.elements = 4;
    columns_ = two_dimensional_ ? std::max<std::int64_t>(1, program_.columns) : 1024;
    if (source_.reduces) {
      across_ = std::int64_t(std::bit_ceil(std::uint64_t(std::clamp<std::int64_t>(columns_, 1, 256))));
      const std::int64_t rows = (numel + columns_ - 1) / columns_, down = 256 / across_;
      // Enough for every GPU to be busy, and few enough that what they leave to be added up is little.
      const std::int64_t most = sums_rows_ ? std::clamp<std::int64_t>((std::int64_t(1) << 20) / columns_, 128, 1056) : 1056;
      source_.blocks = std::clamp<std::int64_t>((rows + down - 1) / down, 1, most);
    }
    return true;
  }

  /// Slot s as a variable.
  static std::string variable(int slot) { return "t" + std::to_string(slot); }

  bool write_instructions() {
    for (std::size_t k = 0; k < program_.code.size(); ++k) {
      const FusedProgram::Instruction& instruction = program_.code[k];
      const std::string expression = expression_of(instruction);
      if (expression.empty()) return false;
      steps_.append("      const ").append(type_of(instruction.dtype)).append(" ").append(variable(int(first() + k))).append(" = ").append(expression).append(";\n");
    }
    return true;
  }

  std::string expression_of(const FusedProgram::Instruction& instruction) {
    const std::string_view row = instruction.op->name;
    const auto operand = [&](std::size_t i) { return variable(instruction.operands[i]); };
    const std::string_view result = type_of(instruction.dtype);
    if (row == "cast") return "converted<" + std::string(result) + ">(" + operand(0) + ")";
    if (row == "where") return operand(0) + " ? " + operand(1) + " : " + operand(2);
    const DType dtype = dtype_of(instruction.operands[0]);
    std::string name(row);
    if (row == "gelu") name = instruction.params[0] != 0 ? "gelu_tanh" : "gelu_erf";
    if (row == "clip_by_value") name = "clip";
    if (row == "sigmoid_cross_entropy_with_logits") name = "sigmoid_cross_entropy";
    if (!is_float(dtype) && find_body(name + "_other")) name += "_other";
    const Body* body = find_body(name);
    if (!body || body->operands != int(instruction.operands.size())) return {};
    used_.emplace(body->name, body);
    std::string call = name + "_body::apply(";
    if (instruction.params.empty()) {
      call += "nullptr";
    } else {
      const std::string params = "p" + std::to_string(parameters_++);
      constants_.append("  const double ").append(params).append("[] = {");
      for (const double value : instruction.params) constants_.append(literal(value)).append(", ");
      constants_ += "};\n";
      call += params;
    }
    for (std::size_t i = 0; i < instruction.operands.size(); ++i) call.append(", value_of(").append(operand(i)).append(")");
    call += ")";
    if (instruction.dtype == float16 || instruction.dtype == bfloat16) return "stored<" + std::string(result) + ">(" + call + ")";
    return "(" + std::string(result) + ")(" + call + ")";
  }

  std::string parameters() const {
    std::string list;
    int input = 0;
    for (const FusedProgram::Operand& operand : program_.operands)
      if (!operand.constant.defined()) list.append("const ").append(type_of(operand.dtype)).append("* in").append(std::to_string(input++)).append(", ");
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) list.append(type_of(dtype_of(program_.outputs[o].slot))).append("* out").append(std::to_string(o)).append(", ");
    return list + "float* part, long long numel";
  }

  /// Calls f(slot, name of its pointer) for the operands in memory.
  template <class F>
  void each_input(F&& f) const {
    int input = 0;
    for (std::size_t i = 0; i < first(); ++i)
      if (!program_.operands[i].constant.defined()) f(int(i), "in" + std::to_string(input++));
  }
  void declare_constants() {
    text_ += constants_;
    for (std::size_t i = 0; i < first(); ++i)
      if (program_.operands[i].constant.defined()) line("  const " + std::string(type_of(program_.operands[i].dtype)) + " " + variable(int(i)) + " = " + constant_of(program_.operands[i].constant) + ";");
  }

  /// Where element i of an operand lies.
  std::string element(const std::string& pointer, Layout layout, const std::string& row, const std::string& column) const {
    switch (layout) {
      case Layout::full: return pointer + "[i]";
      case Layout::scalar: return pointer + "[0]";
      case Layout::row: return pointer + "[" + column + "]";
      default: return pointer + "[" + row + "]";
    }
  }

  void write_pointwise() {
    const std::string n = number(source_.elements), columns = number(columns_) + "ll";
    line("extern \"C\" __global__ void __launch_bounds__(256) fused(" + parameters() + ") {");
    declare_constants();
    line("  for (long long i = (blockIdx.x * 256ll + threadIdx.x) * " + n + "; i < numel; i += gridDim.x * 256ll * " + n + ") {");
    each_input([&](int slot, const std::string& pointer) {
      const FusedProgram::Operand& operand = program_.operands[std::size_t(slot)];
      const std::string type(type_of(operand.dtype)), at = operand.layout == Layout::row ? "i % " + columns : "i";
      if (source_.elements > 1 && (operand.layout == Layout::full || operand.layout == Layout::row))
        line("    const Pack<" + type + ", " + n + "> a" + number(slot) + " = *reinterpret_cast<const Pack<" + type + ", " + n + ">*>(" + pointer + " + " + at + ");");
      else line("    const " + type + " a" + number(slot) + " = " + element(pointer, operand.layout, "i / " + columns, "i % " + columns) + ";");
    });
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) line("    Pack<" + std::string(type_of(dtype_of(program_.outputs[o].slot))) + ", " + n + "> r" + number(std::int64_t(o)) + ";");
    line("    #pragma unroll");
    line("    for (int v = 0; v < " + n + "; ++v) {");
    each_input([&](int slot, const std::string&) {
      const FusedProgram::Operand& operand = program_.operands[std::size_t(slot)];
      const bool packed = source_.elements > 1 && (operand.layout == Layout::full || operand.layout == Layout::row);
      line("      const " + std::string(type_of(operand.dtype)) + " " + variable(slot) + " = a" + number(slot) + (packed ? ".at[v];" : ";"));
    });
    text_ += steps_;
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) line("      r" + number(std::int64_t(o)) + ".at[v] = " + variable(program_.outputs[o].slot) + ";");
    line("    }");
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) {
      const std::string k = number(std::int64_t(o)), type(type_of(dtype_of(program_.outputs[o].slot)));
      line("    *reinterpret_cast<Pack<" + type + ", " + n + ">*>(out" + k + " + i) = r" + k + ";");
    }
    line("  }\n}");
  }

  bool is(std::size_t o, Layout layout) const { return program_.outputs[o].reduced && program_.outputs[o].layout == layout; }
  /// A line for each output of that layout: `#` is its number, SLOT the variable that is summed, SCALE what the sum is multiplied by, OFFSET where its part begins.
  void each_reduced(Layout layout, const std::string& text) {
    for (std::size_t o = 0; o < program_.outputs.size(); ++o)
      if (is(o, layout)) each_in(o, text);
  }
  void each_in(std::size_t o, std::string text) {
    const auto replace = [&](std::string_view word, const std::string& by) {
      for (std::size_t at; (at = text.find(word)) != std::string::npos;) text.replace(at, word.size(), by);
    };
    replace("SLOT", variable(program_.outputs[o].slot));
    replace("#", std::to_string(o));
    replace("SCALE", scale(o));
    if (o < offsets_.size()) replace("OFFSET", std::to_string(offsets_[o]));
    line(text);
  }
  std::int64_t reduced_numel(std::size_t o) const {
    if (is(o, Layout::scalar)) return 1;
    return is(o, Layout::row) ? columns_ : program_.shape.numel() / std::max<std::int64_t>(1, columns_);
  }
  std::string scale(std::size_t o) const {
    if (program_.outputs[o].fold == FusedProgram::Fold::sum) return "1.0f";
    return "(float)" + literal(double(float(reduced_numel(o)) / float(program_.shape.numel())));
  }

  /// Rows of columns_ elements (of a flat domain: pieces), `across_` threads to a row. The order of every sum follows from the sizes.
  void write_reducing() {
    const std::string c = number(columns_), across = number(across_), down = number(256 / across_), held = number((columns_ + across_ - 1) / across_);
    std::int64_t offset = 0;
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) {
      offsets_.push_back(offset);
      if (is(o, Layout::row) || is(o, Layout::scalar)) offset += reduced_numel(o) * source_.blocks, source_.finish_blocks += finishing(o);
    }
    source_.part_numel = offset;
    line("extern \"C\" __global__ void __launch_bounds__(256) fused(" + parameters() + ") {");
    line("  __shared__ float sums[256];");
    line("  const int t = threadIdx.x, tx = t % " + across + ", ty = t / " + across + ";");
    declare_constants();
    each_reduced(Layout::scalar, "  float s# = 0;");
    each_reduced(Layout::row, "  float w#[" + held + "] = {};");
    line("  const long long rows = (numel + " + c + " - 1) / " + c + ";");
    line("  for (long long base = blockIdx.x * " + down + "ll; base < rows; base += gridDim.x * " + down + "ll) {");
    line("    const long long row = base + ty;");
    each_reduced(Layout::column, "    float k# = 0;");
    line("    for (int j = 0; j < " + held + "; ++j) {");
    line("      const int column = tx + j * " + across + ";");
    line("      const long long i = row * " + c + " + column;");
    line("      if (column >= " + c + " || row >= rows || i >= numel) continue;");
    each_input([&](int slot, const std::string& pointer) {
      const FusedProgram::Operand& operand = program_.operands[std::size_t(slot)];
      line("      const " + std::string(type_of(operand.dtype)) + " " + variable(slot) + " = " + element(pointer, operand.layout, "row", "column") + ";");
    });
    text_ += steps_;
    for (std::size_t o = 0; o < program_.outputs.size(); ++o)
      if (!program_.outputs[o].reduced) line("      out" + number(std::int64_t(o)) + "[i] = " + variable(program_.outputs[o].slot) + ";");
    each_reduced(Layout::scalar, "      s# += SLOT;");
    each_reduced(Layout::row, "      w#[j] += SLOT;");
    each_reduced(Layout::column, "      k# += SLOT;");
    line("    }");
    each_reduced(Layout::column, "    sums[t] = k#;\n    __syncthreads();\n    for (int h = " + across + " / 2; h > 0; h /= 2) { if (tx < h) sums[t] += sums[t + h]; __syncthreads(); }\n"
                                 "    if (tx == 0 && row < rows) out#[row] = sums[t] * SCALE;\n    __syncthreads();");
    line("  }");
    each_reduced(Layout::scalar, "  sums[t] = s#;\n  __syncthreads();\n  for (int h = 128; h > 0; h /= 2) { if (t < h) sums[t] += sums[t + h]; __syncthreads(); }\n"
                                 "  if (t == 0) part[OFFSET + blockIdx.x] = sums[0];\n  __syncthreads();");
    each_reduced(Layout::row, "  for (int j = 0; j < " + held + "; ++j) {\n    sums[t] = w#[j];\n    __syncthreads();\n    for (int h = " + down + " / 2; h > 0; h /= 2) { if (ty < h) sums[t] += sums[t + h * " + across +
                              "]; __syncthreads(); }\n    const int column = tx + j * " + across + ";\n    if (ty == 0 && column < " + c + ") part[OFFSET + blockIdx.x * " + c + "ll + column] = sums[t];\n    __syncthreads();\n  }");
    line("}");
    write_finish();
  }

  /// Blocks of `finish` for an output.
  std::int64_t finishing(std::size_t o) const { return (reduced_numel(o) + kSide - 1) / kSide; }

  /// Blocks of threads for each sum: 16 columns, each added up by 16 threads, or one block to the only number.
  void write_finish() {
    if (source_.finish_blocks == 0) return;
    std::string list;
    for (std::size_t o = 0; o < program_.outputs.size(); ++o)
      if (is(o, Layout::row) || is(o, Layout::scalar)) list.append("float* out").append(std::to_string(o)).append(", ");
    line("extern \"C\" __global__ void __launch_bounds__(256) finish(" + list + "const float* part) {");
    line("  __shared__ float sums[256];\n  const int t = threadIdx.x;\n  float total = 0;");
    const std::string blocks = number(source_.blocks);
    std::int64_t first_block = 0;
    for (std::size_t o = 0; o < program_.outputs.size(); ++o) {
      if (!is(o, Layout::row) && !is(o, Layout::scalar)) continue;
      const std::int64_t own = finishing(o);
      line("  if (blockIdx.x >= " + number(first_block) + " && blockIdx.x < " + number(first_block + own) + ") {");
      each_in(o, is(o, Layout::row) ? "    const long long k = (blockIdx.x - " + number(first_block) + ") * 16ll + t % 16;\n    if (k < " + number(columns_) + ") {\n      for (int b = t / 16; b < " + blocks +
                                          "; b += 16) total += part[OFFSET + b * " + number(columns_) + "ll + k];\n    }\n    sums[t] = total;\n    __syncthreads();\n"
                                          "    for (int h = 8; h > 0; h /= 2) { if (t / 16 < h) sums[t] += sums[t + h * 16]; __syncthreads(); }\n"
                                          "    if (t < 16 && k < " + number(columns_) + ") out#[k] = sums[t] * SCALE;"
                                    : "    for (int b = t; b < " + blocks + "; b += 256) total += part[OFFSET + b];\n    sums[t] = total;\n    __syncthreads();\n"
                                      "    for (int h = 128; h > 0; h /= 2) { if (t < h) sums[t] += sums[t + h]; __syncthreads(); }\n    if (t == 0) out#[0] = sums[0] * SCALE;");
      line("  }");
      first_block += own;
    }
    line("}");
  }

  static constexpr std::int64_t kSide = 16;
  const FusedProgram& program_;
  const bool wide_;
  FusedSource source_;
  std::string text_, steps_, constants_;
  std::map<std::string_view, const Body*> used_;
  int parameters_ = 0;
  bool two_dimensional_ = false, sums_rows_ = false;
  std::int64_t columns_ = 1, across_ = 1;
  std::vector<std::int64_t> offsets_;
};

}  // namespace

std::optional<FusedSource> fused_source(const FusedProgram& program, bool wide) { return Writer(program, wide).write(); }

}  // namespace lockstep::autodiff::cuda
