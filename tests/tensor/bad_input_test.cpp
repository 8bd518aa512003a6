// What every row of the op table does with calls it cannot take: it refuses with a typed error that names the op and says what was
// given, and never crashes. The rows' own samples are the calls that are spoiled here.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

/// Random elements of a sample operand; the same for the same seed.
Tensor drawn(const Sample::Operand& operand, std::int64_t seed) {
  const Tensor key = constant(std::vector<std::int64_t>{seed, 0});
  const Tensor numbers = random::uniform_from(key, operand.shape, operand.low, operand.high, float64);
  if (operand.dtype != string) return cast(numbers, operand.dtype);
  Tensor texts = Tensor::empty(operand.shape, string);
  for (std::int64_t i = 0; i < texts.numel(); ++i) texts.mutable_data<std::string>()[i] = std::to_string(numbers.data<double>()[std::size_t(i)]);
  return texts;
}

std::vector<Tensor> operands_of(const Sample& sample) {
  std::vector<Tensor> operands;
  for (const Sample::Operand& operand : sample.inputs) operands.push_back(drawn(operand, std::int64_t(operands.size())));
  return operands;
}

/// Calls `f` with every row and every sample of it.
void for_each_sample(const std::function<void(const OpDef&, const Sample&)>& f) {
  for (const OpDef& op : op_table()) {
    for (const Sample& sample : op.samples) f(op, sample);
    // A random matrix is neither symmetric nor positive definite, but a single positive number is.
    if (op.samples.empty()) f(op, {.inputs = {{.shape = {1, 1}, .low = 1}}});
  }
}

/// The call must throw an `E` of this op whose text holds all of `words`.
template <class E>
void expect_refusal(const OpDef& op, std::span<const Tensor> operands, const AttrList& attrs, std::initializer_list<std::string> words) {
  try {
    apply_named(op.name, operands, attrs);
    ADD_FAILURE() << op.name << " took the call";
  } catch (const E& error) {
    EXPECT_EQ(error.op(), op.name) << error.what();
    for (const std::string& word : words) EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what() << " lacks " << word;
  } catch (const std::exception& error) {
    ADD_FAILURE() << op.name << " threw another error: " << error.what();
  }
}

const DTypeRule::Operand& rule_of(const OpDef& op, std::size_t operand) {
  return op.dtypes.inputs[std::min(operand, op.dtypes.inputs.size() - 1)];
}

Tensor with_dtype(const Tensor& x, DType dtype) {
  if (dtype == string) return Tensor::empty(x.shape(), string);
  return x.dtype() == string ? zeros(x.shape(), dtype) : cast(x, dtype);
}

TEST(BadInput, EveryRowRefusesAWrongNumberOfOperands) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    std::vector<Tensor> operands = operands_of(sample);
    const Tensor extra = operands.empty() ? constant(1.0f) : operands.back();
    if (op.max_inputs >= 0) {
      std::vector<Tensor> more = operands;
      more.resize(std::size_t(op.max_inputs) + 1, extra);
      expect_refusal<InvalidArgumentError>(op, more, sample.attrs, {"operands, got " + std::to_string(more.size()), to_string(extra.spec())});
    }
    if (op.min_inputs > 0) {
      operands.resize(std::size_t(op.min_inputs) - 1);
      expect_refusal<InvalidArgumentError>(op, operands, sample.attrs, {"operands, got " + std::to_string(operands.size())});
    }
  });
}

TEST(BadInput, EveryRowRefusesADTypeItDoesNotAllow) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    if (op.dtypes.inputs.empty()) return;
    const std::vector<Tensor> operands = operands_of(sample);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      for (int d = 0; d < kDTypeCount; ++d) {
        if (rule_of(op, i).allowed.contains(DType(d))) continue;
        std::vector<Tensor> spoiled = operands;
        spoiled[i] = with_dtype(operands[i], DType(d));
        expect_refusal<TypeError>(op, spoiled, sample.attrs, {std::string(name(DType(d)))});
      }
    }
  });
}

