"""Compares tokenizer folders that Ropewalk has written with what transformers
makes of them.

    ROPEWALK_WRITTEN_TOKENIZERS=FOLDER build/test/huggingface_test \
        --gtest_filter='*Written*'
    python3 tools/check_written_tokenizers.py FOLDER LINES.json

Each folder below FOLDER has ids.json, the ids that Ropewalk gives for the texts
of LINES.json (tools/make_tokenizers.py makes it).
Needs: pip install transformers tokenizers
"""
import json
import pathlib
import sys

from transformers import AutoTokenizer


def main():
    lines = json.loads(pathlib.Path(sys.argv[2]).read_text())
    failed = False
    for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if not (folder / "ids.json").exists():
            continue
        expected = json.loads((folder / "ids.json").read_text())
        tokenizer = AutoTokenizer.from_pretrained(folder)
        got = [tokenizer(line)["input_ids"] for line in lines]
        different = [i for i, ids in enumerate(got) if ids != expected[i]]
        failed = failed or bool(different)
        print(folder.name, type(tokenizer).__name__, len(lines), "lines,",
              len(different), "differ")
        for i in different[:3]:
            print("  line", i, repr(lines[i][:100]), got[i][:20],
                  expected[i][:20])
    sys.exit(failed)


if __name__ == "__main__":
    main()
