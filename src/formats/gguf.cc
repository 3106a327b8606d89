#include "formats/gguf.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iterator>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf_part.h"

namespace ropewalk::formats {
namespace {

// In a file that is not split the key split.count is absent, 0 or 1.
int64_t SplitCount(const Metadata& metadata) {
  const int64_t count = metadata.FindInt("split.count").value_or(1);
  if (count < 0 || count > kGgufMaxParts) {
    throw metadata.Error("split.count", "must be from 0 to " +
                                            std::to_string(kGgufMaxParts) +
                                            ", got " + std::to_string(count));
  }
  return count;
}

// "-00001-of-00003.gguf" for part 0 of 3.
std::string PartSuffix(int64_t part, int64_t count) {
  char text[64];
  std::snprintf(text, sizeof(text), "-%05lld-of-%05lld.gguf",
                static_cast<long long>(part + 1),
                static_cast<long long>(count));
  return text;
}

std::string PartOf(int64_t part, int64_t count) {
  return "part " + std::to_string(part + 1) + " of " + std::to_string(count);
}

// The path of a split model's first part without its suffix. Throws FormatError
// if the file is another part or does not have the name of a part.
std::string SplitPrefix(const GgufPart& first, int64_t count) {
  const std::string& path = first.map.path();
  const auto number = first.metadata.FindInt("split.no");
  if (!number || *number < 0 || *number >= count) {
    throw first.metadata.Error(
        number ? "split.no" : "split.count",
        number ? "must be below split.count = " + std::to_string(count) +
                     ", got " + std::to_string(*number)
               : "says that this is a part of a split model, but the key "
                 "split.no is missing");
  }
  const std::string suffix = PartSuffix(*number, count);
  if (!path.ends_with(suffix)) {
    throw first.metadata.Error(
        "split.no", "this is " + PartOf(*number, count) +
                        " of a split model and its name must end in '" +
                        suffix +
                        "', by which the others are found (parts cannot be "
                        "joined by cat; `ropewalk convert` of the first part "
                        "writes one file)");
  }
  const std::string prefix = path.substr(0, path.size() - suffix.size());
  if (*number != 0) {
    throw first.metadata.Error(
        "split.no", "this is " + PartOf(*number, count) +
                        " of a split model; open the first, '" +
                        Printable(prefix + PartSuffix(0, count), 400) + "'");
  }
  return prefix;
}

void CheckPart(const GgufPart& part, int64_t number, int64_t count) {
  const auto check = [&](const char* key, int64_t want) {
    const auto got = part.metadata.FindInt(key);
    if (got == want) return;
    const std::string rule =
        "must be " + std::to_string(want) + " in the file named as " +
        PartOf(number, count) + ", got " +
        (got ? std::to_string(*got) : std::string("no such key"));
    if (got) throw part.metadata.Error(key, rule);
    throw FormatError(part.map.path(), 0,
                      "key '" + std::string(key) + "' " + rule);
  };
  check("split.count", count);
  check("split.no", number);
}

}  // namespace

int64_t GgufTensor::Elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1},
                         std::multiplies<>());
}

int64_t GgufTensor::ByteSize() const {
  int64_t sum = 0;
  ForPieces([&](std::span<const std::byte> piece) {
    sum += static_cast<int64_t>(piece.size());
  });
  return sum;
}

const std::byte* GgufTensor::Row(int64_t row) const {
  const int64_t row_bytes = RowBytes(*type, Columns());
  if (pieces.empty()) return bytes.data() + row * row_bytes;
  const int64_t rows = Rows() / static_cast<int64_t>(pieces.size());
  return pieces[static_cast<size_t>(row / rows)].data() +
         row % rows * row_bytes;
}

GgufFile::GgufFile(const std::string& path) : path_(path), metadata_(path) {
  GgufPart first(path);
  const int64_t count = SplitCount(first.metadata);
  version_ = first.version;
  alignment_ = first.alignment;
  if (count <= 1) {
    metadata_ = std::move(first.metadata);
    Take(std::move(first));
    return;
  }
  const std::string prefix = SplitPrefix(first, count);
  metadata_ = std::move(first.metadata);
  Take(std::move(first));
  for (int64_t i = 1; i < count; ++i) {
    const std::string name = prefix + PartSuffix(i, count);
    std::error_code ignored;
    if (!std::filesystem::exists(name, ignored)) {
      throw IoError(path + ": " + PartOf(i, count) +
                    " of this split model is missing: '" +
                    Printable(name, 400) + "' does not exist");
    }
    GgufPart part(name);
    CheckPart(part, i, count);
    Take(std::move(part));
  }
  const auto total = metadata_.FindInt("split.tensors.count");
  if (total && *total != static_cast<int64_t>(tensors_.size())) {
    throw metadata_.Error("split.tensors.count",
                          "is " + std::to_string(*total) + " but the " +
                              std::to_string(count) + " parts have " +
                              std::to_string(tensors_.size()) + " tensors");
  }
}

GgufFile::GgufFile(GgufContents contents)
    : path_(std::move(contents.path)),
      owners_(std::move(contents.owners)),
      maps_(std::move(contents.maps)),
      file_bytes_(contents.file_bytes),
      metadata_(std::move(contents.metadata)) {
  for (GgufTensor& tensor : contents.tensors) Add(std::move(tensor));
}

void GgufFile::Take(GgufPart part) {
  file_bytes_ += static_cast<int64_t>(part.map.bytes().size());
  for (GgufTensor& tensor : part.tensors) Add(std::move(tensor));
  maps_.push_back(part.map.bytes());
  owners_.push_back(std::make_shared<MappedFile>(std::move(part.map)));
  parts_ = static_cast<int64_t>(owners_.size());
}

void GgufFile::Add(GgufTensor tensor) {
  if (!index_.emplace(tensor.name, tensors_.size()).second) {
    throw FormatError(tensor.path, tensor.file_offset,
                      "tensor '" + Printable(tensor.name) +
                          "' appears in an earlier part too");
  }
  tensors_.push_back(std::move(tensor));
}

const GgufTensor* GgufFile::Find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

bool GgufFile::IsMapped(const void* data) const {
  const auto* byte = static_cast<const std::byte*>(data);
  return std::any_of(maps_.begin(), maps_.end(), [&](const auto& map) {
    return std::greater_equal<>()(byte, map.data()) &&
           std::less<>()(byte, map.data() + map.size());
  });
}

}  // namespace ropewalk::formats
