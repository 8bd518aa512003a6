"""A precompiled header from the cache fits its headers after a comment in one of them has changed: ccache_test.py COMPILER_LAUNCHER... COMPILER"""
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

COMMAND = []


class PrecompiledHeader(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("CCACHE_")}  # only what the launcher says
        self.environment["CCACHE_DIR"] = str(self.folder / "cache")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        before = time.time() - 60  # ccache does not trust a file that is younger than the compilation
        os.utime(path, (before, before))

    def compile(self, source, output, *flags):
        done = subprocess.run([*COMMAND, "-std=c++20", *flags, "-MD", "-MT", output, "-MF", output + ".d", "-o", output, "-c", source], cwd=self.folder,
                              env=self.environment, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def build(self, comment):
        """As CMake has it: a header of includes is precompiled, and a source that includes one of them itself comes after it."""
        self.write("color.h", f"#pragma once\n// {comment}\nenum class Color {{ red, green }};\n")
        self.write("all.h", '#include "color.h"\n')
        self.write("user.cpp", f'#include "color.h"\n// {comment}\nColor color() {{ return Color::red; }}\n')
        (self.folder / "all.h.gch").unlink(missing_ok=True)
        self.compile("all.h", "all.h.gch", "-x", "c++-header")
        self.compile("user.cpp", "user.o", "-Winvalid-pch", "-include", "all.h")

    def test_it_is_made_again_after_a_comment_in_an_included_header_has_changed(self):
        self.build("Two colors.")
        self.build("Two colors of a traffic light.")


if __name__ == "__main__":
    COMMAND = sys.argv[1:]
    unittest.main(argv=sys.argv[:1])
