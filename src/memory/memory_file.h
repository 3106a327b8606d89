// A memory as a file NAME.memory: safetensors with a checksum
// (docs/formats.md).
//
// It belongs to one model, by Engine::Hash(), and to one kind of products with
// its weights; both are compared before any of it is used. Opened, its tiles
// stay in the map of the file.

#ifndef ROPEWALK_MEMORY_MEMORY_FILE_H_
#define ROPEWALK_MEMORY_MEMORY_FILE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "memory/memory.h"

namespace ropewalk::memory {

inline constexpr const char* kMemorySuffix = ".memory";

// A document to be read.
struct Document {
  std::string name;
  std::string source;
  std::vector<Token> tokens;
};

// Reads a document and writes its memory to `path`, part after part, so that no
// more than one part is in memory. The file appears complete or not at all.
// Finished parts are kept in PATH.parts until then: after a call that threw or
// was killed, the next one reads only the parts that are missing. `on_read`
// gets the tokens of each chunk that is read. Throws like ReadMemory, and
// IoError.
void Remember(engine::Engine& engine, const Document& document,
              const ReadOptions& options, const std::string& path,
              const std::function<void(int64_t)>& on_read);

// Whether the file says that it holds this document, read so by this model.
// Keys and values are not read, so damage in them is not seen (OpenMemory,
// VerifyMemory). Throws IoError, and FormatError for a file that is not a
// memory.
bool Holds(const std::string& path, engine::Engine& engine,
           const Document& document, const ReadOptions& options);

// What a memory's file says of itself, without a model.
struct MemoryInfo {
  std::string path;
  std::string name;
  std::string source;
  std::string model;  // Engine::Hash()
  DType type = DType::kF16;
  int64_t tokens = 0;
  int64_t parts = 0;
  int64_t part = 0;  // ReadOptions
  int64_t overlap = 0;
  int64_t bytes = 0;  // of its tensors
};

// Throws IoError, and FormatError for a file that is not a memory.
MemoryInfo ReadInfo(const std::string& path);

// Reads every byte. Throws FormatError if the file is damaged.
void VerifyMemory(const std::string& path);

// Throws IoError, FormatError for a file that is damaged or not a memory, and
// std::invalid_argument for a memory of another model or of other products.
std::shared_ptr<const Memory> OpenMemory(const std::string& path,
                                         engine::Engine& engine);

// The files that `paths` name: files as they are, and of folders what ends in
// .memory, by name. Throws IoError, and std::invalid_argument for a folder
// without memories.
std::vector<std::string> MemoryFiles(const std::vector<std::string>& paths);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_MEMORY_FILE_H_
