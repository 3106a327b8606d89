#!/usr/bin/env python3
"""Asks llama.cpp's server the questions of `ropewalk reproduce memories`.

  ropewalk reproduce memories -m model.gguf -t novels/*.gz --needles 50x400 \\
    --questions questions.json
  python3 bench/peers/needles.py model.gguf questions.json \\
    --llama llama.cpp/build/bin --csv studies/memories/MODEL/peers.csv

The documents stand before each question as one text. Prompts go to the server
as token ids, so both programs read the same; it answers without chance. A
number is found where all its tokens are right. One slot keeps what it has read
(cache_prompt), as it does for any client:

  pasted, all             all documents, in one order; the server reads them
                          once and then the questions alone
  pasted, all, YaRN       the same with --rope-scaling yarn, stretched to the
                          length, where that is above what the model was
                          trained to
  pasted, the best 5 by words
                          the five that ropewalk chooses, the best last
  pasted, the best 5 by words, chunks reused
                          the same five in the order of the whole text, whose
                          cache is restored before each question (--slot-save-
                          path) and whose chunks are moved to their new places
                          (n_cache_reuse). `first_seconds` has the restoring.

Seconds are of the processor, so that other work beside it does not count; take
--threads 1, as for ropewalk.

Rows that the CSV has already are not measured again.

Exit codes: 0 done, 1 a program failed, 2 the call was wrong.
"""

import argparse
import contextlib
import csv
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

COLUMNS = ("program", "setting", "condition", "found", "read", "first_seconds")
REUSED_TOKENS = 32  # of the shortest chunk that is moved


class Failure(Exception):
    """A program failed or said what we do not understand."""


# --- prompts

def whole_text(a_round):
    """The begin token and all documents, in their order."""
    ids = list(a_round["begin"])
    for document in a_round["documents"]:
        ids += document
    return ids


def text_of(a_round, chosen):
    """The begin token and some of the documents."""
    ids = list(a_round["begin"])
    for index in chosen:
        ids += a_round["documents"][index]
    return ids


def found(answer, said):
    """Whether all tokens of the number come first."""
    return said[:len(answer)] == answer


# --- the server

