#!/usr/bin/env python3
"""A soak of `ropewalk serve`: requests of all kinds at once, for long.

    build-asan/bin/ropewalk serve -m model.gguf --state state --port 8080 &
    python3 bench/serve/soak.py --url http://127.0.0.1:8080 --streams 64 \\
        --seconds 1800 --pid $!

Each stream draws a kind of request again and again: completions that stream or
not, prompts that begin alike, other schemes, several answers, grammars,
conversations, tools, documents that are uploaded, asked about and deleted, and
requests that no client should send. Some clients go away in the middle, some
read slowly. Answers with a seed are held to what the same request gave alone,
before the soak; what is wrong must be refused with the status that is due.
Prints one JSON object; exit code 1 if an answer was not as due. Standard library
alone.
"""

import argparse
import asyncio
import collections
import json
import random
import sys
import time
import urllib.parse

from load import resident, text_of

TOOL = {"type": "function", "function": {
    "name": "get_weather", "parameters": {
        "type": "object", "required": ["city"], "additionalProperties": False,
        "properties": {"city": {"type": "string", "maxLength": 8}}}}}
SCHEMA = {"type": "object", "additionalProperties": False, "required": ["n"],
          "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 99}}}


class Unexpected(Exception):
    """An answer that is not as due."""


class Left(Exception):
    """The client went away, as it was to."""


class Reader:
    """How a client reads: whole, slowly, or not to the end."""

    def __init__(self, chooser, options):
        self.slow = chooser.random() < options.slow
        self.leaves = (chooser.randrange(1, 40)
                       if chooser.random() < options.cancel else None)
        self.lines = 0

    async def line(self):
        self.lines += 1
        if self.slow:
            await asyncio.sleep(0.05)
        if self.leaves is not None and self.lines > self.leaves:
            raise Left


class Client:
    def __init__(self, url):
        url = urllib.parse.urlparse(url)
        self.host, self.port = url.hostname, url.port or 80

    async def send(self, method, path, data=b"", kind="application/json",
                   reader=None, raw=None):
        """Status and body. `raw` is sent in place of a request."""
        source, writer = await asyncio.open_connection(self.host, self.port,
                                                       limit=1 << 24)
        try:
            writer.write(raw if raw is not None else (
                f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
                f"Content-Type: {kind}\r\nConnection: close\r\n"
                f"Content-Length: {len(data)}\r\n\r\n").encode() + data)
            try:
                await writer.drain()
            except ConnectionError:
                pass  # refused before all was sent; the answer tells
            status = (await source.readline()).split(b" ")
            if len(status) < 2:
                raise Unexpected(f"{method} {path}: no status line")
            chunked, length = False, None
            while (line := (await source.readline()).strip().lower()):
                chunked |= line == b"transfer-encoding: chunked"
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            body = bytearray()
            if not chunked:
                body += await source.readexactly(length or 0)
            while chunked:
                size = int(await source.readline(), 16)
                body += (await source.readexactly(size + 2))[:-2]
                if size == 0:
                    break
                if reader is not None:
                    await reader.line()
            return int(status[1]), bytes(body)
        finally:
            writer.close()

    async def post(self, path, body, reader=None, due=200):
        """The JSON of the answer; of a stream a list of its events."""
        status, data = await self.send("POST", path, json.dumps(body).encode(),
                                       reader=reader)
        if status != due:
            raise Unexpected(f"{path}: {status}, not {due}: {data[:300]!r}")
        if not body.get("stream"):
            return json.loads(data)
        events = [line[6:] for line in data.split(b"\n")
                  if line.startswith(b"data: ")]
        if path != "/v1/responses" and events[-1:] != [b"[DONE]"]:
            raise Unexpected(f"{path}: the stream ended early")
        events = [json.loads(e) for e in events if e != b"[DONE]"]
        for event in events:
            if "error" in event:
                raise Unexpected(f"{path}: {event}")
        return events


def text_of_answer(answer):
    """What was written, of a whole answer or of a stream's events."""
    texts = collections.defaultdict(str)
    for part in answer if isinstance(answer, list) else [answer]:
        for choice in part.get("choices", ()):
            said = choice.get("message") or choice.get("delta") or choice
            texts[choice["index"]] += said.get("text") or said.get(
                "content") or ""
            for call in said.get("tool_calls") or ():
                texts[choice["index"]] += call["function"].get("arguments", "")
    return dict(texts)


def fixed_requests(chats, shared):
    """Requests whose text depends on nothing but themselves."""
    found = []
    for i in range(8):
        ask = {"model": "any", "seed": i, "temperature": 0.8, "max_tokens": 40,
               "stream": i % 2 == 0}
        complete = "/v1/completions"
        prompt = text_of(i + 1, 6 + i)
        found += [
            (complete, {**ask, "prompt": prompt, "ignore_eos": True}),
            (complete, {**ask, "prompt": f"{shared} {prompt}"}),
            (complete, {**ask, "prompt": prompt, "context": "1k",
                        "position": ("rerope:window=64", "dynamic-ntk", "yarn",
                                     "self-extend:window=64,group=4",
                                     "dca", "sink-window")[i % 6]}),
            (complete, {**ask, "prompt": [prompt, prompt[:20]], "n": 2,
                        "logprobs": 3}),
            (complete, {**ask, "prompt": prompt, "json_schema": SCHEMA}),
            (complete, {**ask, "prompt": prompt, "presence_penalty": 1,
                        "repetition_penalty": 1.1, "dry_multiplier": 0.5,
                        "logit_bias": {"300": 5}, "stop": [" sea", "mill"]})]
        if chats:
            messages = [{"role": "user", "content": prompt}]
            chat = "/v1/chat/completions"
            found += [
                (chat, {**ask, "messages": messages, "logprobs": True,
                        "top_logprobs": 2}),
                (chat, {**ask, "messages": messages, "tools": [TOOL],
                        "tool_choice": "required"})]
    return found


def odd_requests(options):
    """Raw requests and the statuses that may answer them."""
    def post(body, path="/v1/completions", more=""):
        return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close"
                f"\r\n{more}Content-Length: {len(body)}\r\n\r\n").encode() + body

    def ask(**fields):
        return post(json.dumps({"prompt": "It was", **fields}).encode())

    return [
        (post(b"{"), 400), (post(b"[" * 100_000), 400),
        (post(b'{"prompt": "\xff\xfe"}'), 400), (post(b'{"prompt": 1e999}'), 400),
        (post(b'{"prompt": "a", "temperature": NaN}'), 400),
        (ask(max_tokens=-2), 400), (ask(n=10**9), 400), (ask(n=17), 400),
        (ask(temperature=1e308), 400), (ask(position="@/etc/passwd"), 400),
        (ask(position="rerope:window=0"), 400), (ask(grammar="root ::= ("), 400),
        (ask(memories=["nothing"]), 400), (ask(context="9" * 30), 400),
        (ask(prompt="sea " * 200_000), 400), (ask(prompt=[-1, 2]), 400),
        (post(b"{}", "/v1/nothing"), 404),
        (post(b"{}", more="A: b\r\n" * 10_000), 431),
        (post(b"", more="Content-Encoding: gzip\r\n"), 415),
        (b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"a" * 5000), 414),
        (b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
         b"Content-Length: 99999999999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
    ] + ([] if options.chats else
         [(post(b'{"messages": [{"role": "user", "content": "a"}]}',
                "/v1/chat/completions"), 400)])


