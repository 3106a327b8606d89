// The loop of `ropewalk chat`: input, commands, answers, the status line.

#ifndef ROPEWALK_CLI_CHAT_LOOP_H_
#define ROPEWALK_CLI_CHAT_LOOP_H_

#include <cstdint>
#include <string>

#include "cli/chat_input.h"
#include "engine/chat.h"

namespace ropewalk::cli {

struct ChatLoopOptions {
  std::string session;       // file of the conversation; empty: none
  std::string prompt_cache;  // file of its keys and values; empty: none
  bool is_terminal = false;  // a person sits at it
};

// Answers go to standard output, everything else to standard error.
class ChatLoop {
 public:
  ChatLoop(engine::Chat& chat, const ChatLoopOptions& options)
      : chat_(chat), options_(options) {}

  // Takes the session file up, then answers what `reader` gives to its end.
  // Throws what ends the program.
  void Run(ChatReader& reader);

 private:
  void TakeUp();
  bool Obey(const ChatInput& input);  // false: the program ends
  void Ask(const std::string& text);
  void Answer();
  void Regenerate();
  void Edit(const std::string& text);
  void Undo();
  void SetSystem(const std::string& text);
  void Save(const std::string& path);
  void Load(const std::string& path);
  void Keep();
  std::string Status() const;
  void Tell(const std::string& text) const;
  void TellStatus() const { Tell("[" + Status() + "]"); }

  engine::Chat& chat_;
  const ChatLoopOptions& options_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_CHAT_LOOP_H_