TEST(BadInput, EveryRowRefusesTwoDTypesWhereItWantsOne) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    const std::vector<Tensor> operands = operands_of(sample);
    for (std::size_t i = 0; i < operands.size() && !op.dtypes.inputs.empty(); ++i) {
      for (std::size_t j = 0; j < operands.size(); ++j) {
        if (i == j || rule_of(op, i).group < 0 || rule_of(op, i).group != rule_of(op, j).group) continue;
        const DType other = operands[i].dtype() == float32 ? float64 : float32;
        std::vector<Tensor> spoiled = operands;
        spoiled[i] = with_dtype(operands[i], other);
        expect_refusal<TypeError>(op, spoiled, sample.attrs, {std::string(name(other)), std::string(name(operands[i].dtype()))});
      }
    }
  });
}

TEST(BadInput, EveryRowRefusesAnUndefinedTensor) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    const std::vector<Tensor> operands = operands_of(sample);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      std::vector<Tensor> spoiled = operands;
      spoiled[i] = Tensor();
      expect_refusal<InvalidArgumentError>(op, spoiled, sample.attrs, {"undefined"});
    }
  });
}

TEST(BadInput, EveryRowRefusesAnUnknownAttribute) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    AttrList attrs = sample.attrs;
    attrs.push_back({"no_such_attribute", 1.0});
    expect_refusal<InvalidArgumentError>(op, operands_of(sample), attrs, {"no_such_attribute"});
  });
}

/// Computes, with gradients where the row has them, or refuses with an error that names an op.
void expect_computed_or_refused(const OpDef& op, std::span<const Tensor> operands, const AttrList& attrs) {
  std::string call = std::string(op.name);
  for (const Tensor& operand : operands) call += " " + to_string(operand.spec());
  try {
    autodiff::GradientTape tape;
    for (const Tensor& operand : operands) tape.watch(operand);
    Tensors results = apply_named(op.name, operands, attrs);
    const std::vector<Tensor> targets(results.begin(), results.end());
    for (const Tensor& result : results) EXPECT_EQ(result.numel(), result.shape().numel()) << call;
    for (const Tensor& target : targets)
      if (target.dtype() == float64) {
        for (std::size_t i = 0; i < operands.size(); ++i) {
          if (operands[i].dtype() != float64) continue;
          autodiff::GradientTape again;
          again.watch(operands[i]);
          const Tensors results_again = apply_named(op.name, operands, attrs);
          const Gradient gradient = again.gradient(results_again.front(), operands[i]);
          if (gradient.exists()) {
            EXPECT_EQ(gradient.dense().shape(), operands[i].shape()) << call;
          }
        }
        break;
      }
  } catch (const Error& error) {
    EXPECT_FALSE(error.op().empty()) << call << ": " << error.what();
    EXPECT_EQ(dynamic_cast<const InternalError*>(&error), nullptr) << call << ": " << error.what();
  } catch (const std::exception& error) {
    ADD_FAILURE() << call << ": " << error.what();
  }
}

TEST(BadInput, EveryRowComputesOrRefusesAnEmptyOperand) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    const std::vector<Tensor> operands = operands_of(sample);
    for (std::size_t i = 0; i < operands.size(); ++i)
      for (int axis = 0; axis < operands[i].ndim(); ++axis) {
        std::vector<Tensor> spoiled = operands;
        Shape shape = operands[i].shape();
        shape[axis] = 0;
        spoiled[i] = Tensor::empty(shape, operands[i].dtype());
        expect_computed_or_refused(op, spoiled, sample.attrs);
      }
  });
}

TEST(BadInput, EveryRowComputesOrRefusesOperandsThatAreAllEmpty) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    for (int axis = 0; axis < 4; ++axis) {
      std::vector<Tensor> spoiled;
      for (const Sample::Operand& operand : sample.inputs) {
        Shape shape = operand.shape;
        if (axis < shape.ndim()) shape[axis] = 0;
        spoiled.push_back(Tensor::empty(shape, operand.dtype));
        if (shape.numel() > 0) spoiled.back() = drawn(operand, 0);
      }
      expect_computed_or_refused(op, spoiled, sample.attrs);
    }
  });
}

