"""What `ropewalk.hf.apply` costs beside a model's own attention, on the CPU.

    python bench/python/hf_attention.py --length 4096 --length 8192

Reads texts (or trains on them, or decodes behind them) in a model of SmolLM2's
shapes with random weights, under sdpa, eager and the schemes asked for, in turns
in one process, and prints the least time of each, that as a ratio to sdpa, and the
ratio of the processor time of all threads, which other work on the machine disturbs
less. Peak memory is that of a process of its own, above what it had before reading.
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


def decode(model, ids) -> float:
    """The time of 20 tokens, one by one, behind the text."""
    with torch.no_grad():
        out = model(ids, use_cache=True, logits_to_keep=1)
        name = "cache" if getattr(out, "cache", None) is not None else "past_key_values"
        kept = {name: getattr(out, name)}
        for step in range(21):
            if step == 1:  # the first makes room
                begin = time.perf_counter()
            model(ids[:, :1], use_cache=True, logits_to_keep=1, **kept)
    return time.perf_counter() - begin


RUNS = {"read": read, "train": train, "decode": decode}


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
    RUNS[args.what](model, ids[:, :64])
    forget_peak()
    before = status_mib("VmRSS")
    RUNS[args.what](model, ids)
    print(json.dumps(status_mib("VmHWM") - before))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, action="append")
    parser.add_argument("--position", action="append")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--what",
        choices=RUNS,
        default="read",
        help="the text at once; forward and backward; 20 tokens behind",
    )
    parser.add_argument("--no-eager", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    hows = list(OWN[: 1 if args.no_eager else 2])
    hows += args.position or ["rope", "rerope:window=1024+logn-clip"]
    run = RUNS[args.what]
    model = make_model(args.layers)
    print(
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, "
        f"{args.what}, ratios to sdpa"
    )
    for length in args.length or [4096, 8192]:
        ids = torch.randint(0, 1024, (1, length))
        times = {how: [] for how in hows}
        processor = {how: [] for how in hows}
        for _ in range(args.repeat):
            for how in hows:
                put(model, how, length)
                run(model, ids[:, :64])
                begin = time.process_time()
                times[how].append(run(model, ids))
                processor[how].append(time.process_time() - begin)
        least = {how: min(values) for how, values in times.items()}
        work = {how: min(values) for how, values in processor.items()}
        for how in hows:
            command = [
                sys.executable,
                __file__,
                "--child",
                how,
                "--length",
                str(length),
                "--layers",
                str(args.layers),
                "--what",
                args.what,
            ]
            memory = json.loads(
                subprocess.run(
                    command, check=True, capture_output=True, text=True
                ).stdout
            )
            print(
                f"{length:6d}  {how:32s} {least[how]:7.2f} s  "
                f"{least[how] / least['sdpa']:5.2f} x  "
                f"{work[how] / work['sdpa']:5.2f} x  {memory:7.0f} MiB",
                flush=True,
            )


if __name__ == "__main__":
    main()
