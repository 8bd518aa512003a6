"""What a job does when something goes wrong: faults_test.py FAULTY OTHER MPIRUN... Every case is a real job with a real fault; OTHER is another
program of ranks."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

FAULTY, OTHER, MPIRUN = sys.argv[1], sys.argv[2], sys.argv[3:]


class Job:
    """A job of `ranks` ranks that runs `case`; waits until it is ready."""

    def __init__(self, case, ranks=2, timeout=60):
        self.folder = tempfile.TemporaryDirectory()
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "LOCKSTEP_TIMEOUT": str(timeout), "LOCKSTEP_RECORDER_DIR": self.folder.name}
        self.process = subprocess.Popen([*MPIRUN, "-n", str(ranks), FAULTY, case], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines, self.times, self.ready = [], [], threading.Event()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        assert self.ready.wait(60), "the job did not begin"
        self.began = time.monotonic()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            self.times.append(time.monotonic())
            if line.strip() == "ready":
                self.ready.set()
        self.ready.set()

    def end(self, seconds):
        """Waits for the end, at most so long after the job was ready; the lines that it printed by then."""
        try:
            self.process.wait(max(0.1, self.began + seconds - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError("the job hangs:\n" + "\n".join(self.lines))
        self.reader.join()
        self.process.stdout.close()
        return "\n".join(self.lines)

    def said_after(self, text):
        """Seconds from the beginning to the first line that contains `text`."""
        return next(at - self.began for line, at in zip(self.lines, self.times) if text in line)

    def processes(self):
        return {int(rank): int(pid) for rank, pid in re.findall(r"process (\d+) (\d+)", "\n".join(self.lines))}

    def records(self):
        return {path.name: json.loads(path.read_text()) for path in pathlib.Path(self.folder.name).glob("*.json")}


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Faults(unittest.TestCase):
    def job(self, *arguments, **options):
        job = Job(*arguments, **options)
        self.addCleanup(job.folder.cleanup)
        return job

    def test_a_killed_rank_ends_the_job_at_once(self):
        job = self.job("killed", ranks=3)
        text = job.end(5)
        self.assertNotEqual(job.process.returncode, 0)
        self.assertIn("signal 9", text)
        while any(map(alive, job.processes().values())):
            self.assertLess(time.monotonic(), job.began + 5, "a rank is left")
            time.sleep(0.05)

    def test_a_stopped_rank_is_waited_for_until_the_deadline(self):
        job = self.job("stopped", ranks=3, timeout=2)
        text = job.end(12)
        self.assertEqual(job.process.returncode, 75, text)
        self.assertRegex(text, r"after 2 s in call \d+, all_reduce sum of float32 x 1000 'after the stop': still waiting for rank 2")
        records = job.records()
        self.assertLessEqual({"lockstep-recorder-rank-0.json", "lockstep-recorder-rank-1.json"}, set(records))
        final = records["lockstep-recorder-rank-0.json"]["records"][-1]
        self.assertEqual((final["label"], final["state"]), ("after the stop", "failed"))

    def test_another_shape_is_named_on_all_ranks(self):
        job = self.job("shape")
        text = job.end(10)
        self.assertLess(job.said_after("out of step"), 1)  # (mpirun itself takes longer to end)
        self.assertEqual(text.count("out of step: rank 0 is in call"), 2, text)
        self.assertIn("float32 x 10 'sizes'", text)
        self.assertIn("float32 x 11 'sizes'", text)

    def test_another_order_is_named(self):
        job = self.job("order")
        text = job.end(10)
        self.assertLess(job.said_after("out of step"), 1)
        self.assertRegex(text, "rank 0 is in call .*all_reduce sum of float32 x 10 'one'; rank 1 is in call .*barrier 'other'")

    def test_a_rank_that_calls_one_collective_fewer_is_named(self):
        job = self.job("fewer")
        text = job.end(10)
        self.assertLess(job.said_after("has left the job"), 1)
        self.assertNotEqual(job.process.returncode, 0)
        self.assertIn("rank 1 has left the job, but rank 0 waits for it in call", text)

    def test_what_one_rank_throws_is_the_first_thing_printed(self):
        job = self.job("throws")
        text = job.end(10)
        self.assertNotEqual(job.process.returncode, 0)
        said = [line for line in job.lines if line.strip() and line != "ready" and not line.startswith("process ")]
        self.assertEqual(said[0], "the user's own message", text)

    def test_models_that_differ_are_refused_by_name(self):
        text = self.job("model").end(10)
        self.assertRegex(text, r"the variables of model .* differ between the ranks: rank 0: .*kernel float32 \(8, 1\); rank 1: .*kernel float32 \(8, 2\)")

    def test_ranks_of_different_builds_are_refused(self):
        run = subprocess.run([*MPIRUN, "-n", "1", FAULTY, "exit", ":", "-n", "1", OTHER, "book_mlp", "2"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)
        self.assertNotEqual(run.returncode, 0)
        self.assertRegex(run.stdout, r"the ranks run different programs: rank 0 has protocol \d+, build [0-9a-f]+, device cpu, rank 1 has protocol \d+, build [0-9a-f]+, device cpu - install one build on all hosts")

    def test_a_signal_to_one_rank_ends_the_training_on_all(self):
        job = self.job("train", ranks=2)
        time.sleep(0.5)
        os.kill(job.processes()[1], signal.SIGTERM)
        text = job.end(10)
        self.assertEqual(job.process.returncode, 0, text)
        self.assertEqual(len(re.findall(r"rank \d was interrupted after epoch", text)), 2, text)

    def test_the_exit_status_of_a_rank_is_the_jobs(self):
        job = self.job("exit")
        job.end(10)
        self.assertEqual(job.process.returncode, 3)


unittest.main(argv=sys.argv[:1], verbosity=2)
