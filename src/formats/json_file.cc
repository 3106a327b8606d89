#include "formats/json_file.h"

#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/progress.h"
#include "base/text.h"

namespace ropewalk::formats {
namespace {

// Builds the value from the parser's events and refuses what is too deep
// before it is stored. An object of many members is checked for names that
// come twice by a set beside it: ordered objects search one by one.
class Builder : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override { return Put(value); }
  bool number_unsigned(number_unsigned_t value) override { return Put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override {
    return Put(value);
  }
  bool string(string_t& value) override { return Put(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return Fail("holds binary"); }
  bool start_object(size_t /*elements*/) override {
    return Open(Json::object());
  }
  bool start_array(size_t /*elements*/) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t& name) override {
    if (!open_.back().names.insert(name).second) {
      return Fail("names '" + Printable(name, 40) + "' twice");
    }
    key_ = std::move(name);
    return true;
  }
  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    at = position;
    return Fail("is not JSON");
  }

  Json value;
  std::string problem;
  size_t at = 0;

 private:
  struct Level {
    Json* container;
    std::set<std::string, std::less<>> names;  // of an object
  };

  bool Fail(const std::string& what) {
    if (problem.empty()) problem = what;
    return false;
  }

  // Where the next value goes. Pointers stay valid: a container is filled
  // before anything is added beside it.
  Json* Place(Json next) {
    if (open_.empty()) {
      value = std::move(next);
      return &value;
    }
    Json& into = *open_.back().container;
    if (into.is_array()) {
      into.push_back(std::move(next));
      return &into.back();
    }
    auto& members = into.get_ref<Json::object_t&>();
    // Names are distinct, so the search of operator[] is not needed.
    static_cast<std::vector<Json::object_t::value_type>&>(members).emplace_back(
        std::move(key_), std::move(next));
    return &members.back().second;
  }
  bool Put(Json next) {
    Place(std::move(next));
    return true;
  }
  bool Open(Json container) {
    if (open_.size() == static_cast<size_t>(kJsonMaxDepth)) {
      return Fail("is nested deeper than " + std::to_string(kJsonMaxDepth));
    }
    Json* placed = Place(std::move(container));
    open_.push_back({placed, {}});
    return true;
  }
  bool Close() {
    open_.pop_back();
    return true;
  }

  std::vector<Level> open_;
  std::string key_;
};

}  // namespace

Json ParseJson(std::string_view text, const std::string& source) {
  if (static_cast<int64_t>(text.size()) > kJsonMaxBytes) {
    throw FormatError(source, 0,
                      "has " + FormatBytes(static_cast<int64_t>(text.size())) +
                          "; JSON may have " + FormatBytes(kJsonMaxBytes));
  }
  Builder builder;
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) {
    throw FormatError(source, static_cast<int64_t>(builder.at),
                      builder.problem);
  }
  return std::move(builder.value);
}

Json ReadJsonFile(const std::string& path) {
  const MappedFile file(path);
  return ParseJson(
      {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
      path);
}

}  // namespace ropewalk::formats
