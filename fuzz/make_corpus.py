"""Writes the seeds of fuzz/corpus that come from other people's models.

    python3 fuzz/make_corpus.py DATA

DATA is a folder with golden/hf (small models, one an architecture) and
tokenizers (vocabularies). A model is kept as its header without weights, which
the target makes up; a vocabulary is cut to its first pieces, the special ones
and the merges among them. The other seeds are written here. The targets
`session` and `memory` need none: they begin with what the program saves.
"""
import gzip
import json
import pathlib
import struct
import sys
import zlib

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


SPELLINGS = """auto|rope|nope|pi:factor=8|ntk-old|ntk-fixed:factor=8|ntk-mixed
dynamic-ntk|yarn:factor=8,fast=32,slow=1|llama3|longrope|cope|rerope
rerope:window=1k+logn-clip|leaky-rerope:window=64,k=1/16|inv-leaky
self-extend:group=8,window=512|dca:chunk=96,local=32|window:size=16
sink-window:size=128,sinks=4+logn:base=1k|hwfa|hwfa2|rope+logn-learned""".replace(
    "\n", "|").split("|")


def safetensors(tensors, metadata):
    """With a checksum, as the program writes its own."""
    head, data = {"__metadata__": metadata}, b""
    for name, (kind, shape, content) in tensors.items():
        head[name] = {"dtype": kind, "shape": shape,
                      "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    head["__crc32__"] = {"dtype": "U32", "shape": [1],
                         "data_offsets": [len(data), len(data) + 4]}
    text = json.dumps(head).encode()
    out = struct.pack("<Q", len(text)) + text + data
    return out + struct.pack("<I", zlib.crc32(out))


def every_type():
    """One key of each type, scalar and array, and tensors with their bytes."""
    keys = {b"general.alignment": (4, 4, struct.pack("<I", 8))}
    for kind, width in WIDTHS.items():
        one = bytes([1]) + bytes(width - 1)
        keys[b"one.%d" % kind] = (kind, kind, one)
        keys[b"many.%d" % kind] = (ARRAY, kind, one * 3)
    keys[b"text"] = (STRING, STRING, b"caf\xc3\xa9")
    keys[b"texts"] = (ARRAY, STRING, [b"", b"a", b"\xff"])
    out = header(keys, [(b"t", [2, 2], 0, 0), (b"u", [32], 8, 16)])
    return out + bytes(-len(out) % 8) + bytes(16 + 34 + 14)


def character_map(replacements):
    """A precompiled_charsmap: the size of a double-array trie, the trie, texts.

    Every node of the trie has 256 units of its own for its children, which is
    wasteful and valid.
    """
    tree, texts = {}, b""
    for key, text in replacements.items():
        node = tree
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node["value"] = len(texts)
        texts += text.encode() + b"\0"
    units, blocks = {}, 1

    def place(node, at, label):
        nonlocal blocks
        base, blocks = 256 * blocks, blocks + 1
        units[at] = (at ^ base) << 10 | ("value" in node) << 8 | label
        for byte, child in node.items():
            if byte == "value":
                units[base] = 1 << 31 | child
            else:
                place(child, base ^ byte, byte)

    place(tree, 0, 0)
    trie = b"".join(struct.pack("<I", units.get(i, 0)) for i in range(256 * blocks))
    return struct.pack("<I", len(trie)) + trie + texts


def unigram(with_bytes):
    pieces = [("<pad>", 0, 3), ("</s>", 0, 3), ("<unk>", 0, 2)]
    if with_bytes:
        pieces += [(f"<0x{byte:02X}>", 0, 6) for byte in range(256)]
    words = "\u2581 \u2581the the t h e he \u2581a a\u2581b fi caf \u00e9 1 12".split()
    pieces += [(word, -1 - .5 * i, 1) for i, word in enumerate(words)]
    pieces += [("<extra>", 0, 4)]
    # The ligature fi, a combined letter, a space without a break, a zero width.
    texts = {"\ufb01": "fi", "e\u0301": "\u00e9", "\u00a0": " ", "\u200b": ""}
    keys = {
        b"tokenizer.ggml.model": (STRING, STRING, b"t5"),
        b"tokenizer.ggml.tokens": (ARRAY, STRING, [p.encode() for p, _, _ in pieces]),
        b"tokenizer.ggml.scores": (ARRAY, 6, b"".join(
            struct.pack("<f", score) for _, score, _ in pieces)),
        b"tokenizer.ggml.token_type": (ARRAY, 5, b"".join(
            struct.pack("<i", kind) for _, _, kind in pieces)),
        b"tokenizer.ggml.add_space_prefix": (7, 7, b"\1"),
        b"tokenizer.ggml.remove_extra_whitespaces": (7, 7, b"\1"),
        b"fuzz.text": (STRING, STRING, "\ufb01 e\u0301\u00a0 the".encode() + TEXT),
    }
    if not with_bytes:
        keys[b"tokenizer.ggml.precompiled_charsmap"] = (ARRAY, 0, character_map(texts))
    return header(keys, [])


