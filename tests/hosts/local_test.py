"""`lockstep run` on this machine: what it starts, what it says, how it ends, what it leaves behind (nothing)."""
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import time
import unittest

from job import ENVIRONMENT, LOCKSTEP, PROMISE, RANKS, JobTest, hash_alone, hashes


class Start(JobTest):
    def test_runs_one_two_and_four_ranks(self):
        for ranks in (1, 2, 4):
            job = self.finish("-n", ranks, "--prefix", "none", "--", RANKS, "sum")
            for rank in range(ranks):
                self.assertRegex(job.out, rf"rank {rank} of {ranks} on \S+: sum {ranks * (ranks - 1) // 2}\n")
            self.assertEqual(job.err, "")

    def test_arguments_arrive_verbatim(self):
        arguments = ["a b", "it's \"so\"", "$(id)", "`id`", "*", "", "\\n", ";ls", "é", "--help", "--", "-x"]
        job = self.finish("-n", 1, "--", RANKS, "arguments", *arguments)
        self.assertEqual(job.out.split("\n")[:-1], arguments)

    def test_gives_each_rank_its_cores_and_threads(self):
        cores = len(os.sched_getaffinity(0))
        names = ("OMP_NUM_THREADS", "OMPI_MCA_mpi_yield_when_idle", "LOCKSTEP_RESTART")
        share = {ranks: self.finish("-n", ranks, "--", RANKS, "environment", *names).out for ranks in (1, cores, cores + 1)}
        physical = int(re.search("OMP_NUM_THREADS=(.*)", share[1])[1])
        self.assertIn(f"cores={cores} tty=0\n", share[1])
        if physical == cores:  # without hyperthreads, which share a core
            self.assertIn("cores=1 tty=0\nOMP_NUM_THREADS=1\nOMPI_MCA_mpi_yield_when_idle=(none)\nLOCKSTEP_RESTART=0\n", share[cores])
        self.assertIn(f"cores={cores} tty=0\nOMP_NUM_THREADS=1\nOMPI_MCA_mpi_yield_when_idle=1\n", share[cores + 1])

    def test_leaves_threads_and_cores_to_the_user_who_chose_them(self):
        cores = len(os.sched_getaffinity(0))
        job = self.finish("-n", 2, "--no-bind", "--export", "MINE=a;b c", "--", RANKS, "environment", "OMP_NUM_THREADS", "MINE", environment={"OMP_NUM_THREADS": "3"})
        self.assertIn(f"cores={cores} tty=0\nOMP_NUM_THREADS=3\nMINE=a;b c\n", job.out)

    def test_standard_input_reaches_rank_0(self):
        job = self.start("-n", 2, "--", "cat", stdin=subprocess.PIPE)
        job.process.stdin.write(b"hello\n")
        job.process.stdin.close()
        self.assertEqual(job.end(), 0)
        self.assertEqual(job.out, "hello\n")

    def test_trains_to_the_same_bits_as_alone(self):
        job = self.finish("-n", 2, "--", PROMISE, "cnn", 4, environment={"OMP_NUM_THREADS": "1"})
        self.assertEqual(hashes(job.out), {("2", hash_alone("cnn", 4))}, job.out)


class Refusals(JobTest):
    def check(self, code, *arguments, says):
        started = time.monotonic()
        job = self.finish(*arguments, code=code)
        self.assertIn(says, job.err)
        self.assertEqual(job.out, "")
        self.assertLess(time.monotonic() - started, 2)

    def test_wrong_arguments(self):
        self.check(2, "-n", 0, "--", RANKS, says="--ranks")
        self.check(2, "-n", "two", "--", RANKS, says="two")
        self.check(2, "-n", 2, says="no program to run")
        self.check(2, "-n", 2, RANKS, says="The program follows after `--`")
        self.check(2, "--speed", 3, "--", RANKS, says="--speed")
        self.check(2, "-n", 3, "--hosts", "a:1,b:1", "--", RANKS, says="3 ranks, but the hosts take 2")
        self.check(2, "--hosts", "a:x", "--", RANKS, says="'x'")
        self.check(2, "--hostfile", "/no/such/file", "--", RANKS, says="/no/such/file")

    def test_missing_programs(self):
        self.check(127, "-n", 2, "--", "./no-such-program", says="cannot find the program ./no-such-program")
        self.check(127, "-n", 2, "--", "no-such-program", says="cannot find the program no-such-program")
        self.check(127, "-n", 2, "--mpirun", "no-such-mpirun", "--", RANKS, says="openmpi-bin")

    def test_a_file_that_is_no_program(self):
        job = self.finish("-n", 2, "--", "/etc/passwd", code=126)
        self.assertIn("could not start /etc/passwd: Permission denied", job.err)

    def test_help_names_the_exit_codes(self):
        text = subprocess.run([LOCKSTEP, "run", "--help"], env=ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True).stdout
        for word in ("--hosts", "--max-restarts", "75", "124", "126", "127", "130", "143", "128 + N"):
            self.assertIn(word, text)


