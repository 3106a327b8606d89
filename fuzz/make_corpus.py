"""Writes the seeds of fuzz/corpus that come from other people's models.

    python3 fuzz/make_corpus.py DATA

DATA is a folder with golden/hf (small models, one an architecture) and
tokenizers (vocabularies). A model is kept as its header without weights, which
the target makes up; a vocabulary is cut to its first pieces, the special ones
and the merges among them. Targets without such seeds begin with the files that
are committed by hand, or with what the target itself writes.
"""
import pathlib
import struct
import sys

STRING, ARRAY = 8, 9
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
MOST_PIECES = 320
MOST_MERGES = 60

TEXT = ("Hello,  World 123456!\n\t caf\u00e9 \u4f60\u597d \U0001f600 "
        "<|im_start|> <s> 's I'LL\r\n\r\n  x").encode() + b"\xff\xfe"


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        self.at += count
        return self.data[self.at - count:self.at]

    def number(self, code):
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def string(self):
        return self.take(self.number("Q"))

    def value(self):
        """(type, element type, bytes or a list of strings)"""
        kind = self.number("I")
        if kind == STRING:
            return kind, kind, self.string()
        if kind != ARRAY:
            return kind, kind, self.take(WIDTHS[kind])
        element, count = self.number("I"), self.number("Q")
        if element == STRING:
            return kind, element, [self.string() for _ in range(count)]
        return kind, element, self.take(count * WIDTHS[element])


def string(text):
    return struct.pack("<Q", len(text)) + text


def value(kind, element, content):
    head = struct.pack("<I", kind)
    if kind == STRING:
        return head + string(content)
    if kind != ARRAY:
        return head + content
    count = len(content) if element == STRING else len(content) // WIDTHS[element]
    head += struct.pack("<IQ", element, count)
    return head + (b"".join(map(string, content)) if element == STRING else content)


def read(path):
    reader = Reader(path.read_bytes())
    assert reader.take(4) == b"GGUF" and reader.number("I") in (2, 3), path
    tensor_count, key_count = reader.number("Q"), reader.number("Q")
    keys = {}
    for _ in range(key_count):
        name = reader.string()
        keys[name] = reader.value()
    tensors = []
    for _ in range(tensor_count):
        name = reader.string()
        shape = [reader.number("Q") for _ in range(reader.number("I"))]
        tensors.append((name, shape, reader.number("I"), reader.number("Q")))
    return keys, tensors


def header(keys, tensors):
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, content in keys.items():
        out += string(name) + value(*content)
    for name, shape, kind, offset in tensors:
        out += string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape,
                                          kind, offset)
    return out


def without_vocabulary(keys):
    return {name: content for name, content in keys.items()
            if not name.startswith(b"tokenizer.")}


def cut_vocabulary(keys):
    """The vocabulary of a few pieces that a merge can still make."""
    tokens = keys[b"tokenizer.ggml.tokens"][2]
    types = keys.get(b"tokenizer.ggml.token_type")
    kinds = list(memoryview(types[2]).cast("i")) if types else [1] * len(tokens)
    kept = list(range(min(MOST_PIECES, len(tokens))))
    special = [i for i in range(len(kept), len(tokens)) if kinds[i] in (3, 4)]
    kept += special[:12]
    known = {tokens[i] for i in kept}
    merges = [m for m in keys.get(b"tokenizer.ggml.merges", (0, 0, []))[2]
              if all(part in known for part in m.split(b" ")) and
              m.replace(b" ", b"") in known][:MOST_MERGES]
    place = {old: new for new, old in enumerate(kept)}
    out = {}
    for name, (kind, element, content) in keys.items():
        if kind == ARRAY and element == STRING and len(content) == len(tokens):
            content = [content[i] for i in kept]
        elif kind == ARRAY and element != STRING and \
                len(content) == WIDTHS[element] * len(tokens):
            w = WIDTHS[element]
            content = b"".join(content[i * w:i * w + w] for i in kept)
        elif name == b"tokenizer.ggml.merges":
            content = merges
        elif name.endswith(b"_token_id") and kind == 4:
            old = struct.unpack("<I", content)[0]
            if old not in place:
                continue
            content = struct.pack("<I", place[old])
        elif name == b"tokenizer.chat_template":
            continue
        out[name] = (kind, element, content)
    out[b"fuzz.text"] = (STRING, STRING, TEXT)
    return out


def main():
    data = pathlib.Path(sys.argv[1])
    corpus = pathlib.Path(__file__).parent / "corpus"
    for target in ("gguf", "gguf_model", "tokenizer"):
        (corpus / target).mkdir(parents=True, exist_ok=True)
    for path in sorted(data.glob("golden/hf/*/model.gguf")):
        keys, tensors = read(path)
        name = path.parent.name
        (corpus / "gguf_model" / name).write_bytes(
            header(without_vocabulary(keys), tensors))
    for path in sorted(data.glob("tokenizers/*.gguf")):
        keys, _ = read(path)
        name = path.stem.removeprefix("ggml-vocab-")
        (corpus / "tokenizer" / name).write_bytes(header(cut_vocabulary(keys), []))


if __name__ == "__main__":
    main()
