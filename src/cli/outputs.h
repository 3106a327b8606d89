// The files that a command was asked to write, opened before its work starts.

#ifndef ROPEWALK_CLI_OUTPUTS_H_
#define ROPEWALK_CLI_OUTPUTS_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/atomic_file.h"

namespace ropewalk::cli {

// Throws IoError at once when `path` cannot be written; does nothing for an
// empty one.
class OutputFile {
 public:
  explicit OutputFile(const std::string& path)
      : file_(path.empty() ? nullptr : std::make_unique<AtomicFile>(path)) {}

  explicit operator bool() const { return file_ != nullptr; }

  // Writes and commits.
  void Finish(std::string_view bytes) {
    if (file_ == nullptr) return;
    file_->Write(bytes);
    file_->Commit();
    file_.reset();
  }

 private:
  std::unique_ptr<AtomicFile> file_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_OUTPUTS_H_
