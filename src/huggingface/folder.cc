#include "huggingface/folder.h"

#include <filesystem>

namespace ropewalk::huggingface {

bool IsModelFolder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(
      std::filesystem::path(path) / "config.json", ignored);
}

}  // namespace ropewalk::huggingface
