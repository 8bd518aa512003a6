"""What `pack` and `on_gpu` both ask of a build: its tests of devices, and what a file needs to be loaded."""
import json
import os
import re
import subprocess

# Libraries that come with CUDA or with PyTorch, and are large.
NVIDIA = re.compile(r"lib(cublas|cublasLt|cudart|cudnn\w*|cufft|nccl|nvJitLink|nvrtc)\.so")


def tests_of(build):
    """CTest's tests of devices: name -> {"command": [...], "environment": {...}}, without the plug-in that CTest chooses for them."""
    shown = subprocess.run(["ctest", "--show-only=json-v1", "-R", r"^cuda\."], cwd=build, check=True, stdout=subprocess.PIPE, text=True).stdout
    tests = {}
    for test in json.loads(shown)["tests"]:
        name = test["name"].removeprefix("cuda.")
        # (cuda.gpu_NAME are the same programs once more, on the plug-in itself.)
        if name.startswith("gpu") and name != "gpt2" or name in ("devices", "plugin_loads") or "command" not in test:
            continue
        given = next((each["value"] for each in test.get("properties", []) if each["name"] == "ENVIRONMENT"), [])
        environment = dict(each.split("=", 1) for each in given)
        tests[name] = {"command": test["command"], "environment": {key: value for key, value in environment.items() if key not in ("LOCKSTEP_CUDA_PLUGIN", "ASAN_OPTIONS")}}
    return tests


def needed(file):
    """The names of the shared libraries that a file asks for itself."""
    shown = subprocess.run(["objdump", "-p", os.fspath(file)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return re.findall(r"^\s*NEEDED\s+(\S+)$", shown, re.MULTILINE)
