// The table of a model's layers: each expected text was printed by Keras 3.15.

#include <gtest/gtest.h>

#include <lockstep/lockstep.h>

namespace lockstep::nn {
namespace {

std::vector<SummaryRow> convolutional() {
  return {{.name = "a_very_long_name_of_a_convolution_layer_indeed", .class_name = "Conv2D", .output_shape = "(None, 26, 26, 32)", .params = 320, .trainable = true},
          {.name = "batch_normalization", .class_name = "BatchNormalization", .output_shape = "(None, 26, 26, 32)", .params = 128, .trainable = true},
          {.name = "flatten", .class_name = "Flatten", .output_shape = "(None, 21632)", .params = 0},
          {.name = "drop", .class_name = "Dropout", .output_shape = "(None, 21632)", .params = 0},
          {.name = "dense", .class_name = "Dense", .output_shape = "(None, 1000)", .params = 21633000, .trainable = true}};
}
constexpr SummaryTotals kConvolutionalTotals = {.trainable = {21633384, 21633384 * 4}, .non_trainable = {64, 256}};

std::vector<SummaryRow> graph() {
  return {{.name = "input_deep", .class_name = "InputLayer", .output_shape = "(None, 6)", .params = 0},
          {.name = "input_wide", .class_name = "InputLayer", .output_shape = "(None, 5)", .params = 0},
          {.name = "dense_1", .class_name = "Dense", .output_shape = "(None, 30)", .params = 210, .trainable = true, .connected_to = {"input_deep[0][0]"}},
          {.name = "norm_wide", .class_name = "Normalization", .output_shape = "(None, 5)", .params = 11, .trainable = true, .connected_to = {"input_wide[0][0]"}},
          {.name = "dense_2", .class_name = "Dense", .output_shape = "(None, 30)", .params = 930, .trainable = true, .connected_to = {"dense_1[0][0]"}},
          {.name = "concat", .class_name = "Concatenate", .output_shape = "(None, 35)", .params = 0, .connected_to = {"norm_wide[0][0]", "dense_2[0][0]"}},
          {.name = "output", .class_name = "Dense", .output_shape = "(None, 1)", .params = 36, .trainable = true, .connected_to = {"concat[0][0]"}},
          {.name = "aux", .class_name = "Dense", .output_shape = "(None, 1)", .params = 31, .trainable = true, .connected_to = {"dense_2[0][0]"}}};
}
constexpr SummaryTotals kGraphTotals = {.trainable = {1207, 1207 * 4}, .non_trainable = {11, 48}};

std::string sequential(const std::vector<SummaryRow>& rows, const SummaryTotals& totals, const SummaryOptions& options = {}) { return render_summary("seq", rows, totals, options); }
std::vector<SummaryRow> dense(bool first_trainable) {
  return {{.name = "hidden", .class_name = "Dense", .output_shape = "(None, 10)", .params = 40, .trainable = first_trainable},
          {.name = "out", .class_name = "Dense", .output_shape = "(None, 1)", .params = 11, .trainable = true}};
}

TEST(Summary, SaysWhichLayersAreNotBuilt) {
  EXPECT_EQ(sequential({{.name = "hidden", .class_name = "Dense"}, {.name = "out", .class_name = "Dense"}}, {}), R"(Model: "seq"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ hidden (Dense)                  │ ?                      │   0 (unbuilt) │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ out (Dense)                     │ ?                      │   0 (unbuilt) │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
)");
}

TEST(Summary, CountsTheStateOfTheOptimizerInTheTotal) {
  EXPECT_EQ(sequential(dense(true), {.trainable = {51, 204}, .non_trainable = {}, .optimizer = ParamCount{104, 420}}), R"(Model: "seq"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ hidden (Dense)                  │ (None, 10)             │            40 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ out (Dense)                     │ (None, 1)              │            11 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 155 (624.00 B)
 Trainable params: 51 (204.00 B)
 Non-trainable params: 0 (0.00 B)
 Optimizer params: 104 (420.00 B)
)");
}

TEST(Summary, ShowsWhatIsTrained) {
  EXPECT_EQ(sequential(dense(false), {.trainable = {11, 44}, .non_trainable = {40, 160}, .optimizer = ParamCount{104, 420}}, {.show_trainable = true}), R"(Model: "seq"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━┓
┃ Layer (type)                ┃ Output Shape          ┃    Param # ┃ Trai… ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━┩
│ hidden (Dense)              │ (None, 10)            │         40 │   N   │
├─────────────────────────────┼───────────────────────┼────────────┼───────┤
│ out (Dense)                 │ (None, 1)             │         11 │   Y   │
└─────────────────────────────┴───────────────────────┴────────────┴───────┘
 Total params: 155 (624.00 B)
 Trainable params: 11 (44.00 B)
 Non-trainable params: 40 (160.00 B)
 Optimizer params: 104 (420.00 B)
)");
}

TEST(Summary, WrapsAndCutsLongNames) {
  EXPECT_EQ(render_summary("conv", convolutional(), kConvolutionalTotals), R"(Model: "conv"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ a_very_long_name_of_a_convolut… │ (None, 26, 26, 32)     │           320 │
│ (Conv2D)                        │                        │               │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ batch_normalization             │ (None, 26, 26, 32)     │           128 │
│ (BatchNormalization)            │                        │               │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ flatten (Flatten)               │ (None, 21632)          │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ drop (Dropout)                  │ (None, 21632)          │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ dense (Dense)                   │ (None, 1000)           │    21,633,000 │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 21,633,448 (82.53 MB)
 Trainable params: 21,633,384 (82.52 MB)
 Non-trainable params: 64 (256.00 B)
)");
}

TEST(Summary, FitsIntoANarrowTerminal) {
  EXPECT_EQ(render_summary("conv", convolutional(), kConvolutionalTotals, {.width = 44}), R"(Model: "conv"
┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━┓
┃                 ┃ Output     ┃ Param ┃
┃ Layer (type)    ┃ Shape      ┃     # ┃
┡━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━┩
│ a_very_long_na… │ (None, 26, │   320 │
│ (Conv2D)        │ 26, 32)    │       │
├─────────────────┼────────────┼───────┤
│ batch_normaliz… │ (None, 26, │   128 │
│ (BatchNormaliz… │ 26, 32)    │       │
├─────────────────┼────────────┼───────┤
│ flatten         │ (None,     │     0 │
│ (Flatten)       │ 21632)     │       │
├─────────────────┼────────────┼───────┤
│ drop (Dropout)  │ (None,     │     0 │
│                 │ 21632)     │       │
├─────────────────┼────────────┼───────┤
│ dense (Dense)   │ (None,     │ 21,6… │
│                 │ 1000)      │       │
└─────────────────┴────────────┴───────┘
 Total params: 21,633,448 (82.53 MB)
 Trainable params: 21,633,384 (82.52 MB)
 Non-trainable params: 64 (256.00 B)
)");
}

TEST(Summary, KeepsMarksWhereTheirTitleIsCut) {
  EXPECT_EQ(render_summary("conv", convolutional(), kConvolutionalTotals, {.width = 54, .show_trainable = true}), R"(Model: "conv"
┏━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┳━━━━━━━┳━━━━┓
┃                   ┃               ┃ Param ┃    ┃
┃ Layer (type)      ┃ Output Shape  ┃     # ┃ T… ┃
┡━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━╇━━━━━━━╇━━━━┩
│ a_very_long_name… │ (None, 26,    │   320 │ Y  │
│ (Conv2D)          │ 26, 32)       │       │    │
├───────────────────┼───────────────┼───────┼────┤
│ batch_normalizat… │ (None, 26,    │   128 │ Y  │
│ (BatchNormalizat… │ 26, 32)       │       │    │
├───────────────────┼───────────────┼───────┼────┤
│ flatten (Flatten) │ (None, 21632) │     0 │ -  │
├───────────────────┼───────────────┼───────┼────┤
│ drop (Dropout)    │ (None, 21632) │     0 │ -  │
├───────────────────┼───────────────┼───────┼────┤
│ dense (Dense)     │ (None, 1000)  │ 21,6… │ Y  │
└───────────────────┴───────────────┴───────┴────┘
 Total params: 21,633,448 (82.53 MB)
 Trainable params: 21,633,384 (82.52 MB)
 Non-trainable params: 64 (256.00 B)
)");
}

TEST(Summary, CutsEveryWordThatIsWiderThanItsColumn) {
  EXPECT_EQ(render_summary("conv", convolutional(), kConvolutionalTotals, {.width = 28}), R"(Model: "conv"
┏━━━━━━━━━┳━━━━━━━┳━━━━┓
┃ Layer   ┃ Outp… ┃ P… ┃
┃ (type)  ┃ Shape ┃  # ┃
┡━━━━━━━━━╇━━━━━━━╇━━━━┩
│ a_very… │ (Non… │ 3… │
│ (Conv2… │ 26,   │    │
│         │ 26,   │    │
│         │ 32)   │    │
├─────────┼───────┼────┤
│ batch_… │ (Non… │ 1… │
│ (Batch… │ 26,   │    │
│         │ 26,   │    │
│         │ 32)   │    │
├─────────┼───────┼────┤
│ flatten │ (Non… │  0 │
│ (Flatt… │ 2163… │    │
├─────────┼───────┼────┤
│ drop    │ (Non… │  0 │
│ (Dropo… │ 2163… │    │
├─────────┼───────┼────┤
│ dense   │ (Non… │ 2… │
│ (Dense) │ 1000) │    │
└─────────┴───────┴────┘
 Total params: 21,633,448 (82.53 MB)
 Trainable params: 21,633,384 (82.52 MB)
 Non-trainable params: 64 (256.00 B)
)");
}

TEST(Summary, ShowsWhatEachLayerOfAGraphReads) {
  EXPECT_EQ(render_summary("functional", graph(), kGraphTotals, {.show_connections = true}), R"(Model: "functional"
┏━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┓
┃ Layer (type)        ┃ Output Shape      ┃    Param # ┃ Connected to      ┃
┡━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━┩
│ input_deep          │ (None, 6)         │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ input_wide          │ (None, 5)         │          0 │ -                 │
│ (InputLayer)        │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense_1 (Dense)     │ (None, 30)        │        210 │ input_deep[0][0]  │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ norm_wide           │ (None, 5)         │         11 │ input_wide[0][0]  │
│ (Normalization)     │                   │            │                   │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ dense_2 (Dense)     │ (None, 30)        │        930 │ dense_1[0][0]     │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ concat              │ (None, 35)        │          0 │ norm_wide[0][0],  │
│ (Concatenate)       │                   │            │ dense_2[0][0]     │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ output (Dense)      │ (None, 1)         │         36 │ concat[0][0]      │
├─────────────────────┼───────────────────┼────────────┼───────────────────┤
│ aux (Dense)         │ (None, 1)         │         31 │ dense_2[0][0]     │
└─────────────────────┴───────────────────┴────────────┴───────────────────┘
 Total params: 1,218 (4.76 KB)
 Trainable params: 1,207 (4.71 KB)
 Non-trainable params: 11 (48.00 B)
)");
}

TEST(Summary, ShowsConnectionsAndWhatIsTrainedTogether) {
  EXPECT_EQ(render_summary("functional", graph(), kGraphTotals, {.show_trainable = true, .show_connections = true}), R"(Model: "functional"
┏━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━━━━━━━━━━━┳━━━━━━━┓
┃ Layer (type)      ┃ Output Shape    ┃   Param # ┃ Connected to   ┃ Trai… ┃
┡━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━━━━━━━━━━━╇━━━━━━━┩
│ input_deep        │ (None, 6)       │         0 │ -              │   -   │
│ (InputLayer)      │                 │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ input_wide        │ (None, 5)       │         0 │ -              │   -   │
│ (InputLayer)      │                 │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ dense_1 (Dense)   │ (None, 30)      │       210 │ input_deep[0]… │   Y   │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ norm_wide         │ (None, 5)       │        11 │ input_wide[0]… │   Y   │
│ (Normalization)   │                 │           │                │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ dense_2 (Dense)   │ (None, 30)      │       930 │ dense_1[0][0]  │   Y   │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ concat            │ (None, 35)      │         0 │ norm_wide[0][… │   -   │
│ (Concatenate)     │                 │           │ dense_2[0][0]  │       │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ output (Dense)    │ (None, 1)       │        36 │ concat[0][0]   │   Y   │
├───────────────────┼─────────────────┼───────────┼────────────────┼───────┤
│ aux (Dense)       │ (None, 1)       │        31 │ dense_2[0][0]  │   Y   │
└───────────────────┴─────────────────┴───────────┴────────────────┴───────┘
 Total params: 1,218 (4.76 KB)
 Trainable params: 1,207 (4.71 KB)
 Non-trainable params: 11 (48.00 B)
)");
}

TEST(Summary, FitsAGraphIntoANarrowTerminal) {
  EXPECT_EQ(render_summary("functional", graph(), kGraphTotals, {.width = 64, .show_connections = true}), R"(Model: "functional"
┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━┳━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)    ┃ Output Shape ┃ Param # ┃ Connected to  ┃
┡━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━╇━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ input_deep      │ (None, 6)    │       0 │ -             │
│ (InputLayer)    │              │         │               │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ input_wide      │ (None, 5)    │       0 │ -             │
│ (InputLayer)    │              │         │               │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ dense_1 (Dense) │ (None, 30)   │     210 │ input_deep[0… │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ norm_wide       │ (None, 5)    │      11 │ input_wide[0… │
│ (Normalization) │              │         │               │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ dense_2 (Dense) │ (None, 30)   │     930 │ dense_1[0][0] │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ concat          │ (None, 35)   │       0 │ norm_wide[0]… │
│ (Concatenate)   │              │         │ dense_2[0][0] │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ output (Dense)  │ (None, 1)    │      36 │ concat[0][0]  │
├─────────────────┼──────────────┼─────────┼───────────────┤
│ aux (Dense)     │ (None, 1)    │      31 │ dense_2[0][0] │
└─────────────────┴──────────────┴─────────┴───────────────┘
 Total params: 1,218 (4.76 KB)
 Trainable params: 1,207 (4.71 KB)
 Non-trainable params: 11 (48.00 B)
)");
}

TEST(Summary, WrapsTheShapesOfSeveralOutputs) {
  EXPECT_EQ(render_summary("states", std::vector<SummaryRow>{{.name = "i", .class_name = "InputLayer", .output_shape = "(None, None, 2)", .params = 0},
                                                     {.name = "lstm", .class_name = "LSTM", .output_shape = "[(None, 4), (None, 4), (None, 4)]", .params = 112, .trainable = true}},
                           {.trainable = {112, 448}, .non_trainable = {}}), R"(Model: "states"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ i (InputLayer)                  │ (None, None, 2)        │             0 │
├─────────────────────────────────┼────────────────────────┼───────────────┤
│ lstm (LSTM)                     │ [(None, 4), (None, 4), │           112 │
│                                 │ (None, 4)]             │               │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 112 (448.00 B)
 Trainable params: 112 (448.00 B)
 Non-trainable params: 0 (0.00 B)
)");
}

TEST(Summary, IsNoWiderThanKerasMakesItOnAWideTerminal) {
  EXPECT_EQ(sequential(dense(true), {.trainable = {51, 204}, .non_trainable = {}}, {.width = 200}), R"(Model: "seq"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━┓
┃ Layer (type)                         ┃ Output Shape                ┃         Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━┩
│ hidden (Dense)                       │ (None, 10)                  │              40 │
├──────────────────────────────────────┼─────────────────────────────┼─────────────────┤
│ out (Dense)                          │ (None, 1)                   │              11 │
└──────────────────────────────────────┴─────────────────────────────┴─────────────────┘
 Total params: 51 (204.00 B)
 Trainable params: 51 (204.00 B)
 Non-trainable params: 0 (0.00 B)
)");
}

TEST(Summary, CountsCharactersNotBytes) {
  EXPECT_EQ(sequential({{.name = "größe_verkehrt_herum_überall", .class_name = "Übung", .output_shape = "?", .params = 0}}, {}),
            R"(Model: "seq"
┏━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━┓
┃ Layer (type)                    ┃ Output Shape           ┃       Param # ┃
┡━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━┩
│ größe_verkehrt_herum_überall    │ ?                      │             0 │
│ (Übung)                         │                        │               │
└─────────────────────────────────┴────────────────────────┴───────────────┘
 Total params: 0 (0.00 B)
 Trainable params: 0 (0.00 B)
 Non-trainable params: 0 (0.00 B)
)");
}

TEST(Summary, RefusesAWidthWithoutRoomForTheColumns) {
  EXPECT_THROW(render_summary("m", {}, {}, {.width = 16}), InvalidArgumentError);
}

}  // namespace
}  // namespace lockstep::nn
