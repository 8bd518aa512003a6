"""`lockstep run` across two hosts made of namespaces, two ranks on each, and the script that makes them."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

from job import ENVIRONMENT, HOSTS_SCRIPT, LOCKSTEP, PROMISE, RANKS, Hosts, JobTest, hash_alone, hashes


def namespaces():
    return subprocess.run(["ip", "netns", "list"], check=True, stdout=subprocess.PIPE, text=True).stdout


class AcrossHosts(JobTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.hosts = Hosts(2, "1gbit")
        cls.addClassCleanup(cls.hosts.down)
        cls.prefix = cls.hosts.on(1)

    def run_across(self, *arguments, slots=(2, 2), code=0, **options):
        return self.finish(*self.hosts.options(*slots), *arguments, code=code, **options)

    def test_fills_the_hosts_in_order_and_adds_up_across_them(self):
        job = self.run_across("--prefix", "none", "--", RANKS, "sum")
        for rank in range(4):
            self.assertIn(f"rank {rank} of 4 on {self.hosts.host(1 + rank // 2)}: sum 6\n", job.out)
        self.assertEqual(job.err, "")

    def test_trains_across_hosts_to_the_same_bits_as_alone(self):
        job = self.run_across("--", PROMISE, "cnn", 4, environment={"OMP_NUM_THREADS": "1"})
        self.assertEqual(hashes(job.out), {("4", hash_alone("cnn", 4))}, job.out)

    def test_large_sums_cross_a_slow_link_on_all_ranks_at_once(self):
        # More than the sockets hold: who waits for a neighbour must keep the messages of the other host moving.
        job = self.run_across("--", LOCKSTEP, "bench", "allreduce", "--min", "16m", "--max", "16m", "--seconds", 0.1, "--link-gbps", 1, "--json", environment={"LOCKSTEP_TIMEOUT": "30"})
        line = json.loads(job.out)
        self.assertEqual((line["ranks"], line["hosts"], line["bytes"], line["correct"]), (4, 2, 16 << 20, True))

    def test_takes_the_hosts_from_a_file(self):
        with tempfile.NamedTemporaryFile("w", suffix=" with spaces") as file:
            file.write(f"# two hosts\n{self.hosts.host(1)} slots=1\n{self.hosts.host(2)} slots=2\n")
            file.flush()
            job = self.finish("--hostfile", file.name, *self.hosts.options()[2:], "-n", 2, "--", RANKS, "sum")
        self.assertIn(f"[1] rank 1 of 2 on {self.hosts.host(2)}: sum 1\n", job.out)

    def test_arguments_arrive_verbatim_on_the_other_host(self):
        arguments = ["a b", "it's \"so\"", "$(id)", "`id`", "*", "", "\\n", ";ls", "é", "--help", "--", "-x"]
        job = self.run_across("--export", "MINE=a;b 'c' $(id)", "--", RANKS, "arguments", *arguments, slots=(1, 1))
        self.assertEqual([line[4:] for line in job.out.splitlines() if line.startswith("[1] ")], arguments)
        job = self.run_across("--export", "MINE=a;b 'c' $(id)", "--", RANKS, "environment", "MINE", slots=(1, 1))
        self.assertIn("[1] MINE=a;b 'c' $(id)\n", job.out)

    def test_names_the_rank_that_was_killed_on_the_other_host(self):
        job = self.start(*self.hosts.options(2, 2), "--", RANKS, "wait")
        for rank in range(4):
            job.pid_of(rank)
        pid = job.pid_of(3)
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(job.gone_in(5))
        self.assertEqual(job.end(), 137)
        self.assertIn(f"lockstep run: rank 3 (pid {pid} on {self.hosts.host(2)}) died of SIGKILL", job.err)

    def test_restarts_across_hosts(self):
        job = self.run_across("--max-restarts", 1, "--backoff", 0.1, "--", RANKS, "die", 2, 9, 1)
        self.assertIn("[2] restart 1 goes through\n", job.out)

    def test_sigterm_lets_the_ranks_of_all_hosts_end_well(self):
        job = self.start(*self.hosts.options(1, 2), "--", RANKS, "wait")
        for rank in range(3):
            job.pid_of(rank)
        job.process.send_signal(signal.SIGTERM)
        self.assertEqual(job.end(), 143)
        self.assertEqual(job.out.count("ends well"), 3, job.out)
        self.assertTrue(job.gone_in(3))

    def test_nothing_is_left_anywhere_when_the_supervisor_is_killed(self):
        job = self.start(*self.hosts.options(2, 2), "--", RANKS, "stubborn")
        for rank in range(4):
            job.pid_of(rank)
        job.process.kill()
        self.assertTrue(job.gone_in(8))

    def test_says_which_host_cannot_be_reached(self):
        job = self.finish("--hosts", f"{self.hosts.host(1)}:1,no-such-host:1", *self.hosts.options()[2:], "--max-restarts", 3, "--", RANKS, "sum", code=126)
        self.assertIn("no-such-host", job.err)
        self.assertIn("mpirun did not start the program", job.err)
        self.assertNotIn("restart", job.err)
        self.assertLess(len(job.err.splitlines()), 6, job.err)

    def test_a_lost_host_is_a_lost_peer(self):
        hosts = Hosts(2)
        self.addCleanup(hosts.down)
        self.prefix = hosts.on(1)
        job = self.start(*hosts.options(1, 1), "--", RANKS, "wait")
        job.pid_of(1)
        pids = subprocess.run(["ip", "netns", "pids", hosts.host(2)], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        for pid in map(int, pids):
            os.kill(pid, signal.SIGKILL)
        self.assertIn(job.end(15), (75, 137), job.err)
        self.assertTrue(job.gone_in(5))

    def test_the_link_has_the_speed_that_was_asked_for(self):
        shown = subprocess.run([*self.hosts.on(1), "tc", "qdisc", "show", "dev", "link1"], check=True, stdout=subprocess.PIPE, text=True).stdout
        self.assertRegex(shown, "tbf .*rate 1Gbit")
        sent = lambda: int(re.search(r"Sent (\d+) bytes", subprocess.run([*self.hosts.on(1), "tc", "-s", "qdisc", "show", "dev", "link1"], check=True, stdout=subprocess.PIPE, text=True).stdout)[1])
        before = sent()
        self.run_across("--", RANKS, "sum")
        self.assertGreater(sent(), before + 1000)  # through the link, not through memory


class TheScripts(JobTest):
    def test_train_makes_hosts_runs_a_program_on_them_and_removes_them(self):
        before = namespaces()
        done = subprocess.run([pathlib.Path(HOSTS_SCRIPT).with_name("train"), "--ranks", "1", "--prefix", "all", "--", RANKS, "sum"], env={**ENVIRONMENT, "LOCKSTEP_COMMAND": LOCKSTEP},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"\[0\] rank 0 of 2 on train\S+1: sum 1\n")
        self.assertRegex(done.stdout, r"\[1\] rank 1 of 2 on train\S+2: sum 1\n")
        self.assertEqual(namespaces(), before)

    def test_up_twice_is_up_once_and_down_leaves_nothing(self):
        hosts = Hosts(1)
        self.addCleanup(hosts.down)
        self.assertEqual(hosts.script("up", "2").returncode, 0)
        self.assertEqual(sorted(re.findall(rf"^{hosts.name}\S+", namespaces(), re.MULTILINE)), [hosts.name + "-switch", hosts.host(1), hosts.host(2)])
        self.assertEqual(hosts.script("down").returncode, 0)
        self.assertEqual(hosts.script("down").returncode, 0)
        self.assertNotIn(hosts.name, namespaces())
        self.assertFalse(pathlib.Path(hosts.directory).exists())

    def test_up_that_fails_leaves_nothing(self):
        hosts = Hosts(1)
        self.addCleanup(hosts.down)
        failed = hosts.script("up", "2", "no-rate", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.assertNotEqual(failed.returncode, 0)
        self.assertNotIn(hosts.name, namespaces())
        self.assertFalse(pathlib.Path(hosts.directory).exists())

    def test_refuses_what_it_does_not_know(self):
        hosts = Hosts(1)
        self.addCleanup(hosts.down)
        for arguments in (("up",), ("up", "0"), ("up", "two"), ("sideways",), ()):
            self.assertEqual(hosts.script(*arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode, 2, arguments)
        self.assertEqual(hosts.script("run", hosts.name + "9", "true", stderr=subprocess.DEVNULL).returncode, 1)


if __name__ == "__main__":
    unittest.main()
