"""Compares the ids of `ropewalk tokenize` with those of other programs.

The same vocabulary, taken out of a GGUF file, is given to PyPI's `tokenizers`
(gpt2: byte-level BPE) or `sentencepiece` (llama, t5). Both then read whole
texts, and lines of all scripts, emoji, code and odd spaces. Lines are UTF-8:
what broken bytes become differs between programs by intent (docs/formats.md).

Usage: python3 tools/compare_tokenizers.py MODEL.gguf [TEXT...]
         [--lines 10000] [--ropewalk build/bin/ropewalk] [--save lines.txt]
Needs: pip install gguf tokenizers sentencepiece protobuf
TEXT may be gzip. Prints a row a text, exits 1 on any difference.
"""

import argparse
import gzip
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import time

GPT2 = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+"
        r"|\s+(?!\S)|\s+")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
          r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
# What tests/golden/make_pre_tokenizers.py has for all names; here for those of
# models that are easily had.
PRE = {"smollm": [r"\p{N}", GPT2], "gpt-2": [GPT2], "llama-bpe": [LLAMA3],
       "qwen2": [LLAMA3.replace("{1,3}", "")]}
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)


class Vocabulary:
    def __init__(self, path):
        from gguf import GGUFReader
        reader = GGUFReader(path)

        def read(key, default=None):
            field = reader.get_field("tokenizer.ggml." + key)
            return default if field is None else field.contents()

        self.model = read("model")
        self.pre = read("pre", "default")
        self.pieces = read("tokens")
        self.types = read("token_type")
        self.scores = read("scores")
        self.merges = read("merges")
        self.unknown = read("unknown_token_id")
        self.add_prefix = read("add_space_prefix", self.model == "llama")
        self.remove_extra = read("remove_extra_whitespaces", False)
        self.charsmap = bytes(b & 255 for b in
                              read("precompiled_charsmap", []))