TEST(BadInput, EveryRowComputesOrRefusesAnOperandOfOtherSizes) {
  for_each_sample([](const OpDef& op, const Sample& sample) {
    const std::vector<Tensor> operands = operands_of(sample);
    for (std::size_t i = 0; i < operands.size(); ++i) {
      const Sample::Operand& operand = sample.inputs[i];
      const auto attempt = [&](const Shape& shape) {
        std::vector<Tensor> spoiled = operands;
        spoiled[i] = drawn({operand.dtype, shape, operand.low, operand.high}, 1);
        expect_computed_or_refused(op, spoiled, sample.attrs);
      };
      for (int axis = 0; axis < operand.shape.ndim(); ++axis) {
        for (const std::int64_t change : {-1, +1}) {
          Shape shape = operand.shape;
          shape[axis] = std::max<std::int64_t>(0, shape[axis] + change);
          attempt(shape);
        }
      }
      attempt({});
      attempt({2});
      attempt({1, 2, 1, 2, 1, 2, 1, 2});
    }
  });
}

// ---- by hand: what samples do not reach

/// `f` must throw an E of `op` whose text holds all of `words`.
template <class E, class F>
void expect_error(F&& f, const char* op, std::initializer_list<const char*> words) {
  try {
    f();
    ADD_FAILURE() << op << " took the call";
  } catch (const E& error) {
    EXPECT_EQ(error.op(), op) << error.what();
    for (const char* word : words) EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what() << " lacks " << word;
  } catch (const std::exception& error) {
    ADD_FAILURE() << op << " threw another error: " << error.what();
  }
}

using Floats = std::vector<float>;
using Ints32 = std::vector<std::int32_t>;
constexpr std::int64_t kHuge = std::int64_t(1) << 50;

/// Equal, NaN to NaN.
void expect_same(const Tensor& x, const Floats& wanted) {
  const Floats given = x.to_vector<float>();
  ASSERT_EQ(given.size(), wanted.size());
  for (std::size_t i = 0; i < given.size(); ++i) EXPECT_TRUE(given[i] == wanted[i] || (std::isnan(given[i]) && std::isnan(wanted[i]))) << i << ": " << given[i];
}

TEST(NotANumber, SortsBehindEveryNumberAsInNumPy) {
  const Tensor x = constant({3.0f, NAN, -INFINITY, INFINITY, NAN, 1.0f});
  expect_same(sort(x), {-INFINITY, 1, 3, INFINITY, NAN, NAN});
  expect_same(sort(x, -1, "descending"), {NAN, NAN, INFINITY, 3, 1, -INFINITY});
  EXPECT_EQ(argsort(x).to_vector<std::int32_t>(), (Ints32{2, 5, 0, 3, 1, 4}));
  const auto [values, indices] = top_k(x, 3);
  expect_same(values, {NAN, NAN, INFINITY});
  EXPECT_EQ(indices.to_vector<std::int32_t>(), (Ints32{1, 4, 3}));
}

TEST(NotANumber, IsOneDistinctValueAsInNumPy) {
  const auto [values, index, count] = unique_with_counts(constant({NAN, 1.0f, NAN, -0.0f, 0.0f}));
  expect_same(values, {NAN, 1, 0});
  EXPECT_EQ(index.to_vector<std::int32_t>(), (Ints32{0, 1, 0, 2, 2}));
  EXPECT_EQ(count.to_vector<std::int32_t>(), (Ints32{2, 1, 2}));
}

TEST(NotANumber, IsSoughtBehindEveryNumberAsInNumPy) {
  const Tensor sorted = constant({1.0f, 2.0f, NAN, NAN}), sought = constant({NAN, 5.0f, -INFINITY});
  EXPECT_EQ(searchsorted(sorted, sought).to_vector<std::int32_t>(), (Ints32{2, 2, 0}));
  EXPECT_EQ(searchsorted(sorted, sought, "right").to_vector<std::int32_t>(), (Ints32{4, 2, 0}));
}

