#!/usr/bin/env python3
"""Sets `ropewalk serve` beside llama.cpp's server under the same load, in turns.

    python3 bench/serve/compare.py model.gguf --llama ~/llama.cpp/build/bin \\
        [--rounds 3] [--seconds 20] [--json out.json]

Loads of load.py: one stream, 8 streams, and 8 streams whose prompts begin with
the same 7,500 words, which takes each server what it takes to read them. Both
servers get the same model, threads and number of streams; each round starts
each server anew. Prints a table of medians.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
PROGRAM = HERE.parents[1] / "build" / "bin" / "ropewalk"
LOADS = {"1 stream": ["--streams", "1", "--warm"],
         "8 streams": ["--streams", "8", "--warm"],
         "8 streams, 8k shared": ["--streams", "8", "--depth", "7500",
                                  "--context", "8192"]}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def commands(options, port):
    threads = str(options.threads)
    ours = [str(PROGRAM), "serve", "-m", options.model, "--port", str(port),
            "--threads", threads]
    theirs = [str(pathlib.Path(options.llama) / "llama-server"), "-m",
              options.model, "--port", str(port), "-t", threads, "-tb", threads,
              "-np", "8", "-c", str(8 * 8192), "--no-webui"]
    return {"ropewalk": ours, "llama.cpp": theirs}


def serve(command, port):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as r:
                if r.status == 200:
                    return process
        except OSError:
            pass
        if process.poll() is not None:
            sys.exit(f"{command[0]} ended with {process.returncode}")
        time.sleep(0.1)
    sys.exit(f"{command[0]} does not answer")


def run(name, load, options):
    port = free_port()
    process = serve(commands(options, port)[name], port)
    seconds = options.seconds * (6 if "--depth" in load else 1)
    try:
        done = subprocess.run(
            [sys.executable, str(HERE / "load.py"), "--url",
             f"http://127.0.0.1:{port}", "--seconds", str(seconds), "--tokens",
             "64", *load], capture_output=True, text=True, check=False)
        result = json.loads(done.stdout)
    finally:
        process.terminate()
        process.wait(60)
    if result["failed"]:
        print(f"{name}: {result['failed']} requests failed: "
              f"{result['errors'][:1]}", file=sys.stderr)
    return result


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--llama", required=True, help="folder of llama-server")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--only", nargs="*", choices=list(LOADS),
                        default=list(LOADS))
    parser.add_argument("--json", help="all results as JSON")
    options = parser.parse_args()
    rows = []
    for name in options.only:
        for round_number in range(options.rounds):
            order = ["ropewalk", "llama.cpp"]
            for server in order[::1 if round_number % 2 == 0 else -1]:
                result = run(server, LOADS[name], options)
                rows.append({"load": name, "server": server, **result})
                first = (result["first_token_seconds"] or {}).get("median")
                print(f"{name}, {server}: {result['tokens_per_second']} "
                      f"tokens/s, first token {first} s", file=sys.stderr)
    print("| load | server | tokens/s | first token, s |\n|---|---|---:|---:|")
    for name in options.only:
        for server in ("ropewalk", "llama.cpp"):
            own = [r for r in rows if (r["load"], r["server"]) == (name, server)]
            rate = statistics.median(r["tokens_per_second"] for r in own)
            first = [r["first_token_seconds"]["median"] for r in own
                     if r["first_token_seconds"]]
            told = f"{statistics.median(first):.2f}" if first else "none came"
            print(f"| {name} | {server} | {rate:.1f} | {told} |")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
