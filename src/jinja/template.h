// Chat templates: the language Jinja as PyPI's jinja2 runs it for
// `transformers` (trim_blocks, lstrip_blocks, loop controls, the immutable
// sandbox, tojson, raise_exception, strftime_now). What is left out is an error
// that names the construct and its line, never another result.
//
// The output says which of its parts the variables brought in, so that a mark
// in a user's message is told from a mark of the template.

#ifndef ROPEWALK_JINJA_TEMPLATE_H_
#define ROPEWALK_JINJA_TEMPLATE_H_

#include <cstdint>
#include <ctime>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/lexer.h"
#include "jinja/text.h"
#include "jinja/value.h"

namespace ropewalk::jinja {

// Names with their values. A later one of the same name replaces an earlier.
using Variables = std::vector<std::pair<std::string, Value>>;

// What a run may use up; more is a TemplateError. The defaults leave room for
// conversations of millions of tokens and end within seconds.
struct Limits {
  int64_t steps = 5'000'000;
  int64_t bytes = int64_t{1} << 29;  // of all texts and lists made on the way
  int64_t output_bytes = int64_t{1} << 28;
  int depth = 1000;  // of expressions, blocks and calls inside one another
};

struct RenderOptions {
  Limits limits;
  std::tm now = {};  // what strftime_now tells
};

// The local time, for RenderOptions::now.
std::tm LocalTime();

// Immutable; copies share one tree.
class Template {
 public:
  // Throws TemplateError if the template is not valid or asks for what is not
  // known, and if it has more than 1 MiB.
  static Template Parse(std::string_view source);

  // The output in pieces; neighbours differ in origin. Throws TemplateError for
  // what fails on the way, above all what the template itself raises.
  std::vector<Piece> Render(const Variables& variables,
                            const RenderOptions& options = {}) const;

 private:
  struct Tree;
  explicit Template(std::shared_ptr<const Tree> tree);

  std::shared_ptr<const Tree> tree_;
};

// The texts of `pieces`, joined.
std::string Join(const std::vector<Piece>& pieces);

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_TEMPLATE_H_
