// A tokenizer.json, if the input begins with '{', or a tokenizer.model of
// SentencePiece, and the encoding of a text with it.

#include <string>
#include <string_view>

#include "formats/json_file.h"
#include "fuzz/input.h"
#include "huggingface/tokenizer_config.h"
#include "huggingface/tokenizer_description.h"
#include "huggingface/tokenizer_json.h"
#include "huggingface/tokenizer_sentencepiece.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk {
namespace {

using tokenizer::Tokenizer;

constexpr std::string_view kText =
    "Hello,  World 123456!\n\t \xc3\xa9t\xc3\xa9 e\xcc\x81 \xe4\xbd\xa0 "
    "\xef\xac\x81 \xf0\x9f\x98\x80 \xff <s> <mask> 's I'LL\r\n  x";

void Use(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<Token> tokens =
      tokenizer.Encode(text, {.parse_special = true});
  tokenizer::StreamDecoder decoder(tokenizer);
  std::string stream;
  for (const Token token : tokens) {
    fuzz::Claim(token >= 0 && token < tokenizer.VocabularySize(),
                "an id is in the vocabulary");
    stream += decoder.Add(token);
  }
  stream += decoder.Finish();
  fuzz::Claim(stream == tokenizer.Decode(tokens),
              "a stream decodes like the whole text");
}

formats::Metadata Read(std::string_view bytes) {
  formats::Metadata metadata("input");
  if (bytes.starts_with('{')) {
    huggingface::ReadTokenizerJson("tokenizer.json",
                                   formats::ParseJson(bytes, "tokenizer.json"),
                                   0, metadata);
  } else {
    const huggingface::TokenizerConfig none("/nowhere");
    huggingface::ReadSentencePieceModel("tokenizer.model", bytes, none,
                                        metadata);
  }
  return metadata;
}

}  // namespace
}  // namespace ropewalk

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ropewalk;
  const std::string_view bytes = fuzz::View(data, size);
  fuzz::Accepts([&] {
    const formats::Metadata metadata = Read(bytes);
    const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
    Use(tokenizer, kText);
    Use(tokenizer, "");
    if (!bytes.starts_with('{')) huggingface::DescribeVocabulary(metadata);
  });
  return 0;
}