TEST(NotANumber, IsTheMaximumAndTheMinimumWhereverItStands) {
  for (const std::int64_t n : {1, 5, 64, 1000, 5000})
    for (const std::int64_t at : {std::int64_t(0), n / 2, n - 1}) {
      Floats values(std::size_t(n), 1.0f);
      values[std::size_t(at)] = NAN;
      const Tensor x = constant(values);
      EXPECT_TRUE(std::isnan(reduce_max(x).item<float>())) << n << " " << at;
      EXPECT_TRUE(std::isnan(reduce_min(x).item<float>())) << n << " " << at;
      EXPECT_TRUE(std::isnan(reduce_max(cast(x, float16)).item<Half>() == Half(1.0f) ? 0.0f : NAN)) << n << " " << at;
      EXPECT_EQ(argmax(x).item<std::int64_t>(), at) << n;
      EXPECT_EQ(argmin(x).item<std::int64_t>(), at) << n;
      EXPECT_TRUE(std::isnan(reduce_max(reshape(x, {n, 1}), 0).data<float>()[0])) << n << " " << at;
    }
  EXPECT_TRUE(std::isnan(maximum(constant(NAN), constant(1.0f)).item<float>()));
  EXPECT_TRUE(std::isnan(minimum(constant(1.0f), constant(NAN)).item<float>()));
}

TEST(BadIndex, IsRefusedByEveryGather) {
  const Tensor x = zeros({3, 2});
  for (const std::int64_t wrong : {std::int64_t(3), std::int64_t(-1), INT64_MAX, INT64_MIN}) {
    const Tensor at = constant(std::vector<std::int64_t>{0, wrong});
    const std::string number = "index " + std::to_string(wrong);
    expect_error<InvalidArgumentError>([&] { gather(x, at); }, "gather", {number.c_str(), "[0, 3)"});
    expect_error<InvalidArgumentError>([&] { embedding_lookup(x, at); }, "gather", {number.c_str(), "[0, 3)"});
    expect_error<InvalidArgumentError>([&] { gather_nd(x, expand_dims(at, -1)); }, "gather_nd", {number.c_str(), "[0, 3)"});
    expect_error<InvalidArgumentError>([&] { take_along_axis(x, expand_dims(at, 0), 0); }, "take_along_axis", {number.c_str(), "[0, 3)"});
  }
}

TEST(BadIndex, IsRefusedByEveryScatter) {
  const Tensor x = zeros({3}), updates = ones({2});
  for (const std::int64_t wrong : {std::int64_t(3), std::int64_t(-1), INT64_MAX, INT64_MIN}) {
    const Tensor at = constant(std::vector<std::int64_t>{0, wrong}, {2, 1});
    const std::string number = "index " + std::to_string(wrong);
    expect_error<InvalidArgumentError>([&] { scatter_nd(at, updates, {3}); }, "scatter_nd", {number.c_str()});
    expect_error<InvalidArgumentError>([&] { tensor_scatter_add(x, at, updates); }, "tensor_scatter_add", {number.c_str()});
    expect_error<InvalidArgumentError>([&] { tensor_scatter_sub(x, at, updates); }, "tensor_scatter_sub", {number.c_str()});
    expect_error<InvalidArgumentError>([&] { tensor_scatter_max(x, at, updates); }, "tensor_scatter_max", {number.c_str()});
    expect_error<InvalidArgumentError>([&] { tensor_scatter_update(x, at, updates); }, "tensor_scatter_update", {number.c_str()});
    const Tensor ids = constant(std::vector<std::int64_t>{0, wrong});
    if (wrong > 0) expect_error<InvalidArgumentError>([&] { unsorted_segment_sum(updates, ids, 3); }, "unsorted_segment_sum", {"segment id"});
    expect_error<Error>([&] { segment_sum(updates, wrong == 3 ? constant({3, 0}) : ids); }, "segment_sum", {"segment_ids"});
  }
}

