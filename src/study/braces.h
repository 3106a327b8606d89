// Pages whose results stand in braces until rows fill them in.

#ifndef ROPEWALK_STUDY_BRACES_H_
#define ROPEWALK_STUDY_BRACES_H_

#include <functional>
#include <string>

namespace ropewalk::study {

// `page` with each {{inside}} replaced by fill(inside). Throws
// std::invalid_argument, with the line, for what `fill` refuses so.
std::string FillBraces(
    const std::string& page,
    const std::function<std::string(const std::string& inside)>& fill);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_BRACES_H_
