"""A job that is killed at any step of saving leaves the old generation or the new one, never a mixture; h5py and h5dump read what it wrote.
commit_test.py COMMITTER LOCKSTEP MPIRUN..."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

COMMITTER, LOCKSTEP, MPIRUN = sys.argv[1], sys.argv[2], sys.argv[3:]
OLD, NEW = "step-00000001", "step-00000002"


def job(folder, *arguments, ranks=2):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOCKSTEP_TIMEOUT": "30"}
    return subprocess.run([*MPIRUN, "-n", str(ranks), COMMITTER, folder, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)


def inspect(*arguments):
    return subprocess.run([LOCKSTEP, "inspect", *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)


class Commit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = pathlib.Path(cls.folder.name)
        run = job(cls.folder.name)
        assert run.returncode == 0, run.stdout
        cls.hashes = {name: inspect(cls.root / name, "--hash").stdout for name in (OLD, NEW)}
        assert cls.hashes[OLD] != cls.hashes[NEW]

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_a_kill_at_any_step_leaves_the_old_or_the_new_generation(self):
        for step, rank in [("clean", 0), ("shard", 0), ("shard", 1), ("shard written", 0), ("shard written", 1), ("manifest", 0), ("sync", 0), ("rename", 0), ("renamed", 0)]:
            with self.subTest(step=step, rank=rank), tempfile.TemporaryDirectory() as folder:
                killed = job(folder, step, rank)
                self.assertNotEqual(killed.returncode, 0, killed.stdout)
                last = NEW if step == "renamed" else OLD
                self.assertEqual(inspect(folder, "--hash").stdout, self.hashes[last])
                self.assertEqual(inspect(pathlib.Path(folder) / last).returncode, 0)
                # The next job goes on from there and leaves no traces of the first.
                after = job(folder)
                self.assertEqual(after.returncode, 0, after.stdout)
                self.assertEqual(inspect(folder, "--hash").stdout, self.hashes[NEW])
                self.assertEqual(sorted(os.listdir(folder)), [OLD, NEW])

    def test_any_number_of_ranks_writes_the_same(self):
        for ranks in (1, 3):
            with tempfile.TemporaryDirectory() as folder:
                self.assertEqual(job(folder, ranks=ranks).returncode, 0)
                # (Sums over other numbers of ranks differ in the last bits, so that only the first generation's structure is compared.)
                differing = inspect(pathlib.Path(folder) / OLD, "--diff", self.root / OLD)
                self.assertNotIn("only in", differing.stdout)

    def test_h5py_puts_the_weights_together(self):
        manifest = json.loads((self.root / NEW / "manifest.json").read_text())
        self.assertEqual(manifest["world_size"], 2)
        seen = set()
        for tensor in manifest["tensors"]:
            parts = []
            for part in tensor["parts"]:
                with h5py.File(self.root / NEW / part["file"]) as shard:
                    parts.append(shard["/state/" + tensor["path"]][()].reshape(-1)[: part["end"] - part["begin"]])
                seen.add(part["file"])
            whole = numpy.concatenate(parts).reshape(tensor["shape"])
            self.assertEqual(str(whole.dtype), tensor["dtype"])
            self.assertTrue(numpy.isfinite(whole).all())
        self.assertEqual(len(seen), 2, "both ranks wrote")
        with h5py.File(self.root / NEW / "shard-00000-of-00002.h5") as shard:
            self.assertEqual(json.loads(shard["/config/model"][()])["class_name"], "Sequential")

    def test_h5dump_reads_the_shards(self):
        for shard in (self.root / NEW).glob("*.h5"):
            run = subprocess.run(["h5dump", "-n", "1", shard], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            self.assertEqual(run.returncode, 0, run.stdout)
            self.assertIn("/state", run.stdout)

    def test_inspect_shows_the_tree_and_what_is_damaged(self):
        text = inspect(self.root).stdout
        self.assertIn("step 2, epoch 2, written by 2 ranks", text)
        self.assertRegex(text, r"sequential/dense/kernel +float32 +\(6, 300\)")
        self.assertIn("all files are as the manifest says", text)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cp", "-r", self.root / NEW, folder], check=True)
            shard = next((pathlib.Path(folder) / NEW).glob("*.h5"))
            shard.write_bytes(shard.read_bytes()[:-100])
            damaged = inspect(folder)
            self.assertEqual(damaged.returncode, 1)
            self.assertIn(f"{shard.name}' has", damaged.stdout)
        missing = inspect(self.root / "nowhere")
        self.assertEqual((missing.returncode, "no checkpoint" in missing.stdout), (1, True))


unittest.main(argv=sys.argv[:1], verbosity=2)
