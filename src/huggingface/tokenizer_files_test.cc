#include "huggingface/tokenizer_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "formats/gguf.h"
#include "formats/json_file.h"
#include "tests/test_data.h"
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
    // sentencepiece sums scores in float32 and may order equal sums otherwise.
    const bool tie = pieces && std::is_permutation(got.begin(), got.end(),
                                                   ids.begin(), ids.end());
    if (got != ids && !tie && ++differences <= 3) {
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

// A folder that is removed with the object.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "/tokenizer_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }

  void Write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(
        std::filesystem::path(path + "/" + name).parent_path());
    std::ofstream(path + "/" + name) << text;
  }
  void Write(const std::string& name, const Json& json) const {
    Write(name, json.dump());
  }

  std::string path;
};

// Of letters a to d, ab and abc, one special token and one other.
Json SmallBpe() {
  return Json::parse(R"({
    "added_tokens": [
      {"id": 6, "content": "<s>", "special": true, "normalized": false},
      {"id": 7, "content": "<tool>", "special": false, "normalized": false}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
    "post_processor": null,
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE",
      "vocab": {"a": 0, "b": 1, "c": 2, "d": 3, "ab": 4, "abc": 5},
      "merges": ["a b", "ab c"]}})");
}

formats::Metadata Read(const Folder& folder) {
  formats::Metadata metadata("folder");
  ReadTokenizerFiles(folder.path, metadata);
  return metadata;
}

// The message that a tokenizer.json, changed by `change`, is refused with.
std::string Refusal(const std::function<void(Json*)>& change) {
  const Folder folder;
  Json json = SmallBpe();
  change(&json);
  folder.Write("tokenizer.json", json);
  try {
    Tokenizer::FromMetadata(Read(folder));
  } catch (const FormatError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  return "not refused";
}

TEST(TokenizerFilesTest, BrokenVocabulariesAreRefusedInOneLine) {
  EXPECT_THAT(Refusal([](Json* json) {
                (*json)["added_tokens"][0]["id"] = int64_t{1} << 40;
              }),
              HasSubstr("ids must be below 65552"));
  EXPECT_THAT(
      Refusal([](Json* json) { (*json)["added_tokens"][0]["id"] = -1; }),
      HasSubstr("the id of added token '<s>' must be an integer from 0 on"));
  EXPECT_THAT(Refusal([](Json* json) { (*json)["added_tokens"][0]["id"] = 2; }),
              HasSubstr("the id 2 has two pieces, 'c' and '<s>'"));
  EXPECT_THAT(Refusal([](Json* json) { (*json)["model"]["vocab"]["d"] = "3"; }),
              HasSubstr("the id of 'd' must be an integer"));
  EXPECT_THAT(Refusal([](Json* json) { (*json)["model"]["vocab"]["d"] = 2; }),
              HasSubstr("the id 2 has two pieces"));
  EXPECT_THAT(
      Refusal([](Json* json) { (*json)["model"]["vocab"] = Json::array(); }),
      HasSubstr("vocab must be an object"));
  EXPECT_THAT(
      Refusal([](Json* json) { (*json)["model"]["merges"][1] = "ab x"; }),
      HasSubstr("merge 1, \"ab x\": 'x' is not in the vocabulary"));
  EXPECT_THAT(
      Refusal([](Json* json) { (*json)["model"]["merges"][1] = "c d"; }),
      HasSubstr("merge 1 gives 'cd', which is not in the vocabulary"));
  EXPECT_THAT(Refusal([](Json* json) {
                (*json)["model"]["merges"][1] = {"a", 1};
              }),
              HasSubstr("must be two pieces"));
  EXPECT_THAT(Refusal([](Json* json) { (*json)["model"]["unk_token"] = "?"; }),
              HasSubstr("unknown token '?' is not in the vocabulary"));
  EXPECT_THAT(Refusal([](Json* json) { json->erase("model"); }),
              HasSubstr("has no object 'model'"));
}

TEST(TokenizerFilesTest, UnknownConstructsAreRefusedByName) {
  const auto part = [](const char* name, const char* text) {
    return Refusal([&](Json* json) { (*json)[name] = Json::parse(text); });
  };
  EXPECT_THAT(part("normalizer", R"({"type": "Sequence", "normalizers": [
                   {"type": "NFC"}, {"type": "Rot13"}]})"),
              HasSubstr("normalizer 'Rot13': is not supported"));
  EXPECT_THAT(part("pre_tokenizer", R"({"type": "UnicodeScripts"})"),
              HasSubstr("pre_tokenizer 'UnicodeScripts': is not supported"));
  EXPECT_THAT(part("decoder", R"({"type": "CTC"})"),
              HasSubstr("decoder 'CTC': is not supported"));
  EXPECT_THAT(part("post_processor", R"({"type": "Other"})"),
              HasSubstr("post_processor 'Other': is not supported"));
  EXPECT_THAT(part("model", R"({"type": "Neural", "vocab": {"a": 0}})"),
              HasSubstr("model 'Neural': is not supported"));
  EXPECT_THAT(part("pre_tokenizer", R"({"type": "Split", "behavior": "Isolated",
                   "pattern": {"Regex": "(a"}})"),
              HasSubstr("the regular expression '(a': end pattern"));
  EXPECT_THAT(part("pre_tokenizer", R"({"type": "Split", "behavior": "Both",
                   "pattern": {"String": "a"}})"),
              HasSubstr("field 'behavior' must be Removed"));
  EXPECT_THAT(part("post_processor", R"({"type": "TemplateProcessing",
                   "single": [{"SpecialToken": {"id": "<s>"}},
                              {"Sequence": {"id": "A"}}],
                   "special_tokens": {"<s>": {"ids": [99]}}})"),
              HasSubstr("must have an id below 8, got 99"));
}