def byte_level(v):
    """A function from a text to ids, by `tokenizers`."""
    from tokenizers import (AddedToken, Regex, Tokenizer, models,
                            pre_tokenizers)
    ids = {piece: i for i, piece in enumerate(v.pieces)}
    merges = [tuple(merge.split(" ")) for merge in v.merges]
    tokenizer = Tokenizer(models.BPE(
        vocab=ids, merges=merges, ignore_merges=v.pre == "llama-bpe"))
    splits = [pre_tokenizers.Split(Regex(e), "isolated") for e in PRE[v.pre]]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        splits + [pre_tokenizers.ByteLevel(add_prefix_space=False,
                                           use_regex=False)])
    tokenizer.add_tokens([AddedToken(p, normalized=False) for p, t in
                          zip(v.pieces, v.types) if t == USER_DEFINED])
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def sentence_piece(v):
    """A function from a text to ids, by `sentencepiece`."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as proto
    model = proto.ModelProto()
    model.trainer_spec.model_type = 2 if v.model == "llama" else 1
    model.trainer_spec.vocab_size = len(v.pieces)
    model.trainer_spec.byte_fallback = BYTE in v.types
    model.trainer_spec.unk_id = v.unknown
    model.trainer_spec.unk_piece = v.pieces[v.unknown]
    model.normalizer_spec.name = "as_in_the_file"
    model.normalizer_spec.add_dummy_prefix = v.add_prefix
    model.normalizer_spec.remove_extra_whitespaces = v.remove_extra
    model.normalizer_spec.escape_whitespaces = True
    model.normalizer_spec.precompiled_charsmap = v.charsmap
    for i, (text, score, kind) in enumerate(zip(v.pieces, v.scores, v.types)):
        piece = model.pieces.add()
        piece.score = score
        piece.type = UNKNOWN if i == v.unknown else kind
        # GGUF has user-defined pieces as they stand in a text.
        piece.piece = (text.replace(" ", "\u2581") if kind == USER_DEFINED
                       else text)
    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(model.SerializeToString())
    return processor.EncodeAsIds


SCRIPTS = [(0x20, 0x7e), (0x20, 0x7e), (0xa0, 0x24f), (0x250, 0x36f),
           (0x370, 0x3ff), (0x400, 0x4ff), (0x531, 0x5f4), (0x600, 0x6ff),
           (0x900, 0x97f), (0x980, 0xdff), (0xe01, 0xeff), (0x1000, 0x10ff),
           (0x1200, 0x139f), (0x1780, 0x17ff), (0x1e00, 0x1fff),
           (0x2000, 0x206f), (0x2070, 0x2bff), (0x3000, 0x30ff),
           (0x3400, 0x9fff), (0xac00, 0xd7a3), (0xf900, 0xfaff),
           (0xfe00, 0xffef), (0x10000, 0x10fff), (0x1d400, 0x1d7ff),
           (0x1f300, 0x1faff), (0x20000, 0x2a6df), (0x1f600, 0x1f64f)]
CODE = ["for (int i = 0; i < n; ++i) {", "\tdef f(self, x: int) -> None:",
        "        return {\"a\": [1, 2.5e-3]}", "#include <vector>", "x += 1;",
        "SELECT * FROM t WHERE id=42 -- c", "</div><br/>", "a->b::c(d)[e]",
        "I'm can't WE'LL they'd o'clock", "https://example.com/?q=%20a&b=1",
        "1,234,567.89", "2024-11-30T02:00:00Z", "0xdeadbeef", "\u3000\u00a0 ",
        "    ", "  ", "\t\t", "...", "---", "====", "\U0001f468\u200d\U0001f469"]


def mixed_line(rng):
    parts = []
    for _ in range(rng.randrange(1, 8)):
        kind = rng.random()
        if kind < 0.35:
            parts.append(rng.choice(CODE))
        elif kind < 0.45:
            parts.append(rng.choice(" \t\u00a0\u2003\u2581") *
                         rng.randrange(1, 40))
        else:
            begin, end = rng.choice(SCRIPTS)
            parts.append("".join(chr(rng.randint(begin, end))
                                 for _ in range(rng.randrange(1, 24))))
    # sentencepiece's wrapper takes no zero, and a line is one line.
    return rng.choice(["", " "]).join(parts).replace("\n", "").replace(
        "\r", "")


def ropewalk(program, model, text, lines):
    with tempfile.NamedTemporaryFile() as file:
        file.write(text.encode())
        file.flush()
        begin = time.time()
        out = subprocess.run(
            [program, "tokenize", "-m", model, "--no-bos", "-f", file.name] +
            (["--lines"] if lines else []),
            check=True, capture_output=True, text=True).stdout
        seconds = time.time() - begin
    return [[int(i) for i in line.split()]
            for line in out.split("\n")[:-1]], seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("texts", nargs="*")
    parser.add_argument("--lines", type=int, default=10000)
    parser.add_argument("--ropewalk", default="build/bin/ropewalk")
    parser.add_argument("--save", help="where the lines are written")
    args = parser.parse_args()
    os.environ["RAYON_NUM_THREADS"] = "1"
    vocabulary = Vocabulary(args.model)
    encode = (byte_level if vocabulary.model == "gpt2"
              else sentence_piece)(vocabulary)

    rng = random.Random(1)
    lines = [mixed_line(rng) for _ in range(args.lines)]
    if args.save:
        pathlib.Path(args.save).write_text("\n".join(lines) + "\n")
    jobs = []
    for path in args.texts:
        data = pathlib.Path(path).read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        jobs.append((pathlib.Path(path).name, [data.decode()], False))
    jobs.append((f"{args.lines} mixed lines", lines, True))
    differ = 0
    for name, texts, by_line in jobs:
        text = "\n".join(texts) + ("\n" if by_line else "")
        ours, seconds = ropewalk(args.ropewalk, args.model, text, by_line)
        begin = time.time()
        theirs = [encode(t) for t in texts]
        their_seconds = time.time() - begin
        assert len(ours) == len(theirs), (len(ours), len(theirs))
        wrong = [i for i in range(len(texts)) if ours[i] != theirs[i]]
        differ += len(wrong)
        tokens = sum(map(len, theirs))
        print(f"{name}: {len(text.encode())} bytes, {tokens} tokens, "
              f"{len(wrong)} of {len(texts)} texts differ; ropewalk "
              f"{seconds:.2f} s with loading, the other {their_seconds:.2f} s")
        for i in wrong[:5]:
            at = next((k for k, (a, b) in enumerate(zip(ours[i], theirs[i]))
                       if a != b), min(len(ours[i]), len(theirs[i])))
            print(f"  text {i}, token {at}: {ours[i][at:at + 6]} for "
                  f"{theirs[i][at:at + 6]}: {texts[i][:100]!r}")
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
