#include "huggingface/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "formats/json_file.h"
#include "tokenizer/stream_decoder.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::huggingface {
namespace {

using formats::Json;
using testing::HasSubstr;
using tokenizer::Tokenizer;

std::vector<std::string> FoldersIn(const std::string& folder) {
  std::vector<std::string> folders;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (std::filesystem::exists(entry.path() / "expected.json")) {
      folders.push_back(entry.path().string());
    }
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

Tokenizer Open(const std::string& folder) {
  formats::Metadata metadata(folder);
  ReadTokenizerFiles(folder, metadata);
  return Tokenizer::FromMetadata(metadata);
}

// With ill-formed bytes as U+FFFD, one for each.
std::string Lossy(std::string_view text) {
  std::string whole;
  for (size_t at = 0; at < text.size();) {
    const size_t bytes = Utf8SequenceLength(text, at);
    whole += bytes > 0 ? text.substr(at, bytes) : "\ufffd";
    at += std::max<size_t>(bytes, 1);
  }
  return whole;
}

std::string DecodeStream(const Tokenizer& tokenizer,
                         const std::vector<Token>& tokens) {
  tokenizer::StreamDecoder decoder(tokenizer);
  std::string text;
  for (const Token token : tokens) text += decoder.Add(token);
  return text + decoder.Finish();
}

// Compares with expected.json of `folder` and tells at most three differences.
void ExpectEqual(const Tokenizer& tokenizer, const std::string& folder,
                 const Json& lines) {
  const Json expected = formats::ReadJsonFile(folder + "/expected.json");
  const Json& texts = expected.contains("texts") ? expected["texts"] : lines;
  const bool pieces = !std::filesystem::exists(folder + "/tokenizer.json");
  ASSERT_EQ(texts.size(), expected["ids"].size());
  int differences = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto text = texts[i].get<std::string>();
    if (pieces) std::erase(text, '\0');  // sentencepiece takes no zero
    const auto ids = expected["ids"][i].get<std::vector<Token>>();
    const std::vector<Token> got =
        tokenizer.Encode(text, {.parse_special = !pieces});
    if (got != ids && ++differences <= 3) {
      ADD_FAILURE() << folder << ", line " << i << ": " << Printable(text, 200)
                    << "\n  got      " << testing::PrintToString(got)
                    << "\n  expected " << testing::PrintToString(ids);
    }
    // sentencepiece decodes unknown tokens to a sign of its own.
    if (pieces) continue;
    const std::string decoded = tokenizer.Decode(ids);
    if (Lossy(decoded) != expected["decoded"][i].get<std::string>() &&
        ++differences <= 3) {
      ADD_FAILURE() << folder << ", line " << i << " decodes to\n  "
                    << Printable(decoded, 200) << "\n  not to\n  "
                    << Printable(expected["decoded"][i].get<std::string>(),
                                 200);
    }
    EXPECT_EQ(DecodeStream(tokenizer, ids), decoded);
  }
  EXPECT_EQ(differences, 0) << folder;
}

const std::string& Golden() {
  static const std::string folder =
      ROPEWALK_SOURCE_FOLDER "/tests/golden/tokenizers";
  return folder;
}

TEST(TokenizerFilesTest, SmallTokenizersEncodeAndDecodeAsTheirOwnPrograms) {
  const std::vector<std::string> folders = FoldersIn(Golden());
  EXPECT_GE(folders.size(), 9u);
  for (const std::string& folder : folders) {
    ExpectEqual(Open(folder), folder, Json::array());
  }
}

// tools/make_tokenizers.py makes the folder.
std::string LargeFolder() {
  const char* named = std::getenv("ROPEWALK_TOKENIZERS");
  if (named != nullptr) return named;
  const char* home = std::getenv("HOME");
  return std::string(home ? home : "") + "/.cache/ropewalk/tokenizers";
}

TEST(TokenizerFilesTest, TenThousandLinesOfEachKindAreEqual) {
  const std::string folder = LargeFolder();
  if (!std::filesystem::exists(folder + "/lines.json")) {
    GTEST_SKIP() << folder
                 << " is not there; tools/make_tokenizers.py makes it";
  }
  const Json lines = formats::ReadJsonFile(folder + "/lines.json");
  for (const std::string& each : FoldersIn(folder)) {
    ExpectEqual(Open(each), each, lines);
  }
}

}  // namespace
}  // namespace ropewalk::huggingface
