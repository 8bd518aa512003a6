"""output_check.py EXPECTED PROGRAM [ARGUMENT ...]: the program prints what the file EXPECTED holds, to the letter, and ends well."""
import difflib
import subprocess
import sys

expected = open(sys.argv[1]).read().splitlines(keepends=True)
run = subprocess.run(sys.argv[2:], stdout=subprocess.PIPE, text=True)
difference = list(difflib.unified_diff(expected, run.stdout.splitlines(keepends=True), "expected", "printed"))
sys.stdout.writelines(difference)
if run.returncode:
    print(f"{sys.argv[2]} ended with {run.returncode}")
sys.exit(bool(difference or run.returncode))
