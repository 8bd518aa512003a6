#include <lockstep/io/image_folder.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include <lockstep/io/file.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/image.h>
#include <lockstep/tensor/ops.h>

namespace lockstep::io {
namespace {

namespace fs = std::filesystem;

bool is_picture(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return ending == ".png" || ending == ".jpg" || ending == ".jpeg";
}

/// The largest part of the image's middle that has the proportions of `size`.
Tensor middle_of(const Tensor& image, const std::vector<std::int64_t>& size) {
  const std::int64_t height = image.shape()[0], width = image.shape()[1];
  const std::int64_t h = std::max<std::int64_t>(1, std::min(height, width * size[0] / size[1])), w = std::max<std::int64_t>(1, std::min(width, height * size[1] / size[0]));
  return image::crop_to_bounding_box(image, (height - h) / 2, (width - w) / 2, h, w);
}

Tensor read_picture(const std::string& path, const ImageFolderOptions& options) {
  Tensor bytes = Tensor::empty({}, string);
  *bytes.mutable_data<std::string>() = read_file(path);
  Tensor picture;
  try {
    picture = image::decode_image(bytes, {.channels = options.channels});
  } catch (const Error& error) {
    throw DataLossError("'" + path + "': " + error.what());
  }
  if (options.size.empty()) return picture;
  if (options.crop_to_aspect_ratio) picture = middle_of(picture, options.size);
  return image::resize(picture, {options.size[0], options.size[1]});
}

}  // namespace

Dataset image_files(const std::vector<std::string>& paths, const std::vector<std::int32_t>& labels, const ImageFolderOptions& options) {
  if (paths.size() != labels.size()) throw InvalidArgumentError(std::to_string(labels.size()) + " labels do not go with " + std::to_string(paths.size()) + " files", "image_files");
  if (paths.empty()) throw InvalidArgumentError("there is no file to read", "image_files");
  if (!options.size.empty() && (options.size.size() != 2 || options.size[0] < 1 || options.size[1] < 1)) throw InvalidArgumentError("size is a height and a width", "image_files");
  return Dataset::from_tensor_slices({constant(paths), constant(labels)}).map([options](const Tensor& path, const Tensor& label) {
    return Nest{{"image", read_picture(path.item<std::string>(), options)}, {"label", label}};
  }, options.decode);
}

ImageFolder image_folder(const std::string& directory, const ImageFolderOptions& options) {
  if (!fs::is_directory(directory)) throw NotFoundError("there is no directory '" + directory + "'", "image_folder");
  std::vector<std::string> classes, paths;
  std::vector<std::int32_t> labels;
  for (const auto& entry : fs::directory_iterator(directory))
    if (entry.is_directory()) classes.push_back(entry.path().filename().string());
  std::sort(classes.begin(), classes.end());
  for (std::size_t label = 0; label < classes.size(); ++label) {
    std::vector<std::string> here;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(directory) / classes[label]))
      if (entry.is_regular_file() && is_picture(entry.path())) here.push_back(entry.path().string());
    std::sort(here.begin(), here.end());
    paths.insert(paths.end(), here.begin(), here.end());
    labels.insert(labels.end(), here.size(), std::int32_t(label));
  }
  if (paths.empty()) throw NotFoundError("there are no PNG or JPEG files in folders of '" + directory + "'", "image_folder");
  return {image_files(paths, labels, options), std::move(classes), std::move(paths), std::move(labels)};
}

}  // namespace lockstep::io
