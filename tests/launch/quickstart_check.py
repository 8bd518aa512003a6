"""The quickstart judges its options before it installs or builds anything, and its help names every one of them."""
import subprocess
import sys

failures = []


def run(*arguments):
    return subprocess.run(["launch/quickstart", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=10)


for arguments in (["--model", "rnn"], ["--epochs"], ["--epochs", "0"], ["--batch-size", "-3"], ["--seed", "x"], ["--speed", "9"], ["--ranks", "0"], ["--model=rnn"]):
    result = run(*arguments)
    if result.returncode != 2 or arguments[0].split("=")[0] not in result.stderr or result.stdout:
        failures.append(f"{arguments}: ended with {result.returncode}, said {result.stderr!r} {result.stdout!r}")
text = run("--help").stdout
failures += [f"the help does not name {option}" for option in ("--model", "--epochs", "--batch-size", "--ranks", "--demo-fault", "--seed", "--output", "--help") if option not in text]
failures += [f"the help does not name {result}" for result in ("report.txt", "mistakes.png", "model.keras", "weights.npz", "checkpoints/") if result not in text]
print("\n".join(failures))
sys.exit(bool(failures))
