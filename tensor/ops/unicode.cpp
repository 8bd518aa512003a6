// Strings as characters: code points out of encoded text and back. What is ill formed is replaced, ignored or refused, as `errors` says.

#include <algorithm>
#include <vector>

#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops/row_splits.h>
#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/text.h>

namespace lockstep {
namespace {

constexpr std::int64_t kUnicodeGrain = 512;

/// How to judge what is decoded or encoded.
struct Judge {
  enum class Errors { strict, replace, ignore } errors;
  std::int32_t replacement;
  bool replace_control;
  std::string_view op;

  explicit Judge(const OpCall& call)
      : replacement(0), replace_control(text::declares(call, "replace_control_characters") && call.boolean("replace_control_characters")), op(call.op().name) {
    const std::string& word = call.text("errors");
    if (word != "strict" && word != "replace" && word != "ignore") call.refuse("errors must be strict, replace or ignore, got \"" + word + "\"");
    errors = word == "strict" ? Errors::strict : word == "replace" ? Errors::replace : Errors::ignore;
    const std::int64_t given = call.integer("replacement_char");
    if (given > 0x10FFFF || !text::is_scalar(std::int32_t(given))) call.refuse("replacement_char " + std::to_string(given) + " is no character's code point");
    replacement = std::int32_t(given);
  }

  /// The code point to go on with; -1: none. `where` says where for the refusal.
  template <class F>
  std::int32_t judge(std::int32_t code_point, bool valid, F&& where) const {
    if (valid) return replace_control && code_point < 0x20 ? replacement : code_point;
    if (errors == Errors::strict) throw InvalidArgumentError(where(), op);
    return errors == Errors::replace ? replacement : -1;
  }
};

/// Calls `take(code point, first byte)` for the characters of `s`.
template <class F>
void for_each_character(std::string_view s, text::Encoding encoding, const Judge& judge, F&& take) {
  for (std::size_t at = 0; at < s.size();) {
    const text::Decoded next = text::decode(s.substr(at), encoding);
    const std::int32_t code_point = judge.judge(next.code_point, next.valid, [&] { return "the text is not well formed at byte " + std::to_string(at); });
    if (code_point >= 0) take(code_point, at);
    at += next.bytes;
  }
}

void decode_infer(InferContext& context) {
  text::encoding_of(context, context.text("input_encoding"));
  Judge{context};
  const bool characters = context.op().name == "unicode_split";
  context.output(characters ? string : int32, Shape::unknown());
  context.output(int64, Shape{context.shape(0).numel() + 1});
  context.output(int64, Shape::unknown());
}

/// Counts the characters, then makes room for them and their offsets, then puts them there.
template <class To>
Tensors decode_cpu(const OpCall& call, std::span<const Tensor> inputs) {
  const auto from = inputs[0].data<std::string>();
  const text::Encoding encoding = text::encoding_of(call, call.text("input_encoding"));
  const Judge judge(call);
  const auto count = std::int64_t(from.size());
  const Tensor splits = text::part_splits(count, kUnicodeGrain, [&](std::int64_t i) {
    std::int64_t characters = 0;
    for_each_character(from[std::size_t(i)], encoding, judge, [&](std::int32_t, std::size_t) { ++characters; });
    return characters;
  });
  const auto ends = splits.data<std::int64_t>();
  Tensor values = Tensor::empty({ends.back()}, dtype_of<To>), offsets = Tensor::empty({ends.back()}, int64);
  text::for_parts(count, kUnicodeGrain, [&, to = values.mutable_data<To>(), offset = offsets.mutable_data<std::int64_t>()](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t next = ends[std::size_t(i)];
      for_each_character(from[std::size_t(i)], encoding, judge, [&](std::int32_t code_point, std::size_t at) {
        if constexpr (std::is_same_v<To, std::string>) text::encode(code_point, encoding, to[next]);
        else to[next] = code_point;
        offset[next++] = std::int64_t(at);
      });
    }
  });
  return {values, splits, offsets};
}

text::Encoding output_encoding(const OpCall& call) {
  const text::Encoding encoding = text::encoding_of(call, call.text("output_encoding"));
  if (encoding != text::Encoding::utf8 && encoding != text::Encoding::utf16_be && encoding != text::Encoding::utf32_be) call.refuse("output_encoding must be UTF-8, UTF-16-BE or UTF-32-BE");
  return encoding;
}

void encode_infer(InferContext& context) {
  if (context.shape(0).ndim() != 1 || context.shape(1).ndim() != 1 || context.shape(1)[0] < 1) context.refuse("takes code points and row splits, of one axis each");
  output_encoding(context);
  Judge{context};
  context.output(string, Shape{context.shape(1)[0] - 1});
}

BoundKernel encode_cpu(const BindContext& context) {
  return [encoding = output_encoding(context), judge = Judge(context), rows = context.output(0).shape[0], count = context.shape(0)[0]](Inputs in, Outputs out) {
    const auto* code_points = static_cast<const std::int32_t*>(in[0]);
    const auto* splits = static_cast<const std::int64_t*>(in[1]);
    require_splits({splits, std::size_t(rows) + 1}, count, judge.op);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::string row;
      for (std::int64_t i = splits[r]; i < splits[r + 1]; ++i) {
        const std::int32_t code_point = judge.judge(code_points[i], text::is_scalar(code_points[i]), [&] { return std::to_string(code_points[i]) + " (element " + std::to_string(i) + ") is no character's code point"; });
        if (code_point >= 0) text::encode(code_point, encoding, row);
      }
      static_cast<std::string*>(out[0])[r] = std::move(row);
    }
  };
}

