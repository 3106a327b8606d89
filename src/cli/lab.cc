// ropewalk train and reproduce: handed to ropewalk-lab, as git hands its
// subcommands on.

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/data_files.h"
#include "base/error.h"
#include "cli/commands.h"

namespace ropewalk::cli {
namespace {

namespace fs = std::filesystem;

bool IsProgram(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// $ROPEWALK_LAB, this program's folder, ../libexec/ropewalk, PATH.
fs::path FindLab() {
  constexpr const char* kName = "ropewalk-lab";
  std::vector<fs::path> places;
  if (const char* lab = std::getenv("ROPEWALK_LAB");
      lab != nullptr && *lab != '\0') {
    places.emplace_back(lab);
  }
  if (const fs::path folder = ProgramFolder(); !folder.empty()) {
    places.push_back(folder / kName);
    places.push_back(folder.parent_path() / "libexec" / "ropewalk" / kName);
  }
  if (const char* path = std::getenv("PATH"); path != nullptr) {
    const std::string all = path;
    for (size_t at = 0; at <= all.size();) {
      const size_t end = std::min(all.find(':', at), all.size());
      places.push_back(fs::path(all.substr(at, end - at)) / kName);
      at = end + 1;
    }
  }
  for (const fs::path& place : places) {
    if (IsProgram(place)) return place;
  }
  throw IoError("no lab in this build; make lab");
}

void Exec(const std::string& name, const std::vector<std::string>& rest) {
  const std::string lab = FindLab().string();
  std::vector<char*> argv = {const_cast<char*>(lab.c_str()),
                             const_cast<char*>(name.c_str())};
  for (const std::string& argument : rest) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  execv(lab.c_str(), argv.data());
  throw IoErrorFromErrno("run", lab);
}

CLI::App* Add(CLI::App& app, const std::string& name, const std::string& what) {
  CLI::App* command = app.add_subcommand(name, what);
  // Everything behind the name, --help included, is the lab's to read.
  command->set_help_flag();
  command->prefix_command();
  command->callback([command, name] {
    if (command->get_subcommands().empty()) Exec(name, command->remaining());
  });
  return command;
}

}  // namespace

void AddLab(CLI::App& app) {
  Add(app, "train", "train a model whose context extends (needs the lab)");
  CLI::App& reproduce =
      *Add(app, "reproduce",
           "a published table out of code (needs the lab, but for `reproduce "
           "real` and `reproduce memories`)");
  AddReproduceReal(reproduce);
  AddReproduceMemories(reproduce);
}

}  // namespace ropewalk::cli
