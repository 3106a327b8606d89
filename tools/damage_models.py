"""Damages copies of a real model and looks at what the program says.

    python3 tools/damage_models.py MODEL.gguf [--copies 1000] [--seed 1]
                        [--program build/bin/ropewalk] [--no-memory-limit]

Each copy differs from the model in one way, within the first MiB or in the
entries of the tensors: it is cut, bits are flipped, a span is noise, zeros or
bytes from elsewhere, two lengths are swapped, a length or a number is absurd.
`inspect` and `run -n 1` must end by themselves with exit code 0, 1 or 2, when
not 0 with exactly one line "ropewalk: ...", within 5 s of processor time and
with 2 GiB of memory beyond the file. Exit code 1 when one did not.

Damage is written into one copy and taken back again, so that a model of 300 MB
is copied once.
"""
import argparse
import collections
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

MIB = 1 << 20
SECONDS = 5
WALL_SECONDS = 120  # the machine may be busy
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
ABSURD = [0, 1, 2, 255, 65536, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40,
          (1 << 62) + 1, (1 << 63) - 1, 1 << 63, (1 << 64) - 1]


class Layout:
    """Where a header keeps lengths, numbers and the fields of tensors."""

    def __init__(self, data):
        self.data, self.at = data, 8
        self.lengths = [8, 16]
        self.numbers = []  # (place, width)
        self.tensors = []
        tensors, keys = self.number("Q"), self.number("Q")
        for _ in range(keys):
            self.string()
            self.value(self.number("I"))
        for _ in range(tensors):
            self.string()
            dimensions = self.number("I")
            for _ in range(dimensions):
                self.tensors.append((self.at, 8))
                self.at += 8
            self.tensors += [(self.at, 4), (self.at + 4, 8)]
            self.at += 12
        self.end = self.at

    def number(self, code):
        size = struct.calcsize("<" + code)
        self.at += size
        return struct.unpack("<" + code, self.data[self.at - size:self.at])[0]

    def string(self):
        self.lengths.append(self.at)
        length = self.number("Q")
        self.at += length

    def value(self, kind):
        self.numbers.append((self.at - 4, 4))
        if kind == 8:
            self.string()
        elif kind != 9:
            self.numbers.append((self.at, WIDTHS[kind]))
            self.at += WIDTHS[kind]
        else:
            self.numbers.append((self.at, 4))
            element = self.number("I")
            self.lengths.append(self.at)
            count = self.number("Q")
            if element == 8:
                for _ in range(count):
                    self.string()
            else:
                self.numbers.append((self.at, WIDTHS[element]))
                self.at += count * WIDTHS[element]


class Damage:
    """One way to damage a file: what it is called, bytes to put where, or a
    length to cut the file to."""

    def __init__(self, random, header, layout, kind):
        self.kind, self.patches, self.cut = kind, [], None
        area = min(MIB, len(header))
        early = [at for at in layout.lengths if at < MIB]
        if kind == "cut":
            self.cut = random.choice([random.randrange(64), random.randrange(area),
                                      random.randrange(len(header) + 1)])
        elif kind == "bits":
            for _ in range(random.choice([1, 1, 2, 8, 64])):
                at = random.randrange(random.choice([64, 4096, area]))
                self.put(at, bytes([header[at] ^ 1 << random.randrange(8)]))
        elif kind in ("noise", "zeros", "copy"):
            size = random.choice([1, 8, 100, 4096, 65536])
            at = random.randrange(random.choice([64, 4096, area]))
            source = random.randrange(area)
            size = min(size, area - at, area - source)
            self.put(at, random.randbytes(size) if kind == "noise" else
                     bytes(size) if kind == "zeros" else
                     header[source:source + size])
        elif kind == "swap":
            a, b = random.choice(early[:200]), random.choice(early)
            self.put(a, header[b:b + 8])
            self.put(b, header[a:a + 8])
        elif kind == "length":
            at = random.choice(early[:200] if random.random() < .7 else early)
            self.put(at, struct.pack("<Q", self.absurd(random, header, at, 8)))
        elif kind == "number":
            at, width = random.choice(layout.numbers)
            self.put(at, self.bytes_of(random, header, at, width))
        else:
            at, width = random.choice(layout.tensors)
            self.put(at, self.bytes_of(random, header, at, width))

    def absurd(self, random, header, at, width):
        value = int.from_bytes(header[at:at + width], "little")
        choices = ABSURD + [value + 1, value - 1, value * 2, value // 2]
        return random.choice(choices) % (1 << 64)

    def bytes_of(self, random, header, at, width):
        value = self.absurd(random, header, at, width) % (1 << 8 * width)
        return value.to_bytes(width, "little")

    def put(self, at, content):
        self.patches.append((at, content))


KINDS = ["cut", "bits", "noise", "zeros", "copy", "swap", "length", "number",
         "tensor"]


def run(command, memory):
    """(exit code or minus the signal, stderr, CPU seconds, peak bytes)"""
    def limit():
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS + 5, SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=errors,
                                 preexec_fn=limit)
        end = time.monotonic() + WALL_SECONDS
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                child.send_signal(signal.SIGKILL)
            time.sleep(0.002)
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        text = errors.read().decode(errors="backslashreplace")
    return (child.returncode, text, usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss * 1024)


