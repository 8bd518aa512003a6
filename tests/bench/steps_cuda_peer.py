#!/usr/bin/env python3
"""Training steps of PyTorch on a GPU, beside `lockstep bench steps --device cuda`.

    steps_cuda_peer.py --peers DIR [--compile] [--seconds S] [--batch N] WORKLOAD...

Models, losses and optimizers are those of DIR/steps_torch.py; gpt2 (124 million parameters, bfloat16 by autocast, 16 x 1024 tokens) is made of its blocks. That program's
loop reads the clock when a step is enqueued. Here as there steps are enqueued one behind the other, but the clock is read when all of a round are done: "ms" is the
median over the rounds, and "enqueued_ms" the median as steps_torch.py takes it. A workload that fails is a line with "error".
"""
import argparse
import ast
import json
import pathlib
import statistics
import sys
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--peers", type=pathlib.Path, required=True)
parser.add_argument("--compile", action="store_true")
parser.add_argument("--seconds", type=float, default=6)
parser.add_argument("--device", default="cuda")
parser.add_argument("--batch", type=int, default=16, help="rows of gpt2's batch")
parser.add_argument("workloads", nargs="+")
options = parser.parse_args()

import torch  # noqa: E402  (--help needs none of it)
import torch.nn.functional as F  # noqa: E402


def definitions(file):
    """What steps_torch.py defines, without its loop over the workloads."""
    tree = ast.parse(file.read_text(), str(file))
    tree.body = [each for each in tree.body if not isinstance(each, ast.For)]
    sys.argv = [str(file), "--device", options.device]  # it reads its own
    names = {}
    exec(compile(tree, str(file), "exec"), names)
    return names


peer = definitions(options.peers / "steps_torch.py")


def make(name):
    if name != "gpt2":
        model, loss, optimizer, x, y = peer["make"](name)
        return model.to(options.device), loss, optimizer, x, y
    vocabulary, length = 50257, 1024
    model = peer["GPT"](vocabulary, 768, 12, 12, length).to(options.device)
    model.head.weight = model.e.weight
    return (model, peer["ce"], torch.optim.AdamW(model.parameters(), 3e-4), torch.randint(vocabulary, (options.batch, length)), torch.randint(vocabulary, (options.batch, length)))


def synchronize():
    if options.device != "cpu":
        torch.cuda.synchronize()


def measure(name):
    begin = time.perf_counter()
    torch.manual_seed(0)
    model, loss, optimizer, x, y = make(name)
    x, y = x.to(options.device), y.to(options.device)
    if name in ("cnn", "resnet20"):
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    forward = torch.compile(model) if options.compile else model
    half = torch.autocast(torch.device(options.device).type, torch.bfloat16, enabled=name == "gpt2")

    def step():
        optimizer.zero_grad(set_to_none=True)
        with half:
            value = loss(forward(x), y)
        value.backward()
        optimizer.step()

    step()
    synchronize()
    first = time.perf_counter() - begin
    for _ in range(5):
        step()
    synchronize()
    start = time.perf_counter()
    for _ in range(3):
        step()
    synchronize()
    together = min(1000, max(1, int(0.05 / ((time.perf_counter() - start) / 3))))
    rounds, single = [], []
    start = time.perf_counter()
    while len(rounds) < 3 or time.perf_counter() - start < options.seconds:
        begin = time.perf_counter()
        for _ in range(together):
            each = time.perf_counter()
            step()
            single.append(time.perf_counter() - each)
        synchronize()
        rounds.append((time.perf_counter() - begin) / together)
    line = dict(peer="torch" + ("-compile" if options.compile else ""), workload=name, ms=1e3 * statistics.median(rounds), min_ms=1e3 * min(rounds),
                n=len(single), enqueued_ms=1e3 * statistics.median(single), first_step_s=round(first, 3), torch=torch.__version__)
    if options.device != "cpu":
        line.update(device=torch.cuda.get_device_name(), device_peak_MB=torch.cuda.max_memory_allocated() / 2**20, tf32_products=torch.backends.cuda.matmul.allow_tf32,
                    tf32_convolutions=torch.backends.cudnn.allow_tf32)
        torch.cuda.reset_peak_memory_stats()
    return line


failed = False
for workload in options.workloads:
    try:
        print(json.dumps(measure(workload)), flush=True)
    except Exception as error:  # the other workloads are measured all the same
        failed = True
        print(json.dumps(dict(peer="torch", workload=workload, error=f"{type(error).__name__}: {error}"[:500])), flush=True)
sys.exit(failed)
