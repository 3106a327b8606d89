// The members of a JSON object that a client sent, read by type and range.
//
// A member that is null counts as absent, as it does with OpenAI.

#ifndef ROPEWALK_SERVE_FIELDS_H_
#define ROPEWALK_SERVE_FIELDS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/json_file.h"

namespace ropewalk::serve {

using formats::Json;

// Names of fields that have no effect. A name is kept once, and a client that
// sends very many gets the first of them.
class IgnoredFields {
 public:
  void Add(const std::string& name);
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
};

// The one JSON value in the body of a request. Throws ApiError(400) where the
// body is not JSON, not UTF-8, nested too deep, or not an object.
Json ParseBody(std::string_view body);

// One line for a message: the value, or what it is where it is long.
std::string Shown(const Json& value);

// Throws ApiError(400): "'WHERE' must be RULE, got VALUE".
[[noreturn]] void FailField(const std::string& where, const std::string& rule,
                            const Json& value);

// Each of these functions takes its member. Throws ApiError(400) with the
// member's place as `param` where it is of another type or out of range.
// Borrows the object.
class Fields {
 public:
  // `where` is the place of the object, such as "messages[2]"; empty for the
  // body. Throws ApiError(400) unless `object` is one.
  Fields(const Json& object, std::string where, IgnoredFields& ignored);
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  // The place of a member: "messages[2].role".
  std::string Place(std::string_view name) const;

  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  // Does not take it. Null: absent.
  const Json* Find(std::string_view name) const;
  // Null: absent.
  const Json* Take(std::string_view name);
  const Json* Object(std::string_view name);
  const Json* Array(std::string_view name);
  std::optional<bool> Bool(std::string_view name);
  // 3.0 is an integer too. Both ends are allowed.
  std::optional<int64_t> Integer(std::string_view name, int64_t least,
                                 int64_t most);
  std::optional<double> Number(std::string_view name, double least,
                               double most);
  const std::string* String(std::string_view name);
  std::vector<std::string> Strings(std::string_view name, int64_t most);

  // The same where the member has to be there.
  const Json& RequiredArray(std::string_view name);
  const std::string& RequiredString(std::string_view name);

  // Throws ApiError(400) with `reason` if the member is there.
  void Refuse(std::string_view name, const std::string& reason);
  // Takes members that are fine and change nothing.
  void Accept(std::initializer_list<std::string_view> names);

  // The members that nobody took are ignored ones. `as` replaces the place of
  // the object in their names, so that "messages[].x" stands once.
  void IgnoreRest(const std::optional<std::string>& as = std::nullopt);

  IgnoredFields& ignored() { return ignored_; }

 private:
  std::string where_;
  std::map<std::string_view, const Json*> members_;  // not taken yet
  IgnoredFields& ignored_;
};

// The value as an integer, if it is one that an int64_t holds.
std::optional<int64_t> AsInteger(const Json& value);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_FIELDS_H_
