"""Writes pre_tokenizers.json: how published pre-tokenizers cut hard texts.

Each name that tokenizer.ggml.pre may have stands here with its expressions,
as they are published (most in a model's tokenizer.json) or, where that is not
known, as llama.cpp has them. PyPI's `tokenizers` runs them.

Usage: python3 make_pre_tokenizers.py [RANDOM_TEXTS] > pre_tokenizers.json
Needs: pip install tokenizers
More random texts than the committed 24 make a longer check:
  python3 make_pre_tokenizers.py 3000 > /tmp/more.json
  ROPEWALK_PRE_TOKENIZERS=/tmp/more.json build/test/tokenizer_test
"""

import json
import random
import sys

from tokenizers import Regex, pre_tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
SIGNS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = rf"{CONTRACTION}|{WORD}|\p{{N}}{{1,3}}|{SIGNS}|{SPACES}"
QWEN2 = rf"{CONTRACTION}|{WORD}|\p{{N}}|{SIGNS}|{SPACES}"
UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"


def cased(suffix, but_not=""):
    lead = r"[^\r\n\p{L}\p{N}]?"
    return (f"{lead}[{UPPER}{but_not}]*[{LOWER}{but_not}]+{suffix}|"
            f"{lead}[{UPPER}{but_not}]+[{LOWER}{but_not}]*{suffix}")


SLASHES = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"
GPT4O = rf"{cased(CONTRACTION + '?')}|\p{{N}}{{1,3}}|{SLASHES}|{SPACES}"
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|"
             r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+")
HAN_KANA = "[一-龥\u3040-\u309f\u30a0-\u30ff]+"
ASIAN = "[一-龥\u0800-一가-\ud7ff]+"
LISTED = "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
LINES = r"[^\n]+|[\n]+"
BLOOM = r" ?[^(\s|.,!?…。，、।۔،)]+"

GROUPS = [
    (["default"], [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+",
                   "[0-9][0-9][0-9]"]),
    (["gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es",
      "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jina-v1-en",
      "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais",
      "trillion", "granite-docling"], [GPT2]),
    (["starcoder", "refact", "command-r", "smollm", "codeshell", "exaone",
      "minerva-7b", "mellum2"],
     [pre_tokenizers.Digits(individual_digits=True), GPT2]),
    (["falcon"], [pre_tokenizers.Punctuation("contiguous"), GPT2,
                  "[0-9][0-9][0-9]"]),
    (["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral",
      "midm-2.0", "lfm2", "jina-v5-nano", "dbrx", "smaug-bpe", "chatglm-bpe",
      "glm4", "glm5"], [LLAMA3]),
    (["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2",
      "hunyuan", "solar-open", "grok-2"], [QWEN2]),
    (["qwen35"], [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|"
                  r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + SPACES]),
    (["ufakzeka"], [rf"{WORD}|\p{{N}}|{SIGNS}|{SPACES}"]),
    (["laguna"], [LINES, QWEN2]),
    (["seed-coder"], [rf"{CONTRACTION}|{WORD}|\p{{N}}{{1}}|"
                      r" ?[^\s\p{L}\p{N}\r\n]+|" + SPACES]),
    (["bailingmoe", "bailingmoe2", "llada-moe"],
     [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}|"
      r" ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"]),
    (["minicpm5"], [r"\p{N}{1,3}",
                    rf"{CONTRACTION}|{WORD}|\p{{N}}+|{SIGNS}|{SPACES}"]),
    (["jais-2"],
     [rf"{CONTRACTION}|{WORD}|\p{{N}}{{1,3}}|{SIGNS}|\s*[\r\n]+|"
      r"\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|"
      r"\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|"
      r"\s{1,2}(?!\S)|\s{1}"]),
    (["exaone-moe"],
     [CONTRACTION +
      r"|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}|"
      r" ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"]),
    (["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2",
      "granite-embed-multi-97m"], [GPT4O]),
    (["tekken"], [rf"{cased('')}|\p{{N}}|{SLASHES}|{SPACES}"]),
    (["tiny_aya", "cohere2moe"], [r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O]),
    (["youtu"],
     ["[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + HAN_KANA,
      rf"{cased(CONTRACTION + '?')}|\p{{N}}|{SLASHES}|{SPACES}"]),
    (["kimi-k2"],
     [r"[\p{Han}]+|" + cased(CONTRACTION + "?", r"&&[^\p{Han}]") +
      rf"|\p{{N}}{{1,3}}|{SIGNS}|{SPACES}"]),
    (["deepseek-llm"],
     ["[\r\n]", rf"\s?[{LISTED}]+",
      "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", r"\s+$", ASIAN, r"\p{N}+"]),
    (["deepseek-coder"],
     ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", ASIAN, r"\p{N}"]),
    (["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
     [r"\p{N}{1,3}", HAN_KANA, DEEPSEEK3 + "[\r\n]*|" + SPACES]),
    (["spark2_5"],
     [r"\p{N}{1,3}", HAN_KANA, DEEPSEEK3 + "|[\r\n]|" + r"\s+(?!\S)|\s+",
      r"\p{N}"]),
    (["afmoe"],
     [r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))", "[一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+",
      DEEPSEEK3 + "[\r\n]*|" + SPACES]),
    (["bloom", "poro-chat", "gpt3-finnish"], [BLOOM]),
    (["viking"], [BLOOM, r"\p{N}"]),
    (["chameleon"],
     ["<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
      "([\\t\\n]|    |  )", r"\p{N}", r"[\p{P}!-/:-@\[-`{-~]", GPT2]),
    (["superbpe"], [r"\p{N}+", r"(?=(\d{3})+(?!\d))"]),
    (["gemma4", "granite-embed-multi-311m", "sarvam-moe"], [LINES]),
    (["whitespace"], [r"\S+"]),
]

