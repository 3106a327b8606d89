"""Makes tokenizer folders, and what PyPI's programs encode with them.

    python3 tools/make_tokenizers.py small OUT
    python3 tools/make_tokenizers.py large OUT [--lines 10000]
        [--text FILE...] [--real FOLDER...] [--gguf FILE...] [--vocabulary N]

`small` writes the folders of tests/golden/tokenizers, trained on this script.
`large` trains one tokenizer of each kind on the given texts (plain or gzip) and
takes folders of others' tokenizers beside them; ROPEWALK_TOKENIZERS=OUT
build/test/huggingface_test compares. Each folder gets expected.json: the ids
and the decoded texts of OUT/lines.json (in `small` of a few lines of its own).
Needs: pip install tokenizers sentencepiece protobuf
"""
import argparse
import gzip
import io
import json
import pathlib
import random
import shutil
import tempfile
import unicodedata

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models,
                        normalizers, pre_tokenizers, processors, trainers)

from compare_tokenizers import GPT2, LLAMA3, mixed_line

ROOT = pathlib.Path(__file__).resolve().parent.parent
BYTES = [f"<0x{i:02X}>" for i in range(256)]
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
             r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             r"\s*[\r\n]+|\s+(?!\S)|\s+")
HARD = [
    "", " ", "  ", "\n", "\t\n ", "Hello, world! It's 2024.", " Hello  world ",
    "a  b   c    d\n\n e \n\n\n f   ", "1 12 123 1234 12345 123456 1234567",
    "I'll I'LL we've WE'VE they'Re 'S'T 'D don''t o'clock",
    "<s>Hello</s> <mask> x<mask>y  <mask>  z", "<|user|>  Hi<|end|>\nthere",
    "keyword keywords akeyword keyword. <UNK><unk>[UNK][CLS]a[SEP]",
    "e\u0301 E\u0301te\u0301 \u0301a \u1100\u1161\u11a8 \u212b \ufb01 \u00bd",
    "\u4e2d\u6587\u5b57\u7b26\uff0c\u4f60\u597d\u3002\u3072\u3089\u304c\u306a",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f \U0001f1e9",
    "\u0939\u093f\u0928\u094d\u0926\u0940 \u0627\u0644\u0639 \u0e44\u0e17\u0e22",
    "def f(x):\n\treturn {'a': [1, 2.5e-3]}  # 100%\r\n", "\u2581a \u2581\u2581b",
    "x\u00a0y\u2003z\u3000\u200b\u200d\ufeff\x00\x01\x1f\x7f\x85", "ABC\u0130\u03a3",
    "http://a.b/c?d=e&f=1#g \u201cq\u201d \u2014 \u2026 a--b__c``d''",
    "Straße ÀÉÎ Ñandú ǅ ʰ ДОМ ΑΒΓ", "unseen: \u16a0\u16a1 \U00010400 \U0001d400",
]
ADDED = [AddedToken("<mask>", lstrip=True, special=True, normalized=False),
         AddedToken("<|user|>", rstrip=True, special=True, normalized=False),
         AddedToken("<|end|>", special=True, normalized=False),
         AddedToken("keyword", single_word=True, normalized=True),
         AddedToken("Hello", special=False, normalized=True)]


def split(expression, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(expression), behavior, invert)


def byte_level(steps, **options):
    return pre_tokenizers.Sequence(
        steps + [pre_tokenizers.ByteLevel(add_prefix_space=False,
                                          use_regex=False, **options)])


def template(tokenizer, single, names):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[(n, tokenizer.token_to_id(n))
                                       for n in names])


def trained_bpe(texts, size, pre, special=(), normalizer=None, alphabet=True,
                **model):
    """Byte-level BPE, or over characters where `alphabet` is false."""
    tokenizer = Tokenizer(models.BPE(**model))
    tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(special), show_progress=False,
        limit_alphabet=1000 if alphabet else size // 4,
        initial_alphabet=(pre_tokenizers.ByteLevel.alphabet() if alphabet
                          else []),
        **{k: v for k, v in model.items() if k.endswith(("prefix", "suffix"))})
    tokenizer.train_from_iterator(texts, trainer)
    if alphabet:
        tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def changed(tokenizer, change):
    """The tokenizer with its JSON changed in place by `change`."""
    data = json.loads(tokenizer.to_str())
    change(data)
    return Tokenizer.from_str(json.dumps(data))


