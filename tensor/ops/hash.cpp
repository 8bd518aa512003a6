// Hashes of strings into buckets, with TensorFlow's bits: farmhash's Fingerprint64, SipHash-2-4 with a key of the user's, and the hash of the first version.

#include <array>
#include <bit>
#include <cstring>

#include <farmhash.h>

#include <lockstep/tensor/ops/rules.h>
#include <lockstep/tensor/ops/text.h>

namespace lockstep {
namespace {

constexpr std::int64_t kHashGrain = 4096;

std::uint64_t word_at(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, 8);
  return word;  // little endian, as every machine that Lockstep runs on
}
/// The last size % 8 bytes.
std::uint64_t tail_of(std::string_view s) {
  std::uint64_t word = 0;
  for (std::size_t i = s.size() / 8 * 8, shift = 0; i < s.size(); ++i, shift += 8) word |= std::uint64_t(static_cast<unsigned char>(s[i])) << shift;
  return word;
}

std::uint64_t fingerprint(std::string_view s, const std::array<std::uint64_t, 2>&) { return util::Fingerprint64(s.data(), s.size()); }

/// SipHash-2-4 (Aumasson and Bernstein).
std::uint64_t sip_hash(std::string_view s, const std::array<std::uint64_t, 2>& key) {
  std::uint64_t v0 = key[0] ^ 0x736f6d6570736575u, v1 = key[1] ^ 0x646f72616e646f6du, v2 = key[0] ^ 0x6c7967656e657261u, v3 = key[1] ^ 0x7465646279746573u;
  const auto rounds = [&](int n) {
    while (n-- > 0) {
      v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
      v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    }
  };
  const auto take = [&](std::uint64_t word) {
    v3 ^= word;
    rounds(2);
    v0 ^= word;
  };
  for (std::size_t i = 0; i + 8 <= s.size(); i += 8) take(word_at(s.data() + i));
  take(std::uint64_t(s.size()) << 56 | tail_of(s));
  v2 ^= 0xff;
  rounds(4);
  return v0 ^ v1 ^ v2 ^ v3;
}

/// Murmur's hash as TensorFlow's Hash64 has it, with the seed 0xDECAFCAFFE.
std::uint64_t legacy_hash(std::string_view s, const std::array<std::uint64_t, 2>&) {
  constexpr std::uint64_t kMultiplier = 0xc6a4a7935bd1e995u, kSeed = 0xDECAFCAFFEu;
  std::uint64_t h = kSeed ^ (s.size() * kMultiplier);
  for (std::size_t i = 0; i + 8 <= s.size(); i += 8) {
    std::uint64_t k = word_at(s.data() + i) * kMultiplier;
    k ^= k >> 47;
    h = (h ^ k * kMultiplier) * kMultiplier;
  }
  if (s.size() % 8) h = (h ^ tail_of(s)) * kMultiplier;
  h = (h ^ h >> 47) * kMultiplier;
  return h ^ h >> 47;
}

std::array<std::uint64_t, 2> key_of(const OpCall& call) {
  if (!text::declares(call, "key")) return {};
  const Ints key = call.ints("key");
  if (key.size() != 2) call.refuse("the key must be two integers");
  return {std::uint64_t(key[0]), std::uint64_t(key[1])};
}

void bucket_infer(InferContext& context) {
  if (context.integer("num_buckets") < 1) context.refuse("num_buckets must be at least 1, got " + std::to_string(context.integer("num_buckets")));
  key_of(context);
  context.output(int64, context.shape(0));
}

template <std::uint64_t (*Hash)(std::string_view, const std::array<std::uint64_t, 2>&)>
BoundKernel bucket_cpu(const BindContext& context) {
  return [count = context.shape(0).numel(), buckets = std::uint64_t(context.integer("num_buckets")), key = key_of(context)](Inputs in, Outputs out) {
    parallel_for(count, kHashGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) static_cast<std::int64_t*>(out[0])[i] = std::int64_t(Hash(static_cast<const std::string*>(in[0])[i], key) % buckets);
    });
  };
}

