// Files that come with the program: models/ and studies/.

#ifndef ROPEWALK_BASE_DATA_FILES_H_
#define ROPEWALK_BASE_DATA_FILES_H_

#include <optional>
#include <string>

namespace ropewalk {

// "models" -> where that is: $ROPEWALK_DATA (and nowhere else where it is
// set), the source tree of a program in its build folder, or
// ../share/ropewalk of an installed one.
std::optional<std::string> FindData(const std::string& name);

// The folder of this program; empty where the system does not tell.
std::string ProgramFolder();

}  // namespace ropewalk

#endif  // ROPEWALK_BASE_DATA_FILES_H_
