#pragma once
// Random changes of images. What is drawn follows from a key alone (tensor/random.h), one number an image: the same key gives the same change, and an
// image of a batch its own. A key of three numbers, as layers make for their rows of a shared batch, counts images from the third on, so that every
// division of a batch among ranks changes each image alike. Without a key the next one of the global generator is taken.

#include <lockstep/tensor/attrs.h>
#include <lockstep/tensor/tensor.h>

namespace lockstep::image {

/// Mirrored or not, with probability 1/2 (tf.image.stateless_random_flip_left_right).
Tensor random_flip_left_right(const Tensor& images, const Tensor& key = {});
Tensor random_flip_up_down(const Tensor& images, const Tensor& key = {});
/// A window of {height, width} anywhere in each image. Throws InvalidArgumentError for a size the images do not have.
Tensor random_crop(const Tensor& images, const Ints& size, const Tensor& key = {});
/// x + delta, delta uniform in [-max_delta, max_delta).
Tensor random_brightness(const Tensor& images, double max_delta, const Tensor& key = {});
/// adjust_contrast by a factor uniform in [lower, upper).
Tensor random_contrast(const Tensor& images, double lower, double upper, const Tensor& key = {});
/// adjust_hue by delta uniform in [-max_delta, max_delta), at most half a turn.
Tensor random_hue(const Tensor& images, double max_delta, const Tensor& key = {});
/// adjust_saturation by a factor uniform in [lower, upper).
Tensor random_saturation(const Tensor& images, double lower, double upper, const Tensor& key = {});

}  // namespace lockstep::image
