#include "cli/command_line.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

namespace ropewalk::cli {
namespace {

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') ||
         std::string_view("_-./:=,+@%").find(c) != std::string_view::npos;
}

std::string Quote(const std::string& argument) {
  bool plain = !argument.empty();
  for (const char c : argument) plain = plain && IsPlain(c);
  if (plain) return argument;
  std::string quoted = "'";
  for (const char c : argument) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace

std::string QuoteCommand(const std::vector<std::string>& arguments) {
  std::string text;
  for (const std::string& argument : arguments) {
    text += (text.empty() ? "" : " ") + Quote(argument);
  }
  return text;
}

std::string CommandLine() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(file)), {});
  std::vector<std::string> arguments;
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find('\0', at);
    arguments.push_back(all.substr(at, end - at));
    at = end == std::string::npos ? all.size() : end + 1;
  }
  if (arguments.empty()) return "ropewalk";
  arguments.front() =
      std::filesystem::path(arguments.front()).filename().string();
  return QuoteCommand(arguments);
}

}  // namespace ropewalk::cli
