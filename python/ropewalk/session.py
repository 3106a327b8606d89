"""One text in progress under one model, and what is generated behind it."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _arguments, _engine
from ._engine import Piece

if TYPE_CHECKING:
    import numpy

    from .memory import Memory
    from .model import Model

Progress = Callable[[int, int], Any]


class Generation(Iterator[Piece]):
    """The pieces of a text as they are drawn; made by `Session.generate`.

    Iterate over it, or ask for the whole text with `finish`. It is lazy: each
    step computes one token, and what was not asked for is never computed. The
    session holds what has been given so far. Any other call that reads or
    changes the session ends the generation.
    """

    def __init__(self, generation: _engine.Generation) -> None:
        self._generation = generation

    def __next__(self) -> Piece:
        piece = self._generation.next()
        if piece is None:
            raise StopIteration
        return piece

    def finish(self) -> str:
        """Draws what is left and returns the whole text."""
        for _ in self:
            pass
        return self.text

    def close(self) -> None:
        """Ends it here. Waits for a token that is being computed."""
        self._generation.close()

    def __enter__(self) -> Generation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def text(self) -> str:
        """The text of the pieces so far."""
        return self._generation.text

    @property
    def tokens(self) -> int:
        """Tokens drawn so far, an end token not counted."""
        return self._generation.tokens

    @property
    def reason(self) -> str | None:
        """Why it ended: "end of text", "token limit", "context full",
        "stop text" or "closed"; None while it goes on."""
        return self._generation.reason()

    @property
    def stop(self) -> str | None:
        """The text of `stop` that ended it, or None."""
        return self._generation.stop()

    @property
    def shifted_tokens(self) -> int | None:
        """Tokens taken out to make room; None while it goes on."""
        return self._generation.shifted_tokens()


class Session:
    """Keys and values of what was read, and the scheme it is read under.

    Made by `Model.session`. One thread at a time: a call while another thread
    uses the session raises RuntimeError. Different threads may use different
    sessions of one model; their computations wait for each other.
    """

    def __init__(self, model: Model, session: _engine.Session) -> None:
        self._model = model
        self._session = session

    def __repr__(self) -> str:
        return f"<ropewalk.Session {self.size} of {self.context} tokens, {self.position}>"

    def __len__(self) -> int:
        return self.size

    @property
    def model(self) -> Model:
        return self._model

    @property
    def context(self) -> int:
        """Tokens that the session can hold."""
        return self._session.context

    @property
    def position(self) -> str:
        """The scheme as it runs, every parameter given."""
        return self._session.position

    @property
    def described(self) -> str:
        """The scheme, and which layers it changes where those are not all."""
        return self._session.described

    @property
    def size(self) -> int:
        """Tokens read and not taken out again. The last token that was
        generated is read only when something follows."""
        return self._session.size

    @property
    def tokens(self) -> list[int]:
        """Which these are."""
        return self._session.tokens

    @property
    def kv_bytes(self) -> int:
        """Bytes of keys and values; what forks share counts for each."""
        return self._session.kv_bytes

    def _ids(self, text: _arguments.Text | Iterable[int], special: bool) -> list[int]:
        begins = self._session.size == 0
        return _arguments.text_or_ids(
            text, lambda: self._model.tokenizer, begins=begins, special=special
        )

    def read(
        self,
        text: _arguments.Text | Iterable[int],
        *,
        special: bool = False,
        progress: Progress | None = None,
    ) -> int:
        """Reads a text, or ids, behind what is there; returns the tokens read.

        text: str or bytes are encoded, with the begin token that the model
            wants where the session is empty; ids are read as they are.
        special: control pieces in the text, such as <|im_start|>, become the
            tokens that they name.
        progress: called after each pass of 512 tokens with the tokens read and
            asked for; by returning False it stops the reading.

        Ctrl-C is seen after a pass, and leaves the session as after the last
        token that was read. Raises ValueError for a text that does not fit the
        context and for ids outside the vocabulary, and MemoryLimitError; the
        session is then as before.
        """
        return self._session.read(self._ids(text, special), progress)

    def logits(self) -> numpy.ndarray:
        """The logits of what comes next: float32 [vocabulary], read-only.

        The array is the engine's own memory, not a copy, and stays as it is
        whatever the session does later. Raises ValueError where nothing was
        read since the session began or was changed.
        """
        return self._session.logits()

    def generate(
        self,
        prompt: _arguments.Text | Iterable[int] | None = None,
        *,
        max_tokens: int = 256,
        temperature: float = 0.8,
        top_k: int = 40,
        top_p: float = 0.95,
        min_p: float = 0.05,
        typical_p: float = 1.0,
        seed: int = 0,
        stop: str | Sequence[str] = (),
        grammar: str | None = None,
        json_schema: str | Mapping[str, Any] | bool | None = None,
        logit_bias: Mapping[int, float] | None = None,
        repetition_penalty: float = 1.0,
        frequency_penalty: float = 0.0,
        presence_penalty: float = 0.0,
        penalty_last: int = 64,
        dry_multiplier: float = 0.0,
        dry_base: float = 1.75,
        dry_allowed_length: int = 2,
        dry_last: int = -1,
        dry_breakers: Sequence[str] = ("\n", ":", '"', "*"),
        log_probabilities: int | None = None,
        ignore_end_of_text: bool = False,
        shift: bool = False,
        keep: int = 0,
        special: bool = False,
        progress: Progress | None = None,
    ) -> Generation:
        """Draws a text behind what was read, piece by piece.

        prompt: read first, as by `read` (which `special` and `progress` are
            for); None: go on from what is there.
        max_tokens: at least 1.
        temperature: 0 takes the most likely token.
        top_k, top_p, min_p, typical_p: which tokens may be drawn; 0, 1, 0 and 1
            turn them off.
        seed: equal seeds, options and tokens give equal texts.
        stop: texts that end it; they and what follows are not shown.
        grammar: GBNF; json_schema: a JSON schema as text or as an object. Only
            texts that it allows are drawn; at most one of the two.
        logit_bias: added to the logits of these ids; -inf bans one.
        repetition_penalty, frequency_penalty, presence_penalty: on the tokens
            among the last `penalty_last` (-1: all).
        dry_*: penalties on repeated sequences.
        log_probabilities: each piece has its log probability, and those of so
            many of the likeliest tokens.
        ignore_end_of_text: go on past the tokens that end a text.
        shift, keep: where the context is full, take the older half out of what
            lies behind the first `keep` tokens, and go on.

        The prompt is read at once; tokens are computed as the result is
        iterated. Raises ValueError, at the first step for options and grammars
        that are wrong, and like `read`.
        """
        if prompt is not None:
            self.read(prompt, special=special, progress=progress)
        options = _engine.GenerateOptions()
        options.max_tokens = max_tokens
        options.temperature = temperature
        options.top_k = top_k
        options.top_p = top_p
        options.min_p = min_p
        options.typical_p = typical_p
        options.seed = seed
        options.stop = [stop] if isinstance(stop, str) else list(stop)
        if grammar is not None:
            options.grammar = grammar
        if json_schema is not None:
            options.json_schema = (
                json_schema if isinstance(json_schema, str) else json.dumps(json_schema)
            )
        options.logit_bias = dict(logit_bias or {})
        options.repetition_penalty = repetition_penalty
        options.frequency_penalty = frequency_penalty
        options.presence_penalty = presence_penalty
        options.penalty_last = penalty_last
        options.dry_multiplier = dry_multiplier
        options.dry_base = dry_base
        options.dry_allowed_length = dry_allowed_length
        options.dry_last = dry_last
        options.dry_breakers = list(dry_breakers)
        options.log_probabilities = log_probabilities
        options.ignore_end_of_text = ignore_end_of_text
        options.shift = shift
        options.keep = keep
        return Generation(self._session.generate(options))

    async def agenerate(
        self, prompt: _arguments.Text | Iterable[int] | None = None, **options: Any
    ) -> AsyncIterator[Piece]:
        """`generate` for asyncio: the event loop runs on while tokens are
        computed, in a thread of the loop's own pool.

            async for piece in session.agenerate("Once", max_tokens=20): ...

        Leaving the loop early ends the generation; cancelling the task does so
        too, once the token that is being computed is there.
        """
        import asyncio

        generation = await asyncio.to_thread(self.generate, prompt, **options)
        try:
            while (piece := await asyncio.to_thread(generation._generation.next)) is not None:
                yield piece
        finally:
            generation.close()

    def attach(self, memories: Iterable[Memory], law: str = "far") -> None:
        """Lets the text attend to memories beside its own tokens.

        law: "far", "place" or "order", with keys as in
            "far:distance=1280,skip=4".

        Raises ValueError for a law that is not one, for memories of another
        model or type, and where something was read or attached before.
        """
        self._session.attach([memory._memory for memory in memories], law)

    def fork(self) -> Session:
        """A session with the same text, independent from here on. Keys and
        values are shared until either changes them."""
        return Session(self._model, self._session.fork())

    def trim(self, size: int) -> None:
        """Keeps the first `size` tokens. Raises ValueError unless size is from
        0 to what was read, and where a window has dropped what is needed."""
        self._session.trim(size)

    def shift(self, keep: int, count: int) -> None:
        """Takes `count` tokens out behind the first `keep` and closes up.
        Raises ValueError where the scheme does not allow it."""
        self._session.shift(keep, count)

    def change_position(self, position: str) -> None:
        """Goes on under another scheme; what was read stays as the old one saw
        it. Raises ValueError where the stored keys do not allow it."""
        self._session.change_position(position)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes keys, values and tokens to a file, which is replaced as a
        whole. Raises OSError."""
        self._session.save(_arguments.path(path))

    def load(
        self,
        path: str | os.PathLike[str],
        text: _arguments.Text | Iterable[int],
        *,
        special: bool = False,
    ) -> int:
        """Takes out of a saved file what it has in common with the beginning
        of `text`, into an empty session, then reads the rest. Returns the
        tokens that came from the file.

        Raises OSError, FormatError for a file that is broken or no cache, and
        ValueError for one of another model, scheme or type.
        """
        ids = self._ids(text, special)
        reused = self._session.load(_arguments.existing(path), ids)
        self._session.read(ids[reused:], None)
        return reused


def read_together(texts: Iterable[tuple[Session, _arguments.Text | Iterable[int]]]) -> None:
    """Reads a text in each of several sessions of one model, in passes that go
    through the weights once for all of them.

    Each session gets the logits that a `read` of its own would give, bit for
    bit. Raises ValueError for sessions of different models, one that occurs
    twice and empty texts, and like `Session.read`; nothing is read then.
    """
    pairs = [(session, session._ids(text, False)) for session, text in texts]
    if len({id(session._session) for session, _ in pairs}) != len(pairs):
        raise ValueError("a session is in two of the texts")
    _engine.read_together([(session._session, ids) for session, ids in pairs])
