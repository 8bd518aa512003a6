"""`lockstep bench allreduce` and `scaling` start their ranks, print one JSON line a size or number of ranks, and draw a picture."""
import json
import subprocess
import sys
import xml.etree.ElementTree

command, picture = sys.argv[1:]


def lines(*arguments):
    run = subprocess.run([command, "bench", *arguments, "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


failures = []


def require(what, holds):
    if not holds:
        failures.append(what)


sizes = lines("allreduce", "--ranks", "2", "--min", "1024", "--max", "65536", "--seconds", "0.02")
require("one line a size", [line["bytes"] for line in sizes] == [1024, 4096, 16384, 65536])
require("two ranks", all(line["ranks"] == 2 for line in sizes))
require("right sums", all(line["correct"] for line in sizes))
require("times of all that is compared", all(line[key] > 0 for line in sizes for key in ("us", "in_flight_us", "mpi_us", "copy_us", "bus_GBps", "ratio")))
halves = lines("allreduce", "--ranks", "2", "--min", "4096", "--max", "4096", "--dtype", "bfloat16", "--op", "mean", "--seconds", "0.02")
require("another dtype and reduction", len(halves) == 1 and halves[0]["correct"] and halves[0]["dtype"] == "bfloat16" and halves[0]["op"] == "mean")

points = lines("scaling", "--workload", "book_mlp", "--ranks", "1,2", "--seconds", "0.05", "--plot", picture)
require("one line a number of ranks", [line["ranks"] for line in points] == [1, 2])
require("whole batches for each rank", [line["rows"] for line in points] == [32, 64])
require("nothing to reduce alone", points[0]["calls"] == 0 and points[0]["communication_ms"] == 0)
require("the gradients of 30 * 9 + 31 parameters", points[1]["bytes"] >= 4 * 301)
require("the first step's time", 0 < points[1]["first_step_s"] < 100)
drawn = xml.etree.ElementTree.parse(picture).getroot()
require("a curve for each of two panels", len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 2)
strong = lines("scaling", "--workload", "book_mlp", "--ranks", "2", "--mode", "strong", "--seconds", "0.05")
require("one batch for both ranks", strong[0]["rows"] == 32)

emulated = lines("scaling", "--workload", "mlp", "--ranks", "2", "--emulate-step-ms", "2,4", "--seconds", "0.1")[0]
require("a step as long as the device computes", emulated["alone_ms"] >= 6 and emulated["step_ms"] >= 6)
require("all gradients of the variables", emulated["bytes"] == 4 * (784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10))

for what in failures:
    print("lockstep bench does not give " + what)
sys.exit(bool(failures))