// Each step of a hostile file may be allowed, and all together not.
TEST(TokenizerFilesTest, StepsThatExplodeEndEarly) {
  const Folder folder;
  Json json = SmallBpe();
  Json steps = Json::array();
  for (int i = 0; i < 60; ++i) {
    steps.push_back({{"type", "Replace"},
                     {"pattern", {{"String", "a"}}},
                     {"content", std::string(1000, 'a')}});
  }
  json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
  folder.Write("tokenizer.json", json);
  const Tokenizer tokenizer = Open(folder.path);
  EXPECT_THROW(tokenizer.Encode("a"), std::invalid_argument);

  json = SmallBpe();
  json["pre_tokenizer"] = {{"type", "Split"},
                           {"pattern", {{"Regex", "(a|a|aa)+$"}}},
                           {"behavior", "Isolated"}};
  folder.Write("tokenizer.json", json);
  EXPECT_THROW(Open(folder.path).Encode(std::string(200, 'a') + "b"),
               std::invalid_argument);
}

TEST(TokenizerFilesTest, HolesAndMissingRowsBecomeUnusedTokens) {
  const Folder folder;
  Json json = SmallBpe();
  json["added_tokens"][1]["id"] = 9;
  folder.Write("tokenizer.json", json);
  folder.Write("config.json", Json{{"vocab_size", 12}});
  const formats::Metadata metadata = Read(folder);
  const auto tokens = *metadata.FindStrings("tokenizer.ggml.tokens");
  const auto types = *metadata.FindInts("tokenizer.ggml.token_type");
  ASSERT_EQ(tokens.size(), 12u);
  EXPECT_EQ(tokens[8], "[PAD8]");
  EXPECT_EQ(types[8], 5);
  EXPECT_EQ(tokens[11], "[PAD11]");
  EXPECT_EQ(Tokenizer::FromMetadata(metadata).Encode("abc<tool>d"),
            (std::vector<Token>{5, 9, 3}));

  folder.Write("config.json", Json{{"vocab_size", int64_t{1} << 40}});
  EXPECT_THROW(Read(folder), FormatError);
}

TEST(TokenizerFilesTest, SpecialTokensAndTemplatesBecomeKeys) {
  const Folder folder;
  folder.Write("tokenizer.json", SmallBpe());
  folder.Write("tokenizer_config.json",
               Json::parse(R"({"bos_token": {"content": "<s>"},
                               "eos_token": "<tool>",
                               "add_bos_token": true,
                               "tokenizer_class": "LlamaTokenizerFast",
                               "chat_template": "from the configuration"})"));
  folder.Write("generation_config.json",
               Json::parse(R"({"eos_token_id": [7, 3]})"));
  folder.Write("chat_template.jinja", std::string("{{ messages }}"));
  folder.Write("additional_chat_templates/tool-use.jinja",
               std::string("{{ tools }}"));
  const formats::Metadata metadata = Read(folder);
  EXPECT_EQ(metadata.FindString("tokenizer.ggml.model"), "gpt2");
  EXPECT_EQ(metadata.FindString("tokenizer.ggml.pre"), "gpt-2");
  EXPECT_EQ(metadata.FindInt("tokenizer.ggml.bos_token_id"), 6);
  EXPECT_EQ(metadata.FindInt("tokenizer.ggml.eos_token_id"), 7);
  EXPECT_EQ(metadata.FindInt("tokenizer.ggml.eot_token_id"), 3);
  EXPECT_EQ(metadata.FindBool("tokenizer.ggml.add_bos_token"), true);
  EXPECT_EQ(metadata.FindString("tokenizer.chat_template"), "{{ messages }}");
  EXPECT_EQ(metadata.FindString("tokenizer.chat_template.tool_use"),
            "{{ tools }}");
  const Tokenizer tokenizer = Tokenizer::FromMetadata(metadata);
  EXPECT_EQ(tokenizer.Encode("ab"), (std::vector<Token>{6, 4}));
  EXPECT_EQ(tokenizer.Encode("ab", {.add_bos = false}),
            (std::vector<Token>{4}));
  EXPECT_TRUE(tokenizer.IsEndOfText(3));
  EXPECT_TRUE(tokenizer.IsEndOfText(7));
  EXPECT_FALSE(tokenizer.IsEndOfText(2));
  // Special tokens are text unless they are asked for; others always count.
  EXPECT_EQ(tokenizer.Encode("a<s>", {.add_bos = false, .parse_special = true}),
            (std::vector<Token>{0, 6}));
  EXPECT_EQ(tokenizer.Encode("a<tool>", {.add_bos = false}),
            (std::vector<Token>{0, 7}));
}

