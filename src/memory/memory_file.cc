#include "memory/memory_file.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"
#include "formats/safetensors_fields.h"
#include "kernels/nibbles.h"
#include "memory/finished_parts.h"

namespace ropewalk::memory {
namespace {

namespace fs = std::filesystem;

using attention::MemoryPart;
using attention::TileRef;
using formats::SafeTensor;
using formats::SafetensorsFile;
using formats::SafeType;

constexpr const char* kVersion = "1";
constexpr const char* kKind = "memory";
// What the kernels expect of a tile, as of those of a pool (kv_tiles.h).
constexpr uintptr_t kTileAlignment = 64;

std::string TilesName(size_t part, size_t layer, const char* what) {
  return "part." + std::to_string(part) + ".layer." + std::to_string(layer) +
         "." + what;
}

template <typename T>
std::span<const std::byte> Bytes(const std::vector<T>& numbers) {
  return std::as_bytes(std::span(numbers));
}

std::span<const std::byte> TileBytes(const TileRef& tile, int64_t bytes) {
  return std::as_bytes(
      std::span<const uint8_t>(tile.get(), static_cast<size_t>(bytes)));
}

const std::string& Field(const SafetensorsFile& file, const std::string& key) {
  return formats::Field(file, key, kKind);
}

MemoryInfo InfoOf(const SafetensorsFile& file) {
  const std::string& version = Field(file, "ropewalk.memory");
  Require(version == kVersion,
          "memory '" + Printable(file.path(), 200) +
              "' was written by another version of this program; make it anew");
  MemoryInfo info{.path = file.path(),
                  .name = Field(file, "name"),
                  .source = Field(file, "source"),
                  .model = Field(file, "model"),
                  .part = formats::NumberField(file, "part", kKind),
                  .overlap = formats::NumberField(file, "overlap", kKind)};
  const std::string& type = Field(file, "kv_type");
  const auto parsed = ParseDType(type);
  if (!parsed || !kernels::CanStore(*parsed)) {
    throw FormatError(file.path(), 0,
                      "'kv_type' must be " +
                          std::string(kernels::kStorableNames) + ", got '" +
                          Printable(type, 20) + "'");
  }
  info.type = *parsed;
  info.tokens = file.Get("tokens").elements;
  info.parts = file.Get("begins").elements;
  for (const SafeTensor& tensor : file.tensors()) {
    info.bytes += static_cast<int64_t>(tensor.bytes.size());
  }
  return info;
}

// What a file says of each part: where it begins in the document, the first
// slot that counts and the one behind the last.
struct PartNumbers {
  std::vector<int64_t> begins;
  std::vector<int64_t> firsts;
  std::vector<int64_t> lasts;
};

PartNumbers NumbersOf(engine::Engine& engine,
                      const std::vector<std::pair<int64_t, int64_t>>& cuts,
                      const ReadOptions& options) {
  const auto begin_ids = static_cast<int64_t>(
      engine.tokenizer().Encode("", {.add_eos = false}).size());
  PartNumbers numbers;
  for (const auto& [begin, end] : cuts) {
    numbers.begins.push_back(begin);
    numbers.firsts.push_back(begin_ids + std::min(options.overlap, begin));
    numbers.lasts.push_back(numbers.firsts.back() + end - begin);
  }
  return numbers;
}

// The tiles of one layer of one part, in the map of the file.
std::vector<TileRef> TilesOf(const std::shared_ptr<SafetensorsFile>& file,
                             const std::string& name, int64_t tiles,
                             int64_t tile_bytes) {
  const SafeTensor& tensor = file->Get(name);
  if (tensor.type != SafeType::kU8 ||
      tensor.shape != std::vector<int64_t>{tiles, tile_bytes}) {
    throw FormatError(file->path(), 0,
                      "tensor '" + name + "' must be " + std::to_string(tiles) +
                          " tiles of " + std::to_string(tile_bytes) + " bytes");
  }
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % kTileAlignment != 0) {
    throw FormatError(file->path(), 0,
                      "tensor '" + name + "' must lie at a multiple of " +
                          std::to_string(kTileAlignment) + " bytes");
  }
  std::vector<TileRef> refs;
  for (int64_t t = 0; t < tiles; ++t) {
    // Tiles of memories are only read, as the map is.
    const auto* at =
        reinterpret_cast<const uint8_t*>(tensor.bytes.data()) + t * tile_bytes;
    refs.emplace_back(file, const_cast<uint8_t*>(at));
  }
  return refs;
}

// Writes the tiles of a part, layer by layer, keys before values.
void WriteTiles(formats::SafetensorsWriter& writer, const Part& part,
                const TileSizes& sizes) {
  for (const MemoryPart& layer : part.layers) {
    for (const TileRef& tile : layer.keys) {
      writer.WriteTensor(TileBytes(tile, sizes.key));
    }
    for (const TileRef& tile : layer.values) {
      writer.WriteTensor(TileBytes(tile, sizes.value));
    }
  }
}

// The same from their bytes, one tensor after another.
void WriteTensors(formats::SafetensorsWriter& writer,
                  std::span<const std::byte> tiles, int64_t layers,
                  int64_t key_bytes, int64_t value_bytes) {
  for (int64_t l = 0; l < layers; ++l) {
    for (const int64_t bytes : {key_bytes, value_bytes}) {
      writer.WriteTensor(tiles.first(static_cast<size_t>(bytes)));
      tiles = tiles.subspan(static_cast<size_t>(bytes));
    }
  }
}

}  // namespace

