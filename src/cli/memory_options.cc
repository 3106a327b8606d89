#include "cli/memory_options.h"

#include "base/error.h"
#include "base/text.h"
#include "memory/memory_file.h"

namespace ropewalk::cli {

void MemoryOptions::Add(CLI::App& command) {
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
          "with skip=N, alone=N, sharpness=X, bias=X (docs/memories.md)")
      ->type_name("LAW")
      ->capture_default_str();
}

void MemoryOptions::Check() const {
  (void)memory::ParseLaw(law);
  Require(Any() || law == "far", "--memory-law goes with --memory");
}

OpenMemories::OpenMemories(const MemoryOptions& options, engine::Engine& engine)
    : engine_(engine),
      law_(memory::LawFor(memory::ParseLaw(options.law), engine.positions())) {
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

void OpenMemories::Attach(engine::Session& session) const {
  if (!Any()) return;
  session.sequence().Attach(
      memory::Arrange(memories_, law_, engine_, session.sequence().stack()));
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
