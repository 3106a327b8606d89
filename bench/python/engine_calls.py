#!/usr/bin/env python3
"""What the Python package adds to the time of the C++ library.

  cmake --build build --target ropewalk_shared
  PYTHONPATH=build-python/site python3 bench/python/engine_calls.py model.gguf

One process holds the model twice, in the package and in libropewalk.so, whose C
functions are called without a callback, so that reading a text and writing
behind it are one call each. Both read the same ids and write the same number of
tokens, in turns whose order changes. Printed are medians of seconds, and the
median, lowest and highest ratio of a round. --control compares the library with
itself: that ratio shows what the machine's noise can hide.

`added` is what a call costs more in the package, as a share of the library's time:
the least time of many short rounds of a small model (--small), in which it is not
lost among the products. It does not depend on the model: a call hands over ids
and a token with its text, and logits are not copied.

`import` is the median time of `import ropewalk` in processes of their own.
"""

from __future__ import annotations

import argparse
import ctypes
import pathlib
import statistics
import subprocess
import sys
import time

import ropewalk

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Library:
    """The model in libropewalk.so."""

    def __init__(self, path: str, model: str, threads: int) -> None:
        self.c = ctypes.CDLL(path)
        for name in ("model_options_create", "model_load", "session_create"):
            getattr(self.c, "ropewalk_" + name).restype = ctypes.c_void_p
        for name in ("session_options_create", "generate_options_create"):
            getattr(self.c, "ropewalk_" + name).restype = ctypes.c_void_p
        for name in ("session_read", "session_generate"):
            getattr(self.c, "ropewalk_" + name).restype = ctypes.c_int64
        self.error = ctypes.c_char_p()
        options = ctypes.c_void_p(self.c.ropewalk_model_options_create())
        self.c.ropewalk_model_options_set_threads(options, ctypes.c_int64(threads))
        self.model = self.checked(
            self.c.ropewalk_model_load(model.encode(), options, ctypes.byref(self.error))
        )

    def checked(self, handle: int | None) -> ctypes.c_void_p:
        if not handle:
            raise SystemExit(f"engine_calls: {self.error.value.decode()}")
        return ctypes.c_void_p(handle)

    def times(self, ids: list[int], context: int, count: int) -> tuple[float, float]:
        c, error = self.c, ctypes.byref(self.error)
        options = ctypes.c_void_p(c.ropewalk_session_options_create())
        c.ropewalk_session_options_set_context_length(options, ctypes.c_int64(context))
        session = self.checked(c.ropewalk_session_create(self.model, options, error))
        tokens = (ctypes.c_int32 * len(ids))(*ids)
        writing = ctypes.c_void_p(c.ropewalk_generate_options_create())
        c.ropewalk_generate_options_set_max_tokens(writing, ctypes.c_int64(count))
        c.ropewalk_generate_options_set_temperature(writing, ctypes.c_double(0))
        c.ropewalk_generate_options_set_ignore_end_of_text(writing, 1)
        begun = time.perf_counter()
        read = c.ropewalk_session_read(
            session, tokens, ctypes.c_size_t(len(ids)), None, None, error
        )
        between = time.perf_counter()
        written = c.ropewalk_session_generate(session, writing, None, None, None, error)
        ended = time.perf_counter()
        if (read, written) != (len(ids), count):
            raise SystemExit(f"engine_calls: {self.error.value!r}: read {read}, wrote {written}")
        c.ropewalk_session_destroy(session)
        c.ropewalk_session_options_destroy(options)
        c.ropewalk_generate_options_destroy(writing)
        return between - begun, ended - between


class Package:
    """The model in the Python package."""

    def __init__(self, model: str, threads: int) -> None:
        self.model = ropewalk.Model.load(model, threads=threads)

    def times(self, ids: list[int], context: int, count: int) -> tuple[float, float]:
        session = self.model.session(context=context)
        begun = time.perf_counter()
        session.read(ids)
        between = time.perf_counter()
        text = ""
        for piece in session.generate(max_tokens=count, temperature=0, ignore_end_of_text=True):
            text += piece.text
        ended = time.perf_counter()
        return between - begun, ended - between


def import_seconds(rounds: int) -> float:
    code = "import time; t = time.perf_counter(); import ropewalk; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(rounds)
    ]
    return statistics.median(times)


def added(small: str, library_path: str, rounds: int) -> tuple[float, float]:
    """Seconds that a read and a token that is written take more in the package
    than in the library; negative where noise is larger."""
    library, package = Library(library_path, small, 1), Package(small, 1)
    ids = package.model.tokenizer.encode("The rope lies along the walk.")
    count = 16
    best = {library: (float("inf"),) * 2, package: (float("inf"),) * 2}
    for number in range(rounds):
        for side in (library, package) if number % 2 else (package, library):
            times = side.times(ids, len(ids) + count, count)
            best[side] = tuple(map(min, best[side], times))
    read, write = (ours - theirs for ours, theirs in zip(best[package], best[library]))
    return read, write / count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--library", default=str(ROOT / "build" / "libropewalk.so"))
    parser.add_argument("--prompt", type=int, default=1024, help="tokens read (1024)")
    parser.add_argument("--tokens", type=int, default=64, help="tokens written (64)")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--control", action="store_true")
    parser.add_argument(
        "--small", default=str(ROOT / "models" / "novels-4m.gguf"), help="the model of `added`"
    )
    parser.add_argument("--short-rounds", type=int, default=400, help="of `added` (400)")
    job = parser.parse_args()

    library = Library(job.library, job.model, job.threads)
    other = library if job.control else Package(job.model, job.threads)
    text = "".join(path.read_text() for path in sorted((ROOT / "docs").glob("*.md")))
    tokenizer = ropewalk.Model.load(job.model).tokenizer
    ids = tokenizer.encode(text)[: job.prompt]
    if len(ids) < job.prompt:
        raise SystemExit(f"engine_calls: the text has {len(ids)} tokens, --prompt asks for more")
    context = job.prompt + job.tokens
    rounds: list[tuple[tuple[float, float], tuple[float, float]]] = []
    for number in range(job.rounds + 1):
        if number % 2:
            ours = other.times(ids, context, job.tokens)
            theirs = library.times(ids, context, job.tokens)
        else:
            theirs = library.times(ids, context, job.tokens)
            ours = other.times(ids, context, job.tokens)
        if number > 0:  # the first warms up
            rounds.append((ours, theirs))
    extra = added(job.small, job.library, job.short_rounds)
    for part, what in enumerate((f"read {job.prompt}", f"write {job.tokens}")):
        ratios = sorted(ours[part] / theirs[part] for ours, theirs in rounds)
        print(
            f"{what:12} library {statistics.median(t[part] for _, t in rounds):8.4f} s  "
            f"{'library' if job.control else 'package'} "
            f"{statistics.median(o[part] for o, _ in rounds):8.4f} s  "
            f"ratio {statistics.median(ratios):.4f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"
        )
    for part, (what, calls) in enumerate((("a read", 1), ("a token", job.tokens))):
        theirs = statistics.median(t[part] for _, t in rounds) / calls
        print(
            f"added        {extra[part] * 1e6:6.1f} us {what}, "
            f"{100 * extra[part] / theirs:.3f} % of {theirs * 1e3:.2f} ms"
        )
    print(f"import       {import_seconds(job.rounds):8.4f} s")


if __name__ == "__main__":
    main()
