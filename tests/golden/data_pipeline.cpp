// Chains of dataset operators, written as text: range(7).filter(x%2==0).batch(3). An interpreter builds the Dataset; its elements are compared as JSON.

#include <algorithm>
#include <cmath>
#include <regex>

#include "case.h"

namespace golden {
namespace {

using namespace lockstep;
using io::Dataset;
using io::Nest;
using io::Structure;

// ---- values as JSON

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::string base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t k = 0; k < 3; ++k) word = word << 8 | (i + k < bytes.size() ? std::uint8_t(bytes[i + k]) : 0u);
    for (std::size_t k = 0; k < 4; ++k) text += i + k <= bytes.size() ? kDigits[(word >> (18 - 6 * k)) & 63] : '=';
  }
  return text;
}

std::string from_base64(std::string_view text) {
  std::string bytes;
  std::uint32_t word = 0;
  int bits = 0;
  for (const char digit : text.substr(0, text.find('='))) {
    word = word << 6 | std::uint32_t(kDigits.find(digit));
    bits += 6;
    if (bits >= 8) bits -= 8, bytes += char(word >> bits);
  }
  return bytes;
}

Json json_of(const Tensor& tensor) {
  if (tensor.ndim() > 0) {
    Json rows = Json::array();
    for (std::int64_t row = 0; row < tensor.shape()[0]; ++row) rows.push_back(json_of(tensor[row]));
    return rows;
  }
  if (tensor.dtype() == string) return {{"b64", base64(tensor.item<std::string>())}};
  if (tensor.dtype() == boolean) return tensor.item<bool>();
  if (is_float(tensor.dtype())) return cast(tensor, float64).item<double>();
  return cast(tensor, int64).item<std::int64_t>();
}

/// Rows [begin, end) of axis `axis`.
Json ragged_rows(const Nest& nest, std::size_t axis, std::int64_t begin, std::int64_t end) {
  const std::vector<Tensor> splits = nest.splits();
  if (axis == splits.size()) return json_of(nest.values()[lockstep::slice(begin, end)]);
  Json rows = Json::array();
  const auto at = splits[axis].data<std::int64_t>();
  for (std::int64_t row = begin; row < end; ++row) rows.push_back(ragged_rows(nest, axis + 1, at[std::size_t(row)], at[std::size_t(row) + 1]));
  return rows;
}

Json json_of(const Nest& nest) {
  switch (nest.structure().kind) {
    case Structure::Kind::tensor: return json_of(nest.tensor());
    case Structure::Kind::ragged: return ragged_rows(nest, 0, 0, nest.splits()[0].numel() - 1);
    case Structure::Kind::sparse: return {{"indices", json_of(nest.indices())}, {"values", json_of(nest.values())}, {"shape", json_of(nest.dense_shape())}};
    case Structure::Kind::map: {
      Json all = Json::object();
      for (std::size_t i = 0; i < nest.size(); ++i) all[nest.structure().names[i]] = json_of(nest[i]);
      return all;
    }
    case Structure::Kind::tuple: break;
  }
  Json all = Json::array();
  for (std::size_t i = 0; i < nest.size(); ++i) all.push_back(json_of(nest[i]));
  return all;
}

/// Equal, floats to float32's last digits, the keys of objects in any order.
bool alike(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return std::fabs(a.get<double>() - b.get<double>()) <= 1e-6 * std::max(1.0, std::fabs(b.get<double>()));
  if (a.type() != b.type() || a.size() != b.size()) return false;
  if (a.is_object()) return std::all_of(b.items().begin(), b.items().end(), [&](const auto& item) { return a.contains(item.key()) && alike(a[item.key()], item.value()); });
  if (!a.is_array()) return a == b;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!alike(a[i], b[i])) return false;
  return true;
}

void require_alike(const std::string& what, const Json& actual, const Json& expected) {
  if (!alike(actual, expected)) throw Mismatch(what + " " + actual.dump() + ", expected " + expected.dump());
}

Json elements_of(const Dataset& dataset) {
  Json all = Json::array();
  io::Iterator iterator = dataset.iterate();
  for (Tensors element; iterator.next(element);) all.push_back(json_of(dataset.nest(element)));
  return all;
}

// ---- the text of a chain

std::string trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return std::string(text);
}

