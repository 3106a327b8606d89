// --memory and the options that go with it: documents that a text may attend
// to.

#ifndef ROPEWALK_CLI_MEMORY_OPTIONS_H_
#define ROPEWALK_CLI_MEMORY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "base/token.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "memory/choose.h"
#include "memory/law.h"
#include "memory/memory.h"
#include "position/plan.h"

namespace ropewalk::cli {

struct MemoryOptions {
  std::vector<std::string> paths;
  std::string law = "auto";
  int64_t top = 0;  // 0: all
  std::string by = "words";
  double reread = 0;  // share of tokens

  // `chooses`: some of many memories may be chosen by the prompt.
  void Add(CLI::App& command, bool chooses = true);

  bool Any() const { return !paths.empty(); }
  // Throws std::invalid_argument for a law that is none, and for a law without
  // memories.
  void Check() const;
};

// Memories that are open, for the sessions of one engine.
class OpenMemories {
 public:
  // Throws like memory::OpenMemory. None where no option was given.
  OpenMemories(const MemoryOptions& options, engine::Engine& engine);

  bool Any() const { return !memories_.empty(); }
  // The type of keys and values that sessions need: that of the memories, if
  // there are some. Throws std::invalid_argument if the command line asks for
  // another.
  DType TypeFor(const KvOptions& kv) const;
  // Arranged for a text under `stack`; null without memories.
  std::shared_ptr<const model::Memories> For(
      const position::Stack& stack) const;
  // The same, of more than asked for those that matter most to `question`,
  // which is told on standard error. The same pointer as long as they, their
  // law and the frequencies of `stack` stay the same.
  std::shared_ptr<const model::Memories> ChosenFor(
      const position::Stack& stack, std::span<const Token> question);
  // Attaches them to an empty session.
  void Attach(engine::Session& session, std::span<const Token> question);
  // "3 memories of 5120 tokens, " and the law, for people: of those chosen
  // last.
  std::string Describe() const;

 private:
  using Several = std::vector<std::shared_ptr<const memory::Memory>>;

  Several Choose(std::span<const Token> question) const;
  // With some of their tokens read again, where that was asked for.
  Several ReadAgain(const Several& chosen, const memory::Law& law) const;
  // Of `chosen`, where no law was asked for.
  memory::Law LawOf(const Several& chosen,
                    std::span<const Token> question) const;

  engine::Engine& engine_;
  memory::Law law_;
  bool law_is_asked_;
  int64_t top_;
  memory::ChooseBy by_;
  double reread_;
  Several memories_;
  // What was chosen last, and how it was arranged.
  Several chosen_;
  memory::Law law_of_chosen_;
  std::vector<position::FrequencyTable> tables_;
  std::shared_ptr<const model::Memories> arranged_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEMORY_OPTIONS_H_
