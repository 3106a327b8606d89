// The filters, tests and global functions that templates know.

#ifndef ROPEWALK_JINJA_REGISTRY_H_
#define ROPEWALK_JINJA_REGISTRY_H_

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace ropewalk::jinja {

// A filter gets the value in front of it and what stands in its brackets.
using Filter = Value (*)(Rendering&, const Value&, const Arguments&);
using Test = bool (*)(Rendering&, const Value&, const Arguments&);

// Null where there is none of that name.
Filter FindFilter(std::string_view name);
Test FindTest(std::string_view name);
// A method of a text, list or dict, bound to it, or nothing. An undefined value
// for those that would change it: templates may change namespaces alone.
std::optional<Value> FindMethod(const Value& value, std::string_view name);
// range(), namespace() and so on, or nothing.
std::optional<Value> FindGlobal(std::string_view name);

// The parts of the registry, each in the file of its name.
using FilterEntry = std::pair<std::string_view, Filter>;
std::vector<FilterEntry> TextFilters();
std::vector<FilterEntry> NumberFilters();
std::vector<FilterEntry> SequenceFilters();
std::vector<FilterEntry> SelectFilters();
using Method = Value (*)(Rendering&, const Value&, const Arguments&);
using MethodEntry = std::pair<std::string_view, Method>;
std::vector<MethodEntry> TextMethods();
std::vector<MethodEntry> TextQueryMethods();

}  // namespace ropewalk::jinja

#endif  // ROPEWALK_JINJA_REGISTRY_H_
