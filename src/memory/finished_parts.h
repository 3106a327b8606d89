// The parts of a document that is still being read, beside the memory that they
// will be, so that a reading that was stopped goes on with the next part.

#ifndef ROPEWALK_MEMORY_FINISHED_PARTS_H_
#define ROPEWALK_MEMORY_FINISHED_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "formats/safetensors.h"

namespace ropewalk::memory {

// Files PATH.parts/NUMBER, each with a checksum and the hash of what it belongs
// to. They only save work: one that is damaged, cut or of another text counts
// as missing.
class FinishedParts {
 public:
  // `hash` stands for everything that decides the bytes of a part.
  FinishedParts(const std::string& path, std::string hash);

  // The tiles of a part, if all `bytes` of them are there.
  std::optional<formats::SafetensorsFile> Find(size_t part,
                                               int64_t bytes) const;
  static std::span<const std::byte> Tiles(const formats::SafetensorsFile& file);

  // Keeps a part of `bytes` bytes, which `write` hands to the writer. Throws
  // IoError.
  template <typename Write>
  void Keep(size_t part, int64_t bytes, const Write& write) {
    formats::SafetensorsWriter writer(Begin(part));
    Declare(writer, bytes);
    write(writer);
    writer.Finish();
  }

  // All of them.
  void Remove() const;

 private:
  std::string Begin(size_t part) const;
  void Declare(formats::SafetensorsWriter& writer, int64_t bytes) const;
  std::string PathOf(size_t part) const;

  std::string folder_;
  std::string hash_;
};

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_FINISHED_PARTS_H_
