"""Compiles every public header by itself, as the only include of a file: headers.py ROOT SCRATCH PRIVATE_FOLDER... -- COMPILER FLAGS..."""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

from house import ROOMS, files


def main():
    root, scratch = (pathlib.Path(p) for p in sys.argv[1:3])
    dashes = sys.argv.index("--")
    private, command = set(sys.argv[3:dashes]), sys.argv[dashes + 1 :]
    scratch.mkdir(parents=True, exist_ok=True)

    def errors(name):
        source = scratch / (name.replace("/", ".") + ".cpp")
        source.write_text(f"#include <lockstep/{name}>\n")
        done = subprocess.run([*command, "-c", source, "-o", source.with_suffix(".o")], capture_output=True, text=True)
        return f"{name}\n{done.stderr}" if done.returncode else ""

    headers = ["lockstep.h"]  # of the launcher nothing else is public
    for path in files(root, [room for room in ROOMS if room != "launch"], {".h"}):
        name = path.relative_to(root)
        if not private & set(name.parts):
            headers.append(str(name))
    with concurrent.futures.ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        wrong = [text for text in pool.map(errors, headers) if text]
    print("".join(wrong) + f"{len(headers)} headers, {len(wrong)} wrong")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
