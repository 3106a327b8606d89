// --memory and --memory-law: documents that a text may attend to.

#ifndef ROPEWALK_CLI_MEMORY_OPTIONS_H_
#define ROPEWALK_CLI_MEMORY_OPTIONS_H_

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "cli/options.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "memory/law.h"
#include "memory/memory.h"

namespace ropewalk::cli {

struct MemoryOptions {
  std::vector<std::string> paths;
  std::string law = "far";

  void Add(CLI::App& command);

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
  // Attaches them to an empty session.
  void Attach(engine::Session& session) const;
  // "3 memories of 5120 tokens, far:distance=5120,skip=4,alone=4".
  std::string Describe() const;

 private:
  engine::Engine& engine_;
  memory::Law law_;
  std::vector<std::shared_ptr<const memory::Memory>> memories_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_MEMORY_OPTIONS_H_
