#!/usr/bin/env python3
"""Holds compare.py to what it says, with programs that stand in for llama.cpp.

Usage: compare_test.py ROPEWALK
"""

import contextlib
import csv
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import compare  # noqa: E402

ROPEWALK = ""
BENCH = """import json, sys
a = sys.argv
get = lambda name: int(a[a.index(name) + 1])
print(json.dumps([{"avg_ts": 1000.0 + get("-d"), "n_prompt": get("-p"),
                   "build_commit": "abc"}]))
"""


def program(folder, name, body):
    path = pathlib.Path(folder, name)
    path.write_text(f"#!{sys.executable}\n{body}")
    path.chmod(0o755)


class CompareTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.model = self.path("tiny-f16.gguf")
        subprocess.run(
            [sys.executable, HERE / "synthetic.py", self.path("tiny"),
             "--vocabulary", "320", "--width", "64", "--layers", "2",
             "--heads", "4", "--key-heads", "2", "--feed-forward", "96",
             "--context", "128"], check=True, stdout=subprocess.DEVNULL)
        program(self.folder.name, "llama-bench", BENCH)
        program(self.folder.name, "llama-completion", "print('a')")

    def path(self, name):
        return os.path.join(self.folder.name, name)

    def compare(self, *more, llama=None):
        """Exit code, standard output and error output."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = compare.main(
                [self.model, "--ropewalk", ROPEWALK, "--llama",
                 llama or self.folder.name, "--threads", "1", "-p", "8", "-n",
                 "4", "--measure", "prefill,decode,start", *more])
        return code, out.getvalue(), err.getvalue()

    def test_every_side_is_timed_in_every_round_in_turning_order(self):
        code, out, err = self.compare(
            "-r", "2", "-d", "32", "--position", "rope", "--position",
            "rerope:window=16", "--kv", "f16", "--json", self.path("a.json"),
            "--csv", self.path("a.csv"))
        self.assertEqual(code, 0, err)
        told = json.loads(pathlib.Path(self.path("a.json")).read_text())
        sides = ["rope", "rerope:window=16", "peer"]
        for what, depth in (("prefill", 0), ("prefill", 32), ("decode", 0),
                            ("decode", 32), ("start", None)):
            made = [row for row in told["rows"]
                    if (row["what"], row["depth"]) == (what, depth)]
            self.assertEqual([row["side"] for row in made],
                             sides + sides[::-1])
            self.assertTrue(all(row["value"] > 0 and row["peak_bytes"] > 0
                                for row in made))
        peer = [row["value"] for row in told["rows"] if row["depth"] == 32
                and row["side"] == "peer"]
        self.assertEqual(peer, [1032.0] * 4)
        ours = [row for row in told["rows"] if row["side"] != "peer"
                and row["what"] != "start"]
        self.assertTrue(all("--kv-type f16" in row["command"] for row in ours))
        self.assertEqual(told["sides"]["peer"]["build_commit"], "abc")
        with open(self.path("a.csv"), newline="") as file:
            self.assertEqual(len(list(csv.DictReader(file))), 30)
        for word in ("prefill at 32, rope ", "decode at 0, rerope:window=16",
                     "first token", "peak memory"):
            self.assertIn(word, out)

    def test_ratio_is_the_median_of_the_rounds_own(self):
        args = compare.parse([self.model, "--measure", "decode"])
        rows = [{"what": "decode", "depth": 0, "side": side, "round": r,
                 "value": value, "peak_bytes": 1}
                for side, values in (("rope", (1, 20, 90)),
                                     ("peer", (2, 10, 100)))
                for r, value in enumerate(values)]
        [line] = compare.summarize(args, rows, {"model": "m"})
        self.assertEqual((line["ours"], line["peer"]), (20, 10))
        self.assertEqual((line["ratio"], line["ratio_least"],
                          line["ratio_most"]), (0.9, 0.5, 2))

    def test_weights_of_a_token_are_those_ropewalk_reads(self):
        told = subprocess.run(
            [ROPEWALK, "bench", "-m", self.model, "-p", "1", "-n", "1"],
            check=True, capture_output=True, text=True).stdout
        norms = 5 * 64 * 4  # which it leaves out
        mine = compare.weight_bytes(self.model) - norms
        self.assertIn(f"{mine / 1024:.1f} KiB of weights a token", told)

    def test_missing_programs_are_one_line_and_exit_2(self):
        empty = self.path("empty")
        os.mkdir(empty)
        code, _, err = self.compare(llama=empty)
        self.assertEqual(code, 2)
        self.assertIn("-DGGML_NATIVE=ON", err)
        self.assertEqual(err.count("\n"), 1)
        code, _, err = self.compare("--ropewalk", self.path("nothing"))
        self.assertEqual(code, 2)
        self.assertIn("`make`", err)
        self.assertEqual(err.count("\n"), 1)

    def test_a_peer_that_fails_is_named_and_exit_1(self):
        program(self.folder.name, "llama-bench",
                "import sys; sys.exit('no such type')")
        code, _, err = self.compare("-r", "1")
        self.assertEqual(code, 1)
        self.assertIn("llama-bench ended with 1 and said: no such type", err)

    def test_broken_model_files_are_one_line_and_exit_2(self):
        data = pathlib.Path(self.model).read_bytes()
        for size in (0, 3, 20, 300):
            pathlib.Path(self.model).write_bytes(data[:size])
            code, _, err = self.compare()
            self.assertEqual(code, 2)
            self.assertEqual(err.count("\n"), 1, err)


if __name__ == "__main__":
    ROPEWALK = sys.argv.pop(1)
    unittest.main()
