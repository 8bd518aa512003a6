// A little GPT that writes character by character, trained on a text of this machine: by default the GNU General Public License, which is
// on every Debian system. A decoder-only transformer (Vaswani et al., 2017; layer normalization in front, as in GPT-2).
#include <cmath>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include <CLI/CLI.hpp>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

struct Options {
  std::string text = "/usr/share/common-licenses/GPL-3";
  std::int64_t context = 64, width = 96, heads = 4, blocks = 3, batch_size = 32, epochs = 12, stride = 8, length = 400, seed = 42;
  double temperature = 0.7;
};

/// x + attention(norm(x)), then x + dense(norm(x)). No position sees a later one.
class Block : public nn::Layer {
 public:
  Block(std::int64_t width, std::int64_t heads) {
    attention_norm_ = track("attention_norm", nn::LayerNormalization());
    attention_ = track("attention", nn::MultiHeadAttention({.num_heads = heads, .key_dim = width / heads}));
    dense_norm_ = track("dense_norm", nn::LayerNormalization());
    expand_ = track("expand", nn::Dense(4 * width, "gelu"));
    contract_ = track("contract", nn::Dense(width));
  }

 protected:
  Tensor call(const Tensor& x) override {
    const Tensor normed = (*attention_norm_)(x);
    const Tensor y = x + (*attention_)({normed, normed}, {.use_causal_mask = true})[0];
    return y + (*contract_)((*expand_)((*dense_norm_)(y)));
  }

 private:
  std::shared_ptr<nn::LayerNormalization> attention_norm_, dense_norm_;
  std::shared_ptr<nn::MultiHeadAttention> attention_;
  std::shared_ptr<nn::Dense> expand_, contract_;
};

/// (batch, context) numbers of characters -> (batch, context, characters) logits of the next one.
class CharGpt : public nn::Model {
 public:
  CharGpt(std::int64_t characters, const Options& o) : Model("char_gpt") {
    tokens_ = track("tokens", nn::Embedding({.input_dim = characters, .output_dim = o.width}));
    positions_ = track("positions", nn::Embedding({.input_dim = o.context, .output_dim = o.width}));
    for (std::int64_t i = 0; i < o.blocks; ++i) blocks_.push_back(track("block_" + std::to_string(i), Block(o.width, o.heads)));
    norm_ = track("norm", nn::LayerNormalization());
    out_ = track("out", nn::Dense(characters));
  }

 protected:
  Tensor call(const Tensor& x) override {
    Tensor y = (*tokens_)(x) + (*positions_)(range(0, x.shape().dim(1)));
    for (const auto& block : blocks_) y = (*block)(y);
    return (*out_)((*norm_)(y));
  }

 private:
  std::shared_ptr<nn::Embedding> tokens_, positions_;
  std::vector<std::shared_ptr<Block>> blocks_;
  std::shared_ptr<nn::LayerNormalization> norm_;
  std::shared_ptr<nn::Dense> out_;
};

/// The text as numbers, and which characters they are.
struct Corpus {
  Tensor codes;  // int32 (n,)
  std::vector<char> characters;
  std::map<char, std::int32_t> code_of;
};
Corpus read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw NotFoundError("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  Corpus corpus;
  for (const char c : std::set<char>(all.begin(), all.end())) corpus.code_of[c] = std::int32_t(corpus.characters.size()), corpus.characters.push_back(c);
  std::vector<std::int32_t> codes;
  for (const char c : all) codes.push_back(corpus.code_of[c]);
  corpus.codes = constant(codes);
  return corpus;
}

/// Windows of `width` characters, one every `stride`.
Tensor windows(const Tensor& codes, std::int64_t width, std::int64_t stride) {
  const Tensor starts = range(0, codes.numel() - width, stride);
  return gather(codes, expand_dims(starts, 1) + range(0, width));
}

/// Continues `text`, each character drawn from the probabilities that the model gives.
std::string write(const CharGpt& trained, const Corpus& corpus, std::string text, const Options& o) {
  auto& model = const_cast<CharGpt&>(trained);
  const auto next = autodiff::function([&](const Tensor& window, const Tensor& last) {
    const Tensor logits = gather(model(window)[0], last) / o.temperature;
    const Tensor gumbel = -log(-log(random::uniform(logits.shape(), 1e-9, 1)));  // the largest of logits + Gumbel noise is a draw from their softmax
    return argmax(logits + gumbel, 0, int32);
  });
  for (std::int64_t i = 0; i < o.length; ++i) {
    std::vector<std::int32_t> window(std::size_t(o.context), 0);
    const std::size_t known = std::min(text.size(), window.size());
    for (std::size_t k = 0; k < known; ++k) window[k] = corpus.code_of.at(text[text.size() - known + k]);
    text += corpus.characters[std::size_t(next(constant(window, {1, o.context}), constant(std::int32_t(known) - 1)).item<std::int32_t>())];
  }
  return text;
}

Options parse(int argc, char** argv) {
  Options o;
  CLI::App app("Trains a little GPT on a text and lets it write.", "char_gpt");
  app.add_option("--text", o.text, "a text file")->capture_default_str();
  app.add_option("--context", o.context, "characters that it sees")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--width", o.width, "features of a character; a multiple of --heads")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--heads", o.heads, "attention heads")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--blocks", o.blocks, "transformer blocks")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--batch-size", o.batch_size, "windows in a step")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--epochs", o.epochs, "passes over the text")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--stride", o.stride, "characters from one window to the next")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--length", o.length, "characters to write")->check(CLI::NonNegativeNumber)->capture_default_str();
  app.add_option("--temperature", o.temperature, "below 1: surer, above: bolder")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--seed", o.seed, "of everything random")->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    std::exit(app.exit(error));
  }
  return o;
}

}  // namespace

int main(int argc, char** argv) try {
  const Options o = parse(argc, argv);
  random::set_seed(o.seed);
  const Corpus corpus = read(o.text);
  const Tensor rows = windows(corpus.codes, o.context + 1, o.stride);
  const Tensor x = rows[{all, slice(0, -1)}], y = rows[{all, slice(1)}];
  std::cout << corpus.codes.numel() << " characters of " << corpus.characters.size() << " kinds, " << x.shape()[0] << " windows\n";

  CharGpt model(std::int64_t(corpus.characters.size()), o);
  model.compile({.optimizer = optim::Adam({.learning_rate = 2e-3, .global_clipnorm = 1.0}), .loss = nn::losses::SparseCategoricalCrossentropy({.from_logits = true}), .metrics = {"accuracy"}});
  const auto loss = model.fit(x, y, {.batch_size = o.batch_size, .epochs = o.epochs, .verbose = 2}).history.at("loss");
  // Whoever knows nothing pays log(number of characters) for each.
  std::cout << std::fixed << std::setprecision(2) << "loss " << loss.back() << " a character; without any knowledge " << std::log(double(corpus.characters.size())) << "\n";
  if (o.length) std::cout << "---\n" << write(model, corpus, "The ", o) << "\n";
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
