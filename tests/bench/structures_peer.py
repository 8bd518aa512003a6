"""What tests/bench/structures.cpp measures, by TensorFlow: the same sizes, one JSON line each."""

import json
import statistics
import time

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
