"""A job step of Slurm: ranks that srun starts, without mpirun and without `lockstep run`, and `lockstep run` inside an allocation."""
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from job import LOCKSTEP, PROMISE, RANKS, Hosts, JobTest, hash_alone, hashes


class Slurm(JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hosts = Hosts(1)
        cls.addClassCleanup(cls.hosts.down)
        cls.directory = tempfile.mkdtemp(prefix="lockstep-slurm-")
        cls.addClassCleanup(shutil.rmtree, cls.directory, ignore_errors=True)
        cls.slurm("up")
        cls.addClassCleanup(cls.slurm, "down")

    @classmethod
    def slurm(cls, what):
        script = pathlib.Path(__file__).with_name("slurm")
        subprocess.run([*cls.hosts.on(1), "env", f"SLURM_TEST_DIR={cls.directory}", script, what], check=True, timeout=60, env=cls.hosts.environment)

    def inside(self, *command):
        """Runs a command of Slurm's where its daemons are: (exit code, output)."""
        done = subprocess.run([*self.hosts.on(1), "env", f"SLURM_CONF={self.directory}/slurm.conf", *command], env=self.hosts.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120)
        return done.returncode, done.stdout

    def test_srun_with_pmix_starts_ranks_of_one_job(self):
        code, text = self.inside("srun", "--mpi=pmix", "-n", "2", RANKS, "sum")
        self.assertEqual(code, 0, text)
        for rank in range(2):
            self.assertIn(f"rank {rank} of 2 on {self.hosts.host(1)}: sum 1\n", text)

    def test_srun_with_pmix_trains_to_the_same_bits_as_alone(self):
        code, text = self.inside("env", "OMP_NUM_THREADS=1", "srun", "--mpi=pmix", "-n", "2", PROMISE, "cnn", "4")
        self.assertEqual(code, 0, text)
        self.assertEqual(hashes(text), {("2", hash_alone("cnn", 4))}, text)

    def test_srun_without_pmix_is_refused_with_the_remedy(self):
        code, text = self.inside("srun", "-n", "2", PROMISE, "cnn", "4")
        self.assertNotEqual(code, 0, text)
        self.assertIn("srun --mpi=pmix", text)
        self.assertEqual(hashes(text), set(), text)  # none trained alone

    def test_srun_tells_how_a_rank_ended(self):
        code, text = self.inside("srun", "--mpi=pmix", "-n", "2", "--kill-on-bad-exit=1", RANKS, "exit", "1", "3")
        self.assertNotEqual(code, 0, text)
        self.assertIn("rank 1, restart (none): exit", text)

    def test_lockstep_run_starts_its_ranks_inside_an_allocation(self):
        code, text = self.inside("salloc", "--quiet", "-n", "2", LOCKSTEP, "run", "-n", "2", "--prefix", "none", "--", RANKS, "sum")
        self.assertEqual(code, 0, text)
        for rank in range(2):
            self.assertIn(f"rank {rank} of 2 on {self.hosts.host(1)}: sum 1\n", text)


if __name__ == "__main__":
    unittest.main()
