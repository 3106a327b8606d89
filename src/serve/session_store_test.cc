#include "serve/session_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ropewalk/model.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "serve/saved_texts.h"

namespace ropewalk::serve {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAreArray;

constexpr int64_t kChunk = 16;

class SessionStoreTest : public testing::Test {
 protected:
  static std::vector<Token> Numbers(int64_t count, Token first = 10) {
    std::vector<Token> tokens(static_cast<size_t>(count));
    std::iota(tokens.begin(), tokens.end(), first);
    return tokens;
  }
  StoredText Read(const std::vector<Token>& tokens, int64_t aligned,
                  const std::string& scheme = "rope") const {
    Session session(model_, {.scheme = Scheme::Parse(scheme)});
    session.Read(tokens);
    return {scheme, std::move(session), aligned};
  }

  const Model model_ = Model::Load(
      std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf",
      {.threads = 1});
};

TEST_F(SessionStoreTest, APromptTakesWholeChunksOver) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(50), 50));
  std::vector<Token> prompt = Numbers(40);
  prompt.push_back(200);
  const auto found = store.Take("rope", prompt);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reused, 32);
  EXPECT_EQ(found->aligned, 32);
  EXPECT_THAT(found->session.tokens(), ElementsAreArray(Numbers(32)));
  EXPECT_EQ(store.Look("rope", prompt), 32);
}

TEST_F(SessionStoreTest, AnEqualPromptLeavesATokenToRead) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(32), 32));
  EXPECT_EQ(store.Take("rope", Numbers(32))->reused, 16);
  EXPECT_EQ(store.Take("rope", Numbers(33))->reused, 32);
}

TEST_F(SessionStoreTest, AConversationGoesOnBehindWhatTheModelWrote) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(50), 30));
  EXPECT_EQ(store.Take("rope", Numbers(60))->reused, 50);
  EXPECT_EQ(store.Take("rope", Numbers(45))->reused, 44);
  // Within the prompt of that conversation chunks count.
  std::vector<Token> other = Numbers(29);
  other.push_back(300);
  EXPECT_EQ(store.Take("rope", other)->reused, 16);
}

TEST_F(SessionStoreTest, OtherKindsAndShortBeginningsAreNotTaken) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(50), 50));
  EXPECT_FALSE(store.Take("rerope:window=64", Numbers(60)));
  EXPECT_FALSE(store.Take("rope", Numbers(16)));
  EXPECT_FALSE(store.Take("rope", Numbers(60, 11)));
  EXPECT_FALSE(store.Take("rope", {}));
}

TEST_F(SessionStoreTest, WhereAWindowHasDroppedKeysAShorterTextIsTaken) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(32), 32, "window:size=8"));
  store.Add(Read(Numbers(200), 200, "window:size=8"));
  std::vector<Token> prompt = Numbers(40);
  prompt.push_back(300);
  const auto found = store.Take("window:size=8", prompt);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->reused, 32);
}

TEST_F(SessionStoreTest, TheTextUsedLongestAgoGoesFirst) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(20, 10), 20));
  store.Add(Read(Numbers(20, 100), 20));
  ASSERT_TRUE(store.Take("rope", Numbers(20, 10)));
  EXPECT_TRUE(store.DropOldest());
  EXPECT_TRUE(store.Take("rope", Numbers(20, 10)));
  EXPECT_FALSE(store.Take("rope", Numbers(20, 100)));
  EXPECT_TRUE(store.DropOldest());
  EXPECT_FALSE(store.DropOldest());
}

TEST_F(SessionStoreTest, AnEqualTextIsKeptOnce) {
  SessionStore store(kChunk);
  store.Add(Read(Numbers(20), 20));
  store.Add(Read(Numbers(20), 20));
  EXPECT_EQ(store.size(), 1);
}

class SavedTextsTest : public SessionStoreTest {
 protected:
  SavedTextsTest()
      : folder_((fs::temp_directory_path() /
                 ("saved_texts_test_" + std::to_string(getpid())))
                    .string()) {
    fs::remove_all(folder_);
  }
  ~SavedTextsTest() override { fs::remove_all(folder_); }

