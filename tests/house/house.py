"""Checks the plan of the house: python3 house.py includes|entries|words ROOT [--private FOLDER...]. Prints what is wrong, one a line."""
import argparse
import pathlib
import re
import sys

# Each room and those it may include.
ROOMS = {"tensor": set(), "autodiff": {"tensor"}, "dist": {"tensor"}}
ROOMS["optim"] = {"tensor", "autodiff", "dist"}
ROOMS["nn"] = ROOMS["optim"] | {"optim"}
ROOMS["io"] = ROOMS["nn"] | {"nn"}
ROOMS["launch"] = ROOMS["io"] | {"io"}

# Headers of one vendor that belong to one room.
OWNED = [(re.compile(r"^(hdf5|H5)"), "io"), (re.compile(r"^(mpi|nccl)\w*\.h$"), "dist")]

TOP = set(ROOMS) | {"tests", "CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "packages.txt", "build"}

# Written apart, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK|WI" r"P|(?i:for " r"now|place" r"holders?|st" r"ub(s|bed)?|not (yet )?imple" r"mented|coming so" r"on))\b")

# Of others' headers public ones include only the forward declarations of JSON, the type of configurations.
SHARED = {"nlohmann/json_fwd.hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)
CODE = {".h", ".cpp", ".cu", ".cuh", ".inc"}
TEXT = CODE | {".py", ".sh", ".md", ".txt", ".cmake", ".in", ".json", ".toml", ".yml", ".yaml"}


def files(root, folders, suffixes):
    for folder in folders:
        yield from (p for p in sorted((root / folder).rglob("*")) if p.suffix in suffixes and p.is_file())


def room_of(header):
    """The room of an include, or None for a header from outside; lockstep.h is the launcher's."""
    parts = header.split("/")
    if parts[0] != "lockstep":
        return None
    return parts[1] if len(parts) > 2 else "launch"


def includes(root, private):
    """Rooms include only the rooms before them; public headers include nothing but Lockstep's and the standard's."""
    for path in files(root, ROOMS, CODE):
        where = path.relative_to(root)
        room = where.parts[0]
        public = path.suffix == ".h" and not set(where.parts[1:-1]) & set(private)
        for header in INCLUDE.findall(path.read_text()):
            target = room_of(header)
            if target is not None:
                if target not in ROOMS:
                    yield f"{where}: <{header}> is in no room"
                elif target != room and target not in ROOMS[room]:
                    yield f"{where}: {room} must not know {target} (<{header}>)"
                elif public and set(header.split("/")[2:-1]) & set(private):
                    yield f"{where}: a public header includes the private <{header}>"
                continue
            if public and room != "launch" and ("." in header or "/" in header) and header not in SHARED:
                yield f"{where}: a public header includes <{header}>, which is neither Lockstep's nor the standard's"
            for pattern, owner in OWNED:
                if pattern.match(header) and room != owner:
                    yield f"{where}: <{header}> belongs to {owner} alone"


def entries(root, private):
    """At the top stand the rooms and the files of the house, and dot files."""
    for path in sorted(root.iterdir()):
        if path.name not in TOP and not path.name.startswith("."):
            yield f"{path.name}: no entry of the house"


def words(root, private):
    """Nothing says of itself that it is unfinished."""
    top = [p for p in sorted(root.iterdir()) if p.is_file() and p.suffix in TEXT]
    for path in [*top, *files(root, [*ROOMS, "tests"], TEXT)]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = UNFINISHED.search(line)
            if found:
                yield f"{path.relative_to(root)}:{number}: '{found.group()}'"


CHECKS = {"includes": includes, "entries": entries, "words": words}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=CHECKS)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--private", nargs="*", default=[])
    given = parser.parse_args()
    wrong = list(CHECKS[given.check](given.root, given.private))
    print("\n".join(wrong))
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
