"""The engine under the evaluation harness lm_eval."""

from __future__ import annotations

import json

import numpy
import pytest

lm_eval = pytest.importorskip("lm_eval", reason="no lm_eval")

from lm_eval.api.instance import Instance  # noqa: E402

from ropewalk.lm_eval_model import RopewalkLM  # noqa: E402


def instances(kind, arguments):
    return [Instance(kind, {}, args, i) for i, args in enumerate(arguments)]


@pytest.fixture(scope="module")
def lm(exact):
    return RopewalkLM(exact, context=512, kv_type="f32")


def expected(exact, context, continuation):
    tokenizer = exact.tokenizer
    whole, before = tokenizer.encode(context + continuation), tokenizer.encode(context)
    scores = exact.score(whole, first=len(before), context=512, kv_type="f32")
    return -scores.losses.sum(), scores.correct.all()


def test_loglikelihood_is_the_engines(exact, lm):
    context = "It was a dark and stormy night, and the old man sat by the fire and said that he"
    pairs = [(context, " was"), (context, " had been there"), (context, " xylophone")]
    pairs += [("The sea", " was calm and the ship went on into the night"), ("", "The sea")]
    pairs.append((context + " was tired, and", " went"))
    answers = lm.loglikelihood(instances("loglikelihood", pairs), disable_tqdm=True)
    for (before, after), (total, greedy) in zip(pairs, answers):
        if before:
            loss, best = expected(exact, before, after)
            assert total == pytest.approx(loss, abs=1e-3)
            assert greedy == best
    assert answers[0][0] > answers[2][0]


def test_rolling_counts_each_token_once(exact, lm, text):
    ids = exact.tokenizer.encode(text[:6000], bos=False)
    assert len(ids) > 3 * 512
    (total,) = lm.loglikelihood_rolling(
        instances("loglikelihood_rolling", [(text[:6000],)]), disable_tqdm=True
    )
    prefix = [lm.prefix_token_id]
    want = exact.score(prefix + ids[:512], context=512, kv_type="f32").losses.sum()
    done = 512
    while done < len(ids):
        n = min(512, len(ids) - done)
        part = ids[max(0, done + n - 513) : done + n]
        context = part[: len(part) - n]
        want += exact.score(part, first=len(context), context=512, kv_type="f32").losses.sum()
        done += n
    assert total == pytest.approx(-want, rel=1e-4)


def test_generation_stops_at_until(exact, lm):
    prompt = "It was a dark and stormy night, and"
    whole, cut = lm.generate_until(
        instances(
            "generate_until",
            [(prompt, {"max_gen_toks": 30}), (prompt, {"until": [" was"], "max_gen_toks": 30})],
        ),
        disable_tqdm=True,
    )
    session = exact.session(context=512, kv_type="f32")
    assert whole == session.generate(prompt, max_tokens=30, temperature=0).finish()
    assert cut == whole.split(" was")[0] and " was" in whole


def test_long_requests_lose_their_beginning(exact, lm, text):
    long = exact.tokenizer.decode(exact.tokenizer.encode(text, bos=False)[:900])
    ((total, _),) = lm.loglikelihood(
        instances("loglikelihood", [(long, " the")]), disable_tqdm=True
    )
    assert numpy.isfinite(total) and total < 0


def test_wrong_arguments_are_named(exact):
    with pytest.raises(ValueError, match="pozition"):
        RopewalkLM(exact, pozition="rope")
    assert RopewalkLM(exact, position="leaky-rerope:window=64;k=8")._position.endswith(",k=8")


def test_the_harness_runs_a_task_of_local_data(novels, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    rows = [
        {"text": "He sat down by the", "choices": [" fire", " xylophone"], "answer": 0},
        {"text": "She looked at", "choices": [" quartz seven", " him"], "answer": 1},
        {"text": "It was a dark and stormy", "choices": [" night", " lemon pie"], "answer": 0},
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = {
        "task": "local_endings",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{text}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "answer",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    results = lm_eval.simple_evaluate(
        model="ropewalk",
        model_args=f"pretrained={novels},position=rerope:window=128,context=1k",
        tasks=[config],
        bootstrap_iters=0,
    )
    assert results["results"]["local_endings"]["acc,none"] == 1.0
