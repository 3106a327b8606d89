"""Builds the operators for the PyTorch that this Python has.

    python -m ropewalk.torch_ops.build [--source FOLDER] [--jobs N]

The library is kept in the cache folder, one for each release of PyTorch and
state of the sources. Headers of PyTorch take a minute or two to compile.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

LIBRARY = "libropewalk_torch.so"
# What the operators are made of, below the source folder; cmake/python.cmake
# installs the same.
SOURCES = ("src/base", "src/position", "src/kernels", "src/attention", "src/lab/ops")


def cache_folder() -> pathlib.Path:
    """Where built libraries are kept: `$ROPEWALK_CACHE`, else ropewalk/ in the
    user's cache folder."""
    own = os.environ.get("ROPEWALK_CACHE")
    if own:
        return pathlib.Path(own) / "torch-ops"
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(cache) / "ropewalk" / "torch-ops"


def source_folder(given: str | None = None) -> pathlib.Path | None:
    """The sources: `given`, `$ROPEWALK_SOURCE`, those that were installed with
    this package, or the checkout that it lies in; None without."""
    here = pathlib.Path(__file__).resolve()
    own = here.parent / "source"
    for folder in (given, os.environ.get("ROPEWALK_SOURCE"), own, *here.parents):
        if folder and (pathlib.Path(folder) / "src/lab/ops/register.cc").is_file():
            return pathlib.Path(folder).resolve()
        if folder and folder == given:
            raise ValueError(f"no src/lab/ops/register.cc in '{folder}'")
    return None


def _name() -> str:
    import torch

    return f"torch-{torch.__version__}-python-{sys.version_info[0]}"


def _digest(source: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for folder in SOURCES:
        for path in sorted((source / folder).rglob("*")):
            if path.is_file() and not path.name.endswith("_test.cc"):
                digest.update(str(path.relative_to(source)).encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def find(source: pathlib.Path | None = None) -> pathlib.Path | None:
    """The library that was built for this PyTorch: that of the sources, or
    without sources the newest one."""
    folder = cache_folder() / _name()
    if source is not None:
        path = folder / _digest(source) / LIBRARY
        return path if path.is_file() else None
    built = sorted(folder.glob(f"*/{LIBRARY}"), key=lambda path: path.stat().st_mtime)
    return built[-1] if built else None


def build(
    source: str | None = None, jobs: int = 1, quiet: bool = False
) -> pathlib.Path:
    """The path of the library, which is built unless it is there. Raises
    RuntimeError where it cannot be built."""
    folder = source_folder(source)
    if folder is None:
        raise RuntimeError(
            "this package has no sources of the operators: give a checkout of Ropewalk "
            "with --source or $ROPEWALK_SOURCE"
        )
    path = cache_folder() / _name() / _digest(folder) / LIBRARY
    path.parent.mkdir(parents=True, exist_ok=True)
    # Processes of one training begin together; one of them builds.
    with open(path.parent.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.is_file():
            _compile(folder, path, jobs, quiet)
    return path


def _compile(folder: pathlib.Path, path: pathlib.Path, jobs: int, quiet: bool) -> None:
    import torch

    for tool in ("cmake", "ninja"):
        if shutil.which(tool) is None:
            raise RuntimeError(
                f"building the operators needs {tool}, which is not there"
            )
    work = cache_folder() / _name() / "build"
    # 1 is what compilers take by themselves.
    abi = "" if torch.compiled_with_cxx11_abi() else "0"
    configure = [
        "cmake", "-S", folder, "-B", work, "-G", "Ninja",
        "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DROPEWALK_TESTS=OFF",
        f"-DROPEWALK_TORCH={pathlib.Path(torch.__file__).parent}",
        f"-DROPEWALK_TORCH_ABI={abi}",
    ]  # fmt: skip
    cache = work / "CMakeCache.txt"
    home = f"CMAKE_HOME_DIRECTORY:INTERNAL={folder}\n"
    if cache.is_file() and home not in cache.read_text():
        shutil.rmtree(work)  # it was configured for sources elsewhere
    build = ["cmake", "--build", work, "-j", jobs, "--target", "ropewalk_torch_ops"]
    for command in (configure, build):
        command = [str(word) for word in command]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT if quiet else None,
            text=True,
        )
        if done.returncode != 0:
            tail = f":\n{done.stdout[-2000:]}" if quiet else ""
            raise RuntimeError(f"{' '.join(command)} failed{tail}")
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    shutil.copyfile(work / "torch" / LIBRARY, partial)
    partial.replace(path)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", help="a checkout of Ropewalk")
    parser.add_argument("--jobs", type=int, default=1, help="compilers at a time")
    args = parser.parse_args()
    try:
        print(build(args.source, args.jobs))
    except (RuntimeError, ValueError) as error:
        print(f"ropewalk.torch_ops.build: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