TEST(BadIndex, IsRefusedByEverySlice) {
  const Tensor x = zeros({3, 2});
  expect_error<InvalidArgumentError>([&] { slice(x, {0, 0}, {4, 1}); }, "slice", {"size 4", "(3, 2)"});
  expect_error<InvalidArgumentError>([&] { slice(x, {-1, 0}, {1, 1}); }, "slice", {"begin -1"});
  expect_error<InvalidArgumentError>([&] { slice(x, {INT64_MAX, 0}, {1, 1}); }, "slice", {"(3, 2)"});
  expect_error<InvalidArgumentError>([&] { slice(x, {2, 0}, {INT64_MAX, 1}); }, "slice", {"(3, 2)"});
  expect_error<InvalidArgumentError>([&] { slice(x, {0}, {1}); }, "slice", {"one number per axis"});
  expect_error<InvalidArgumentError>([&] { split(x, Ints{2, 2}, 0); }, "split", {"[2, 2]"});
  expect_error<InvalidArgumentError>([&] { split(x, Ints{INT64_MAX, INT64_MAX}, 0); }, "split", {"(3, 2)"});
  expect_error<InvalidArgumentError>([&] { split(x, 2, 0); }, "split", {"2 equal parts"});
  expect_error<InvalidArgumentError>([&] { top_k(x, 3); }, "top_k", {"k 3"});
}

TEST(BadIndex, GivesARowOfOffValuesInOneHotAsInTensorFlow) {
  EXPECT_EQ(one_hot(constant({1, -1, 2}), 2).to_vector<float>(), (Floats{0, 1, 0, 0, 0, 0}));
  EXPECT_EQ(one_hot(constant(std::vector<std::int64_t>{INT64_MIN, INT64_MAX}), 1).to_vector<float>(), (Floats{0, 0}));
}

TEST(BadAxis, IsRefusedHoweverLarge) {
  const Tensor x = zeros({3, 2});
  for (const std::int64_t axis : {std::int64_t(2), std::int64_t(-3), std::int64_t(1) << 32, INT64_MAX, INT64_MIN}) {
    expect_error<InvalidArgumentError>([&] { reduce_sum(x, axis); }, "reduce_sum", {"axis", "(3, 2)"});
    expect_error<InvalidArgumentError>([&] { argmax(x, axis); }, "argmax", {"axis", "(3, 2)"});
    expect_error<InvalidArgumentError>([&] { softmax(x, axis); }, "softmax", {"axis", "(3, 2)"});
    expect_error<InvalidArgumentError>([&] { gather(x, constant({0}), axis); }, "gather", {"axis"});
    expect_error<InvalidArgumentError>([&] { transpose(x, {0, axis}); }, "transpose", {"(3, 2)"});
    expect_error<InvalidArgumentError>([&] { squeeze(x, axis); }, "squeeze", {"axis"});
    expect_error<InvalidArgumentError>([&] { sort(x, axis); }, "sort", {"axis"});
    expect_error<InvalidArgumentError>([&] { cumsum(x, axis); }, "cumsum", {"axis"});
    expect_error<InvalidArgumentError>([&] { roll(x, 1, axis); }, "roll", {"axis"});
  }
  EXPECT_EQ(roll(range(0, 3), INT64_MAX, 0).to_vector<std::int32_t>(), (Ints32{2, 0, 1}));
}

TEST(BadShape, IsRefusedByReshape) {
  const Tensor x = zeros({3, 2});
  expect_error<InvalidArgumentError>([&] { reshape(x, {4}); }, "reshape", {"6 elements", "[4]", "(3, 2)"});
  expect_error<InvalidArgumentError>([&] { reshape(x, {-1, 4}); }, "reshape", {"[-1, 4]"});
  expect_error<InvalidArgumentError>([&] { reshape(x, {-1, -1}); }, "reshape", {"only one"});
  expect_error<InvalidArgumentError>([&] { reshape(x, {-2, 3}); }, "reshape", {"-2"});
  expect_error<InvalidArgumentError>([&] { reshape(x, {std::int64_t(1) << 32, std::int64_t(1) << 32, 6}); }, "reshape", {"overflows"});
  expect_error<InvalidArgumentError>([&] { reshape(x, {1, 1, 1, 1, 1, 1, 1, 3, 2}); }, "reshape", {"8 axes"});
  expect_error<InvalidArgumentError>([&] { reshape(zeros({0}), {-1, 0}); }, "reshape", {"[-1, 0]"});
  expect_error<InvalidArgumentError>([&] { reshape(zeros({0}), {0, kHuge, kHuge}); }, "reshape", {"overflows"});
  EXPECT_EQ(reshape(zeros({0, 3}), {-1, 3}).shape(), (Shape{0, 3}));
}

