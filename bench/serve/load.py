#!/usr/bin/env python3
"""Load on an OpenAI-compatible server: many streams at once, for a while.

    build/bin/ropewalk serve -m model.gguf --port 8080 &
    python3 bench/serve/load.py --url http://127.0.0.1:8080 \\
        --streams 1000 --seconds 600 --tokens 64 --cancel 0.1 --slow 0.05 \\
        --check --pid $!

Each stream asks for a completion, reads it as it comes, and asks again until
the time is over. Some go away in the middle (--cancel), some read slowly
(--slow). With --check each text is held to what the same request gave alone,
before the load began. Prints one JSON object. Standard library alone.
"""

import argparse
import asyncio
import json
import random
import sys
import time
import urllib.parse

WORDS = ("the wind rose and nobody in the house could sleep while rain fell on "
         "a dark road that led from the old mill to the sea").split()


def resident(pid):
    """Resident and swapped kilobytes of a process, or None."""
    try:
        fields = {}
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            for line in status:
                name, _, value = line.partition(":")
                fields[name] = value
        return int(fields["VmRSS"].split()[0])
    except (OSError, KeyError):
        return None


def text_of(seed, words):
    chooser = random.Random(seed)
    return " ".join(chooser.choice(WORDS) for _ in range(words))


class Client:
    def __init__(self, options):
        url = urllib.parse.urlparse(options.url)
        self.host, self.port = url.hostname, url.port or 80
        self.options = options

    async def stream(self, body, on_piece):
        """Sends a request; calls on_piece for each text, which returns whether
        to go on. Returns the number of pieces with text."""
        data = json.dumps(body).encode()
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(
                (f"POST /v1/completions HTTP/1.1\r\nHost: {self.host}:{self.port}"
                 f"\r\nContent-Type: application/json\r\nConnection: close\r\n"
                 f"Content-Length: {len(data)}\r\n\r\n").encode() + data)
            await writer.drain()
            status = (await reader.readline()).decode().split(" ")
            while (await reader.readline()).strip():
                pass
            if len(status) < 2 or status[1] != "200":
                raise RuntimeError(
                    f"status {status[1:2]}: {(await reader.read(500))!r}")
            pieces = 0
            done = False
            async for line in reader:
                if not line.startswith(b"data: "):
                    continue
                if line.startswith(b"data: [DONE]"):
                    done = True
                    break
                event = json.loads(line[6:])
                if "error" in event:
                    raise RuntimeError(str(event["error"]))
                for choice in event.get("choices", ()):
                    if choice.get("text"):
                        pieces += 1
                        if not await on_piece(choice["text"]):
                            return pieces
            if not done:
                raise RuntimeError("the stream ended early")
            return pieces
        finally:
            writer.close()


class Load:
    def __init__(self, options):
        self.options = options
        self.client = Client(options)
        shared = text_of(0, options.depth)
        self.bodies = []
        for i in range(options.prompts):
            prompt = (shared + " " if shared else "") + text_of(i + 1, 6 + i % 9)
            body = {"prompt": prompt, "max_tokens": options.tokens, "seed": i,
                    "temperature": 0.8, "stream": True, "model": options.model,
                    "ignore_eos": True}
            if options.context:
                body["context"] = options.context
            self.bodies.append(body)
        self.expected = [None] * options.prompts
        self.first = []
        self.counts = dict(finished=0, cancelled=0, failed=0, wrong=0, tokens=0)
        self.errors = []
        self.wrong = []

    async def once(self, index, chooser, until):
        options = self.options
        begin = time.perf_counter()
        text = []
        cancels = chooser.random() < options.cancel
        slow = chooser.random() < options.slow
        cut = chooser.randrange(1, max(2, options.tokens))

        async def on_piece(piece):
            if not text:
                self.first.append(time.perf_counter() - begin)
            text.append(piece)
            if time.perf_counter() < until:
                self.counts["tokens"] += 1
            if slow:
                await asyncio.sleep(0.05)
            return not (cancels and len(text) >= cut)

        try:
            await self.client.stream(self.bodies[index], on_piece)
        except (OSError, RuntimeError, ValueError,
                asyncio.IncompleteReadError) as error:
            self.counts["failed"] += 1
            self.errors.append(repr(error)[:200])
            await asyncio.sleep(0.2)
            return
        if cancels and len(text) >= cut:
            self.counts["cancelled"] += 1
            return
        self.counts["finished"] += 1
        if self.expected[index] not in (None, "".join(text)):
            self.counts["wrong"] += 1
            self.wrong.append((index, self.expected[index], "".join(text)))

    async def worker(self, number, until):
        chooser = random.Random(number)
        while time.perf_counter() < until:
            await self.once(chooser.randrange(len(self.bodies)), chooser, until)

    async def watch(self, until, sizes):
        while time.perf_counter() < until:
            size = resident(self.options.pid)
            if size is not None:
                sizes.append(size)
            await asyncio.sleep(self.options.seconds / 50)

    async def run(self):
        options = self.options
        if options.check:
            for i, body in enumerate(self.bodies):
                text = []

                async def keep(piece, text=text):
                    text.append(piece)
                    return True

                await self.client.stream(body, keep)
                self.expected[i] = "".join(text)
        elif options.warm:
            await self.once(0, random.Random(0), 0)
            self.first.clear()
            self.counts = dict.fromkeys(self.counts, 0)
        sizes = []
        begin = time.perf_counter()
        until = begin + options.seconds
        await asyncio.gather(self.watch(until, sizes),
                             *(self.worker(n, until)
                               for n in range(options.streams)))
        seconds = options.seconds
        first = sorted(self.first)
        quarter = max(1, len(sizes) // 4)
        result = {
            "streams": options.streams, "depth_words": options.depth,
            "seconds": seconds, **self.counts,
            "tokens_per_second": round(self.counts["tokens"] / seconds, 1),
            "first_token_seconds": {
                "median": round(first[len(first) // 2], 4),
                "p95": round(first[int(len(first) * 0.95)], 4),
                "most": round(first[-1], 4)} if first else None,
            "resident_kib": {
                "second_quarter": sum(sizes[quarter:2 * quarter]) // quarter,
                "last_quarter": sum(sizes[-quarter:]) // quarter,
                "most": max(sizes)} if sizes else None,
            "errors": self.errors[:5], "wrong_texts": self.wrong[:3]}
        print(json.dumps(result))
        return 0 if not self.counts["failed"] and not self.counts["wrong"] else 1


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--model", default="model")
    parser.add_argument("--streams", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--prompts", type=int, default=32,
                        help="different requests")
    parser.add_argument("--depth", type=int, default=0,
                        help="words that all prompts begin with")
    parser.add_argument("--context", help="asked for in each request")
    parser.add_argument("--cancel", type=float, default=0,
                        help="share of requests that are left")
    parser.add_argument("--slow", type=float, default=0,
                        help="share that is read slowly")
    parser.add_argument("--check", action="store_true",
                        help="hold each text to that of the request alone")
    parser.add_argument("--warm", action="store_true",
                        help="send one request before the time begins")
    parser.add_argument("--pid", type=int, help="the server, for its memory")
    options = parser.parse_args()
    return asyncio.run(Load(options).run())


if __name__ == "__main__":
    sys.exit(main())
