// The text of the Debian package bible-kjv, which demo and smoke runs read.

#ifndef ROPEWALK_EVALUATE_BIBLE_TEXT_H_
#define ROPEWALK_EVALUATE_BIBLE_TEXT_H_

#include <string>

namespace ropewalk::evaluate {

// All verses of the King James Bible, one on each line, as the program bible(1)
// of the package prints them, without "Gen1:1 " in front. Throws IoError if the
// program is missing.
std::string BibleText();

}  // namespace ropewalk::evaluate

#endif  // ROPEWALK_EVALUATE_BIBLE_TEXT_H_