def with_byte_pieces(tokenizer):
    def change(data):
        model = data["model"]
        for piece in BYTES:
            model["vocab"].setdefault(piece, len(model["vocab"]))
        model.update(byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    return changed(tokenizer, change)


def gpt2(texts, size):
    return trained_bpe(texts, size, pre_tokenizers.ByteLevel(
        add_prefix_space=False), ["<|endoftext|>"])


def llama3(texts, size):
    tokenizer = trained_bpe(texts, size, byte_level([split(LLAMA3)]),
                            ["<|begin_of_text|>", "<|end_of_text|>"],
                            ignore_merges=True)
    template(tokenizer, "<|begin_of_text|> $A", ["<|begin_of_text|>"])
    tokenizer.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=True), tokenizer.post_processor])
    return tokenizer


def qwen2(texts, size):
    return trained_bpe(texts, size, byte_level(
        [split(LLAMA3.replace("{1,3}", ""))]), ["<|endoftext|>"],
        normalizers.NFC())


def deepseek3(texts, size):
    tokenizer = trained_bpe(texts, size, byte_level(
        [split(r"\p{N}{1,3}"), split("[一-龥\u3040-\u309f\u30a0-\u30ff]+"),
         split(DEEPSEEK3)]), ["<bos>", "<eos>"])
    template(tokenizer, "<bos> $A <eos>", ["<bos>", "<eos>"])
    return tokenizer


def smollm(texts, size):
    return trained_bpe(texts, size, pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True),
         pre_tokenizers.ByteLevel(add_prefix_space=False)]), ["<|end|>"])


def gpt4o(texts, size):
    """Splits by removing what is no match."""
    upper, lower = (r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}",
                    r"\p{Ll}\p{Lm}\p{Lo}\p{M}")
    end = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    lead = r"[^\r\n\p{L}\p{N}]?"
    return trained_bpe(texts, size, byte_level([split(
        f"{lead}[{upper}]*[{lower}]+{end}|{lead}[{upper}]+[{lower}]*{end}|"
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "removed", True)]), ["<|endoftext|>"])


def own_expression(texts, size):
    return trained_bpe(texts, size, byte_level(
        [split(r"\d{1,2}(?=(\d\d)*\b)|[A-Z][a-z]*", "merged_with_next"),
         split(r"[aeiou]{2,}", "merged_with_previous"),
         split(r"(?<=[.!?])\s+", "removed"), split(r"_+", "contiguous"),
         pre_tokenizers.Split("--", "isolated"),
         pre_tokenizers.Punctuation("contiguous")]), ["<|endoftext|>"])


def sentencepiece_like(texts, size, special, normalizer, pre_tokenizer):
    """Trained on words, since merges of whole texts would take hours."""
    tokenizer = with_byte_pieces(trained_bpe(
        texts, size, pre_tokenizers.Metaspace(), special, None, False))
    tokenizer.normalizer = normalizer
    if pre_tokenizer is None:
        return changed(tokenizer, lambda data: data.update(pre_tokenizer=None))
    tokenizer.pre_tokenizer = pre_tokenizer
    return tokenizer


def gemma(texts, size):
    tokenizer = sentencepiece_like(
        texts, size, ["<pad>", "<eos>", "<bos>", "<unk>"],
        normalizers.Replace(" ", "\u2581"),
        pre_tokenizers.Split(" ", "merged_with_previous"))
    template(tokenizer, "<bos> $A", ["<bos>"])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(),
         decoders.Fuse()])
    return tokenizer


def llama2(texts, size):
    tokenizer = sentencepiece_like(
        texts, size, ["<unk>", "<s>", "</s>"], normalizers.Sequence(
            [normalizers.Prepend("\u2581"),
             normalizers.Replace(" ", "\u2581")]), None)
    template(tokenizer, "<s> $A", ["<s>"])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(),
         decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    return tokenizer


def metaspace(texts, size):
    """Llama 2's as files of after 2024 spell it."""
    tokenizer = with_byte_pieces(trained_bpe(
        texts, size, pre_tokenizers.Metaspace(prepend_scheme="first"),
        ["<unk>", "<s>", "</s>"], None, False))
    template(tokenizer, "<s> $A </s>", ["<s>", "</s>"])
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    return tokenizer


def old_metaspace(texts, size):
    """No bytes, unknown characters, Metaspace with its old fields."""
    tokenizer = trained_bpe(
        texts, size // 2, pre_tokenizers.Metaspace(), ["<unk>"], None, False,
        unk_token="<unk>", fuse_unk=True)

    def change(data):
        for part in ("pre_tokenizer", "decoder"):
            data[part] = {"type": "Metaspace", "replacement": "\u2581",
                          "str_rep": "\u2581", "add_prefix_space": True}
        data["model"]["merges"] = [
            m if isinstance(m, str) else " ".join(m)
            for m in data["model"]["merges"]]
    return changed(tokenizer, change)