class Ends(JobTest):
    def test_names_the_rank_that_was_killed_and_ends_the_others(self):
        job = self.start("-n", 3, "--", RANKS, "wait")
        for rank in range(3):
            pid = job.pid_of(rank)
        pid = job.pid_of(1)
        os.kill(pid, signal.SIGKILL)
        self.assertTrue(job.gone_in(5))
        self.assertEqual(job.end(), 128 + signal.SIGKILL)
        self.assertIn(f"lockstep run: rank 1 (pid {pid} on {os.uname().nodename}) died of SIGKILL", job.err)
        self.assertEqual(job.err.count("lockstep run:"), 1, job.err)

    def test_names_the_rank_whose_agent_was_killed(self):
        job = self.start("-n", 2, "--", RANKS, "wait")
        pid = job.pid_of(1)
        agent = int(re.search(r"PPid:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
        os.kill(agent, signal.SIGKILL)
        self.assertTrue(job.gone_in(5))
        self.assertEqual(job.end(), 128 + signal.SIGKILL)
        self.assertIn("rank 1", job.err)

    def test_ends_with_the_code_of_the_rank_that_failed(self):
        job = self.finish("-n", 2, "--", RANKS, "exit", 1, 3, code=3)
        self.assertRegex(job.err, r"^lockstep run: rank 1 \(pid \d+ on \S+\) ended with exit code 3 after [0-9.]+ s; the other rank was ended\n$")

    def test_ends_with_the_code_of_an_abort(self):
        job = self.finish("-n", 2, "--", RANKS, "abort", 1, 7, code=7)
        self.assertRegex(job.err, "rank 1 .*ended with exit code 7")

    def test_ends_after_its_time(self):
        started = time.monotonic()
        job = self.finish("-n", 2, "--timeout", 1, "--grace", 0.5, "--", RANKS, "stubborn", code=124)
        self.assertIn("ran past its time", job.err)
        self.assertLess(time.monotonic() - started, 7)


class Restarts(JobTest):
    def test_restarts_until_it_goes_through(self):
        job = self.finish("-n", 2, "--max-restarts", 3, "--backoff", 0.1, "--prefix", "none", "--", RANKS, "die", 1, 9, 2)
        self.assertEqual([line for line in job.out.splitlines()], ["rank 1, restart 0: die", "rank 1, restart 1: die", "restart 2 goes through"])
        self.assertIn("restart 2 of 3 in 0.2 s", job.err)

    def test_gives_up_after_the_last_restart(self):
        job = self.finish("-n", 2, "--max-restarts", 1, "--backoff", 0.1, "--", RANKS, "exit", 0, 75, code=75)
        self.assertEqual(job.out.count("exit\n"), 2)
        self.assertIn("no restart is left of 1", job.err)

    def test_does_not_restart_what_would_fail_again(self):
        for code in (1, 2, 3):
            self.assertNotIn("restart", self.finish("-n", 1, "--max-restarts", 3, "--backoff", 0.1, "--", RANKS, "exit", 0, code, code=code).err)

    def test_restarts_on_codes_of_the_users_choice(self):
        job = self.finish("-n", 1, "--max-restarts", 1, "--backoff", 0.1, "--restart-on", "3,4", "--", RANKS, "exit", 0, 3, 1)
        self.assertIn("restart 1 goes through", job.out)

    def test_an_interrupted_job_is_not_restarted(self):
        job = self.start("-n", 1, "--max-restarts", 3, "--backoff", 0.1, "--", RANKS, "wait")
        job.pid_of(0)
        job.process.send_signal(signal.SIGTERM)
        self.assertEqual(job.end(), 143)
        self.assertNotIn("restart", job.err)

    def test_the_pause_before_a_restart_can_be_interrupted(self):
        job = self.start("-n", 1, "--max-restarts", 3, "--backoff", 60, "--", RANKS, "die", 0, 9)
        job.wait_for("restart 1 of 3 in 60 s")
        job.process.send_signal(signal.SIGINT)
        self.assertEqual(job.end(5), 130)


class Signals(JobTest):
    def test_sigterm_lets_every_rank_end_well(self):
        job = self.start("-n", 3, "--", RANKS, "wait")
        for rank in range(3):
            job.pid_of(rank)
        job.process.send_signal(signal.SIGTERM)
        self.assertEqual(job.end(), 143)
        for rank in range(3):  # the last one takes three seconds, more than mpirun by itself would grant
            self.assertIn(f"rank {rank} got SIGTERM\n", job.out)
            self.assertIn(f"rank {rank} ends well\n", job.out)
        self.assertTrue(job.gone_in(1))

    def test_sigterm_lets_programs_without_mpi_end_well_too(self):
        program = ("import os, signal, sys, time\n"
                   "def end(*_):\n"
                   "    time.sleep(4 * int(os.environ['OMPI_COMM_WORLD_RANK']))\n"
                   "    print('ends well', flush=True)\n"
                   "    os._exit(143)\n"
                   "signal.signal(signal.SIGTERM, end)\n"
                   "print('waits', flush=True)\n"
                   "time.sleep(60)\n")
        job = self.start("-n", 2, "--", sys.executable, "-c", program)
        job.wait_for("waits", times=2)
        job.process.send_signal(signal.SIGTERM)
        self.assertEqual(job.end(), 143)
        self.assertEqual(job.out.count("ends well"), 2, job.out + job.err)

    def test_passes_on_sigint_and_the_users_signals(self):
        job = self.start("-n", 2, "--", RANKS, "wait")
        job.pid_of(1)
        for sent in ("SIGUSR1", "SIGUSR2", "SIGINT"):
            job.process.send_signal(getattr(signal, sent))
            job.wait_for(f"got {sent}", times=2)
        self.assertEqual(job.end(), 130)
        self.assertEqual(job.out.count("ends well"), 2)

    def test_makes_an_end_with_ranks_that_do_not_listen(self):
        job = self.start("-n", 2, "--grace", 0.5, "--", RANKS, "stubborn")
        job.pid_of(1)
        job.process.send_signal(signal.SIGTERM)
        self.assertTrue(job.gone_in(6))
        self.assertEqual(job.end(), 143)

    def test_the_second_signal_does_not_wait(self):
        job = self.start("-n", 2, "--", RANKS, "stubborn")
        job.pid_of(1)
        job.process.send_signal(signal.SIGINT)
        job.wait_for("once more ends them at once")
        job.process.send_signal(signal.SIGINT)
        self.assertTrue(job.gone_in(6))
        self.assertEqual(job.end(), 130)

    def test_nothing_is_left_when_the_supervisor_is_killed(self):
        job = self.start("-n", 2, "--", RANKS, "stubborn")
        job.pid_of(1)
        job.process.kill()
        self.assertTrue(job.gone_in(6))


class Output(JobTest):
    def test_is_complete_in_whole_lines_and_on_its_stream(self):
        count = 20000
        job = self.finish("-n", 2, "--", RANKS, "lines", count)
        for text in (job.out, job.err):
            lines = text.splitlines()
            self.assertEqual([line for line in lines if not line.startswith("[")], [str(i) for i in range(count)])
            self.assertEqual([line for line in lines if line.startswith("[")], [f"[1] {i}" for i in range(count)])

    def on_terminal(self, *arguments, until, send=b""):
        """What a terminal shows of a job, to which `send` is typed when `until` appears."""
        pid, master = pty.fork()
        if pid == 0:
            os.execve(LOCKSTEP, [LOCKSTEP, "run", *arguments], ENVIRONMENT)
        shown = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            shown += part
            if until in shown and send:
                os.write(master, send)
                send = b""
        os.close(master)
        return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def test_a_line_that_rewrites_itself_does_so_on_a_terminal(self):
        shown, code = self.on_terminal("-n", "1", "--", RANKS, "progress", until=b"3/3")
        self.assertEqual(code, 0)
        self.assertEqual(shown, "\r1/3 of rank 0\r2/3 of rank 0\r3/3 of rank 0\r\n")

    def test_rank_0_writes_to_a_terminal_if_we_do(self):
        self.assertIn("tty=1", self.on_terminal("-n", "1", "--", RANKS, "environment", until=b"tty")[0])

    def test_control_c_reaches_the_ranks(self):
        shown, code = self.on_terminal("-n", "2", "--", RANKS, "wait", until=b"rank 1 waits", send=b"\x03")
        self.assertEqual(code, 130, shown)
        self.assertEqual(shown.count("ends well"), 2, shown)


if __name__ == "__main__":
    unittest.main()