void Remember(engine::Engine& engine, const Document& document,
              const ReadOptions& options, const std::string& path,
              const std::function<void(int64_t)>& on_read) {
  const auto n = static_cast<int64_t>(document.tokens.size());
  CheckReading(engine, document.name, n, options);
  const auto cuts = CutParts(n, options);
  const TileSizes sizes = TileSizesOf(engine, options.type);
  const std::vector<bool> kept =
      MemoryLayers(engine.positions(), engine.model().config().L);
  const PartNumbers numbers = NumbersOf(engine, cuts, options);

  formats::SafetensorsWriter writer(path);
  writer.AddMetadata("ropewalk.memory", kVersion);
  writer.AddMetadata("model", engine.Hash());
  writer.AddMetadata("products", engine.Products());
  writer.AddMetadata("train_length",
                     std::to_string(engine.positions().train_length));
  writer.AddMetadata("name", document.name);
  writer.AddMetadata("source", document.source);
  writer.AddMetadata("kv_type",
                     std::string(ropewalk::InfoOf(options.type).name));
  writer.AddMetadata("part", std::to_string(options.part));
  writer.AddMetadata("overlap", std::to_string(options.overlap));
  // Tiles come first, so that they lie at multiples of a cache line.
  for (size_t p = 0; p < cuts.size(); ++p) {
    const int64_t tiles = attention::TilesFor(numbers.lasts[p]);
    for (size_t l = 0; l < kept.size(); ++l) {
      if (!kept[l]) continue;
      writer.AddTensor(TilesName(p, l, "keys"), SafeType::kU8,
                       {tiles, sizes.key});
      writer.AddTensor(TilesName(p, l, "values"), SafeType::kU8,
                       {tiles, sizes.value});
    }
  }
  const auto parts = static_cast<int64_t>(cuts.size());
  writer.AddTensor("begins", SafeType::kI64, {parts});
  writer.AddTensor("firsts", SafeType::kI64, {parts});
  writer.AddTensor("lasts", SafeType::kI64, {parts});
  writer.AddTensor("tokens", SafeType::kI32, {n});
  const auto layers = static_cast<int64_t>(std::ranges::count(kept, true));
  FinishedParts finished(
      path, HashOf(engine, document.tokens, options) + " " + engine.Products());
  for (size_t p = 0; p < cuts.size(); ++p) {
    const int64_t tiles = attention::TilesFor(numbers.lasts[p]);
    const int64_t bytes = layers * tiles * (sizes.key + sizes.value);
    if (const auto there = finished.Find(p, bytes)) {
      WriteTensors(writer, FinishedParts::Tiles(*there), layers,
                   tiles * sizes.key, tiles * sizes.value);
      continue;
    }
    const Part part = ReadPart(engine, document.tokens, cuts[p].first,
                               cuts[p].second, options, on_read);
    // The last part needs no keeping: the memory is complete with it.
    if (p + 1 < cuts.size()) {
      finished.Keep(p, bytes, [&](formats::SafetensorsWriter& to) {
        WriteTiles(to, part, sizes);
      });
    }
    WriteTiles(writer, part, sizes);
  }
  writer.WriteTensor(Bytes(numbers.begins));
  writer.WriteTensor(Bytes(numbers.firsts));
  writer.WriteTensor(Bytes(numbers.lasts));
  writer.WriteTensor(Bytes(document.tokens));
  writer.Finish();
  finished.Remove();
}