def split(count):
    """A model in `count` parts: a tensor in each, the keys in the first."""
    parts = []
    for i in range(count):
        keys = {b"split.no": (2, 2, struct.pack("<H", i)),
                b"split.count": (2, 2, struct.pack("<H", count)),
                b"split.tensors.count": (5, 5, struct.pack("<i", count))}
        if i == 0:
            keys[b"general.architecture"] = (STRING, STRING, b"llama")
        out = header(keys, [(b"t%d" % i, [2, 2], 0, 0)])
        parts.append(out + bytes(-len(out) % 32) + bytes(16))
    return b"\n--next part--\n".join(parts)


# Chat templates of several forms.
LOOP = "{% for m in messages %}%s{% endfor %}{% if add_generation_prompt %}%s{% endif %}"
TEMPLATES = {
    "chatml": ("{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>"
               "' + '\\n' }}", "{{ '<|im_start|>assistant\\n' }}"),
    "chatml-default": (
        "{% if loop.first and m['role'] != 'system' %}{{ '<|im_start|>system\\nYou are"
        " brief.<|im_end|>\\n' }}{% endif %}<|im_start|>{{ m.role }}\n"
        "{{- m.content | trim }}<|im_end|>\n", "<|im_start|>assistant\n"),
    "llama3": ("{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' +"
               " m['content'] | trim + '<|eot_id|>' }}",
               "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}"),
    "gemma": ("{{ '<start_of_turn>' + m['role'] + '\\n' + m['content'] | trim +"
              " '<end_of_turn>\\n' }}", "{{ '<start_of_turn>model\\n' }}"),
    "phi": ("{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>\\n' }}",
            "{{ '<|assistant|>\\n' }}"),
}

# The constructs of the language.
CONSTRUCTS = {
    "macros": (
        "{% macro m(a, b=2) %}[{{ a ~ b }}{{ caller(a) if caller }}]{% endmacro %}"
        "{{ m(1) }}{% call(x) m('y', b=messages[0].role) %}{{ x }}{% endcall %}"),
    "namespaces": (
        "{% set ns = namespace(n=0, t='') %}{% for m in messages if m.content %}"
        "{% set ns.n = ns.n + loop.index %}{% set ns.t = ns.t + m.role[::-1] %}"
        "{% if loop.last %}{% break %}{% else %}{% continue %}{% endif %}"
        "{% else %}none{% endfor %}{{ ns.n }}{{ ns.t | upper }}"),
    "filters": (
        "{{ messages | selectattr('role', 'equalto', 'user') | map(attribute='content')"
        " | list | tojson(indent=2) }}{{ tools | length }}{{ [3, 1] | sort | join('-') }}"
        "{{ {'b': 1, 'a': 2} | dictsort }}{{ 'a b' | title | replace('A', '<|im_end|>') }}"
        "{{ [1, 2, 3] | batch(2, 0) | list }}{{ x | default('y') | indent(2, true) }}"),
    "texts": (
        "{{ messages[1].content.split('<')[-1].strip().upper() }}{{ '%5.2f|%s' % (1.5, 'a') }}"
        "{{ '{:>8}{x}'.format('b', x=messages[0].content[1:-1:2]) }}"
        "{{ 'abc'.partition('b') }}{{ 7 // -2, -7 % 3, 2 ** 5, 1e16, 0.1 }}"),
    "recursive": (
        "{% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}<{{ loop(x) }}>"
        "{% else %}{{ x }}{{ loop.cycle('a', 'b') }}{{ loop.changed(x) }}{% endif %}{% endfor %}"),
    "blocks": (
        "{#- c -#} {%- raw %}{{ x }}{% endraw -%} {% set x | trim %} a {% endset %}{{ x }}"
        "{% filter upper %}b{% endfilter %}{% with y = x %}{{ y * 3 }}{% endwith %}"
        "{% generation %}{{ strftime_now('%Y') }}{% endgeneration %}"
        "{{ raise_exception('no') if messages is not iterable }}"),
    "tests": (
        "{% for v in [1, 1.5, 'a', none, true, [], {}, (1,), undefined] %}"
        "{{ v is defined }}{{ v is string }}{{ v is mapping }}{{ v is sequence }}"
        "{{ v is number }}{{ v is none }}{{ v in [1, 'a'] }}{{ v == 1 }}{% endfor %}"),
}