/// `text` at the places where `separator` stands outside of all brackets.
std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    depth += text[i] == '(' || text[i] == '[' || text[i] == '{';
    depth -= text[i] == ')' || text[i] == ']' || text[i] == '}';
    if (depth == 0 && text[i] == separator) parts.push_back(trimmed(text.substr(begin, i - begin))), begin = i + 1;
  }
  if (begin < text.size() || !parts.empty()) parts.push_back(trimmed(text.substr(begin)));
  return parts;
}

struct ChainCall {
  std::string name;
  std::vector<std::string> arguments;                // by position
  std::map<std::string, std::string> named;          // key=value
  bool has(const std::string& word) const { return std::find(arguments.begin(), arguments.end(), word) != arguments.end(); }
  std::int64_t number(std::size_t i) const { return std::stoll(arguments.at(i)); }
  std::int64_t number(const std::string& key, std::int64_t otherwise) const { return named.contains(key) ? std::stoll(named.at(key)) : otherwise; }
};

ChainCall call_of(const std::string& text) {
  const std::size_t open = text.find('(');
  if (open == std::string::npos || text.back() != ')') throw Mismatch("the interpreter does not know '" + text + "'");
  ChainCall call{.name = trimmed(text.substr(0, open)), .arguments = {}, .named = {}};
  static const std::regex key("([a-z_]+)=([^=].*)");
  for (const std::string& argument : split(std::string_view(text).substr(open + 1, text.size() - open - 2), ',')) {
    std::smatch match;
    if (std::regex_match(argument, match, key)) call.named[match[1]] = match[2];
    else call.arguments.push_back(argument);
  }
  return call;
}

std::vector<std::int64_t> list_of(const std::string& text) {
  std::vector<std::int64_t> numbers;
  for (const std::string& each : split(std::string_view(text).substr(1, text.size() - 2), ',')) numbers.push_back(std::stoll(each));
  return numbers;
}

// ---- expressions of elements: x*x, x%2==0, s+x, fill([x],x), sum

using Names = std::map<std::string, Tensor>;

Tensor evaluate(std::string text, const Names& names) {
  text = trimmed(text);
  for (const char* const operators : {"=<>!", "+-", "*%"}) {  // the weakest first; of equals the last one
    int depth = 0;
    for (std::size_t i = text.size(); i-- > 1;) {
      depth += text[i] == ')' || text[i] == ']';
      depth -= text[i] == '(' || text[i] == '[';
      if (depth != 0 || std::string_view(operators).find(text[i]) == std::string_view::npos) continue;
      const bool two = text[i] == '=' && std::string_view("=<>!").find(text[i - 1]) != std::string_view::npos;
      const std::string op = text.substr(two ? i - 1 : i, two ? 2 : 1);
      const Tensor left = evaluate(text.substr(0, two ? i - 1 : i), names), right = evaluate(text.substr(i + 1), names);
      if (op == "+") return left + right;
      if (op == "-") return left - right;
      if (op == "*") return left * right;
      if (op == "%") return mod(left, right);
      if (op == "==") return equal(left, right);
      if (op == "!=") return not_equal(left, right);
      if (op == "<") return left < right;
      if (op == "<=") return left <= right;
      if (op == ">") return left > right;
      if (op == ">=") return left >= right;
    }
  }
  if (text == "sum") return reduce_sum(names.at("x"));
  if (names.contains(text)) return names.at(text);
  if (text.starts_with("(")) return evaluate(text.substr(1, text.size() - 2), names);
  if (text.starts_with("fill(")) {
    const ChainCall fill = call_of(text);
    const std::string size = fill.arguments.at(0);
    return broadcast_to(evaluate(fill.arguments.at(1), names), {evaluate(size.substr(1, size.size() - 2), names).item<std::int64_t>()});
  }
  return scalar(std::int64_t(std::stoll(text)), int64);
}

Tensor slices_value(const std::string& text) {
  const std::vector<std::string> items = split(std::string_view(text).substr(1, text.size() - 2), ',');
  if (!std::isdigit(static_cast<unsigned char>(items.at(0).at(0))) && items[0][0] != '-') return constant(items);
  return constant(list_of(text));
}

Dataset chain_of(const std::string& text, const Names& names);

