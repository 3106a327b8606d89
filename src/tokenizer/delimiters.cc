#include "tokenizer/delimiters.h"

#include <algorithm>
#include <string>

namespace ropewalk::tokenizer {

DelimiterBehavior ReadBehavior(const StepJson& step, std::string_view usual) {
  const std::string name = usual.empty()
                               ? step.String("behavior")
                               : step.String("behavior", std::string(usual));
  if (name == "Removed") return DelimiterBehavior::kRemoved;
  if (name == "Isolated") return DelimiterBehavior::kIsolated;
  if (name == "MergedWithPrevious") {
    return DelimiterBehavior::kMergedWithPrevious;
  }
  if (name == "MergedWithNext") return DelimiterBehavior::kMergedWithNext;
  if (name == "Contiguous") return DelimiterBehavior::kContiguous;
  throw step.Error(
      "field 'behavior' must be Removed, Isolated, MergedWithPrevious, "
      "MergedWithNext or Contiguous");
}

void Parts::AddDelimiter(size_t begin, size_t end) {
  if (begin > end_) parts_.push_back({end_, begin, false});
  parts_.push_back({begin, end, true});
  end_ = end;
}

void Parts::Finish(size_t size) {
  if (size > end_) parts_.push_back({end_, size, false});
  end_ = size;
}

void Parts::Invert() {
  for (Part& part : parts_) part.is_delimiter = !part.is_delimiter;
}

std::vector<Part> Parts::Words(DelimiterBehavior behavior) const {
  std::vector<Part> words;
  bool after_delimiter = false;
  switch (behavior) {
    case DelimiterBehavior::kIsolated:
      return parts_;
    case DelimiterBehavior::kRemoved:
      for (const Part& part : parts_) {
        if (!part.is_delimiter) words.push_back(part);
      }
      break;
    case DelimiterBehavior::kContiguous:
      for (const Part& part : parts_) {
        if (!words.empty() && words.back().is_delimiter == part.is_delimiter) {
          words.back().end = part.end;
        } else {
          words.push_back(part);
        }
      }
      break;
    case DelimiterBehavior::kMergedWithPrevious:
      for (const Part& part : parts_) {
        if (part.is_delimiter && !after_delimiter && !words.empty()) {
          words.back().end = part.end;
        } else {
          words.push_back(part);
        }
        after_delimiter = part.is_delimiter;
      }
      break;
    case DelimiterBehavior::kMergedWithNext:
      for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
        if (part->is_delimiter && !after_delimiter && !words.empty()) {
          words.back().begin = part->begin;
        } else {
          words.push_back(*part);
        }
        after_delimiter = part->is_delimiter;
      }
      std::reverse(words.begin(), words.end());
      break;
  }
  return words;
}

}  // namespace ropewalk::tokenizer
