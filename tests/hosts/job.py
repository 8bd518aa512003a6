"""Jobs of `lockstep run` for the tests of this folder: started, watched, and found again wherever a part of them is left."""
import contextlib
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

LOCKSTEP, RANKS, HOSTS_SCRIPT = os.environ["LOCKSTEP_COMMAND"], os.environ["LOCKSTEP_TEST_RANKS"], os.environ["LOCKSTEP_HOSTS_SCRIPT"]

# A training that ends with a hash of all weights, the same for any number of ranks.
PROMISE = os.environ["LOCKSTEP_TEST_PROMISE"]

# Nothing of a job that is around us.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMIX_", "SLURM_", "OMP_", "LOCKSTEP_"))}


def hashes(text):
    """What the ranks of PROMISE have printed."""
    return set(re.findall(r"rank \d+ of (\d+): (\w+)", text))


def hash_alone(model, shards):
    return re.search(r"rank 0 of 1: (\w+)", subprocess.run([PROMISE, model, str(shards)], env={**ENVIRONMENT, "OMP_NUM_THREADS": "1"}, check=True, stdout=subprocess.PIPE, text=True).stdout)[1]


class Job:
    """`prefix` is a command that runs its arguments somewhere else."""

    def __init__(self, *arguments, prefix=(), environment=None, **options):
        # `lockstep run` exports LOCKSTEP_*, so that every process of the job carries the mark.
        self.mark = "LOCKSTEP_TEST_JOB=" + uuid.uuid4().hex
        name, value = self.mark.split("=")
        self.process = subprocess.Popen([*prefix, LOCKSTEP, "run", *map(str, arguments)], stdin=options.pop("stdin", subprocess.DEVNULL), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**ENVIRONMENT, **(environment or {}), name: value}, **options)
        self.out, self.err = "", ""
        self.readers = [threading.Thread(target=self._read, args=(stream, to), daemon=True) for stream, to in ((self.process.stdout, "out"), (self.process.stderr, "err"))]
        for reader in self.readers:
            reader.start()

    def _read(self, stream, to):
        with stream:
            for some in iter(lambda: stream.read1(65536), b""):
                setattr(self, to, getattr(self, to) + some.decode(errors="replace"))

    def wait_for(self, text, times=1, seconds=60):
        end = time.monotonic() + seconds
        while (self.out + self.err).count(text) < times:
            if time.monotonic() > end or (self.process.poll() is not None and not any(reader.is_alive() for reader in self.readers)):
                raise AssertionError(f"'{text}' did not come {times} times:\n{self.out}\n{self.err}")
            time.sleep(0.01)

    def end(self, seconds=60):
        """The exit code."""
        code = self.process.wait(seconds)
        for reader in self.readers:
            reader.join(5)
        return code

    def processes(self):
        """What is there of the job: {pid: command line}."""
        found = {}
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdigit() and self.mark.encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def gone_in(self, seconds):
        """Whether nothing is left of the job within that time."""
        end = time.monotonic() + seconds
        while left := self.processes():
            if time.monotonic() > end:
                print("left:", left, file=sys.stderr)
                return False
            time.sleep(0.05)
        return True

    def pid_of(self, rank):
        self.wait_for(f"rank {rank} waits, pid ")
        return int(self.out.split(f"rank {rank} waits, pid ")[1].split()[0])

    def clean_up(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class JobTest(unittest.TestCase):
    prefix = ()

    def start(self, *arguments, **options):
        job = Job(*arguments, prefix=self.prefix, **options)
        self.addCleanup(job.clean_up)
        return job

    def finish(self, *arguments, code=0, **options):
        """A whole job, which must end with `code` and leave nothing behind."""
        job = self.start(*arguments, **options)
        self.assertEqual(job.end(), code, job.out + job.err)
        self.assertTrue(job.gone_in(5))
        return job


class Hosts:
    """Hosts of the script, beside any others that are up."""

    sets = itertools.count(1)

    def __init__(self, count, rate=None):
        if os.geteuid() != 0:
            raise AssertionError("this test makes hosts out of network namespaces, and needs root")
        self.directory = tempfile.mkdtemp(prefix="lockstep-hosts-")
        self.name = f"t{os.getpid()}-{next(Hosts.sets)}h"
        self.environment = {**ENVIRONMENT, "LOCKSTEP_HOSTS_DIR": self.directory, "LOCKSTEP_HOSTS_NAME": self.name}
        try:
            self.script("up", str(count), *([rate] if rate else []), check=True)
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def script(self, *arguments, **options):
        # Not to a pipe: daemons that it starts would hold it open.
        return subprocess.run([HOSTS_SCRIPT, *arguments], env=self.environment, timeout=60, **options)

    def host(self, number):
        return f"{self.name}{number}"

    def on(self, number):
        """A command that runs its arguments on that host."""
        return ("env", f"LOCKSTEP_HOSTS_DIR={self.directory}", f"LOCKSTEP_HOSTS_NAME={self.name}", HOSTS_SCRIPT, "run", self.host(number))

    def options(self, *slots):
        return ["--hosts", ",".join(f"{self.host(i + 1)}:{count}" for i, count in enumerate(slots)), "--ssh-config", self.directory + "/ssh_config", "--interface", "10.77.0.0/24",
                "--mca", "mpi_yield_when_idle=1"]  # they share the cores of one machine

    def down(self):
        self.script("down")
