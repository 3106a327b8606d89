"""Writes unigram.json: small SentencePiece unigram models and what they say.

The models differ in what is done to a text first: spaces in front, spaces
taken out, characters replaced, bytes for unknown characters. `sentencepiece` trains them
and encodes the texts.

Usage: python3 make_unigram.py > unigram.json
Needs: pip install sentencepiece protobuf
"""

import io
import json
import os
import random
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto

WORDS = ("the of and to in a is that for it as was with be by on not he his "
         "but at are this have from or had an they which one you were her all "
         "she there would their we him been has when who will more no if out "
         "so said what up its about into than them can only other new some "
         "could time these two may then do first any my now such like our over "
         "man me even most made after also did many before must through back "
         "years where much your way well down should because each just those "
         "people state good very make world still own see men work long get "
         "here between both life being under never day same another know while "
         "last might us great old year off come since against go came right "
         "used take three file straße cafe").split()

# From, to: code points in hexadecimal, as spm_train wants them.
RULES = ["FB01\t66 69", "FB03\t66 66 69", "A0\t20", "3000\t20", "41\t61",
         "42\t62", "65 301\tE9", "2460\t31", "AD\t"]

TEXTS = [
    "", " ", "   ", "a", " a", "a ", "  the  world  ", "the world", "of\tand",
    "\ufb01le \ufb03x", "ABBA the Abba", "cafe\u0301 caf\u00e9 e\u0301\u0301",
    "no\u00a0more\u3000time", "\u3000\u3000the", "\u2460\u2461\u2462",
    "soft\u00adhyphen", "中文字符", "the中of文and", "🦙 🦙🦙", "x\u2581y \u2581",
    "they would have been there before", "thethethethe of of", "zzzzqqqq",
    "straße STRASSE", "1 2 3 12 123", "!?.,;", "\n\n the \n", "a" * 40,
    "<sep>the<sep>", "the <sep> of", "ab" * 30, "E\u0301",
]


def train(**options):
    rng = random.Random(4)
    sentences = [" ".join(rng.choice(WORDS) for _ in range(8))
                 for _ in range(2000)]
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False) as f:
        f.write("\n".join(RULES) + "\n")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences), model_writer=model,
        model_type="unigram", minloglevel=2, num_threads=1,
        **({"normalization_rule_tsv": f.name} if options.pop("rules") else
           {"normalization_rule_name": "identity"}), **options)
    os.unlink(f.name)
    return model.getvalue()


def main():
    models = []
    for options in (
            {"rules": True, "vocab_size": 160},
            {"rules": False, "vocab_size": 160, "add_dummy_prefix": False,
             "remove_extra_whitespaces": False},
            {"rules": True, "vocab_size": 420, "byte_fallback": True,
             "remove_extra_whitespaces": False},
            {"rules": True, "vocab_size": 420, "byte_fallback": True,
             "add_dummy_prefix": False}):
        blob = train(**options)
        model = proto.ModelProto.FromString(blob)
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(blob)
        models.append({
            "add_space_prefix": model.normalizer_spec.add_dummy_prefix,
            "remove_extra_whitespaces":
                model.normalizer_spec.remove_extra_whitespaces,
            "charsmap": list(model.normalizer_spec.precompiled_charsmap),
            "unknown": processor.unk_id(),
            "pieces": [p.piece for p in model.pieces],
            "scores": [p.score for p in model.pieces],
            "types": [p.type for p in model.pieces],
            "texts": TEXTS,
            "ids": [processor.EncodeAsIds(t) for t in TEXTS]})
    print("[" + ",\n".join(json.dumps(m, separators=(",", ":"))
                           for m in models) + "]")


if __name__ == "__main__":
    main()