TEST(TokenizerFilesTest, WhatLlamaCppCannotDoHasANameThatItRefuses) {
  const Folder folder;
  Json json = SmallBpe();
  json["pre_tokenizer"] = Json::parse(
      R"({"type": "Sequence", "pretokenizers": [{"type": "Split",
          "pattern": {"Regex": "[xyz]"}, "behavior": "Isolated"},
          {"type": "ByteLevel", "add_prefix_space": false}]})");
  folder.Write("tokenizer.json", json);
  EXPECT_EQ(Read(folder).FindString("tokenizer.ggml.pre"), "ropewalk");
}

TEST(TokenizerFilesTest, EachTruncationOfAPieceModelIsFormatError) {
  std::ifstream file(Golden() + "/sentencepiece_bpe/tokenizer.model",
                     std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), {});
  ASSERT_GT(bytes.size(), 1000u);
  const Folder folder;
  int refused = 0;
  for (size_t size = 0; size < bytes.size(); size += 13) {
    folder.Write("tokenizer.model", bytes.substr(0, size));
    try {
      Tokenizer::FromMetadata(Read(folder));
    } catch (const FormatError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

std::vector<std::string> MixedTexts() {
  return formats::ReadJsonFile(Golden() + "/gpt2/expected.json")["texts"]
      .get<std::vector<std::string>>();
}

// Writes the vocabulary and reads the folder again. ROPEWALK_WRITTEN_TOKENIZERS
// names a folder to keep it in, with the ids, for other programs to compare.
void ExpectSameWhenWritten(const formats::Metadata& metadata,
                           const std::string& name) {
  const Folder temporary;
  const char* kept = std::getenv("ROPEWALK_WRITTEN_TOKENIZERS");
  const std::string folder =
      kept ? std::string(kept) + "/" + name : temporary.path;
  std::filesystem::create_directories(folder);
  WriteTokenizerFiles(metadata, folder);
  const Tokenizer before = Tokenizer::FromMetadata(metadata);
  const Tokenizer after = Open(folder);
  std::vector<std::string> texts = MixedTexts();
  if (kept) {
    texts = formats::ReadJsonFile(LargeFolder() + "/lines.json")
                .get<std::vector<std::string>>();
  }
  Json ids = Json::array();
  int differences = 0;
  for (const std::string& text : texts) {
    const auto expected = before.Encode(text, {.parse_special = true});
    const auto got = after.Encode(text, {.parse_special = true});
    ids.push_back(expected);
    if (got == expected || ++differences > 3) continue;
    ADD_FAILURE() << name << ": " << Printable(text, 200) << "\n  got      "
                  << testing::PrintToString(got) << "\n  expected "
                  << testing::PrintToString(expected);
  }
  EXPECT_EQ(differences, 0) << name;
  EXPECT_EQ(before.bos(), after.bos());
  EXPECT_EQ(before.eos(), after.eos());
  if (kept) std::ofstream(folder + "/ids.json") << ids.dump();
}

TEST(TokenizerFilesTest, WrittenFoldersOfFoldersEncodeEqually) {
  for (const std::string& folder : FoldersIn(Golden())) {
    formats::Metadata metadata(folder);
    ReadTokenizerFiles(folder, metadata);
    ExpectSameWhenWritten(metadata,
                          std::filesystem::path(folder).filename().string());
  }
}

TEST(TokenizerFilesTest, WrittenFoldersOfGgufVocabulariesEncodeEqually) {
  ROPEWALK_NEED_DATA(data, "tokenizers");
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(data)) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  EXPECT_GE(files.size(), 4u);
  const char* more = std::getenv("ROPEWALK_MORE_GGUF");  // paths with ':'
  std::stringstream list(more ? more : "");
  for (std::string path; std::getline(list, path, ':');) files.push_back(path);
  for (const std::string& path : files) {
    const formats::GgufFile file(path);
    ExpectSameWhenWritten(file.metadata(),
                          std::filesystem::path(path).stem().string());
  }
}

}  // namespace
}  // namespace ropewalk::huggingface
