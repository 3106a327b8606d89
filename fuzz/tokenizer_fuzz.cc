// Vocabularies, and the encoding of a text with them. The key fuzz.text has the
// text.

#include "fuzz/gguf_hooks.h"
#include "fuzz/input.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

using tokenizer::Tokenizer;

constexpr std::string_view kText =
    "Hello,  World 123456!\n\t \xc3\xa9t\xc3\xa9 \xe4\xbd\xa0\xe5\xa5\xbd "
    "\xf0\x9f\x98\x80 \xff\xfe <s> <|im_start|>'s I'LL\r\n\r\n  x";

std::string DecodeStream(const Tokenizer& tokenizer,
                         const std::vector<Token>& tokens) {
  tokenizer::StreamDecoder decoder(tokenizer);
  std::string text;
  for (const Token token : tokens) text += decoder.Add(token);
  return text + decoder.Finish();
}

bool RoundTrips(const Tokenizer& tokenizer, const std::string& text) {
  return tokenizer.Decode(tokenizer.Encode(
             text, {.add_bos = false, .add_eos = false})) == text;
}

// Whether every single byte round-trips; if so, every text must. A vocabulary
// may have a letter at the start of a word alone, so each byte also stands
// between two that no piece of the corpus has.
bool KeepsBytes(const Tokenizer& tokenizer) {
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    if (!RoundTrips(tokenizer, text) ||
        !RoundTrips(tokenizer, "\x01" + text + "\x02")) {
      return false;
    }
  }
  return true;
}

void Use(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<Token> tokens =
      tokenizer.Encode(text, {.add_bos = false, .add_eos = false});
  for (const Token token : tokens) {
    fuzz::Claim(token >= 0 && token < tokenizer.VocabularySize(),
                "an id is in the vocabulary");
  }
  const std::string back = tokenizer.Decode(tokens);
  fuzz::Claim(DecodeStream(tokenizer, tokens) == back,
              "a stream decodes like the whole text");
  // Some vocabularies spell a space as U+2581, and then U+2581 decodes to a
  // space.
  if (text.find("\xe2\x96\x81") == std::string_view::npos && back != text) {
    fuzz::Claim(!KeepsBytes(tokenizer),
                "a text round-trips if every byte does");
  }
  const std::vector<Token> special =
      tokenizer.Encode(text, {.parse_special = true});
  tokenizer.Decode(special);
  for (const Token token : special) {
    tokenizer.IsControl(token);
    tokenizer.IsEndOfText(token);
    tokenizer.Piece(token);
  }
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const fuzz::MemoryFile bytes(fuzz::View(data, size));
  fuzz::Accepts([&] {
    const formats::GgufFile file(bytes.path());
    const Tokenizer tokenizer = Tokenizer::FromGguf(file);
    const formats::MetadataValue* text = file.metadata().Find("fuzz.text");
    Use(tokenizer, kText);
    if (text != nullptr) Use(tokenizer, text->bytes);
  });
  return 0;
}
