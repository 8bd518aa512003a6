// All built-in layers, by Keras's names.

#include <lockstep/nn/functional.h>
#include <lockstep/nn/layers/attention.h>
#include <lockstep/nn/layers/convolutional.h>
#include <lockstep/nn/layers/core.h>
#include <lockstep/nn/layers/hashing.h>
#include <lockstep/nn/layers/image.h>
#include <lockstep/nn/layers/lookup.h>
#include <lockstep/nn/layers/merging.h>
#include <lockstep/nn/layers/normalization.h>
#include <lockstep/nn/layers/pooling.h>
#include <lockstep/nn/layers/preprocessing.h>
#include <lockstep/nn/layers/recurrent.h>
#include <lockstep/nn/layers/regularization.h>
#include <lockstep/nn/layers/reshaping.h>
#include <lockstep/nn/layers/text.h>
#include <lockstep/nn/sequential.h>

namespace lockstep::nn {

void Layer::register_builtins() {
  static const bool once = [] {
    register_class(component_class<Dense>("Dense", kModule));
    register_class(component_class<EinsumDense>("EinsumDense", kModule));
    register_class(component_class<Embedding>("Embedding", kModule));
    register_class(component_class<Lambda>("Lambda", kModule));
    register_class(component_class<ActivationLayer>("Activation", kModule));
    register_class(component_class<Masking>("Masking", kModule));
    register_class(component_class<IdentityLayer>("Identity", kModule));
    register_class(component_class<ReLU>("ReLU", kModule));
    register_class(component_class<LeakyReLU>("LeakyReLU", kModule));
    register_class(component_class<ELU>("ELU", kModule));
    register_class(component_class<PReLU>("PReLU", kModule));
    register_class(component_class<Softmax>("Softmax", kModule));

    register_class(component_class<BatchNormalization>("BatchNormalization", kModule));
    register_class(component_class<LayerNormalization>("LayerNormalization", kModule));
    register_class(component_class<GroupNormalization>("GroupNormalization", kModule));
    register_class(component_class<RMSNormalization>("RMSNormalization", kModule));
    register_class(component_class<UnitNormalization>("UnitNormalization", kModule));
    register_class(component_class<SpectralNormalization>("SpectralNormalization", kModule));

    register_class(component_class<Conv1D>("Conv1D", kModule));
    register_class(component_class<Conv2D>("Conv2D", kModule));
    register_class(component_class<Conv3D>("Conv3D", kModule));
    register_class(component_class<Conv1DTranspose>("Conv1DTranspose", kModule));
    register_class(component_class<Conv2DTranspose>("Conv2DTranspose", kModule));
    register_class(component_class<Conv3DTranspose>("Conv3DTranspose", kModule));
    register_class(component_class<DepthwiseConv1D>("DepthwiseConv1D", kModule));
    register_class(component_class<DepthwiseConv2D>("DepthwiseConv2D", kModule));
    register_class(component_class<SeparableConv1D>("SeparableConv1D", kModule));
    register_class(component_class<SeparableConv2D>("SeparableConv2D", kModule));

    register_class(component_class<MaxPooling1D>("MaxPooling1D", kModule));
    register_class(component_class<MaxPooling2D>("MaxPooling2D", kModule));
    register_class(component_class<MaxPooling3D>("MaxPooling3D", kModule));
    register_class(component_class<AveragePooling1D>("AveragePooling1D", kModule));
    register_class(component_class<AveragePooling2D>("AveragePooling2D", kModule));
    register_class(component_class<AveragePooling3D>("AveragePooling3D", kModule));
    register_class(component_class<AdaptiveMaxPooling1D>("AdaptiveMaxPooling1D", kModule));
    register_class(component_class<AdaptiveMaxPooling2D>("AdaptiveMaxPooling2D", kModule));
    register_class(component_class<AdaptiveMaxPooling3D>("AdaptiveMaxPooling3D", kModule));
    register_class(component_class<AdaptiveAveragePooling1D>("AdaptiveAveragePooling1D", kModule));
    register_class(component_class<AdaptiveAveragePooling2D>("AdaptiveAveragePooling2D", kModule));
    register_class(component_class<AdaptiveAveragePooling3D>("AdaptiveAveragePooling3D", kModule));
    register_class(component_class<GlobalMaxPooling1D>("GlobalMaxPooling1D", kModule));
    register_class(component_class<GlobalMaxPooling2D>("GlobalMaxPooling2D", kModule));
    register_class(component_class<GlobalMaxPooling3D>("GlobalMaxPooling3D", kModule));
    register_class(component_class<GlobalAveragePooling1D>("GlobalAveragePooling1D", kModule));
    register_class(component_class<GlobalAveragePooling2D>("GlobalAveragePooling2D", kModule));
    register_class(component_class<GlobalAveragePooling3D>("GlobalAveragePooling3D", kModule));

    register_class(component_class<Flatten>("Flatten", kModule));
    register_class(component_class<Reshape>("Reshape", kModule));
    register_class(component_class<Permute>("Permute", kModule));
    register_class(component_class<RepeatVector>("RepeatVector", kModule));
    register_class(component_class<UpSampling1D>("UpSampling1D", kModule));
    register_class(component_class<UpSampling2D>("UpSampling2D", kModule));
    register_class(component_class<UpSampling3D>("UpSampling3D", kModule));
    register_class(component_class<ZeroPadding1D>("ZeroPadding1D", kModule));
    register_class(component_class<ZeroPadding2D>("ZeroPadding2D", kModule));
    register_class(component_class<ZeroPadding3D>("ZeroPadding3D", kModule));
    register_class(component_class<Cropping1D>("Cropping1D", kModule));
    register_class(component_class<Cropping2D>("Cropping2D", kModule));
    register_class(component_class<Cropping3D>("Cropping3D", kModule));

    register_class(component_class<Add>("Add", kModule));
    register_class(component_class<Subtract>("Subtract", kModule));
    register_class(component_class<Multiply>("Multiply", kModule));
    register_class(component_class<Average>("Average", kModule));
    register_class(component_class<Maximum>("Maximum", kModule));
    register_class(component_class<Minimum>("Minimum", kModule));
    register_class(component_class<Concatenate>("Concatenate", kModule));
    register_class(component_class<Dot>("Dot", kModule));

    register_class(component_class<Dropout>("Dropout", kModule));
    register_class(component_class<GaussianNoise>("GaussianNoise", kModule));
    register_class(component_class<SpatialDropout1D>("SpatialDropout1D", kModule));
    register_class(component_class<SpatialDropout2D>("SpatialDropout2D", kModule));
    register_class(component_class<SpatialDropout3D>("SpatialDropout3D", kModule));
    register_class(component_class<GaussianDropout>("GaussianDropout", kModule));
    register_class(component_class<AlphaDropout>("AlphaDropout", kModule));
    register_class(component_class<ActivityRegularization>("ActivityRegularization", kModule));

    register_class(component_class<MultiHeadAttention>("MultiHeadAttention", kModule));
    register_class(component_class<GroupedQueryAttention>("GroupedQueryAttention", kModule, {}, {"GroupQueryAttention"}));
    register_class(component_class<Attention>("Attention", kModule));
    register_class(component_class<AdditiveAttention>("AdditiveAttention", kModule));

    register_class(component_class<RNN>("RNN", kModule));
    register_class(component_class<SimpleRNNCell>("SimpleRNNCell", kModule));
    register_class(component_class<LSTMCell>("LSTMCell", kModule));
    register_class(component_class<GRUCell>("GRUCell", kModule));
    register_class(component_class<StackedRNNCells>("StackedRNNCells", kModule));
    register_class(component_class<SimpleRNN>("SimpleRNN", kModule));
    register_class(component_class<LSTM>("LSTM", kModule));
    register_class(component_class<GRU>("GRU", kModule));
    register_class(component_class<ConvLSTM1D>("ConvLSTM1D", kModule));
    register_class(component_class<ConvLSTM2D>("ConvLSTM2D", kModule));
    register_class(component_class<ConvLSTM3D>("ConvLSTM3D", kModule));
    register_class(component_class<Bidirectional>("Bidirectional", kModule));
    register_class(component_class<TimeDistributed>("TimeDistributed", kModule));

    register_class(component_class<Rescaling>("Rescaling", kModule));
    register_class(component_class<Resizing>("Resizing", kModule));
    register_class(component_class<CenterCrop>("CenterCrop", kModule));
    register_class(component_class<RandomFlip>("RandomFlip", kModule));
    register_class(component_class<RandomCrop>("RandomCrop", kModule));
    register_class(component_class<RandomContrast>("RandomContrast", kModule));
    register_class(component_class<RandomBrightness>("RandomBrightness", kModule));
    register_class(component_class<Normalization>("Normalization", kModule));
    register_class(component_class<Discretization>("Discretization", kModule));
    register_class(component_class<CategoryEncoding>("CategoryEncoding", kModule));
    register_class(component_class<IntegerLookup>("IntegerLookup", kModule));
    register_class(component_class<StringLookup>("StringLookup", kModule));
    register_class(component_class<TextVectorization>("TextVectorization", kModule));
    register_class(component_class<Hashing>("Hashing", kModule));
    register_class(component_class<HashedCrossing>("HashedCrossing", kModule));

    register_class(component_class<InputLayer>("InputLayer", kModule));
    ComponentClass sequential = component_class<Sequential>("Sequential", kModule), functional = component_class<Functional>("Functional", kModule, {}, {"Model"});
    sequential.written_module = "keras";
    functional.written_module = "keras.src.models.functional";
    register_class(std::move(sequential));
    register_class(std::move(functional));
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace lockstep::nn
