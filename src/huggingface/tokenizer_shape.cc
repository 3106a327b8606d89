#include "huggingface/tokenizer_shape.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "tokenizer/pre_tokenizer_expressions.h"
#include "tokenizer/spaces.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using tokenizer::kSpaceMark;

constexpr size_t kMostSteps = 64;  // more are refused elsewhere

std::string TypeOf(const Json& step) {
  const auto type = step.find("type");
  return type != step.end() && type->is_string() ? type->get<std::string>()
                                                 : "";
}

// A field, or `usual` where it is absent or of another type.
template <typename T>
T FieldOf(const Json& step, const char* name, T usual) {
  const auto field = step.find(name);
  if (field == step.end()) return usual;
  if constexpr (std::is_same_v<T, bool>) {
    return field->is_boolean() ? field->template get<bool>() : usual;
  } else {
    return field->is_string() ? field->template get<T>() : usual;
  }
}

std::string PatternOf(const Json& step, const char* kind) {
  const auto pattern = step.find("pattern");
  if (pattern == step.end() || !pattern->is_object()) return "";
  return FieldOf<std::string>(*pattern, kind, "");
}

void Flatten(const Json& step, const char* list, std::vector<Json>* steps) {
  if (!step.is_object() || steps->size() > kMostSteps) return;
  if (TypeOf(step) != "Sequence") return steps->push_back(step);
  const auto inner = step.find(list);
  if (inner == step.end() || !inner->is_array()) return;
  for (const Json& next : *inner) Flatten(next, list, steps);
}

