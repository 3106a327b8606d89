#include "engine/prompt_cache.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/content_hash.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"
#include "formats/safetensors_fields.h"

namespace ropewalk::engine {
namespace {

// The bytes of a number.
template <typename T>
std::string_view BytesOfNumber(const T& number) {
  return {reinterpret_cast<const char*>(&number), sizeof(number)};
}

using attention::KvImage;
using formats::SafeTensor;
using formats::SafetensorsFile;
using formats::SafeType;

constexpr const char* kVersion = "3";
constexpr const char* kKind = "prompt cache";

std::string HashOf(const position::Stack& stack) {
  ContentHash hash;
  const auto add = [&](auto number) { hash.Add(BytesOfNumber(number)); };
  const auto add_map = [&](const position::PositionMap& map) {
    add(static_cast<int64_t>(map.kind));
    add(map.scale);
    add(map.divisor);
    add(map.offset);
    add(map.cap);
  };
  for (const position::Plan& plan : stack) {
    for (const position::Band& band : plan.bands) {
      add(static_cast<int64_t>(band.selector.kind));
      add(band.selector.low);
      add(band.selector.high);
      add(band.selector.chunk);
      add_map(band.query);
      add_map(band.key);
      add(band.table);
    }
    for (const position::FrequencyTable& table : plan.tables) {
      for (const double f : table.frequencies) add(f);
      add(table.magnitude);
    }
    add(static_cast<int64_t>(plan.scale.kind));
    add(plan.scale.length);
  }
  return hash.Hex();
}

// The name of the tensor of a layer's tiles: of a key store, or of the values
// if `store` is negative.
std::string TilesName(size_t layer, int64_t store) {
  return "layer." + std::to_string(layer) +
         (store < 0 ? ".values" : ".keys." + std::to_string(store));
}

std::string NumbersName(const std::string& tiles) { return tiles + ".numbers"; }

template <typename T>
std::span<const std::byte> Bytes(const std::vector<T>& numbers) {
  return std::as_bytes(std::span(numbers));
}

std::vector<KvImage::Tile> TilesOf(const SafetensorsFile& file,
                                   const std::string& name,
                                   int64_t tile_bytes) {
  const auto numbers =
      formats::Numbers<int64_t>(file, NumbersName(name), SafeType::kI64);
  const SafeTensor& tensor = file.Get(name);
  if (tensor.type != SafeType::kU8 ||
      tensor.shape != std::vector<int64_t>{static_cast<int64_t>(numbers.size()),
                                           tile_bytes}) {
    throw FormatError(file.path(), 0,
                      "tensor '" + name + "' must be tiles of " +
                          std::to_string(tile_bytes) + " bytes");
  }
  std::vector<KvImage::Tile> tiles;
  for (size_t t = 0; t < numbers.size(); ++t) {
    const size_t at = t * static_cast<size_t>(tile_bytes);
    tiles.push_back({numbers[t], reinterpret_cast<const uint8_t*>(
                                     tensor.bytes.data() + at)});
  }
  return tiles;
}

const std::string& Field(const SafetensorsFile& file, const std::string& key) {
  return formats::Field(file, key, kKind);
}

void RequireSame(const SafetensorsFile& file, const std::string& key,
                 const std::string& want, const std::string& what) {
  Require(Field(file, key) == want, "prompt cache '" + file.path() + "' " +
                                        what +
                                        "; name another file, or delete it");
}

}  // namespace

void WritePromptCache(const std::string& path, Engine& engine,
                      const CachedText& text, const model::Sequence& sequence) {
  const std::vector<KvImage> images = sequence.Images();
  formats::SafetensorsWriter writer(path);
  writer.AddMetadata("ropewalk.session", kVersion);
  writer.AddMetadata("model", engine.Hash());
  writer.AddMetadata("products", engine.Products());
  writer.AddMetadata("asked", text.asked);
  writer.AddMetadata("scheme", text.scheme);
  writer.AddMetadata("length", std::to_string(text.length));
  writer.AddMetadata("train_length",
                     std::to_string(engine.positions().train_length));
  writer.AddMetadata("plans", HashOf(sequence.stack()));
  writer.AddMetadata("exact", std::to_string(sequence.exact()));
  writer.AddMetadata("kv_type", std::string(InfoOf(sequence.kv_type()).name));
  const std::vector<Token> tokens(sequence.tokens().begin(),
                                  sequence.tokens().end());
  static_assert(sizeof(Token) == 4);
  // I64 tensors come first, so that every tensor is aligned.
  const auto for_tiles = [&](const auto& body) {
    for (size_t l = 0; l < images.size(); ++l) {
      body(TilesName(l, -1), images[l].values, images[l].value_tile_bytes);
      for (size_t s = 0; s < images[l].keys.size(); ++s) {
        body(TilesName(l, static_cast<int64_t>(s)), images[l].keys[s],
             images[l].key_tile_bytes);
      }
    }
  };
  std::vector<int64_t> counts;
  for (const KvImage& image : images) {
    counts.insert(counts.end(),
                  {image.size, image.keep, image.taken_out, image.frame});
  }
  const auto count = [](const auto& list) {
    return static_cast<int64_t>(list.size());
  };
  writer.AddTensor("counts", SafeType::kI64, {count(counts)});
  for_tiles([&](const std::string& name, const auto& tiles, int64_t) {
    writer.AddTensor(NumbersName(name), SafeType::kI64, {count(tiles)});
  });
  writer.AddTensor("tokens", SafeType::kI32, {count(tokens)});
  for_tiles([&](const std::string& name, const auto& tiles, int64_t bytes) {
    writer.AddTensor(name, SafeType::kU8, {count(tiles), bytes});
  });

  writer.WriteTensor(Bytes(counts));
  for_tiles([&](const std::string&, const auto& tiles, int64_t) {
    for (const KvImage::Tile& tile : tiles) {
      writer.WriteTensor(std::as_bytes(std::span(&tile.number, 1)));
    }
  });
  writer.WriteTensor(Bytes(tokens));
  for_tiles([&](const std::string&, const auto& tiles, int64_t bytes) {
    for (const KvImage::Tile& tile : tiles) {
      writer.WriteTensor(
          std::as_bytes(std::span(tile.data, static_cast<size_t>(bytes))));
    }
  });
  writer.Finish();
}

PromptCache::PromptCache(const std::string& path, Engine& engine, DType kv_type)
    : file_(path) {
  RequireSame(file_, "ropewalk.session", kVersion,
              "was written by another version of this program");
  file_.VerifyChecksum();
  RequireSame(file_, "model", engine.Hash(), "belongs to another model");
  RequireSame(file_, "products", engine.Products(),
              "was computed with " + Printable(Field(file_, "products"), 20) +
                  " products of the weights, not with " + engine.Products() +
                  " ones");
  RequireSame(file_, "kv_type", std::string(InfoOf(kv_type).name),
              "holds keys and values in " +
                  Printable(Field(file_, "kv_type"), 20) + ", not in " +
                  std::string(InfoOf(kv_type).name));
  const std::string trained = std::to_string(engine.positions().train_length);
  RequireSame(file_, "train_length", trained,
              "was made for a trained length of " +
                  Printable(Field(file_, "train_length"), 20) + ", not of " +
                  trained);
  text_ = {.asked = Field(file_, "asked"),
           .scheme = Field(file_, "scheme"),
           .length = formats::NumberField(file_, "length", kKind)};
  exact_ = formats::NumberField(file_, "exact", kKind);
  tokens_ = formats::Numbers<Token>(file_, "tokens", SafeType::kI32);
}

void PromptCache::Restore(model::Sequence& sequence) const {
  RequireSame(
      file_, "plans", HashOf(sequence.stack()),
      "was read under other positions (" + Printable(text_.scheme, 80) + ")");
  std::vector<KvImage> images = sequence.Images();  // for shapes
  const auto counts =
      formats::Numbers<int64_t>(file_, "counts", SafeType::kI64);
  if (counts.size() != 4 * images.size()) {
    throw FormatError(
        file_.path(), 0,
        "the prompt cache has counts of " + std::to_string(counts.size() / 4) +
            " layers, this model has " + std::to_string(images.size()));
  }
  for (size_t l = 0; l < images.size(); ++l) {
    KvImage& image = images[l];
    image.size = counts[4 * l];
    image.keep = counts[4 * l + 1];
    image.taken_out = counts[4 * l + 2];
    image.frame = counts[4 * l + 3];
    image.values = TilesOf(file_, TilesName(l, -1), image.value_tile_bytes);
    for (size_t s = 0; s < image.keys.size(); ++s) {
      image.keys[s] = TilesOf(file_, TilesName(l, static_cast<int64_t>(s)),
                              image.key_tile_bytes);
    }
  }
  sequence.Restore(tokens_, exact_, images);
}

}  // namespace ropewalk::engine
