// The names of temporary files that exist at this moment, so that a program
// which is ended by a signal can remove them. No destructor runs then.

#ifndef ROPEWALK_BASE_TEMPORARY_FILES_H_
#define ROPEWALK_BASE_TEMPORARY_FILES_H_

#include <string>

namespace ropewalk {

// Keeps `path` on the list for as long as it lives. The list has room for 64
// paths below PATH_MAX bytes; others are silently left out. Thread-safe.
class TemporaryFileEntry {
 public:
  TemporaryFileEntry() = default;
  explicit TemporaryFileEntry(const std::string& path);
  TemporaryFileEntry(TemporaryFileEntry&& other) noexcept;
  TemporaryFileEntry& operator=(TemporaryFileEntry&& other) noexcept;
  TemporaryFileEntry(const TemporaryFileEntry&) = delete;
  TemporaryFileEntry& operator=(const TemporaryFileEntry&) = delete;
  ~TemporaryFileEntry();

 private:
  int slot_ = -1;
};

// Removes every file on the list. Async-signal-safe, and meant for a process
// that is about to end: files that are being written lose their names.
void RemoveTemporaryFiles();

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_TEMPORARY_FILES_H_
