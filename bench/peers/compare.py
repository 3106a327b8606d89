#!/usr/bin/env python3
"""Compares the speed and memory of ropewalk with llama.cpp's, in turns.

  python3 bench/peers/compare.py model.gguf --llama llama.cpp/build/bin
  python3 bench/peers/compare.py *.gguf --depth 16k --rounds 7 --csv rows.csv
  python3 bench/peers/compare.py model.gguf --measure decode,read -n 64
  python3 bench/peers/compare.py model.gguf --depth 16k --kv f16 \\
    --position rope --position rerope+logn-clip --json rows.json

llama.cpp is built by its own instructions, with -DGGML_NATIVE=ON, and must have
the programs llama-bench and llama-completion. ropewalk is built by `make`.

A machine's speed drifts, so nobody is timed alone: in each round every
measurement is made by all sides, one straight after another, and the order
turns around from round to round. Each is a process of its own, with the same
number of threads. The table shows medians over the rounds, and as `ratio` the
median of ours over the peer's in the same round, with the lowest and the
highest of these ratios behind it. A wide spread says that the machine was not
quiet, and that small differences mean nothing. Where other programs want the
cores too, threads wait for one that is not running, and each side loses another
share by it: the ratio of two threads says little then, and --threads 1 is the
better comparison. A line below the table says when the cores were not free at
the beginning.

What is measured (--measure chooses, default all):

  prefill  tokens/s of reading --prompt tokens, at once and behind --depth
           others. A first reading at depth 0 is not counted: both programs
           warm up.
  decode   tokens/s of --tokens tokens one by one, at once and behind --depth
           others.
  start    seconds of a whole process that reads the model and --start tokens
           and writes one, `ropewalk run` against llama-completion without its
           warm-up and its search for what fits into memory, and the peak
           memory of both. The file is read beforehand, so that it is in
           memory. Its pages count as memory of the process where it is mapped.
           The peer's context is no longer than it must be.
  read     GB/s of bench/read_loop.cc, which a C++ compiler ($CXX, or c++)
           builds for this processor. A decoded token reads all weights but
           the rows of the embedding, so their bytes times tokens/s over this
           rate is the share of the machine that decoding uses. It can pass
           100 % where the weights fit in a cache. Of a mixture of experts the
           chosen experts' share counts.

Keys and values are stored as each program does by default (ropewalk f16,
llama.cpp f16) unless --kv and --peer-kv say otherwise. llama.cpp has two ways
of attention, and the one that it takes by itself need not be its faster one: a
fair comparison at a depth tries --peer-flash off too. The peer knows one
position scheme, the model's own; each --position of ours is set against it.

Exit codes: 0 done, 1 a program failed, 2 the call was wrong.
"""

import argparse
import contextlib
import csv
import datetime
import json
import os
import pathlib
import platform
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent
MEASURES = ("prefill", "decode", "start", "read")
# Of what /proc/cpuinfo lists, what matters to the inner loops.
INSTRUCTION_SETS = (
    "ssse3 sse4_1 sse4_2 avx avx2 f16c fma avx_vnni avx512f avx512bw avx512vl "
    "avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 "
    "asimd asimdhp asimddp i8mm bf16 sve sve2").split()


class Failure(Exception):
    """A program failed or said what we do not understand."""


class WrongCall(Exception):
    """What was asked for cannot be done; the message says what to change."""


# --- the model file

GGUF_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1,
              10: 8, 11: 8, 12: 8}
GGUF_INTEGERS = {4: "<I", 10: "<Q"}  # those that are asked for
GGUF_STRING, GGUF_ARRAY = 8, 9


