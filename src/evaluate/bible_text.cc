#include "evaluate/bible_text.h"

#include <cstdio>

#include "base/error.h"

namespace ropewalk::evaluate {

std::string BibleText() {
  FILE* pipe = popen("bible -f Gen1:1-Rev22:21 </dev/null 2>/dev/null", "r");
  if (pipe == nullptr) throw IoErrorFromErrno("run", "bible");
  std::string text;
  bool label = true;
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) {
    if (!label) text += static_cast<char>(c);
    if (label && c == ' ') label = false;
    if (c == '\n') label = true;
  }
  const int status = pclose(pipe);
  if (status != 0 || text.size() < 100000) {
    throw IoError(
        "no text: the program 'bible' is missing; install the Debian package "
        "bible-kjv, or give a text of your own");
  }
  return text;
}

}  // namespace ropewalk::evaluate
