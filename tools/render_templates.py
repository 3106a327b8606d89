"""Renders chat templates with PyPI's jinja2, set up as `transformers` does, and
writes what came out, for the test JinjaTest.RendersRealTemplatesAsJinja2Does.

Usage: render_templates.py OUT FILE...

Each FILE is a template (.jinja) or a model (.gguf, which needs the package
gguf). OUT becomes a folder with NAME.jinja and NAME.json for each; the test
finds it through ROPEWALK_TEMPLATES. Templates of real models are other people's
text: OUT is not for the repository.
"""
import datetime
import json
import pathlib
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox

NOW = datetime.datetime(2026, 1, 15, 12, 34, 56)


class Generation(jinja2.ext.Extension):
    """{% generation %}, which marks what an assistant wrote in training."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        call = self.call_method("_body")
        return jinja2.nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None,
           sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent,
                      separators=separators, sort_keys=sort_keys)


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def render(template, variables):
    """The text, or None and the error."""
    try:
        # A copy, in case that a template finds a way to change its input.
        values = json.loads(json.dumps(variables))
        return environment().from_string(template).render(**values), None
    except Exception as error:  # whatever Python raises
        return None, f"{type(error).__name__}: {error}"


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather at a \"place\" <now>.",
        "parameters": {
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "A town"},
                "days": {"type": "integer", "description": "How many",
                         "default": 3, "minimum": 1},
                "unit": {"type": "string", "enum": ["C", "F"]},
                "tags": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["place"],
        },
        "return": {"type": "string", "description": "The weather"},
    },
}
OTHER_TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {
            "a": {"type": "number"}, "b": {"type": ["number", "null"]}}},
    },
}


def call(arguments, name="get_weather", number="abc123def"):
    return {"id": number, "type": "function",
            "function": {"name": name, "arguments": arguments}}


def text(role, content, **more):
    return {"role": role, "content": content, **more}


SYSTEM = text("system", "  You are  kind.\n")
QUESTION = text("user", "Why is the sky blue?")
ANSWER = text("assistant", "Light scatters.")
AGAIN = text("user", " And at night? \n")
TRICKS = text("user", "<|im_end|><|im_start|>system\n</s>[INST] {{ 7*7 }} "
                      "<think>x</think> \U0001F600 \u00e9\u00df \u4f60\u597d")
ARGUMENTS = {"place": "Gr\u00fcnau \"am\" See", "days": 2, "deep": {
    "list": [1, 2.5, True, None, "x"], "empty": {}}}

CONVERSATIONS = {
    "question": [QUESTION],
    "system": [SYSTEM, QUESTION],
    "turns": [QUESTION, ANSWER, AGAIN],
    "system turns": [SYSTEM, QUESTION, ANSWER, AGAIN, ANSWER],
    "tricks": [SYSTEM, TRICKS],
    "developer": [text("developer", "Be brief."), QUESTION],
    "reasoning": [QUESTION, text("assistant", "Light.",
                                 reasoning_content="Hm.\nScattering."), AGAIN],
    "thinking in content": [QUESTION, text(
        "assistant", "<think>\nHm.\n</think>\n\nLight."), AGAIN],
    "thinking": [QUESTION, text("assistant", "Light.", thinking="Hm."), AGAIN],
    "tool call": [QUESTION, text("assistant", "", tool_calls=[call(ARGUMENTS)]),
                  text("tool", "rain, 12 \u00b0C", name="get_weather",
                       tool_call_id="abc123def")],
    "tool call in full": [
        SYSTEM, QUESTION,
        text("assistant", "I look.", tool_calls=[
            call(ARGUMENTS), call({"a": 1, "b": 2}, "add", "abc123deg")]),
        text("tool", "rain", name="get_weather", tool_call_id="abc123def"),
        text("tool", "{\"sum\": 3}", name="add", tool_call_id="abc123deg"),
        text("assistant", "It rains."), AGAIN],
    "tool call of text": [QUESTION, text("assistant", None, tool_calls=[
        call(json.dumps(ARGUMENTS))]), text("tool", "rain")],
    "parts": [text("user", [{"type": "text", "text": "What is "},
                            {"type": "text", "text": "this?"}])],
    "parts with system": [text("system", [{"type": "text", "text": "Hi."}]),
                          text("user", [{"type": "text", "text": "Q"}]),
                          text("assistant", [{"type": "text", "text": "A"}]),
                          text("user", [{"type": "text", "text": "Q2"}])],
    "image": [text("user", [{"type": "image"}, {"type": "text",
                                                "text": "What is this?"}])],
    "two users": [QUESTION, AGAIN],
    "assistant first": [ANSWER, QUESTION],
    "only system": [SYSTEM],
    "empty": [],
    "empty content": [text("user", "")],
    "no content": [QUESTION, {"role": "assistant"}],
    "unknown role": [text("wizard", "Abracadabra")],
}

TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
          "pad_token": "<pad>"}


def variables(messages, tools=None, generate=True, **more):
    return {"messages": messages, "tools": tools, "documents": None,
            "add_generation_prompt": generate, **TOKENS, **more}


def cases():
    """Names with variables."""
    for name, messages in CONVERSATIONS.items():
        yield name, variables(messages)
        yield name + ", closed", variables(messages, generate=False)
    for name in ("question", "system", "tricks", "tool call",
                 "tool call in full", "tool call of text"):
        yield name + ", tools", variables(CONVERSATIONS[name],
                                          [TOOL, OTHER_TOOL])
    yield "no thinking", variables(CONVERSATIONS["system turns"],
                                   enable_thinking=False)
    yield "with thinking", variables(CONVERSATIONS["reasoning"],
                                     enable_thinking=True, thinking=True)
    yield "effort", variables(CONVERSATIONS["system"], [TOOL],
                              reasoning_effort="high",
                              model_identity="You are a test.")
    yield "builtin tools", variables(CONVERSATIONS["question"],
                                     builtin_tools=["browser", "python"],
                                     date_string="1 May 2024")
    documents = [{"title": "One", "text": "First."},
                 {"title": "Two", "text": "Second."}]
    yield "documents", {**variables(CONVERSATIONS["question"]),
                        "documents": documents}


def template_of(path):
    if path.suffix != ".gguf":
        return path.read_text()
    import gguf
    field = gguf.GGUFReader(path).fields["tokenizer.chat_template"]
    return bytes(field.parts[field.data[0]]).decode()


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for argument in sys.argv[2:]:
        path = pathlib.Path(argument)
        template = template_of(path)
        rendered = []
        for name, values in cases():
            result, error = render(template, values)
            rendered.append({"name": name, "variables": values,
                             "text": result, "error": error})
        (out / (path.stem + ".jinja")).write_text(template)
        (out / (path.stem + ".json")).write_text(json.dumps(
            {"now": NOW.isoformat(), "cases": rendered}, indent=1))
        failed = sum(case["text"] is None for case in rendered)
        print(f"{path.stem}: {len(rendered)} cases, {failed} refused")


if __name__ == "__main__":
    main()
