#include <lockstep/nn/compile.h>

namespace lockstep::nn {

std::vector<MetricList> MetricChoices::resolve(const std::vector<std::string>& outputs, const std::string& what) const {
  if (!flat_.empty()) {
    if (outputs.size() == 1) {
      MetricList list;
      for (const MetricChoice& metric : flat_) list.push_back(metric);
      return {list};
    }
    // One for each output, as Keras takes it.
    if (flat_.size() != outputs.size())
      throw InvalidArgumentError(what + ": the model has " + std::to_string(outputs.size()) + " outputs, " + std::to_string(flat_.size()) + " metrics are given", "compile",
                                 "give a list for each output, by its name");
    std::vector<MetricList> lists;
    for (const MetricChoice& metric : flat_) lists.push_back({metric});
    return lists;
  }
  return per_output_.resolve(outputs, what);
}

}  // namespace lockstep::nn
