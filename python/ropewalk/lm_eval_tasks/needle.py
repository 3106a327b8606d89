"""Documents and scores of the tasks ropewalk_needle and
ropewalk_needle_likelihood.

The harness reads this file by its path, so it stands alone.
"""

from __future__ import annotations

import itertools
import random

import datasets

import ropewalk


def documents(
    lengths=(1024, 2048),
    at=(0, 25, 50, 75, 100),
    trials=5,
    seed=1,
    tokenizer=None,
    pretrained=None,
    **_,
):
    """What `--metadata` of the harness may set:

    lengths: tokens of prompt and answer.
    at: places of the number, percent of the text.
    trials: numbers for each length and place, the same in all.
    tokenizer: a GGUF file or a folder of Hugging Face whose tokenizer counts the
        tokens; by default the model's own (`pretrained`).
    """
    path = tokenizer or pretrained
    if not isinstance(path, str):
        raise ValueError(
            "the needle tasks count tokens: name a GGUF file or a folder of Hugging Face "
            """by --metadata '{"tokenizer": "PATH"}'"""
        )
    model = ropewalk.Model.load(path)
    draw = random.Random(seed)
    numbers = [draw.randrange(10000, 100000) for _ in range(trials)]
    rows = []
    for length, place, number in itertools.product(lengths, at, numbers):
        prompt, answer = model.needle(length, place, number)
        rows.append({"prompt": prompt, "answer": answer, "length": length, "at": place})
    return {"test": datasets.Dataset.from_list(rows, split=datasets.Split.TEST)}


def written(doc, results):
    """1 where the model wrote the number first."""
    return {"accuracy": float(results[0].strip().startswith(doc["answer"].strip()))}


def likely(doc, results):
    """1 where each token of the number is the likeliest, and the loss in nats."""
    ((total, greedy),) = results
    return {"accuracy": float(greedy), "loss": -total}
