#include "cli/chat_loop.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/chat_file.h"

namespace ropewalk::cli {
namespace {

constexpr const char* kHelp =
    "A line is a question. One that ends with a backslash goes on in the "
    "next;\n"
    "lines between two lines \"\"\" are one question. // begins a question "
    "with "
    "/.\n"
    "Ctrl-C stops an answer; at the prompt it ends the program, as /quit "
    "does.\n"
    "  /regenerate, /r   answer the last question anew\n"
    "  /edit TEXT        ask the last question in other words\n"
    "  /undo             take the last question and its answer back\n"
    "  /system [TEXT]    show the system text, or set it ('-': none)\n"
    "  /context          what fills the context, and what reads beyond it\n"
    "  /save FILE        write the conversation\n"
    "  /load FILE        take a conversation up\n"
    "  /clear            begin a new one; the system text stays\n"
    "  /quit";

void Say(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) {
    throw IoError(std::string("cannot write to standard output: ") +
                  std::strerror(errno));
  }
}

std::string SystemText(const formats::Json& messages) {
  if (messages.empty() || messages[0]["role"] != "system") return "";
  const formats::Json& content = messages[0]["content"];
  return content.is_string() ? content.get<std::string>() : content.dump();
}

std::string Percent(int64_t part, int64_t whole) {
  return std::to_string(part * 100 / std::max<int64_t>(whole, 1)) + "%";
}

const char* Why(engine::StopReason reason) {
  switch (reason) {
    case engine::StopReason::kTokenLimit:
      return "cut off by -n; ";
    case engine::StopReason::kContextFull:
      return "cut off: the context is full; ";
    case engine::StopReason::kStopped:
      return "stopped; ";
    default:
      return "";
  }
}

// Ctrl-C is a wish to stop the answer while this lives.
class StoppableAnswer {
 public:
  StoppableAnswer() { CatchInterrupts(); }
  ~StoppableAnswer() { StopCatchingInterrupts(); }
  StoppableAnswer(const StoppableAnswer&) = delete;
  StoppableAnswer& operator=(const StoppableAnswer&) = delete;
};

}  // namespace

void ChatLoop::Tell(const std::string& text) const {
  std::fprintf(stderr, "%s\n", text.c_str());
}

// The filled share, the trained length, and what reads what is beyond.
std::string ChatLoop::Status() const {
  const engine::Session& session = chat_.session();
  const int64_t trained = chat_.trained_length();
  const int64_t size = session.size();
  const std::string trained_text = std::to_string(trained);
  std::string status = std::to_string(size);
  if (session.length() == trained || session.length() % trained == 0) {
    status += " tokens, " + Percent(size, trained) + " of the trained length " +
              trained_text;
  } else {
    status += " of " + std::to_string(session.length()) + " tokens, " +
              Percent(size, session.length()) + "; trained to " + trained_text;
  }
  status += "; " + session.scheme().described;
  if (session.length() > trained) return status;
  return status + "; beyond: " + chat_.Beyond();
}

void ChatLoop::Run(ChatReader& reader) {
  TakeUp();
  if (options_.is_terminal) Tell("/help lists commands");
  TellStatus();
  if (chat_.AwaitsAnswer()) Answer();
  while (const auto input = reader.Read()) {
    if (!Obey(*input)) break;
  }
  Keep();
}

void ChatLoop::TakeUp() {
  std::error_code error;
  if (!options_.session.empty() &&
      std::filesystem::exists(options_.session, error)) {
    chat_.SetMessages(ReadChatFile(options_.session));
    Tell("[" + std::to_string(chat_.messages().size()) + " messages from " +
         options_.session + "]");
  }
  if (!options_.prompt_cache.empty() &&
      std::filesystem::exists(options_.prompt_cache, error)) {
    const int64_t reused = chat_.LoadCache(options_.prompt_cache);
    Tell("[" + std::to_string(reused) + " tokens from " +
         options_.prompt_cache + "]");
  }
}

