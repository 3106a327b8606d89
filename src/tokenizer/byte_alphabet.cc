#include "tokenizer/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "tokenizer/unicode_classes.h"

namespace ropewalk::tokenizer {
namespace {

constexpr size_t kCharacters = 0x144;

constexpr bool IsItself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
         (byte >= 0xae && byte <= 0xff);
}

// The byte of each character; -1 for characters that spell no byte.
constexpr std::array<int16_t, kCharacters> Bytes() {
  std::array<int16_t, kCharacters> bytes{};
  bytes.fill(-1);
  size_t next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    bytes[IsItself(byte) ? static_cast<size_t>(byte) : next++] =
        static_cast<int16_t>(byte);
  }
  return bytes;
}

constexpr std::array<int16_t, kCharacters> kBytes = Bytes();

// The character of each byte.
constexpr std::array<uint16_t, 256> Characters() {
  std::array<uint16_t, 256> characters{};
  for (size_t c = 0; c < kCharacters; ++c) {
    if (kBytes[c] < 0) continue;
    characters[static_cast<size_t>(kBytes[c])] = static_cast<uint16_t>(c);
  }
  return characters;
}

constexpr std::array<uint16_t, 256> kSpelled = Characters();

}  // namespace

bool AppendSpelledBytes(std::string_view piece, std::string* bytes) {
  const size_t before = bytes->size();
  for (size_t at = 0; at < piece.size();) {
    const Character c = CharacterAt(piece, at);
    if (c.code_point >= kCharacters || kBytes[c.code_point] < 0) {
      bytes->resize(before);
      return false;
    }
    *bytes += static_cast<char>(kBytes[c.code_point]);
    at += c.bytes;
  }
  return true;
}

void AppendSpelling(std::string_view bytes, std::string* spelling) {
  spelling->reserve(spelling->size() + bytes.size() + bytes.size() / 2);
  for (const char byte : bytes) {
    const uint16_t c = kSpelled[static_cast<unsigned char>(byte)];
    if (c < 0x80) {
      *spelling += static_cast<char>(c);
    } else {  // below 0x800: two bytes
      *spelling += static_cast<char>(0xc0 | c >> 6);
      *spelling += static_cast<char>(0x80 | (c & 0x3f));
    }
  }
}

}  // namespace ropewalk::tokenizer
