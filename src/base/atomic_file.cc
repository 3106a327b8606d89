#include "base/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <utility>

#include "base/error.h"

namespace ropewalk {
namespace {

// ".6ZmK2x.tmp": what mkstemps would make. We make it ourselves so that the
// name is on the list of temporary files before the file exists.
std::string RandomSuffix() {
  static constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  std::random_device random;
  std::string suffix = ".";
  for (int i = 0; i < 6; ++i) suffix += kLetters[random() % kLetters.size()];
  return suffix + ".tmp";
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(path) {
  std::error_code ignored;
  if (std::filesystem::is_symlink(path, ignored)) {
    const auto resolved = std::filesystem::weakly_canonical(path, ignored);
    if (!ignored) target_ = resolved.string();
  }
  struct stat status {};
  const bool exists = stat(target_.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    throw IoErrorFromErrno("write", path);
  }
  if (exists && !S_ISREG(status.st_mode)) {
    fd_ = open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) throw IoErrorFromErrno("write", path);
    return;
  }
  if (exists && access(target_.c_str(), W_OK) != 0) {
    throw IoErrorFromErrno("write", path);
  }
  // A name that is taken is as unlikely as it is harmless: try another.
  for (int attempt = 0; fd_ < 0 && attempt < 100; ++attempt) {
    temporary_path_ = target_ + RandomSuffix();
    entry_ = TemporaryFileEntry(temporary_path_);
    fd_ = open(temporary_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
               0600);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) throw IoErrorFromErrno("write", path);
  // Private until here; now what a plain open would have given it.
  const mode_t mask = umask(0);
  umask(mask);
  const mode_t mode = exists ? (status.st_mode & 07777) : (0666 & ~mask);
  (void)fchmod(fd_, mode);
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept
    : path_(std::move(other.path_)),
      target_(std::move(other.target_)),
      temporary_path_(std::exchange(other.temporary_path_, {})),
      entry_(std::move(other.entry_)),
      fd_(std::exchange(other.fd_, -1)),
      bytes_written_(other.bytes_written_) {}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
}

void AtomicFile::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = write(fd_, bytes.data(), bytes.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      throw IoErrorFromErrno("write", path_);
    }
    bytes.remove_prefix(static_cast<size_t>(count));
    bytes_written_ += count;
  }
}

void AtomicFile::Commit() {
  if (!temporary_path_.empty() && fsync(fd_) != 0) {
    throw IoErrorFromErrno("sync", path_);
  }
  const int fd = std::exchange(fd_, -1);
  const bool closed = close(fd) == 0;
  if (temporary_path_.empty()) {
    if (!closed) throw IoErrorFromErrno("write", path_);
    return;
  }
  const std::string temporary = std::exchange(temporary_path_, {});
  if (!closed || rename(temporary.c_str(), target_.c_str()) != 0) {
    const IoError error = IoErrorFromErrno("write", path_);
    unlink(temporary.c_str());
    throw error;
  }
  entry_ = TemporaryFileEntry();
}

void WriteFileAtomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.Write(bytes);
  file.Commit();
}

}  // namespace ropewalk
