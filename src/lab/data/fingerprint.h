// Names for contents: cache keys and equality of documents, no security.

#ifndef ROPEWALK_LAB_DATA_FINGERPRINT_H_
#define ROPEWALK_LAB_DATA_FINGERPRINT_H_

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "lab/data/draws.h"

namespace ropewalk::lab::data {

// CRC-32 and Adler-32 side by side with the length: 64 bits that differ for
// different texts unless somebody wants them not to.
class Fingerprint {
 public:
  void Add(std::string_view bytes) {
    if (bytes.empty()) return;  // zlib takes null for a fresh start
    const auto* data = reinterpret_cast<const Bytef*>(bytes.data());
    crc_ = crc32_z(crc_, data, bytes.size());
    adler_ = adler32_z(adler_, data, bytes.size());
    size_ += bytes.size();
  }
  void AddNumber(uint64_t number) {
    Add({reinterpret_cast<const char*>(&number), sizeof(number)});
  }
  uint64_t value() const { return Combine({crc_, adler_, size_}); }

 private:
  uLong crc_ = 0;
  uLong adler_ = 1;
  uint64_t size_ = 0;
};

inline uint64_t FingerprintOf(std::string_view bytes) {
  Fingerprint fingerprint;
  fingerprint.Add(bytes);
  return fingerprint.value();
}

// 16 lower-case hexadecimal digits.
inline std::string Hex(uint64_t value) {
  std::string text(16, '0');
  for (size_t i = 16; i-- > 0; value /= 16) {
    text[i] = "0123456789abcdef"[value % 16];
  }
  return text;
}

}  // namespace ropewalk::lab::data

#endif  // ROPEWALK_LAB_DATA_FINGERPRINT_H_
