"""The checks of house.py find what is wrong, and pass what is right."""
import pathlib
import tempfile
import unittest

import house

PRIVATE = ["onednn", "ops"]


class Checks(unittest.TestCase):
    def wrong(self, check, **tree):
        """Runs `check` on a tree of {path with __ for /, and _dot_ for a dot: text}."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name, text in tree.items():
                path = root / name.replace("__", "/").replace("_dot_", ".")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return list(check(root, PRIVATE))

    def test_rooms_may_include_the_rooms_before_them(self):
        self.assertEqual(self.wrong(house.includes, nn__a_dot_h="#include <vector>\n#include <lockstep/optim/x.h>\n#include <lockstep/tensor/x.h>\n",
                                    launch__main_dot_cpp="#include <lockstep/lockstep.h>\n#include <CLI/CLI.hpp>\n"), [])

    def test_a_room_that_knows_a_later_one_is_found(self):
        for room, later in [("tensor", "autodiff"), ("tensor", "dist"), ("autodiff", "dist"), ("dist", "autodiff"), ("optim", "nn"), ("nn", "io"), ("io", "launch")]:
            found = self.wrong(house.includes, **{f"{room}__a_dot_cpp": f"\n  # include <lockstep/{later}/x.h>\n"})
            self.assertEqual(len(found), 1, (room, later))
            self.assertIn(f"{room}/a.cpp: {room} must not know {later}", found[0])

    def test_the_umbrella_header_belongs_to_the_last_room(self):
        self.assertEqual(len(self.wrong(house.includes, io__a_dot_cpp="#include <lockstep/lockstep.h>\n")), 1)

    def test_a_header_of_an_unknown_room_is_found(self):
        self.assertEqual(len(self.wrong(house.includes, io__a_dot_cpp="#include <lockstep/attic/x.h>\n")), 1)

    def test_a_vendors_header_in_a_public_header_is_found(self):
        for vendor in ["dnnl.hpp", "hwy/highway.h", "Eigen/Dense", "cuda_runtime.h", "dlpack/dlpack.h"]:
            self.assertEqual(len(self.wrong(house.includes, tensor__a_dot_h=f"#include <{vendor}>\n")), 1, vendor)
            self.assertEqual(self.wrong(house.includes, tensor__a_dot_cpp=f"#include <{vendor}>\n", tensor__onednn__a_dot_h=f"#include <{vendor}>\n"), [])

    def test_a_private_header_in_a_public_one_is_found(self):
        text = "#include <lockstep/tensor/onednn/a.h>\n"
        self.assertEqual(len(self.wrong(house.includes, tensor__a_dot_h=text)), 1)
        self.assertEqual(self.wrong(house.includes, tensor__ops__a_dot_h=text, tensor__a_dot_cpp=text), [])

    def test_hdf5_and_mpi_outside_of_their_rooms_are_found(self):
        for vendor, owner in [("hdf5.h", "io"), ("H5Cpp.h", "io"), ("mpi.h", "dist"), ("nccl.h", "dist")]:
            self.assertEqual(len(self.wrong(house.includes, optim__a_dot_cpp=f'#include "{vendor}"\n')), 1, vendor)
            self.assertEqual(self.wrong(house.includes, **{f"{owner}__a_dot_cpp": f"#include <{vendor}>\n"}), [])

    def test_a_strange_entry_at_the_top_is_found(self):
        self.assertEqual(self.wrong(house.entries, tensor__a_dot_h="", README_dot_md="", _dot_gitignore=""), [])
        self.assertEqual(self.wrong(house.entries, notes_dot_md="", misc__a_dot_h=""), ["misc: no entry of the house", "notes.md: no entry of the house"])

    def test_words_of_unfinished_work_are_found(self):
        for word in ["TO" + "DO", "FIX" + "ME", "for " + "now", "a Place" + "holder", "a stu" + "b", "not imple" + "mented"]:
            self.assertEqual(len(self.wrong(house.words, tests__a_dot_cpp=f"fine\n// {word}: more\n")), 1, word)
        self.assertEqual(self.wrong(house.words, nn__a_dot_cpp="// stubborn, method, forknow, UnimplementedError\n"), [])


if __name__ == "__main__":
    unittest.main()