ANSWER = "\n--answer--\n"
FUNCTION = ('{"name": "f", "description": "d", "parameters": {"type": "object", '
            '"properties": {"a": {"$ref": "#/$defs/A"}}, '
            '"$defs": {"A": {"type": "integer"}}}}')
CALL = '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
SERVE_REQUESTS = {
    "chat": 'c{"model": "m", "messages": [{"role": "system", "content": "Be '
            'brief."}, {"role": "user", "content": [{"type": "text", "text": '
            '"Hi"}]}], "temperature": 0.5, "top_p": 1, "n": 2, "stop": ["\\n"], '
            '"seed": 7, "logprobs": true, "top_logprobs": 2, "max_tokens": 9, '
            '"logit_bias": {"5": -1}, "frequency_penalty": 0.5}'
            + ANSWER + "Hello caf\u00e9",
    "chat-ours": 'c{"messages": [{"role": "user", "content": "Hi"}], "position": '
                 '"rerope:window=64+logn-clip", "context": "16k", "memories": '
                 '["a"], "memory_law": "far", "return_progress": true, "zz": 1, '
                 '"grammar": "root ::= \\"a\\"", "top_k": -1, "min_p": 0}',
    "chat-tools": 'c{"messages": [{"role": "assistant", "tool_calls": [{"id": "1", '
                  '"type": "function", "function": {"name": "f", "arguments": '
                  '"{}"}}]}, {"role": "tool", "tool_call_id": "1", "content": '
                  '"x"}], "tools": [{"type": "function", "function": '
                  + FUNCTION + '}], "tool_choice": "auto"}'
                  + ANSWER + "So: " + CALL + "\n" + CALL,
    "chat-required": 'c{"messages": [{"role": "user", "content": "Hi"}], "tools": '
                     '[{"type": "function", "function": ' + FUNCTION + '}], '
                     '"tool_choice": {"type": "function", "function": {"name": '
                     '"f"}}, "response_format": {"type": "json_schema", '
                     '"json_schema": {"schema": {"$ref": "#"}}}}'
                     + ANSWER + '{"name": "f", "parameters": {}}; '
                     '{"type": "function", "function": "f", "parameters": {}}',
    "completion": 't{"prompt": ["One", [1, 2]], "echo": true, "n": 2, "best_of": '
                  '2, "suffix": "", "max_tokens": 5}' + ANSWER + " two",
    "completion-logprobs": 't{"prompt": [5, 6], "logprobs": 3}' + ANSWER + "x",
    "response": 'r{"input": "Hi", "instructions": "Be brief.", "text": {"format": '
                '{"type": "json_object"}}, "include": '
                '["message.output_text.logprobs"], "metadata": {"k": "v"}}'
                + ANSWER + '{"city": "Oslo"}',
    "response-items": 'r{"input": [{"role": "user", "content": [{"type": '
                      '"input_text", "text": "x"}]}, {"type": "function_call", '
                      '"call_id": "c", "name": "f", "arguments": "{}"}, {"type": '
                      '"function_call_output", "call_id": "c", "output": "y"}], '
                      '"tools": [{"type": "function", "name": "f"}]}'
                      + ANSWER + '[TOOL_CALLS] [{"name": "f", "arguments": {}}]'
                      + "\n```json\n" + '{"name": "f", "arguments": {}}\n```',
    "tokenize": 'k{"content": "Hi", "add_special": true}',
}


def written():
    """(target, name, bytes) of the seeds that need no model."""
    # Read to 1000; 2 layers; width 64, rotated whole; trained to 128.
    model = struct.pack("<iIIBiBB", 1000, 1, 64, 1, 128, 1, 0)
    windows = model[:-1] + struct.pack("<BBIB", 64, 1, 16, 0)  # one has a window
    for i, spelling in enumerate(SPELLINGS):
        yield "scheme", f"spelling-{i:02}", (
            spelling.encode() + b"\n" + (windows if i % 2 else model))
    layers = ", ".join(f'"{s}"' for s in SPELLINGS[:4])
    yield "stack_file", "layers", f"layers = [{layers}]\n".encode()
    yield "stack_file", "one", b'# one layer\nlayers = [\n  "rerope:window=8",\n]\n'
    yield "safetensors", "two", safetensors(
        {"a": ("F32", [2, 3], bytes(24)), "b": ("U8", [], b"x"),
         "c": ("BF16", [0, 4], b"")}, {"format": "pt", "step": "12"})
    yield "gguf", "every-type", every_type()
    for name, (turn, answer) in TEMPLATES.items():
        text = LOOP.replace("%s", turn, 1).replace("%s", answer, 1)
        yield "template", name, text.encode()
    for name, text in CONSTRUCTS.items():
        yield "template", name, text.encode()
    for name, text in SERVE_REQUESTS.items():
        yield "serve_request", name, text.encode()
    yield "gguf_split", "two", split(2)
    yield "gguf_split", "three", split(3)
    yield "tokenizer", "unigram", unigram(False)
    yield "tokenizer", "unigram-bytes", unigram(True)
    yield "text_file", "csv", b'\x02a,b\r\n1,"x ""y"" z"\n,\n'
    # Types by their place in AllDTypes; 292 bytes are the largest block.
    for kind in range(24):
        noise = bytes((i * 73 + kind * 31) % 251 for i in range(2 * 292))
        yield "rows", f"type-{kind:02}", bytes([kind, 1]) + noise
    text = "Once upon a time, caf\u00e9.\n" * 3
    yield "text_file", "plain", b"\x01" + text.encode()
    yield "text_file", "utf16", b"\x01" + text.encode("utf-16")
    packed = gzip.compress(text.encode(), mtime=0)
    yield "text_file", "gzip", b"\x01" + packed
    yield "text_file", "gzip-twice", b"\x01" + packed + packed + bytes(8)
    yield "text_file", "ids", b"\x001 2 3\n\n 40000\t7\r\n2147483647\n"
    yield "text_file", "ids-gzip", b"\x00" + gzip.compress(b"5 6\n7\n", mtime=0)


def folder(path):
    """config.json and the header of model.safetensors."""
    weights = (path / "model.safetensors").read_bytes()
    size = struct.unpack("<Q", weights[:8])[0]
    return ((path / "config.json").read_bytes() + b"\n--weights--\n" +
            weights[8:8 + size])


def main():
    data = pathlib.Path(sys.argv[1])
    corpus = pathlib.Path(__file__).parent / "corpus"
    for target, name, content in written():
        (corpus / target).mkdir(parents=True, exist_ok=True)
        (corpus / target / name).write_bytes(content)
    for target in ("folder", "gguf", "gguf_model", "tokenizer"):
        (corpus / target).mkdir(parents=True, exist_ok=True)
    for path in sorted(data.glob("golden/hf/*/config.json")):
        (corpus / "folder" / path.parent.name).write_bytes(folder(path.parent))
    for path in sorted(data.glob("golden/hf/*/model.gguf")):
        keys, tensors = read(path)
        name = path.parent.name
        if name in ("gemma3", "llama3"):
            (corpus / "gguf" / name).write_bytes(header(keys, tensors))
        (corpus / "gguf_model" / name).write_bytes(
            header(without_vocabulary(keys), tensors))
    for path in sorted(data.glob("tokenizers/*.gguf")):
        keys, _ = read(path)
        name = path.stem.removeprefix("ggml-vocab-")
        (corpus / "tokenizer" / name).write_bytes(header(cut_vocabulary(keys), []))


if __name__ == "__main__":
    main()