TEXTS = [
    "", " ", "\n", "\t", "  ", " \n", "\n ", "\r\n", " \r\n \r\n  x", "a",
    " a", "Hello, world! It's 2024.", "I'll I'LL we've WE'VE they'Re 'S'T 'D",
    "'s 't 're've'm'll'd '\u017f x'\u017f 'Ll'lL 'r 'v 'l '", "don''t o'clock",
    "a  b   c    d\n\n e \n\n\n f   ", "\n\n\n\n\n\n\n\n\n\n",
    " " * 700 + "x" + " " * 1300, " " * 5 + "\n" + " " * 5, "\t\t x\t\n",
    "1 12 123 1234 12345 123456 1234567", "1234567890123456789x 1234_ 12345é",
    "٣٤٥ 一二三 ½¾ ²³ ⅧⅨ 123½456 ½12345 345²678 1234Ⅷ",
    "x=3.14159e-10; if(a<=b){c+=d;} // 100%\n", "</s><|im_end|>$^~|`+<=>$$",
    "http://example.com/a/b/?q=1&r=2#x\n/\n//\r\n/", "CamelCaseHTTPServer XMLaB",
    "ÀÉÎ Ñandú ΑΒΓ αβγ ДОМ дом ǅ ǆ ʰʱ aʰ Aʰ", "e\u0301 E\u0301te\u0301 \u0301a "
    "\u0301\u0301 1\u0301 .\u0301 '\u0301s", "中文字符测试，你好。世界！《书》",
    "中A中AB中b ひらがなカタカナ漢字Kanji 한국어 한글ㄱㄴㆎ ㄅㄆ", "ไทยภาษา 123 ๑๒๓ "
    "ສະບາຍດີ ភាសា မြန်မာ", "हिन्दी भाषा। اردو۔ العربية، עברית", "🦙👩‍👩‍👧‍👦🏳️‍🌈 👍🏽a🇩🇪 x😀😀y",
    "a\u00a0b\u00a0\u00a0c \u2028 \u2029x\u3000y\u3000\u3000 \u200b\u200d\ufeffz"
    "\u0085w\u000b\f\u001cv", "“Quote” ‘q’ — – … „x‟ ‐ ，：；、〿︰﹏ ！～",
    "<sentinel:12><sentinel:> IMGIMGABCZ IMGIMGABCDEZ IMGIMGZ",
    "()((|.,!?…。，、।۔،) a(b|c.d", "_a __b -c .d #e @f $g %h ^i\n*j",
    "〇〡々 ⺀⼀ 豈ﾊﾝｶｸ ＡＢｃ１２", "\ufffd\u0378\U000e0001a\U0001d400\U00020000",
    "a b c  d e\u0301 f é", "x \n\n  \t y\r\r\n z /\n / \r\n",
]

ALPHABET = list("aAzZéÉßǅʰЖжα中々〇あア한ㄱㄅไ्ि\u0301\u0308१٣½²Ⅷ019019 \n\r\t  "
                "''sStTlLmMdDrReEvV.,;!/-_$+<=>^~|`\"()[]、。，‘…「\u00a0\u2028\u3000"
                "\u0085\u200b🦙👍\u200d\ufe0f\ufffd\u017f")


def split(steps, text):
    """The words' lengths in bytes."""
    sequence = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(s), "isolated") if isinstance(s, str)
         else s for s in steps])
    words = [word for word, _ in sequence.pre_tokenize_str(text)]
    assert "".join(words) == text
    return [len(word.encode()) for word in words if word]


def main():
    rng = random.Random(20)
    texts = list(TEXTS)
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 24):
        texts.append("".join(rng.choice(ALPHABET)
                             for _ in range(rng.randrange(8, 48))))
    lines = [json.dumps({"names": names,
                         "words": [split(steps, text) for text in texts]},
                        separators=(",", ":")) for names, steps in GROUPS]
    print('{"texts":' + json.dumps(texts) + ',\n"groups":[\n' +
          ",\n".join(lines) + "]}")


if __name__ == "__main__":
    main()
