"""Models of every kind, as tests/io/keras_zoo_test.cpp has them too: one writes them, the other reads them.

  keras_zoo.py write DIR    each model: NAME.keras, .weights.h5, .h5; its inputs, targets and predictions (NAME.io.h5); its weights and the optimizer's
                            state after one more step (NAME.after.weights.h5)
  keras_zoo.py paths        where Keras keeps each weight: tests/io/data/keras_paths.txt
  keras_zoo.py check DIR    Keras opens what Lockstep wrote, predicts the same, and its next step gives the same weights
"""
import os
import sys
import tempfile
import warnings

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras
import numpy as np
from keras import layers, optimizers

warnings.simplefilter("ignore")
TOLERANCE = 1e-6
failures = []


class MyDense(layers.Layer):
    """Weights of its own."""

    def __init__(self, units, **arguments):
        super().__init__(**arguments)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units), initializer="glorot_uniform")
        self.steps = self.add_weight(name="steps", shape=(), initializer="ones", trainable=False)
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, x):
        return keras.ops.tanh(x @ self.kernel + self.bias) * self.steps

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Block(layers.Layer):
    """Sublayers: in a list, by a public name, by a private one."""

    def __init__(self, units, **arguments):
        super().__init__(**arguments)
        self.units = units
        self.norm = layers.BatchNormalization()
        self._gate = layers.Dense(units, "sigmoid")
        self.hidden = [layers.Dense(units, "tanh"), layers.LayerNormalization(), layers.Dense(units)]

    def call(self, x):
        z = self.norm(x)
        for layer in self.hidden:
            z = layer(z)
        return x + z * self._gate(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Tower(keras.Model):
    """Attributes before and after "layers" in the alphabet, a list, a model, and a layer that is called twice."""

    def __init__(self, units, **arguments):
        super().__init__(**arguments)
        self.units = units
        self.out = layers.Dense(2)
        self.hidden1 = layers.Dense(units, "relu")
        self.block = Block(units)
        self.stack = [layers.Dense(units), MyDense(units)]
        self._last = layers.Dense(units)
        self.inner = keras.Sequential([layers.Dense(units, "tanh"), layers.BatchNormalization()])

    def call(self, x, training=None):  # (without the argument Keras trains it as if it were to predict)
        x = self.block(self.block(self.hidden1(x)))
        for layer in self.stack:
            x = layer(x)
        return self.out(self.inner(self._last(x)))

    def get_config(self):
        return {**super().get_config(), "units": self.units}


OBJECTS = {"MyDense": MyDense, "Block": Block, "Tower": Tower}


def nested_sequential():
    innermost = keras.Sequential([layers.Dense(4, "tanh"), layers.LayerNormalization()], name="innermost")
    inner = keras.Sequential([layers.Dense(5, "relu"), layers.BatchNormalization(), innermost, layers.Dense(4)], name="inner")
    return keras.Sequential([keras.Input((6,)), inner, layers.Dense(4, "tanh"), layers.Dense(2)], name="nested_sequential"), optimizers.Adam(0.01)


def nested_functional():
    a = keras.Input((4,))
    innermost = keras.Model(a, layers.Add()([a, layers.Dense(4, "tanh")(a)]), name="innermost")
    b = keras.Input((6,))
    z = keras.Sequential([layers.BatchNormalization(), layers.Dense(4)], name="stack")(layers.Dense(5, "relu")(b))
    inner = keras.Model(b, innermost(z), name="inner")
    x = keras.Input((6,))
    y = layers.Dense(6, "tanh")(x)
    both = layers.Concatenate()([inner(x), inner(y)])  # one model at two places
    return keras.Model(x, layers.Dense(2)(both), name="nested_functional"), optimizers.RMSprop(0.01, momentum=0.5)


def shared():
    a, b = keras.Input((5,), dtype="int32"), keras.Input((5,), dtype="int32")
    embed, mix = layers.Embedding(11, 3), layers.Dense(4, "tanh")
    one = [mix(layers.Flatten()(embed(each))) for each in (a, b)]
    return keras.Model([a, b], layers.Dense(2)(layers.Subtract()(one)), name="shared"), optimizers.SGD(0.1, momentum=0.5)


def repeated():
    twice = layers.Dense(6, "tanh", name="twice")
    return keras.Sequential([keras.Input((6,)), twice, twice, layers.Dense(3, name="between"), layers.Dense(2, name="out")], name="repeated"), optimizers.SGD(0.05)


def recurrent():
    return keras.Sequential([
        keras.Input((4, 3)),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3, "tanh")),
        layers.RNN([layers.LSTMCell(2), layers.GRUCell(3)], return_sequences=True),
        layers.RNN(layers.SimpleRNNCell(3), return_sequences=True),
        layers.TimeDistributed(keras.Sequential([layers.Dense(3), layers.LayerNormalization()], name="each_step")),
        layers.GRU(3, return_sequences=True),
        layers.Bidirectional(layers.RNN([layers.SimpleRNNCell(2), layers.LSTMCell(2)]), merge_mode="sum"),
        layers.Dense(2),
    ], name="recurrent"), optimizers.SGD(0.05, momentum=0.9)


