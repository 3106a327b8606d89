"""Writes src/tokenizer/unicode_classes.inc: the class of every code point.

Pre-tokenizers are regular expressions over Unicode classes. The classes are
asked of the engine that PyPI's `tokenizers` runs those expressions on, so
that both split alike, code point by code point.

Usage: python3 tools/make_unicode_classes.py > src/tokenizer/unicode_classes.inc
Needs: pip install tokenizers
"""

import tokenizers
from tokenizers import Regex, pre_tokenizers

# Numbered as enum Category in unicode_classes.cc; 0 is everything else.
CATEGORIES = [r"\p{Lu}", r"\p{Ll}", r"\p{Lt}", r"\p{Lm}", r"\p{Lo}", r"\p{M}",
              r"\p{Nd}", r"[\p{Nl}\p{No}]", r"\p{P}", r"\p{S}"]
SPACE, HAN, WORD = 16, 32, 64  # flags beside the category
PER_LINE = 7


def members(pattern, text, code_points):
    """The code points of `text` that the pattern matches."""
    split = pre_tokenizers.Split(Regex(f"{pattern}+"), "removed")
    inside = set(code_points)
    for _, (begin, end) in split.pre_tokenize_str(text):
        inside.difference_update(code_points[begin:end])
    return inside


def main():
    code_points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    text = "".join(map(chr, code_points))
    classes = [0] * 0x110000
    for number, pattern in enumerate(CATEGORIES, 1):
        for c in members(pattern, text, code_points):
            assert classes[c] == 0, f"U+{c:04X} is in two categories"
            classes[c] = number
    for flag, pattern in ((SPACE, r"\s"), (HAN, r"\p{Han}"), (WORD, r"\w")):
        for c in members(pattern, text, code_points):
            classes[c] |= flag
    starts = [c for c in range(0x110000)
              if c == 0 or classes[c] != classes[c - 1]]
    print(f"// {len(starts)} runs, each to the start of the next: first code "
          "point * 256 + class.")
    print("// Made by tools/make_unicode_classes.py with tokenizers "
          f"{tokenizers.__version__}.")
    for i in range(0, len(starts), PER_LINE):
        print(" ".join(f"0x{c * 256 + classes[c]:x}," for c in
                       starts[i:i + PER_LINE]))


if __name__ == "__main__":
    main()
