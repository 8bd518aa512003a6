"""What the quickstart's program leaves, also when it was killed in between: a report, a picture, weights, checkpoints and a file that Keras opens.
results_check.py FASHION_MNIST LOCKSTEP MPIRUN ...   (with $LOCKSTEP_KERAS_PYTHON Keras itself opens it)"""
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy

PROGRAM, LOCKSTEP, MPIRUN = sys.argv[1], sys.argv[2], sys.argv[3:]
KERAS_PYTHON = os.environ.get("LOCKSTEP_KERAS_PYTHON")


def run(*command):
    return subprocess.run([*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})


def train(output, *arguments):
    return run(*MPIRUN, "-n", "2", PROGRAM, "--samples", "4000", "--epochs", "2", "--verbose", "0", "--output", output, *arguments)


class Results(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.training = train(cls.folder / "whole")
        # Killed in the second epoch of 29 steps, and gone on with.
        cls.killed = train(cls.folder / "killed", "--demo-fault", "40")
        cls.left = os.listdir(cls.folder / "killed")
        cls.resumed = train(cls.folder / "killed", "--resume")

    def weights(self, name):
        with h5py.File(self.folder / name / "model.weights.h5") as file:
            found = {}
            file.visititems(lambda path, each: found.update({path: each[()]}) if isinstance(each, h5py.Dataset) else None)
            return found

    def test_all_files_are_there(self):
        self.assertEqual(self.training.returncode, 0, self.training.stdout)
        self.assertEqual(sorted(os.listdir(self.folder / "whole")), ["checkpoints", "mistakes.png", "model.keras", "report.txt", "weights.npz"])
        self.assertIn("test accuracy", (self.folder / "whole" / "report.txt").read_text())

    def test_the_file_for_keras_has_the_weights_and_the_optimizers_state(self):
        converted = run(LOCKSTEP, "convert", self.folder / "whole" / "model.keras", self.folder / "whole" / "model.weights.h5")
        self.addCleanup((self.folder / "whole" / "model.weights.h5").unlink)
        self.assertEqual(converted.returncode, 0, converted.stdout)
        found = self.weights("whole")
        with numpy.load(self.folder / "whole" / "weights.npz") as wanted:
            self.assertEqual(len(wanted), 6)
            for layer, name in ((0, "dense"), (1, "dense_1"), (2, "dense_2")):
                for i, part in enumerate(("kernel", "bias")):
                    numpy.testing.assert_array_equal(found[f"layers/{name}/vars/{i}"], wanted[f"mlp/{name}/{part}"])
        self.assertEqual(found["optimizer/vars/0"], 2 * 29, "all steps")

    def test_a_job_that_was_killed_goes_on_and_ends_with_it(self):
        self.assertNotEqual(self.killed.returncode, 0)
        self.assertEqual(self.left, ["checkpoints"], self.killed.stdout)
        self.assertEqual(self.resumed.returncode, 0, self.resumed.stdout)
        self.assertIn("model.keras", os.listdir(self.folder / "killed"))

    @unittest.skipUnless(KERAS_PYTHON, "$LOCKSTEP_KERAS_PYTHON names no interpreter that has Keras")
    def test_keras_opens_it(self):
        opened = run(KERAS_PYTHON, "-c", f"import keras; keras.saving.load_model('{self.folder}/killed/model.keras').summary()")
        self.assertEqual(opened.returncode, 0, opened.stdout)
        self.assertIn('Model: "mlp"', opened.stdout)


unittest.main(argv=sys.argv[:1])
