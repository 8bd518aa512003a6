"""What tests/bench/structures.cpp measures, by TensorFlow: the same sizes, one JSON line each."""

import json
import statistics
import time

import keras
import numpy
import tensorflow as tf


def median_seconds(f, rounds=10):
    f()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def print_line(name, seconds, work, unit):
    print(json.dumps({"suite": "structures", "peer": "tensorflow", "name": name, "ms": round(seconds * 1e3, 3), unit: round(work / seconds, 3)}), flush=True)


random = numpy.random.default_rng(1)
size = 10000
columns = [numpy.unique(random.integers(0, size, size // 100)) for _ in range(size)]
indices = numpy.concatenate([numpy.stack([numpy.full(len(c), row), c], 1) for row, c in enumerate(columns)])
x = tf.SparseTensor(indices, random.random(len(indices), numpy.float32), [size, size])
y = tf.constant(random.random((size, 64), numpy.float32))
print_line("sparse_dense_matmul", median_seconds(lambda: tf.sparse.sparse_dense_matmul(x, y).numpy()), 2 * len(indices) * 64 / 1e9, "GFLOPs")

words = random.integers(0, 100000, (1000000, 8))
lines = tf.constant([" ".join(f"word{w}" for w in line) for line in words])
print_line("string_split_hash", median_seconds(lambda: tf.strings.to_hash_bucket_fast(tf.strings.split(lines).flat_values, 1 << 20)), 1.0, "Mlines_per_s")


def embedding_step(optimizer, dense):
    table = keras.Variable(random.random((100000, 64), numpy.float32) * 0.1 - 0.05)
    kernel = keras.Variable(random.random((64, 1), numpy.float32) * 0.2 - 0.1)
    ids = tf.constant(random.integers(0, 100000, (256, 20)), tf.int32)
    y = tf.constant(random.random((256, 1), numpy.float32))

    @tf.function
    def step(ids, y):
        with tf.GradientTape() as tape:
            rows = tf.gather(tf.identity(table.value) if dense else table.value, ids)
            loss = tf.reduce_mean((tf.reduce_mean(rows, 1) @ kernel.value - y) ** 2)
        gradients = tape.gradient(loss, [table.value, kernel.value])
        if dense:
            gradients[0] = tf.convert_to_tensor(gradients[0])
        optimizer.apply(gradients, [table, kernel])
        return loss

    return lambda: step(ids, y).numpy()


for dense in False, True:
    form = "_dense" if dense else "_rows"
    for name, optimizer in ("sgd", keras.optimizers.SGD()), ("adagrad", keras.optimizers.Adagrad()):
        print_line("embedding_" + name + form, median_seconds(embedding_step(optimizer, dense), 30), 0.256, "kexamples_per_s")
