#!/usr/bin/env python3
"""Holds needles.py to what it says, with a program that stands in for
llama-server: it copies what followed the question's last token before."""

import contextlib
import csv
import io
import json
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import needles  # noqa: E402

SERVER = """import http.server, json, sys
if "--version" in sys.argv:
    print("version: 17 (abc)")
    sys.exit()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path != "/completion":
            return self.answer({})
        ids = body["prompt"]
        said = []
        if ids[-1] in ids[:-1]:
            at = ids.index(ids[-1]) + 1
            said = ids[at:at + body["n_predict"]]
        self.answer({"tokens": said, "timings": {"prompt_n": len(ids),
                                                 "prompt_ms": 500.0}})
    def log_message(self, *arguments):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

# Document 1 is not among the chosen of its question.
ROUND = {"setting": "2x8", "begin": [1],
         "documents": [[5, 50, 7, 8], [6, 60, 9]],
         "questions": [
             {"ids": [2, 50], "answer": [7, 8], "document": 0, "chosen": [0]},
             {"ids": [2, 60], "answer": [9], "document": 1, "chosen": [0]}]}


class NeedlesTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        server = pathlib.Path(self.folder.name, "llama-server")
        server.write_text(f"#!{sys.executable}\n{SERVER}")
        server.chmod(0o755)
        self.questions = pathlib.Path(self.folder.name, "questions.json")
        self.questions.write_text(json.dumps([ROUND]))
        self.rows = pathlib.Path(self.folder.name, "peers.csv")

    def run_it(self, *more):
        sys.argv = ["needles.py", "m.gguf", str(self.questions), "--llama",
                    self.folder.name, "--csv", str(self.rows), *more]
        with contextlib.redirect_stdout(io.StringIO()) as out, \
                contextlib.redirect_stderr(io.StringIO()):
            code = needles.main()
        return code, out.getvalue()

    def found(self):
        with open(self.rows, newline="") as file:
            return {row["condition"]: row["found"]
                    for row in csv.DictReader(file)}

    def test_counts_what_is_right_in_each_condition_once(self):
        self.assertEqual(self.run_it()[0], 0)
        self.assertEqual(self.found(), {
            "pasted, all": "11", "pasted, the best 5 by words": "10",
            "pasted, the best 5 by words, chunks reused": "10"})
        before = self.rows.read_text()
        self.assertEqual(self.run_it(), (0, ""))
        self.assertEqual(self.rows.read_text(), before)

    def test_stretches_only_what_is_longer_than_the_trained_length(self):
        self.assertEqual(self.run_it("--trained", "4")[0], 0)
        self.assertIn("pasted, all, YaRN", self.found())
        self.assertNotIn("pasted, the best 5 by words, chunks reused",
                         self.found())

    def test_says_what_is_missing(self):
        self.questions.unlink()
        self.assertEqual(self.run_it()[0], 2)


if __name__ == "__main__":
    unittest.main()
