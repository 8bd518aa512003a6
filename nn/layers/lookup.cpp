#include <lockstep/nn/layers/lookup.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include <nlohmann/json.hpp>

#include <lockstep/nn/layers/categories.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/op.h>
#include <lockstep/tensor/ops.h>
#include <lockstep/tensor/strings.h>

namespace lockstep::nn {
namespace {

/// Counts as text, for the other ranks. Tokens may hold any bytes, so that they go with their lengths.
template <class T>
void put_counts(std::string& to, const std::map<T, std::int64_t>& counts) {
  to += std::to_string(counts.size()) + " ";
  for (const auto& [token, count] : counts) {
    if constexpr (std::is_same_v<T, std::string>) to += std::to_string(token.size()) + " " + token;
    else to += std::to_string(token) + " ";
    to += std::to_string(count) + " ";
  }
}

/// The way back: what a rank wrote a moment ago.
class CountReader {
 public:
  explicit CountReader(const std::string& text) : text_(text) {}
  std::int64_t number() {
    const std::size_t end = text_.find(' ', at_);
    const std::int64_t value = std::stoll(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }
  template <class T>
  T token() {
    const std::int64_t first = number();
    if constexpr (std::is_same_v<T, std::string>) {
      at_ += std::size_t(first);
      return text_.substr(at_ - std::size_t(first), std::size_t(first));
    } else {
      return first;
    }
  }
  template <class T>
  void add_counts(std::map<T, std::int64_t>& counts) {
    for (std::int64_t left = number(); left > 0; --left) {
      const T token = this->token<T>();
      counts[token] += number();
    }
  }

 private:
  const std::string& text_;
  std::size_t at_ = 0;
};

std::string shown(const std::string& token) { return "'" + token + "'"; }
std::string shown(std::int64_t token) { return std::to_string(token); }

/// The tensor where an op needs it, beside `x`; inside a trace it is a constant wherever it is.
Tensor beside(const Tensor& x, const Tensor& tensor) { return x.is_symbolic() ? tensor : to(tensor, x.device()); }
/// Where constants are made for ops on x.
Device device_beside(const Tensor& x) { return x.is_symbolic() ? default_device() : x.device(); }

/// Row splits of a tensor's last axis; of a vector one row.
std::vector<std::int64_t> even_splits(const Tensor& data) {
  const std::int64_t width = data.ndim() == 0 ? 1 : data.shape().dim(-1), rows = width == 0 ? 0 : data.numel() / width;
  std::vector<std::int64_t> splits;
  for (std::int64_t row = 0; row <= rows; ++row) splits.push_back(row * width);
  return splits;
}

/// Of special tokens nothing is known: they come first, with the mean of the others.
std::vector<double> with_special_weights(std::vector<double> weights, std::int64_t count) {
  const double mean = weights.empty() ? 0 : std::accumulate(weights.begin(), weights.end(), 0.0) / double(weights.size());
  weights.insert(weights.begin(), std::size_t(count), mean);
  return weights;
}

}  // namespace

template <class T>
IndexLookup<T>::IndexLookup(Options options) : Layer(options.name), options_(std::move(options)) {
  IndexLookup::configured();
}

template <class T>
void IndexLookup<T>::fields(Fields& f) {
  Layer::fields(f);
  f.field("invert", options_.invert);
  f.field("max_tokens", options_.max_tokens);
  f.field("num_oov_indices", options_.num_oov_indices);
  f.field("oov_token", options_.oov_token);
  f.field("mask_token", options_.mask_token);
  f.field("output_mode", options_.output_mode);
  detail::fixed(f, "sparse", false);
  f.field("pad_to_max_tokens", options_.pad_to_max_tokens);
  if constexpr (!kText) detail::fixed(f, "vocabulary_dtype", std::string("int64"));
  f.field("idf_weights", options_.idf_weights);
  f.field("vocabulary", options_.vocabulary);
  Json size = learnt_ ? Json(vocabulary_size()) : Json(nullptr);  // follows from the others
  f.field("vocabulary_size", size);
  f.field("oov_method", options_.oov_method);
  f.field("salt", options_.salt);
  if constexpr (kText) detail::fixed(f, "encoding", std::string("utf-8"));
}

template <class T>
void IndexLookup<T>::configured() {
  if (options_.output_mode == "binary") options_.output_mode = "multi_hot";
  if (options_.output_mode == "tf-idf") options_.output_mode = "tf_idf";
  static const std::set<std::string> kModes = {"int", "one_hot", "multi_hot", "count", "tf_idf"};
  require(kModes.contains(options_.output_mode), "output_mode must be \"int\", \"one_hot\", \"multi_hot\", \"count\" or \"tf_idf\", got \"" + options_.output_mode + "\"");
  require(options_.num_oov_indices >= 0, "num_oov_indices must not be negative");
  require(!options_.max_tokens || *options_.max_tokens > 1, "max_tokens must be above 1");
  require(!options_.pad_to_max_tokens || options_.max_tokens, "pad_to_max_tokens needs max_tokens");
  require(!options_.invert || options_.output_mode == "int", "an inverted lookup has output_mode \"int\"");
  require(options_.oov_method == "floormod" || options_.oov_method == "farmhash", "oov_method must be \"floormod\" or \"farmhash\", got \"" + options_.oov_method + "\"");
  require(kText || !options_.salt || options_.oov_method == "farmhash", "salt goes with oov_method \"farmhash\"");
  detail::require_salt(options_.salt, kText ? "StringLookup" : "IntegerLookup");
  require(!options_.idf_weights || options_.output_mode == "tf_idf", "idf_weights go with output_mode \"tf_idf\"");
  if (options_.vocabulary) set_vocabulary(*options_.vocabulary, options_.idf_weights);
}

template <class T>
void IndexLookup<T>::set_vocabulary(const Tokens& vocabulary, const std::optional<std::vector<double>>& idf_weights) {
  require(!vocabulary.empty() || adapted_, "the vocabulary is empty");
  const bool weighs = options_.output_mode == "tf_idf";
  require(weighs == idf_weights.has_value(), weighs ? "a vocabulary for \"tf_idf\" needs idf_weights" : "idf_weights go with output_mode \"tf_idf\"");
  std::vector<T> special(std::size_t(oov_start()), options_.mask_token.value_or(T{}));
  special.insert(special.end(), std::size_t(options_.num_oov_indices), options_.oov_token);
  const bool leads = std::ssize(vocabulary) >= std::ssize(special) && std::equal(special.begin(), special.end(), vocabulary.begin());
  const Tokens tokens(vocabulary.begin() + (leads ? std::ssize(special) : 0), vocabulary.end());
  std::set<T> seen;
  for (const T& token : tokens) {
    require(seen.insert(token).second, "the vocabulary repeats " + shown(token));
    require(!options_.mask_token || token != *options_.mask_token, "the mask token " + shown(token) + " stands among the tokens; it may only come first, before the unknown token");
    require(!options_.invert || token != options_.oov_token, "the unknown token " + shown(token) + " stands among the tokens; it may only come first");
  }
  require(!options_.max_tokens || token_start() + std::ssize(tokens) <= *options_.max_tokens, "the vocabulary has " + std::to_string(token_start() + std::ssize(tokens)) + " tokens, max_tokens is " + std::to_string(options_.max_tokens.value_or(0)));
  if (idf_weights) {
    require(idf_weights->size() == vocabulary.size() || std::ssize(*idf_weights) == token_start() + std::ssize(tokens), std::to_string(idf_weights->size()) + " idf_weights do not go with " + std::to_string(vocabulary.size()) + " tokens");
    const bool whole = std::ssize(*idf_weights) == token_start() + std::ssize(tokens);
    all_weights_ = whole ? *idf_weights : with_special_weights(*idf_weights, token_start());
  }
  options_.vocabulary = vocabulary;
  options_.idf_weights = idf_weights;
  set_tokens(tokens);
}

template <class T>
void IndexLookup<T>::set_tokens(Tokens tokens) {
  learnt_ = std::move(tokens);
  const Unheard unheard;  // also while a function is traced, these are constants
  const DeviceScope host{Device()};
  if (options_.invert) {
    std::vector<T> all = get_vocabulary();
    all.push_back(options_.oov_token);
    tokens_ = constant(all);
    return;
  }
  std::vector<std::pair<T, std::int64_t>> keys;
  if (options_.mask_token) keys.emplace_back(*options_.mask_token, masks() ? 0 : -1);  // -1: dropped from rows
  std::int64_t position = token_start();
  for (const T& token : *learnt_) keys.emplace_back(token, position++);
  if constexpr (!kText) std::sort(keys.begin(), keys.end());
  std::vector<T> names;
  std::vector<std::int64_t> places{options_.num_oov_indices > 0 ? oov_start() : -1};
  for (auto& [name, place] : keys) names.push_back(std::move(name)), places.push_back(place);
  places_ = constant(places);
  if constexpr (kText) index_ = KeyIndex(constant(names));
  else sorted_ = constant(names);
}

template <class T>
std::int64_t IndexLookup<T>::vocabulary_size() const {
  return token_start() + (learnt_ ? std::ssize(*learnt_) : 0);
}

template <class T>
std::vector<T> IndexLookup<T>::get_vocabulary(bool include_special_tokens) const {
  std::vector<T> all;
  if (include_special_tokens) {
    if (masks()) all.push_back(*options_.mask_token);
    all.insert(all.end(), std::size_t(options_.num_oov_indices), options_.oov_token);
  }
  if (learnt_) all.insert(all.end(), learnt_->begin(), learnt_->end());
  return all;
}

// ---- adapt

template <class T>
Tensor IndexLookup<T>::as_tokens(const Tensor& x) const {
  if constexpr (kText) {
    if (x.dtype() != string) throw TypeError("tokens are strings, got " + to_string(x.spec()), name());
    return x;
  } else {
    return cast(x, int64);
  }
}

template <class T>
void IndexLookup<T>::count(Seen& seen, const Tensor& given, const std::vector<std::int64_t>& splits) const {
  const Tensor values = as_tokens(given);
  const auto tokens = values.template data<T>();
  for (const T& token : tokens) ++seen.counts[token];
  if (options_.output_mode != "tf_idf") return;
  for (std::size_t row = 0; row + 1 < splits.size(); ++row) {
    const std::set<T> once(tokens.begin() + splits[row], tokens.begin() + splits[row + 1]);
    for (const T& token : once) ++seen.documents[token];
  }
  seen.document_count += std::ssize(splits) - 1;
}

template <class T>
void IndexLookup<T>::finish(Seen seen, const AdaptOptions& options) {
  Seen all = std::move(seen);
  if (detail::have_others(options)) {
    std::string mine = std::to_string(all.document_count) + " ";
    put_counts(mine, all.counts);
    put_counts(mine, all.documents);
    all = {};
    for (const std::string& each : detail::summaries_of_ranks(mine, options, "tokens of " + name())) {
      CountReader reader(each);
      all.document_count += reader.number();
      reader.add_counts(all.counts);
      reader.add_counts(all.documents);
    }
  }
  if (options_.mask_token) all.counts.erase(*options_.mask_token);
  all.counts.erase(options_.oov_token);
  std::vector<std::pair<std::int64_t, T>> order;
  for (const auto& [token, count] : all.counts) order.emplace_back(count, token);
  std::sort(order.rbegin(), order.rend());  // ties: the larger token first, as Keras has it
  if (options_.max_tokens) order.resize(std::min(order.size(), std::size_t(std::max<std::int64_t>(0, *options_.max_tokens - token_start()))));
  Tokens tokens;
  for (const auto& [count, token] : order) tokens.push_back(token);
  if (options_.output_mode == "tf_idf") {
    std::vector<double> weights;
    for (const T& token : tokens) weights.push_back(std::log(1 + double(all.document_count) / (1 + double(all.documents[token]))));
    all_weights_ = with_special_weights(weights, token_start());
    options_.idf_weights = std::move(weights);
  }
  adapted_ = true;
  options_.vocabulary = tokens;
  set_tokens(std::move(tokens));
}

template <class T>
void IndexLookup<T>::adapt(const Tensor& data, const AdaptOptions& options) {
  if (options_.vocabulary && !adapted_) throw FailedPreconditionError("the vocabulary was given: there is nothing to adapt", name());
  Seen seen;
  // Without a batch axis each element is a document of its own.
  const Tensor rows = data.ndim() == 1 ? Tensor::view(data, {data.numel(), 1}) : data;
  count(seen, rows, even_splits(rows));
  finish(std::move(seen), options);
}

template <class T>
void IndexLookup<T>::adapt(const RaggedTensor& data, const AdaptOptions& options) {
  if (options_.vocabulary && !adapted_) throw FailedPreconditionError("the vocabulary was given: there is nothing to adapt", name());
  Seen seen;
  count(seen, data.flat_values(), data.nested_row_splits().back().template to_vector<std::int64_t>());
  finish(std::move(seen), options);
}

template <class T>
void IndexLookup<T>::adapt(BatchSource& source, const AdaptOptions& options) {
  if (options_.vocabulary && !adapted_) throw FailedPreconditionError("the vocabulary was given: there is nothing to adapt", name());
  Seen seen;
  detail::for_each_batch(source, options, [&](const Tensor& batch) { count(seen, batch, even_splits(batch)); });
  finish(std::move(seen), options);
}

// ---- calls

template <class T>
void IndexLookup<T>::require_ready() const {
  if (!learnt_) throw FailedPreconditionError("there is no vocabulary: give it, or call adapt", name());
}

/// Where the tokens stand among the keys, -1 for those that do not. Strings are found by their hash, whole numbers by a binary search.
template <class T>
Tensor IndexLookup<T>::found(const Tensor& tokens) const {
  if constexpr (kText) {
    return index_.find(tokens, options_.num_oov_indices == 0 && tokens.is_symbolic());
  } else {
    if (sorted_.numel() == 0) return zeros_like(tokens) - 1;
    const Tensor sorted = beside(tokens, sorted_), flat = tokens.shape().known() ? reshape(tokens, {-1}) : tokens;
    const Tensor place = minimum(cast(searchsorted(sorted, flat), int64), scalar(sorted_.numel() - 1, int64));
    const Tensor result = where(equal(gather(sorted, place), flat), place, scalar(-1, int64));
    return tokens.shape().known() ? reshape(result, Ints(tokens.shape().begin(), tokens.shape().end())) : result;
  }
}

/// Among several indices for unknown tokens.
template <class T>
Tensor IndexLookup<T>::bucket(const Tensor& tokens) const {
  if (!kText && options_.oov_method == "floormod") return mod(tokens, scalar(options_.num_oov_indices, int64));
  const auto hashed = [&](const Tensor& texts) { return detail::hash_buckets(texts, options_.num_oov_indices, options_.salt); };
  return kText ? hashed(tokens) : beside(tokens, hashed(strings::as_string(tokens.is_symbolic() ? tokens : to(tokens, Device()))));
}

template <class T>
Tensor IndexLookup<T>::positions(const Tensor& given) const {
  const DeviceScope here{device_beside(given)};
  const Tensor tokens = as_tokens(given), place = found(tokens);
  if (options_.num_oov_indices == 0 && !place.is_symbolic()) {
    const auto at = place.template data<std::int64_t>();
    const auto stranger = std::find(at.begin(), at.end(), -1);
    require(stranger == at.end(), "the token " + (stranger == at.end() ? "" : shown(tokens.template data<T>()[std::size_t(stranger - at.begin())])) + " is not in the vocabulary, and there are no indices for such (num_oov_indices = 0)");
  }
  const Tensor result = gather(beside(place, places_), place + 1);
  return options_.num_oov_indices > 1 ? where(place < 0, bucket(tokens) + oov_start(), result) : result;
}

template <class T>
Tensor IndexLookup<T>::tokens_at(const Tensor& positions) const {
  const DeviceScope here{device_beside(positions)};
  const Tensor places = cast(positions, int64), size = scalar(vocabulary_size(), int64);
  const Tensor rows = where(logical_and(places >= 0, places < size), places, size);
  return kText ? gather(tokens_, rows.is_symbolic() ? rows : to(rows, Device())) : gather(beside(rows, tokens_), rows);
}

template <class T>
Tensor IndexLookup<T>::weighed(const Tensor& rows) const {
  if (options_.output_mode != "tf_idf") return rows;
  std::vector<double> weights = *all_weights_;
  weights.resize(std::size_t(depth()), 0.0);
  return rows * cast(constant(weights), rows.dtype());
}

template <class T>
Tensor IndexLookup<T>::call(const Tensor& x) {
  require_ready();
  if (options_.invert) return tokens_at(x);
  const auto rows = [&] {
    const DeviceScope here{device_beside(x)};
    return weighed(encode_categories(positions(x), options_.output_mode == "tf_idf" ? "count" : options_.output_mode, depth(), row_dtype()));
  };
  return kText ? placed(rows()) : rows();
}

template <class T>
RaggedTensor IndexLookup<T>::operator()(const RaggedTensor& tokens) const {
  require_ready();
  require(options_.output_mode == "int", "rows of unequal lengths keep them with output_mode \"int\" only; encode() gives rows of numbers");
  return tokens.with_flat_values(options_.invert ? tokens_at(tokens.flat_values()) : positions(tokens.flat_values()));
}

template <class T>
Tensor IndexLookup<T>::encode(const RaggedTensor& tokens) const {
  require_ready();
  require(options_.output_mode != "int" && options_.output_mode != "one_hot", "rows of unequal lengths are encoded as \"multi_hot\", \"count\" or \"tf_idf\"");
  require(tokens.ragged_rank() == 1 && tokens.flat_ndim() == 1, "encode() takes rows of tokens, ragged once");
  const DeviceScope here{device_beside(tokens.flat_values())};
  const Tensor places = positions(tokens.flat_values()), row = tokens.value_rowids();
  const Tensor at = where(places < 0, places, row * depth() + places);  // what is below 0 counts nowhere
  const std::int64_t rows_count = tokens.nrows();
  Tensor rows = reshape(unsorted_segment_sum(cast(ones_like(at), row_dtype()), at, rows_count * depth()), {rows_count, depth()});
  if (options_.output_mode == "multi_hot") rows = minimum(rows, scalar(1, rows.dtype()));
  return weighed(rows);
}

template class IndexLookup<std::int64_t>;
template class IndexLookup<std::string>;

}  // namespace lockstep::nn