Dataset source_of(const ChainCall& call, const Names& names) {
  if (call.name == "range") {
    std::vector<std::int64_t> at;
    for (const std::string& argument : call.arguments) at.push_back(evaluate(argument, names).item<std::int64_t>());
    return at.size() == 1 ? Dataset::range(at[0]) : Dataset::range(at[0], at[1], at.size() == 3 ? at[2] : 1);
  }
  if (call.name == "from") return Dataset::from_tensors(evaluate(call.arguments.at(0), names));
  if (call.name == "zip") {
    std::vector<Dataset> parts;
    for (const std::string& argument : call.arguments) parts.push_back(chain_of(argument, names));
    return Dataset::zip(parts);
  }
  if (call.name == "from_tensor_slices") {
    const std::string& value = call.arguments.at(0);
    if (value[0] != '{') return Dataset::from_tensor_slices(slices_value(value));
    std::vector<std::pair<std::string, Nest>> parts;
    for (const std::string& part : split(std::string_view(value).substr(1, value.size() - 2), ',')) {
      const std::size_t colon = part.find(':');
      parts.emplace_back(trimmed(part.substr(0, colon)), slices_value(trimmed(part.substr(colon + 1))));
    }
    return Dataset::from_tensor_slices(Nest::map(parts));
  }
  throw Mismatch("the interpreter does not know '" + call.name + "'");
}

/// "x -> from(x).repeat(4)", "range(x)": a dataset of an element.
std::function<Dataset(const Tensor&)> dataset_function(const std::string& text, const Names& names) {
  const std::size_t arrow = text.find("->");
  const std::string variable = arrow == std::string::npos ? "x" : trimmed(text.substr(0, arrow)), body = trimmed(arrow == std::string::npos ? text : text.substr(arrow + 2));
  return [=](const Tensor& x) {
    Names inner = names;
    inner[variable] = x;
    return chain_of(body, inner);
  };
}
std::function<Tensor(const Tensor&)> element_function(const std::string& text) {
  return [text](const Tensor& x) { return evaluate(text, {{"x", x}}); };
}

Dataset step(const Dataset& data, const ChainCall& call, const Names& names);

/// "batch(3)", on a dataset that is at hand.
std::function<Dataset(const Dataset&)> step_function(const std::string& text) {
  return [text](const Dataset& data) { return step(data, call_of(text), {}); };
}

io::PaddedBatchOptions padding_of(const ChainCall& call) {
  io::PaddedBatchOptions options{.drop_remainder = call.has("drop_remainder")};
  if (call.named.contains("padded_shapes")) options.padded_shapes = {list_of(call.named.at("padded_shapes"))};
  if (call.named.contains("padding_values")) options.padding_values = {scalar(std::int64_t(std::stoll(call.named.at("padding_values"))), int64)};
  return options;
}

Dataset scan_of(const Dataset& data, const ChainCall& call) {
  const std::string f = call.arguments.at(1);  // (s,x) -> (s+x, s+x)
  const std::string results = trimmed(f.substr(f.find("->") + 2));
  const std::vector<std::string> parts = split(std::string_view(results).substr(1, results.size() - 2), ',');
  return data.scan({scalar(call.number(0), int64)}, [parts](const Tensor& s, const Tensor& x) { return std::pair(evaluate(parts.at(0), {{"s", s}, {"x", x}}), evaluate(parts.at(1), {{"s", s}, {"x", x}})); });
}

Dataset step(const Dataset& data, const ChainCall& call, const Names& names) {
  const std::string& name = call.name;
  if (name == "batch") return data.batch(call.number(0), call.has("drop_remainder"));
  if (name == "map") {
    io::MapOptions options;
    for (const std::string& argument : call.arguments)
      if (argument.starts_with("parallel ")) options.threads = std::stoi(argument.substr(9));
    return data.map(element_function(call.arguments.at(0)), options);
  }
  if (name == "filter") return data.filter(element_function(call.arguments.at(0)));
  if (name == "take_while") return data.take_while(element_function(call.arguments.at(0)));
  if (name == "flat_map") return data.flat_map(dataset_function(call.arguments.at(0), names));
  if (name == "interleave") return data.interleave(dataset_function(call.arguments.at(0), names), {.cycle_length = call.number("cycle_length", 2), .block_length = call.number("block_length", 1)});
  if (name == "repeat") return data.repeat(call.arguments.empty() ? io::kInfinite : call.number(0));
  if (name == "skip") return data.skip(call.number(0));
  if (name == "take") return data.take(call.number(0));
  if (name == "shard") return data.shard(call.number(1), call.number(0));  // (num_shards, index)
  if (name == "enumerate") return data.enumerate(call.arguments.empty() ? 0 : call.number(0));
  if (name == "concatenate") return data.concatenate(chain_of(call.arguments.at(0), names));
  if (name == "unbatch") return data.unbatch();
  if (name == "scan") return scan_of(data, call);
  if (name == "cache") return data.cache();
  if (name == "prefetch") return data.prefetch(call.number(0));
  if (name == "unique") return data.unique();
  if (name == "shuffle") return data.shuffle(call.number(0), {.seed = call.number("seed", 0)});
  if (name == "padded_batch") return data.padded_batch(call.number(0), padding_of(call));
  if (name == "ragged_batch") return data.ragged_batch(call.number(0), call.has("drop_remainder"));
  if (name == "bucket_by_sequence_length")
    return data.bucket_by_sequence_length([](const Tensor& x) { return x.shape()[0]; }, {.boundaries = list_of(call.named.at("boundaries")), .batch_sizes = list_of(call.named.at("batch_sizes"))});
  if (name == "group_by_window") {
    const auto key = element_function(call.arguments.at(0));
    const auto reduce = step_function(call.arguments.at(1));
    return data.group_by_window(key, [reduce](std::int64_t, const Dataset& window) { return reduce(window); }, call.number(2));
  }
  throw Mismatch("the interpreter does not know '" + name + "'");
}

