#pragma once
// Pictures in folders, labelled by the folders' names.

#include <string>
#include <vector>

#include <lockstep/io/dataset.h>

namespace lockstep::io {

struct ImageFolderOptions {
  std::int64_t channels = 3;         // 1 grey, 3 colours, 4 with alpha; 0: as each file has it
  std::vector<std::int64_t> size = {};  // height, width: scaled to it, float32; none: as it is, uint8
  bool crop_to_aspect_ratio = false; // scaled to cover the size, and its middle taken
  MapOptions decode = {.threads = kAutotune};
};
struct ImageFolder {
  /// Maps of image (height, width, channels) and label, int32.
  Dataset dataset;
  std::vector<std::string> class_names;  // by label: the folders', sorted
  std::vector<std::string> paths;        // of the files, class by class, sorted
  std::vector<std::int32_t> labels;
};

/// `directory`/CLASS/**.{png,jpg,jpeg} (keras.utils.image_dataset_from_directory, without its batches). Files are decoded as far as they are asked for, not when
/// they are skipped; a shuffle before the decoding would cost less: ImageFolder::paths and labels are there to build it. Throws NotFoundError for a directory
/// that is not there or has no pictures; DataLossError, when read, names the file that is damaged.
ImageFolder image_folder(const std::string& directory, const ImageFolderOptions& options = {});
/// The same of a list of files, in any order.
Dataset image_files(const std::vector<std::string>& paths, const std::vector<std::int32_t>& labels, const ImageFolderOptions& options = {});

}  // namespace lockstep::io
