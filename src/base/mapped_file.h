// A file's bytes, mapped read-only.

#ifndef ROPEWALK_BASE_MAPPED_FILE_H_
#define ROPEWALK_BASE_MAPPED_FILE_H_

#include <cstddef>
#include <span>
#include <string>

namespace ropewalk {

// Movable, immutable after construction. An empty file maps to no bytes.
// Another process that cuts the file while it is mapped kills this one
// (SIGBUS); that is the price of not reading gigabytes up front.
class MappedFile {
 public:
  // Throws IoError when `path` cannot be opened or is not a regular file.
  explicit MappedFile(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_MAPPED_FILE_H_
