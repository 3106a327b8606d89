"""A model file, ready to work."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _arguments, _engine
from ._engine import Tokenizer
from .session import Session

if TYPE_CHECKING:
    import numpy
    import pandas

KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")


class Scores(NamedTuple):
    """How well a model predicts tokens; views of one block of memory."""

    losses: numpy.ndarray  # float64 [targets], nats: -ln p(token | those before)
    correct: numpy.ndarray  # bool [targets]: the token was the most likely one


class Model:
    """Weights, vocabulary and what the file says of itself.

    Made by `Model.load`. Immutable: any number of threads may use one.
    """

    def __init__(self, model: _engine.Model) -> None:
        self._model = model

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        *,
        threads: int = 0,
        train_length: int | str = 0,
        memory_limit: int | str = 0,
        exact: bool = False,
        lock_memory: bool = False,
    ) -> Model:
        """Loads a GGUF file or a folder of Hugging Face.

        threads: that compute; 0: one for each core.
        train_length: tokens of the longest text that the model was trained on;
            0: as the file says.
        memory_limit: bytes ("2G") of keys and values of all sessions; 0: the
            memory that is available now.
        exact: multiply weights of block types (q8_0, q4_K, ...) in float32
            instead of integers with activations in 8 bits.
        lock_memory: keep the process from being swapped out.

        Raises OSError (FileNotFoundError where there is no such file),
        FormatError for a file that is no model of a supported architecture,
        and ValueError for options out of range.
        """
        return Model(
            _engine.Model.load(
                _arguments.existing(path),
                threads,
                _arguments.length(train_length, "train_length"),
                _arguments.size(memory_limit, "memory_limit"),
                exact,
                lock_memory,
            )
        )

    def __repr__(self) -> str:
        return f"<ropewalk.Model {self.name!r}, {self.layers} layers, trained to {self.train_length}>"

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def architecture(self) -> str:
        """As in the file: "llama", "gemma3"."""
        return self._model.architecture

    @property
    def layers(self) -> int:
        return self._model.layers

    @property
    def width(self) -> int:
        """Of the hidden state."""
        return self._model.width

    @property
    def vocabulary_size(self) -> int:
        """Logits a token; may exceed the tokenizer's size."""
        return self._model.vocabulary_size

    @property
    def train_length(self) -> int:
        """Tokens, under the options of `load`."""
        return self._model.train_length

    @property
    def weight_bytes(self) -> int:
        """Bytes of weights that one token reads."""
        return self._model.weight_bytes

    @property
    def threads(self) -> int:
        return self._model.threads

    @property
    def tokenizer(self) -> Tokenizer:
        """Raises FormatError where the file has no vocabulary, or one of a kind
        that is not supported."""
        return self._model.tokenizer

    @property
    def metadata(self) -> dict[str, str | int | float | None]:
        """Keys and values of the file; None for lists and the like."""
        return {key: self._model.metadata(key) for key in self._model.metadata_keys()}

    def session(
        self,
        position: str = "auto",
        context: int | str = 0,
        kv_type: str = "f16",
        *,
        allow_known_failure: bool = False,
    ) -> Session:
        """A text to be read under a position scheme.

        position: as in "rerope:window=1024+logn-clip". "auto": the model's own
            scheme as far as that holds, ReRoPE with a far offset beyond.
        context: tokens that the session can hold, as in "64k"; 0: the trained
            length. No memory is taken before they are read.
        kv_type: what keys and values are stored as: f32, f16, bf16, q8_0 or
            q4_0.
        allow_known_failure: run a scheme that is known to give noise at this
            length, instead of refusing it.

        Raises ValueError, with the reason, for a scheme that is none, that is
        not defined for the model or that is known to fail.
        """
        return Session(
            self,
            _engine.Session.open(
                self._model,
                position,
                _arguments.length(context, "context"),
                kv_type,
                allow_known_failure,
            ),
        )

    def score(
        self,
        text: _arguments.Text | Iterable[int],
        *,
        position: str = "auto",
        first: int = 1,
        context: int | str = 0,
        kv_type: str = "f16",
    ) -> Scores:
        """Reads a text from the start and scores tokens first, first + 1, ...

        text: n tokens; a str gets the begin token that the model wants.
        first: the first token that is scored, from 1 to n - 1.
        context: the length that the scheme is for; 0: n - 1.

        Returns losses, float64 [n - first] in nats, and correct, bool
        [n - first]. A scheme that is known to fail is run all the same. Raises
        ValueError for fewer than 2 tokens and ids outside the vocabulary, and
        MemoryLimitError. Ctrl-C is seen after each pass.
        """
        ids = _arguments.text_or_ids(text, lambda: self.tokenizer, begins=True)
        return Scores(
            *_engine.score(
                self._model,
                ids,
                first,
                position,
                _arguments.length(context, "context"),
                kv_type,
            )
        )

    def losses(self, text: _arguments.Text | Iterable[int], **options: Any) -> numpy.ndarray:
        """The losses of `score`, float64 [n - first] in nats."""
        return self.score(text, **options).losses

    def measure(
        self,
        texts: Any,
        *,
        lengths: Iterable[int | str] | None = None,
        positions: Iterable[str] | None = None,
        documents: int = 64,
        score_last: int | str = 0,
        repeat: bool = False,
        kv_type: str = "f16",
        on_row: Callable[[dict[str, Any]], Any] | None = None,
    ) -> pandas.DataFrame:
        """Loss and accuracy by length and position scheme, as `ropewalk measure`.

        texts: a text (str), a pathlib.Path of one (UTF-8, may be .gz), ids of
            one document, or a list of such.
        lengths: tokens read; None: N, 2N, 4N and 8N for a model trained to N.
        positions: schemes; None: rope, window, rerope, rerope+logn-clip and
            leaky-rerope.
        documents: pieces cut from the texts, evenly spread.
        score_last: targets scored at the end of each document; 0: N, at most
            the least length. They are the same at every length.
        repeat: also the last N ids of each document again and again.
        on_row: called with each row, a dict, as it is finished.

        Returns a frame with a row for each scheme and length: position,
        resolved, set, length, tokens (scored), loss (nats), loss_stderr,
        accuracy (in [0, 1]), accuracy_stderr, seconds, known_to_fail. Its
        `attrs` have model, train_length, score_last, documents and skipped.
        `ropewalk.plot` draws it. Needs pandas.

        Raises ValueError where no document is long enough. Ctrl-C is seen
        after each pass; rows that `on_row` got are finished.
        """
        from . import _frames

        return _frames.measure(
            self,
            texts,
            lengths=lengths,
            positions=positions,
            documents=documents,
            score_last=score_last,
            repeat=repeat,
            kv_type=kv_type,
            on_row=on_row,
        )

    def needle(
        self, length: int | str, at: float = 50, number: int = 48213
    ) -> tuple[str, str]:
        """A prompt that hides a number in filler sentences and asks for it, and
        the answer, as in `ropewalk needle`.

        length: tokens of both together, at most; as many sentences as fit.
        at: the place of the number, percent of the sentences.

        Raises ValueError for a length that is too small for the question.
        """
        return _engine.needle(
            self._model, _arguments.length(length, "length"), float(at), number
        )

    @property
    def chat_form(self) -> str:
        """The form of the chat template: "ChatML", "Llama 3"; "its own" for one
        without a name. Raises FormatError where the file has none."""
        return self._model.chat_form

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        begins_answer: bool = True,
    ) -> list[int]:
        """The ids of a conversation by the chat template of the file, up to
        where the answer begins; give them to `Session.read`.

        messages: dicts with role and content, and what else the template knows.
        tools: functions as JSON schemas.
        variables: more of the template's, such as {"enable_thinking": False}.
        begins_answer: end with the beginning of the answer.

        Messages are plain text, whatever they contain: only marks that the
        template writes become tokens. Raises FormatError where the file has no
        chat template, and ValueError for what the template refuses.
        """
        return _engine.encode_chat(
            self._model, *_conversation(messages, tools, variables, begins_answer)
        )

    def chat_text(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        variables: Mapping[str, Any] | None = None,
        begins_answer: bool = True,
    ) -> str:
        """The same as text, for people to look at."""
        return _engine.render_chat(
            self._model, *_conversation(messages, tools, variables, begins_answer)
        )


def _conversation(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] | None,
    variables: Mapping[str, Any] | None,
    begins_answer: bool,
) -> tuple[str, str, str, bool]:
    return (
        json.dumps(list(messages)),
        "" if tools is None else json.dumps(list(tools)),
        json.dumps(dict(variables or {})),
        begins_answer,
    )