/// TensorFlow's FingerprintCat64: two fingerprints as one.
std::uint64_t joined_fingerprint(std::uint64_t first, std::uint64_t second) {
  constexpr std::uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  const auto mixed = [](std::uint64_t value) { return value ^ (value >> 47); };
  std::uint64_t result = first ^ kMultiplier;
  result ^= mixed(second * kMultiplier) * kMultiplier;
  result *= kMultiplier;
  result = mixed(result) * kMultiplier;
  return mixed(result);
}

void crossing_infer(InferContext& context) {
  if (context.integer("num_buckets") < 1) context.refuse("num_buckets must be at least 1, got " + std::to_string(context.integer("num_buckets")));
  for (std::size_t i = 1; i < context.input_count(); ++i)
    if (context.shape(i) != context.shape(0)) context.refuse("takes features of one shape");
  context.output(int64, context.shape(0));
}

BoundKernel crossing_cpu(const BindContext& context) {
  std::vector<bool> texts;
  for (std::size_t k = 0; k < context.input_count(); ++k) texts.push_back(context.dtype_of(k) == string);
  return [texts, count = context.shape(0).numel(), buckets = std::uint64_t(context.integer("num_buckets"))](Inputs in, Outputs out) {
    parallel_for(count, kHashGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::uint64_t hash = 0xDECAFCAFFEu;  // TensorFlow's
        for (std::size_t k = 0; k < texts.size(); ++k)
          hash = joined_fingerprint(hash, texts[k] ? fingerprint(static_cast<const std::string*>(in[k])[i], {}) : std::uint64_t(static_cast<const std::int64_t*>(in[k])[i]));
        static_cast<std::int64_t*>(out[0])[i] = std::int64_t(hash % buckets);
      }
    });
  };
}

OpDef bucket_row(std::string_view name, std::string_view doc, std::vector<AttrDef> attrs, BoundKernel (*cpu)(const BindContext&)) {
  return {.name = name, .doc = doc, .family = "strings", .attrs = std::move(attrs), .dtypes = same(dtypes(string)), .infer = bucket_infer,
          .gradient = not_differentiable("strings have no gradient"), .onnx = no_onnx("strings are prepared before the model"),
          .samples = {{.inputs = {{.dtype = string, .shape = {2, 3}}}, .attrs = {{"num_buckets", std::int64_t(7)}}}}, .cpu = cpu, .no_cuda = text::kNoCuda};
}

}  // namespace

std::vector<OpDef> hash_rows() {
  const AttrDef buckets{.name = "num_buckets", .type = AttrType::integer, .required = true}, key{.name = "key", .type = AttrType::ints, .required = true};
  std::vector<OpDef> rows{bucket_row("string_to_hash_bucket_fast", "int64 farmhash fingerprint of each element modulo num_buckets", {buckets}, bucket_cpu<fingerprint>),
                          bucket_row("string_to_hash_bucket_strong", "int64 SipHash of each element, with a key that makes collisions hard to find, modulo num_buckets", {buckets, key}, bucket_cpu<sip_hash>),
                          bucket_row("string_to_hash_bucket", "int64 hash of each element modulo num_buckets, as TensorFlow's first version had it", {buckets}, bucket_cpu<legacy_hash>)};
  rows[1].samples[0].attrs.push_back({"key", Ints{1, 2}});
  rows.push_back(bucket_row("hash_crossing", "int64 hash of the combination of the operands' elements, strings or int64, modulo num_buckets, as tf.sparse.cross_hashed has it", {buckets}, crossing_cpu));
  OpDef& crossing = rows.back();
  crossing.infer = crossing_infer;
  crossing.dtypes = {{{dtypes(string, int64), -1}}};
  crossing.max_inputs = -1;
  crossing.samples[0].inputs.push_back({.dtype = int64, .shape = {2, 3}});
  return rows;
}

}  // namespace lockstep
