"""The top README shows the regression program, and what it prints, exactly as they are."""
import subprocess
import sys

readme = open("README.md").read()
program = open("launch/examples/regression.cpp").read()
printed = subprocess.run([sys.argv[1]], check=True, stdout=subprocess.PIPE, text=True).stdout
failures = [what for what, text in (("the program", "```cpp\n" + program + "```"), ("its output", "```\n" + printed + "```")) if text not in readme]
for what in failures:
    print(f"README.md does not show {what} as it is")
sys.exit(bool(failures))
