// What section of Debian does a package belong to? From the words of its description: strings, rows of words of unequal lengths, embeddings, their mean.
//   package_sections [FILE [EPOCHS]]
// FILE: paragraphs as in /var/lib/dpkg/status, which every Debian has, or a Packages file of apt's, plain or gzipped. It runs under mpirun as it is.
#include <algorithm>
#include <cstdlib>
#include <iomanip>
#include <iostream>

#include <lockstep/lockstep.h>

using namespace lockstep;

namespace {

constexpr std::int64_t kSections = 6;  // the most frequent ones
constexpr std::int64_t kWords = 60;    // of a description; the rest is cut off

struct Packages {
  std::vector<std::string> names, sections, descriptions;
};

/// Field by field, paragraph by paragraph; what belongs to a description goes on in lines that begin with a blank.
Packages read_packages(const std::string& path) {
  Packages all;
  std::string name, section, description;
  bool in_description = false;
  const auto end_of_paragraph = [&] {
    if (!section.empty() && !description.empty()) all.names.push_back(name), all.sections.push_back(section), all.descriptions.push_back(description);
    name.clear(), section.clear(), description.clear();
  };
  io::Iterator lines = io::text_lines({path}).iterate();
  for (Tensors element; lines.next(element);) {
    const std::string line = element[0].item<std::string>();
    if (line.empty()) end_of_paragraph();
    if (line.starts_with(" ") && in_description) description += line;
    if (line.starts_with(" ")) continue;
    in_description = line.starts_with("Description: ") || line.starts_with("Description-en: ");  // not Description-md5
    const std::string value = line.substr(std::min(line.size(), line.find(": ") + 2));
    if (line.starts_with("Package: ")) name = value;
    if (line.starts_with("Section: ")) section = value.substr(value.find('/') + 1);
    if (in_description) description = value;
  }
  end_of_paragraph();
  return all;
}

}  // namespace

int main(int argc, char** argv) try {
  const Packages packages = read_packages(argc > 1 ? argv[1] : "/var/lib/dpkg/status");
  const std::int64_t epochs = argc > 2 ? std::atoll(argv[2]) : 30;

  // Sections become numbers; 0 are the rare ones, which are left out. A package is for testing by its name's hash, the same everywhere.
  nn::StringLookup section_numbers({.max_tokens = kSections + 1});
  section_numbers.adapt(constant(packages.sections));
  const Tensor labels = section_numbers(constant(packages.sections)) - 1, folds = strings::to_hash_bucket_fast(constant(packages.names), 5);
  const auto chosen = [&](bool test) {
    return io::Dataset::from_tensor_slices({constant(packages.descriptions), labels, folds})
        .filter([test](const Tensor&, const Tensor& label, const Tensor& fold) { return label.item<std::int64_t>() >= 0 && (fold.item<std::int64_t>() == 0) == test; })
        .map([](const Tensor& text, const Tensor& label, const Tensor&) { return std::pair(text, label); });
  };

  nn::TextVectorization words({.max_tokens = 4000});
  io::Iterator texts = chosen(false).batch(256).iterate();
  words.adapt(texts);
  const auto numbered = [&words](const Tensor& text, const Tensor& label) {
    const RaggedTensor rows = words.ragged(text);  // a row for each description, as long as it is
    return std::pair(rows.to_tensor({-1, kWords}), label);
  };
  const io::Dataset train = chosen(false).cache().shuffle(4096, {.seed = 1}).batch(32, true).map(numbered, {.threads = 2}).prefetch(io::kAutotune);
  const io::Dataset test = chosen(true).batch(256).map(numbered);

  random::set_seed(42);
  nn::Sequential model({nn::InputLayer({kWords}), nn::Embedding({.input_dim = words.vocabulary_size(), .output_dim = 32, .mask_zero = true}), nn::GlobalAveragePooling1D(), nn::Dropout({.rate = 0.3}), nn::Dense(32, "relu"),
                        nn::Dense(kSections)});
  model.compile({.optimizer = optim::Adam({.learning_rate = 0.01}), .loss = nn::losses::SparseCategoricalCrossentropy({.from_logits = true}), .metrics = {"accuracy"}});
  io::Iterator batches = train.iterate(), held_out = test.iterate();
  model.fit(batches, {.epochs = epochs, .verbose = 0});
  const nn::Logs result = model.evaluate(held_out, {.verbose = 0});

  // What somebody would reach who always says the most frequent section.
  std::vector<std::int64_t> counts(kSections);
  io::Iterator again = chosen(true).iterate();
  for (Tensors each; again.next(each);) ++counts[std::size_t(each[1].item<std::int64_t>())];
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  const double guess = double(*std::max_element(counts.begin(), counts.end())) / double(std::max<std::int64_t>(1, total));
  const std::vector<std::string> names = section_numbers.get_vocabulary(false);
  dist::out() << packages.names.size() << " packages, " << words.vocabulary_size() << " words; sections";
  for (const std::string& name : names) dist::out() << " " << name;
  dist::out() << std::fixed << std::setprecision(3) << "\ntest accuracy " << result.at("accuracy") << ", guessing " << guess << (result.at("accuracy") > guess + 0.1 ? ": the words tell" : "") << std::endl;
  return 0;
} catch (const Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
