"""The needle tasks of the harness, on the engine."""

from __future__ import annotations

import pytest

lm_eval = pytest.importorskip("lm_eval", reason="no lm_eval")

from lm_eval.tasks import TaskManager  # noqa: E402

from ropewalk.lm_eval_model import TASKS, RopewalkLM  # noqa: E402

NAMES = ["ropewalk_needle", "ropewalk_needle_likelihood"]


def run_needles(lm, tokenizer, **metadata):
    """Results by task, and what the model answered to each document."""
    manager = TaskManager(
        include_path=str(TASKS),
        include_defaults=False,
        metadata={"tokenizer": str(tokenizer), **metadata},
    )
    out = lm_eval.simple_evaluate(
        model=lm, tasks=list(NAMES), task_manager=manager, bootstrap_iters=0, log_samples=True
    )
    samples = {
        name: sorted(out["samples"][name], key=lambda sample: sample["doc_id"]) for name in NAMES
    }
    docs = [sample["doc"] for sample in samples[NAMES[0]]]
    assert docs == [sample["doc"] for sample in samples[NAMES[1]]]
    answers = {
        name: [sample["resps"][0][0] for sample in of_task] for name, of_task in samples.items()
    }
    return out["results"], docs, answers


def test_a_prompt_hides_the_number_where_it_is_asked_for(model):
    prompt, answer = model.needle(400, at=75, number=31337)
    assert answer == " 31337" and prompt.count("31337") == 2
    assert prompt.endswith("The pass key is")
    assert 0.6 < prompt.index("31337") / len(prompt) < 0.9
    assert 380 < len(model.tokenizer.encode(prompt + answer)) <= 401
    with pytest.raises(ValueError, match="a length must be at least"):
        model.needle(5)
    with pytest.raises(ValueError, match="from 0 to 100 percent"):
        model.needle(400, at=101)


def test_losses_and_texts_are_the_engines(exact, novels):
    lm = RopewalkLM(exact, position="rerope:window=64", context=512, kv_type="f32")
    results, docs, answers = run_needles(lm, novels, lengths=[200, 400], at=[50], trials=2)
    assert [doc["length"] for doc in docs] == [200, 200, 400, 400]
    assert docs[0]["answer"] != docs[1]["answer"]
    losses, right = [], []
    for doc, text, (log_likelihood, greedy) in zip(docs, *(answers[name] for name in NAMES)):
        assert doc["prompt"].count(doc["answer"].strip()) == 2
        ids = exact.tokenizer.encode(doc["prompt"])
        both = exact.tokenizer.encode(doc["prompt"] + doc["answer"])
        scores = exact.score(
            both, first=len(ids), position="rerope:window=64", context=512, kv_type="f32"
        )
        assert -log_likelihood == pytest.approx(scores.losses.sum(), abs=1e-3)
        assert greedy == scores.correct.all()
        losses.append(scores.losses.sum())
        session = exact.session("rerope:window=64", 512, "f32")
        writing = session.generate(doc["prompt"], max_tokens=12, temperature=0, stop=".")
        assert text == writing.finish()
        right.append(text.strip().startswith(doc["answer"].strip()))
    written, likely = (results[name] for name in NAMES)
    assert likely["loss,none"] == pytest.approx(sum(losses) / 4, abs=1e-3)
    assert written["accuracy,none"] == sum(right) / 4


def test_a_run_without_a_tokenizer_says_what_to_give(exact):
    with pytest.raises(ValueError, match='--metadata .*"tokenizer"'):
        lm_eval.simple_evaluate(
            model=RopewalkLM(exact, context=512),
            tasks=NAMES[:1],
            task_manager=TaskManager(include_path=str(TASKS), include_defaults=False),
        )
