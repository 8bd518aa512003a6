"""`lockstep convert`: files of Keras's to a checkpoint and back, with the optimizer's state; what it refuses, and how.
convert_check.py LOCKSTEP"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

LOCKSTEP = sys.argv[1]
GOLDEN = pathlib.Path(os.environ.get("LOCKSTEP_GOLDEN", pathlib.Path(__file__).parents[3] / "shared" / "golden")) / "keras_files"


def lockstep(*arguments):
    return subprocess.run([LOCKSTEP, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)


def datasets(path):
    found = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, each: found.update({name: each[()]}) if isinstance(each, h5py.Dataset) else None)
    return found


class Convert(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def convert(self, source, target, written=None):
        run = lockstep("convert", source, target)
        self.assertEqual((run.returncode, run.stdout, run.stderr), (0, f"{written or target} is written\n", ""))
        return target

    def refused(self, code, *arguments):
        run = lockstep("convert", *arguments)
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        self.assertEqual(run.stdout, "")
        return run.stderr

    def test_a_checkpoint_comes_back_as_the_files_it_was_made_of(self):
        for name in ("mlp", "cnn_bn", "lstm_classifier", "wide_deep"):
            with self.subTest(name):
                checkpoint = self.convert(GOLDEN / f"{name}.keras", self.folder / name, self.folder / name / "step-00000003")
                self.assertEqual(lockstep("inspect", checkpoint).returncode, 0)
                got, wanted = datasets(self.convert(checkpoint, self.folder / f"{name}.weights.h5")), datasets(GOLDEN / f"{name}.weights.h5")
                self.assertEqual(wanted.keys(), got.keys())
                self.assertIn("optimizer/vars/0", got)
                for path in wanted:
                    numpy.testing.assert_array_equal(got[path], wanted[path], path)

    def test_any_way_ends_with_the_same_model(self):
        first = self.convert(GOLDEN / "mlp.keras", self.folder / "first", self.folder / "first" / "step-00000003")
        keras = self.convert(first / "step-00000003", self.folder / "a.keras")
        legacy = self.convert(keras, self.folder / "a.h5")
        last = self.convert(legacy, self.folder / "last", self.folder / "last" / "step-00000003")
        self.assertEqual(lockstep("inspect", first, "--diff", last).stdout, "no difference\n")

    def test_a_damaged_generation_is_named_and_the_one_before_is_taken(self):
        checkpoint = self.convert(GOLDEN / "mlp.keras", self.folder / "run", self.folder / "run" / "step-00000003")
        shutil.copytree(checkpoint / "step-00000003", checkpoint / "step-00000004")
        shard = checkpoint / "step-00000004" / "shard-00000-of-00001.h5"
        shard.write_bytes(shard.read_bytes()[:-100])
        run = lockstep("convert", checkpoint, self.folder / "a.keras")
        self.assertEqual(run.returncode, 0)
        self.assertIn("step-00000004", run.stderr)
        self.assertIn("going back to step-00000003", run.stderr)
        self.assertEqual(lockstep("convert", checkpoint / "step-00000004", self.folder / "b.keras").returncode, 1)
        self.assertFalse((self.folder / "b.keras").exists())

    def test_what_cannot_be_done_is_said(self):
        mlp = GOLDEN / "mlp.keras"
        self.assertIn("another ending", self.refused(1, mlp, self.folder / "a.onnx"))
        self.assertIn("no-such.keras", self.refused(1, "no-such.keras", self.folder / "a.keras"))
        self.assertIn("no complete checkpoint", self.refused(1, self.folder, self.folder / "a.keras"))
        self.assertIn("weights without a model", self.refused(1, GOLDEN / "mlp.weights.h5", self.folder / "a.keras"))
        self.assertIn("there is no directory", self.refused(1, mlp, self.folder / "none" / "a.keras"))
        custom = self.refused(1, GOLDEN / "custom_objects.keras", self.folder / "a.h5")
        self.assertIn("MyL1Regularizer", custom)
        self.assertIn("registered", custom)
        (self.folder / "text.keras").write_text("no model")
        self.assertIn("none of Keras's files", self.refused(1, self.folder / "text.keras", self.folder / "a.keras"))
        (self.folder / "file").write_text("")
        self.assertIn("was not saved", self.refused(1, mlp, self.folder / "file"))
        for arguments in ((), (mlp,), (mlp, "a.keras", "b.keras")):
            self.refused(2, *arguments)
        self.assertEqual(sorted(os.listdir(self.folder)), ["file", "text.keras"], "what failed leaves nothing")

    def test_the_help_says_what_it_reads_and_writes(self):
        text = lockstep("convert", "--help").stdout
        for word in ("checkpoint", ".keras", ".h5", ".weights.h5"):
            self.assertIn(word, text)


unittest.main(argv=sys.argv[:1])
