#include "tokenizer/stream_decoder.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace ropewalk::tokenizer {
namespace {

// Whether more bytes can complete `text` to one character. Only the byte after
// the lead byte has a range of its own, and 0x80 or 0xa0 is in each such range.
bool IsStartOfCharacter(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t bytes = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (lead < 0xc0 || text.size() >= bytes) return false;
  for (const char second : {'\x80', '\xa0'}) {
    std::string whole(text);
    whole += second;
    whole.resize(bytes, '\x80');
    if (!FindInvalidUtf8(whole)) return true;
  }
  return false;
}

// The number of bytes at the end of `text` that are an incomplete character.
size_t HeldBytes(std::string_view text) {
  for (size_t count = std::min<size_t>(3, text.size()); count > 0; --count) {
    if (IsStartOfCharacter(text.substr(text.size() - count))) return count;
  }
  return 0;
}

}  // namespace

std::string StreamDecoder::Add(Token token) {
  std::string text = held_ + tokenizer_.DecodeNext(token, previous_);
  if (tokenizer_.IsPrevious(token)) previous_ = token;
  const size_t whole = text.size() - HeldBytes(text);
  held_ = text.substr(whole);
  text.resize(whole);
  return text;
}

std::string StreamDecoder::Finish() { return std::exchange(held_, {}); }

}  // namespace ropewalk::tokenizer