TEST(AbsurdSize, IsRefusedWithATypedError) {
  const Tensor x = zeros({1, 2});
  expect_error<ResourceExhaustedError>([&] { tile(x, {kHuge, 1}); }, "tile", {"cannot allocate", "float32 (1, 2)"});
  expect_error<InvalidArgumentError>([&] { tile(x, {INT64_MAX, 4}); }, "tile", {"overflows", "(1, 2)"});
  expect_error<InvalidArgumentError>([&] { tile(x, {-1, 1}); }, "tile", {"[-1, 1]"});
  expect_error<ResourceExhaustedError>([&] { repeat(x, {kHuge}, 0); }, "repeat", {"cannot allocate"});
  expect_error<InvalidArgumentError>([&] { repeat(x, {INT64_MAX}, 1); }, "repeat", {"too large"});
  expect_error<ResourceExhaustedError>([&] { pad(x, {{kHuge, 0}, {0, 0}}); }, "pad", {"cannot allocate"});
  expect_error<InvalidArgumentError>([&] { pad(x, {{INT64_MAX, INT64_MAX}, {0, 0}}); }, "pad", {"(1, 2)"});
  expect_error<InvalidArgumentError>([&] { pad(x, {{0, -1}, {0, 0}}); }, "pad", {"[0, -1]"});
  expect_error<InvalidArgumentError>([&] { pad(x, {{1, 1}, {0, 0}}, "reflect"); }, "pad", {"reflect"});
  expect_error<ResourceExhaustedError>([&] { range(0, kHuge, 1, int64); }, "range", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { eye(1 << 26); }, "eye", {"cannot allocate"});
  expect_error<InvalidArgumentError>([&] { eye(kHuge); }, "eye", {"overflows"});
  expect_error<InvalidArgumentError>([&] { eye(-1); }, "eye", {"-1"});
  expect_error<ResourceExhaustedError>([&] { fill({kHuge}, 1); }, "fill", {"cannot allocate"});
  expect_error<InvalidArgumentError>([&] { fill({kHuge, kHuge}, 1); }, "fill", {"overflows"});
  expect_error<InvalidArgumentError>([&] { fill({2, -1}, 1); }, "fill", {"-1"});
  expect_error<ResourceExhaustedError>([&] { one_hot(constant({0}), kHuge); }, "one_hot", {"cannot allocate", "int32 (1,)"});
  expect_error<InvalidArgumentError>([&] { one_hot(zeros({64}, int32), std::int64_t(1) << 57); }, "one_hot", {"overflows"});
  expect_error<InvalidArgumentError>([&] { one_hot(constant({0}), -1); }, "one_hot", {"-1"});
  expect_error<ResourceExhaustedError>([&] { broadcast_to(x, {kHuge, 2}); }, "broadcast_to", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { linspace(0, 1, kHuge); }, "linspace", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { random::uniform({kHuge}); }, "random_uniform", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { unsorted_segment_sum(x, constant({0}), kHuge); }, "unsorted_segment_sum", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { scatter_nd(constant({{0}}), ones({1}), {kHuge}); }, "scatter_nd", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { bincount(constant({kHuge})); }, "bincount", {"cannot allocate"});
  expect_error<ResourceExhaustedError>([&] { segment_sum(ones({1}), constant({kHuge})); }, "segment_sum", {"cannot allocate"});
  expect_error<InvalidArgumentError>([&] { split(zeros({0}), std::int64_t(1) << 40, 0); }, "split", {"2^20"});
  expect_error<InvalidArgumentError>([&] { unstack(zeros({kHuge, 0})); }, "unstack", {"2^20"});
}

TEST(AbsurdSize, OfNothingIsNothing) {
  EXPECT_EQ(tile(zeros({0}), {kHuge}).shape(), (Shape{0}));
  EXPECT_EQ(tile(zeros({1, 1}), {0, kHuge}).shape(), (Shape{0, kHuge}));
  EXPECT_EQ(repeat(zeros({1, 0}), {kHuge}, 0).shape(), (Shape{kHuge, 0}));
  EXPECT_EQ(eye(0, kHuge).shape(), (Shape{0, kHuge}));
  EXPECT_EQ(bincount(constant(std::vector<std::int64_t>{1, INT64_MAX}), {}, 4).to_vector<std::int32_t>(), (Ints32{0, 1}));
}

