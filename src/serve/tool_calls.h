// Calls of functions in what a model writes.
//
// Models were trained to write them in different forms, and which one a model
// uses shows only in its answer. These are found:
//
//   <tool_call>{"name": "f", "arguments": {...}}</tool_call>   Hermes, Qwen
//   [TOOL_CALLS][{"name": "f", "arguments": {...}}, ...]       Mistral
//   <|python_tag|>{"name": "f", "parameters": {...}}           Llama 3
//   ```json                                                    others
//   {"name": "f", "arguments": {...}}
//   ```
//
// Where the marks are control tokens they are no text, so an object or an array
// that begins the answer is one too. All of it only if `name` is a function of
// the request and there are arguments; everything else is text.

#ifndef ROPEWALK_SERVE_TOOL_CALLS_H_
#define ROPEWALK_SERVE_TOOL_CALLS_H_

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "serve/fields.h"
#include "serve/json_scanner.h"

namespace ropewalk::serve {

struct ToolCall {
  std::string name;
  std::string arguments;  // a JSON object

  bool operator==(const ToolCall&) const = default;
};

using AnswerPart = std::variant<std::string, ToolCall>;

// Takes an answer in pieces. Text that may be the beginning of a call is held
// back until that is known. What comes out, joined, does not depend on where
// the answer was cut. One thread at a time.
class ToolCallFinder {
 public:
  explicit ToolCallFinder(std::set<std::string> names)
      : names_(std::move(names)) {}

  // What is known now, in order. Texts are not empty.
  std::vector<AnswerPart> Add(std::string_view text);
  // What is still held back: the answer has ended.
  std::vector<AnswerPart> Finish();

 private:
  enum class State {
    kSearch,  // held_: spaces, then a part of a mark
    kOpened,  // held_: a mark, then spaces
    kJson,    // held_: what stands before the JSON, then what scanner_ has seen
  };
  enum class Place { kBeginning, kText, kAfterCall };

  void Feed(char c);
  void Search(char c);
  bool SkipsSpace(char c);
  bool MayBeMark();
  void BeginJson(size_t at);
  void FeedJson(char c);
  void EndJson();
  // `c`, which is not held yet, shows that what is held is text.
  void GiveUp(char c);
  void Release();

  std::set<std::string> names_;
  State state_ = State::kSearch;
  Place place_ = Place::kBeginning;
  bool unmarked_ = true;          // a call may begin without a mark
  std::string_view closer_;       // that may follow the call before
  std::string_view next_closer_;  // that may follow the call at hand
  std::string held_;
  size_t mark_at_ = 0;  // in held_, behind the spaces
  size_t json_at_ = 0;  // in held_
  std::optional<JsonScanner> scanner_;
  std::vector<AnswerPart> parts_;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_TOOL_CALLS_H_
