#include "tokenizer/unicode_classes.h"

#include <array>
#include <vector>

#include "base/text.h"

namespace ropewalk::tokenizer {
namespace {

constexpr char32_t kEnd = 0x110000;

constexpr uint32_t kRuns[] = {
#include "tokenizer/unicode_classes.inc"
};

// The layout of a class in the table.
constexpr uint32_t kCategory = 15;
constexpr uint32_t kFlagShift = 4;  // space, Han, word

// One byte for each code point, because a search would be too slow.
const std::vector<uint8_t>& ClassTable() {
  static const std::vector<uint8_t> table = [] {
    std::vector<uint8_t> classes(kEnd);
    constexpr size_t kCount = std::size(kRuns);
    for (size_t i = 0; i < kCount; ++i) {
      const uint32_t begin = kRuns[i] >> 8;
      const uint32_t end = i + 1 < kCount ? kRuns[i + 1] >> 8 : kEnd;
      for (uint32_t c = begin; c < end; ++c) {
        classes[c] = static_cast<uint8_t>(kRuns[i] & 0xff);
      }
    }
    return classes;
  }();
  return table;
}

}  // namespace

uint32_t ClassesOf(char32_t code_point) {
  if (code_point >= kEnd) return 0;
  const uint32_t entry = ClassTable()[code_point];
  // Category 0 is bit 0, which is in no CharacterSet.
  return 1u << (entry & kCategory) | (entry >> kFlagShift) * kSpace;
}

Character WideCharacterAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) {
    return static_cast<unsigned char>(text[at + i]);
  };
  const char32_t lead = byte(0);
  const auto tail = [&](size_t i) -> char32_t { return byte(i) & 0x3fu; };
  switch (Utf8SequenceLength(text, at)) {
    case 2:
      return {(lead & 0x1f) << 6 | tail(1), 2};
    case 3:
      return {(lead & 0xf) << 12 | tail(1) << 6 | tail(2), 3};
    case 4:
      return {(lead & 7) << 18 | tail(1) << 12 | tail(2) << 6 | tail(3), 4};
    default:
      return {0xfffd, 1};
  }
}

}  // namespace ropewalk::tokenizer
