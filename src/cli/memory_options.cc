#include "cli/memory_options.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "memory/memory_file.h"
#include "program/numbers.h"

namespace ropewalk::cli {

void MemoryOptions::Add(CLI::App& command, bool chooses) {
  command
      .add_option("--memory", paths,
                  "document that was read with `remember`, a file or a folder "
                  "of them, which the text attends to; repeat for more, in any "
                  "order")
      ->type_name("PATH")
      ->allow_extra_args(false);
  command
      .add_option(
          "--memory-law", law,
          "where memories stand: far[:distance=LEN], place or order, "
          "with skip=N, alone=N, sharpness=X, bias=X (docs/memories.md); auto: "
          "far, and place for those of --memory-top while they fit")
      ->type_name("LAW")
      ->capture_default_str();
  if (!chooses) return;
  program::AddInteger(command, "--memory-top", top,
                      "attend to so many of the memories alone, those that "
                      "matter most to the prompt; 0: to all",
                      {.least = 0, .most = 1000000})
      ->capture_default_str();
  command
      .add_option("--memory-by", by,
                  "how they are chosen: `words`, by BM25 over tokens, or "
                  "`attention`, by what the prompt would look at, where long "
                  "memories have more to look at")
      ->type_name("HOW")
      ->capture_default_str();
}

void MemoryOptions::Check() const {
  if (law != "auto") (void)memory::ParseLaw(law);
  Require(Any() || law == "auto", "--memory-law goes with --memory");
  Require(Any() || top == 0, "--memory-top goes with --memory");
  Require(by == "attention" || by == "words",
          "--memory-by must be attention or words, got '" + Printable(by, 40) +
              "'");
}

OpenMemories::OpenMemories(const MemoryOptions& options, engine::Engine& engine)
    : engine_(engine),
      law_(memory::LawFor(
          memory::ParseLaw(options.law == "auto" ? "far" : options.law),
          engine.positions())),
      law_is_asked_(options.law != "auto"),
      top_(options.top),
      by_(options.by == "words" ? memory::ChooseBy::kWords
                                : memory::ChooseBy::kAttention) {
  if (!options.Any()) return;
  for (const std::string& file : memory::MemoryFiles(options.paths)) {
    memories_.push_back(memory::OpenMemory(file, engine));
  }
}

DType OpenMemories::TypeFor(const KvOptions& kv) const {
  if (!Any()) return kv.Type();
  const DType type = memories_.front()->type;
  Require(!kv.Given() || kv.Type() == type,
          "--kv-type " + kv.type + ": the memories are in " +
              std::string(InfoOf(type).name) +
              ", and keys and values of one text are in one type");
  return type;
}

std::shared_ptr<const model::Memories> OpenMemories::For(
    const position::Stack& stack) const {
  return Any() ? memory::Arrange(memories_, law_, engine_, stack) : nullptr;
}

void OpenMemories::Attach(engine::Session& session,
                          std::span<const Token> question) {
  if (!Any()) return;
  if (top_ > 0 && top_ < static_cast<int64_t>(memories_.size())) {
    const memory::Choices choices =
        memory::Choose(engine_, memories_, question, law_, top_, by_);
    std::vector<std::shared_ptr<const memory::Memory>> chosen;
    for (const memory::Choice& choice : choices.best) {
      chosen.push_back(memories_[static_cast<size_t>(choice.index)]);
      std::fprintf(stderr, "memory %s: %.1f %%\n",
                   Printable(chosen.back()->name).c_str(), 100 * choice.share);
    }
    std::fprintf(stderr, "the other %zu: %.1f %%\n",
                 memories_.size() - chosen.size(), 100 * choices.left_out);
    memories_ = std::move(chosen);
    if (!law_is_asked_) law_ = LawOfChosen(question);
  }
  session.Attach(For(session.sequence().stack()));
}

memory::Law OpenMemories::LawOfChosen(std::span<const Token> question) const {
  size_t longest = 0;
  for (const auto& memory : memories_) {
    longest = std::max(longest, memory->tokens.size());
  }
  return memory::LawForChosen(static_cast<int64_t>(longest),
                              static_cast<int64_t>(question.size()),
                              engine_.positions());
}

std::string OpenMemories::Describe() const {
  int64_t tokens = 0;
  for (const auto& memory : memories_) {
    tokens += static_cast<int64_t>(memory->tokens.size());
  }
  return std::to_string(memories_.size()) +
         (memories_.size() == 1 ? " memory of " : " memories of ") +
         std::to_string(tokens) + " tokens, " + memory::ToString(law_);
}

}  // namespace ropewalk::cli
