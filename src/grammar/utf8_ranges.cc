#include "grammar/utf8_ranges.h"

#include <algorithm>
#include <string>

namespace ropewalk::grammar {
namespace {

// The last code point of each length in UTF-8.
constexpr uint32_t kLastOfLength[] = {0x7f, 0x7ff, 0xffff, kLastCodePoint};

// Splits a range of characters of one length until first and last byte of each
// position combine freely: where the low bits of an end do not span all values,
// they become a range of their own.
void Split(uint32_t first, uint32_t last, std::vector<ByteRanges>& result) {
  for (int bits = 6; bits <= 18; bits += 6) {
    const uint32_t low = (uint32_t{1} << bits) - 1;
    if ((first & ~low) == (last & ~low)) break;
    if ((first & low) != 0) {
      Split(first, first | low, result);
      Split((first | low) + 1, last, result);
      return;
    }
    if ((last & low) != low) {
      Split(first, (last & ~low) - 1, result);
      Split(last & ~low, last, result);
      return;
    }
  }
  std::string a;
  std::string b;
  AppendUtf8(first, a);
  AppendUtf8(last, b);
  ByteRanges ranges;
  for (size_t i = 0; i < a.size(); ++i) {
    ranges.push_back({static_cast<uint8_t>(a[i]), static_cast<uint8_t>(b[i])});
  }
  result.push_back(std::move(ranges));
}

}  // namespace

std::vector<ByteRanges> Utf8Ranges(const CodeSet& set) {
  std::vector<ByteRanges> result;
  for (const CodeRange& range : set) {
    uint32_t first = range.first;
    for (const uint32_t last : kLastOfLength) {
      if (first > last) continue;
      Split(first, std::min(last, range.last), result);
      if (range.last <= last) break;
      first = last + 1;
    }
  }
  return result;
}

}  // namespace ropewalk::grammar
