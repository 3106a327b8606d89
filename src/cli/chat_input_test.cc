#include "cli/chat_input.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace ropewalk::cli {
namespace {

// All inputs, commands as "command|text".
std::vector<std::string> Read(const std::string& lines) {
  std::istringstream in(lines);
  ChatReader reader(in, false);
  std::vector<std::string> all;
  while (const auto input = reader.Read()) {
    all.push_back(input->command.empty() ? input->text
                                         : input->command + "|" + input->text);
  }
  return all;
}

using Texts = std::vector<std::string>;

TEST(ChatReaderTest, ALineIsAMessage) {
  EXPECT_EQ(Read("one\n\n  \ntwo \r\nthree"), (Texts{"one", "two ", "three"}));
  EXPECT_EQ(Read(""), Texts{});
}

TEST(ChatReaderTest, ABackslashAtItsEndGoesOnInTheNextLine) {
  EXPECT_EQ(Read("a\\\nb\\\nc\nd"), (Texts{"a\nb\nc", "d"}));
  EXPECT_EQ(Read("a\\"), (Texts{"a"}));
}

TEST(ChatReaderTest, LinesBetweenQuotesAreOneMessage) {
  EXPECT_EQ(Read("\"\"\"\na\n\n /b\\\n\"\"\"\nc"), (Texts{"a\n\n /b\\", "c"}));
  EXPECT_EQ(Read("\"\"\"a\nb\"\"\"\nc"), (Texts{"a\nb", "c"}));
  EXPECT_EQ(Read("\"\"\"a\"\"\""), (Texts{"a"}));
  EXPECT_EQ(Read("\"\"\"\na"), (Texts{"a"}));
}

TEST(ChatReaderTest, ASlashBeginsACommandAndTwoBeginATextWithOne) {
  EXPECT_EQ(Read("/save  a b.json \n/r\n//x"),
            (Texts{"/save|a b.json", "/r|", "/x"}));
}

}  // namespace
}  // namespace ropewalk::cli
