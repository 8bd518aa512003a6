#pragma once
// The golden cases: reading them, and comparing with them.

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <lockstep/lockstep.h>

namespace golden {

using Json = nlohmann::ordered_json;

/// One group of a golden file.
struct Case {
  std::string name;                            // "0012_add"
  Json spec;                                   // its attribute "case"
  std::map<std::string, lockstep::Tensor> data;
  std::filesystem::path folder = {};           // of the file, beside which others may lie

  std::string op() const { return spec.at("op"); }
  std::vector<lockstep::Tensor> inputs() const;
  const lockstep::Tensor& at(const std::string& name) const;
  bool has(const std::string& name) const { return data.contains(name); }
};

/// Calls `visit` for each case of a file, in order: HDF5, or JSON, whose cases have no data sets and are named by number, group and name. Throws std::runtime_error for a file that cannot be read.
void for_each_case(const std::filesystem::path& file, const std::function<void(const Case&)>& visit);

/// The attributes of a case in the form that the row declares.
lockstep::AttrList attributes(const lockstep::OpDef& op, const Json& attrs);

/// The tolerances of a case.
inline double rtol(const Case& c) { return c.spec.at("rtol"); }
inline double atol(const Case& c) { return c.spec.at("atol"); }

/// A failed expectation.
struct Mismatch : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A GPU's kernels take elements that the CPU's refuse (an index out of range): nothing to compare.
struct TakenByDevice : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// What should have been refused was not: throws TakenByDevice on a GPU, where only shapes, dtypes and attributes are judged, else Mismatch.
[[noreturn]] void accepted(const std::string& what);

/// Throws Mismatch unless dtype, shape and elements agree: |a - b| <= atol + rtol |b|, NaN equals NaN, infinities by sign, everything
/// but floats exactly.
void require_close(const std::string& what, const lockstep::Tensor& actual, const lockstep::Tensor& expected, double rtol, double atol);

/// Checks one case; throws Mismatch, or lets a lockstep::Error through, if it fails.
void check_op(const Case& c);
void check_gradient(const Case& c);
void check_derivative(const Case& c);
void check_optimizer(const Case& c);
void check_losses_metrics(const Case& c);
void check_component(const Case& c);
void check_layer(const Case& c);
void check_training(const Case& c);
void check_data_pipeline(const Case& c);
void check_image_signal(const Case& c);
void check_data_structures(const Case& c);

/// Are the values of two configurations the same: of an object at least the keys of `expected`, numbers equal to 1e-12 relative, or after
/// the rounding to float32 that Keras applies to some of its own?
bool same_value(const Json& actual, const Json& expected);
/// Without what Keras adds beside the configurations of nested layers: it does not belong to them.
Json without_build_config(Json json);
/// Throws Mismatch unless `actual` has at least the keys of `expected` with these values.
void require_config(const Json& actual, const Json& expected);
/// Throws Mismatch unless `f` throws an error of the category that a refusal names ("InvalidArgument", "TypeError", "IndexError", "OutOfRange", "Cancelled").
void require_refusal(const std::string& wanted, const std::function<void()>& f);

}  // namespace golden