class Server:
    def __init__(self, arguments, model, context, extra, folder):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = open(pathlib.Path(folder, "server.log"), "ab")
        self.process = subprocess.Popen(
            [str(pathlib.Path(arguments.llama, "llama-server")), "-m", model,
             "-c", str(context), "-t", str(arguments.threads), "-np", "1",
             "--host", "127.0.0.1", "--port", str(self.port), "--no-ui",
             "--slot-save-path", str(folder), "--cache-ram", "0", *extra],
            stdout=self.log, stderr=self.log)
        for _ in range(600):
            if self.process.poll() is not None:
                raise Failure("llama-server ended at once; its output is in "
                              f"{self.log.name}")
            with contextlib.suppress(urllib.error.URLError, OSError):
                with urllib.request.urlopen(self.url("/health")):
                    return
            time.sleep(0.2)
        self.close()
        raise Failure("llama-server was not ready in two minutes")

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def post(self, path, body):
        request = urllib.request.Request(
            self.url(path), json.dumps(body).encode(),
            {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=3600) as reply:
                return json.load(reply)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise Failure(f"llama-server, {path}: {error}") from error

    def seconds(self):
        """Processor seconds of the server so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text()
        ticks = fields.rpartition(")")[2].split()[11:13]
        return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")

    def complete(self, ids, tokens, reuse=0):
        """The tokens that follow, and how many were read."""
        reply = self.post("/completion", {
            "prompt": ids, "n_predict": tokens, "temperature": 0,
            "cache_prompt": True, "return_tokens": True,
            "n_cache_reuse": reuse, "id_slot": 0})
        try:
            return reply["tokens"], reply["timings"]["prompt_n"]
        except (KeyError, TypeError) as error:
            raise Failure(f"llama-server's answer lacks {error}") from error

    def ask(self, ids, tokens, restore=False):
        """The tokens that follow, those read for the first of them, and the
        processor seconds until it."""
        begin = self.seconds()
        if restore:
            self.slot("restore")
        _, read = self.complete(ids, 1, REUSED_TOKENS if restore else 0)
        seconds = self.seconds() - begin
        return self.complete(ids, tokens)[0], read, seconds

    def slot(self, action):
        self.post(f"/slots/0?action={action}", {"filename": "whole.bin"})

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


# --- conditions

def ask_all(server, a_round):
    before = whole_text(a_round)
    server.complete(before, 1)
    for question in a_round["questions"]:
        yield question, server.ask(before + question["ids"],
                                   len(question["answer"]))


def ask_best(server, a_round):
    for question in a_round["questions"]:
        before = text_of(a_round, reversed(question["chosen"]))
        yield question, server.ask(before + question["ids"],
                                   len(question["answer"]))


def ask_reusing(server, a_round):
    server.complete(whole_text(a_round), 1)
    server.slot("save")
    for question in a_round["questions"]:
        before = text_of(a_round, sorted(question["chosen"]))
        yield question, server.ask(before + question["ids"],
                                   len(question["answer"]), restore=True)


def conditions(longest, trained):
    """Name, way of asking, arguments of the server; for the longest text."""
    yield "pasted, all", ask_all, []
    if longest > trained:
        yield "pasted, all, YaRN", ask_all, [
            "--rope-scaling", "yarn", "--yarn-orig-ctx", str(trained),
            "--rope-scale", str(-(-longest // trained))]
    yield "pasted, the best 5 by words", ask_best, []
    if longest <= trained:
        # Chunks of a text that was read beyond the trained length are noise.
        yield ("pasted, the best 5 by words, chunks reused", ask_reusing, [])


def measure(arguments, rounds, extra, ask, folder):
    longest = max(len(whole_text(r)) for r in rounds)
    server = Server(arguments, arguments.model, longest + 256, extra, folder)
    marks, read, seconds = "", [], []
    try:
        for a_round in rounds:
            for question, (said, tokens, first) in ask(server, a_round):
                marks += "1" if found(question["answer"], said) else "0"
                read.append(tokens)
                seconds.append(first)
    finally:
        server.close()
    return marks, round(statistics.mean(read), 4), round(
        statistics.median(seconds), 4)


def version(llama):
    done = subprocess.run([str(pathlib.Path(llama, "llama-server")),
                           "--version"], capture_output=True, text=True)
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith("version:"):
            return "llama.cpp " + line.split()[1]
    return "llama.cpp"


def read_rows(path):
    try:
        with open(path, newline="") as file:
            return list(csv.DictReader(file))
    except FileNotFoundError:
        return []


def write_rows(path, rows):
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog="See the head of this file for what is measured.")
    parser.add_argument("model", help="GGUF file")
    parser.add_argument("questions", help="JSON of --questions")
    parser.add_argument("--llama", required=True, help="folder of its programs")
    parser.add_argument("--csv", required=True, help="rows are added here")
    parser.add_argument("--trained", type=int, default=8192,
                        help="tokens that the model was trained to")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--kv", default="f16", help="type of keys and values")
    arguments = parser.parse_args()
    try:
        rounds = json.loads(pathlib.Path(arguments.questions).read_text())
    except (OSError, ValueError) as error:
        print(f"needles.py: {arguments.questions}: {error}", file=sys.stderr)
        return 2
    program = version(arguments.llama)
    rows = read_rows(arguments.csv)
    try:
        for setting in dict.fromkeys(r["setting"] for r in rounds):
            some = [r for r in rounds if r["setting"] == setting]
            longest = max(len(whole_text(r)) for r in some)
            for name, ask, extra in conditions(longest, arguments.trained):
                if any((r["setting"], r["condition"]) == (setting, name)
                       for r in rows):
                    continue
                extra = [*extra, "-ctk", arguments.kv, "-ctv", arguments.kv]
                with tempfile.TemporaryDirectory() as folder:
                    marks, read, seconds = measure(arguments, some, extra, ask,
                                                   folder)
                rows.append(dict(zip(COLUMNS, (program, setting, name, marks,
                                               read, seconds))))
                write_rows(arguments.csv, rows)
                print(f"{setting} {name}: {marks.count('1')} of {len(marks)}, "
                      f"{read} tokens read, first token after {seconds} s",
                      flush=True)
    except Failure as error:
        print(f"needles.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
