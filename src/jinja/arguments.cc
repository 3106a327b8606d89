#include "jinja/arguments.h"

#include <algorithm>
#include <utility>

namespace ropewalk::jinja {

BoundArguments::BoundArguments(std::string_view function,
                               const Arguments& arguments,
                               std::initializer_list<std::string_view> names,
                               size_t required)
    : function_(function), found_(names.size(), nullptr) {
  if (arguments.positional.size() > names.size()) {
    throw Failure("'" + function_ + "' takes at most " +
                  std::to_string(names.size()) + " arguments");
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    found_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto at = std::find(names.begin(), names.end(), name);
    if (at == names.end() || name.empty()) {
      throw Failure("'" + function_ + "' takes no argument '" + name + "'");
    }
    const Value*& place = found_[static_cast<size_t>(at - names.begin())];
    if (place != nullptr) {
      throw Failure("'" + function_ + "' gets '" + name + "' twice");
    }
    place = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (found_[i] == nullptr) {
      throw Failure("'" + function_ + "' takes at least " +
                    std::to_string(required) + " arguments");
    }
  }
}

Value BoundArguments::Get(size_t index, Value otherwise) const {
  return found_[index] != nullptr ? *found_[index] : std::move(otherwise);
}

int64_t BoundArguments::Integer(size_t index, int64_t otherwise) const {
  const Value* value = found_[index];
  if (value == nullptr) return otherwise;
  if (!value->IsInt()) {
    throw Failure("'" + function_ + "' takes an integer, not a " +
                  TypeName(*value));
  }
  return value->AsInt();
}

const Text& BoundArguments::AsText(size_t index) const {
  const Value* value = found_[index];
  if (value == nullptr || !value->IsText()) {
    throw Failure("'" + function_ + "' takes a str" +
                  (value != nullptr ? ", not a " + TypeName(*value) : ""));
  }
  return value->AsText();
}

bool BoundArguments::Has(size_t index) const {
  return found_[index] != nullptr && !found_[index]->IsNone();
}

bool BoundArguments::IsTrue(size_t index, bool otherwise) const {
  return found_[index] != nullptr ? jinja::IsTrue(*found_[index]) : otherwise;
}

}  // namespace ropewalk::jinja
