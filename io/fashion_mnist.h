#pragma once
// Fashion-MNIST: 70,000 grey pictures of ten kinds of clothes (Xiao, Rasul, Vollgraf, 2017), from Debian's package.

#include <string>
#include <vector>

#include <lockstep/tensor/tensor.h>

namespace lockstep::io {

/// Pictures and what they show.
struct LabelledImages {
  Tensor images;  // uint8 (n, 28, 28)
  Tensor labels;  // int32 (n,)
};
struct FashionMnist {
  LabelledImages train;  // n = 60000
  LabelledImages test;   // n = 10000
  std::vector<std::string> class_names;  // by label: "T-shirt/top", "Trouser", ...
};

/// Reads the four files of Debian's package dataset-fashion-mnist, or of $LOCKSTEP_DATA, a directory that holds them (gzipped or
/// plain) or a folder fashion-mnist with them. Throws NotFoundError that says how to install them, DataLossError for damaged files.
FashionMnist fashion_mnist();

}  // namespace lockstep::io
