#include <lockstep/io/image_folder.h>

#include <gtest/gtest.h>

#include <lockstep/io/image.h>
#include <lockstep/tensor/base/error.h>
#include <lockstep/tensor/constant.h>
#include <lockstep/tensor/ops.h>

#include "files.h"

namespace lockstep::io {
namespace {

/// Two classes of pictures, each of one grey.
void write_pictures(const Folder& folder) {
  for (const std::string name : {"cats", "dogs", "dogs/puppies", "empty"}) std::filesystem::create_directories(folder.path(name));
  write_png(folder.path("cats/b.png"), full({4, 8}, 10, uint8));
  write_png(folder.path("cats/a.PNG"), full({4, 8}, 20, uint8));
  write_png(folder.path("dogs/puppies/c.png"), full({6, 6, 3}, 30, uint8));
  folder.write("dogs/readme.txt", "no picture");
}

TEST(ImageFolder, LabelsPicturesByTheirFolders) {
  const Folder folder;
  write_pictures(folder);
  const ImageFolder pictures = image_folder(folder.path("."), {.size = {2, 3}});
  EXPECT_EQ(pictures.class_names, (std::vector<std::string>{"cats", "dogs", "empty"}));
  EXPECT_EQ(pictures.labels, (std::vector<std::int32_t>{0, 0, 1}));
  Iterator iterator = pictures.dataset.batch(8).iterate();
  Tensors batch;
  ASSERT_TRUE(iterator.next(batch));
  const Nest nest = pictures.dataset.nest(batch);
  EXPECT_EQ(nest["image"].tensor().spec(), (TensorSpec{float32, {3, 2, 3, 3}}));
  EXPECT_EQ(nest["label"].tensor().to_vector<std::int32_t>(), pictures.labels);
  const auto values = nest["image"].tensor().data<float>();
  EXPECT_FLOAT_EQ(values[0], 20);  // a.PNG comes before b.png
  EXPECT_FLOAT_EQ(values[18], 10);
  EXPECT_FLOAT_EQ(values[36], 30);
}

TEST(ImageFolder, NamesTheFileThatIsDamaged) {
  const Folder folder;
  write_pictures(folder);
  const std::string bad = folder.write("dogs/bad.jpg", "\xff\xd8 not a picture");
  const ImageFolder pictures = image_folder(folder.path("."), {.channels = 0, .decode = {}});
  const auto read_all = [](const Dataset& dataset) {
    int count = 0;
    Iterator iterator = dataset.iterate();
    for (Tensors element; iterator.next(element);) ++count;
    return count;
  };
  EXPECT_NE(message_of<DataLossError>([&] { read_all(pictures.dataset); }).find("bad.jpg"), std::string::npos);
  const auto skipped = std::make_shared<SkipCount>();
  EXPECT_EQ(read_all(pictures.dataset.ignore_errors(skipped)), 3);
  EXPECT_EQ(skipped->value(), 1);
  EXPECT_THROW(image_folder(folder.path("nowhere")), NotFoundError);
  EXPECT_THROW(image_folder(folder.path("empty")), NotFoundError);
}

}  // namespace
}  // namespace lockstep::io
