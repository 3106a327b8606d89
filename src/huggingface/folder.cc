#include "huggingface/folder.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "formats/json_file.h"
#include "formats/safetensors.h"
#include "huggingface/family.h"
#include "huggingface/tensors.h"
#include "huggingface/tokenizer_files.h"

namespace ropewalk::huggingface {
namespace {

namespace fs = std::filesystem;
using formats::Json;
using formats::SafetensorsFile;
using Files = std::vector<std::shared_ptr<const SafetensorsFile>>;

constexpr size_t kMostFiles = 4096;
constexpr const char* kIndex = "model.safetensors.index.json";

bool IsFile(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

// Opens the files that the index names, and checks that each tensor is where
// the index says.
Files OpenIndexed(const fs::path& folder) {
  const std::string path = (folder / kIndex).string();
  const Json json = formats::ReadJsonFile(path);
  const auto map = json.is_object() ? json.find("weight_map") : json.end();
  if (!json.is_object() || map == json.end() || !map->is_object()) {
    throw FormatError(path, 0, "must have an object 'weight_map'");
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    const bool plain = file.is_string() && !file.get<std::string>().empty() &&
                       fs::path(file.get<std::string>()).filename() ==
                           fs::path(file.get<std::string>());
    if (!plain) {
      throw FormatError(
          path, 0,
          "'" + Printable(tensor, 60) + "' must name a file of this folder");
    }
    names.insert(file.get<std::string>());
  }
  if (names.empty() || names.size() > kMostFiles) {
    throw FormatError(path, 0,
                      "names " + std::to_string(names.size()) +
                          " files; from 1 to " + std::to_string(kMostFiles) +
                          " are known");
  }
  Files files;
  for (const std::string& name : names) {
    files.push_back(
        std::make_shared<SafetensorsFile>((folder / name).string()));
  }
  for (const auto& [tensor, file] : map->items()) {
    const auto at =
        std::distance(names.begin(), names.find(file.get<std::string>()));
    if (files[static_cast<size_t>(at)]->Find(tensor) == nullptr) {
      throw FormatError(path, 0,
                        "says that '" + Printable(tensor, 60) + "' is in '" +
                            Printable(file.get<std::string>(), 60) +
                            "', which does not have it");
    }
  }
  return files;
}

Files OpenWeights(const fs::path& folder) {
  if (IsFile(folder / kIndex)) return OpenIndexed(folder);
  std::vector<fs::path> found;
  if (IsFile(folder / "model.safetensors")) {
    found.push_back(folder / "model.safetensors");
  } else {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
      if (entry.path().extension() == ".safetensors") {
        found.push_back(entry.path());
      }
    }
  }
  if (found.size() != 1) {
    throw IoError(folder.string() + ": " +
                  (found.empty()
                       ? "has no model.safetensors; weights in other forms "
                         "(pytorch_model.bin) are not read"
                       : "has " + std::to_string(found.size()) +
                             " .safetensors files and no " + kIndex +
                             " that says which belong together"));
  }
  return {std::make_shared<SafetensorsFile>(found.front().string())};
}

// "models--org--name/snapshots/HASH" is how a download is kept.
std::string NameOf(const fs::path& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (path.filename().empty()) path = path.parent_path();
  if (path.parent_path().filename() == "snapshots") {
    const std::string kept = path.parent_path().parent_path().filename();
    return kept.substr(
        kept.rfind("--") == std::string::npos ? 0 : kept.rfind("--") + 2);
  }
  return path.filename();
}

// What GGUF files state of the type that most weights have.
constexpr int64_t kMostlyF32 = 0;
constexpr int64_t kMostlyF16 = 1;
constexpr int64_t kMostlyBf16 = 32;

int64_t FileType(const formats::GgufContents& contents) {
  for (const formats::GgufTensor& tensor : contents.tensors) {
    if (tensor.name != "token_embd.weight") continue;
    if (tensor.type == DType::kBf16) return kMostlyBf16;
    if (tensor.type == DType::kF16) return kMostlyF16;
  }
  return kMostlyF32;
}

}  // namespace

formats::GgufFile OpenFolder(const std::string& path) {
  const fs::path folder(path);
  const fs::path config = folder / "config.json";
  if (!IsFile(config)) {
    throw IoError(path +
                  ": is a folder without config.json, so not a model of "
                  "Hugging Face; name the model's file");
  }
  Description model;
  try {
    model = ReadConfig(config.string(), NameOf(folder));
  } catch (const std::invalid_argument& error) {
    // Numbers of which no frequencies can be made.
    throw FormatError(config.string(), 0, error.what());
  }
  formats::GgufContents contents;
  contents.path = path;
  AddTensors(model, OpenWeights(folder), contents);
  model.metadata.SetInt("general.file_type", FileType(contents));
  // Without one a model can still be inspected, and read as ids.
  const bool has_tokenizer = IsFile(folder / "tokenizer.json") ||
                             IsFile(folder / "tokenizer.model") ||
                             IsFile(folder / "spiece.model");
  if (has_tokenizer) ReadTokenizerFiles(path, model.metadata);
  contents.metadata = std::move(model.metadata);
  return formats::GgufFile(std::move(contents));
}

formats::GgufFile OpenModel(const std::string& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored) ? OpenFolder(path)
                                         : formats::GgufFile(path);
}

}  // namespace ropewalk::huggingface
