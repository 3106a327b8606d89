"""Writes src/jinja/character_tables.inc: what Python's str methods know of
characters, from the Python that runs this (3.11 has Unicode 14).

Usage: make_python_characters.py > src/jinja/character_tables.inc
"""
import sys

LAST = sys.maxunicode


def is_surrogate(c):
    return 0xD800 <= c <= 0xDFFF


def ranges(holds):
    """Pairs of the first and last character of each range beyond ASCII."""
    found, first = [], None
    for c in range(0x80, LAST + 2):
        yes = c <= LAST and not is_surrogate(c) and holds(chr(c))
        if yes and first is None:
            first = c
        elif not yes and first is not None:
            found.append((first, c - 1))
            first = None
    return found


def print_ranges(name, holds):
    print(f"constexpr Range {name}[] = {{")
    line = "   "
    for first, last in ranges(holds):
        entry = f" {{{first:#x}, {last:#x}}},"
        if len(line) + len(entry) > 80:
            print(line)
            line = "   "
        line += entry
    print(line + "\n};")


def print_mappings(name, convert):
    """Runs of characters that move by one distance, each or each second."""
    runs, long = [], []
    for c in range(0x80, LAST + 1):
        if is_surrogate(c):
            continue
        to = convert(chr(c))
        if to == chr(c):
            continue
        if len(to) > 1:
            long.append((c, [ord(x) for x in to]))
            continue
        delta = ord(to) - c
        if runs:
            first, last, step, before = runs[-1]
            if before == delta and c - last in (1, 2) and (
                    step == 0 or c - last == step):
                runs[-1] = (first, c, c - last, delta)
                continue
        runs.append((c, c, 0, delta))
    print(f"constexpr Mapping k{name}[] = {{")
    for first, last, step, delta in runs:
        print(f"    {{{first:#x}, {last:#x}, {max(step, 1)}, {delta}}},")
    print("};")
    print(f"constexpr LongMapping k{name}Long[] = {{")
    for c, to in long:
        to = to + [0] * (3 - len(to))
        print(f"    {{{c:#x}, {{{to[0]:#x}, {to[1]:#x}, {to[2]:#x}}}}},")
    print("};")


print("// Written by tools/make_python_characters.py; not for editing.")
print("// clang-format off")
print_ranges("kAlpha", str.isalpha)
print_ranges("kDecimal", str.isdecimal)
print_ranges("kDigit", str.isdigit)
print_ranges("kNumeric", str.isnumeric)
print_ranges("kPrintable", str.isprintable)
print_ranges("kUpperCase", str.isupper)
print_ranges("kLowerCase", str.islower)
print_mappings("Upper", str.upper)
print_mappings("Lower", str.lower)
print_mappings("Title", str.title)
print("// clang-format on")
