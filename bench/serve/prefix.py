#!/usr/bin/env python3
"""The time to the first token of prompts that begin alike, one after another.

    python3 bench/serve/prefix.py http://127.0.0.1:8080 [WORDS]

The first prompt is read whole; of the others the server may know the beginning.
"""

import json
import random
import sys
import time
import urllib.request

from load import text_of


def ask(url, prompt):
    """Seconds to the first text, and the `ropewalk` of the last chunk."""
    body = {"prompt": prompt, "max_tokens": 8, "stream": True, "seed": 1,
            "temperature": 0}
    begin = time.perf_counter()
    request = urllib.request.Request(
        url + "/v1/completions", json.dumps(body).encode(),
        {"Content-Type": "application/json"})
    first, told = None, {}
    with urllib.request.urlopen(request) as reply:
        for line in reply:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            if first is None and any(c.get("text") for c in chunk["choices"]):
                first = time.perf_counter() - begin
            told = chunk.get("ropewalk", told)
    return first, told


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    words = int(sys.argv[2]) if sys.argv[2:] else 7500
    shared = text_of(random.randrange(1 << 30), words)
    for tail in (" A", " Then she", " Who was it that came"):
        first, told = ask(sys.argv[1], shared + tail)
        print(f"{first:.3f} s, {told.get('prompt_tokens')} tokens, "
              f"{told.get('reused_tokens')} of them known")


if __name__ == "__main__":
    main()
