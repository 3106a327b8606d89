"""Writes unpacked_blocks.bin and packed_blocks.bin beside itself.

Random blocks of every element type and what `gguf` (PyPI) unpacks them to, and
rows of floats with the bytes that it packs them to. Needs gguf and numpy.

unpacked_blocks.bin, for each type: its name in 8 bytes, padded with zeros; the
numbers of bytes and of floats as uint32; the bytes; the floats.
packed_blocks.bin: the number of floats as uint32, the floats; then for each
type its name in 8 bytes, the number of bytes as uint32, the bytes.
"""
import pathlib
import struct

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize

HERE = pathlib.Path(__file__).parent
# Where the f16 scales of a block lie.
SCALES = {
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2],
    "Q6_K": [208], "Q8_K": [], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
    "TQ1_0": [52], "TQ2_0": [64],
}
# Ordinary, zero, negative zero, the least and the largest subnormal, the
# largest, its negative, infinity, not a number.
EDGES = [0x2c5a, 0x0000, 0x8000, 0x0001, 0x83ff, 0x7bff, 0xfbff, 0x7c00, 0x7e00]


def unpack(kind, blocks):
    if kind == Type.Q8_K:  # gguf leaves it out: a float scale, 256 int8, sums
        scale = blocks[:, :4].copy().view(np.float32)
        return scale * blocks[:, 4:260].copy().view(np.int8).astype(np.float32)
    return dequantize(blocks, kind)


def blocks_of(kind, rng):
    size, width = GGML_QUANT_SIZES[kind]
    # All edges for small blocks; a negative and a subnormal scale for large.
    edges = EDGES if size == 32 else [0xabcd, 0x0203]
    blocks = rng.integers(0, 256, (len(edges), width), dtype=np.uint8)
    for i, edge in enumerate(edges):
        for k, at in enumerate(SCALES[kind.name]):
            half = edge if k == 0 else edges[(i * 2 + 1) % len(edges)]
            blocks[i, at:at + 2] = np.frombuffer(struct.pack("<H", half), np.uint8)
    if kind == Type.Q8_K:
        scales = np.array([-3e30, 1e-42], np.float32)
        blocks[:, :4] = scales.reshape(-1, 1).view(np.uint8)
    if kind == Type.MXFP4:
        blocks[:9, 0] = [0, 1, 2, 100, 127, 128, 200, 254, 255]
    return blocks


def main():
    np.seterr(all="ignore")
    rng = np.random.default_rng(1)
    with open(HERE / "unpacked_blocks.bin", "wb") as out:
        for name in SCALES:
            blocks = blocks_of(Type[name], rng)
            floats = unpack(Type[name], blocks).astype(np.float32)
            out.write(struct.pack("<8sII", name.encode(), blocks.size, floats.size))
            out.write(blocks.tobytes() + floats.tobytes())
    rows = rng.standard_normal((8, 32)).astype(np.float32)
    rows[1] = 0
    rows[2] = 0.25
    rows[3] *= np.float32(1e-6)  # the scale is subnormal
    rows[4] = np.abs(rows[4]) * np.float32(3000)
    rows[5] = np.arange(32, dtype=np.float32) - 16  # ties
    rows[6] = -np.abs(rows[6])
    with open(HERE / "packed_blocks.bin", "wb") as out:
        out.write(struct.pack("<I", rows.size) + rows.tobytes())
        for name in ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]:
            packed = quantize(rows.reshape(1, -1), Type[name])
            out.write(struct.pack("<8sI", name.encode(), packed.size) + packed.tobytes())


main()