TEST(Range, RefusesWhatHasNoNumberOfSteps) {
  expect_error<InvalidArgumentError>([] { range(0, 3, 0); }, "range", {"delta"});
  expect_error<InvalidArgumentError>([] { range(3, 0); }, "range", {"from 3 to 0"});
  expect_error<InvalidArgumentError>([] { range(0, NAN, 1, float32); }, "range", {"nan"});
  expect_error<InvalidArgumentError>([] { range(0, INFINITY, 1, float32); }, "range", {"inf"});
  expect_error<InvalidArgumentError>([] { range(0, 1, 1e-300, float32); }, "range", {"1e-300"});
  expect_error<InvalidArgumentError>([] { range(0, 1.5, 1, int32); }, "range", {"1.5"});
  expect_error<InvalidArgumentError>([] { range(0, 300, 1, int8); }, "range", {"299", "int8"});
  expect_error<TypeError>([] { range(0, 2, 1, boolean); }, "range", {"bool"});
  expect_error<TypeError>([] { range(0, 2, 1, complex64); }, "range", {"complex64"});
  EXPECT_EQ(range(-128, 128, 1, int8).numel(), 256);
  EXPECT_EQ(range(INT64_MIN, INT64_MAX, INT64_MAX, int64).to_vector<std::int64_t>(), (std::vector<std::int64_t>{INT64_MIN, -1, INT64_MAX - 1}));
}

TEST(Window, RefusesAKernelLargerThanTheInput) {
  const Tensor x = zeros({1, 2, 5, 1});
  expect_error<InvalidArgumentError>([&] { conv2d(x, zeros({3, 3, 1, 1})); }, "conv2d", {"window of 3", "size 2"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, zeros({2, 2, 1, 1}), {1, 1}, "valid", {2, 1}); }, "conv2d", {"window of 3", "size 2"});
  expect_error<InvalidArgumentError>([&] { depthwise_conv2d(x, zeros({1, 6, 1, 1})); }, "depthwise_conv2d", {"window of 6", "size 5"});
  expect_error<InvalidArgumentError>([&] { conv1d(zeros({1, 2, 1}), zeros({3, 1, 1})); }, "conv1d", {"window of 3"});
  expect_error<InvalidArgumentError>([&] { conv3d(zeros({1, 2, 2, 2, 1}), zeros({2, 2, 3, 1, 1})); }, "conv3d", {"window of 3"});
  expect_error<InvalidArgumentError>([&] { max_pool2d(x, {3, 3}, {1, 1}); }, "max_pool2d", {"window of 3", "size 2"});
  expect_error<InvalidArgumentError>([&] { avg_pool2d(x, {1, 6}, {1, 1}); }, "avg_pool2d", {"window of 6", "size 5"});
  expect_error<InvalidArgumentError>([&] { max_pool1d(zeros({1, 2, 1}), 3, 1); }, "max_pool1d", {"window of 3"});
  EXPECT_EQ(conv2d(x, zeros({3, 3, 1, 1}), {1, 1}, "same").shape(), (Shape{1, 2, 5, 1}));
  EXPECT_EQ(max_pool2d(x, {7, 7}, {1, 1}, "same").shape(), (Shape{1, 2, 5, 1}));
}

