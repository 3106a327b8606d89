"""Writes src/tokenizer/tokenizers_classes.inc: the classes of characters in
PyPI's `tokenizers`, whose tables are older than Unicode 16.

Usage: python3 tools/make_tokenizers_classes.py \
         > src/tokenizer/tokenizers_classes.inc
Needs: pip install tokenizers
"""
from tokenizers import normalizers, pre_tokenizers


def bert(**options):
    usual = dict(clean_text=False, handle_chinese_chars=False,
                 strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**usual, **options})


PUNCTUATION = pre_tokenizers.Punctuation()
ACCENTS = bert(strip_accents=True)
MARKS = normalizers.StripAccents()
CLEAN = bert(clean_text=True)
CLASSES = {
    "kPunctuation":
        lambda c: len(PUNCTUATION.pre_tokenize_str(f"a{c}b")) == 3,
    "kAccents": lambda c: ACCENTS.normalize_str(f"a{c}b") == "ab",
    "kMarks": lambda c: MARKS.normalize_str(f"a{c}b") == "ab",
    "kControls": lambda c: CLEAN.normalize_str(f"a{c}b") == "ab",
}


def main():
    print("// tools/make_tokenizers_classes.py wrote this file: first and last "
          "of\n// the runs of each class.")
    for name, has in CLASSES.items():
        runs = []
        for point in range(0x110000):
            if 0xd800 <= point < 0xe000 or not has(chr(point)):
                continue
            if runs and runs[-1][1] == point - 1:
                runs[-1][1] = point
            else:
                runs.append([point, point])
        print(f"constexpr char32_t {name}[][2] = {{")
        line = "   "
        for first, last in runs:
            item = f" {{{first:#x}, {last:#x}}},"
            if len(line) + len(item) > 80:
                print(line)
                line = "   "
            line += item
        print(line + "};")


if __name__ == "__main__":
    main()
