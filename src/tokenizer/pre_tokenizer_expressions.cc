#include "tokenizer/pre_tokenizer_expressions.h"

#include <algorithm>

namespace ropewalk::tokenizer {
namespace {

const std::string kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string kContraction = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
const std::string kLead = R"([^\r\n\p{L}\p{N}]?)";
const std::string kWord = kLead + R"(\p{L}+)";
const std::string kSigns = R"( ?[^\s\p{L}\p{N}]+[\r\n]*)";
const std::string kSlashes = R"( ?[^\s\p{L}\p{N}]+[\r\n/]*)";
const std::string kSpaces = R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kOneNumber = R"(\p{N})";
const std::string kThreeNumbers = R"(\p{N}{1,3})";

std::string Join(std::initializer_list<std::string> forms) {
  std::string joined;
  for (const std::string& form : forms) {
    joined += (joined.empty() ? "" : "|") + form;
  }
  return joined;
}

// Words of letters in which capitals come first.
std::string Cased(const std::string& suffix, const std::string& but_not = "") {
  const std::string upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M})" + but_not + "]";
  const std::string lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M})" + but_not + "]";
  return Join({kLead + upper + "*" + lower + "+" + suffix,
               kLead + upper + "+" + lower + "*" + suffix});
}

// Files spell line breaks as escapes or as they are.
std::string WithEscapes(std::string_view expression) {
  std::string escaped;
  for (const char c : expression) {
    if (c == '\n') {
      escaped += "\\n";
    } else if (c == '\r') {
      escaped += "\\r";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

bool AreEqual(std::string_view a, std::string_view b) {
  return a == b || WithEscapes(a) == WithEscapes(b);
}

std::vector<PublishedPreTokenizer> MakeTable() {
  const std::string llama3 =
      Join({kContraction, kWord, kThreeNumbers, kSigns, kSpaces});
  const std::string qwen2 =
      Join({kContraction, kWord, kOneNumber, kSigns, kSpaces});
  const std::string gpt4o =
      Join({Cased(kContraction + "?"), kThreeNumbers, kSlashes, kSpaces});
  const std::string deepseek3 =
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+)"
      R"(|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)";
  const std::string deepseek3_all = deepseek3 + R"([\r\n]*|)" + kSpaces;
  const std::string han_kana = "[一-龥\u3040-\u309f\u30a0-\u30ff]+";
  const std::string asian = "[一-龥\u0800-一가-\ud7ff]+";
  const std::string lines = R"([^\n]+|[\n]+)";
  const std::string bloom = " ?[^(\\s|.,!?…。，、।۔،)]+";
  // The letters that DeepSeek's first models list. Those that normal forms
  // replace are spelt by their numbers.
  // clang-format off
  const std::string listed =
      "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-"
      "ՖႠ-"
      "ჅᎠ-"
      "Ᏽᏸ-"
      "ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-"
      "ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-"
      "ῼℂℇℊ-ℓℕℙ-"
      "ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-"
      "ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-"
      "ｚ𐐀-"
      "𐑏𐒰-"
      "𐓓𐓘-"
      "𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";
  // clang-format on
  return {
      {{"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es",
        "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jina-v1-en",
        "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais",
        "trillion", "granite-docling"},
       {kGpt2}},
      {{"default"},
       {R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {{"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone",
        "minerva-7b", "mellum2"},
       {kOneNumber, kGpt2}},
      {{"falcon"}, {R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}},
      {{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral",
        "midm-2.0", "lfm2", "jina-v5-nano", "dbrx", "smaug-bpe", "chatglm-bpe",
        "glm4", "glm5"},
       {llama3}},
      {{"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2",
        "hunyuan", "solar-open", "grok-2"},
       {qwen2}},
      {{"qwen35"},
       {Join({kContraction, R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+)", kOneNumber,
              R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)", kSpaces})}},
      {{"ufakzeka"}, {Join({kWord, kOneNumber, kSigns, kSpaces})}},
      {{"laguna"}, {lines, qwen2}},
      {{"seed-coder"},
       {Join({kContraction, kWord, R"(\p{N}{1})", R"( ?[^\s\p{L}\p{N}\r\n]+)",
              kSpaces})}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"},
       {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}|)"
        R"( ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}},
      {{"minicpm5"},
       {kThreeNumbers,
        Join({kContraction, kWord, R"(\p{N}+)", kSigns, kSpaces})}},
      {{"jais-2"},
       {Join({kContraction, kWord, kThreeNumbers, kSigns,
              R"(\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S))",
              R"(\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S))",
              R"(\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"})}},
      {{"exaone-moe"},
       {Join({kContraction,
              R"([^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+)",
              kOneNumber, R"( ?[^\s\p{L}\p{N}]+[\r\n/]?)",
              R"(\s*[\r\n]|\s+(?!\S)|\s+)"})}},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2",
        "granite-embed-multi-97m"},
       {gpt4o}},
      {{"tekken"}, {Join({Cased(""), kOneNumber, kSlashes, kSpaces})}},
      {{"tiny_aya", "cohere2moe"}, {R"(\d{1,3}(?=(?:\d{3})*\b))", gpt4o}},
      {{"youtu"},
       {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-"
        "ㄯ]"
        "+"
        "|" +
            han_kana,
        Join({Cased(kContraction + "?"), kOneNumber, kSlashes, kSpaces})}},
      {{"kimi-k2"},
       {Join({R"([\p{Han}]+)", Cased(kContraction + "?", R"(&&[^\p{Han}])"),
              kThreeNumbers, kSigns, kSpaces})}},
      {{"deepseek-llm"},
       {"[\r\n]", R"(\s?[)" + listed + "]+",
        "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+", R"(\s+$)", asian, R"(\p{N}+)"}},
      {{"deepseek-coder"},
       {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", asian, kOneNumber}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
       {kThreeNumbers, han_kana, deepseek3_all}},
      {{"spark2_5"},
       {kThreeNumbers, han_kana, deepseek3 + R"(|[\r\n]|\s+(?!\S)|\s+)",
        kOneNumber}},
      {{"afmoe"},
       {R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))",
        "[一-鿿㐀-䶿豈-\ufaff぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿\u0e80-"
        "\u0effក-"
        "\u17ffက-"
        "႟ꩠ-ꩿꧠ-꧿가-\ud7afᄀ-ᇿ]+",
        deepseek3_all}},
      {{"bloom", "poro-chat", "gpt3-finnish"}, {bloom}},
      {{"viking"}, {bloom, kOneNumber}},
      {{"chameleon"},
       {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
        "([\\t\\n]|    |  )", kOneNumber, R"([\p{P}!-/:-@\[-`{-~])", kGpt2}},
      {{"superbpe"}, {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"}},
      {{"gemma4", "granite-embed-multi-311m", "sarvam-moe"}, {lines}},
      {{"whitespace"}, {R"(\S+)"}},
  };
}

}  // namespace

const std::vector<PublishedPreTokenizer>& PublishedPreTokenizers() {
  static const std::vector<PublishedPreTokenizer> table = MakeTable();
  return table;
}

const std::string& Gpt2Expression() { return kGpt2; }

const PublishedPreTokenizer* FindPublished(std::string_view name) {
  for (const PublishedPreTokenizer& published : PublishedPreTokenizers()) {
    if (std::find(published.names.begin(), published.names.end(), name) !=
        published.names.end()) {
      return &published;
    }
  }
  return nullptr;
}

std::optional<std::string_view> NameOfExpressions(
    std::span<const std::string> expressions, bool ignore_merges) {
  for (const PublishedPreTokenizer& published : PublishedPreTokenizers()) {
    if (!std::equal(expressions.begin(), expressions.end(),
                    published.expressions.begin(), published.expressions.end(),
                    AreEqual)) {
      continue;
    }
    for (const std::string_view name : published.names) {
      const PreTokenizerSpec spec = *FindPreTokenizer(name);
      if (spec.ignore_merges == ignore_merges && !spec.characters) return name;
    }
  }
  return std::nullopt;
}

std::optional<WordStage> StageOfExpression(std::string_view expression) {
  for (const PublishedPreTokenizer& published : PublishedPreTokenizers()) {
    for (size_t i = 0; i < published.expressions.size(); ++i) {
      if (AreEqual(published.expressions[i], expression)) {
        return FindPreTokenizer(published.names[0])->stages[i];
      }
    }
  }
  return std::nullopt;
}

}  // namespace ropewalk::tokenizer
