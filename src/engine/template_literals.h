// The fixed texts of a Jinja template: what it prints whatever the messages
// are, as far as that can be read without running it.

#ifndef ROPEWALK_ENGINE_TEMPLATE_LITERALS_H_
#define ROPEWALK_ENGINE_TEMPLATE_LITERALS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk::engine {

struct TemplateLiteral {
  size_t begin = 0;  // byte of the template at which it starts
  std::string text;  // with escapes such as \n resolved
};

// Quoted strings inside {{ }} and {% %}, where 'a' + 'b' counts as one, and
// the text outside of tags, trimmed as the dashes of its tags say and without
// the newline behind a {% %}. In order. Any bytes are taken: what is not
// closed ends with the template. Linear in its size.
std::vector<TemplateLiteral> FindLiterals(std::string_view chat_template);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_TEMPLATE_LITERALS_H_
