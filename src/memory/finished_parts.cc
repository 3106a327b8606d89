#include "memory/finished_parts.h"

#include <exception>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::memory {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBelongsTo = "ropewalk.part";
constexpr const char* kTiles = "tiles";

}  // namespace

FinishedParts::FinishedParts(const std::string& path, std::string hash)
    : folder_(path + ".parts"), hash_(std::move(hash)) {}

std::optional<formats::SafetensorsFile> FinishedParts::Find(
    size_t part, int64_t bytes) const {
  std::error_code error;
  if (!fs::exists(PathOf(part), error)) return std::nullopt;
  try {
    formats::SafetensorsFile file(PathOf(part));
    const auto belongs = file.metadata().find(kBelongsTo);
    const formats::SafeTensor* tiles = file.Find(kTiles);
    if (belongs == file.metadata().end() || belongs->second != hash_ ||
        tiles == nullptr ||
        static_cast<int64_t>(tiles->bytes.size()) != bytes) {
      return std::nullopt;
    }
    file.VerifyChecksum();
    return file;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

std::span<const std::byte> FinishedParts::Tiles(
    const formats::SafetensorsFile& file) {
  return file.Get(kTiles).bytes;
}

void FinishedParts::Remove() const {
  std::error_code error;
  fs::remove_all(folder_, error);
}

std::string FinishedParts::Begin(size_t part) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) {
    throw IoError("cannot make the folder '" + Printable(folder_, 200) +
                  "': " + error.message());
  }
  return PathOf(part);
}

void FinishedParts::Declare(formats::SafetensorsWriter& writer,
                            int64_t bytes) const {
  writer.AddMetadata(kBelongsTo, hash_);
  writer.AddTensor(kTiles, formats::SafeType::kU8, {bytes});
}

std::string FinishedParts::PathOf(size_t part) const {
  return (fs::path(folder_) / std::to_string(part)).string();
}

}  // namespace ropewalk::memory