def clip(texts, size):
    tokenizer = trained_bpe(
        texts, size, pre_tokenizers.Sequence(
            [split(r"'s|'t|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", "removed", True),
             pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        ["<|startoftext|>", "<|endoftext|>"], normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "),
             normalizers.Lowercase()]), unk_token="<|endoftext|>",
        end_of_word_suffix="</w>")
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    tokenizer.post_processor = processors.RobertaProcessing(
        ("<|endoftext|>", 1), ("<|startoftext|>", 0))
    return tokenizer


def roberta(texts, size):
    tokenizer = trained_bpe(texts, size, pre_tokenizers.ByteLevel(
        add_prefix_space=True), ["<s>", "<pad>", "</s>", "<unk>"])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2),
                                                            ("<s>", 0))
    return tokenizer


def bert(texts, size, **options):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(**options)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(
        vocab_size=size, show_progress=False, limit_alphabet=size // 3,
        special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]))
    template(tokenizer, "[CLS] $A [SEP]", ["[CLS]", "[SEP]"])
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def cased_bert(texts, size):
    return bert(texts, size, lowercase=False, clean_text=False,
                handle_chinese_chars=False, strip_accents=False)


def words(texts, size):
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Strip(), normalizers.Nmt()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.train_from_iterator(texts, trainers.WordLevelTrainer(
        vocab_size=size, special_tokens=["[UNK]"], show_progress=False))
    return tokenizer


# Some of the replacements of NFKC, for a small map.
FEW_RULES = "FB01\t66 69\nFF21\t41\n65 301\tE9\nA0\t20\n3000\t20\nD A\t20\n"
few_rules = False


def sentencepiece_bytes(texts, size, kind, **options):
    out = io.BytesIO()
    rules = tempfile.NamedTemporaryFile("w", suffix=".tsv")
    if few_rules and "normalization_rule_name" not in options:
        rules.write(FEW_RULES)
        rules.flush()
        options["normalization_rule_tsv"] = rules.name
    lines = [line for text in texts for line in text.split("\n")
             if 3 < len(line) < 4000 and "\0" not in line]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, vocab_size=size,
        model_type=kind, hard_vocab_limit=False, minloglevel=2, num_threads=1,
        **options)
    return out.getvalue()


def unigram(texts, size, normalizer, pre, decoder, **options):
    """As transformers converts a model of SentencePiece."""
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(sentencepiece_bytes(
        texts, size, "unigram", character_coverage=0.99, **options))
    charsmap = model.normalizer_spec.precompiled_charsmap
    tokenizer = Tokenizer(models.Unigram(
        [(p.piece, p.score) for p in model.pieces],
        unk_id=model.trainer_spec.unk_id,
        byte_fallback=model.trainer_spec.byte_fallback))
    tokenizer.normalizer = normalizer(normalizers.Precompiled(charsmap))
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens([p.piece for p in model.pieces
                                  if p.type in (2, 3)])
    return tokenizer


def t5(texts, size):
    tokenizer = unigram(
        texts, size, lambda charsmap: normalizers.Sequence(
            [charsmap, normalizers.Strip(left=False, right=True),
             normalizers.Replace(Regex(" {2,}"), "\u2581")]),
        pre_tokenizers.Metaspace(), decoders.Metaspace())
    template(tokenizer, "$A </s>", ["</s>"])
    return tokenizer


def xlnet(texts, size):
    return unigram(
        texts, size, lambda charsmap: normalizers.Sequence(
            [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'),
             normalizers.NFKD(), normalizers.StripAccents(),
             normalizers.Lowercase(), charsmap,
             normalizers.Replace(Regex(" {2,}"), " ")]),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(),
                                 pre_tokenizers.Metaspace()]),
        decoders.Metaspace(), byte_fallback=True)


def exact_unigram(texts, size):
    """Scores that float32 would round."""
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(sentencepiece_bytes(
        texts, size, "unigram", character_coverage=0.99))
    tokenizer = Tokenizer(models.Unigram(
        [(p.piece, p.score * (1 + 1e-9 * i))
         for i, p in enumerate(model.pieces)], unk_id=0))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.StripAccents()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.CharDelimiterSplit("|"), pre_tokenizers.Metaspace(
            prepend_scheme="never"), pre_tokenizers.Digits()])
    return tokenizer


