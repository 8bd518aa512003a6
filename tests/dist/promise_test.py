"""The lockstep promise: with the number of shards fixed, any number of ranks that divides it trains to the same bits, also when the job is killed and goes
on with another number of ranks. promise_test.py PROMISE MPIRUN..."""
import os
import re
import subprocess
import sys
import tempfile

program, mpirun = sys.argv[1], sys.argv[2:]
environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOCKSTEP_TIMEOUT": "60"}
failed = 0


def run(ranks, *arguments):
    """The hash that all ranks print, or None; ranks = 0: a process that nobody started as a rank."""
    command = [program, *map(str, arguments)]
    if ranks:
        command = [*mpirun, "-n", str(ranks), *command]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200)
    found = set(re.findall(r"rank \d+ of \d+: (\w+)", done.stdout))
    return (found.pop(), done.stdout) if done.returncode == 0 and len(found) == 1 else (None, done.stdout)


for model, shards, worlds in [("book_mlp", 4, [1, 2, 4]), ("cnn", 4, [1, 2, 4]), ("gpt", 4, [1, 2, 4]), ("embedding", 4, [1, 2, 4]), ("cnn", 6, [1, 2, 3])]:
    hashes = {}
    for ranks in [0, *worlds]:
        hashes[ranks], text = run(ranks, model, shards)
        if hashes[ranks] is None:
            print(text)
    # Killed twice, each time at another step and with another number of ranks.
    with tempfile.TemporaryDirectory() as folder:
        for ranks, step in [(worlds[2], 11), (worlds[1], 22)]:
            done, text = run(ranks, model, shards, folder, step)
            if done is not None or not os.listdir(folder):
                print(text, "was not killed, or saved nothing")
                failed += 1
        hashes["killed"], text = run(worlds[0], model, shards, folder)
        if hashes["killed"] is None:
            print(text)
    same = len(set(hashes.values())) == 1 and None not in hashes.values()
    failed += not same
    print(model, "in", shards, "shards:", "the same bits" if same else "DIFFERENT BITS", hashes, flush=True)
sys.exit(failed > 0)
