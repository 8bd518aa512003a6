"""Checkpoints on disks that fail for real: no room on a small tmpfs, system calls that fail with EIO. disk_test.py DISK MPIRUN..."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

DISK, MPIRUN = sys.argv[1], sys.argv[2:]


def job(*arguments, ranks=2):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOCKSTEP_TIMEOUT": "30"}
    return subprocess.run([*MPIRUN, "-n", str(ranks), DISK, *map(str, arguments)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=100)


class Tmpfs:
    """A file system in memory of so many bytes; skips the test where that is not allowed."""

    def __init__(self, size):
        self.folder = tempfile.mkdtemp()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.folder], stderr=subprocess.PIPE, text=True)
        if mounted.returncode != 0:
            os.rmdir(self.folder)
            raise unittest.SkipTest(f"not run: no file system of a given size can be mounted here ({mounted.stderr.strip()})")

    def __enter__(self):
        return self.folder

    def __exit__(self, *_):
        subprocess.run(["umount", self.folder], check=True)
        os.rmdir(self.folder)


class Disk(unittest.TestCase):
    def test_a_save_fails_on_all_ranks_names_rank_path_and_reason_and_leaves_what_was_there(self):
        with tempfile.TemporaryDirectory() as folder, Tmpfs("256k") as small:
            run = job("save", folder, small)
            self.assertEqual(run.returncode, 0, run.stdout)
            for step, rank, fault, named, reason in [
                    ("shard", 1, "full", "shard-00001-of-00002.h5", "No space left on device"),
                    ("shard", 1, "open", "shard-00001-of-00002.h5", "Input/output error"),
                    ("shard", 1, "write", "shard-00001-of-00002.h5", "Input/output error"),
                    ("shard", 1, "fsync", "shard-00001-of-00002.h5", "Input/output error"),
                    ("shard", 0, "write", "shard-00000-of-00002.h5", "Input/output error"),
                    ("manifest", 0, "write", "manifest.json", "Input/output error"),
                    ("sync", 0, "fsync", "shard-00000-of-00002.h5", "Input/output error"),
                    ("renamed", 0, "fsync", folder, "Input/output error")]:
                lines = re.findall(rf"rank (\d), {step} of rank {rank}, {fault}: (.*) \| there are (.*)", run.stdout)
                with self.subTest(step=step, rank=rank, fault=fault):
                    self.assertEqual(sorted(own for own, _, _ in lines), ["0", "1"], run.stdout)
                    for _, text, left in lines:
                        self.assertRegex(text, rf"the checkpoint '{folder}/step-00000002' was not saved: rank {rank}: .*'[^']*{named}': {reason}")
                        # Once renamed, a generation is there; the disk only does not vouch for it.
                        self.assertEqual(sorted(left.split()), ["step-00000001", "step-00000002"] if step == "renamed" else ["step-00000001"])
            self.assertIn("then saved step 2", run.stdout)

    def fit(self, fault, folder, reason):
        run = job("fit", fault, folder)
        self.assertEqual(run.returncode, 0, run.stdout)
        for step in (4, 6):
            self.assertRegex(run.stdout, rf"\[ModelCheckpoint\] .*the checkpoint '{folder}/step-0000000{step}' was not saved: rank \d: .*{reason}; the last one is {folder}/step-00000002")
        self.assertEqual(re.findall(r"whole: (.*)", run.stdout), ["step-00000002", "step-00000008", "step-00000010", "step-00000012"])
        self.assertEqual(sorted(os.listdir(folder)), ["step-00000002", "step-00000008", "step-00000010", "step-00000012"])
        self.assertIn(f"after 12 epochs, last {folder}/step-00000012", run.stdout)
        return re.search(r"loss (\S+)", run.stdout).group(1)

    def test_a_training_goes_on_beside_a_disk_that_fails_and_saves_again_when_it_works(self):
        with tempfile.TemporaryDirectory() as folder:
            undisturbed = re.search(r"loss (\S+)", job("fit", "none", folder).stdout).group(1)
        for fault in ("write", "fsync"):
            with self.subTest(fault=fault), tempfile.TemporaryDirectory() as folder:
                self.assertEqual(self.fit(fault, folder, "Input/output error"), undisturbed)

    def test_a_training_goes_on_beside_a_full_disk_and_saves_again_when_there_is_room(self):
        with Tmpfs("40m") as folder:
            self.fit("full", folder, "No space left on device")


unittest.main(argv=sys.argv[:1], verbosity=2)
