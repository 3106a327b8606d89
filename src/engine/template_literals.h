// The fixed texts of a Jinja template, found without running it.

#ifndef ROPEWALK_ENGINE_TEMPLATE_LITERALS_H_
#define ROPEWALK_ENGINE_TEMPLATE_LITERALS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::engine {

struct TemplateLiteral {
  size_t begin = 0;  // its first byte in the template
  std::string text;  // with escapes such as \n resolved
};

// Returns, in order, the quoted strings inside {{ }} and {% %}, where 'a' + 'b'
// counts as one, and the text outside of tags, trimmed as the dashes of the
// tags say and without the newline behind a {% %}. Accepts any bytes: a string
// or tag that is not closed ends with the template. Linear in its size.
std::vector<TemplateLiteral> FindLiterals(std::string_view chat_template);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_TEMPLATE_LITERALS_H_