bool ChatLoop::Obey(const ChatInput& input) {
  const std::string& command = input.command;
  try {
    if (command.empty()) {
      Ask(input.text);
    } else if (command == "/quit" || command == "/exit") {
      return false;
    } else if (command == "/help") {
      Tell(kHelp);
    } else if (command == "/regenerate" || command == "/r") {
      Regenerate();
    } else if (command == "/edit") {
      Edit(input.text);
    } else if (command == "/undo") {
      Undo();
    } else if (command == "/system") {
      SetSystem(input.text);
    } else if (command == "/context") {
      TellStatus();
    } else if (command == "/save") {
      Save(input.text);
    } else if (command == "/load") {
      Load(input.text);
    } else if (command == "/clear") {
      const std::string system = SystemText(chat_.messages());
      chat_.SetMessages(formats::Json::array());
      chat_.SetSystem(system);
      TellStatus();
    } else {
      Tell("'" + Printable(command, 40) + "' is no command; /help lists them");
    }
  } catch (const std::invalid_argument& error) {
    Tell(std::string("[") + error.what() + "]");
  } catch (const MemoryLimitError& error) {
    Tell(std::string("[") + error.what() + "]");
  } catch (const FormatError& error) {
    Tell(std::string("[") + error.what() + "]");
  } catch (const IoError& error) {
    // Standard output is gone if this is not about a file of a command.
    if (command.empty()) throw;
    Tell(std::string("[") + error.what() + "]");
  }
  return true;
}

void ChatLoop::Ask(const std::string& text) {
  const auto broken = FindInvalidUtf8(text);
  Require(!broken, "the question is not UTF-8 at byte " +
                       std::to_string(broken.value_or(0)));
  // A question whose answer was stopped before it began.
  if (chat_.AwaitsAnswer()) chat_.TakeBack();
  chat_.Ask(text);
  try {
    Answer();
  } catch (const std::invalid_argument&) {
    chat_.TakeBack();
    throw;
  }
}

void ChatLoop::Answer() {
  const StoppableAnswer stoppable;
  std::unique_ptr<Progress> progress;
  const auto goes_on = [] { return PendingInterrupt() == 0; };
  const engine::ChatAnswer answer = chat_.Answer(
      {.on_read =
           [&](int64_t tokens) {
             progress = std::make_unique<Progress>("reading", tokens, "tokens");
           },
       .on_prompt =
           [&](int64_t read) {
             progress->Add(read);
             return goes_on();
           },
       .on_text =
           [&](const std::string& text) {
             if (progress) progress->Clear();
             if (!text.empty()) Say(text);
             return goes_on();
           }});
  if (progress) progress->Clear();
  if (!answer.text.ends_with('\n')) Say("\n");
  Tell("[" + std::string(Why(answer.result.reason)) +
       (answer.dropped_turns == 0
            ? ""
            : std::to_string(answer.dropped_turns) + " turns taken out; ") +
       std::to_string(answer.result.prompt_tokens) + " tokens read, " +
       std::to_string(answer.reused_tokens) + " known, " +
       std::to_string(answer.result.generated_tokens) + " written; " +
       Status() + "]");
  if (!options_.session.empty()) Save(options_.session);
  if (!goes_on() && !ForgetInterrupt()) throw Interrupted();
}

void ChatLoop::Regenerate() {
  Require(chat_.TakeBackAnswer(), "there is no question to answer");
  Answer();
}

void ChatLoop::Edit(const std::string& text) {
  Require(!text.empty(), "/edit takes the question in other words");
  Require(chat_.TakeBack().has_value(), "there is no question to edit");
  Ask(text);
}

void ChatLoop::Undo() {
  const auto question = chat_.TakeBack();
  Require(question.has_value(), "there is no question to take back");
  Tell("[took back: " + Printable(*question, 60) + "]");
}

void ChatLoop::SetSystem(const std::string& text) {
  if (text.empty()) {
    const std::string system = SystemText(chat_.messages());
    Tell(system.empty() ? "[no system text but the template's own]" : system);
    return;
  }
  chat_.SetSystem(text == "-" ? "" : text);
}

void ChatLoop::Save(const std::string& path) {
  Require(!path.empty(), "/save takes the name of a file");
  WriteChatFile(path, chat_.session().engine().model().config().name,
                chat_.messages());
}

void ChatLoop::Load(const std::string& path) {
  Require(!path.empty(), "/load takes the name of a file");
  chat_.SetMessages(ReadChatFile(path));
  Tell("[" + std::to_string(chat_.messages().size()) + " messages]");
  if (chat_.AwaitsAnswer()) Answer();
}

// What the files of the call keep.
void ChatLoop::Keep() {
  if (!options_.session.empty()) Save(options_.session);
  if (!options_.prompt_cache.empty() && chat_.session().size() > 0) {
    chat_.SaveCache(options_.prompt_cache);
  }
}

}  // namespace ropewalk::cli
