#include "tokenizer/word_steps.h"

#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/delimiters.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/pre_tokenizer_expressions.h"
#include "tokenizer/spaces.h"
#include "tokenizer/step_json.h"
#include "tokenizer/step_pattern.h"
#include "tokenizer/unicode_classes.h"
#include "tokenizer/unicode_forms.h"

namespace ropewalk::tokenizer {

// One step: cuts a word of the step before it.
class WordSteps::Step {
 public:
  // `first` as in WordSteps::Split.
  using Emit = std::function<void(std::string_view word, bool first)>;

  virtual ~Step() = default;
  virtual void Apply(std::string_view text, bool first,
                     const Emit& emit) const = 0;
};

namespace {

using Step = WordSteps::Step;

// Each step may triple a word.
constexpr int kMostLongerSteps = 4;

void EmitParts(std::string_view text, bool first, const Parts& parts,
               DelimiterBehavior behavior, const Step::Emit& emit) {
  for (const Part& word : parts.Words(behavior)) {
    emit(text.substr(word.begin, word.end - word.begin),
         first && word.begin == 0);
  }
}

// Splits at single characters.
class SplitAtCharacters : public Step {
 public:
  using IsDelimiter = std::function<bool(char32_t)>;

  SplitAtCharacters(IsDelimiter is_delimiter, DelimiterBehavior behavior)
      : is_delimiter_(std::move(is_delimiter)), behavior_(behavior) {}

  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    Parts parts;
    for (size_t at = 0; at < text.size();) {
      const Character c = CharacterAt(text, at);
      if (is_delimiter_(c.code_point)) parts.AddDelimiter(at, at + c.bytes);
      at += c.bytes;
    }
    parts.Finish(text.size());
    EmitParts(text, first, parts, behavior_, emit);
  }

 private:
  IsDelimiter is_delimiter_;
  DelimiterBehavior behavior_;
};

class SplitAtPattern : public Step {
 public:
  SplitAtPattern(StepPattern pattern, DelimiterBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    Parts parts;
    pattern_.ForEachMatch(text, [&](size_t begin, size_t end) {
      parts.AddDelimiter(begin, end);
    });
    parts.Finish(text.size());
    if (invert_) parts.Invert();
    EmitParts(text, first, parts, behavior_, emit);
  }

 private:
  StepPattern pattern_;
  DelimiterBehavior behavior_;
  bool invert_;
};

// A published expression, by its rules.
class SplitByRules : public Step {
 public:
  explicit SplitByRules(const WordStage& stage) : rules_({stage}) {}

  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    const char* begin = text.data();
    rules_.Split(text, [&](std::string_view word) {
      emit(word, first && word.data() == begin);
    });
  }

 private:
  PreTokenizer rules_;
};

// Runs of word characters and runs of other characters; spaces are dropped.
class SplitWhitespace : public Step {
 public:
  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    enum class Kind { kSpace, kWord, kOther };
    const auto kind_of = [](char32_t c) {
      if (IsRustWord(c)) return Kind::kWord;
      return IsRustSpace(c) ? Kind::kSpace : Kind::kOther;
    };
    size_t begin = 0;
    Kind kind = Kind::kSpace;
    const auto emit_to = [&](size_t end) {
      if (kind != Kind::kSpace) {
        emit(text.substr(begin, end - begin), first && begin == 0);
      }
      begin = end;
    };
    for (size_t at = 0; at < text.size();) {
      const Character c = CharacterAt(text, at);
      const Kind next = kind_of(c.code_point);
      if (next != kind) emit_to(at);
      kind = next;
      at += c.bytes;
    }
    emit_to(text.size());
  }
};

class SplitByLength : public Step {
 public:
  explicit SplitByLength(int64_t length) : length_(length) {}

  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    for (size_t begin = 0; begin < text.size();) {
      size_t end = begin;
      for (int64_t i = 0; i < length_ && end < text.size(); ++i) {
        end += CharacterAt(text, end).bytes;
      }
      emit(text.substr(begin, end - begin), first && begin == 0);
      begin = end;
    }
  }

 private:
  int64_t length_;  // characters
};

// GPT-2's: bytes spelt as printable characters.
class ByteLevel : public Step {
 public:
  explicit ByteLevel(const StepJson& step)
      : add_prefix_space_(step.Bool("add_prefix_space", true)) {
    if (step.Bool("use_regex", true)) {
      rules_.emplace(
          std::vector<WordStage>{*StageOfExpression(Gpt2Expression())});
    }
  }

  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    std::string prefixed;
    if (add_prefix_space_ && !text.starts_with(' ')) {
      prefixed = ' ';
      prefixed += text;
      text = prefixed;
    }
    std::string spelled;
    const auto spell = [&](std::string_view word) {
      spelled.clear();
      AppendSpelling(word, &spelled);
      emit(spelled, first && word.data() == text.data());
    };
    if (rules_) {
      rules_->Split(text, spell);
    } else {
      spell(text);
    }
  }

 private:
  bool add_prefix_space_;
  std::optional<PreTokenizer> rules_;
};

// SentencePiece's: spaces as a mark, which begins a word.
class Metaspace : public Step {
 public:
  explicit Metaspace(const StepJson& step)
      : mark_(step.String("replacement", std::string(kSpaceMark))),
        split_(step.Bool("split", true)) {
    if (mark_.empty() || CharacterAt(mark_, 0).bytes != mark_.size()) {
      throw step.Error("field 'replacement' must be one character");
    }
    const std::string scheme = step.String("prepend_scheme", "always");
    if (scheme != "always" && scheme != "first" && scheme != "never") {
      throw step.Error("field 'prepend_scheme' must be always, first or never");
    }
    // Files of before 2024 have this field instead.
    const bool old_never =
        !step.Bool("add_prefix_space", true) && scheme != "first";
    always_ = scheme == "always" && !old_never;
    first_ = scheme == "first";
  }