Dataset chain_of(const std::string& text, const Names& names) {
  std::vector<std::string> parts = split(text, '.');
  Dataset data = source_of(call_of(parts.at(0)), names);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const ChainCall call = call_of(parts[i]);
    if (call.name != "window") {
      data = step(data, call, names);
      continue;
    }
    const io::Windows windows = data.window(call.number(0), {.shift = call.number("shift", 0), .stride = call.number("stride", 1), .drop_remainder = call.has("drop_remainder")});
    if (i + 1 < parts.size()) data = windows.flat_map(step_function(call_of(parts[++i]).arguments.at(0)));
    else data = windows.flat_map([size = call.number(0)](const Dataset& window) { return window.batch(size); });  // "as lists"
  }
  return data;
}

// ---- the kinds of cases

/// The class of an error, in the words of the cases.
void require_error(const std::string& wanted, const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    const bool right = wanted == "DataLoss" ? dynamic_cast<const DataLossError*>(&error) != nullptr : dynamic_cast<const InvalidArgumentError*>(&error) != nullptr;
    if (!right) throw Mismatch("expected " + wanted + ", got another error: " + error.what());
    return;
  }
  throw Mismatch("expected " + wanted + ", but it was accepted");
}

/// "choose_from_datasets" says neither which datasets there were nor what was chosen: both are taken from the elements. What this shows is that elements come
/// out of the datasets that are chosen; the rest is pipeline_test.cpp's.
Dataset chosen(const Json& elements) {
  std::vector<Json> values;
  std::vector<std::int64_t> choice;
  for (const Json& element : elements) {
    auto found = std::find(values.begin(), values.end(), element);
    if (found == values.end()) values.push_back(element), found = values.end() - 1;
    choice.push_back(found - values.begin());
  }
  std::vector<Dataset> datasets;
  for (const Json& value : values) {
    const Tensor element = value.is_object() ? constant(from_base64(value.at("b64").get<std::string>())) : scalar(value.get<std::int64_t>(), int64);
    datasets.push_back(Dataset::from_tensors(element).repeat());
  }
  return Dataset::choose_from_datasets(datasets, Dataset::from_tensor_slices(constant(choice)));
}

void check_shuffle(const Json& spec) {
  const std::string text = spec.at("chain");
  const Dataset data = chain_of(text, {});
  const ChainCall range = call_of(split(text, '.')[0]), shuffle = call_of(split(text, '.')[1]);
  const auto pass = [](const Dataset& dataset, std::int64_t epoch) {
    std::vector<std::int64_t> numbers;
    io::Iterator iterator = dataset.iterate({.epoch = epoch});
    for (Tensors element; iterator.next(element);) numbers.push_back(element[0].item<std::int64_t>());
    return numbers;
  };
  const std::vector<std::int64_t> first = pass(data, 0);
  std::vector<std::int64_t> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < range.number(0); ++i)
    if (sorted.at(std::size_t(i)) != i) throw Mismatch("no permutation");
  for (std::size_t i = 0; i < first.size(); ++i)
    if (first[i] > std::int64_t(i) + shuffle.number(0) - 1) throw Mismatch("element " + std::to_string(first[i]) + " comes at position " + std::to_string(i));
  if (pass(chain_of(text, {}), 0) != first) throw Mismatch("another order with the same seed");
  if (pass(data, 1) == first) throw Mismatch("the same order in the next epoch");
  const Dataset fixed = chain_of(split(text, '.')[0], {}).shuffle(shuffle.number(0), {.seed = shuffle.number("seed", 0), .reshuffle_each_iteration = false});
  if (pass(fixed, 0) != pass(fixed, 1)) throw Mismatch("another order in the next epoch without reshuffle_each_iteration");
}

