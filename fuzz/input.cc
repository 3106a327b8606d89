#include "fuzz/input.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace ropewalk::fuzz {

MemoryFile::MemoryFile(std::string_view bytes)
    : fd_(memfd_create("fuzz", MFD_CLOEXEC)),
      path_("/proc/self/fd/" + std::to_string(fd_)) {
  Claim(fd_ >= 0, "memfd_create failed");
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    Claim(written > 0, "cannot write to a file in memory");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

MemoryFile::~MemoryFile() { close(fd_); }

const std::filesystem::path& Folder() {
  static const std::filesystem::path folder = [] {
    const std::filesystem::path memory = "/dev/shm";
    std::filesystem::path path = std::filesystem::is_directory(memory)
                                     ? memory
                                     : std::filesystem::temp_directory_path();
    path /= "ropewalk_fuzz_" + std::to_string(getpid());
    std::filesystem::create_directories(path);
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(Folder(), ignored);
    });
    return path;
  }();
  return folder;
}

std::string_view TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

void Claim(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "this claim does not hold: %s\n", what.c_str());
  std::abort();
}

}  // namespace ropewalk::fuzz
