"""NumPy and Lockstep exchange arrays: as .npy files and, without a copy, through DLPack."""
import ctypes
import io
import sys
import unittest

try:
    import numpy as np
except ImportError:
    print("python3-numpy is not installed")
    sys.exit(77)

bridge = ctypes.CDLL(sys.argv.pop(1))
bridge.bridge_npy.restype = ctypes.POINTER(ctypes.c_char)
bridge.bridge_npy.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)]
bridge.bridge_dlpack.restype = ctypes.c_void_p
bridge.bridge_dlpack.argtypes = [ctypes.c_void_p]

py = ctypes.pythonapi
py.PyCapsule_New.restype = ctypes.py_object
py.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
py.PyCapsule_GetPointer.restype = ctypes.c_void_p
py.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
py.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]
USED = b"used_dltensor"  # static: a capsule keeps the pointer
FRESH = b"dltensor"

NUMBERS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]


def samples(dtype):
    values = np.arange(24) % 7 - 3
    array = (values * (1 + 0.5j) if dtype[0] == "c" else abs(values) if dtype[0] == "u" else values).astype(dtype)
    yield from (array, array.reshape(2, 3, 4), array[3:4].reshape(()), array[:0].reshape(0, 3))


def saved(array, **how):
    file = io.BytesIO()
    np.lib.format.write_array(file, array, **how)
    return file.getvalue()


def through_npy(data):
    size = ctypes.c_size_t()
    out = bridge.bridge_npy(data, len(data), ctypes.byref(size))
    if not out:
        raise ValueError(ctypes.c_char_p.in_dll(bridge, "bridge_error").value.decode())
    return np.load(io.BytesIO(out[: size.value]), allow_pickle=False)


class Exported:
    """What numpy.from_dlpack takes: a tensor of Lockstep made of `array`."""

    def __init__(self, array):
        capsule = array.__dlpack__()
        pointer = py.PyCapsule_GetPointer(capsule, FRESH)
        py.PyCapsule_SetName(capsule, USED)
        self.managed = bridge.bridge_dlpack(pointer)
        assert self.managed, ctypes.c_char_p.in_dll(bridge, "bridge_error").value

    def __dlpack__(self, stream=None):
        return py.PyCapsule_New(self.managed, FRESH, None)

    def __dlpack_device__(self):
        return (1, 0)


class Npy(unittest.TestCase):
    def same(self, array, back):
        self.assertEqual(back.dtype, array.dtype.newbyteorder("<"))
        self.assertEqual(back.shape, array.shape)
        np.testing.assert_array_equal(back, array)

    def test_every_dtype_comes_back(self):
        for dtype in NUMBERS + ["?"]:
            for array in samples(dtype):
                self.same(array, through_npy(saved(array)))

    def test_every_format_version_is_read(self):
        for version in [(1, 0), (2, 0), (3, 0)]:
            array = np.arange(6.0).reshape(2, 3)
            self.same(array, through_npy(saved(array, version=version)))

    def test_column_major_and_big_endian_arrays_come_back_in_order(self):
        for dtype in [">i2", ">i8", ">u4", ">f2", ">f4", ">f8", ">c8", ">c16", "<f4"]:
            array = np.asfortranarray(np.arange(24).reshape(2, 3, 4).astype(dtype))
            self.same(array, through_npy(saved(array)))

    def test_arrays_without_a_dtype_of_lockstep_are_refused(self):
        for array in [np.array(["text"]), np.array([b"text"]), np.array(["2020-01-01"], "M8[D]"), np.zeros(2, "i4,f4"), np.zeros(2, np.longdouble)]:
            with self.assertRaises(ValueError):
                through_npy(saved(array))


class DLPack(unittest.TestCase):
    def test_every_number_is_shared_there_and_back(self):
        for dtype in NUMBERS:
            for array in list(samples(dtype))[:3]:
                back = np.from_dlpack(Exported(array))
                self.assertEqual(back.ctypes.data, array.ctypes.data)
                self.assertEqual((back.dtype, back.shape), (array.dtype, array.shape))
                np.testing.assert_array_equal(back, array)

    def test_a_shared_array_outlives_everything_it_came_from(self):
        array = np.arange(1000.0)
        references = sys.getrefcount(array)
        back = np.from_dlpack(Exported(array))
        self.assertEqual(sys.getrefcount(array), references + 1)
        del array
        scratch = [np.full(1000, -1.0) for _ in range(50)]
        np.testing.assert_array_equal(back, np.arange(1000.0))
        del scratch

    def test_letting_go_gives_the_array_back(self):
        array = np.arange(10.0)
        references = sys.getrefcount(array)
        back = np.from_dlpack(Exported(array))
        del back
        self.assertEqual(sys.getrefcount(array), references)

    def test_transposed_and_strided_arrays_are_copied_in_order(self):
        array = np.arange(24, dtype="i4").reshape(4, 6)
        for view in [array.T, array[:, ::2], array[::-1], np.broadcast_to(array[0], (3, 6)).copy()[:, 1:]]:
            back = np.from_dlpack(Exported(view))
            np.testing.assert_array_equal(back, view)


if __name__ == "__main__":
    unittest.main()
