"""Reading, logits, generation and what changes a session."""

from __future__ import annotations

import asyncio
import gc
import json
import pathlib
import signal
import threading
import time

import numpy
import pytest

import ropewalk

PROMPT = "It was a dark and stormy night, and "


def test_reading_in_two_parts_gives_the_ids_of_both(model):
    session = model.session()
    assert session.read("It was") > 0
    session.read(" a night")
    tokenizer = model.tokenizer
    assert session.tokens == tokenizer.encode("It was") + tokenizer.encode(" a night", bos=False)


def test_ids_of_any_kind_are_read(model):
    ids = model.tokenizer.encode(PROMPT)
    logits = []
    for given in (ids, tuple(ids), numpy.array(ids), numpy.array(ids, dtype=numpy.int32), iter(ids)):
        session = model.session()
        assert session.read(given) == len(ids)
        logits.append(session.logits())
    for other in logits[1:]:
        numpy.testing.assert_array_equal(logits[0], other)


def test_logits_are_the_engines_memory(model):
    session = model.session()
    session.read(PROMPT)
    first, second = session.logits(), session.logits()
    assert first.dtype == numpy.float32
    assert first.shape == (model.vocabulary_size,)
    assert first.ctypes.data == second.ctypes.data
    assert not first.flags.writeable and not first.flags.owndata
    # A fork shares them too, until it reads on.
    assert session.fork().logits().ctypes.data == first.ctypes.data


def test_logits_outlive_the_session(model):
    session = model.session()
    session.read(PROMPT)
    logits = session.logits()
    kept = logits.copy()
    session.read("the sea was calm")
    assert (session.logits() != kept).any()
    del session
    gc.collect()
    model.session().read(PROMPT * 3)  # would take freed memory
    numpy.testing.assert_array_equal(logits, kept)


def test_logits_predict_as_scores_do(exact):
    ids = exact.tokenizer.encode(PROMPT)
    session = exact.session()
    session.read(ids[:-1])
    logits = session.logits().astype(numpy.float64)
    loss = numpy.log(numpy.exp(logits - logits.max()).sum()) + logits.max() - logits[ids[-1]]
    # Reading in other portions changes results by rounding; weights are f16.
    assert exact.losses(ids)[-1] == pytest.approx(loss, abs=1e-4)


def test_pieces_join_to_the_text(model):
    session = model.session(context="1k")
    generation = session.generate(PROMPT, max_tokens=40, seed=3)
    pieces = [piece.text for piece in generation]
    assert "".join(pieces) == generation.text
    assert generation.tokens == 40
    assert generation.reason == "token limit"
    again = model.session(context="1k").generate(PROMPT, max_tokens=40, seed=3)
    assert again.finish() == generation.text


def test_generation_is_greedy_at_temperature_0(model):
    session = model.session(context="1k")
    pieces = list(session.generate(PROMPT, max_tokens=8, temperature=0))
    other = model.session(context="1k")
    other.read(PROMPT)
    for piece in pieces:
        assert piece.id == int(other.logits().argmax())
        other.read([piece.id])


def test_nothing_is_computed_before_it_is_asked_for(model):
    session = model.session(context="1k")
    session.read(PROMPT)
    size = session.size
    generation = session.generate(max_tokens=100)
    assert session.size == size and generation.tokens == 0
    next(generation)
    next(generation)
    time.sleep(0.05)
    assert generation.tokens == 2
    assert session.size == size + 1  # the last token is read when more follows


def test_a_generation_that_is_left_keeps_what_it_gave(model):
    session = model.session(context="1k")
    generation = session.generate(PROMPT, max_tokens=100, temperature=0)
    given = [next(generation).id for _ in range(5)]
    session.read(" and")  # ends it
    assert session.tokens[-6:-1] == given
    assert list(generation) == []
    assert generation.reason == "closed"


def test_stop_texts_are_not_shown(model):
    session = model.session(context="1k")
    whole = session.fork().generate(PROMPT, max_tokens=60, temperature=0).finish()
    word = whole.split()[3]
    generation = session.generate(PROMPT, max_tokens=60, temperature=0, stop=word)
    assert generation.finish() == whole[: whole.index(word)]
    assert (generation.reason, generation.stop) == ("stop text", word)


def test_grammars_hold(model):
    session = model.session(context="1k")
    answer = session.fork().generate(PROMPT, grammar='root ::= "yes" | "no"')
    assert answer.finish() in ("yes", "no")
    assert answer.reason == "end of text"
    schema = {
        "type": "object",
        "properties": {"n": {"enum": [1, 2]}},
        "required": ["n"],
        "additionalProperties": False,
    }
    written = session.generate(PROMPT, json_schema=schema, max_tokens=200).finish()
    assert json.loads(written)["n"] in (1, 2)


