// Processes that work in one folder take turns.

#ifndef ROPEWALK_BASE_FOLDER_LOCK_H_
#define ROPEWALK_BASE_FOLDER_LOCK_H_

#include <string>

namespace ropewalk {

// Held until destroyed, also when the process is killed; leaves no file. Other
// programs are not kept out.
class FolderLock {
 public:
  // Waits for whoever holds it; says "waiting for another process: WHAT" on
  // stderr when it has to. Throws IoError where the folder cannot be opened,
  // Interrupted on Ctrl-C.
  FolderLock(const std::string& folder, const std::string& what);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int fd_ = -1;
};

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_FOLDER_LOCK_H_
