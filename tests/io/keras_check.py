"""Keras itself opens what Lockstep wrote of its models, predicts what it did, and goes on training where it stopped."""
import json
import os
import sys

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import h5py
import keras
import numpy as np

ours, golden = sys.argv[1:]
failures = []


@keras.saving.register_keras_serializable()
class HuberLoss(keras.losses.Loss):
    def __init__(self, threshold=1.0, **arguments):
        super().__init__(**arguments)
        self.threshold = threshold

    def call(self, y_true, y_pred):
        error = keras.ops.abs(y_true - y_pred)
        return keras.ops.where(error < self.threshold, error**2 / 2, self.threshold * error - self.threshold**2 / 2)

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


@keras.saving.register_keras_serializable()
class MyL1Regularizer(keras.regularizers.Regularizer):
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, weights):
        return keras.ops.sum(keras.ops.abs(self.factor * weights))

    def get_config(self):
        return {"factor": self.factor}


def require(what, got, wanted, tolerance):
    difference = np.max(np.abs(np.asarray(got, "f8") - wanted)) if np.shape(got) == np.shape(wanted) else "the shape"
    if isinstance(difference, str) or not difference <= tolerance:
        failures.append(f"{what}: differs by {difference}")


def check(name, data):
    case = json.loads(data.attrs["case"])
    inputs = [data[f"in{i}"][()] for i in range(8) if f"in{i}" in data]
    train = [data[f"t{i}"][()] for i in range(8) if f"t{i}" in data]
    one = lambda arrays: arrays if len(arrays) > 1 else arrays[0]
    objects = {"HuberLoss": HuberLoss, "MyL1Regularizer": MyL1Regularizer, "Custom>HuberLoss": HuberLoss, "Custom>MyL1Regularizer": MyL1Regularizer}
    for ending in (".keras", ".h5"):
        model = keras.saving.load_model(os.path.join(ours, name + ending), custom_objects=objects)
        require(f"{name}{ending}, predictions", model.predict(one(inputs), verbose=0), data["out0"][()], 1e-5)
    model = keras.saving.load_model(os.path.join(ours, name + ".keras"), custom_objects=objects)
    if int(model.optimizer.iterations.numpy()) != 3:
        failures.append(f"{name}.keras: the optimizer is at step {int(model.optimizer.iterations.numpy())}")
    # Beside Keras's own file in this process: its steps are not the same to the digit in each installation.
    reference = keras.saving.load_model(os.path.join(golden, name + ".keras"), custom_objects=objects)
    for step in (3, 4):
        rows = slice(step * case["batch"], (step + 1) * case["batch"])
        for each in (model, reference):
            each.train_on_batch(one([array[rows] for array in train]), data["ty"][rows])
    for weight, wanted in zip(model.weights, reference.weights, strict=True):
        require(f"{name}.keras, {weight.path} after two more steps", weight.numpy(), wanted.numpy(), 1e-6)
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    model.load_weights(os.path.join(ours, name + ".weights.h5"))
    require(f"{name}.weights.h5, predictions", model.predict(one(inputs), verbose=0), data["out0"][()], 1e-5)


for file in sorted(os.listdir(golden)):
    if file.endswith(".io.h5"):
        name = file[: -len(".io.h5")]
        try:
            with h5py.File(os.path.join(golden, file)) as data:
                check(name, data[f"0001_{name}"])
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:1500]}")
print("\n".join(failures) or "Keras reads all files")
sys.exit(bool(failures))