// The expressions of a byte-level pre_tokenizer; nullopt if it has a step that
// is no published expression.
std::optional<std::vector<std::string>> Expressions(
    const std::vector<Json>& steps) {
  std::vector<std::string> expressions;
  bool spelled = false;
  for (const Json& step : steps) {
    const std::string type = TypeOf(step);
    if (type == "ByteLevel") {
      if (spelled || FieldOf(step, "add_prefix_space", true)) {
        return std::nullopt;
      }
      spelled = &step == &steps.back();
      if (FieldOf(step, "use_regex", true)) {
        expressions.push_back(tokenizer::Gpt2Expression());
      }
    } else if (type == "Digits") {
      expressions.push_back(
          FieldOf(step, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
    } else if (type == "Punctuation" &&
               FieldOf<std::string>(step, "behavior", "") == "Contiguous") {
      expressions.push_back(R"([\p{P}\$\+<=>\^~\|`]+)");
    } else if (type == "Split") {
      const std::string behavior = FieldOf<std::string>(step, "behavior", "");
      const bool invert = FieldOf(step, "invert", false);
      if (!(behavior == "Isolated" || (behavior == "Removed" && invert))) {
        return std::nullopt;
      }
      expressions.push_back(PatternOf(step, "Regex"));
    } else {
      return std::nullopt;
    }
  }
  return expressions;
}

// Whether spaces become U+2581 and nothing else happens, and whether one is put
// in front.
struct SpaceMarks {
  bool only = true;
  bool prefix = false;
  bool splits = false;  // words do not cross a mark
};

SpaceMarks FindSpaceMarks(const std::vector<Json>& normalizer,
                          const std::vector<Json>& pre_tokenizer) {
  SpaceMarks marks;
  bool replaced = false;
  for (const Json& step : normalizer) {
    const std::string type = TypeOf(step);
    if (type == "Prepend" &&
        FieldOf<std::string>(step, "prepend", "") == kSpaceMark) {
      marks.prefix = true;
    } else if (type == "Replace" && PatternOf(step, "String") == " " &&
               FieldOf<std::string>(step, "content", "") == kSpaceMark) {
      replaced = true;
    } else {
      marks.only = false;
    }
  }
  for (const Json& step : pre_tokenizer) {
    const std::string type = TypeOf(step);
    if (type == "Metaspace") {
      const std::string scheme =
          FieldOf<std::string>(step, "prepend_scheme", "always");
      marks.prefix = marks.prefix || (scheme != "never" &&
                                      FieldOf(step, "add_prefix_space", true));
      marks.splits = FieldOf(step, "split", true);
      replaced = true;
    } else if (!(type == "Split" && PatternOf(step, "String") == " " &&
                 replaced)) {  // there is no space left to split at
      marks.only = false;
    }
  }
  marks.only = marks.only && replaced;
  return marks;
}

// Scores in the order of the merges, if a BPE that joins any two neighbours
// whose text is a piece joins the same: then each way to cut a piece in two
// pieces is a merge, and the merges that give one piece follow each other.
std::vector<float> ScoresOfMerges(
    const TokenizerPieces& pieces,
    const std::vector<std::pair<int64_t, int64_t>>& merges) {
  std::vector<float> scores(static_cast<size_t>(pieces.size()),
                            -static_cast<float>(merges.size()));
  std::vector<int64_t> ways(static_cast<size_t>(pieces.size()));
  int64_t last = -1;
  std::string joined;
  float rank = 0;
  for (const auto& [left, right] : merges) {
    joined = pieces.text(left);
    joined += pieces.text(right);
    const int64_t result = pieces.Find(joined).value_or(-1);
    if (result < 0) return {};
    // Found in the text before words are merged.
    if (pieces.type(result) == tokenizer::TokenType::kUserDefined) continue;
    const auto i = static_cast<size_t>(result);
    if (result != last && ways[i] > 0) return {};
    if (result != last) scores[i] = -(rank += 1);
    ++ways[i];
    last = result;
  }
  if (merges.size() >= (1u << 24)) return {};  // floats would be equal
  for (int64_t id = 0; id < pieces.size(); ++id) {
    const std::string& text = pieces.text(id);
    if (!pieces.IsUsed(id) ||
        pieces.type(id) != tokenizer::TokenType::kNormal || text.size() > 512) {
      continue;
    }
    int64_t found = 0;
    for (size_t cut = 1; cut < text.size(); ++cut) {
      if ((text[cut] & 0xc0) == 0x80) continue;
      found +=
          pieces.Find(text.substr(0, cut)) && pieces.Find(text.substr(cut));
    }
    if (found != ways[static_cast<size_t>(id)]) return {};
  }
  return scores;
}

bool HasMarkInside(const TokenizerPieces& pieces) {
  for (int64_t id = 0; id < pieces.size(); ++id) {
    if (pieces.type(id) == tokenizer::TokenType::kNormal &&
        pieces.text(id).find(kSpaceMark, 1) != std::string::npos) {
      return true;
    }
  }
  return false;
}

TokenizerShape ShapeOfBpe(
    const Json& json, const TokenizerPieces& pieces,
    const std::vector<std::pair<int64_t, int64_t>>& merges) {
  const std::vector<Json> normalizer =
      FlatSteps(json, "normalizer", "normalizers");
  const std::vector<Json> steps =
      FlatSteps(json, "pre_tokenizer", "pretokenizers");
  const Json& model = json.at("model");
  const bool plain =
      FieldOf<std::string>(model, "continuing_subword_prefix", "").empty() &&
      FieldOf<std::string>(model, "end_of_word_suffix", "").empty();
  const bool ignore_merges = FieldOf(model, "ignore_merges", false);
  TokenizerShape shape{.model = "gpt2", .pre = kNoPre};
  if (!plain) return shape;
  const SpaceMarks marks = FindSpaceMarks(normalizer, steps);
  if (marks.only && !ignore_merges &&
      (!marks.splits || !HasMarkInside(pieces))) {
    shape.scores = ScoresOfMerges(pieces, merges);
    if (!shape.scores.empty()) {
      shape.model = "llama";
      shape.pre = "default";
      shape.add_space_prefix = marks.prefix;
    }
    return shape;
  }
  // llama.cpp does not normalise; its converter lets NFC pass.
  const bool normal =
      std::all_of(normalizer.begin(), normalizer.end(),
                  [](const Json& step) { return TypeOf(step) == "NFC"; });
  const bool byte_level =
      std::any_of(steps.begin(), steps.end(),
                  [](const Json& step) { return TypeOf(step) == "ByteLevel"; });
  const auto expressions = Expressions(steps);
  if (normal && byte_level && expressions) {
    const auto name = tokenizer::NameOfExpressions(*expressions, ignore_merges);
    if (name) shape.pre = *name;
  }
  return shape;
}

TokenizerShape ShapeOfUnigram(const Json& json) {
  TokenizerShape shape{.model = "t5",
                       .pre = "default",
                       .add_space_prefix = false,
                       .remove_extra_spaces = false};
  for (const Json& step : FlatSteps(json, "normalizer", "normalizers")) {
    const std::string type = TypeOf(step);
    if (type == "Replace" && PatternOf(step, "Regex") == " {2,}") {
      shape.remove_extra_spaces = true;
    } else if (type != "Precompiled" && type != "Strip") {
      shape.model = kNoModel;
    }
  }
  for (const Json& step : FlatSteps(json, "pre_tokenizer", "pretokenizers")) {
    const std::string type = TypeOf(step);
    if (type == "Metaspace") {
      shape.add_space_prefix =
          FieldOf<std::string>(step, "prepend_scheme", "always") != "never" &&
          FieldOf(step, "add_prefix_space", true);
    } else if (type == "WhitespaceSplit") {
      shape.remove_extra_spaces = true;
    } else {
      shape.model = kNoModel;
    }
  }
  return shape;
}

TokenizerShape ShapeOfWordPiece(const Json& json) {
  TokenizerShape shape{.model = "bert", .pre = "default"};
  for (const Json& step : FlatSteps(json, "normalizer", "normalizers")) {
    const std::string type = TypeOf(step);
    const bool bert = type == "BertNormalizer";
    const bool lowercase = bert && FieldOf(step, "lowercase", true);
    shape.lowercase = shape.lowercase || lowercase || type == "Lowercase";
    shape.strip_accents = shape.strip_accents || type == "StripAccents" ||
                          (bert && FieldOf(step, "strip_accents", lowercase));
  }
  return shape;
}

}  // namespace

std::vector<Json> FlatSteps(const Json& json, const char* part,
                            const char* list) {
  std::vector<Json> steps;
  const auto found = json.find(part);
  if (found != json.end()) Flatten(*found, list, &steps);
  return steps;
}

TokenizerShape FindTokenizerShape(
    const Json& json, const TokenizerPieces& pieces,
    const std::vector<std::pair<int64_t, int64_t>>& merges) {
  const std::string type = TypeOf(json.at("model"));
  if (type == "BPE") return ShapeOfBpe(json, pieces, merges);
  if (type == "Unigram") return ShapeOfUnigram(json);
  if (type == "WordPiece") return ShapeOfWordPiece(json);
  return {.model = kNoModel, .pre = kNoPre};
}

}  // namespace ropewalk::huggingface
