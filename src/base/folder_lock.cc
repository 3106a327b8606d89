#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"

namespace ropewalk {

FolderLock::FolderLock(const std::string& folder, const std::string& what)
    : fd_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0) throw IoErrorFromErrno("open", folder);
  bool said = false;
  while (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      const IoError error = IoErrorFromErrno("lock", folder);
      close(fd_);
      throw error;
    }
    if (!said) {
      std::fprintf(stderr, "waiting for another process: %s\n", what.c_str());
      said = true;
    }
    if (PendingInterrupt() != 0) {
      close(fd_);
      throw Interrupted();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

FolderLock::~FolderLock() { close(fd_); }

}  // namespace ropewalk
