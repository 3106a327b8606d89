#include "cli/memory_options.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "memory/memory_file.h"
#include "memory/reread.h"
#include "program/numbers.h"

namespace ropewalk::cli {
namespace {

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%", 100 * share);
  return text;
}

// The table that each layer's far band reads, which memories are arranged by.
std::vector<position::FrequencyTable> FarTables(const position::Stack& stack) {
  std::vector<position::FrequencyTable> tables;
  for (const position::Plan& plan : stack) {
    tables.push_back(plan.tables[static_cast<size_t>(plan.bands.back().table)]);
  }
  return tables;
}

}  // namespace

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
  command
      .add_option("--memory-reread", reread,
                  "read this share of each memory again, its first tokens, "
                  "with sight of the memories given before it, which takes "
                  "that share of the time to read them")
      ->type_name("SHARE")
      ->capture_default_str();
}

void MemoryOptions::Check() const {
  if (law != "auto") (void)memory::ParseLaw(law);
  Require(Any() || law == "auto", "--memory-law goes with --memory");
  Require(Any() || top == 0, "--memory-top goes with --memory");
  Require(Any() || reread == 0, "--memory-reread goes with --memory");
  Require(reread >= 0 && reread <= 1,
          "--memory-reread must be from 0 to 1, a share of the tokens");
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
                                : memory::ChooseBy::kAttention),
      reread_(options.reread) {
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

OpenMemories::Several OpenMemories::Choose(
    std::span<const Token> question) const {
  if (top_ == 0 || top_ >= static_cast<int64_t>(memories_.size())) {
    return memories_;
  }
  const memory::Choices choices =
      memory::Choose(engine_, memories_, question, law_, top_, by_);
  Several chosen;
  std::string told;
  for (const memory::Choice& choice : choices.best) {
    chosen.push_back(memories_[static_cast<size_t>(choice.index)]);
    told += "memory " + Printable(chosen.back()->name) + ": " +
            Percent(choice.share) + "\n";
  }
  if (chosen != chosen_) {
    std::fprintf(stderr, "%sthe other %zu: %s\n", told.c_str(),
                 memories_.size() - chosen.size(),
                 Percent(choices.left_out).c_str());
  }
  return chosen;
}

std::shared_ptr<const model::Memories> OpenMemories::ChosenFor(
    const position::Stack& stack, std::span<const Token> question) {
  if (!Any()) return nullptr;
  Several chosen = Choose(question);
  const memory::Law law = LawOf(chosen, question);
  std::vector<position::FrequencyTable> tables = FarTables(stack);
  if (arranged_ == nullptr || chosen != chosen_ || tables != tables_ ||
      memory::ToString(law) != memory::ToString(law_of_chosen_)) {
    arranged_ = memory::Arrange(ReadAgain(chosen, law), law, engine_, stack);
    chosen_ = std::move(chosen);
    law_of_chosen_ = law;
    tables_ = std::move(tables);
  }
  return arranged_;
}

OpenMemories::Several OpenMemories::ReadAgain(const Several& chosen,
                                              const memory::Law& law) const {
  if (reread_ == 0) return chosen;
  int64_t total = 0;
  for (size_t m = 1; m < chosen.size(); ++m) {
    total += static_cast<int64_t>(
        reread_ * static_cast<double>(chosen[m]->tokens.size()));
  }
  Progress progress("reading of memories again", total, "tokens");
  return memory::Reread(engine_, chosen, law, reread_, [&](int64_t tokens) {
    progress.Add(tokens);
    ThrowIfInterrupted();
  });
}

void OpenMemories::Attach(engine::Session& session,
                          std::span<const Token> question) {
  if (!Any()) return;
  session.Attach(ChosenFor(session.sequence().stack(), question));
}

memory::Law OpenMemories::LawOf(const Several& chosen,
                                std::span<const Token> question) const {
  if (law_is_asked_ || chosen.size() == memories_.size()) return law_;
  size_t longest = 0;
  for (const auto& memory : chosen) {
    longest = std::max(longest, memory->tokens.size());
  }
  return memory::LawForChosen(static_cast<int64_t>(longest),
                              static_cast<int64_t>(question.size()),
                              engine_.positions());
}

std::string OpenMemories::Describe() const {
  const bool chose = arranged_ != nullptr;
  const Several& told = chose ? chosen_ : memories_;
  int64_t tokens = 0;
  for (const auto& memory : told) {
    tokens += static_cast<int64_t>(memory->tokens.size());
  }
  return std::to_string(told.size()) +
         (told.size() == 1 ? " memory of " : " memories of ") +
         std::to_string(tokens) + " tokens, " +
         memory::ToString(chose ? law_of_chosen_ : law_);
}

}  // namespace ropewalk::cli
