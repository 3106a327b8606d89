"""A server that answers as `ropewalk serve` does, without a model.

The page's tests need answers that a model gives seldom: markdown of every kind,
errors, slow reading, a wrong key. What the last message of a request says picks
the answer (`SCRIPTS`); every request is kept in `server.requests`.
"""
import http.server
import json
import re
import threading
import time
import urllib.parse

CONTENT_SECURITY = ("default-src 'self'; style-src 'unsafe-inline'; "
                    "script-src 'unsafe-inline'; img-src data: 'self'")
TRAINED, CONTEXT = 8192, 32768

MARKDOWN = """# A heading

A paragraph with **bold**, *italic*, `code` and a [link](https://example.org/a).
A second line.

- one
- two
  - inner
3. three

| name | tokens |
|---|---:|
| near | 1024 |

> quoted

```python
def f(x):
    return x < 1
```

<img src=x onerror="window.broken = true"> <script>window.broken = true</script>

[bad](javascript:window.broken=true) ![picture](https://example.org/p.png)
[bad too](data:text/html,<script>window.broken=true</script>)

**<b onclick=x>text</b>** and https://example.org/path.
"""

SCHEMES = [
    {"name": "rope", "summary": "positions as they are", "source": "arXiv 2104.09864",
     "parameters": [], "example": "rope"},
    {"name": "rerope", "summary": "distances beyond a window are one distance",
     "source": "post 9708", "example": "rerope:window=1024",
     "parameters": [{"name": "window", "meaning": "distances kept; N/2"},
                    {"name": "far", "meaning": "the distance beyond; window"}]},
    {"name": "sink-window", "summary": "a window and the first tokens",
     "source": "arXiv 2309.17453", "example": "sink-window:size=2k",
     "parameters": [{"name": "size", "meaning": "keys kept; N"}]},
]


def words_of(text):
    return re.findall(r"\S+\s*|\s+", text)


