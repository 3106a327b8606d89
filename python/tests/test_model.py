"""Losses and measurements, the tokenizer, schemes, conversations, the import."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time

import numpy
import pytest

import ropewalk

TEXT = "It was a dark and stormy night, and the rain fell on the roof of the house."


def test_the_import_is_light():
    code = (
        "import sys, time; t = time.process_time(); import ropewalk;"
        "print(time.process_time() - t);"
        "print([m for m in ('torch', 'numpy', 'pandas', 'matplotlib', 'lm_eval') if m in sys.modules])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    assert all(run.stdout.split("\n")[1] == "[]" for run in runs)
    assert min(float(run.stdout.split("\n")[0]) for run in runs) < 0.2


def test_the_package_is_typed():
    folder = pathlib.Path(ropewalk.__file__).parent
    assert (folder / "py.typed").exists()
    stub = (folder / "_engine.pyi").read_text()
    assert "class Session" in stub and "def encode(self, text: str | bytes" in stub


def test_the_package_brings_what_the_operators_are_built_from(root):
    source = pathlib.Path(ropewalk.__file__).parent / "torch_ops" / "source"
    kept = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {"CMakeLists.txt", "cmake/torch_ops.cmake", "include/ropewalk/version.h"} <= kept
    for folder in ("base", "position", "kernels", "attention", "lab/ops"):
        files = (path for path in (root / "src" / folder).rglob("*") if path.is_file())
        own = {str(path.relative_to(root)) for path in files if not path.name.endswith("_test.cc")}
        assert own and own <= kept
    assert not any(name.endswith("_test.cc") for name in kept)


def test_the_version_is_that_of_the_headers(root):
    header = (root / "include" / "ropewalk" / "version.h").read_text()
    for part, number in zip(("MAJOR", "MINOR", "PATCH"), ropewalk.__version__.split(".")):
        assert f"ROPEWALK_VERSION_{part} {number}\n" in header


def test_a_model_says_what_it_is(model):
    assert (model.name, model.layers, model.train_length) == ("novels-4m", 5, 256)
    assert model.metadata["general.architecture"] == model.architecture
    assert model.metadata["tokenizer.ggml.tokens"] is None
    assert model.threads == 2 and model.weight_bytes > 1e6


def test_loading_takes_lengths_and_sizes(novels):
    other = ropewalk.Model.load(str(novels), train_length="1k", memory_limit="64M")
    assert other.train_length == 1024
    assert other.session(context="2k").context == 2048


def test_the_tokenizer_gives_texts_back(model):
    tokenizer = model.tokenizer
    for text in (TEXT, "", "naïve café 你好 🙂", "a\x00b"):
        ids = tokenizer.encode(text, bos=False)
        assert all(type(id) is int for id in ids)
        assert tokenizer.decode_bytes(ids) == text.encode()
        decoder = ropewalk.StreamDecoder(tokenizer)
        assert "".join(map(decoder.add, ids)) + decoder.finish() == text
    ids = tokenizer.encode("你")
    assert tokenizer.encode("你".encode()) == ids
    assert "\ufffd" in tokenizer.decode(tokenizer.encode("你", bos=False)[:1])
    with pytest.raises(ValueError):
        tokenizer.decode([len(tokenizer)])
    with pytest.raises(TypeError):
        tokenizer.encode(3)
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode("\ud800")
    loaded = ropewalk.Tokenizer.load(str(pathlib.Path(__file__).parents[2] / "models/novels-4m.gguf"))
    assert loaded.encode(TEXT) == tokenizer.encode(TEXT)


def test_losses_are_the_engines_memory(model):
    scores = model.score(TEXT)
    n = len(model.tokenizer.encode(TEXT))
    assert scores.losses.shape == scores.correct.shape == (n - 1,)
    assert scores.losses.dtype == numpy.float64 and scores.correct.dtype == numpy.bool_
    assert not scores.losses.flags.owndata and not scores.correct.flags.owndata
    assert 0 < scores.correct.ctypes.data - scores.losses.ctypes.data < 16
    numpy.testing.assert_array_equal(model.losses(TEXT, first=3), scores.losses[2:])
    for first in (0, n):
        with pytest.raises(ValueError, match="first"):
            model.score(TEXT, first=first)
    with pytest.raises(ValueError, match="at least 2"):
        model.score([1])
    with pytest.raises(ValueError, match="does not fit"):
        model.score(TEXT, context=4)
    with pytest.raises(ValueError, match="4095"):
        model.score([1, 4096])


def test_measure_is_the_mean_of_losses(model, text):
    ids = model.tokenizer.encode(text, bos=False)[:1025]
    scheme = "rerope:window=128"
    frame = model.measure(ids, lengths=[512, "1k"], positions=scheme, kv_type="f32")
    assert list(frame["length"]) == [512, 1024]
    assert frame.attrs["score_last"] == 256 and frame.attrs["documents"] == 1
    for length, loss, accuracy in zip(frame["length"], frame["loss"], frame["accuracy"]):
        scores = model.score(
            ids[-length - 1 :], first=length - 255, position=scheme, kv_type="f32"
        )
        assert loss == pytest.approx(scores.losses.mean(), abs=1e-12)
        assert accuracy == pytest.approx(scores.correct.mean(), abs=1e-12)


def test_measure_agrees_with_the_program(novels, root, tmp_path):
    program = os.environ.get("ROPEWALK_BINARY", str(root / "build" / "bin" / "ropewalk"))
    if not pathlib.Path(program).exists():
        pytest.skip("no program to compare with: `make` builds it, ROPEWALK_BINARY names it")
    text = root / "docs" / "attention.md"
    subprocess.run(
        [program, "measure", "-m", novels, "-t", text, "--length", "256,1k", "--documents", "3"]
        + ["--repeat", "--threads", "2", "--json", tmp_path / "rows.json"],
        check=True,
        capture_output=True,
    )
    rows = json.loads((tmp_path / "rows.json").read_text())["rows"]
    told = []
    frame = ropewalk.Model.load(novels, threads=2).measure(
        text, lengths=[256, "1k"], documents=3, repeat=True, on_row=told.append
    )
    assert len(told) == len(frame) == len(rows) == 5 * 2 * 2
    for row, (_, ours) in zip(rows, frame.iterrows()):
        for key in ("position", "resolved", "set", "length", "tokens"):
            assert ours[key] == row[key]
        for key in ("loss", "loss_stderr", "accuracy"):
            assert ours[key] == pytest.approx(row[key], rel=1e-6)


def test_measure_agrees_with_an_independent_program(data):
    expected = json.loads((data / "ids" / "stories.llama2xs.expected.json").read_text())
    lines = (data / "ids" / "stories.ids").read_text().splitlines()
    documents = [[int(id) for id in line.split()] for line in lines]
    model = ropewalk.Model.load(data / "models" / "llama2xs270K" / "llama2xs270K.gguf")
    schemes = ["rope", "ntk-fixed:factor=8"]
    rows = [r for r in expected["rows"] if r["position"] in schemes and r["length"] <= 1024]
    assert len(rows) == 6
    frame = model.measure(documents, lengths=[256, 512, 1024], positions=schemes, kv_type="f32")
    for row in rows:
        ours = frame[(frame["position"] == row["position"]) & (frame["length"] == row["length"])]
        assert float(ours["loss"].iloc[0]) == pytest.approx(row["loss"], abs=1e-3)
        assert float(ours["accuracy"].iloc[0]) == pytest.approx(row["accuracy"], abs=2e-3)


def test_measure_refuses_what_cannot_be_measured(model):
    with pytest.raises(ValueError, match="long enough|too short|longest"):
        model.measure("short", lengths=[512])
    with pytest.raises(ValueError, match="text"):
        model.measure([])
    with pytest.raises(ValueError, match="unknown"):
        model.measure(TEXT * 100, positions=["nonsense"])
    with pytest.raises(FileNotFoundError):
        model.measure(pathlib.Path("/none.txt"))


def test_measurements_are_drawn(model, text):
    frame = model.measure(text, lengths=[128, 256], positions=["rope", "window"], documents=2)
    figure = ropewalk.plot(frame)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_legend().get_texts()] == ["rope", "window"]
    assert axes.get_title() == "novels-4m"
    assert "matplotlib.pyplot" not in sys.modules
    again = ropewalk.plot(frame, value="accuracy", ax=figure.add_subplot(2, 2, 4))
    assert again is figure
    with pytest.raises(ValueError):
        ropewalk.plot(frame, value="tokens")


def test_schemes_are_described(model):
    names = [info.name for info in ropewalk.positions.list()]
    assert {"rope", "rerope", "dca", "window"} <= set(names)
    assert ropewalk.positions.parse("rerope:window=1k") == "rerope:window=1024"
    found = ropewalk.positions.describe("rerope:window=128", model)
    assert found.length == 512 and found.known_to_fail is None
    ((layers, bands),) = found.layers
    assert layers == list(range(model.layers))
    assert bands[0] == ("0 <= i - j < 128", "i", "j")
    assert bands[1] == ("128 <= i - j", "128", "0")
    assert ropewalk.positions.describe("rope", model, length="4k").known_to_fail
    assert "query turned by i" in str(ropewalk.positions.describe("leaky-rerope:window=64,k=8"))
    advice = ropewalk.positions.recommend(model, 1024)
    assert advice.spelling.startswith("rerope") and advice.reasons
    assert model.session(context=1024).position == advice.spelling
    for bad in ("nonsense", "rerope:wind=3", "rerope:window=-1"):
        with pytest.raises(ValueError):
            ropewalk.positions.describe(bad)
    with pytest.raises(ValueError):
        ropewalk.positions.describe("rope", model, length=0)


def test_a_base_model_has_no_chat(model):
    with pytest.raises(ropewalk.FormatError, match="chat template"):
        model.chat([{"role": "user", "content": "hi"}])


def test_conversations_use_the_models_template(data):
    path = data / "models" / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    model = ropewalk.Model.load(path)
    messages = [{"role": "user", "content": "Hi <|im_end|>"}]
    text = model.chat_text(messages)
    assert model.chat_form == "ChatML"
    assert text.endswith("<|im_start|>user\nHi <|im_end|><|im_end|>\n<|im_start|>assistant\n")
    mark = model.tokenizer.find("<|im_end|>")
    # That of the user's own text is no mark.
    assert model.chat(messages).count(mark) == text.count("<|im_end|>") - 1
    assert not model.chat_text(messages, begins_answer=False).endswith("assistant\n")
    for bad in ([], [{"content": "x"}], ["x"]):
        with pytest.raises((ValueError, TypeError)):
            model.chat(bad)
    session = model.session(context=512)
    answer = session.generate(model.chat(messages), max_tokens=12, temperature=0).finish()
    assert answer.strip()


def test_loading_releases_the_gil(data):
    import threading

    path = data / "models" / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    thread = threading.Thread(target=ropewalk.Model.load, args=(path,))
    thread.start()
    longest, last = 0.0, time.monotonic()
    while thread.is_alive():
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        time.sleep(0.001)
    assert longest < 1