void transcode_infer(InferContext& context) {
  text::encoding_of(context, context.text("input_encoding"));
  output_encoding(context);
  Judge{context};
  rules::like_first(context);
}

BoundKernel transcode_cpu(const BindContext& context) {
  return [from = text::encoding_of(context, context.text("input_encoding")), to = output_encoding(context), judge = Judge(context), count = context.shape(0).numel()](Inputs in, Outputs out) {
    text::for_parts(count, kUnicodeGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::string row;
        for_each_character(static_cast<const std::string*>(in[0])[i], from, judge, [&](std::int32_t code_point, std::size_t) { text::encode(code_point, to, row); });
        static_cast<std::string*>(out[0])[i] = std::move(row);
      }
    });
  };
}

OpDef unicode_row(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, void (*infer)(InferContext&), std::vector<Sample> samples) {
  attrs.push_back({.name = "errors", .type = AttrType::string, .fallback = std::string("replace")});
  attrs.push_back({.name = "replacement_char", .type = AttrType::integer, .fallback = std::int64_t(0xFFFD)});
  return {.name = name, .doc = doc, .family = "strings", .attrs = std::move(attrs), .dtypes = same(dtypes(string)), .infer = infer,
          .gradient = not_differentiable("strings have no gradient"), .onnx = no_onnx("strings are prepared before the model"), .samples = std::move(samples), .no_cuda = text::kNoCuda};
}

}  // namespace

std::vector<OpDef> unicode_rows() {
  const AttrDef input{.name = "input_encoding", .type = AttrType::string, .fallback = std::string("UTF-8")}, output{.name = "output_encoding", .type = AttrType::string, .fallback = std::string("UTF-8")};
  const AttrDef control{.name = "replace_control_characters", .type = AttrType::boolean, .fallback = false};
  const std::vector<Sample> plain{{.inputs = {{.dtype = string, .shape = {2, 3}}}}};
  std::vector<OpDef> rows;
  // clang-format off
  rows.push_back(unicode_row("unicode_decode", "the int32 code points of every element, one behind the other, int64 where each element's begin, and the byte at which each code point began", {input, control}, decode_infer, plain));
  rows.back().cpu_dynamic = decode_cpu<std::int32_t>;
  rows.push_back(unicode_row("unicode_split", "as unicode_decode, with a string for each character", {input, control}, decode_infer, plain));
  rows.back().cpu_dynamic = decode_cpu<std::string>;
  rows.push_back(unicode_row("unicode_encode", "a string of each row of code points (operand 0) between row splits (operand 1)", {output}, encode_infer,
      {{.inputs = {{.dtype = int32, .shape = {5}, .low = 65, .high = 200}, {.dtype = int64, .shape = {3}, .low = 0, .high = 1}},
        .prepare = [](std::span<const Tensor> in) -> Tensors { return {in[0], constant(std::vector<std::int64_t>{0, 2, 5})}; }}}));
  rows.back().dtypes = each(dtypes(int32), dtypes(int64));
  rows.back().min_inputs = rows.back().max_inputs = 2;
  rows.back().cpu = encode_cpu;
  rows.push_back(unicode_row("unicode_transcode", "every element in another encoding", {input, output, control}, transcode_infer, plain));
  rows.back().cpu = transcode_cpu;
  // clang-format on
  return rows;
}

}  // namespace lockstep
