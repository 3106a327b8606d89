#include <ropewalk/scheme.h>

#include <utility>

#include "api/parts.h"
#include "position/definition.h"

namespace ropewalk {

Scheme::Scheme() : Scheme(Parse("auto")) {}

Scheme Scheme::Parse(std::string_view spelling) {
  return Scheme(
      std::make_shared<const Parts>(Parts{position::ParseScheme(spelling)}));
}

Scheme::Scheme(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Scheme::Scheme(const Scheme&) = default;
Scheme::Scheme(Scheme&&) noexcept = default;
Scheme& Scheme::operator=(const Scheme&) = default;
Scheme& Scheme::operator=(Scheme&&) noexcept = default;
Scheme::~Scheme() = default;

std::string Scheme::ToString() const {
  return position::ToString(parts_->scheme);
}

bool Scheme::is_auto() const { return parts_->scheme.name == "auto"; }

bool operator==(const Scheme& a, const Scheme& b) {
  return a.ToString() == b.ToString();
}

std::vector<SchemeInfo> ListSchemes() {
  std::vector<SchemeInfo> schemes;
  for (const position::Definition* definition : position::AllDefinitions()) {
    SchemeInfo& info = schemes.emplace_back();
    info.name = definition->name;
    info.summary = definition->summary;
    info.source = definition->source;
    for (const position::Parameter& parameter : definition->parameters) {
      info.parameters.push_back(
          {std::string(parameter.key), std::string(parameter.meaning)});
    }
  }
  return schemes;
}

}  // namespace ropewalk