bool Holds(const std::string& path, engine::Engine& engine,
           const Document& document, const ReadOptions& options) {
  const SafetensorsFile file(path);
  const MemoryInfo info = InfoOf(file);
  return info.model == engine.Hash() &&
         Field(file, "products") == engine.Products() &&
         Field(file, "train_length") ==
             std::to_string(engine.positions().train_length) &&
         info.type == options.type && info.part == options.part &&
         info.overlap == options.overlap &&
         formats::Numbers<Token>(file, "tokens", SafeType::kI32) ==
             document.tokens;
}

MemoryInfo ReadInfo(const std::string& path) {
  return InfoOf(SafetensorsFile(path));
}

void VerifyMemory(const std::string& path) {
  const SafetensorsFile file(path);
  (void)InfoOf(file);
  file.VerifyChecksum();
}

std::shared_ptr<const Memory> OpenMemory(const std::string& path,
                                         engine::Engine& engine) {
  const auto file = std::make_shared<SafetensorsFile>(path);
  const MemoryInfo info = InfoOf(*file);
  const auto require_same = [&](const std::string& key, const std::string& want,
                                const std::string& what) {
    Require(Field(*file, key) == want,
            "memory '" + Printable(path, 200) + "' " + what + "; make it anew");
  };
  require_same("model", engine.Hash(), "belongs to another model");
  require_same("products", engine.Products(),
               "was read with " + Printable(Field(*file, "products"), 20) +
                   " products of the weights, not with " + engine.Products() +
                   " ones");
  const std::string trained = std::to_string(engine.positions().train_length);
  require_same("train_length", trained,
               "was made for a trained length of " +
                   Printable(Field(*file, "train_length"), 20) + ", not of " +
                   trained);
  file->VerifyChecksum();

  auto memory = std::make_shared<Memory>();
  memory->name = info.name;
  memory->source = info.source;
  memory->type = info.type;
  memory->tokens = formats::Numbers<Token>(*file, "tokens", SafeType::kI32);
  const int64_t V = engine.model().config().V;
  for (const Token token : memory->tokens) {
    if (token < 0 || token >= V) {
      throw FormatError(path, 0,
                        "token " + std::to_string(token) +
                            " is outside the vocabulary of " +
                            std::to_string(V));
    }
  }
  const auto refuse = [&](const std::string& why) {
    throw FormatError(path, 0, why);
  };
  const ReadOptions options{
      .part = info.part, .overlap = info.overlap, .type = info.type};
  const auto n = static_cast<int64_t>(memory->tokens.size());
  try {
    CheckReading(engine, info.name, n, options);
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  }
  const auto cuts = CutParts(n, options);
  const PartNumbers numbers = NumbersOf(engine, cuts, options);
  const auto require_numbers = [&](const char* name,
                                   const std::vector<int64_t>& want) {
    if (formats::Numbers<int64_t>(*file, name, SafeType::kI64) == want) return;
    refuse("'" + std::string(name) + "' does not fit a document of " +
           std::to_string(n) + " tokens in parts of " +
           std::to_string(options.part) + " with an overlap of " +
           std::to_string(options.overlap));
  };
  require_numbers("begins", numbers.begins);
  require_numbers("firsts", numbers.firsts);
  require_numbers("lasts", numbers.lasts);
  const TileSizes sizes = TileSizesOf(engine, info.type);
  const std::vector<bool> kept =
      MemoryLayers(engine.positions(), engine.model().config().L);
  for (size_t p = 0; p < cuts.size(); ++p) {
    Part part{.begin = numbers.begins[p]};
    const int64_t tiles = attention::TilesFor(numbers.lasts[p]);
    for (size_t l = 0; l < kept.size(); ++l) {
      MemoryPart& layer = part.layers.emplace_back();
      if (!kept[l]) continue;
      layer.first = numbers.firsts[p];
      layer.last = numbers.lasts[p];
      layer.keys = TilesOf(file, TilesName(p, l, "keys"), tiles, sizes.key);
      layer.values =
          TilesOf(file, TilesName(p, l, "values"), tiles, sizes.value);
    }
    memory->parts.push_back(std::move(part));
  }
  memory->hash = HashOf(engine, memory->tokens, options);
  return memory;
}

std::vector<std::string> MemoryFiles(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    const size_t before = files.size();
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (entry.path().extension() == kMemorySuffix) {
        files.push_back(entry.path().string());
      }
    }
    if (error)
      throw IoError("cannot list '" + Printable(path, 200) +
                    "': " + error.message());
    Require(files.size() > before, "'" + Printable(path, 200) +
                                       "' has no files that end in " +
                                       kMemorySuffix);
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
  }
  return files;
}

}  // namespace ropewalk::memory
