// What a person types in `ropewalk chat`: messages of one line or more, and
// commands.

#ifndef ROPEWALK_CLI_CHAT_INPUT_H_
#define ROPEWALK_CLI_CHAT_INPUT_H_

#include <istream>
#include <optional>
#include <string>

namespace ropewalk::cli {

// What was typed: a command ("/save" and the rest of its line), or a message.
struct ChatInput {
  std::string command;  // "/save"; empty for a message
  std::string text;     // of the message, or behind the command
};

// Reads from a stream; prompts are written to standard error where a person
// sits at it.
class ChatReader {
 public:
  ChatReader(std::istream& in, bool is_terminal)
      : in_(in), is_terminal_(is_terminal) {}

  // Nothing at the end of the input. A line that ends with a backslash goes on
  // in the next; lines between two lines """ are one message. A message that
  // begins with // begins with one /. Empty messages are passed over.
  std::optional<ChatInput> Read();

 private:
  std::optional<std::string> ReadLine(const char* prompt);
  std::string ReadContinued(std::string first);
  std::string ReadBlock(std::string first);

  std::istream& in_;
  bool is_terminal_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_CHAT_INPUT_H_
