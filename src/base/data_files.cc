#include "base/data_files.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

namespace ropewalk {

namespace fs = std::filesystem;

std::string ProgramFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  return error ? std::string() : self.parent_path().string();
}

std::optional<std::string> FindData(const std::string& name) {
  std::vector<fs::path> roots;
  if (const char* data = std::getenv("ROPEWALK_DATA");
      data != nullptr && *data != '\0') {
    roots.emplace_back(data);
  } else if (const fs::path folder = ProgramFolder(); !folder.empty()) {
    roots.push_back(folder.parent_path().parent_path());  // build/bin
    roots.push_back(folder.parent_path() / "share" / "ropewalk");
  }
  for (const fs::path& root : roots) {
    std::error_code ignored;
    const fs::path path = root / name;
    if (fs::exists(path, ignored)) return path.string();
  }
  return std::nullopt;
}

}  // namespace ropewalk