def weight_bytes(path):
    """Bytes of weights that one decoded token reads, from the file's header.

    A tensor ends where the next one begins, so no table of element types is
    needed; up to 31 bytes of padding a tensor count with it.
    """
    with open(path, "rb") as file:
        file_bytes = os.fstat(file.fileno()).st_size

        def take(size):
            if size > file_bytes - file.tell():
                raise WrongCall(f"{path} ends within its header; interrupted "
                                f"download?")
            return file.read(size)

        def read(form):
            return struct.unpack(form, take(struct.calcsize(form)))[0]

        def value(kind):
            """A key's value where it is an integer; the others are skipped."""
            if kind in GGUF_INTEGERS:
                return read(GGUF_INTEGERS[kind])
            if kind == GGUF_STRING:
                take(read("<Q"))
            elif kind == GGUF_ARRAY:
                inner, count = read("<I"), read("<Q")
                if inner in (GGUF_STRING, GGUF_ARRAY):
                    for _ in range(count):
                        value(inner)
                else:
                    file.seek(GGUF_SIZES[inner] * count, os.SEEK_CUR)
            else:
                file.seek(GGUF_SIZES[kind], os.SEEK_CUR)
            return None

        if file_bytes < 4 or file.read(4) != b"GGUF":
            raise WrongCall(f"{path} is no GGUF file")
        read("<I")
        tensors, count = read("<Q"), read("<Q")
        keys = {}
        try:
            for _ in range(count):
                name = take(read("<Q")).decode(errors="replace")
                keys[name] = value(read("<I"))
        except KeyError as error:
            raise WrongCall(f"{path}: key '{name}' has a value of the unknown "
                            f"type {error}") from None
        places = []
        for _ in range(tensors):
            name = take(read("<Q")).decode(errors="replace")
            file.seek(8 * read("<I") + 4, os.SEEK_CUR)
            places.append((read("<Q"), name))
        alignment = keys.get("general.alignment") or 32
        data = -(-file.tell() // alignment) * alignment
        end = file_bytes - data
    experts = used = 1
    for name, number in keys.items():
        if name.endswith(".expert_count") and number:
            experts = number
        if name.endswith(".expert_used_count") and number:
            used = number
    places.sort()
    names = {name for _, name in places}
    total = 0
    for (begin, name), (after, _) in zip(places, places[1:] + [(end, "")]):
        if name in ("token_embd.weight", "per_layer_token_embd.weight"):
            # A row of it is read, unless it is also the output matrix.
            if name != "token_embd.weight" or "output.weight" in names:
                continue
        share = used / experts if "_exps." in name else 1
        total += (after - begin) * share
    return round(total)


def warm(path):
    """Reads a file, so that it is in the page cache as far as memory allows."""
    with open(path, "rb", buffering=0) as file:
        block = bytearray(1 << 22)
        while file.readinto(block):
            pass


# --- processes

class Cost(typing.NamedTuple):
    """Of a whole process. CPU time far below wall time times the threads says
    that others had the cores."""
    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(command):
    """What a process printed, and what it cost (`Cost`)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begin = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=err)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        seconds = time.monotonic() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text = out.read().decode(errors="replace")
        if process.returncode != 0:
            said = (err.read().decode(errors="replace").strip()
                    or text.strip() or "nothing").splitlines()[-1]
            raise Failure(f"{pathlib.Path(command[0]).name} ended with "
                          f"{process.returncode} and said: {said} "
                          f"(command: {' '.join(command)})")
    # Linux counts KiB, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return text, Cost(seconds, usage.ru_utime + usage.ru_stime,
                      usage.ru_maxrss * unit)


class Ours:
    """ropewalk with one position scheme."""

    def __init__(self, args, position):
        self.name = position
        self.program = args.ropewalk
        self.args = args
        self.position = ["--position", position]
        self.kv = ["--kv-type", args.kv] if args.kv else []
        self.about = {}

    def _common(self, command, model):
        return [self.program, command, "-m", model, "--threads",
                str(self.args.threads)] + self.position + self.kv

    def bench(self, model, what, depth):
        prompt, tokens = sizes(self.args, what)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "rows.json")
            # The row in front warms up, as the peer does of itself.
            command = self._common("bench", model) + [
                "-p", str(prompt), "-n", str(tokens), "-d", f"0,{depth}",
                "--json", path]
            _, cost = run(command)
            told = json.loads(pathlib.Path(path).read_text())
        self.about = {"isa": told["isa"]}
        row = told["rows"][-1]
        return command, row[f"{what}_tokens_per_second"], cost

    def start(self, model, prompt):
        command = self._common("run", model) + [
            "-f", prompt["file"], "-n", "1", "--temp", "0", "--ignore-eos",
            "--force"]
        _, cost = run(command)
        return command, cost.wall_seconds, cost


class Peer:
    """llama.cpp."""

    name = "peer"

    def __init__(self, args):
        self.args = args
        self.options = []
        if args.peer_kv:
            self.options += ["-ctk", args.peer_kv, "-ctv", args.peer_kv]
        if args.peer_flash:
            self.options += ["-fa", args.peer_flash]
        self.about = {}
        self.no_fit = None

    def bench(self, model, what, depth):
        prompt, tokens = sizes(self.args, what)
        command = [self.args.llama_bench, "-m", model, "-t",
                   str(self.args.threads), "-p", str(prompt), "-n", str(tokens),
                   "-d", str(depth), "-r", "1", "-o", "json"] + self.options
        text, cost = run(command)
        try:
            [row] = json.loads(text)
            rate = row["avg_ts"]
        except (ValueError, KeyError) as error:
            raise Failure(f"llama-bench printed no row as expected "
                          f"({error!r}); is it of another year?") from None
        self.about = {key: row.get(key) for key in
                      ("build_commit", "build_number", "cpu_info", "backends",
                       "type_k", "flash_attn", "n_batch", "n_ubatch")}
        return command, rate, cost

    def start(self, model, prompt):
        # By default it would make room for as much as the model was trained to.
        context = -(-(prompt["tokens"] + 16) // 256) * 256
        if self.no_fit is None:  # older versions know nothing of it
            told, _ = run([self.args.llama_completion, "--help"])
            self.no_fit = ["--fit", "off"] if "--fit " in told else []
        command = [self.args.llama_completion, "-m", model, "-t",
                   str(self.args.threads), "-f", prompt["file"], "-n", "1",
                   "-c", str(context), "--temp", "0", "--ignore-eos", "-no-cnv",
                   "--no-warmup", "--simple-io"] + self.no_fit + self.options
        _, cost = run(command)
        return command, cost.wall_seconds, cost


def sizes(args, what):
    """Tokens that a prefill or a decode reads at once and one by one."""
    return (args.prompt, 0) if what == "prefill" else (0, args.tokens)


def prompt_of(args, model, folder):
    """A text of --start tokens or a few more: its file and their number."""
    words = "the tale of a long rope that went around the world".split()
    step = max(1, args.start // 64)
    lines = []
    for n in range(1, 2 * args.start + 16, step):
        lines.append(" ".join(words[i % len(words)] for i in range(n)))
        if len(lines[-1]) > 8 * args.start:
            break
    path = os.path.join(folder, "lines.txt")
    pathlib.Path(path).write_text("\n".join(lines) + "\n")
    told, _ = run([args.ropewalk, "tokenize", "-m", model, "--lines",
                      "-f", path])
    counts = [len(ids.split()) for ids in told.split("\n")[:-1]]
    for line, count in zip(lines, counts):
        if count >= args.start:
            out = os.path.join(folder, "prompt.txt")
            pathlib.Path(out).write_text(line)
            return {"file": out, "tokens": count}
    raise Failure(f"no made-up text has {args.start} tokens in {model}")


# --- the machine

def processor():
    """Its name, and those instruction sets that kernels are written for."""
    name, flags = platform.processor() or platform.machine(), set()
    with contextlib.suppress(OSError):
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            if key.strip() in ("flags", "Features"):
                flags.update(value.split())
    return name, [one for one in INSTRUCTION_SETS if one in flags]


class ReadLoop:
    """bench/read_loop.cc, compiled for this processor."""

    def __init__(self, args, folder):
        self.command = [os.path.join(folder, "read_loop"), str(args.threads)]
        compiler = os.environ.get("CXX", "c++")
        # A buffer beyond the caches is a matter of its defaults.
        run([compiler, "-O3", "-march=native", "-std=c++20", "-pthread",
             str(HERE.parent / "read_loop.cc"), "-o", self.command[0]])

    def rate(self):
        """GB/s of the fastest pass, and what the process cost."""
        text, cost = run(self.command)
        return float(text.split()[0]), cost


# --- what is measured

def measurements(args):
    """(name, depth or None) in the order of the table."""
    for what in ("prefill", "decode"):
        if what in args.measure:
            for depth in dict.fromkeys([0] + args.depth):
                yield what, depth
    if "start" in args.measure:
        yield "start", None


def compare(args, model, sides, read_loop, prompt, record):
    """All rounds over one model; `record` takes each row as it is made."""
    warm(model)
    for r in range(args.rounds):
        if read_loop:
            rate, cost = read_loop.rate()
            record("read", None, "machine", r, "GB/s", rate, cost,
                   ["read_loop", str(args.threads)])
        for what, depth in measurements(args):
            said = []
            for side in sides if r % 2 == 0 else sides[::-1]:
                if what == "start":
                    command, value, cost = side.start(model, prompt)
                    unit = "s"
                else:
                    command, value, cost = side.bench(model, what, depth)
                    unit = "tokens/s"
                if not value:
                    raise Failure(f"{side.name} gave no {unit} for {what}")
                record(what, depth, side.name, r, unit, value, cost, command)
                said.append(f"{side.name} {value:.4g}")
            at = "" if depth is None else f" at {depth}"
            print(f"{pathlib.Path(model).name}: round {r + 1} of "
                  f"{args.rounds}: {what}{at}: {', '.join(said)} {unit}",
                  file=sys.stderr)


def by_round(rows, what, depth, side, field):
    return {row["round"]: row[field] for row in rows
            if (row["what"], row["depth"], row["side"]) == (what, depth, side)}


def summarize(args, rows, about):
    """The lines of the table for one model, as dictionaries."""
    lines = []

    def add(label, unit, ours, peer, scale=1.0):
        """Sides' values by round; scaled for show."""
        both = sorted(set(ours) & set(peer))
        if not both:
            return
        ratios = [ours[r] / peer[r] for r in both]
        lines.append({
            "model": about["model"], "what": label, "unit": unit,
            "ours": statistics.median(ours[r] for r in both) * scale,
            "peer": statistics.median(peer[r] for r in both) * scale,
            "ratio": statistics.median(ratios),
            "ratio_least": min(ratios), "ratio_most": max(ratios),
            "rounds": len(both)})

    several = len(args.position) > 1
    for what, depth in measurements(args):
        for position in args.position:
            scheme = f", {position}" if several else ""
            values = [by_round(rows, what, depth, side, "value")
                      for side in (position, "peer")]
            if what == "start":
                add("first token" + scheme, "s", *values)
                add("peak memory" + scheme, "MB",
                    *(by_round(rows, what, depth, side, "peak_bytes")
                      for side in (position, "peer")), 1e-6)
                continue
            add(f"{what} at {depth}{scheme}", "tokens/s", *values)
            reads = by_round(rows, "read", None, "machine", "value")
            if what == "decode" and depth == 0 and reads:
                rate = statistics.median(reads.values())
                add("of read rate" + scheme, "%", *values,
                    100 * about["weight_bytes"] / (rate * 1e9))
    return lines


def table(lines, files):
    """An aligned table as text."""
    head = ["model", "what", "ours", "peer", "unit", "ratio",
            "lowest to highest"]

    def number(value):
        return f"{value:.0f}" if value >= 1000 else (
            f"{value:.1f}" if value >= 10 else f"{value:.3f}")

    cells = [head]
    for line in lines:
        cells.append([line["model"], line["what"], number(line["ours"]),
                      number(line["peer"]), line["unit"],
                      f"{line['ratio']:.2f}",
                      f"{line['ratio_least']:.2f} to {line['ratio_most']:.2f}"])
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    right = (2, 3, 5)
    text = ""
    for i, row in enumerate(cells):
        text += "  ".join(c.rjust(w) if k in right else c.ljust(w)
                          for k, (c, w) in enumerate(zip(row, widths))).rstrip()
        text += "\n"
        if i == 0:
            text += "  ".join("-" * w for w in widths) + "\n"
    text += ("ratio is ours / peer: above 1 we are faster, and for s and MB "
             "below 1 is better\n")
    for file in files:
        text += (f"{file['model']}: {file['file_bytes'] / 1e6:.1f} MB, "
                 f"{file['weight_bytes'] / 1e6:.1f} MB of weights a token\n")
    return text


# --- the call

def length(text):
    """16384, 16k."""
    scale = 1024 if text[-1:] in ("k", "K") else 1
    value = int(text[:-1] if scale > 1 else text) * scale
    if value < 0:
        raise ValueError(text)
    return value


def lengths(text):
    return [length(part) for part in text.split(",")]


def choices(text):
    parts = text.split(",")
    for part in parts:
        if part not in MEASURES:
            raise argparse.ArgumentTypeError(
                f"'{part}' is none of {', '.join(MEASURES)}")
    return parts


def parse(argv):
    threads = (len(os.sched_getaffinity(0))
               if hasattr(os, "sched_getaffinity") else os.cpu_count())
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL.gguf")
    add("--llama", metavar="FOLDER",
        help="where llama-bench and llama-completion are; default the PATH")
    add("--ropewalk", metavar="FILE", default="build/bin/ropewalk",
        help="our program; default build/bin/ropewalk")
    add("-r", "--rounds", type=int, default=5, metavar="N", help="default 5")
    add("-t", "--threads", type=int, default=threads, metavar="N",
        help="of both programs; default one a core")
    add("-p", "--prompt", type=length, default=512, metavar="LEN",
        help="tokens of the timed prompt; default 512")
    add("-n", "--tokens", type=int, default=64, metavar="N",
        help="tokens that are decoded; default 64")
    add("-d", "--depth", type=lengths, default=[], metavar="LEN,...",
        help="further depths beside 0, as in 16k")
    add("--start", type=length, default=16, metavar="LEN",
        help="tokens of the prompt of `start`; default 16")
    add("--measure", type=choices, default=list(MEASURES), metavar="WHAT,...",
        help="some of prefill, decode, start and read")
    add("--position", action="append", metavar="SCHEME",
        help="our position scheme, default rope; repeat for more")
    add("--kv", metavar="TYPE", help="type of our keys and values: f32, f16, "
        "bf16, q8_0 or q4_0")
    add("--peer-kv", metavar="TYPE", help="type of the peer's keys and values")
    add("--peer-flash", choices=("on", "off", "auto"), help="the peer's "
        "flash attention; default its own choice")
    add("--json", metavar="FILE",
        help="every round's figures, the machine, the commands and the table")
    add("--csv", metavar="FILE", help="every round's figures as CSV")
    args = parser.parse_args(argv)
    if args.rounds < 1 or args.threads < 1 or args.tokens < 1:
        parser.error("--rounds, --threads and --tokens must be at least 1")
    if args.prompt < 1 or args.start < 1:
        parser.error("--prompt and --start must be at least 1")
    args.position = list(dict.fromkeys(args.position or ["rope"]))
    return args


def find_programs(args):
    """Sets the programs' paths, or says how to come by what is missing."""
    ours = shutil.which(args.ropewalk)
    if ours is None:
        raise WrongCall(f"no program {args.ropewalk}; build it with `make`, or "
                        f"name it with --ropewalk")
    args.ropewalk = ours
    wanted = set()
    if {"prefill", "decode"} & set(args.measure):
        wanted.add("llama-bench")
    if "start" in args.measure:
        wanted.add("llama-completion")
    for name in sorted(wanted):
        path = shutil.which(name, path=args.llama)
        if path is None:
            raise WrongCall(
                f"no {name} in {args.llama or 'the PATH'}; build llama.cpp by "
                f"its own instructions with -DGGML_NATIVE=ON, and name its bin "
                f"folder with --llama")
        setattr(args, name.replace("-", "_"), path)
    if "read" in args.measure:
        compiler = os.environ.get("CXX", "c++")
        if shutil.which(compiler) is None:
            raise WrongCall(f"no compiler {compiler} for bench/read_loop.cc; "
                            f"set CXX, or leave `read` out of --measure")
    for model in args.models:
        if not os.path.isfile(model):
            raise WrongCall(f"no file {model}")


def measure(args, files, sides, folder, rows, lines):
    """Measures all models; `rows` and `lines` keep what was done by then."""
    loop = ReadLoop(args, folder) if "read" in args.measure else None
    for model, about in zip(args.models, files):
        mine = []

        def record(what, depth, side, r, unit, value, cost, command):
            mine.append({
                "model": about["model"], "file_bytes": about["file_bytes"],
                "weight_bytes": about["weight_bytes"], "what": what,
                "depth": depth, "side": side, "round": r, "value": value,
                "unit": unit, **cost._asdict(),
                "load_average": round(os.getloadavg()[0], 2),
                "command": " ".join(command)})

        prompt = None
        if "start" in args.measure:
            prompt = prompt_of(args, model, folder)
            about["start_tokens"] = prompt["tokens"]
        try:
            compare(args, model, sides, loop, prompt, record)
        finally:
            rows += mine
            lines += summarize(args, mine, about)


def report(args, files, sides, rows, lines, load):
    """Prints the table and writes the files that were asked for."""
    name, instruction_sets = processor()
    about = {side.name: side.about for side in sides}
    kernels = about[args.position[0]].get("isa")
    print(f"{name}, {args.threads} threads"
          + (f", kernels {kernels}" if kernels else "")
          + f"; {args.rounds} rounds")
    reads = [row["value"] for row in rows if row["what"] == "read"]
    if reads:
        print(f"memory is read at {statistics.median(reads):.1f} GB/s "
              f"({min(reads):.1f} to {max(reads):.1f})")
    print(table(lines, files), end="")
    cores = os.cpu_count() or 1
    if load + args.threads > cores + 0.5:
        print(f"! the load was {load:.1f} on {cores} cores beforehand: others "
              f"had a share of them")
    shared = {"processor": name, "instruction_sets": instruction_sets,
              "threads": args.threads}
    if args.json:
        now = datetime.datetime.now(datetime.timezone.utc)
        told = {"date": now.isoformat(timespec="seconds"), **shared,
                "rounds": args.rounds, "kv": args.kv, "peer_kv": args.peer_kv,
                "peer_flash": args.peer_flash, "load_beforehand": load,
                "sides": about, "models": files, "summary": lines,
                "rows": rows}
        pathlib.Path(args.json).write_text(json.dumps(told, indent=1) + "\n")
    if args.csv:
        shared["instruction_sets"] = " ".join(instruction_sets)
        with open(args.csv, "w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0] | shared))
            writer.writeheader()
            writer.writerows(row | shared for row in rows)


def main(argv=None):
    args = parse(argv)
    rows, lines = [], []
    code = 0
    load = round(os.getloadavg()[0], 2)
    sides = [Ours(args, position) for position in args.position] + [Peer(args)]
    try:
        find_programs(args)
        files = [{"model": pathlib.Path(model).stem,
                  "file_bytes": os.path.getsize(model),
                  "weight_bytes": weight_bytes(model)}
                 for model in args.models]
        with tempfile.TemporaryDirectory() as folder:
            measure(args, files, sides, folder, rows, lines)
    except WrongCall as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except Failure as error:
        print(f"compare: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        print("compare: interrupted", file=sys.stderr)
        code = 130
    if rows:
        report(args, files, sides, rows, lines, load)
    return code


if __name__ == "__main__":
    sys.exit(main())
