"""The engine as a model of the evaluation harness lm_eval.

    import lm_eval, ropewalk.lm_eval_model
    lm_eval.simple_evaluate(
        model="ropewalk",
        model_args={"pretrained": "model.gguf", "position": "rerope:window=1024", "context": "64k"},
        tasks=["lambada_openai"],
    )

or, with the options of the harness's own program:

    python -m ropewalk.lm_eval_model run --model ropewalk --tasks lambada_openai \
        --model_args pretrained=model.gguf,position=rerope:window=1024,context=64k
"""

from __future__ import annotations

import logging
import os
import pathlib
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from . import _arguments
from .model import Model
from .session import Session

log = logging.getLogger(__name__)

# Tasks of our own: ropewalk_needle and ropewalk_needle_likelihood.
TASKS = pathlib.Path(__file__).parent / "lm_eval_tasks"


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two texts begin with alike."""
    count = 0
    for x, y in zip(a, b):
        if x != y:
            break
        count += 1
    return count


@register_model("ropewalk")
class RopewalkLM(TemplateLM):
    """
    pretrained: a GGUF file, a folder of Hugging Face, or a Model.
    position: the scheme. The harness cuts its argument string at commas: there,
        separate the keys of a scheme by semicolons.
    context: tokens of the longest request, answer included; longer ones lose
        their beginning, with a warning. "0": the trained length.
    kv_type, threads, exact, train_length: as in Model.load and Model.session.
    max_gen_toks: tokens of an answer where the task does not say.

    A request that begins as the one before it does, as those of few-shot
    prompts and of several choices do, reads only what differs.
    """

    def __init__(
        self,
        pretrained: str | os.PathLike[str] | Model,
        *,
        position: str = "auto",
        context: int | str = 0,
        kv_type: str = "f16",
        threads: int = 0,
        exact: bool = False,
        train_length: int | str = 0,
        max_gen_toks: int = 256,
        **ignored: Any,
    ) -> None:
        super().__init__()
        # What the harness's program passes to every model.
        unknown = set(ignored) - {"batch_size", "max_batch_size", "device"}
        if unknown:
            raise ValueError(f"unknown arguments of the model ropewalk: {', '.join(sorted(unknown))}")
        self.model = (
            pretrained
            if isinstance(pretrained, Model)
            else Model.load(
                pretrained, threads=threads, exact=exact, train_length=train_length
            )
        )
        self.max_length = _arguments.length(context, "context") or self.model.train_length
        self.max_gen_toks = int(max_gen_toks)
        self._position = position.replace(";", ",")
        self._kv_type = kv_type
        self._session = self._open()
        self._templated = False
        self._cut = False

    def _open(self) -> Session:
        return self.model.session(self._position, self.max_length, self._kv_type)

    def _read(self, ids: list[int]) -> Session:
        """A session that has read `ids`, of which one at least is read anew."""
        shared = min(_common(ids, self._session.tokens), len(ids) - 1)
        try:
            self._session.trim(shared)
        except ValueError:  # a window has dropped what would be needed
            self._session = self._open()
            shared = 0
        self._session.read(ids[shared:])
        return self._session

    def _fit(self, ids: list[int], most: int) -> list[int]:
        if len(ids) > most and not self._cut:
            log.warning(
                "requests longer than %d tokens lose their beginning; raise context", most
            )
            self._cut = True
        return ids[-most:]

    @property
    def eot_token_id(self) -> int:
        eos = self.model.tokenizer.eos
        if eos is None:
            raise ValueError(f"the vocabulary of {self.model.name} has no end token")
        return eos

    @property
    def prefix_token_id(self) -> int:
        bos = self.model.tokenizer.bos
        return self.eot_token_id if bos is None else bos

    @property
    def tokenizer_name(self) -> str:
        return self.model.name

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        tokenizer = self.model.tokenizer
        bos = False if add_special_tokens is False else None
        ids = tokenizer.encode(string, bos=bos, eos=False, special=self._templated)
        if len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos:
            del ids[0]  # the chat template wrote one too
        return ids

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        self._templated = True
        return self.model.chat_text(chat_history, begins_answer=add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return str(self.model.metadata.get("tokenizer.chat_template") or "")

    def _score(self, context: list[int], continuation: list[int]) -> tuple[float, bool]:
        """ln p of the continuation, and whether greedy decoding writes it."""
        # Token by token behind a context that other requests share, or the
        # whole text at once where the continuation is most of it.
        if len(context) < 4 * len(continuation):
            scores = self.model.score(
                context + continuation,
                first=len(context),
                position=self._position,
                context=self.max_length,
                kv_type=self._kv_type,
            )
            return -float(scores.losses.sum()), bool(scores.correct.all())
        total, greedy = 0.0, True
        session = self._read(context)
        if len(continuation) > 1:
            session = session.fork()
        for step, token in enumerate(continuation):
            if step > 0:
                session.read([continuation[step - 1]])
            logits = session.logits().astype(numpy.float64)
            best = logits.max()
            total += logits[token] - best - numpy.log(numpy.exp(logits - best).sum())
            greedy = greedy and token == int(logits.argmax())
        return float(total), bool(greedy)

    def _loglikelihood_tokens(
        self,
        requests: list[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        **_: Any,
    ) -> list[tuple[float, bool]]:
        answers: list[tuple[float, bool]] = [(0.0, True)] * len(requests)
        # Alike contexts behind each other.
        order = sorted(range(len(requests)), key=lambda i: requests[i][1])
        for i in _shown(order, disable_tqdm, "loglikelihood"):
            key, context, continuation = requests[i]
            if not continuation:
                continue
            if len(continuation) > self.max_length:
                raise ValueError(
                    f"a continuation of {len(continuation)} tokens does not fit a context "
                    f"of {self.max_length}"
                )
            # The last token is scored, not read.
            whole = self._fit(context + continuation, self.max_length + 1)
            kept = whole[: len(whole) - len(continuation)]
            answers[i] = self._score(kept, continuation)
            self.cache_hook.add_partial("loglikelihood", key, answers[i])
        return answers

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        answers = []
        for request in _shown(requests, disable_tqdm, "loglikelihood_rolling"):
            (text,) = request.args
            ids = self.tok_encode(text, add_special_tokens=False)
            windows = get_rolling_token_windows(
                ids, self.prefix_token_id, max_seq_len=self.max_length, context_len=1
            )
            total = sum(
                self._score(context, continuation)[0]
                for context, continuation in map(make_disjoint_window, windows)
            )
            answers.append(total)
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), total)
        return answers

    def generate_until(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[str]:
        answers = [""] * len(requests)
        order = sorted(range(len(requests)), key=lambda i: requests[i].args[0])
        for i in _shown(order, disable_tqdm, "generate_until"):
            context, options = requests[i].args
            answers[i] = self._generate(context, dict(options))
            self.cache_hook.add_partial("generate_until", requests[i].args, answers[i])
        return answers

    def _generate(self, context: str, options: dict[str, Any]) -> str:
        until = options.get("until") or []
        until = [until] if isinstance(until, str) else [text for text in until if text]
        count = int(options.get("max_gen_toks", options.get("max_new_tokens", self.max_gen_toks)))
        if not 0 < count < self.max_length:
            raise ValueError(
                f"max_gen_toks must be from 1 to {self.max_length - 1}, got {count}"
            )
        sample: dict[str, Any] = {"temperature": 0}
        if options.get("do_sample", options.get("temperature", 0) > 0):
            sample = {
                "temperature": float(options.get("temperature", 1.0)),
                "top_k": int(options.get("top_k", 0)),
                "top_p": float(options.get("top_p", 1.0)),
                "min_p": float(options.get("min_p", 0.0)),
            }
        ids = self.tok_encode(context) or [self.prefix_token_id]
        session = self._read(self._fit(ids, self.max_length - count)).fork()
        return session.generate(max_tokens=count, stop=until, **sample).finish()


def _shown(items: Iterable[Any], disable: bool, what: str) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, desc=what, disable=disable)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    # Run as a program this file is __main__, whose class is registered above.
    if "--include_path" not in sys.argv:
        sys.argv += ["--include_path", str(TASKS)]
    cli_evaluate()
