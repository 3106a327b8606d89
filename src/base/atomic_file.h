// Outputs that are either the old file or the whole new one.

#ifndef ROPEWALK_BASE_ATOMIC_FILE_H_
#define ROPEWALK_BASE_ATOMIC_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "base/temporary_files.h"

namespace ropewalk {

// Writes to a temporary name beside `path`; Commit syncs and renames it over
// `path`. Without a Commit the temporary file is removed and `path` is left
// as it was; so is it when the program that a signal ends calls
// RemoveTemporaryFiles. Opening it early finds an unwritable place before hours
// of work. A `path` that exists and is no regular file (a pipe, /dev/stdout) is
// written in place, since nothing can be renamed over it. A symbolic link is
// followed.
class AtomicFile {
 public:
  // Throws IoError when the temporary file cannot be created.
  explicit AtomicFile(const std::string& path);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&&) = delete;
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();

  // Throw IoError, a full disk and a file size limit included (the limit only
  // where the program ignores SIGXFSZ).
  void Write(std::string_view bytes);
  void Commit();

  int64_t bytes_written() const { return bytes_written_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;            // as the caller named it
  std::string target_;          // links resolved
  std::string temporary_path_;  // empty: written in place
  TemporaryFileEntry entry_;    // of temporary_path_
  int fd_ = -1;
  int64_t bytes_written_ = 0;
};

// All of it at once.
void WriteFileAtomically(const std::string& path, std::string_view bytes);

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_ATOMIC_FILE_H_
