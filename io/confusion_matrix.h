#pragma once
// What a classifier mistakes for what, as a table to read.

#include <string>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// The text of a confusion matrix: `counts`, of any whole dtype, (classes, classes), has how often class `row` was taken for class
/// `column`. One line per class: its name, the counts, and the share that was right. Without names the classes are numbers.
/// Throws InvalidArgumentError for another shape, another number of names, or negative counts.
std::string format_confusion_matrix(const Tensor& counts, const std::vector<std::string>& class_names = {});

}  // namespace lockstep::io
