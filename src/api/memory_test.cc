// Memories, in both interfaces.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ropewalk/c.h>
#include <ropewalk/error.h>
#include <ropewalk/memory.h>
#include <ropewalk/session.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace ropewalk {
namespace {

using testing::HasSubstr;

const std::string kModel =
    std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf";
constexpr char kDocument[] =
    "The captain gave the letter to Margaret, and she hid it under the stair.";
constexpr char kText[] = "It was a dark night; the wind rose.";

template <typename Error>
std::string MessageOf(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

class MemoryTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  // A memory of the document, read in parts of 16 tokens.
  Memory Make(const std::string& name, KvType type = KvType::kF16) const {
    EXPECT_TRUE(Memory::Remember(model_, document_, path_,
                                 {.name = name,
                                  .source = "a test",
                                  .part = 16,
                                  .overlap = 4,
                                  .kv_type = type}));
    return Memory::Open(model_, path_);
  }

  std::vector<float> LogitsOf(const std::vector<Memory>& memories,
                              const std::string& law) const {
    Session session(model_);
    if (!memories.empty()) session.Attach(memories, law);
    session.Read(text_);
    const auto logits = session.Logits();
    return {logits.begin(), logits.end()};
  }

  const std::string path_ = testing::TempDir() + "api_memory_test.memory";
  const Model model_ = Model::Load(kModel, {.threads = 2});
  const std::vector<Token> document_ = model_.tokenizer().Encode(kDocument);
  const std::vector<Token> text_ = model_.tokenizer().Encode(kText);
};

TEST_F(MemoryTest, AFileSaysWhatWasRead) {
  const Memory memory = Make("letters");
  EXPECT_EQ(memory.name(), "letters");
  EXPECT_EQ(memory.source(), "a test");
  EXPECT_EQ(memory.size(), static_cast<int64_t>(document_.size()));
  EXPECT_GT(memory.parts(), 1);
  EXPECT_EQ(memory.kv_type(), KvType::kF16);
  EXPECT_GT(memory.bytes(), 0);
  EXPECT_LT(memory.bytes(),
            static_cast<int64_t>(std::filesystem::file_size(path_)));
}

TEST_F(MemoryTest, TextsAttendToWhatIsAttached) {
  const Memory memory = Make("letters");
  const std::vector<float> without = LogitsOf({}, "");
  for (const char* law : {"far", "place", "order:distance=3"}) {
    EXPECT_NE(LogitsOf({memory}, law), without) << law;
    EXPECT_EQ(LogitsOf({memory}, law), LogitsOf({memory}, law)) << law;
  }
  // Tokens that read the text alone are all that there are.
  EXPECT_EQ(LogitsOf({memory}, "far:alone=500"), without);
}

TEST_F(MemoryTest, ForksAndBatchesHaveTheirMemories) {
  const std::vector<Memory> memories = {Make("letters")};
  Session first(model_);
  first.Attach(memories);
  Session second(model_);
  const std::vector<Slice> slices = {{&first, text_}, {&second, text_}};
  Read(slices);
  const auto logits = first.Fork().Logits();
  EXPECT_THAT(std::vector<float>(logits.begin(), logits.end()),
              testing::ElementsAreArray(LogitsOf(memories, "far")));
}

TEST_F(MemoryTest, AReadingThatIsStoppedLeavesNoFile) {
  std::vector<int64_t> heard;
  EXPECT_FALSE(Memory::Remember(model_, document_, path_,
                                {.part = 16, .overlap = 4},
                                [&](int64_t read, int64_t all) {
                                  heard.push_back(read);
                                  EXPECT_EQ(all, document_.size());
                                  return heard.size() < 2;
                                }));
  EXPECT_EQ(heard.size(), 2u);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(MemoryTest, MistakesAreRefusedWithTheirReason) {
  const std::vector<Memory> memories = {Make("letters")};
  const auto attach = [&](Session& session, std::vector<Memory> given,
                          const std::string& law = "far") {
    return MessageOf<std::invalid_argument>(
        [&] { session.Attach(given, law); });
  };
  Session session(model_);
  EXPECT_THAT(attach(session, {}), HasSubstr("no memory is given"));
  EXPECT_THAT(attach(session, memories, "near"),
              HasSubstr("'near' is none of far, place, order"));
  EXPECT_THAT(attach(session, {memories[0], memories[0]}),
              HasSubstr("'letters' is given twice"));
  Session exact(model_, {.kv_type = KvType::kF32});
  EXPECT_THAT(attach(exact, memories), HasSubstr("cannot be read beside"));
  Session other(Model::Load(kModel, {.threads = 1}));
  EXPECT_THAT(attach(other, memories), HasSubstr("another model"));
  session.Read(text_);
  EXPECT_THAT(attach(session, memories), HasSubstr("before the first token"));
  Session beside(model_);
  beside.Attach(memories);
  EXPECT_THAT(MessageOf<std::invalid_argument>(
                  [&] { beside.SaveCache(path_ + ".kv"); }),
              HasSubstr("beside memories"));
  EXPECT_THAT(MessageOf<std::invalid_argument>([&] {
                Memory::Remember(model_, {}, path_, {.name = "letters"});
              }),
              HasSubstr("has no text"));
  EXPECT_THROW(Memory::Open(model_, path_ + ".nowhere"), IoError);
  std::ofstream(path_) << "no memory at all";
  EXPECT_THROW(Memory::Open(model_, path_), FormatError);
}

TEST_F(MemoryTest, TheCInterfaceGivesTheSameBits) {
  const std::vector<Memory> memories = {Make("letters")};
  const std::vector<float> want = LogitsOf(memories, "far");
  char* error = nullptr;
  ropewalk_model_options* options = ropewalk_model_options_create();
  ropewalk_model_options_set_threads(options, 2);
  ropewalk_model* model = ropewalk_model_load(kModel.c_str(), options, &error);
  ropewalk_model_options_destroy(options);
  EXPECT_EQ(ropewalk_remember(model, document_.data(), document_.size(),
                              path_.c_str(), "letters", "a test", 16, 4,
                              ROPEWALK_KV_F16, nullptr, nullptr, &error),
            1);
  ropewalk_memory* memory = ropewalk_memory_open(model, path_.c_str(), &error);
  ASSERT_NE(memory, nullptr) << error;
  EXPECT_STREQ(ropewalk_memory_name(memory), "letters");
  EXPECT_EQ(ropewalk_memory_size(memory), memories[0].size());
  EXPECT_EQ(ropewalk_memory_bytes(memory), memories[0].bytes());
  ropewalk_session* session = ropewalk_session_create(model, nullptr, &error);
  const ropewalk_memory* given[] = {memory};
  EXPECT_EQ(ropewalk_session_attach(session, given, 1, nullptr, &error), 1);
  EXPECT_EQ(error, nullptr);
  EXPECT_EQ(ropewalk_session_attach(session, given, 1, "far", &error), 0);
  EXPECT_THAT(error, HasSubstr("attached once"));
  EXPECT_EQ(ropewalk_memory_open(model, "", &error), nullptr);
  ropewalk_memory_destroy(memory);
  ropewalk_memory_destroy(nullptr);
  ropewalk_session_read(session, text_.data(), text_.size(), nullptr, nullptr,
                        &error);
  const float* logits = ropewalk_session_logits(session, &error);
  EXPECT_EQ(std::vector<float>(logits, logits + want.size()), want);
  ropewalk_session_destroy(session);
  ropewalk_model_destroy(model);
  ropewalk_free(error);
}

}  // namespace
}  // namespace ropewalk