  void Apply(std::string_view text, bool first,
             const Emit& emit) const override {
    std::string marked;
    marked.reserve(text.size() + text.size() / 2 + mark_.size());
    const bool begins_with_mark =
        text.starts_with(' ') || text.starts_with(mark_);
    if ((always_ || (first_ && first)) && !begins_with_mark) marked = mark_;
    for (const char c : text) {
      if (c == ' ') {
        marked += mark_;
      } else {
        marked += c;
      }
    }
    const std::string_view all = marked;
    if (!split_) return emit(all, first);
    // Of several marks the last begins the word.
    for (size_t begin = 0; begin < all.size();) {
      const size_t from =
          all.substr(begin).starts_with(mark_) ? begin + mark_.size() : begin;
      const size_t end = std::min(all.size(), all.find(mark_, from));
      emit(all.substr(begin, end - begin), first && begin == 0);
      begin = end;
    }
  }

 private:
  std::string mark_;
  bool split_;
  bool always_ = false, first_ = false;
};

bool IsNumber(char32_t c) { return (ClassesOf(c) & kN) != 0; }

// Whether every character is in some match of a published expression, so that
// removing the rest removes nothing.
bool MatchesEverything(std::string_view expression) {
  return expression.find(R"([^\s\p{L}\p{N}]+)") != std::string_view::npos &&
         expression.ends_with(R"(\s+(?!\S)|\s+)");
}

std::unique_ptr<const Step> MakeSplit(const StepJson& step) {
  StepPattern pattern(step);
  const DelimiterBehavior behavior = ReadBehavior(step);
  const bool invert = step.Bool("invert", false);
  if (pattern.expression()) {
    const std::optional<WordStage> stage =
        StageOfExpression(*pattern.expression());
    const bool isolated = behavior == DelimiterBehavior::kIsolated;
    const bool kept = behavior == DelimiterBehavior::kRemoved && invert &&
                      MatchesEverything(*pattern.expression());
    if (stage && (isolated || kept)) {
      return std::make_unique<SplitByRules>(*stage);
    }
  }
  return std::make_unique<SplitAtPattern>(std::move(pattern), behavior, invert);
}

std::unique_ptr<const Step> MakeDelimiter(const StepJson& step) {
  const std::string text = step.String("delimiter");
  const Character c = text.empty() ? Character{} : CharacterAt(text, 0);
  if (c.bytes != text.size() || text.empty()) {
    throw step.Error("field 'delimiter' must be one character");
  }
  return std::make_unique<SplitAtCharacters>(
      [delimiter = c.code_point](char32_t p) { return p == delimiter; },
      DelimiterBehavior::kRemoved);
}

}  // namespace

WordSteps::~WordSteps() = default;

WordSteps::WordSteps(const formats::Metadata& metadata,
                     const formats::Json& pre_tokenizer) {
  int longer = 0;
  const auto add = [&](auto step) { steps_.push_back(std::move(step)); };
  for (const StepJson& step :
       FlatSteps(metadata, pre_tokenizer, "pre_tokenizer", "pretokenizers")) {
    const std::string& type = step.type();
    if ((type == "ByteLevel" || type == "Metaspace") &&
        ++longer > kMostLongerSteps) {
      throw step.Error("comes too often");
    }
    if (type == "ByteLevel") {
      add(std::make_unique<ByteLevel>(step));
    } else if (type == "Metaspace") {
      add(std::make_unique<Metaspace>(step));
    } else if (type == "Split") {
      add(MakeSplit(step));
    } else if (type == "Digits") {
      add(std::make_unique<SplitAtCharacters>(
          IsNumber, step.Bool("individual_digits", false)
                        ? DelimiterBehavior::kIsolated
                        : DelimiterBehavior::kContiguous));
    } else if (type == "Punctuation") {
      add(std::make_unique<SplitAtCharacters>(IsBertPunctuation,
                                              ReadBehavior(step, "Isolated")));
    } else if (type == "BertPreTokenizer") {
      add(std::make_unique<SplitAtCharacters>(IsRustSpace,
                                              DelimiterBehavior::kRemoved));
      add(std::make_unique<SplitAtCharacters>(IsBertPunctuation,
                                              DelimiterBehavior::kIsolated));
    } else if (type == "Whitespace") {
      add(std::make_unique<SplitWhitespace>());
    } else if (type == "WhitespaceSplit") {
      add(std::make_unique<SplitAtCharacters>(IsRustSpace,
                                              DelimiterBehavior::kRemoved));
    } else if (type == "CharDelimiterSplit") {
      add(MakeDelimiter(step));
    } else if (type == "FixedLength") {
      add(std::make_unique<SplitByLength>(step.Int("length", 1, 1 << 20, 5)));
    } else {
      throw step.Unknown();
    }
  }
}

void WordSteps::Split(std::string_view text, bool first,
                      const Words& word) const {
  Run(0, text, first, word);
}

void WordSteps::Run(size_t step, std::string_view text, bool first,
                    const Words& word) const {
  if (text.empty()) return;
  if (step == steps_.size()) return word(text);
  steps_[step]->Apply(text, first, [&](std::string_view part, bool is_first) {
    Run(step + 1, part, is_first, word);
  });
}

}  // namespace ropewalk::tokenizer
