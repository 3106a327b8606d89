// From a template to its tree.

#ifndef ROPEWALK_JINJA_PARSER_H_
#define ROPEWALK_JINJA_PARSER_H_

#include <string_view>

#include "jinja/syntax.h"

namespace ropewalk::jinja {

// Throws TemplateError, which names the construct and its line.
Body ParseTemplate(std::string_view source);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_PARSER_H_
