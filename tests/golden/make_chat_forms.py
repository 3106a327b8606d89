"""Writes chat_forms.json: what jinja2 makes of chat templates.

Usage: make_chat_forms.py ROPEWALK_TEST_DATA > chat_forms.json

Needs jinja2 and gguf of PyPI. The templates named in FILES are those of real
model files; their text stays there. The others were written for this test
after the shape of published ones (Qwen 2.5, Phi 4, Llama 3 and 3.1, Gemma 2 and
3, Phi 3 and Phi 4 mini): the same marks and the same ways to put a default, a
date or a system text in. Each is rendered as transformers does it, with
trim_blocks and lstrip_blocks, for one question with and without system text.
"""
import json
import pathlib
import sys

import gguf
import jinja2

FILES = {
    "smollm2": "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf",
    "phi-3 vocabulary": "tokenizers/ggml-vocab-phi-3.gguf",
}

TURNS = "{% for m in messages %}"
ASK = "{% if add_generation_prompt %}"
TEMPLATES = {
    "chatml, default in a branch": """
{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nAnswer briefly.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}""",
    "chatml, default assigned": """{% set system_message = 'Help.' -%}
{% if messages[0]['role'] == 'system' %}{% set system_message = messages[0]['content'] %}{% endif -%}
{{ '<|im_start|>system\\n' + system_message + '<|im_end|>\\n' }}
{%- for message in messages if message['role'] != 'system' -%}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "chatml, thinking, trimmed": TURNS +
    "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] | trim + '<|im_end|>\\n' }}"
    "{% endfor %}" + ASK + "{{ '<|im_start|>assistant\\n<think>\\n' }}{% endif %}",
    "chatml, text outside of tags": TURNS +
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}" +
    ASK + "<|im_start|>assistant\n{% endif %}",
    "chatml with a separator": TURNS +
    "{{ '<|im_start|>' + m['role'] + '<|im_sep|>' + m['content'] + '<|im_end|>' }}"
    "{% endfor %}" + ASK + "{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}",
    "llama 3": TURNS +
    "{% set t = '<|start_header_id|>' + m['role'] + '<|end_header_id|>\\n\\n' + "
    "m['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set t = bos_token + t %}{% endif %}{{ t }}"
    "{% endfor %}" + ASK +
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
    "llama 3.1": """{{- bos_token }}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}""",
    "gemma without system": "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('no system role') }}{% endif %}" + TURNS +
    "{{ '<start_of_turn>' + m['role'] + '\\n' + m['content'] | trim + '<end_of_turn>\\n' }}"
    "{% endfor %}" + ASK + "{{ '<start_of_turn>model\\n' }}{% endif %}",
    "gemma with system": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- set rest = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set rest = messages -%}
{%- endif -%}
{%- for message in rest -%}
    {{ '<start_of_turn>' + message['role'] + '\\n' + (first_user_prefix if loop.first else "") }}
    {{- message['content'] | trim }}{{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}""",
    "phi with lines": TURNS +
    "{% if m['role'] == 'system' %}{{ '<|system|>\\n' + m['content'] + '<|end|>\\n' }}"
    "{% else %}{{ '<|user|>\\n' + m['content'] + '<|end|>\\n' }}{% endif %}"
    "{% endfor %}" + ASK + "{{ '<|assistant|>\\n' }}{% else %}{{ eos_token }}{% endif %}",
    "phi without lines": "{% for message in messages %}"
    "{{- '<|' + message['role'] + '|>' -}}{{- message['content'] -}}"
    "{{- '<|end|>' -}}{% endfor %}" + ASK + "{{- '<|assistant|>' -}}{% endif %}",
}
USER = "\t Why is <|im_start|> red,\nand { not }?\u00a0\n"
SYSTEMS = [None, "", "  Be\nkind. "]


def refuse(message):
    raise jinja2.TemplateError(message)


def render(template, system):
    """The text without the begin token, which is written as nothing."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    messages = [{"role": "user", "content": USER}]
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    try:
        return environment.from_string(template).render(
            messages=messages, add_generation_prompt=True, bos_token="",
            eos_token="<eos>")
    except jinja2.TemplateError:
        return None


def of_file(path):
    field = gguf.GGUFReader(path).fields["tokenizer.chat_template"]
    return bytes(field.parts[field.data[0]]).decode()


def main():
    data = pathlib.Path(sys.argv[1])
    forms = []
    sources = [(n, of_file(data / f), f) for n, f in FILES.items()]
    sources += [(n, t, None) for n, t in TEMPLATES.items()]
    for name, template, path in sources:
        form = {"name": name, "file": path} if path else {
            "name": name, "template": template}
        # A template that passes over a system text has no place for one.
        deaf = render(template, SYSTEMS[-1]) == render(template, None)
        form["cases"] = [
            {"system": s,
             "text": None if deaf and s is not None else render(template, s)}
            for s in SYSTEMS]
        forms.append(form)
    json.dump({"user": USER, "forms": forms}, sys.stdout, indent=1)
    print()


main()