class Soak:
    def __init__(self, options):
        self.options = options
        self.client = Client(options.url)
        self.counts = collections.Counter()
        self.errors = []
        self.kinds = [(self.fixed, 12), (self.look, 2), (self.odd, 2),
                      (self.document, 1)]
        if options.chats:
            self.kinds += [(self.conversation, 2), (self.response, 2)]
        self.fixed_bodies = fixed_requests(options.chats, text_of(0, 120))
        self.odd_bodies = odd_requests(options)
        self.expected = []

    async def fixed(self, chooser):
        at = chooser.randrange(len(self.fixed_bodies))
        answer = await self.client.post(*self.fixed_bodies[at],
                                        Reader(chooser, self.options))
        if text_of_answer(answer) != self.expected[at]:
            raise Unexpected(f"{self.fixed_bodies[at]}: "
                             f"{text_of_answer(answer)}, not {self.expected[at]}")

    async def look(self, chooser):
        path = chooser.choice(["/", "/health", "/metrics", "/slots",
                               "/v1/models", "/v1/files", "/v1/positions",
                               "/v1/positions/resolve?position=rerope"])
        status, _ = await self.client.send("GET", path)
        if status != 200:
            raise Unexpected(f"{path}: {status}")

    async def odd(self, chooser):
        raw, due = chooser.choice(self.odd_bodies)
        status, body = await self.client.send("", "", raw=raw)
        if status != due or b"error" not in body:
            raise Unexpected(f"{raw[:200]!r}: {status}, not {due}: {body[:200]!r}")

    async def document(self, chooser):
        text = text_of(chooser.randrange(1 << 30), 200)
        status, data = await self.client.send(
            "POST", "/v1/files", (
                '--soak\r\nContent-Disposition: form-data; name="file"; '
                f'filename="d.txt"\r\n\r\n{text}\r\n--soak--\r\n').encode(),
            "multipart/form-data; boundary=soak")
        if status != 200:
            raise Unexpected(f"/v1/files: {status} {data[:200]!r}")
        path = "/v1/files/" + json.loads(data)["id"]
        until = time.perf_counter() + chooser.choice([0, 60])  # or delete at once
        while time.perf_counter() < until:
            _, data = await self.client.send("GET", path)
            info = json.loads(data)
            if info["status"] == "processed":
                await self.client.post("/v1/completions", {
                    "prompt": "It was", "max_tokens": 20, "context": "1k",
                    "position": "rerope:window=64", "memories": [info["id"]]})
                break
            await asyncio.sleep(0.5)
        status, _ = await self.client.send("DELETE", path)
        if status != 200:
            raise Unexpected(f"DELETE {path}: {status}")

    async def conversation(self, chooser):
        messages = []
        for turn in range(3):
            messages.append({"role": "user", "content":
                             text_of(chooser.randrange(50), 10 + 10 * turn)})
            answer = await self.client.post("/v1/chat/completions", {
                "messages": messages, "max_tokens": 30, "stream": True},
                Reader(chooser, self.options))
            messages.append({"role": "assistant",
                             "content": text_of_answer(answer).get(0, "")})

    async def response(self, chooser):
        await self.client.post("/v1/responses", {
            "input": text_of(chooser.randrange(50), 9), "max_output_tokens": 20,
            "stream": chooser.random() < 0.5}, Reader(chooser, self.options))

    async def worker(self, number, until):
        chooser = random.Random(number)
        kinds, weights = zip(*self.kinds)
        while time.perf_counter() < until:
            (kind,) = chooser.choices(kinds, weights)
            try:
                await kind(chooser)
                self.counts[kind.__name__] += 1
            except Left:
                self.counts["left"] += 1
            except (OSError, ValueError, Unexpected,
                    asyncio.IncompleteReadError) as error:
                self.counts["not_as_due"] += 1
                self.errors.append(f"{kind.__name__}: {error!r}"[:1000])
                print(self.errors[-1], file=sys.stderr, flush=True)
                await asyncio.sleep(0.2)

    async def watch(self, until, sizes):
        while time.perf_counter() < until:
            sizes.append(resident(self.options.pid))
            await asyncio.sleep(min(30, self.options.seconds / 40))

    async def run(self):
        options = self.options
        for path, body in self.fixed_bodies:
            self.expected.append(
                text_of_answer(await self.client.post(path, body)))
        sizes = []
        until = time.perf_counter() + options.seconds
        await asyncio.gather(self.watch(until, sizes),
                             *(self.worker(n, until)
                               for n in range(options.streams)))
        print(json.dumps({"streams": options.streams,
                          "seconds": options.seconds, **self.counts,
                          "resident_kib": [s for s in sizes if s][::5],
                          "errors": self.errors[:5]}))
        return 1 if self.counts["not_as_due"] else 0


async def soak(options):
    _, models = await Client(options.url).send("GET", "/v1/models")
    options.chats = json.loads(models)["data"][0]["ropewalk"]["chat"]
    return await Soak(options).run()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--cancel", type=float, default=0.1,
                        help="share of answers that are left")
    parser.add_argument("--slow", type=float, default=0.05,
                        help="share that is read slowly")
    parser.add_argument("--pid", type=int, help="the server, for its memory")
    return asyncio.run(soak(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
