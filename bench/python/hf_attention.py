"""What `ropewalk.hf.apply` costs beside a model's own attention, on the CPU.

    python bench/python/hf_attention.py --length 4096 --length 8192

Reads a text of each length at once, in a model of SmolLM2's shapes with random
weights, under sdpa, eager and the schemes asked for, in turns in one process,
and prints the least time of each as a ratio to sdpa. Peak memory is that of a
process of its own, above what it had before reading.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time
import warnings

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import ropewalk.hf

OWN = ("sdpa", "eager")


def make_model(layers: int) -> LlamaForCausalLM:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=layers,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=2048,
        rope_theta=100000.0,
    )
    return LlamaForCausalLM(config).eval()


def put(model, how: str, length: int) -> None:
    ropewalk.hf.remove(model)
    if how in OWN:
        model.set_attn_implementation(how)
    else:
        model.set_attn_implementation("sdpa")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # random weights have no trained length
            ropewalk.hf.apply(model, how, context=length)


def read(model, ids) -> float:
    begin = time.perf_counter()
    with torch.no_grad():
        model(ids, use_cache=False, logits_to_keep=1)
    return time.perf_counter() - begin


def train(model, ids) -> float:
    begin = time.perf_counter()
    model(ids, labels=ids, use_cache=False).loss.backward()
    model.zero_grad(set_to_none=True)
    return time.perf_counter() - begin


def status_mib(name: str) -> float:
    text = pathlib.Path("/proc/self/status").read_text()
    return int(text.split(name + ":")[1].split()[0]) / 1024


def forget_peak() -> None:
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def child(args) -> None:
    """Reads once and prints by how much the peak rose."""
    model = make_model(args.layers)
    ids = torch.randint(0, 1024, (1, args.length[0]))
    put(model, args.child, args.length[0])
    (train if args.train else read)(model, ids[:, :64])
    forget_peak()
    before = status_mib("VmRSS")
    (train if args.train else read)(model, ids)
    print(json.dumps(status_mib("VmHWM") - before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, action="append")
    parser.add_argument("--position", action="append")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--train", action="store_true", help="forward and backward")
    parser.add_argument("--no-eager", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    hows = list(OWN[: 1 if args.no_eager else 2])
    hows += args.position or ["rope", "rerope:window=1024+logn-clip"]
    run = train if args.train else read
    model = make_model(args.layers)
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
          f"{'training' if args.train else 'reading'}, ratios to sdpa")
    for length in args.length or [4096, 8192]:
        ids = torch.randint(0, 1024, (1, length))
        times = {how: [] for how in hows}
        for _ in range(args.repeat):
            for how in hows:
                put(model, how, length)
                run(model, ids[:, :64])
                times[how].append(run(model, ids))
        least = {how: min(values) for how, values in times.items()}
        for how in hows:
            command = [sys.executable, __file__, "--child", how, "--length", str(length),
                       "--layers", str(args.layers)] + ["--train"] * args.train
            memory = json.loads(subprocess.run(
                command, check=True, capture_output=True, text=True).stdout)
            print(f"{length:6d}  {how:32s} {least[how]:7.2f} s  "
                  f"{least[how] / least['sdpa']:5.2f} x  {memory:7.0f} MiB", flush=True)


if __name__ == "__main__":
    main()
