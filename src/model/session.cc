#include "model/session.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "formats/safetensors.h"

namespace ropewalk::model {
namespace {

using attention::KvImage;
using formats::SafeTensor;
using formats::SafetensorsFile;
using formats::SafeType;

constexpr const char* kVersion = "1";

// FNV-1a, 64 bits: to tell files apart, not to resist anybody.
class Fingerprint {
 public:
  void Add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) {
      state_ = (state_ ^ static_cast<uint64_t>(byte)) * 0x100000001b3u;
    }
  }
  void Add(const std::string& text) { Add(std::as_bytes(std::span(text))); }
  template <typename T>
  void AddNumber(T number) {
    Add(std::as_bytes(std::span(&number, 1)));
  }
  std::string Hex() const {
    std::string hex;
    for (int shift = 60; shift >= 0; shift -= 4) {
      hex += "0123456789abcdef"[state_ >> shift & 15];
    }
    return hex;
  }

 private:
  uint64_t state_ = 0xcbf29ce484222325u;
};

// Names, shapes and a little of the contents of every tensor.
std::string FingerprintOf(const Model& model) {
  Fingerprint print;
  for (const formats::GgufTensor& tensor : model.file().tensors()) {
    print.Add(tensor.name);
    print.AddNumber(static_cast<uint64_t>(tensor.bytes.size()));
    const size_t some = std::min<size_t>(256, tensor.bytes.size());
    print.Add(tensor.bytes.first(some));
    print.Add(tensor.bytes.last(some));
  }
  return print.Hex();
}

std::string FingerprintOf(const position::Stack& stack) {
  Fingerprint print;
  const auto add_map = [&](const position::PositionMap& map) {
    print.AddNumber(static_cast<int64_t>(map.kind));
    print.AddNumber(map.scale);
    print.AddNumber(map.divisor);
    print.AddNumber(map.offset);
    print.AddNumber(map.cap);
  };
  for (const position::Plan& plan : stack) {
    for (const position::Band& band : plan.bands) {
      print.AddNumber(static_cast<int64_t>(band.selector.kind));
      print.AddNumber(band.selector.low);
      print.AddNumber(band.selector.high);
      print.AddNumber(band.selector.chunk);
      add_map(band.query);
      add_map(band.key);
      print.AddNumber(band.table);
    }
    for (const position::FrequencyTable& table : plan.tables) {
      for (const double f : table.frequencies) print.AddNumber(f);
      print.AddNumber(table.magnitude);
    }
    print.AddNumber(static_cast<int64_t>(plan.scale.kind));
    print.AddNumber(plan.scale.length);
  }
  return print.Hex();
}

// Name of the tiles of a layer: values, or those of a key store.
std::string TilesName(size_t layer, int64_t store) {
  return "layer." + std::to_string(layer) +
         (store < 0 ? ".values" : ".keys." + std::to_string(store));
}

std::string NumbersName(const std::string& tiles) { return tiles + ".numbers"; }

template <typename T>
std::span<const std::byte> Bytes(const std::vector<T>& numbers) {
  return std::as_bytes(std::span(numbers));
}

template <typename T>
std::vector<T> Numbers(const SafetensorsFile& file, const std::string& name,
                       SafeType type) {
  const SafeTensor& tensor = file.Get(name);
  if (tensor.type != type || tensor.shape.size() != 1) {
    throw FormatError(file.path(), 0,
                      "tensor '" + name + "' is not a row of numbers");
  }
  std::vector<T> numbers(static_cast<size_t>(tensor.elements));
  if (!numbers.empty()) {
    std::memcpy(numbers.data(), tensor.bytes.data(), tensor.bytes.size());
  }
  return numbers;
}

std::vector<KvImage::Tile> TilesOf(const SafetensorsFile& file,
                                   const std::string& name,
                                   int64_t tile_bytes) {
  const auto numbers =
      Numbers<int64_t>(file, NumbersName(name), SafeType::kI64);
  const SafeTensor& tensor = file.Get(name);
  if (tensor.type != SafeType::kU8 ||
      tensor.shape != std::vector<int64_t>{static_cast<int64_t>(numbers.size()),
                                           tile_bytes}) {
    throw FormatError(file.path(), 0,
                      "tensor '" + name + "' is not tiles of " +
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

void RequireSame(const SafetensorsFile& file, const std::string& key,
                 const std::string& want, const std::string& what) {
  const auto at = file.metadata().find(key);
  if (at == file.metadata().end()) {
    throw FormatError(file.path(), 0, "no '" + key + "': not a prompt cache");
  }
  Require(at->second == want, "prompt cache '" + file.path() + "' " + what +
                                  "; name another file, or delete it");
}

}  // namespace

void SaveSession(const std::string& path, const Model& model,
                 const Sequence& sequence, const std::string& position) {
  const std::vector<KvImage> images = sequence.Images();
  formats::SafetensorsWriter writer(path);
  writer.AddMetadata("ropewalk.session", kVersion);
  writer.AddMetadata("model", FingerprintOf(model));
  writer.AddMetadata("plans", FingerprintOf(sequence.stack()));
  writer.AddMetadata("position", position);
  writer.AddMetadata("kv_type", std::string(InfoOf(sequence.kv_type()).name));
  const std::vector<Token> tokens(sequence.tokens().begin(),
                                  sequence.tokens().end());
  static_assert(sizeof(Token) == 4);
  // Numbers first: every tensor stays aligned.
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

void LoadSession(const std::string& path, const Model& model,
                 Sequence& sequence) {
  const SafetensorsFile file(path);
  RequireSame(file, "ropewalk.session", kVersion,
              "is of another version of this program");
  file.VerifyChecksum();
  RequireSame(file, "model", FingerprintOf(model), "is of another model");
  const auto position = file.metadata().find("position");
  RequireSame(file, "plans", FingerprintOf(sequence.stack()),
              "was read under other positions" +
                  (position == file.metadata().end()
                       ? std::string()
                       : " (" + Printable(position->second, 80) + ")"));
  RequireSame(file, "kv_type", std::string(InfoOf(sequence.kv_type()).name),
              "keeps keys and values in another type");

  std::vector<KvImage> images = sequence.Images();  // for shapes
  const auto counts = Numbers<int64_t>(file, "counts", SafeType::kI64);
  if (counts.size() != 4 * images.size()) {
    throw FormatError(path, 0, "counts of another number of layers");
  }
  for (size_t l = 0; l < images.size(); ++l) {
    KvImage& image = images[l];
    image.size = counts[4 * l];
    image.keep = counts[4 * l + 1];
    image.taken_out = counts[4 * l + 2];
    image.frame = counts[4 * l + 3];
    image.values = TilesOf(file, TilesName(l, -1), image.value_tile_bytes);
    for (size_t s = 0; s < image.keys.size(); ++s) {
      image.keys[s] = TilesOf(file, TilesName(l, static_cast<int64_t>(s)),
                              image.key_tile_bytes);
    }
  }
  const auto tokens = Numbers<Token>(file, "tokens", SafeType::kI32);
  sequence.Restore(tokens, static_cast<int64_t>(tokens.size()), images);
}

}  // namespace ropewalk::model