KINDS = [gpt2, llama3, qwen2, deepseek3, smollm, gpt4o, own_expression, gemma,
         llama2, metaspace, old_metaspace, clip, roberta, bert, cased_bert,
         words, t5, xlnet, exact_unigram]
SMALL = {gpt2, llama3, own_expression, llama2, clip, bert, xlnet,
         exact_unigram}
PIECE_MODELS = {
    "sentencepiece_bpe": ("bpe", dict(byte_fallback=True,
                                      normalization_rule_name="identity",
                                      remove_extra_whitespaces=False)),
    "sentencepiece_nmt": ("bpe", dict()),
    "sentencepiece_unigram": ("unigram", dict()),
    "sentencepiece_bytes": ("unigram", dict(byte_fallback=True,
                                            add_dummy_prefix=False,
                                     remove_extra_whitespaces=False,
                                            user_defined_symbols=["<|user|>"])),
}
SMALL_PIECES = {"sentencepiece_bpe"}


def assigned(c):
    """Younger characters are what the programs' tables make of them; Debian's
    Oniguruma knows Unicode 14, as does Python 3.11."""
    return unicodedata.category(c) != "Cn"


def write_expected(folder, lines, encode, decode, texts=False):
    ids = [encode(line) for line in lines]
    expected = {"ids": ids, "decoded": [decode(i) for i in ids]}
    if texts:
        expected["texts"] = lines
    (folder / "expected.json").write_text(
        json.dumps(expected, separators=(",", ":")))
    print(folder.name, sum(map(len, ids)), "tokens", flush=True)


def write_tokenizer(folder, tokenizer, lines, texts=False):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "tokenizer.json").exists():
        (folder / "tokenizer.json").write_text(
            json.dumps(json.loads(tokenizer.to_str()), separators=(",", ":")))
    write_expected(folder, lines, lambda line: tokenizer.encode(line).ids,
                   lambda ids: tokenizer.decode(ids), texts)


def write_pieces(folder, data, lines, texts=False):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(data)
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {"add_bos_token": False, "add_eos_token": False}))
    model = sentencepiece.SentencePieceProcessor()
    model.LoadFromSerializedProto(data)
    lines = [line.replace("\0", "") for line in lines]
    write_expected(folder, lines, model.EncodeAsIds, model.DecodeIds, texts)


def read(path):
    data = pathlib.Path(path).read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    return data.decode(errors="replace")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mode", choices=["small", "large"])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--lines", type=int, default=10000)
    parser.add_argument("--text", nargs="*", default=[])
    parser.add_argument("--real", nargs="*", default=[])
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--vocabulary", type=int, default=4000)
    args = parser.parse_args()
    global few_rules
    small = few_rules = args.mode == "small"
    args.out.mkdir(parents=True, exist_ok=True)
    own = [read(__file__), read(ROOT / "docs/architecture.md")]
    given = [chunk for path in args.text for chunk in read(path).split("\n\n")]
    texts = [chunk for text in own for chunk in text.split("\n\n")] + given
    rng = random.Random(31)
    lines = list(HARD)
    if not small:
        while len(lines) < args.lines:
            kind = rng.random()
            line = (mixed_line(rng) if kind < 0.6 else
                    rng.choice(given)[:400] if kind < 0.9 and given else
                    "".join(rng.choice(HARD) for _ in range(3)))
            lines.append("".join(c for c in line if assigned(c)))
        (args.out / "lines.json").write_text(json.dumps(lines))
    size = 500 if small else args.vocabulary
    for kind in KINDS:
        name = kind.__name__
        if (small and kind not in SMALL) or (args.only and
                                             name not in args.only):
            continue
        tokenizer = kind(texts, size)
        tokenizer.add_tokens([token for token in ADDED
                              if tokenizer.token_to_id(token.content) is None])
        write_tokenizer(args.out / name, tokenizer, lines, small)
    for name, (kind, options) in PIECE_MODELS.items():
        if (small and name not in SMALL_PIECES) or (args.only and
                                                    name not in args.only):
            continue
        write_pieces(args.out / name, sentencepiece_bytes(
            texts, size, kind, character_coverage=0.99, **options), lines,
            small)
    for path in args.real:
        source = pathlib.Path(path)
        folder = args.out / source.name
        folder.mkdir(parents=True, exist_ok=True)
        # tokenizer_config.json would change what is put around a text.
        shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")
        write_tokenizer(folder, Tokenizer.from_file(
            str(source / "tokenizer.json")), lines, small)


if __name__ == "__main__":
    main()
