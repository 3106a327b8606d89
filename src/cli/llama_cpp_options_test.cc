#include "cli/llama_cpp_options.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace ropewalk::cli {
namespace {

using Words = std::vector<std::string>;

struct Result {
  Words words;
  Words notes;
};

Result Translate(Words words) {
  Result result;
  words.insert(words.begin(), "run");
  result.words = FromLlamaCpp(std::move(words), [&](const std::string& note) {
    result.notes.push_back(note);
  });
  EXPECT_EQ(result.words.front(), "run");
  result.words.erase(result.words.begin());
  return result;
}

std::string Refusal(Words words) {
  try {
    Translate(std::move(words));
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

TEST(LlamaCppOptionsTest, NamesThatMeanTheSameAreTaken) {
  EXPECT_EQ(Translate({"-t", "4", "-s", "1", "--n-predict", "7"}).words,
            (Words{"--threads", "4", "--seed", "1", "-n", "7"}));
  EXPECT_EQ(Translate({"--ctx-size=4096", "--temperature", "0"}).words,
            (Words{"--context", "4096", "--temp", "0"}));
  EXPECT_EQ(Translate({"-ctk", "q8_0", "-ctv", "q8_0", "-m", "x"}).words,
            (Words{"--kv-type", "q8_0", "-m", "x"}));
  EXPECT_EQ(Translate({"--context-shift", "-n", "5"}).words,
            (Words{"--shift", "-n", "5"}));
  EXPECT_EQ(Translate({"-gan", "4", "-gaw", "512"}).words,
            (Words{"--grp-attn-n", "4", "--grp-attn-w", "512"}));
}

TEST(LlamaCppOptionsTest, WhatHasNoEffectIsLeftOut) {
  const Result result = Translate({"-ngl", "99", "-fa", "on", "-b", "512",
                                   "--no-mmap", "--jinja", "-p", "x"});
  EXPECT_EQ(result.words, (Words{"-p", "x"}));
  EXPECT_EQ(result.notes.size(), 4u);
  EXPECT_EQ(result.notes.front(),
            "-ngl is left out: everything runs on the CPU here");
  // The value of -fa may be missing.
  EXPECT_EQ(Translate({"-fa", "-p", "x"}).words, (Words{"-p", "x"}));
  EXPECT_EQ(Translate({"--flash-attn=auto"}).words, Words{});
  EXPECT_EQ(Translate({"-c", "0", "-p", "x"}).words, (Words{"-p", "x"}));
  EXPECT_EQ(Translate({"-ngl"}).words, Words{});
}

TEST(LlamaCppOptionsTest, WhatIsDoneOtherwiseSaysHow) {
  EXPECT_NE(Refusal({"-cnv"}).find("ropewalk chat"), std::string::npos);
  EXPECT_NE(Refusal({"-n", "-1"}).find("-n 4096"), std::string::npos);
  EXPECT_NE(Refusal({"-hf", "a/b"}).find("-m"), std::string::npos);
  EXPECT_NE(Refusal({"--rope-freq-scale", "0.5"}).find("pi:factor"),
            std::string::npos);
  EXPECT_NE(Refusal({"-ctk", "f16", "-ctv", "q8_0"}).find("one type"),
            std::string::npos);
}

TEST(LlamaCppOptionsTest, OursAreLeftAsTheyAre) {
  const Words ours = {"-m",   "m.gguf",  "-p", "-t", "-f", "-ngl",   "--stop",
                      "-cnv", "--top-k", "5",  "-n", "3",  "--temp", "0"};
  EXPECT_EQ(Translate(ours).words, ours);
  EXPECT_EQ(Translate({"--", "-t", "4"}).words, (Words{"--", "-t", "4"}));
  EXPECT_EQ(Translate({}).words, Words{});
  const Words measure = {"measure", "-m", "m", "-t", "book.txt", "-s", "1"};
  EXPECT_EQ(FromLlamaCpp(measure, [](const std::string&) {}), measure);
  EXPECT_EQ(FromLlamaCpp({}, [](const std::string&) {}), Words{});
}

}  // namespace
}  // namespace ropewalk::cli