  SavedTexts Open(int64_t bytes = int64_t{1} << 30) const {
    return SavedTexts(folder_, model_, KvType::kF16, bytes);
  }
  std::vector<fs::path> Files(const std::string& ending) const {
    std::vector<fs::path> files;
    for (const auto& file : fs::directory_iterator(folder_)) {
      if (file.path().extension() == ending) files.push_back(file.path());
    }
    return files;
  }

  const std::string folder_;
};

TEST_F(SavedTextsTest, ATextSurvivesARestart) {
  Open().Save(Read(Numbers(40), 30));
  SavedTexts again = Open();
  ASSERT_EQ(again.size(), 1);
  auto loaded = again.Load("rope", Numbers(50), 1);
  ASSERT_TRUE(loaded);
  EXPECT_EQ(loaded->aligned, 30);
  EXPECT_THAT(loaded->session.tokens(), ElementsAreArray(Numbers(40)));
  // It goes on with the bits it would have had.
  const Token next = 77;
  loaded->session.Read({&next, 1});
  StoredText fresh = Read(Numbers(40), 30);
  fresh.session.Read({&next, 1});
  EXPECT_THAT(loaded->session.Logits(),
              ElementsAreArray(fresh.session.Logits()));
  EXPECT_FALSE(again.Load("rerope:window=64", Numbers(50), 1));
}

TEST_F(SavedTextsTest, ALongerTextTakesThePlaceOfItsBeginning) {
  SavedTexts saved = Open();
  saved.Save(Read(Numbers(40), 40));
  saved.Save(Read(Numbers(60), 40));
  saved.Save(Read(Numbers(50), 40));  // a beginning of what is there
  EXPECT_EQ(saved.size(), 1);
  EXPECT_EQ(Files(".cache").size(), 1U);
  EXPECT_EQ(Open().Load("rope", Numbers(70), 1)->session.size(), 60);
}

TEST_F(SavedTextsTest, DamagedFilesArePassedOver) {
  {
    SavedTexts saved = Open();
    saved.Save(Read(Numbers(40), 40));
    saved.Save(Read(Numbers(40, 100), 40));
    saved.Save(Read(Numbers(40, 150), 40));
  }
  // One cache with a changed byte, one note that is no JSON, one without its
  // cache.
  for (const fs::path& note : Files(".json")) {
    std::ifstream in(note);
    std::string text((std::istreambuf_iterator<char>(in)), {});
    if (text.find("[10,") != std::string::npos) {
      const fs::path cache = fs::path(note).replace_extension(".cache");
      std::fstream file(cache, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(static_cast<std::streamoff>(fs::file_size(cache) - 9));
      file.put('\x7f');
    } else if (text.find("[100,") != std::string::npos) {
      std::ofstream(note) << "{\"kind\": ";
    } else {
      fs::remove(fs::path(note).replace_extension(".cache"));
    }
  }
  SavedTexts saved = Open();
  EXPECT_EQ(saved.size(), 1);
  EXPECT_FALSE(saved.Load("rope", Numbers(50), 1));
  EXPECT_EQ(saved.size(), 0);
  saved.Save(Read(Numbers(40, 200), 40));
  EXPECT_TRUE(saved.Load("rope", Numbers(50, 200), 1));
}

TEST_F(SavedTextsTest, TheOldestGoWhereThereAreTooManyBytes) {
  SavedTexts saved = Open(1);
  saved.Save(Read(Numbers(40), 40));
  saved.Save(Read(Numbers(40, 100), 40));
  EXPECT_EQ(saved.size(), 1);
  EXPECT_FALSE(saved.Load("rope", Numbers(50), 1));
  EXPECT_TRUE(saved.Load("rope", Numbers(50, 100), 1));
  EXPECT_EQ(Files(".json").size(), 1U);
}

}  // namespace
}  // namespace ropewalk::serve
