#include "serve/tool_calls.h"

#include <utility>

#include "base/error.h"
#include "serve/reply.h"

namespace ropewalk::serve {
namespace {

struct Mark {
  std::string_view opener;
  std::string_view closer;
};

constexpr Mark kMarks[] = {{"<tool_call>", "</tool_call>"},
                           {"[TOOL_CALLS]", ""},
                           {"<|python_tag|>", ""},
                           {"```json", "```"}};

const std::vector<std::string_view>& MemberNames() {
  static const std::vector<std::string_view> names = {
      "name", "arguments", "parameters", "function", "type", "id"};
  return names;
}

bool IsJsonSpace(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Nothing unless it is an object, or a text of one.
std::optional<std::string> ArgumentsOf(const Json& call) {
  for (const char* name : {"arguments", "parameters"}) {
    if (!call.contains(name)) continue;
    const Json& value = call[name];
    if (value.is_object()) return Dump(value);
    if (!value.is_string()) return std::nullopt;
    const Json inner =
        formats::ParseJson(value.get_ref<const std::string&>(), name);
    if (inner.is_object()) return Dump(inner);
    return std::nullopt;
  }
  return std::nullopt;
}

std::optional<ToolCall> CallOf(const Json& json,
                               const std::set<std::string>& names) {
  // {"type": "function", "function": {"name": ...}} is what clients see.
  const bool nested = json.contains("function") && json["function"].is_object();
  const Json& call = nested ? json["function"] : json;
  for (const char* member : {"name", "function"}) {
    if (!call.contains(member) || !call[member].is_string()) continue;
    const auto& name = call[member].get_ref<const std::string&>();
    auto arguments = ArgumentsOf(call);
    if (!arguments || !names.contains(name)) return std::nullopt;
    return ToolCall{name, std::move(*arguments)};
  }
  return std::nullopt;
}

// Empty unless all of it is calls.
std::vector<ToolCall> CallsOf(std::string_view text,
                              const std::set<std::string>& names) {
  std::vector<ToolCall> calls;
  try {
    Json json = formats::ParseJson(text, "call");
    if (json.is_object()) json = Json::array({std::move(json)});
    for (const Json& item : json) {
      auto call = CallOf(item, names);
      if (!call) return {};
      calls.push_back(std::move(*call));
    }
  } catch (const FormatError&) {
    return {};
  }
  return calls;
}

}  // namespace

std::vector<AnswerPart> ToolCallFinder::Add(std::string_view text) {
  for (const char c : text) Feed(c);
  return std::exchange(parts_, {});
}

std::vector<AnswerPart> ToolCallFinder::Finish() {
  // A closing mark that was cut short is no text.
  const bool cut = state_ == State::kSearch && closer_.starts_with(held_);
  if (!cut) Release();
  held_.clear();
  return std::exchange(parts_, {});
}

void ToolCallFinder::Feed(char c) {
  switch (state_) {
    case State::kSearch:
      return Search(c);
    case State::kOpened:
      if (!IsJsonSpace(c) && c != '{' && c != '[') return GiveUp(c);
      held_ += c;
      if (!IsJsonSpace(c)) BeginJson(held_.size() - 1);
      return;
    case State::kJson:
      return FeedJson(c);
  }
}

void ToolCallFinder::Search(char c) {
  if (SkipsSpace(c)) return;
  held_ += c;
  const std::string_view mark = std::string_view(held_).substr(mark_at_);
  if (mark == closer_) {
    closer_ = {};
    held_.clear();
  } else if (MayBeMark()) {
    return;
  } else if (unmarked_ && (mark[0] == '{' || mark[0] == '[')) {
    next_closer_ = {};
    BeginJson(mark_at_);
  } else if (place_ == Place::kText && held_.size() == 1) {
    Release();
  } else {
    held_.pop_back();
    GiveUp(c);
  }
}

bool ToolCallFinder::SkipsSpace(char c) {
  if (held_.size() != mark_at_) return false;
  if (place_ == Place::kAfterCall) {
    // Llama 3 writes "; " between calls.
    return IsJsonSpace(c) || (unmarked_ && c == ';');
  }
  if (place_ != Place::kBeginning || !IsJsonSpace(c)) return false;
  held_ += c;
  ++mark_at_;
  return true;
}

// Whether what is held is a mark, or the beginning of one.
bool ToolCallFinder::MayBeMark() {
  const std::string_view mark = std::string_view(held_).substr(mark_at_);
  bool may_be = closer_.starts_with(mark);
  for (const auto& [opener, closer] : kMarks) {
    may_be |= opener.starts_with(mark);
    if (mark != opener) continue;
    state_ = State::kOpened;
    next_closer_ = closer;
  }
  return may_be;
}

void ToolCallFinder::BeginJson(size_t at) {
  const std::string begun = held_.substr(at);
  held_.resize(at);
  json_at_ = at;
  scanner_.emplace(MemberNames());
  state_ = State::kJson;
  for (const char c : begun) Feed(c);
}

void ToolCallFinder::FeedJson(char c) {
  switch (scanner_->Feed(c)) {
    case JsonScanner::Result::kMore:
      held_ += c;
      return;
    case JsonScanner::Result::kWrong:
      return GiveUp(c);
    case JsonScanner::Result::kWhole:
      held_ += c;
      return EndJson();
  }
}

void ToolCallFinder::EndJson() {
  auto calls = CallsOf(std::string_view(held_).substr(json_at_), names_);
  if (calls.empty()) return Release();
  for (ToolCall& call : calls) parts_.emplace_back(std::move(call));
  held_.clear();
  mark_at_ = 0;
  state_ = State::kSearch;
  place_ = Place::kAfterCall;
  closer_ = next_closer_;
  unmarked_ = next_closer_.empty();
}

void ToolCallFinder::GiveUp(char c) {
  Release();
  Feed(c);
}

// What is held is text, and so is what comes, up to the next mark.
void ToolCallFinder::Release() {
  if (!held_.empty()) {
    if (parts_.empty() || !std::holds_alternative<std::string>(parts_.back())) {
      parts_.emplace_back(std::string());
    }
    std::get<std::string>(parts_.back()) += held_;
  }
  held_.clear();
  mark_at_ = 0;
  state_ = State::kSearch;
  place_ = Place::kText;
  closer_ = {};
  unmarked_ = false;
}

}  // namespace ropewalk::serve
