// Folders of Hugging Face: config.json, then the header of model.safetensors as
// JSON. The target makes up the bytes of the tensors and, if the folder opens
// and is small, reads a few tokens.

#include <cstring>
#include <fstream>
#include <string>

#include "formats/json_file.h"
#include "fuzz/input.h"
#include "fuzz/small_model.h"
#include "model/model.h"

namespace ropewalk {
namespace {

constexpr std::string_view kBorder = "\n--weights--\n";
constexpr uint64_t kMostData = 256 << 10;

// The end of the last tensor that a header names; 0 if it cannot be read.
uint64_t DataEnd(std::string_view header) {
  uint64_t end = 0;
  fuzz::Accepts([&] {
    const formats::Json json = formats::ParseJson(header, "header");
    for (const auto& [name, tensor] : json.items()) {
      if (!tensor.is_object()) continue;
      const auto offsets = tensor.find("data_offsets");
      if (offsets == tensor.end() || !offsets->is_array() ||
          offsets->size() != 2 || !(*offsets)[1].is_number_unsigned()) {
        continue;
      }
      end = std::max(end, (*offsets)[1].get<uint64_t>());
    }
  });
  return std::min(end, kMostData);
}

void Write(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const std::string_view input = fuzz::View(data, size);
  const size_t border = input.find(kBorder);
  if (border == std::string_view::npos) return 0;
  const std::string_view header = input.substr(border + kBorder.size());
  static const std::string kData = fuzz::MadeUpData(kMostData);
  const uint64_t length = header.size();
  std::string weights(sizeof(length), '\0');
  std::memcpy(weights.data(), &length, sizeof(length));
  weights += header;
  weights += kData.substr(0, DataEnd(header));
  const std::filesystem::path& folder = fuzz::Folder();
  Write(folder / "config.json", input.substr(0, border));
  Write(folder / "model.safetensors", weights);
  fuzz::Accepts(
      [&] { fuzz::ReadSmall(model::Model::Load(folder.string()), size); });
  return 0;
}
