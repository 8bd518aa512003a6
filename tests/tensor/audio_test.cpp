// WAV files: there and back, cut to size, and damaged.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep {
namespace {

TEST(Wav, KeepsSamplesToSixteenBits) {
  const Tensor sound = constant({{0.5f, -1.0f}, {0.25f, 2.0f}, {0.0f, -3.0f}});
  const auto [back, rate] = audio::decode_wav(audio::encode_wav(sound, constant(44100)));
  EXPECT_EQ(rate.item<std::int32_t>(), 44100);
  EXPECT_EQ(back.shape(), (Shape{3, 2}));
  EXPECT_EQ(back.to_vector<float>(), (std::vector<float>{0.5f, -1.0f, 0.25f, 32767.0f / 32768, 0.0f, -1.0f}));
}

TEST(Wav, GivesTheSamplesAndChannelsAskedFor) {
  const Tensor file = audio::encode_wav(constant({{0.5f, 0.25f}, {-0.5f, 0.0f}}), constant(8000));
  EXPECT_EQ(audio::decode_wav(file, {.desired_channels = 3, .desired_samples = 3}).first.to_vector<float>(), (std::vector<float>{0.5f, 0.25f, 0.25f, -0.5f, 0, 0, 0, 0, 0}));
  EXPECT_EQ(audio::decode_wav(file, {.desired_channels = 1, .desired_samples = 1}).first.to_vector<float>(), (std::vector<float>{0.5f}));
  EXPECT_THROW(audio::decode_wav(file, {.desired_channels = 0}), InvalidArgumentError);
  EXPECT_THROW(audio::decode_wav(file, {.desired_channels = 1 << 20, .desired_samples = 1 << 20}), ResourceExhaustedError);
}

TEST(Wav, IsRefusedWhereverItEndsEarly) {
  const std::string whole = audio::encode_wav(constant({{0.5f}, {-0.5f}}), constant(8000)).item<std::string>();
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_THROW(audio::decode_wav(constant(whole.substr(0, size))), DataLossError) << size;
  for (std::size_t at = 0; at < whole.size(); ++at) {  // changed anywhere, it is read or refused
    std::string changed = whole;
    changed[at] = char(~changed[at]);
    try {
      audio::decode_wav(constant(changed));
    } catch (const DataLossError&) {
    }
  }
  EXPECT_THROW(audio::encode_wav(constant({{0.5f}}), constant(0)), InvalidArgumentError);
  EXPECT_THROW(audio::encode_wav(constant({0.5f}), constant(8000)), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep
