#!/usr/bin/env python3
"""Writes a GGUF model with random weights, to time programs with.

How fast a model runs depends on its shape and on the element type of its
matrices, and hardly on what it learned. So a file of any size can be made here
instead of downloaded; what it writes is noise. The default is the shape of a
Llama of 1.1 billion weights. Matrices are f16 and normally distributed;
llama.cpp's llama-quantize then makes the other types out of that file.

  python3 bench/peers/synthetic.py out/synthetic-1.1b
  python3 bench/peers/synthetic.py out/synthetic-1.1b \\
    --types q8_0,q4_0,q4_K --llama llama.cpp/build/bin
  python3 bench/peers/synthetic.py out/tiny --vocabulary 512 --width 256 \\
    --layers 2 --heads 4 --key-heads 2 --feed-forward 512

OUT-f16.gguf is written, and OUT-TYPE.gguf for each further type. Files of a
type with blocks of 256 (q2_K to q6_K) need --width and --feed-forward divisible
by 256; llama-quantize takes another type where they are not.
"""

import argparse
import array
import pathlib
import random
import shutil
import struct
import subprocess
import sys

# Numbers of the GGUF format.
U32, I32, F32, STRING, ARRAY = 4, 5, 6, 8, 9
TENSOR_F32, TENSOR_F16 = 0, 1
ALIGNMENT = 32
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6  # types of pieces

POOL = 1 << 20   # random numbers that are drawn
PIECE = 1 << 14  # how many are written at once


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def key(name, kind, value):
    """One key of the metadata, as bytes."""
    packed = {U32: lambda v: struct.pack("<I", v),
              F32: lambda v: struct.pack("<f", v), STRING: string}
    return string(name) + struct.pack("<I", kind) + packed[kind](value)


def array_key(name, kind, values):
    if kind == STRING:
        data = b"".join(map(string, values))
    else:
        data = struct.pack(f"<{len(values)}{'f' if kind == F32 else 'i'}",
                           *values)
    return (string(name) + struct.pack("<IIQ", ARRAY, kind, len(values)) + data)


def vocabulary(size):
    """Pieces and their types: control pieces, the bytes, made-up words."""
    pieces = ["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]
    types = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["\u2581"] + list(letters) + ["\u2581" + c for c in letters]
    for n in range(size - len(pieces)):
        pieces.append(words[n] if n < len(words) else f"\u2581a{n}")
        types.append(NORMAL)
    return pieces, types


def metadata(args):
    pieces, types = vocabulary(args.vocabulary)
    head = args.width // args.heads
    llama = "llama."
    keys = [
        key("general.architecture", STRING, "llama"),
        key("general.name", STRING, pathlib.Path(args.out).name),
        key("general.file_type", U32, 1),
        key(llama + "vocab_size", U32, args.vocabulary),
        key(llama + "context_length", U32, args.context),
        key(llama + "embedding_length", U32, args.width),
        key(llama + "block_count", U32, args.layers),
        key(llama + "feed_forward_length", U32, args.feed_forward),
        key(llama + "rope.dimension_count", U32, head),
        key(llama + "attention.head_count", U32, args.heads),
        key(llama + "attention.head_count_kv", U32, args.key_heads),
        key(llama + "attention.layer_norm_rms_epsilon", F32, 1e-5),
        key(llama + "rope.freq_base", F32, 10000.0),
        key("tokenizer.ggml.model", STRING, "llama"),
        array_key("tokenizer.ggml.tokens", STRING, pieces),
        # Equal scores would leave the choice between merges to the program.
        array_key("tokenizer.ggml.scores", F32,
                  [-float(i) for i in range(len(pieces))]),
        array_key("tokenizer.ggml.token_type", I32, types),
        key("tokenizer.ggml.unknown_token_id", U32, 0),
        key("tokenizer.ggml.bos_token_id", U32, 1),
        key("tokenizer.ggml.eos_token_id", U32, 2),
    ]
    return len(keys), b"".join(keys)


def tensors(args):
    """Names and shapes, rows last as in GGUF: [columns] or [columns, rows]."""
    E, F, V = args.width, args.feed_forward, args.vocabulary
    keys = E // args.heads * args.key_heads
    yield "token_embd.weight", [E, V]
    for layer in range(args.layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", [E]
        yield block + "attn_q.weight", [E, E]
        yield block + "attn_k.weight", [E, keys]
        yield block + "attn_v.weight", [E, keys]
        yield block + "attn_output.weight", [E, E]
        yield block + "ffn_norm.weight", [E]
        yield block + "ffn_gate.weight", [E, F]
        yield block + "ffn_up.weight", [E, F]
        yield block + "ffn_down.weight", [F, E]
    yield "output_norm.weight", [E]
    yield "output.weight", [E, V]


def padding(size):
    return -size % ALIGNMENT


def write(args, path):
    """Streams the file; memory holds the pool of random numbers alone."""
    rng = random.Random(args.seed)
    # Drawing a billion normal numbers would take Python a quarter of an hour.
    # Pieces of one pool, each from a random place, do as well.
    pool = struct.pack(f"<{POOL}e", *(rng.gauss(0, args.scale)
                                      for _ in range(POOL)))
    infos, offset = [], 0
    for name, shape in tensors(args):
        matrix = len(shape) == 2
        count = shape[0] * (shape[1] if matrix else 1)
        size = count * (2 if matrix else 4)
        infos.append((name, shape, matrix, count, size, offset))
        offset += size + padding(size)
    keys, data = metadata(args)
    header = b"GGUF" + struct.pack("<IQQ", 3, len(infos), keys) + data
    for name, shape, matrix, _, _, at in infos:
        header += string(name) + struct.pack(
            f"<I{len(shape)}QIQ", len(shape), *shape,
            TENSOR_F16 if matrix else TENSOR_F32, at)
    with open(path, "wb") as file:
        file.write(header + bytes(padding(len(header))))
        for _, _, matrix, count, size, _ in infos:
            if matrix:
                for done in range(0, count, PIECE):
                    n = min(PIECE, count - done)
                    first = rng.randrange(POOL - n + 1)
                    file.write(pool[2 * first:2 * (first + n)])
            else:  # norms
                ones = array.array("f", [1.0]) * count
                if sys.byteorder == "big":
                    ones.byteswap()
                file.write(ones.tobytes())
            file.write(bytes(padding(size)))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", help="path of the files, less -TYPE.gguf")
    parser.add_argument("--types", default="", metavar="TYPE,...",
                        help="further files, as in q8_0,q4_0,q4_K")
    parser.add_argument("--llama", metavar="FOLDER",
                        help="where llama-quantize is; default the PATH")
    parser.add_argument("--drop-f16", action="store_true",
                        help="delete the f16 file when the others are made")
    for name, value, text in (
            ("vocabulary", 32000, "tokens, at least 320"),
            ("width", 2048, "numbers that stand for a token"),
            ("layers", 22, "layers"), ("heads", 32, "query heads"),
            ("key-heads", 4, "key and value heads"),
            ("feed-forward", 5632, "width of the feed-forward part"),
            ("context", 2048, "length that the file says it was trained to"),
            ("seed", 1, "of the random numbers")):
        parser.add_argument("--" + name, type=int, default=value, metavar="N",
                            help=f"{text}; default {value}")
    parser.add_argument("--scale", type=float, default=0.02, metavar="X",
                        help="standard deviation of weights; default 0.02")
    args = parser.parse_args()
    if args.vocabulary < 320:
        parser.error(f"--vocabulary must be at least 320, "
                     f"got {args.vocabulary}")
    if min(args.width, args.layers, args.heads, args.key_heads,
           args.feed_forward, args.context) < 1:
        parser.error("sizes must be at least 1")
    if args.width % args.heads or args.heads % args.key_heads:
        parser.error(f"--heads must divide --width and --key-heads must divide "
                     f"--heads, got width {args.width}, {args.heads} heads, "
                     f"{args.key_heads} key heads")
    types = [t for t in args.types.split(",") if t]
    quantize = shutil.which("llama-quantize", path=args.llama)
    if types and quantize is None:
        parser.error(f"no llama-quantize in {args.llama or 'the PATH'}; build "
                     f"llama.cpp by its own instructions, and name its bin "
                     f"folder with --llama")

    path = pathlib.Path(args.out + "-f16.gguf")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".tmp")
    try:
        write(args, part)
        part.rename(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        sys.exit(f"synthetic: {error}")
    print(f"{path}: {path.stat().st_size} bytes")
    for kind in types:
        made = pathlib.Path(f"{args.out}-{kind}.gguf")
        done = subprocess.run(
            [quantize, "--pure", path, made, kind.upper()],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            sys.exit(f"synthetic: llama-quantize failed for {kind}: "
                     f"{done.stdout.strip().splitlines()[-1:]}")
        print(f"{made}: {made.stat().st_size} bytes")
    if args.drop_f16:
        path.unlink()


if __name__ == "__main__":
    main()