def complaint(code, text, seconds):
    """What is wrong with how a call ended, or nothing."""
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if seconds > SECONDS:
        return f"{seconds:.1f} s of processor time"
    lines = text.splitlines()
    said = [line for line in lines if line.startswith("ropewalk: ")]
    if code != 0 and (len(said) != 1 or lines[-1] != said[0]):
        return "not one line 'ropewalk: ...'"
    if code != 0 and "out of memory" in text:
        return "out of memory"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--copies", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--program", default="build/bin/ropewalk")
    parser.add_argument("--no-memory-limit", action="store_true",
                        help="for builds with a sanitizer, whose shadow is huge")
    options = parser.parse_args()
    memory = options.model.stat().st_size + 2048 * MIB
    if options.no_memory_limit:
        memory = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "damaged.gguf"
        cut = pathlib.Path(folder) / "cut.gguf"
        shutil.copyfile(options.model, path)
        with open(path, "rb") as file:
            data = file.read(64 * MIB)
        layout = Layout(data)
        header = data[:layout.end]
        calls = [["inspect", "-m"], ["run", "-p", "Once", "-n", "1", "--threads",
                                     "1", "-m"]]
        for call in calls:
            code, text, seconds, peak = run([options.program, *call, path], memory)
            if code != 0:
                sys.exit(f"the undamaged model does not work: {text}")
            print(f"undamaged, {call[0]}: {seconds:.2f} s, {peak / MIB:.0f} MiB")
        ends = {kind: collections.Counter() for kind in KINDS}
        findings, slowest, most = 0, 0, 0
        for n in range(options.copies):
            kind = KINDS[n % len(KINDS)]
            damage = Damage(random.Random(options.seed * 1000003 + n), header,
                            layout, kind)
            with open(path, "r+b") as file:
                for at, content in damage.patches:
                    file.seek(at)
                    file.write(content)
            if damage.cut is not None:
                cut.write_bytes(data[:damage.cut])
            target = path if damage.cut is None else cut
            for call in calls:
                code, text, seconds, peak = run([options.program, *call, target],
                                                memory)
                ends[kind][code] += 1
                slowest, most = max(slowest, seconds), max(most, peak)
                wrong = complaint(code, text, seconds)
                if wrong:
                    findings += 1
                    print(f"FINDING copy {n} ({kind}), {call[0]}: {wrong}: "
                          f"{text[:300]}{damage.patches[:4]} {damage.cut}",
                          flush=True)
            with open(path, "r+b") as file:
                for at, content in damage.patches:
                    file.seek(at)
                    file.write(header[at:at + len(content)])
    for kind, codes in ends.items():
        print(f"{kind:8}", *(f"exit {code}: {count:4}" for code, count in
                             sorted(codes.items())))
    print(f"{options.model.name}: {options.copies} damaged copies, {findings} "
          f"findings; at most {slowest:.2f} s and {most / MIB:.0f} MiB")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
