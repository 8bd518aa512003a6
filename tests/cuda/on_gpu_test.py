"""How `on_gpu` runs programs that crash, hang or lose the device: what is left is run by another process, and nothing stays behind."""
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import tempfile
import time

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("on_gpu", str(pathlib.Path(__file__).with_name("on_gpu")))
on_gpu = importlib.util.module_from_spec(importlib.util.spec_from_loader("on_gpu", loader))
loader.exec_module(on_gpu)
on_gpu.QUIET = 1

GTEST = r"""#!/usr/bin/env python3
import os, sys, time
tests = ["One.Passes", "One.Dies", "One.PassesToo", "Two.Hangs", "Two.LosesTheDevice", "Two.FailsOnlyAfterThat", "Two.Fails", "Two.IsSkipped"]
if "--gtest_list_tests" in sys.argv:
    for suite in ("One", "Two"):
        print(suite + ".")
        for test in tests:
            if test.startswith(suite): print("  " + test.split(".")[1] + "  # GetParam() = 1")
    sys.exit()
chosen, lost, failed = sys.argv[1].split("=")[1].split(":"), False, False
for test in tests:
    if test not in chosen: continue
    print("[ RUN      ] " + test, flush=True)
    if "Dies" in test: os.abort()
    if "Hangs" in test: time.sleep(100)
    lost = lost or "Loses" in test
    if lost: print("cudaStreamSynchronize failed: an illegal memory access was encountered")
    bad = lost or test == "Two.Fails"
    failed = failed or bad
    print(("[  FAILED  ] " if bad else "[  SKIPPED ] " if "Skipped" in test else "[       OK ] ") + test + " (1 ms)", flush=True)
sys.exit(failed)
"""
GOLDEN = r"""#!/usr/bin/env python3
import os, sys
cases = ["0001_a", "0002_dies", "0003_b", "0004_fails", "0005_skipped"]
if "--after" in sys.argv: cases = cases[cases.index(sys.argv[-1]) + 1:]
for case in cases:
    print("case ops " + case, flush=True)
    if "dies" in case: os.abort()
    if "fails" in case: print("FAILED ops " + case + ": 1 is not 2")
    if "skipped" in case: print("skipped")
print("2 passed, 1 failed")
sys.exit(1)
"""
failures = []


def require(what, holds, got):
    if not holds:
        failures.append(f"{what}: {got}")


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)

    def program(name, text):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
        return str(folder / name)

    def result(suite, seconds=60):
        return on_gpu.suite_part("name", "tests", 60, None, suite, dict(os.environ)).work(folder / "log", time.monotonic() + seconds)

    got = result(on_gpu.Gtest([program("gtest", GTEST)]))
    require("three pass, one of them alone", got["passed"] == 3 and got["skipped"] == 1 and got["not_run"] == 0, got)
    require("each that is to blame is named", got["first_failing"][0].startswith("One.Dies dies (") and got["first_failing"][1:3] == ["Two.Hangs hangs", "Two.LosesTheDevice"], got)
    require("what fails after a loss is run again", got["first_failing"][3:] == ["Two.Fails"], got)
    require("it failed", got["status"] == "failed", got)

    got = result(on_gpu.Golden([program("golden", GOLDEN)]))
    require("golden cases behind one that dies", got["passed"] == 2 and got["skipped"] == 1 and got["processes"] == 2, got)
    require("golden cases that fail", got["first_failing"][0].startswith("0002_dies dies (") and got["first_failing"][1:] == ["0004_fails"], got)

    start = time.monotonic()
    got = result(on_gpu.Gtest([program("slow", GTEST.replace("time.sleep(100)", "[print('.', flush=True) or time.sleep(0.2) for _ in range(500)]"))]), 2)
    require("the deadline is kept", got["status"] == "failed" and time.monotonic() - start < 10 and got["not_run"] > 0, got)

    # A process in a group of its own, as a rank of mpirun's.
    marker = folder / "marker"
    end, _ = on_gpu.run([sys.executable, "-c", f"import os, subprocess, time; subprocess.Popen(['sleep', '60'], preexec_fn=os.setpgrp); open({str(marker)!r}, 'w').write(str(os.getsid(0))); time.sleep(60)"], dict(os.environ), folder / "log", 1.5)
    session = int(marker.read_text())
    left = [each for each in pathlib.Path("/proc").glob("[0-9]*/stat") if each.exists() and each.read_text().rpartition(")")[2].split()[3] == str(session) and each.read_text().rpartition(")")[2].split()[0] != "Z"]
    require("nobody is left of a session", end == "deadline" and not left, (end, left))
    require("a program that is not there", on_gpu.run([folder / "nowhere"], dict(os.environ), folder / "log", 1)[0].startswith("not started"), "")

for each in failures:
    print("on_gpu does not give", each)
sys.exit(bool(failures))
