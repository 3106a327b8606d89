#include "serve/fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

constexpr size_t kMostIgnored = 32;
constexpr size_t kShownBytes = 60;

std::string RangeText(const std::string& what, double least, double most) {
  constexpr double kLarge = 0x1p53;
  if (most >= kLarge) {
    return what + " of at least " + FormatNumber(least);
  }
  return what + " from " + FormatNumber(least) + " to " + FormatNumber(most);
}

}  // namespace

void IgnoredFields::Add(const std::string& name) {
  const std::string shown = Printable(name, kShownBytes);
  if (names_.size() < kMostIgnored &&
      std::find(names_.begin(), names_.end(), shown) == names_.end()) {
    names_.push_back(shown);
  }
}

Json ParseBody(std::string_view body) {
  Json json;
  try {
    json = formats::ParseJson(body, "request");
  } catch (const FormatError& error) {
    if (const auto at = FindInvalidUtf8(body)) {
      throw ApiError(400, "the request is not UTF-8: ill-formed at byte " +
                              std::to_string(*at));
    }
    throw ApiError(400, error.what());
  }
  if (!json.is_object()) {
    throw ApiError(400,
                   "the request must be a JSON object, got " + Shown(json));
  }
  return json;
}

std::string Shown(const Json& value) {
  if (value.is_string()) {
    return "'" + Printable(value.get_ref<const std::string&>(), kShownBytes) +
           "'";
  }
  if (value.is_array()) {
    return "an array of " + std::to_string(value.size());
  }
  if (!value.is_object()) return value.dump();
  return "an object of " + std::to_string(value.size());
}

void FailField(const std::string& where, const std::string& rule,
               const Json& value) {
  throw ApiError(
      400, "'" + where + "' must be " + rule + ", got " + Shown(value), where);
}

std::optional<int64_t> AsInteger(const Json& value) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return std::nullopt;
    }
    return static_cast<int64_t>(number);
  }
  if (value.is_number_integer()) return value.get<int64_t>();
  if (!value.is_number_float()) return std::nullopt;
  const double number = value.get<double>();
  // Beyond 2^53 doubles leave integers out.
  if (std::trunc(number) != number || std::abs(number) > 0x1p53) {
    return std::nullopt;
  }
  return static_cast<int64_t>(number);
}

Fields::Fields(const Json& object, std::string where, IgnoredFields& ignored)
    : where_(std::move(where)), ignored_(ignored) {
  if (!object.is_object()) FailField(where_, "an object", object);
  for (const auto& [name, value] : object.get_ref<const Json::object_t&>()) {
    if (!value.is_null()) members_.emplace(name, &value);
  }
}

std::string Fields::Place(std::string_view name) const {
  return where_.empty() ? std::string(name) : where_ + "." + std::string(name);
}

const Json* Fields::Find(std::string_view name) const {
  const auto found = members_.find(name);
  return found == members_.end() ? nullptr : found->second;
}

const Json* Fields::Take(std::string_view name) {
  const Json* value = Find(name);
  if (value != nullptr) members_.erase(members_.find(name));
  return value;
}

const Json* Fields::Object(std::string_view name) {
  const Json* value = Take(name);
  if (value != nullptr && !value->is_object()) {
    FailField(Place(name), "an object", *value);
  }
  return value;
}

const Json* Fields::Array(std::string_view name) {
  const Json* value = Take(name);
  if (value != nullptr && !value->is_array()) {
    FailField(Place(name), "an array", *value);
  }
  return value;
}

std::optional<bool> Fields::Bool(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) FailField(Place(name), "true or false", *value);
  return value->get<bool>();
}

std::optional<int64_t> Fields::Integer(std::string_view name, int64_t least,
                                       int64_t most) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> number = AsInteger(*value);
  if (!number || *number < least || *number > most) {
    FailField(Place(name),
              RangeText("an integer", static_cast<double>(least),
                        static_cast<double>(most)),
              *value);
  }
  return number;
}

std::optional<double> Fields::Number(std::string_view name, double least,
                                     double most) {
  const Json* value = Take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number() || value->get<double>() < least ||
      value->get<double>() > most) {
    FailField(Place(name), RangeText("a number", least, most), *value);
  }
  return value->get<double>();
}

const std::string* Fields::String(std::string_view name) {
  const Json* value = Take(name);
  if (value == nullptr) return nullptr;
  if (!value->is_string()) FailField(Place(name), "a string", *value);
  return &value->get_ref<const std::string&>();
}

std::vector<std::string> Fields::Strings(std::string_view name, int64_t most) {
  std::vector<std::string> strings;
  const Json* value = Array(name);
  if (value == nullptr) return strings;
  if (value->size() > static_cast<size_t>(most)) {
    FailField(Place(name), "an array of at most " + std::to_string(most),
              *value);
  }
  for (const Json& item : *value) {
    const std::string place =
        Place(name) + "[" + std::to_string(strings.size()) + "]";
    if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
      FailField(place, "a string that is not empty", item);
    }
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

const Json& Fields::RequiredArray(std::string_view name) {
  const Json* value = Array(name);
  if (value == nullptr) {
    throw ApiError(400, "'" + Place(name) + "' is missing: an array",
                   Place(name));
  }
  return *value;
}

const std::string& Fields::RequiredString(std::string_view name) {
  const std::string* value = String(name);
  if (value == nullptr) {
    throw ApiError(400, "'" + Place(name) + "' is missing: a string",
                   Place(name));
  }
  return *value;
}

void Fields::Refuse(std::string_view name, const std::string& reason) {
  if (!Has(name)) return;
  throw ApiError(400, "'" + Place(name) + "': " + reason, Place(name));
}

void Fields::Accept(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) members_.erase(name);
}

void Fields::IgnoreRest(const std::optional<std::string>& as) {
  for (const auto& [name, value] : members_) {
    ignored_.Add(as ? *as + "." + std::string(name) : Place(name));
  }
  members_.clear();
}

}  // namespace ropewalk::serve
