"""The lockstep promise: with the number of shards fixed, any number of ranks that divides it trains to the same bits. promise_test.py PROMISE MPIRUN..."""
import os
import re
import subprocess
import sys

program, mpirun = sys.argv[1], sys.argv[2:]
environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOCKSTEP_TIMEOUT": "60"}
failed = 0
for model, shards, worlds in [("book_mlp", 4, [1, 2, 4]), ("cnn", 4, [1, 2, 4]), ("gpt", 4, [1, 2, 4]), ("cnn", 6, [1, 2, 3])]:
    hashes = {}
    for ranks in [0, *worlds]:
        command = [program, model, str(shards)]
        if ranks:
            command = [*mpirun, "-n", str(ranks), *command]
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=200)
        found = set(re.findall(r"rank \d+ of \d+: (\w+)", run.stdout))
        if run.returncode or len(found) != 1:
            print(run.stdout)
            found = {"?"}
        hashes["alone" if ranks == 0 else ranks] = found.pop()
    same = len(set(hashes.values())) == 1 and "?" not in hashes.values()
    failed += not same
    print(model, "in", shards, "shards:", "the same bits" if same else "DIFFERENT BITS", hashes, flush=True)
sys.exit(failed > 0)
