#include "tokenizer/special_frame.h"

#include <string>

#include "base/text.h"
#include "tokenizer/step_json.h"

namespace ropewalk::tokenizer {
namespace {

Token CheckedId(const StepJson& step, const formats::Json& id, int64_t size) {
  if (!id.is_number_unsigned() ||
      id.get<uint64_t>() >= static_cast<uint64_t>(size)) {
    throw step.Error("a special token must have an id below " +
                     std::to_string(size) + ", got " +
                     Printable(id.dump(), 40));
  }
  return static_cast<Token>(id.get<uint64_t>());
}

// The ids of a name in the field special_tokens.
std::vector<Token> TemplateIds(const StepJson& step, const std::string& name,
                               int64_t size) {
  const formats::Json* all = step.Find("special_tokens");
  if (all == nullptr || !all->is_object() || !all->contains(name) ||
      !(*all)[name].is_object() || !(*all)[name].contains("ids") ||
      !(*all)[name]["ids"].is_array()) {
    throw step.Error("field 'special_tokens' has no ids of '" +
                     Printable(name, 40) + "'");
  }
  std::vector<Token> ids;
  for (const formats::Json& id : (*all)[name]["ids"]) {
    ids.push_back(CheckedId(step, id, size));
  }
  return ids;
}

SpecialFrame ReadTemplate(const StepJson& step, int64_t size) {
  const formats::Json* single = step.Find("single");
  if (single == nullptr || !single->is_array()) {
    throw step.Error("field 'single' must be a list");
  }
  SpecialFrame frame;
  int texts = 0;
  for (const formats::Json& piece : *single) {
    if (piece.is_object() && piece.contains("Sequence")) {
      ++texts;
      continue;
    }
    if (!piece.is_object() || !piece.contains("SpecialToken") ||
        !piece["SpecialToken"].is_object() ||
        !piece["SpecialToken"].contains("id") ||
        !piece["SpecialToken"]["id"].is_string()) {
      throw step.Error(
          "each part of 'single' must be a Sequence or a "
          "SpecialToken with an id");
    }
    const auto ids =
        TemplateIds(step, piece["SpecialToken"]["id"].get<std::string>(), size);
    std::vector<Token>& side = texts == 0 ? frame.front : frame.behind;
    side.insert(side.end(), ids.begin(), ids.end());
  }
  if (texts != 1) {
    throw step.Error("the text must stand exactly once in 'single', got " +
                     std::to_string(texts) + " times");
  }
  return frame;
}

// A field [piece, id].
Token ReadPair(const StepJson& step, const char* name, int64_t size) {
  const formats::Json* pair = step.Find(name);
  if (pair == nullptr || !pair->is_array() || pair->size() != 2) {
    throw step.Error("field '" + std::string(name) + "' must be [piece, id]");
  }
  return CheckedId(step, (*pair)[1], size);
}

}  // namespace

SpecialFrame ReadSpecialFrame(const formats::Metadata& metadata,
                              const formats::Json& post_processor,
                              int64_t size) {
  SpecialFrame frame;
  for (const StepJson& step :
       FlatSteps(metadata, post_processor, "post_processor", "processors")) {
    SpecialFrame next;
    if (step.type() == "TemplateProcessing") {
      next = ReadTemplate(step, size);
    } else if (step.type() == "BertProcessing" ||
               step.type() == "RobertaProcessing") {
      next = {{ReadPair(step, "cls", size)}, {ReadPair(step, "sep", size)}};
    } else if (step.type() != "ByteLevel") {  // which only moves offsets
      throw step.Unknown();
    }
    frame.front.insert(frame.front.begin(), next.front.begin(),
                       next.front.end());
    frame.behind.insert(frame.behind.end(), next.behind.begin(),
                        next.behind.end());
    if (frame.front.size() + frame.behind.size() > 1024) {
      throw step.Error("more than 1024 special tokens around a text");
    }
  }
  return frame;
}

}  // namespace ropewalk::tokenizer
