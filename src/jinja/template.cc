#include "jinja/template.h"

#include <utility>

#include "jinja/parser.h"
#include "jinja/rendering.h"
#include "jinja/syntax.h"

namespace ropewalk::jinja {
namespace {

// Published templates have up to 40 kB.
constexpr size_t kMostTemplateBytes = size_t{1} << 20;

}  // namespace

struct Template::Tree {
  Body body;
};

Template::Template(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}

Template Template::Parse(std::string_view source) {
  if (source.size() > kMostTemplateBytes) {
    throw TemplateError(1, "the template has " + std::to_string(source.size()) +
                               " bytes; at most " +
                               std::to_string(kMostTemplateBytes) +
                               " are read");
  }
  return Template(std::make_shared<const Tree>(Tree{ParseTemplate(source)}));
}

std::vector<Piece> Template::Render(const Variables& variables,
                                    const RenderOptions& options) const {
  Rendering rendering(variables, options);
  try {
    return rendering.Run(tree_->body).Pieces();
  } catch (const Failure& failure) {
    throw TemplateError(rendering.line(), failure.what());
  }
}

std::string Join(const std::vector<Piece>& pieces) {
  std::string text;
  for (const Piece& piece : pieces) text += piece.text;
  return text;
}

std::tm LocalTime() {
  const std::time_t now = std::time(nullptr);
  std::tm local = {};
  localtime_r(&now, &local);
  return local;
}

}  // namespace ropewalk::jinja
