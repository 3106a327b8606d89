#include "cli/chat_input.h"

#include <cstdio>
#include <utility>

namespace ropewalk::cli {
namespace {

constexpr std::string_view kBlock = "\"\"\"";

std::string Trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

ChatInput Command(const std::string& line) {
  const size_t end = std::min(line.find_first_of(" \t\n"), line.size());
  return {line.substr(0, end), Trimmed(line.substr(end))};
}

}  // namespace

std::optional<std::string> ChatReader::ReadLine(const char* prompt) {
  if (is_terminal_) {
    std::fputs(prompt, stderr);
    std::fflush(stderr);
  }
  std::string line;
  if (!std::getline(in_, line)) return std::nullopt;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

std::string ChatReader::ReadContinued(std::string first) {
  std::string text = std::move(first);
  while (text.ends_with('\\')) {
    text.pop_back();
    const auto more = ReadLine(". ");
    if (!more) break;
    text += "\n" + *more;
  }
  return text;
}

// The lines up to the closing """, the first of which begins with the opening.
std::string ChatReader::ReadBlock(std::string first) {
  std::string text = first.substr(kBlock.size());
  if (text.ends_with(kBlock)) {
    return text.substr(0, text.size() - kBlock.size());
  }
  bool begins = text.empty();
  while (const auto line = ReadLine(". ")) {
    const bool closes = line->ends_with(kBlock);
    const std::string part =
        closes ? line->substr(0, line->size() - kBlock.size()) : *line;
    if (!closes || !part.empty()) {
      text += (std::exchange(begins, false) ? "" : "\n") + part;
    }
    if (closes) break;
  }
  return text;
}

std::optional<ChatInput> ChatReader::Read() {
  while (const auto line = ReadLine("> ")) {
    if (line->starts_with(kBlock)) return ChatInput{"", ReadBlock(*line)};
    std::string text = ReadContinued(*line);
    if (Trimmed(text).empty()) continue;
    if (text.starts_with("//")) return ChatInput{"", text.substr(1)};
    if (text.starts_with('/')) return Command(text);
    return ChatInput{"", std::move(text)};
  }
  return std::nullopt;
}

}  // namespace ropewalk::cli