def attention():
    x = keras.Input((4, 6))
    y = layers.LayerNormalization()(layers.Add()([x, layers.MultiHeadAttention(2, 3)(x, x)]))
    y = layers.GroupQueryAttention(2, 4, 2)(y, y)
    y = layers.AdditiveAttention()([y, y])
    return keras.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D()(y)), name="attention"), optimizers.SGD(0.05, momentum=0.9, nesterov=True)


def convolutions():
    return keras.Sequential([
        keras.Input((8, 8, 3)),
        layers.Conv2D(4, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.PReLU(shared_axes=[1, 2]),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.SeparableConv2D(4, 3),
        layers.GroupNormalization(2),
        layers.BatchNormalization(scale=False),
        layers.Conv2DTranspose(3, 2, strides=2, activation="tanh"),
        layers.BatchNormalization(center=False),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    ], name="convolutions"), optimizers.SGD(0.01, momentum=0.9)


def tower():
    model = Tower(4, name="tower")
    model(np.zeros((1, 4), "f4"))
    return model, optimizers.Nadam(0.01)


def custom_layers():
    x = keras.Input((4,))
    y = Tower(4)(Block(4)(MyDense(4)(x)))
    return keras.Model(x, layers.Dense(2)(MyDense(3)(y)), name="custom_layers"), optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 10, 0.9), amsgrad=True)


def prepared():
    model = keras.Sequential([keras.Input((4,)), layers.Normalization(mean=[0.5, 0.25, 0.0, -1.0], variance=[1.0, 4.0, 0.25, 2.0]), layers.GaussianNoise(0.0), layers.Dense(3, "relu"), layers.Dropout(0.0), layers.Dense(2)], name="prepared")
    return model, optimizers.AdamW(0.01, weight_decay=0.1)


def adapted():
    norm = layers.Normalization()
    norm.adapt(np.arange(12, dtype="f4").reshape(3, 4) ** 1.5)
    return keras.Sequential([keras.Input((4,)), norm, layers.Dense(2)], name="adapted"), optimizers.Lion(0.01)


def spectral():
    return keras.Sequential([keras.Input((4,)), layers.SpectralNormalization(layers.Dense(3, "tanh"), power_iterations=2), layers.Dense(2)], name="spectral"), optimizers.SGD(0.05, momentum=0.9)


def doubles():
    return keras.Sequential([keras.Input((4,), dtype="float64"), layers.Dense(3, "tanh", dtype="float64"), layers.BatchNormalization(dtype="float64"), layers.Dense(2, dtype="float64")], name="doubles"), optimizers.Adam(0.01)


def optimizer(made, name):
    return lambda: (keras.Sequential([keras.Input((4,)), layers.Dense(3, "tanh"), layers.Dense(2)], name=name), made())


MODELS = {each.__name__: each for each in (nested_sequential, nested_functional, shared, repeated, recurrent, attention, convolutions, tower, custom_layers, prepared, adapted, doubles, spectral)}
for name, made in {
    "adam_ema": lambda: optimizers.Adam(0.01, use_ema=True, ema_momentum=0.9),
    "adam_accumulating": lambda: optimizers.Adam(0.01, gradient_accumulation_steps=2),
    "rmsprop_centered": lambda: optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "adamax": lambda: optimizers.Adamax(0.01),
    "ftrl": lambda: optimizers.Ftrl(0.1),
    "lamb": lambda: optimizers.Lamb(0.01),
    "adafactor": lambda: optimizers.Adafactor(0.01),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Adam(0.01), initial_scale=8.0),
    "several": lambda: optimizers.MultiOptimizer(optimizers.OptimizerMap(optimizers.SGD(0.1, momentum=0.5), {".*/kernel": optimizers.Adam(0.01)})),
}.items():
    MODELS[name] = optimizer(made, name)