void check_chain(const Json& spec) {
  const std::string text = spec.at("chain");
  if (text == "from_tensor_slices of unequal lengths")
    return require_error(spec.at("error"), [] { Dataset::from_tensor_slices(Tensors{constant({1, 2, 3}), constant({1, 2})}); });
  if (text.starts_with("choose_from_datasets")) return require_alike("elements", elements_of(chosen(spec.at("elements"))), spec.at("elements"));
  const std::string chain = text.ends_with(" as lists") ? text.substr(0, text.size() - 9) : text;
  if (spec.contains("value")) {
    const std::size_t reduce = chain.rfind(".reduce(");
    const ChainCall call = call_of(chain.substr(reduce + 1));
    const Tensor value = chain_of(chain.substr(0, reduce), {}).reduce(scalar(call.number(0), int64), [op = call.arguments.at(1)](const Tensor& s, const Tensor& x) { return evaluate("s" + op + "x", {{"s", s}, {"x", x}}); });
    return require_alike("value", json_of(value), spec.at("value"));
  }
  if (spec.contains("error")) return require_error(spec.at("error"), [&] { elements_of(chain_of(chain, {})); });
  require_alike("elements", elements_of(chain_of(chain, {})), spec.at("elements"));
}

void check_csv(const Json& spec) {
  io::CsvRowOptions options;
  for (const Json& each : spec.at("defaults")) {
    if (each.is_number_integer()) options.fields.push_back(io::CsvField(each.get<int>()));
    else if (each.is_number()) options.fields.push_back(io::CsvField(each.get<float>()));
    else if (const std::string text = each; text.starts_with("required ")) options.fields.push_back(io::CsvField(dtype_from_name(text.substr(9))));
    else options.fields.push_back(io::CsvField(text));
  }
  const std::string record = spec.at("csv");
  if (spec.contains("error")) return require_error(spec.at("error"), [&] { io::decode_csv(record, options); });
  Json fields = Json::array();
  for (const Tensor& field : io::decode_csv(record, options)) fields.push_back(json_of(field));
  require_alike("fields", fields, spec.at("fields"));
}

io::FeatureSpec feature_of(const std::string& text) {
  static const std::regex form("(var |ragged )?([a-z0-9]+)(?:\\[([0-9, ]*)\\])?(?: default (.+))?");
  std::smatch match;
  if (!std::regex_match(text, match, form)) throw Mismatch("the interpreter does not know the feature '" + text + "'");
  const DType dtype = dtype_from_name(match[2].str());
  if (match[1] == "var ") return io::VarLenFeature{dtype};
  if (match[1] == "ragged ") return io::RaggedFeature{dtype};
  const std::vector<std::int64_t> shape = list_of("[" + match[3].str() + "]");
  io::FixedLenFeature fixed{.shape = Ints(shape.begin(), shape.end()), .dtype = dtype};
  if (match[4].matched) fixed.default_value = dtype == string ? constant(match[4].str()) : cast(constant(std::vector<double>{std::stod(match[4])}), dtype);
  return fixed;
}

void check_records(const Json& spec, const std::filesystem::path& folder) {
  for (const Json& name : spec.at("tfrecord")) {
    const Dataset records = io::tfrecord_files({(folder / "tfrecords" / name.get<std::string>()).string()});
    if (spec.contains("error")) {
      std::int64_t before = 0;
      io::Iterator iterator = records.iterate();
      require_error(spec.at("error"), [&] {
        for (Tensors element; iterator.next(element);) ++before;
      });
      if (spec.contains("records before")) require_alike("records before", before, spec.at("records before"));
      continue;
    }
    io::ExampleSchema schema;
    for (const auto& [key, text] : spec.at("schema").items()) schema.emplace_back(key, feature_of(text));
    require_alike(name, elements_of(records.map([schema](const Tensor& record) { return io::parse_single_example(record, schema); })), spec.at("examples"));
  }
}

}  // namespace

void check_data_pipeline(const Case& c) {
  if (c.spec.contains("csv")) return check_csv(c.spec);
  if (c.spec.contains("tfrecord")) return check_records(c.spec, c.folder);
  if (c.spec.contains("property")) return check_shuffle(c.spec);
  check_chain(c.spec);
}

}  // namespace golden
