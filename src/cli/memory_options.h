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
  // Attaches them to an empty session; of more than asked for those that matter
  // most to `question`, which is told on standard error.
  void Attach(engine::Session& session, std::span<const Token> question);
  // "3 memories of 5120 tokens, " and the law, for people.
  std::string Describe() const;

 private:
  // Of memories that the prompt chose, where no law was asked for.
  memory::Law LawOfChosen(std::span<const Token> question) const;

  engine::Engine& engine_;
  memory::Law law_;
  bool law_is_asked_;
  int64_t top_;
  memory::ChooseBy by_;
  std::vector<std::shared_ptr<const memory::Memory>> memories_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEMORY_OPTIONS_H_