def batch(model):
    numbers = np.random.default_rng(5)
    inputs = [numbers.integers(0, 11, (8, *each.shape[1:])).astype("i4") if "int" in each.dtype else numbers.normal(size=(8, *each.shape[1:])).astype(each.dtype) for each in model.inputs] if getattr(model, "inputs", None) else [numbers.normal(size=(8, 4)).astype("f4")]
    return inputs, numbers.normal(size=(8, 2)).astype("f4")


def one(arrays):
    return arrays if len(arrays) > 1 else arrays[0]


def trained(name):
    keras.utils.set_random_seed(1)
    model, optimizer = MODELS[name]()
    model.compile(optimizer, "mse")
    inputs, y = batch(model)
    for _ in range(3):
        model.train_on_batch(one(inputs), y)
    return model, inputs, y


def print_paths():
    for name in MODELS:
        with tempfile.TemporaryDirectory() as folder:
            trained(name)[0].save_weights(os.path.join(folder, "a.weights.h5"))
            groups = []
            with h5py.File(os.path.join(folder, "a.weights.h5")) as file:
                file.visititems(lambda path, group: groups.append((path, [group[str(i)] for i in range(len(group))])) if isinstance(group, h5py.Group) and path.endswith("vars") and len(group) else None)
                for path, variables in sorted(groups):
                    print(name, path, *(f"{each.dtype}[{','.join(map(str, each.shape))}]" for each in variables))


def write(directory):
    for name in MODELS:
        model, inputs, y = trained(name)
        at = os.path.join(directory, name)
        model.save_weights(at + ".weights.h5")
        if name != "repeated":  # Keras keeps the layer's place in the list once
            model.save(at + ".keras")
        try:
            model.save(at + ".h5")
        except (ValueError, NotImplementedError):  # Keras cannot, for names that occur twice, or for a class of one's own
            if os.path.exists(at + ".h5"):
                os.remove(at + ".h5")
        with h5py.File(at + ".io.h5", "w") as data:
            for i, each in enumerate(inputs):
                data[f"in{i}"] = each
            data["y"] = y
            data["out"] = model.predict(one(inputs), verbose=0)
        model.train_on_batch(one(inputs), y)
        model.save_weights(at + ".after.weights.h5")


def require(what, got, wanted):
    if got.shape != wanted.shape:
        failures.append(f"{what}: shape {got.shape} instead of {wanted.shape}")
    elif got.size and not np.max(np.abs(got.astype("f8") - wanted)) <= TOLERANCE:
        failures.append(f"{what}: differs by {np.max(np.abs(got.astype('f8') - wanted))}")


def require_same_files(what, got, wanted):
    def datasets(path):
        found = {}
        with h5py.File(path) as file:
            file.visititems(lambda name, each: found.update({name: each[()]}) if isinstance(each, h5py.Dataset) else None)
        return found

    ours, theirs = datasets(got), datasets(wanted)
    if ours.keys() != theirs.keys():
        failures.append(f"{what}: {sorted(ours.keys() ^ theirs.keys())} are in one file only")
    for path in ours.keys() & theirs.keys():
        require(f"{what}, {path}", np.asarray(ours[path]), np.asarray(theirs[path]))


def check(directory, name):
    at = os.path.join(directory, name)
    with h5py.File(at + ".io.h5") as data:
        inputs = [data[f"in{i}"][()] for i in range(8) if f"in{i}" in data]
        y, out = data["y"][()], data["out"][()]
    if os.path.exists(at + ".h5") and name != "lamb":  # Keras does not know its name there, in its own files either
        model = keras.saving.load_model(at + ".h5", custom_objects=OBJECTS)
        require(f"{name}.h5, predictions", model.predict(one(inputs), verbose=0), out)
    if os.path.exists(at + ".keras"):
        model = keras.saving.load_model(at + ".keras", custom_objects=OBJECTS)
        require(f"{name}.keras, predictions", model.predict(one(inputs), verbose=0), out)
        model.train_on_batch(one(inputs), y)
        with tempfile.TemporaryDirectory() as folder:
            model.save_weights(os.path.join(folder, "a.weights.h5"))
            require_same_files(f"{name}.keras after one more step", os.path.join(folder, "a.weights.h5"), at + ".after.weights.h5")
    # A model of Keras's own code takes the weights by their places.
    model, _ = MODELS[name]()
    model.load_weights(at + ".weights.h5")
    require(f"{name}.weights.h5, predictions", model.predict(one(inputs), verbose=0), out)


if sys.argv[1] == "write":
    write(sys.argv[2])
elif sys.argv[1] == "paths":
    print_paths()
else:
    for name in MODELS:
        try:
            check(sys.argv[2], name)
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:1500]}")
    print("\n".join(failures) or "Keras reads all files")
    sys.exit(bool(failures))
