#include "tokenizer/regular_expression.h"

#include <oniguruma.h>

#include <limits>
#include <optional>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"
#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {
namespace {

// Of one match. A search may take more, since it tries many places.
constexpr unsigned long kMostStepsBack = 1'000'000;
constexpr unsigned long kMostStepsAByte = 64;
constexpr unsigned kMostPlaces = 1'000'000;

const OnigUChar* Bytes(const char* text) {
  return reinterpret_cast<const OnigUChar*>(text);
}

// Once in a process.
void Initialize() {
  static const int status = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    return onig_initialize(encodings, 1);
  }();
  ROPEWALK_CHECK(status == ONIG_NORMAL);
}

std::string Message(int code, OnigErrorInfo* info) {
  OnigUChar text[ONIG_MAX_ERROR_MESSAGE_LEN];
  const int bytes = info ? onig_error_code_to_str(text, code, info)
                         : onig_error_code_to_str(text, code);
  return Printable(
      {reinterpret_cast<const char*>(text), static_cast<size_t>(bytes)});
}

// What one run over a text needs.
struct Search {
  explicit Search(size_t text_bytes)
      : region(onig_region_new()), limits(onig_new_match_param()) {
    if (region == nullptr || limits == nullptr) throw std::bad_alloc();
    onig_initialize_match_param(limits);
    onig_set_retry_limit_in_match_of_match_param(limits, kMostStepsBack);
    onig_set_retry_limit_in_search_of_match_param(
        limits, kMostStepsBack + kMostStepsAByte * text_bytes);
    onig_set_match_stack_limit_size_of_match_param(limits, kMostPlaces);
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;
  ~Search() {
    if (region != nullptr) onig_region_free(region, 1);
    if (limits != nullptr) onig_free_match_param(limits);
  }

  OnigRegion* region;
  OnigMatchParam* limits;
};

}  // namespace

struct RegularExpression::Compiled {
  Compiled() = default;
  Compiled(const Compiled&) = delete;
  Compiled& operator=(const Compiled&) = delete;
  ~Compiled() { onig_free(regex); }

  regex_t* regex = nullptr;
};

RegularExpression::RegularExpression(const std::string& expression) {
  Require(expression.size() <= kMaxBytes,
          "a regular expression may have " + std::to_string(kMaxBytes) +
              " bytes, got " + std::to_string(expression.size()));
  Require(!FindInvalidUtf8(expression), "a regular expression must be UTF-8");
  Initialize();
  auto compiled = std::make_shared<Compiled>();
  OnigErrorInfo info;
  const OnigUChar* begin = Bytes(expression.data());
  const int code = onig_new(&compiled->regex, begin, begin + expression.size(),
                            ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                            ONIG_SYNTAX_DEFAULT, &info);
  if (code != ONIG_NORMAL) {
    throw std::invalid_argument("the regular expression '" +
                                Printable(expression, 60) +
                                "': " + Message(code, &info));
  }
  compiled_ = std::move(compiled);
}

void RegularExpression::ForEachMatch(
    std::string_view text,
    const std::function<void(size_t, size_t)>& match) const {
  Require(text.size() < size_t{std::numeric_limits<int>::max()},
          "Encode: a regular expression reads less than 2 GiB, got " +
              std::to_string(text.size()) + " bytes");
  const Search search(text.size());
  const OnigUChar* begin = Bytes(text.data());
  const OnigUChar* end = begin + text.size();
  std::optional<size_t> last_end;
  for (size_t at = 0; at <= text.size();) {
    const int found =
        onig_search_with_param(compiled_->regex, begin, end, begin + at, end,
                               search.region, ONIG_OPTION_NONE, search.limits);
    if (found == ONIG_MISMATCH) return;
    if (found < 0) {
      throw std::invalid_argument(
          "Encode: the tokenizer's regular expression gives up on this text: " +
          Message(found, nullptr));
    }
    const auto from = static_cast<size_t>(search.region->beg[0]);
    const auto to = static_cast<size_t>(search.region->end[0]);
    if (from == to && last_end == to) {
      if (at >= text.size()) return;
      at += CharacterAt(text, at).bytes;
      continue;
    }
    at = to;
    last_end = to;
    match(from, to);
  }
}

}  // namespace ropewalk::tokenizer
