// What every row of the op table does with calls it cannot take: it refuses with a typed error that names the op and says what was
// given, and never crashes. The rows' own samples are the calls that are spoiled here.

#include <gtest/gtest.h>

#include <functional>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

/// Random elements of a sample operand; the same for the same seed.
Tensor drawn(const Sample::Operand& operand, std::int64_t seed) {
  const Tensor key = constant(std::vector<std::int64_t>{seed, 0});
  return cast(random::uniform_from(key, operand.shape, operand.low, operand.high, float64), operand.dtype);
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

Tensor with_dtype(const Tensor& x, DType dtype) { return dtype == string ? Tensor::empty(x.shape(), string) : cast(x, dtype); }

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

}  // namespace
}  // namespace lockstep
