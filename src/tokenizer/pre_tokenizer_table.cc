// Which pre-tokenizer a name of tokenizer.ggml.pre stands for. The comments
// are the published expressions, mostly of a model's tokenizer.json. Where
// llama.cpp had to alter one for its engine, the published one counts.

#include <algorithm>
#include <iterator>

#include "tokenizer/pre_tokenizer.h"

namespace ropewalk::tokenizer {
namespace {

using Kind = WordRule::Kind;

constexpr CharacterSet Of(uint32_t classes) { return {.classes = classes}; }
constexpr CharacterSet Members(std::u32string_view members) {
  return {.members = members};
}
constexpr CharacterSet Ranges(std::u32string_view ranges) {
  return {.ranges = ranges};
}
constexpr CharacterSet Not(CharacterSet set) {
  set.negated = !set.negated;
  return set;
}

WordRule Run(const CharacterSet& body, int64_t most = kNoLimit) {
  return {.body = body, .most = most};
}
// lead?body+
WordRule Led(const CharacterSet& lead, const CharacterSet& body) {
  return {.lead = lead, .has_lead = true, .body = body};
}
// lead?body+tail{0,most}
WordRule Tailed(const CharacterSet& lead, const CharacterSet& body,
                const CharacterSet& tail, int64_t most = kNoLimit) {
  return {.lead = lead,
          .has_lead = true,
          .body = body,
          .tail = tail,
          .tail_most = most};
}
WordRule Simple(Kind kind) { return {.kind = kind}; }
WordRule Literal(std::string_view text) {
  return {.kind = Kind::kFramed, .least = 0, .most = 0, .before = text};
}

constexpr CharacterSet kBlank = Members(U" ");
constexpr CharacterSet kLineBreaks = Members(U"\r\n");
constexpr CharacterSet kAsciiLetters = Ranges(U"AZaz");
constexpr CharacterSet kAsciiDigits = Ranges(U"09");
// [^\r\n\p{L}\p{N}] and [^\s\p{L}\p{N}]
constexpr CharacterSet kNoWord = {
    .classes = kL | kN, .members = U"\r\n", .negated = true};
constexpr CharacterSet kSigns = Not(Of(kSpace | kL | kN));

// 's|'t|'re|'ve|'m|'ll|'d and (?i:'s|'t|'re|'ve|'m|'ll|'d)
const WordRule kContraction = Simple(Kind::kContraction);
const WordRule kAnyCaseContraction = {.kind = Kind::kContraction,
                                      .any_case = true};
// \s*[\r\n]+, or with one [\r\n] at the end, which ends at the same place
const WordRule kThroughLineBreak = Simple(Kind::kThroughLineBreak);
const WordRule kSpacesBeforeText = Simple(Kind::kSpacesBeforeText);
const WordRule kSpaces = Run(Of(kSpace));
// \p{N}
const WordRule kOneNumber = Run(Of(kN), 1);
const WordRule kThreeNumbers = Run(Of(kN), 3);
//  ?[^\s\p{L}\p{N}]+[\r\n]*
const WordRule kSignsAndBreaks = Tailed(kBlank, kSigns, kLineBreaks);

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
const WordStage kGpt2 = {kContraction,        Led(kBlank, Of(kL)),
                         Led(kBlank, Of(kN)), Led(kBlank, kSigns),
                         kSpacesBeforeText,   kSpaces};

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|NUMBER|
//  ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
WordStage Gpt4(const WordRule& number) {
  return {kAnyCaseContraction, Led(kNoWord, Of(kL)), number, kSignsAndBreaks,
          kThroughLineBreak,   kSpacesBeforeText,    kSpaces};
}
const WordStage kLlama3 = Gpt4(kThreeNumbers);
const WordStage kQwen2 = Gpt4(kOneNumber);

// [^\r\n\p{L}\p{N}]?UPPER*LOWER+|[^\r\n\p{L}\p{N}]?UPPER+LOWER*, both with
// CONTRACTION? behind; UPPER [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], LOWER
// [\p{Ll}\p{Lm}\p{Lo}\p{M}]
WordRule CasedWords(bool contraction, uint32_t but_not = 0) {
  return {.kind = Kind::kCased,
          .lead = kNoWord,
          .has_lead = true,
          .body = {.classes = kLu | kLt | kLm | kLo | kM, .but_not = but_not},
          .tail = {.classes = kLl | kLm | kLo | kM, .but_not = but_not},
          .contraction = contraction,
          .any_case = true};
}
//  ?[^\s\p{L}\p{N}]+[\r\n/]*
const WordRule kSignsAndSlashes = Tailed(kBlank, kSigns, Members(U"\r\n/"));
// CASED|NUMBER| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
WordStage Cased(bool contraction, const WordRule& number) {
  return {CasedWords(contraction), number, kSignsAndSlashes, kThroughLineBreak,
          kSpacesBeforeText,       kSpaces};
}
const WordStage kGpt4o = Cased(true, kThreeNumbers);

// The tail that DeepSeek 3 and those after it share:
// [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|
// [^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+...
constexpr CharacterSet kAsciiSigns = Ranges(U"!/:@[`{~");
const WordRule kSignWithLetters = {.lead = kAsciiSigns,
                                   .has_lead = true,
                                   .needs_lead = true,
                                   .body = kAsciiLetters};
const WordRule kMarkedWord =
    Led({.classes = kL | kP | kS, .members = U"\r\n", .negated = true},
        Of(kL | kM));
const WordStage kDeepSeek3Words = {kSignWithLetters,
                                   kMarkedWord,
                                   Tailed(kBlank, Of(kP | kS), kLineBreaks),
                                   kThroughLineBreak,
                                   kSpacesBeforeText,
                                   kSpaces};
// [一-龥぀-ゟ゠-ヿ]+
constexpr CharacterSet kHanKana = Ranges(U"一龥\u3040\u309f\u30a0\u30ff");
// [一-龥ࠀ-一가-퟿]+
constexpr CharacterSet kAsian = Ranges(U"一龥\u0800一가\ud7ff");
// The letters that DeepSeek's first model lists.
// It would cut these lines anew each time.
// clang-format off
constexpr CharacterSet kListedLetters = Ranges(
    U"AZazµµÀÖØöøƺƼƿǄʓʕʯͰͳͶͷͻͽͿͿΆΆΈΊΌΌΎΡΣϵϷҁҊԯԱՖႠჅᎠᏵᏸᏽᲐᲺᲽ"
    U"Ჿ"
    U"ᴀ"
    U"ᴫ"
    U"ᵫ"
    U"ᵷ"
    U"ᵹᶚḀἕἘἝἠὅὈὍὐὗὙὙὛὛὝὝὟώ"
    U"ᾀᾴᾶᾼ\u1fbe\u1fbeῂῄῆῌῐΐῖΊῠῬῲῴῶῼℂℂℇℇℊℓℕℕℙℝℤℤ\u2126\u2126ℨℨ\u212aℭℯℴℹℹℼℿⅅⅉⅎⅎ"
    U"ↃↄⰀⱻⱾⳤⳫⳮⳲⳳ"
    U"ꙀꙭꚀꚛꜢꝯꝱꞇꞋꞎꭰꮿﬀﬆﬓﬗＡＺａｚ𐐀𐑏𐒰𐓓𐓘𐓻𐲀"
    U"𐲲"
    U"𐳀"
    U"𐳲"
    U"𑢠"
    U"𑣟"
    U"𞤀𞥃");
// clang-format on

// What a name stands for beside its words.
struct Named {
  std::vector<std::string_view> names;
  PreTokenizerSpec spec;
};

const WordStage kOneNumberStage = {kOneNumber};
const WordStage kLines = {Run(Not(Members(U"\n"))), Run(Members(U"\n"))};
// [0-9][0-9][0-9]
const WordStage kThreeDigits = {{.body = kAsciiDigits, .least = 3, .most = 3}};
//  ?[^(\s|.,!?…。，、।۔،)]+
const WordStage kBloom = {
    Led(kBlank,
        {.classes = kSpace, .members = U"(|.,!?…。，、।۔،)", .negated = true})};

std::vector<Named> MakeTable() {
  std::vector<Named> table;
  const auto add = [&](std::vector<std::string_view> names,
                       std::vector<WordStage> stages) -> PreTokenizerSpec& {
    table.push_back({std::move(names), {.stages = std::move(stages)}});
    return table.back().spec;
  };
  const auto whole = [](PreTokenizerSpec& spec) -> PreTokenizerSpec& {
    spec.ignore_merges = true;
    return spec;
  };

  // [\p{P}\$\+<=>\^~\|]+, GPT-2, \p{N}+, [0-9][0-9][0-9]
  add({"default"}, {{Run({.classes = kP, .members = U"$+<=>^~|"})},
                    kGpt2,
                    {Run(Of(kN))},
                    kThreeDigits});
  add({"gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es",
       "jina-v2-de", "a.x-4.0", "mellum", "modern-bert", "jina-v1-en",
       "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais",
       "trillion", "granite-docling"},
      {kGpt2});
  add({"starcoder", "refact", "command-r", "smollm", "codeshell", "exaone",
       "minerva-7b", "mellum2"},
      {kOneNumberStage, kGpt2});
  // [\p{P}\$\+<=>\^~\|`]+, GPT-2, [0-9][0-9][0-9]
  add({"falcon"},
      {{Run({.classes = kP, .members = U"$+<=>^~|`"})}, kGpt2, kThreeDigits});

  whole(add({"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1",
             "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
            {kLlama3}))
      .add_bos = true;
  add({"dbrx", "smaug-bpe", "chatglm-bpe"}, {kLlama3});
  whole(add({"glm4", "glm5"}, {kLlama3}));
  add({"qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2",
       "hunyuan", "solar-open", "grok-2"},
      {kQwen2});
  // Qwen 2 with [\p{L}\p{M}]+ and [^\s\p{L}\p{M}\p{N}]+
  add({"qwen35"}, {{kAnyCaseContraction, Led(kNoWord, Of(kL | kM)), kOneNumber,
                    Tailed(kBlank, Not(Of(kSpace | kL | kM | kN)), kLineBreaks),
                    kThroughLineBreak, kSpacesBeforeText, kSpaces}});
  // Qwen 2 without contractions
  add({"ufakzeka"}, {{Led(kNoWord, Of(kL)), kOneNumber, kSignsAndBreaks,
                      kThroughLineBreak, kSpacesBeforeText, kSpaces}});
  // [^\n]+|[\n]+, Qwen 2
  add({"laguna"}, {kLines, kQwen2});
  // Qwen 2 with  ?[^\s\p{L}\p{N}\r\n]+
  add({"seed-coder"},
      {{kAnyCaseContraction, Led(kNoWord, Of(kL)), kOneNumber,
        Led(kBlank, kSigns), kThroughLineBreak, kSpacesBeforeText, kSpaces}});
  // Qwen 2 with '(?i:[sdmt]|ll|ve|re) and \s*[\r\n], which match the same
  add({"bailingmoe", "bailingmoe2", "llada-moe"}, {kQwen2});
  // \p{N}{1,3}, then Llama 3 with \p{N}+
  whole(add({"minicpm5"}, {{kThreeNumbers}, Gpt4(Run(Of(kN)))}));
  // Llama 3 with \s{512}(?!\S)|\s{256}(?!\S)|...|\s{1,2}(?!\S)|\s{1}
  add({"jais-2"},
      {{kAnyCaseContraction, Led(kNoWord, Of(kL)), kThreeNumbers,
        kSignsAndBreaks, kThroughLineBreak, Simple(Kind::kHalvedSpaces)}});
  // Qwen 2 with [^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+,
  //  ?[^\s\p{L}\p{N}]+[\r\n/]? and \s*[\r\n]
  add({"exaone-moe"},
      {{kAnyCaseContraction,
        {.kind = Kind::kJoinedWords, .lead = kNoWord, .has_lead = true},
        kOneNumber,
        Tailed(kBlank, kSigns, Members(U"\r\n/"), 1),
        kThroughLineBreak,
        kSpacesBeforeText,
        kSpaces}});

  add({"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {kGpt4o});
  whole(add({"granite-embed-multi-97m"}, {kGpt4o}));
  whole(add({"tekken"}, {Cased(false, kOneNumber)})).add_bos = true;
  // \d{1,3}(?=(?:\d{3})*\b), GPT-4o
  add({"tiny_aya", "cohere2moe"},
      {{{.kind = Kind::kDigitGroups, .body = Of(kNd), .alone = true}}, kGpt4o});
  // [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+,
  // then GPT-4o with \p{N}
  whole(add({"youtu"},
            {{Run(Ranges(U"가힣ㄱㆎ")),
              Run({.members = U"！…“”‘’—：；，", .ranges = U"、〿︰﹏"}),
              Run(Ranges(U"ㄅㄯ")), Run(kHanKana)},
             Cased(true, kOneNumber)}));
  // [\p{Han}]+, then GPT-4o with &&[^\p{Han}] in the classes of letters, no
  // slash
  add({"kimi-k2"},
      {{Run(Of(kHan)), CasedWords(true, kHan), kThreeNumbers, kSignsAndBreaks,
        kThroughLineBreak, kSpacesBeforeText, kSpaces}});

  // [\r\n], \s?[LISTED]+, \s?[!-/:-~！-／：-～‘-‟　-。]+, \s+$,
  // [一-龥ࠀ-一가-퟿]+, \p{N}+
  add({"deepseek-llm"}, {{Run(kLineBreaks, 1)},
                         {Led(Of(kSpace), kListedLetters)},
                         {Led(Of(kSpace), Ranges(U"!/:~！／：～‘‟\u3000。"))},
                         {Simple(Kind::kSpacesAtEnd)},
                         {Run(kAsian)},
                         {Run(Of(kN))}});
  // [\r\n], \s?\p{L}+, \s?\p{P}+, [一-龥ࠀ-一가-퟿]+, \p{N}
  add({"deepseek-coder"}, {{Run(kLineBreaks, 1)},
                           {Led(Of(kSpace), Of(kL))},
                           {Led(Of(kSpace), Of(kP))},
                           {Run(kAsian)},
                           kOneNumberStage});
  add({"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
      {{kThreeNumbers}, {Run(kHanKana)}, kDeepSeek3Words});
  // DeepSeek 3 with [\r\n] for line breaks, then \p{N}
  add({"spark2_5"}, {{kThreeNumbers},
                     {Run(kHanKana)},
                     {kSignWithLetters, kMarkedWord, Led(kBlank, Of(kP | kS)),
                      Run(kLineBreaks, 1), kSpacesBeforeText, kSpaces},
                     kOneNumberStage});
  // Runs of \p{N} in groups of three from the right, Asian scripts,
  // DeepSeek 3
  add({"afmoe"},
      {{{.kind = Kind::kDigitGroups, .body = Of(kN)}},
       {Run(
           Ranges(U"一\u9fff㐀\u4dbf豈\ufaff\u3040ゟ゠ヿ･ﾟ⼀\u2fdfเ\u0e7f\u0e80"
                  U"\u0effក\u17ffက႟ꩠ\uaa7fꧠ\ua9ff가\ud7afᄀᇿ"))},
       kDeepSeek3Words});

  add({"bloom", "poro-chat", "gpt3-finnish"}, {kBloom});
  add({"viking"}, {kBloom, kOneNumberStage});
  // <sentinel:[0-9]+>, (IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z,
  // ([\t\n]|    |  ), \p{N}, [\p{P}!-/:-@\[-`{-~], GPT-2
  add({"chameleon"},
      {{{.kind = Kind::kFramed,
         .body = kAsciiDigits,
         .before = "<sentinel:",
         .behind = ">"}},
       {{.kind = Kind::kFramed,
         .body = Ranges(U"AI"),
         .most = 4,
         .before = "IMGIMG",
         .behind = "Z"}},
       {Run(Members(U"\t\n"), 1), Literal("    "), Literal("  ")},
       kOneNumberStage,
       {Run({.classes = kP, .ranges = U"!/:@[`{~"}, 1)},
       kGpt2})
      .add_bos = true;
  // \p{N}+, (?=(\d{3})+(?!\d))
  add({"superbpe"}, {{Run(Of(kN))},
                     {{.kind = Kind::kSplitBeforeThousands, .body = Of(kNd)}}});

  // Merges over characters.
  {
    PreTokenizerSpec& gemma =
        add({"gemma4", "granite-embed-multi-311m"}, {kLines});
    gemma.characters = gemma.escape_spaces = gemma.add_bos = true;
    gemma.line_breaks_whole = true;
    PreTokenizerSpec& sarvam = add({"sarvam-moe"}, {kLines});
    sarvam.characters = sarvam.escape_spaces = true;
    add({"whitespace"}, {{Run(Not(Of(kSpace)))}}).characters = true;
  }
  return table;
}

const std::vector<Named>& Table() {
  static const std::vector<Named> table = MakeTable();
  return table;
}

}  // namespace

std::optional<PreTokenizerSpec> FindPreTokenizer(std::string_view name) {
  for (const Named& named : Table()) {
    if (std::find(named.names.begin(), named.names.end(), name) !=
        named.names.end()) {
      return named.spec;
    }
  }
  return std::nullopt;
}

std::vector<std::string_view> PreTokenizerNames() {
  std::vector<std::string_view> names;
  for (const Named& named : Table()) {
    names.insert(names.end(), named.names.begin(), named.names.end());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ropewalk::tokenizer
