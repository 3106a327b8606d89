"""The server as other people's programs see it: the official clients of OpenAI
for Python and JavaScript, and the programs `llm`, `litellm` and `aider`, none
of them changed.

    python3 tests/serve/clients_test.py build/bin/ropewalk models/novels-4m.gguf \
        [INSTRUCT_MODEL]

Needs the package `openai`; what else is not there is skipped with a line. Tests
of conversations need an instruct model.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

PROGRAM = BASE_MODEL = CHAT_MODEL = None
JS_CLIENT = os.environ.get("ROPEWALK_JS_CLIENT")  # a folder with openai in it

NIGHT = ("It was a dark night; the wind rose, and nobody in the house could "
         "sleep. ")
WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "The weather of a city.",
    "parameters": {"type": "object", "required": ["city"],
                   "additionalProperties": False,
                   "properties": {"city": {"type": "string",
                                           "maxLength": 12}}}}}


class Server:
    def __init__(self, model, *options):
        self.process = subprocess.Popen(
            [PROGRAM, "serve", "-m", model, "--port", "0", *options],
            stderr=subprocess.PIPE, text=True)
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("http://"):
                break
        else:
            raise RuntimeError("".join(self.lines))
        self.url = line.split(" is the page")[0].rstrip("/")
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self):
        for line in self.process.stderr:
            self.lines.append(line)

    def get(self, path):
        with urllib.request.urlopen(self.url + path) as reply:
            return json.load(reply)

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def module_or_skip(name):
    try:
        return __import__(name)
    except ImportError:
        raise unittest.SkipTest(f"the package {name} is not installed") from None


class Served(unittest.TestCase):
    MODEL = "base"
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        model = BASE_MODEL if cls.MODEL == "base" else CHAT_MODEL
        if model is None:
            raise unittest.SkipTest("no instruct model was given")
        cls.openai = module_or_skip("openai")
        cls.server = Server(model, *cls.OPTIONS)
        cls.client = cls.openai.OpenAI(base_url=cls.server.url + "/v1",
                                       api_key="none", max_retries=0)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        assert cls.server.stop() == 0, cls.server.lines


class Completions(Served):
    def test_a_stream_is_the_whole(self):
        ask = dict(model="any", prompt=NIGHT, max_tokens=24, seed=3)
        whole = self.client.completions.create(**ask)
        pieces = list(self.client.completions.create(
            **ask, stream=True, stream_options={"include_usage": True}))
        self.assertEqual("".join(p.choices[0].text for p in pieces if p.choices),
                         whole.choices[0].text)
        self.assertEqual(pieces[-1].usage, whole.usage)
        self.assertEqual(whole.usage.completion_tokens, 24)

    def test_several_prompts_and_answers(self):
        reply = self.client.completions.create(
            model="any", prompt=["It was", "I never"], n=2, max_tokens=4, seed=1)
        self.assertEqual([c.index for c in reply.choices], [0, 1, 2, 3])

    def test_log_probabilities(self):
        reply = self.client.completions.create(
            model="any", prompt="It was", max_tokens=3, logprobs=2, temperature=0)
        found = reply.choices[0].logprobs
        self.assertEqual(len(found.tokens), 3)
        for chosen, top in zip(found.token_logprobs, found.top_logprobs):
            self.assertEqual(len(top), 2)
            self.assertAlmostEqual(chosen, max(top.values()), places=5)

    def test_position_and_context_of_a_request(self):
        reply = self.client.completions.create(
            model="any", prompt=NIGHT * 40, max_tokens=4,
            extra_body={"position": "rerope:window=128", "context": "1k"})
        self.assertEqual(reply.ropewalk["context"], 1024)
        self.assertIn("rerope:window=128", reply.ropewalk["scheme"])
        self.assertEqual(
            sum(b["tokens"] for b in reply.ropewalk["bands"]),
            reply.usage.prompt_tokens + reply.usage.completion_tokens - 1)

    def test_what_does_not_fit_is_an_error_that_names_the_counts(self):
        with self.assertRaises(self.openai.BadRequestError) as caught:
            self.client.completions.create(model="any", prompt=NIGHT * 4000)
        self.assertEqual(caught.exception.code, "context_length_exceeded")

    def test_a_wrong_field_is_named(self):
        with self.assertRaises(self.openai.BadRequestError) as caught:
            self.client.completions.create(model="any", prompt="a",
                                           temperature=-1)
        self.assertEqual(caught.exception.param, "temperature")

    def test_models(self):
        (model,) = self.client.models.list().data
        self.assertEqual(self.client.models.retrieve(model.id).id, model.id)
        with self.assertRaises(self.openai.NotFoundError):
            self.client.models.retrieve("other")

    def test_a_stop_text_ends_the_answer(self):
        ask = dict(model="any", prompt=NIGHT, max_tokens=60, temperature=0)
        whole = self.client.completions.create(**ask).choices[0].text
        stop = whole[len(whole) // 2:len(whole) // 2 + 3]
        cut = self.client.completions.create(**ask, stop=stop).choices[0]
        self.assertEqual(cut.text, whole[:whole.index(stop)])
        self.assertEqual(cut.finish_reason, "stop")

    def test_an_uploaded_file_is_remembered(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(NIGHT * 20)
            file.flush()
            with open(file.name, "rb") as stream:
                uploaded = self.client.files.create(file=stream,
                                                    purpose="assistants")
        for _ in range(200):
            if self.client.files.retrieve(uploaded.id).status == "processed":
                break
            time.sleep(0.05)
        reply = self.client.completions.create(
            model="any", prompt="It was", max_tokens=4,
            extra_body={"memories": [uploaded.id], "context": 1024})
        self.assertEqual(len(reply.ropewalk["memories"]), 1)
        self.client.files.delete(uploaded.id)
        self.assertNotIn(uploaded.id, [f.id for f in self.client.files.list()])

    def test_the_client_for_javascript(self):
        if not JS_CLIENT or not shutil.which("node"):
            self.skipTest("no ROPEWALK_JS_CLIENT, or no node")
        program = f"""
          import OpenAI from "openai";
          const client = new OpenAI({{baseURL: "{self.server.url}/v1",
                                      apiKey: "none", maxRetries: 0}});
          const ask = {{model: "any", prompt: "It was a dark", max_tokens: 12,
                       seed: 4}};
          const whole = await client.completions.create(ask);
          let text = "";
          const stream = await client.completions.create(
              {{...ask, stream: true}});
          for await (const piece of stream) text += piece.choices[0].text;
          const models = await client.models.list();
          let refused = "";
          try {{ await client.completions.create({{...ask, n: -1}}); }}
          catch (error) {{ refused = error.param; }}
          console.log(JSON.stringify({{whole: whole.choices[0].text, text,
                                      models: models.data.length, refused}}));
        """
        path = pathlib.Path(JS_CLIENT) / "ask.mjs"
        path.write_text(program)
        done = subprocess.run(["node", str(path)], capture_output=True,
                              text=True, check=False, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        told = json.loads(done.stdout)
        self.assertEqual(told["text"], told["whole"])
        self.assertEqual((told["models"], told["refused"]), (1, "n"))


class Keys(Served):
    OPTIONS = ("--api-key", "secret")

    def test_only_with_the_key(self):
        with self.assertRaises(self.openai.AuthenticationError):
            self.client.models.list()
        with self.openai.OpenAI(base_url=self.server.url + "/v1",
                                api_key="secret") as client:
            self.assertEqual(len(client.models.list().data), 1)


class Conversations(Served):
    MODEL = "chat"

    def ask(self, **more):
        return self.client.chat.completions.create(
            model="any", temperature=0, max_tokens=16,
            messages=[{"role": "user", "content": "What is the capital of "
                       "France?"}], **more)

    def test_a_stream_is_the_whole(self):
        whole = self.ask().choices[0]
        text, reasons = "", []
        for piece in self.ask(stream=True):
            if piece.choices:
                text += piece.choices[0].delta.content or ""
                reasons.append(piece.choices[0].finish_reason)
        self.assertEqual(text, whole.message.content)
        self.assertEqual([r for r in reasons if r], [whole.finish_reason])

    def test_a_second_turn_reads_only_what_is_new(self):
        messages = [{"role": "user", "content": "Tell me of the sea. " * 30}]
        first = self.client.chat.completions.create(
            model="any", messages=messages, max_tokens=8)
        messages += [first.choices[0].message.model_dump(exclude_none=True),
                     {"role": "user", "content": "Go on."}]
        second = self.client.chat.completions.create(
            model="any", messages=messages, max_tokens=8)
        read = second.usage.prompt_tokens - second.ropewalk["reused_tokens"]
        self.assertLess(read, 160)
        self.assertEqual(second.usage.prompt_tokens_details.cached_tokens,
                         second.ropewalk["reused_tokens"])

    def test_log_probabilities(self):
        found = self.ask(logprobs=True, top_logprobs=3).choices[0].logprobs
        self.assertEqual(len(found.content[0].top_logprobs), 3)
        self.assertEqual(found.content[0].top_logprobs[0].token,
                         found.content[0].token)

    def test_an_answer_of_a_schema(self):
        reply = self.client.chat.completions.create(
            model="any", max_tokens=80, seed=1,
            messages=[{"role": "user", "content": "A city, as JSON."}],
            response_format={"type": "json_schema", "json_schema": {
                "name": "city", "schema": {
                    "type": "object", "additionalProperties": False,
                    "required": ["name", "inhabitants"],
                    "properties": {
                        "name": {"type": "string", "maxLength": 20},
                        "inhabitants": {"type": "integer", "minimum": 0,
                                        "maximum": 99999999}}}}})
        told = json.loads(reply.choices[0].message.content)
        self.assertEqual(set(told), {"name", "inhabitants"})

    def test_a_required_tool_is_called(self):
        for stream in (False, True):
            ask = dict(
                model="any", max_tokens=80, seed=1, tools=[WEATHER],
                tool_choice="required",
                messages=[{"role": "user", "content": "Weather in Rome?"}])
            if stream:
                with self.client.chat.completions.stream(**ask) as events:
                    choice = events.get_final_completion().choices[0]
            else:
                choice = self.client.chat.completions.create(**ask).choices[0]
            (call,) = choice.message.tool_calls
            self.assertEqual(call.function.name, "get_weather")
            self.assertEqual(set(json.loads(call.function.arguments)), {"city"})
            self.assertEqual(choice.finish_reason, "tool_calls")

    def test_responses(self):
        whole = self.client.responses.create(
            model="any", input="Say hello.", max_output_tokens=12, temperature=0)
        self.assertEqual(whole.usage.output_tokens, 12)
        text = ""
        with self.client.responses.stream(
                model="any", input="Say hello.", max_output_tokens=12,
                temperature=0) as events:
            for event in events:
                if event.type == "response.output_text.delta":
                    text += event.delta
        self.assertEqual(text, whole.output_text)

    def run_program(self, *command, **environment):
        program = shutil.which(command[0]) or str(
            pathlib.Path(sys.executable).parent / command[0])
        if not os.path.exists(program):
            self.skipTest(f"{command[0]} is not installed")
        with tempfile.TemporaryDirectory() as home:
            done = subprocess.run(
                [program, *command[1:]], capture_output=True, text=True,
                check=False, timeout=300, cwd=home, stdin=subprocess.DEVNULL,
                env={**os.environ, "HOME": home,
                     **{k: v.replace("HOME", home)
                        for k, v in environment.items()}})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_litellm(self):
        litellm = module_or_skip("litellm")
        reply = litellm.completion(
            model="openai/any", api_base=self.server.url + "/v1",
            api_key="none", temperature=0, max_tokens=16,
            messages=[{"role": "user",
                       "content": "What is the capital of France?"}])
        self.assertEqual(reply.choices[0].message.content,
                         self.ask().choices[0].message.content)

    def test_llm(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        (pathlib.Path(folder) / "extra-openai-models.yaml").write_text(
            f"- model_id: here\n  model_name: any\n"
            f"  api_base: {self.server.url}/v1\n  api_key_name: none\n")
        told = self.run_program(
            "llm", "-m", "here", "-o", "temperature", "0", "-o", "max_tokens",
            "16", "What is the capital of France?", LLM_USER_PATH=folder,
            OPENAI_API_KEY="none")
        self.assertEqual(told.strip(),
                         self.ask().choices[0].message.content.strip())

    def test_aider(self):
        told = self.run_program(
            "aider", "--model", "openai/any", "--message", "Say hello.",
            "--no-git", "--yes-always", "--no-check-update", "--no-pretty",
            "--no-show-model-warnings", "--no-analytics", "--edit-format", "ask",
            "--map-tokens", "0", OPENAI_API_BASE=self.server.url + "/v1",
            OPENAI_API_KEY="none")
        self.assertIn("Tokens:", told)


def main():
    global PROGRAM, BASE_MODEL, CHAT_MODEL
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    if len(arguments) < 2:
        sys.exit(__doc__)
    PROGRAM, BASE_MODEL = map(os.path.abspath, arguments[:2])
    CHAT_MODEL = os.path.abspath(arguments[2]) if arguments[2:] else None
    try:
        import openai  # noqa: F401
    except ImportError:
        print("skipped: the package openai is not installed")
        sys.exit(77)
    unittest.main(argv=[sys.argv[0], *(a for a in sys.argv[1:]
                                       if a.startswith("-"))])


if __name__ == "__main__":
    main()