class Stopped(Exception):
    pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def send_json(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def send_error_json(self, status, message, param=None, code=None):
        self.send_json({"error": {"message": message, "type": "invalid_request_error",
                                  "param": param, "code": code}}, status)

    def is_let_in(self):
        key = self.server.key
        if key is None or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.send_error_json(401, "this server wants an API key", code="invalid_api_key")
        return False

    def do_GET(self):
        path, _, query = self.path.partition("?")
        query = dict(urllib.parse.parse_qsl(query))
        if path == "/":
            data = self.server.page
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", CONTENT_SECURITY)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        if not self.is_let_in():
            return
        if path == "/v1/models":
            self.send_json({"object": "list", "data": [self.server.model]})
        elif path == "/v1/positions":
            self.send_json({"data": SCHEMES})
        elif path == "/v1/positions/resolve":
            self.resolve(query)
        elif path == "/slots":
            self.send_json([
                {"id": 0, "state": "writing", "is_processing": True, "scheme": "rope",
                 "n_ctx": CONTEXT, "prompt_tokens": 5000, "read_tokens": 5000,
                 "reused_tokens": 12, "generated_tokens": 7, "seconds": 1.5}])
        elif path == "/v1/files" and self.server.files is not None:
            for file in self.server.files:
                progress = file["ropewalk"]
                progress["read"] = min(progress["tokens"], progress["read"] + 40)
                if progress["read"] == progress["tokens"]:
                    file["status"] = "processed"
            self.send_json({"object": "list", "data": self.server.files})
        else:
            self.send_error_json(404, f"there is no {path}")

    def resolve(self, query):
        position = query["position"]
        name = re.split(r"[:+]", position)[0]
        if name not in [scheme["name"] for scheme in SCHEMES] + ["auto"]:
            self.send_error_json(400, f"'{name}' is no scheme; 'rope' is", "position")
            return
        fails = "distances beyond 8192 were never trained" if name == "rope" else None
        self.send_json({"position": position, "context": int(query.get("context", CONTEXT)),
                        "scheme": self.scheme_of(position),
                        "described": self.scheme_of(position) + " on 3 of 4 layers",
                        "fails": fails})

    @staticmethod
    def scheme_of(position):
        return "rerope:window=4096" if position in ("rerope", "auto") else position

    def do_DELETE(self):
        if not self.is_let_in():
            return
        name = self.path.rpartition("/")[2]
        self.server.files = [file for file in self.server.files if file["id"] != name]
        self.send_json({"id": name, "object": "file", "deleted": True})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.is_let_in():
            return
        if self.path == "/v1/files":
            self.upload(body)
            return
        request = json.loads(body)
        if self.path == "/tokenize":
            self.send_json({"tokens": list(range(len(words_of(request["content"]))))})
            return
        self.server.requests.append((self.path, request))
        is_chat = self.path == "/v1/chat/completions"
        last = request["messages"][-1]["content"] if is_chat else request["prompt"]
        try:
            self.answer(request, last, is_chat)
        except (BrokenPipeError, ConnectionResetError, Stopped):
            self.server.stopped.set()

    def upload(self, body):
        name = re.search(rb'filename="([^"]*)"', body)[1].decode()
        file = {"id": f"file-{len(self.server.files) + 1}", "object": "file",
                "filename": name, "bytes": len(body), "created_at": int(time.time()),
                "purpose": "memory", "status": "uploaded",
                "ropewalk": {"tokens": 100, "read": 0}}
        self.server.files.append(file)
        self.server.uploads.append(body)
        self.send_json(file)

    def answer(self, request, last, is_chat):
        if "TOO LONG" in last:
            self.send_error_json(
                400, f"the prompt has 40000 tokens, the context {CONTEXT}; "
                     "shorten it or set 'context'",
                "context", "context_length_exceeded")
            return
        if "FAIL" in last:
            self.send_error_json(500, "a worker stopped")
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        text = MARKDOWN if "MARKDOWN" in last else f"You said: {last[-60:]} Goodbye."
        if "ENDLESS" in last:
            text = "word " * 2000
        if is_chat and request.get("position"):
            text = f"Under {request['position']}. " + text
        prompt = sum(len(words_of(m["content"])) for m in request.get("messages", []))
        prompt = prompt or len(words_of(last))
        reused = 10 if len(request.get("messages", [])) > 1 else 0
        pause = self.server.pause_s
        for step in range(5):
            read = reused + (prompt - reused) * step // 4
            self.send_event({"choices": [], "ropewalk": {"progress": {
                "prompt": prompt, "read": read, "reused": reused}}})
            time.sleep(self.server.reading_s / 5)
        if "BREAK" in last:
            self.send_event({"error": {"message": "the context is full", "param": None,
                                       "code": None, "type": "server_error"}})
            return
        words = words_of(text)
        for word in words:
            delta = {"delta": {"content": word}} if is_chat else {"text": word}
            self.send_event({"choices": [{"index": 0, **delta, "finish_reason": None}]})
            time.sleep(pause)
        end = {"delta": {}} if is_chat else {"text": ""}
        total = prompt + len(words)
        near = min(total, 4096)
        window = request.get("position") == "sink-window"
        finish = "length" if "FULL" in last else "stop"
        self.send_event({"choices": [{"index": 0, **end, "finish_reason": finish}]})
        self.send_event({"choices": [], "usage": {
            "prompt_tokens": prompt, "completion_tokens": len(words),
            "total_tokens": total}, "ropewalk": {
                "position": request.get("position", "auto"),
                "scheme": self.scheme_of(request.get("position", "auto")),
                "context": request.get("context", CONTEXT), "trained_length": TRAINED,
                "prompt_tokens": prompt, "reused_tokens": reused, "shifted_tokens": 0,
                "memories": request.get("memories", []),
                "bands": [{"label": "at their distances", "tokens": near},
                          {"label": "all at distance 4096",
                           "tokens": 0 if window else total - near}],
                "end": "context_full" if finish == "length" else "end_of_text",
                "prompt_ms": 100.0, "generated_tokens": len(words),
                "generate_ms": 200.0}})
        self.wfile.write(b"data: [DONE]\n\n")

    def send_event(self, event):
        if self.server.hang_up.is_set():
            raise Stopped
        self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        self.wfile.flush()


class MockServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    #   reading_s   how long it reads each prompt
    #   pause_s     between the words of an answer
    def __init__(self, page, port=0):
        super().__init__(("127.0.0.1", port), Handler)
        self.page = page
        self.reset()

    def reset(self):
        self.key = None
        self.reading_s = 0.05
        self.pause_s = 0.0
        self.requests = []
        self.uploads = []
        self.files = []
        self.stopped = threading.Event()
        self.hang_up = threading.Event()
        self.model = {
            "id": "mock-135m", "object": "model", "created": 0, "owned_by": "ropewalk",
            "ropewalk": {"architecture": "llama", "trained_length": TRAINED,
                         "context_length": CONTEXT, "position": "auto",
                         "scheme": "rerope:window=4096", "kv_type": "f16",
                         "bytes_per_token": 23040, "chat": True}}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"

    def start(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self


if __name__ == "__main__":  # to look at the page by hand: mock_server.py PAGE.html
    import sys
    server = MockServer(open(sys.argv[1], "rb").read(), int(sys.argv[2]))
    server.pause_s, server.reading_s = 0.03, 2.0
    print(server.url, flush=True)
    server.serve_forever()