def test_log_probabilities_sum_to_1(model):
    session = model.session(context="1k")
    count = model.vocabulary_size
    for piece in session.generate(PROMPT, max_tokens=3, temperature=0, log_probabilities=count):
        assert len(piece.most_likely) == count
        assert piece.log_probability == piece.most_likely[0][1]
        assert sum(numpy.exp(p) for _, p in piece.most_likely) == pytest.approx(1, abs=1e-5)


def test_agenerate_leaves_the_loop_free(model):
    async def work():
        ticks = 0
        done = False

        async def tick():
            nonlocal ticks
            while not done:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        session = model.session(context="1k")
        pieces = [p.text async for p in session.agenerate(PROMPT, max_tokens=30, temperature=0)]
        done = True
        await ticking
        return "".join(pieces), ticks

    text, ticks = asyncio.run(work())
    assert text == model.session(context="1k").generate(PROMPT, max_tokens=30, temperature=0).finish()
    assert ticks > 30


def test_agenerate_ends_where_it_is_left(model):
    async def work():
        session = model.session(context="1k")
        pieces = session.agenerate(PROMPT, max_tokens=1000)
        async for _ in pieces:
            break
        await pieces.aclose()
        return session.read(" and")

    assert asyncio.run(work()) > 0


def test_fork_trim_shift_and_change(model):
    session = model.session("rerope:window=128", context="1k")
    session.read(PROMPT * 8)
    size = session.size
    fork = session.fork()
    fork.read("the sea")
    assert session.size == size < fork.size
    fork.trim(10)
    assert len(fork) == 10 and fork.tokens == session.tokens[:10]
    with pytest.raises(ValueError, match="no logits"):
        fork.logits()
    session.shift(4, 20)
    assert session.size == size - 20
    plain = model.session("rope", context=200)
    plain.read(PROMPT)
    plain.change_position("rerope:window=64")
    assert plain.position.startswith("rerope:window=64")


def test_a_saved_session_goes_on(exact, tmp_path):
    session = exact.session(context="1k")
    session.read(PROMPT * 4)
    path = tmp_path / "session.kv"
    session.save(path)
    other = exact.session(context="1k")
    reused = other.load(path, session.tokens)
    assert reused == session.size - 1
    numpy.testing.assert_allclose(other.logits(), session.logits(), atol=1e-3)
    with pytest.raises(ValueError):
        other.load(path, PROMPT)  # not empty any more
    with pytest.raises(FileNotFoundError):
        exact.session().load(tmp_path / "none.kv", PROMPT)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ropewalk.FormatError):
        exact.session(context="1k").load(path, session.tokens)


def test_reading_together_has_the_bits_of_reading_alone(model):
    texts = [PROMPT, "The sea was calm", "He looked at her for a long time"]
    sessions = [model.session(context="1k") for _ in texts]
    ropewalk.read_together(zip(sessions, texts))
    for session, text in zip(sessions, texts):
        alone = model.session(context="1k")
        alone.read(text)
        numpy.testing.assert_array_equal(session.logits(), alone.logits())
    with pytest.raises(ValueError, match="two"):
        ropewalk.read_together([(sessions[0], "a"), (sessions[0], "b")])


