#include "formats/safetensors_header.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::formats {
namespace {

using HeaderJson = nlohmann::json;

// More than any tensor has. The limit keeps a hostile header from filling
// memory.
constexpr size_t kMaxDimensions = 32;
constexpr size_t kMaxNameBytes = 64 << 10;

// Receives the events of the parser. Each function returns false to stop, with
// the reason in `problem`. A name that is used twice is refused before anything
// of it is stored.
class HeaderReader : public nlohmann::json_sax<HeaderJson> {
 public:
  bool null() override { return Unexpected("null"); }
  bool boolean(bool /*value*/) override { return Unexpected("a bool"); }
  bool number_integer(number_integer_t value) override {
    return Fail("a number must not be negative, got " + std::to_string(value));
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kShape && place_ != Place::kOffsets) {
      return Unexpected("a number");
    }
    if (value > uint64_t{std::numeric_limits<int64_t>::max()}) {
      return Fail("the number " + std::to_string(value) + " is too large");
    }
    const auto number = static_cast<int64_t>(value);
    std::vector<int64_t>& list =
        place_ == Place::kShape ? header.entries.back().shape : offsets_;
    if (list.size() == (place_ == Place::kShape ? kMaxDimensions : 2)) {
      return Fail(place_ == Place::kShape ? "a shape has at most 32 dimensions"
                                          : "data_offsets must be two numbers");
    }
    list.push_back(number);
    return true;
  }
  bool number_float(number_float_t /*value*/, const string_t& text) override {
    return Fail("'" + Printable(text, 40) + "' is not an integer in range");
  }
  bool binary(binary_t& /*value*/) override { return Unexpected("binary"); }

  bool string(string_t& value) override {
    if (place_ == Place::kMetadata) {
      header.metadata[key_] = std::move(value);
      return true;
    }
    if (place_ == Place::kTensor && key_ == "dtype") {
      header.entries.back().dtype = std::move(value);
      return true;
    }
    return Unexpected("a string");
  }

  bool start_object(size_t /*elements*/) override {
    switch (place_) {
      case Place::kOutside:
        place_ = Place::kTop;
        return true;
      case Place::kTop:
        if (key_ == "__metadata__") {
          place_ = Place::kMetadata;
          return true;
        }
        place_ = Place::kTensor;
        header.entries.emplace_back();
        header.entries.back().name = key_;
        has_ = {};
        return true;
      default:
        return Unexpected("an object");
    }
  }

  bool key(string_t& name) override {
    if (name.size() > kMaxNameBytes) return Fail("a name above 64 KiB");
    if (place_ == Place::kTop && !names_.insert(name).second) {
      return Fail("the name '" + Printable(name) + "' is used twice");
    }
    if (place_ == Place::kMetadata && header.metadata.contains(name)) {
      return Fail("the metadata key '" + Printable(name) + "' is used twice");
    }
    if (place_ == Place::kTensor) {
      bool* seen = name == "dtype"          ? &has_.dtype
                   : name == "shape"        ? &has_.shape
                   : name == "data_offsets" ? &has_.offsets
                                            : nullptr;
      if (seen == nullptr) {
        return Fail(Tensor() + "has the unknown member '" + Printable(name) +
                    "'");
      }
      if (*seen) return Fail(Tensor() + "has '" + name + "' twice");
      *seen = true;
    }
    key_ = std::move(name);
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) {
      if (!has_.dtype || !has_.shape || !has_.offsets) {
        return Fail(Tensor() + "needs dtype, shape and data_offsets");
      }
      header.entries.back().begin = offsets_[0];
      header.entries.back().end = offsets_[1];
      place_ = Place::kTop;
    } else if (place_ == Place::kMetadata) {
      place_ = Place::kTop;
    } else {
      place_ = Place::kOutside;
    }
    return true;
  }

  bool start_array(size_t /*elements*/) override {
    if (place_ != Place::kTensor || key_ == "dtype") {
      return Unexpected("an array");
    }
    place_ = key_ == "shape" ? Place::kShape : Place::kOffsets;
    if (place_ == Place::kOffsets) offsets_.clear();
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffsets && offsets_.size() != 2) {
      return Fail("data_offsets must be two numbers");
    }
    place_ = Place::kTensor;
    return true;
  }

  bool parse_error(size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    error_position = position;
    return Fail("the header is not valid JSON");
  }

  SafetensorsHeader header;
  std::string problem;
  std::optional<size_t> error_position;

 private:
  enum class Place { kOutside, kTop, kMetadata, kTensor, kShape, kOffsets };
  struct Seen {
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
  };

  bool Fail(std::string why) {
    problem = std::move(why);
    return false;
  }
  bool Unexpected(const std::string& what) {
    return Fail(what + " is not allowed here" +
                (place_ == Place::kOutside
                     ? std::string()
                     : " (at '" + Printable(key_, 60) + "')"));
  }
  std::string Tensor() const {
    return "tensor '" + Printable(header.entries.back().name) + "' ";
  }

  Place place_ = Place::kOutside;
  std::string key_;
  std::set<std::string> names_;
  Seen has_;
  std::vector<int64_t> offsets_;
};

}  // namespace

SafetensorsHeader ParseSafetensorsHeader(const std::string& path,
                                         int64_t offset,
                                         std::string_view json) {
  if (!json.starts_with('{')) {
    throw FormatError(path, offset,
                      "a safetensors header begins with '{', found '" +
                          Printable(json.substr(0, 1)) + "'");
  }
  HeaderReader reader;
  if (!HeaderJson::sax_parse(json.begin(), json.end(), &reader)) {
    const auto at = static_cast<int64_t>(reader.error_position.value_or(0));
    throw FormatError(path, offset + at, reader.problem);
  }
  return std::move(reader.header);
}

}  // namespace ropewalk::formats