TEST(Window, RefusesStridesPaddingsAndGroupsThatMakeNoSense) {
  const Tensor x = zeros({1, 4, 4, 2}), kernel = zeros({2, 2, 2, 2});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {0, 1}); }, "conv2d", {"at least 1", "(1, 4, 4, 2)"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1}); }, "conv2d", {"one number per spatial axis"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {INT64_MAX, 1}, "same"); }, "conv2d", {"2^30"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "same", {INT64_MAX, 1}); }, "conv2d", {"2^30"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "smae"); }, "conv2d", {"smae"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "causal"); }, "conv2d", {"causal"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "explicit", {1, 1}, 1, {{0, -1}, {0, 0}}); }, "conv2d", {"[[0, -1], [0, 0]]"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "explicit", {1, 1}, 1, {{INT64_MAX, INT64_MAX}, {0, 0}}); }, "conv2d", {"explicit_padding"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "valid", {1, 1}, 0); }, "conv2d", {"channels"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, kernel, {1, 1}, "valid", {1, 1}, INT64_MAX); }, "conv2d", {"channels"});
  expect_error<InvalidArgumentError>([&] { conv2d(x, zeros({2, 2, 3, 2})); }, "conv2d", {"(2, 2, 3, 2)"});
  expect_error<InvalidArgumentError>([&] { max_pool2d(x, {2, 2}, {0, 1}); }, "max_pool2d", {"between 1"});
  expect_error<InvalidArgumentError>([&] { conv2d_transpose(x, kernel, {1, 9, 9, 2}); }, "conv2d_transpose", {"(1, 9, 9, 2)"});
}

TEST(Einsum, RefusesNonsense) {
  const Tensor a = zeros({2, 3}), b = zeros({3, 4});
  for (const char* equation : {"", "ij", "ij,jk,kl->il", "ij,jk->il", "ij,jk->ii", "i,jk->i", "ijk,jk->i", "ij,kj->ik", "i1,jk->i", "ij,jk->i->k", "......,jk->", "...ijk,jk->i", "->"})
    expect_error<InvalidArgumentError>([&] { einsum(std::vector{a, b}, equation); }, "einsum", {"float32 (2, 3), float32 (3, 4)"});
  EXPECT_EQ(einsum(std::vector{a, b}, "ij,jk").shape(), (Shape{2, 4}));
  expect_error<InvalidArgumentError>([&] { tensordot(a, b, {{3}}); }, "tensordot", {"[[3]]"});
  expect_error<InvalidArgumentError>([&] { tensordot(a, a, {{0, 0}, {0, 0}}); }, "tensordot", {"[[0, 0], [0, 0]]"});
}

TEST(MatMul, OverNothingGivesZeros) {
  for (const DType dtype : {int32, float16, bfloat16, float32, float64, complex64}) {
    const Tensor product = matmul(zeros({2, 0}, dtype), zeros({0, 3}, dtype));
    EXPECT_EQ(product.shape(), (Shape{2, 3}));
    EXPECT_EQ(cast(product, complex128).to_vector<std::complex<double>>(), std::vector<std::complex<double>>(6));
  }
  EXPECT_EQ(matmul(zeros({0, 4}), zeros({4, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(einsum(std::vector{zeros({2, 0}), zeros({0, 3})}, "ij,jk->ik").to_vector<float>(), Floats(6, 0.0f));
  expect_error<InvalidArgumentError>([] { matmul(zeros({kHuge, 0}), zeros({0, kHuge})); }, "matmul", {"overflows"});
  expect_error<InvalidArgumentError>([] { matmul(zeros({2, 3}), zeros({2, 3})); }, "matmul", {"(2, 3)", "inner sizes"});
}

TEST(MatMul, WithAnEpilogueOverNothingIsTraced) {
  // Large enough for the fusion pass, which must leave it alone.
  const Tensor bias = full({64}, 2, float32);
  const auto layer = autodiff::function([](const Tensor& x, const Tensor& kernel, const Tensor& b) { return relu(bias_add(matmul(x, kernel), b)); });
  EXPECT_EQ(layer(zeros({64, 0}), zeros({0, 64}), bias).to_vector<float>(), Floats(64 * 64, 2.0f));
}

TEST(Division, ByTheIntegerZeroIsRefused) {
  expect_error<InvalidArgumentError>([] { floordiv(constant({1, 2}), constant({1, 0})); }, "floordiv", {"zero", "element 1"});
  expect_error<InvalidArgumentError>([] { mod(constant({1}), constant({0})); }, "mod", {"zero"});
  expect_error<InvalidArgumentError>([] { pow(constant({2}), constant({-1})); }, "pow", {"negative"});
  EXPECT_EQ(floordiv(constant({INT32_MIN}), constant({-1})).item<std::int32_t>(), INT32_MIN);
}

}  // namespace
}  // namespace lockstep