def test_progress_tells_and_stops(model, text):
    session = model.session("window", context="8k")
    told = []
    count = session.read(text[:12000], progress=lambda read, all: told.append((read, all)))
    assert told[-1] == (count, count) and len(told) == -(-count // 512)
    stopped = model.session("window", context="8k")
    assert stopped.read(text[:12000], progress=lambda read, all: False) == 512 == stopped.size
    with pytest.raises(ZeroDivisionError):
        stopped.read(" more", progress=lambda read, all: 1 / 0)


def test_a_callback_may_not_use_its_session(model):
    session = model.session()
    with pytest.raises(RuntimeError, match="in use"):
        session.read(PROMPT, progress=lambda read, all: session.size)


def test_memories_are_attended_to(model, tmp_path):
    told = []
    memory = ropewalk.Memory.remember(
        model,
        "The captain of the ship was called Barnabas. " * 8,
        tmp_path / "ship.memory",
        name="ship",
        progress=lambda read, all: told.append(read),
    )
    assert told and memory.name == "ship" and memory.size > 50 and memory.kv_type == "f16"
    plain, beside = model.session(), model.session()
    beside.attach([ropewalk.Memory.open(model, tmp_path / "ship.memory")])
    plain.read("The captain was called")
    beside.read("The captain was called")
    assert numpy.abs(plain.logits() - beside.logits()).max() > 0.1
    with pytest.raises(ValueError):
        beside.attach([memory])
    with pytest.raises(ValueError):
        model.session().attach([memory], law="nonsense")


def test_two_threads_read_at_once(model, text):
    done = []

    def read(part):
        session = model.session("window", context="8k")
        session.read(part)
        done.append(session.logits().copy())

    threads = [threading.Thread(target=read, args=(text[:6000],)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numpy.testing.assert_array_equal(*done)


def long_work(model, text, kind):
    """Seconds of work of each kind that computes, as a function to call."""
    ids = model.tokenizer.encode(text)
    ids = (ids * (40000 // len(ids) + 1))[:40000]
    if kind == "read":
        session = model.session("rerope:window=128", context="64k")
        return lambda: session.read(ids)
    if kind == "generate":
        session = model.session("rerope:window=128", context="64k")
        session.read(PROMPT)
        generation = session.generate(max_tokens=60000, ignore_end_of_text=True)
        return lambda: generation.finish()
    if kind == "score":
        return lambda: model.score(ids, position="rerope:window=128")
    return lambda: model.measure(ids, lengths=[30000], positions=["rerope:window=128"])


@pytest.mark.parametrize("kind", ["read", "generate", "score", "measure"])
def test_other_threads_run_and_ctrl_c_ends(model, text, kind):
    work = long_work(model, text, kind)
    ticks = 0
    running = True

    def tick():
        nonlocal ticks
        end = time.monotonic() + 0.4
        while time.monotonic() < end:
            ticks += 1
            time.sleep(0.001)
        if running:
            signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=tick)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        begun = time.monotonic()
        work()
    running = False
    took = time.monotonic() - begun
    thread.join()
    # 400 ticks of a millisecond are possible; with the GIL held there are as
    # many as there are passes, of which 0.4 s have fewer than 40.
    assert ticks > 80
    assert took < 5


def test_a_session_is_usable_after_ctrl_c(exact, text):
    session = exact.session("rerope:window=128", context="64k")
    ids = exact.tokenizer.encode(text)
    reads = 0

    def interrupt(read, all):
        nonlocal reads
        reads += 1
        if reads == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        session.read(ids, progress=interrupt)
    assert session.size in (1024, 1536)
    fresh = exact.session("rerope:window=128", context="64k")
    fresh.read(ids[: session.size])
    session.read(" and")
    fresh.read(" and")
    numpy.testing.assert_allclose(session.logits(), fresh.logits(), atol=1e-3)


def test_errors_are_pythons(model, tmp_path):
    session = model.session(context=64)
    with pytest.raises(ValueError, match="does not fit a context of 64"):
        session.read([1] * 65)
    with pytest.raises(ValueError, match="from 0 to 4095, got 4096"):
        session.read([4096])
    for bad in ([-1], [2**40], ["a"], [1.5], [None]):
        with pytest.raises(ValueError, match="token id"):
            session.read(bad)
    with pytest.raises(TypeError):
        session.read(3)
    assert session.size == 0
    with pytest.raises(ValueError, match="unknown"):
        model.session("nonsense")
    with pytest.raises(ValueError, match="kv_type"):
        model.session(kv_type="int3")
    for bad in ("64x", "", "-1", -1, 2**63, "k"):
        with pytest.raises(ValueError, match="context"):
            model.session(context=bad)
    with pytest.raises(TypeError, match="context"):
        model.session(context=1.5)
    with pytest.raises(ValueError):
        model.session("rope", context="64k")  # known to fail
    assert model.session("rope", context="64k", allow_known_failure=True).context == 65536
    with pytest.raises(ValueError, match="before it has read"):
        next(session.generate())
    session.read(PROMPT)
    with pytest.raises(ValueError, match="line 1, column"):
        next(session.generate(grammar="root ::= ("))
    with pytest.raises(ropewalk.FormatError):
        next(session.generate(json_schema="{"))
    with pytest.raises(ValueError, match="temperature"):
        next(session.generate(temperature=-1))
    with pytest.raises(ValueError):
        session.trim(1000)
    with pytest.raises(OSError):
        session.save(tmp_path / "no" / "folder")


def test_the_memory_limit_is_a_memory_error(novels):
    small = ropewalk.Model.load(novels, memory_limit="1M")
    session = small.session("window", context="64k")
    with pytest.raises(ropewalk.MemoryLimitError) as error:
        session.read([1] * 20000)
    assert isinstance(error.value, MemoryError)
    assert session.read(PROMPT) > 0


def test_broken_files_are_format_errors(novels, tmp_path):
    with pytest.raises(FileNotFoundError):
        ropewalk.Model.load(tmp_path / "none.gguf")
    broken = pathlib.Path(tmp_path / "broken.gguf")
    broken.write_bytes(b"GGUF" + b"\xff" * 40)
    with pytest.raises(ropewalk.FormatError) as error:
        ropewalk.Model.load(broken)
    assert isinstance(error.value, ValueError) and error.value.offset >= 4
    with pytest.raises(ValueError):
        ropewalk.Model.load(novels, threads=-1)
