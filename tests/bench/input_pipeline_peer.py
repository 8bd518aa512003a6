"""What tests/bench/input_pipeline.cpp measures, by tf.data: the same steps on the same files, a JSON line each. PATH is the TFRecord file that
`lockstep bench pipeline --directory DIR` leaves in DIR; without it there is only Fashion-MNIST."""

import argparse
import gzip
import json
import time

import numpy
import tensorflow as tf

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("path", nargs="?")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--seconds", type=float, default=1)
options = parser.parse_args()
tf.config.threading.set_intra_op_parallelism_threads(options.threads)
tf.config.threading.set_inter_op_parallelism_threads(options.threads)
FASHION = "/usr/share/datasets/fashion-mnist/train-"
BATCH = 64


def augmented(picture, number):
    flipped = tf.image.stateless_random_flip_left_right(picture, tf.stack([tf.constant(7, tf.int64), number]))
    return tf.cast(flipped, tf.float32) * (1 / 255)


def rows(path, offset, shape):
    with gzip.open(path) as file:
        return numpy.frombuffer(file.read(), numpy.uint8, offset=offset).reshape(shape)


def fashion():
    def read():  # in each pass, as Lockstep does
        return rows(FASHION + "images-idx3-ubyte.gz", 16, (-1, 28, 28, 1)), rows(FASHION + "labels-idx1-ubyte.gz", 8, (-1,))

    files = tf.data.Dataset.from_tensors(0).flat_map(lambda _: tf.data.Dataset.from_tensor_slices(tuple(tf.numpy_function(read, [], [tf.uint8, tf.uint8]))))
    data = files.map(lambda x, y: (tf.ensure_shape(x, (28, 28, 1)), y)).enumerate().shuffle(10000, seed=1)
    return data.map(lambda number, element: (augmented(element[0], number), element[1]), options.threads).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def jpegs(path):
    schema = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}

    def decode(number, record):
        example = tf.io.parse_single_example(record, schema)
        return augmented(tf.io.decode_jpeg(example["image"], 3), number), example["label"]

    return tf.data.TFRecordDataset(path).enumerate().shuffle(1000, seed=1).map(decode, options.threads).batch(BATCH).prefetch(tf.data.AUTOTUNE)


def measure(name, data):
    samples, start = 0, time.perf_counter()
    while True:
        for images, _ in data:
            samples += images.shape[0]
        seconds = time.perf_counter() - start
        if seconds >= options.seconds:
            break
    print(json.dumps({"suite": "pipeline", "peer": "tf.data", "case": name, "samples_per_s": samples / seconds, "threads": options.threads}), flush=True)


measure("fashion_mnist", fashion())
if options.path:
    measure("jpeg_records", jpegs(options.path))
