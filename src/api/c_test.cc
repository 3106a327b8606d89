#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <ropewalk/c.h>
#include <ropewalk/session.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace ropewalk {
namespace {

using testing::ElementsAreArray;
using testing::HasSubstr;

const std::string kModel =
    std::string(ROPEWALK_SOURCE_FOLDER) + "/models/novels-4m.gguf";
constexpr char kText[] = "It was a dark night; the wind rose.";

class CTest : public testing::Test {
 protected:
  CTest() {
    ropewalk_model_options* options = ropewalk_model_options_create();
    ropewalk_model_options_set_threads(options, 1);
    model_ = ropewalk_model_load(kModel.c_str(), options, &error_);
    ropewalk_model_options_destroy(options);
    size_t count = 0;
    int32_t* tokens = ropewalk_encode(model_, kText, std::strlen(kText),
                                      ROPEWALK_ENCODE_AS_FILE, &count, &error_);
    tokens_.assign(tokens, tokens + count);
    ropewalk_free(tokens);
  }
  ~CTest() override {
    ropewalk_model_destroy(model_);
    ropewalk_free(error_);
  }

  ropewalk_session* Make() {
    return ropewalk_session_create(model_, nullptr, &error_);
  }
  int64_t Read(ropewalk_session* session) {
    return ropewalk_session_read(session, tokens_.data(), tokens_.size(),
                                 nullptr, nullptr, &error_);
  }

  char* error_ = nullptr;
  ropewalk_model* model_ = nullptr;
  std::vector<int32_t> tokens_;
};

TEST_F(CTest, ModelTellsWhatTheOtherInterfaceTells) {
  const Model model = Model::Load(kModel, {.threads = 1});
  EXPECT_EQ(ropewalk_model_name(model_), model.name());
  EXPECT_EQ(ropewalk_model_architecture(model_), model.architecture());
  EXPECT_EQ(ropewalk_model_layers(model_), model.layers());
  EXPECT_EQ(ropewalk_model_vocabulary_size(model_), model.vocabulary_size());
  EXPECT_EQ(ropewalk_model_train_length(model_), model.train_length());
  EXPECT_EQ(ropewalk_model_weight_bytes(model_), model.weight_bytes());
  EXPECT_STREQ(ropewalk_version(), ROPEWALK_VERSION);
  EXPECT_EQ(error_, nullptr);
}

TEST_F(CTest, ExactAndLockAreOptionsOfAModel) {
  ropewalk_model_options* options = ropewalk_model_options_create();
  ropewalk_model_options_set_threads(options, 1);
  ropewalk_model_options_set_exact(options, 1);
  ropewalk_model_options_set_lock_memory(options, 1);
  ropewalk_model_options_set_lock_memory(options, 0);
  ropewalk_model* exact = ropewalk_model_load(kModel.c_str(), options, &error_);
  ropewalk_model_options_destroy(options);
  ASSERT_NE(exact, nullptr) << error_;
  const auto last = [&](const ropewalk_model* model) {
    ropewalk_session* session =
        ropewalk_session_create(model, nullptr, &error_);
    Read(session);
    const float* logits = ropewalk_session_logits(session, &error_);
    const std::vector<float> copy(
        logits, logits + ropewalk_model_vocabulary_size(model));
    ropewalk_session_destroy(session);
    return copy;
  };
  const std::vector<float> got = last(exact);
  EXPECT_NE(got, last(model_));
  Session session(Model::Load(kModel, {.threads = 1, .exact = true}));
  session.Read(tokens_);
  EXPECT_THAT(got, ElementsAreArray(session.Logits()));
  ropewalk_model_destroy(exact);
}

TEST_F(CTest, FailuresLeaveOneMessageThatLaterOnesReplace) {
  EXPECT_EQ(ropewalk_model_load("/no/such/model.gguf", nullptr, &error_),
            nullptr);
  ASSERT_NE(error_, nullptr);
  EXPECT_THAT(error_, HasSubstr("/no/such/model.gguf"));
  // Freed by the next failure: LeakSanitizer watches.
  EXPECT_EQ(ropewalk_is_end_of_text(model_, -1, &error_), -1);
  EXPECT_THAT(error_, HasSubstr("-1"));
  // Success leaves it alone.
  EXPECT_EQ(ropewalk_is_end_of_text(model_, tokens_[1], &error_), 0);
  EXPECT_THAT(error_, HasSubstr("-1"));
}

TEST_F(CTest, SchemesAreListedAndResolved) {
  std::set<std::string> names;
  for (int32_t i = 0; i < ropewalk_scheme_count(); ++i) {
    names.insert(ropewalk_scheme_name(i));
    EXPECT_STRNE(ropewalk_scheme_summary(i), "");
    EXPECT_STRNE(ropewalk_scheme_source(i), "");
  }
  EXPECT_EQ(names.size(), ListSchemes().size());
  EXPECT_EQ(ropewalk_scheme_name(-1), nullptr);
  EXPECT_EQ(ropewalk_scheme_name(ropewalk_scheme_count()), nullptr);
  char* resolved = ropewalk_scheme_resolve(
      model_, "auto", ropewalk_model_train_length(model_), &error_);
  EXPECT_STREQ(resolved, "rope");
  ropewalk_free(resolved);
  EXPECT_EQ(ropewalk_scheme_resolve(model_, "roap", 8, &error_), nullptr);
  EXPECT_THAT(error_, HasSubstr("roap"));
}

TEST_F(CTest, TextGoesToTokensAndBack) {
  size_t bytes = 0;
  char* text =
      ropewalk_decode(model_, tokens_.data(), tokens_.size(), &bytes, &error_);
  EXPECT_STREQ(text, kText);
  EXPECT_EQ(bytes, std::strlen(kText));
  ropewalk_free(text);
  size_t count = 7;
  int32_t* none =
      ropewalk_encode(model_, "", 0, ROPEWALK_ENCODE_PLAIN, &count, &error_);
  EXPECT_NE(none, nullptr);
  EXPECT_EQ(count, 0U);
  ropewalk_free(none);
  int32_t* special = ropewalk_encode(
      model_, "</s>", 4, ROPEWALK_ENCODE_PLAIN | ROPEWALK_ENCODE_SPECIAL,
      &count, &error_);
  ASSERT_EQ(count, 1U);
  EXPECT_EQ(ropewalk_is_end_of_text(model_, special[0], &error_), 1);
  ropewalk_free(special);
  EXPECT_EQ(ropewalk_encode_chat(model_, nullptr, "Why?", &count, &error_),
            nullptr);
  EXPECT_NE(error_, nullptr);
}

TEST_F(CTest, SessionReadsForksAndOutlivesTheHandleOfItsModel) {
  ropewalk_session* session = Make();
  EXPECT_EQ(ropewalk_session_logits(session, &error_), nullptr);
  EXPECT_NE(error_, nullptr);
  EXPECT_EQ(Read(session), int64_t(tokens_.size()));
  ropewalk_session* fork = ropewalk_session_fork(session, &error_);
  ropewalk_session_destroy(session);
  const int64_t V = ropewalk_model_vocabulary_size(model_);
  ropewalk_model_destroy(model_);
  model_ = nullptr;
  EXPECT_EQ(ropewalk_session_size(fork), int64_t(tokens_.size()));
  EXPECT_THAT(std::vector<int32_t>(
                  ropewalk_session_tokens(fork),
                  ropewalk_session_tokens(fork) + ropewalk_session_size(fork)),
              ElementsAreArray(tokens_));
  Session session_in_cc(Model::Load(kModel, {.threads = 1}));
  session_in_cc.Read(tokens_);
  const float* logits = ropewalk_session_logits(fork, &error_);
  EXPECT_THAT(std::vector<float>(logits, logits + V),
              ElementsAreArray(session_in_cc.Logits()));
  EXPECT_GT(ropewalk_session_kv_bytes(fork), 0);
  EXPECT_EQ(ropewalk_session_trim(fork, 1000, &error_), 0);
  EXPECT_EQ(ropewalk_session_trim(fork, 3, &error_), 1);
  EXPECT_EQ(ropewalk_session_size(fork), 3);
  ropewalk_session_destroy(fork);
}

TEST_F(CTest, OptionsReachTheSession) {
  ropewalk_session_options* options = ropewalk_session_options_create();
  const int64_t length = 2 * ropewalk_model_train_length(model_);
  ropewalk_session_options_set_context_length(options, length);
  EXPECT_EQ(ropewalk_session_options_set_scheme(options, "roap", &error_), 0);
  EXPECT_EQ(ropewalk_session_options_set_scheme(options, "rope", &error_), 1);
  EXPECT_EQ(ropewalk_session_create(model_, options, &error_), nullptr);
  EXPECT_THAT(error_, HasSubstr("noise"));
  ropewalk_session_options_set_allow_known_failure(options, 1);
  ropewalk_session_options_set_kv_type(options, ROPEWALK_KV_Q8_0);
  ropewalk_session* session = ropewalk_session_create(model_, options, &error_);
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(ropewalk_session_context_length(session), length);
  char* scheme = ropewalk_session_scheme(session, &error_);
  EXPECT_STREQ(scheme, "rope");
  ropewalk_free(scheme);
  ropewalk_session_destroy(session);
  ropewalk_session_options_destroy(options);
}

TEST_F(CTest, ManyAreReadInOnePass) {
  ropewalk_session* sessions[] = {Make(), Make(), Make()};
  const int32_t* tokens[] = {tokens_.data(), tokens_.data() + 1,
                             tokens_.data() + 2};
  const size_t counts[] = {4, 3, 2};
  EXPECT_EQ(ropewalk_read_many(sessions, tokens, counts, 3, &error_), 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ropewalk_session_size(sessions[i]), int64_t(counts[i]));
  }
  ropewalk_session* twice[] = {sessions[0], sessions[0]};
  EXPECT_EQ(ropewalk_read_many(twice, tokens, counts, 2, &error_), 0);
  for (ropewalk_session* session : sessions) ropewalk_session_destroy(session);
}

int StopAtSecond(void* context, const ropewalk_generated_token* token) {
  auto* texts = static_cast<std::vector<std::string>*>(context);
  EXPECT_EQ(std::strlen(token->text), token->text_bytes);
  texts->emplace_back(token->text, token->text_bytes);
  return texts->size() < 2 ? 1 : 0;
}

TEST_F(CTest, CallbacksDecideWhetherToGoOn) {
  ropewalk_session* session = Make();
  Read(session);
  ropewalk_generate_options* options = ropewalk_generate_options_create();
  ropewalk_generate_options_set_max_tokens(options, 20);
  ropewalk_generate_options_set_temperature(options, 0);
  ropewalk_generate_options_set_ignore_end_of_text(options, 1);
  std::vector<std::string> texts;
  ropewalk_stop_reason reason = ROPEWALK_STOP_END_OF_TEXT;
  EXPECT_EQ(ropewalk_session_generate(session, options, StopAtSecond, &texts,
                                      &reason, &error_),
            2);
  EXPECT_EQ(reason, ROPEWALK_STOP_CALLER);
  EXPECT_EQ(texts.size(), 2U);
  // The same drawn without a callback.
  EXPECT_EQ(ropewalk_session_generate(session, options, nullptr, nullptr,
                                      &reason, &error_),
            20);
  EXPECT_EQ(reason, ROPEWALK_STOP_TOKEN_LIMIT);
  ropewalk_generate_options_set_max_tokens(options, 0);
  EXPECT_EQ(ropewalk_session_generate(session, options, nullptr, nullptr,
                                      nullptr, &error_),
            -1);
  ropewalk_generate_options_destroy(options);
  ropewalk_session_destroy(session);
}

TEST_F(CTest, GrammarsAndTheirErrorsCrossTheBorder) {
  ropewalk_session* session = Make();
  Read(session);
  ropewalk_generate_options* options = ropewalk_generate_options_create();
  ropewalk_generate_options_set_max_tokens(options, 20);
  ropewalk_generate_options_set_grammar(options, "root ::= \"abab\"");
  std::string text;
  const auto collect = [](void* context,
                          const ropewalk_generated_token* token) {
    *static_cast<std::string*>(context) += token->text;
    return 1;
  };
  ropewalk_stop_reason reason = ROPEWALK_STOP_CALLER;
  EXPECT_GT(ropewalk_session_generate(session, options, collect, &text, &reason,
                                      &error_),
            0);
  EXPECT_EQ(text, "abab");
  EXPECT_EQ(reason, ROPEWALK_STOP_END_OF_TEXT);
  Read(session);
  ropewalk_generate_options_set_grammar(options, nullptr);
  ropewalk_generate_options_set_json_schema(options, "{\"not\": {}}");
  EXPECT_EQ(ropewalk_session_generate(session, options, nullptr, nullptr,
                                      nullptr, &error_),
            -1);
  EXPECT_NE(std::string(error_).find("'not' is not supported"),
            std::string::npos);
  ropewalk_generate_options_destroy(options);
  ropewalk_session_destroy(session);
}

TEST_F(CTest, DestroyTakesNull) {
  ropewalk_model_destroy(nullptr);
  ropewalk_session_destroy(nullptr);
  ropewalk_model_options_destroy(nullptr);
  ropewalk_session_options_destroy(nullptr);
  ropewalk_generate_options_destroy(nullptr);
  ropewalk_free(nullptr);
}

}  // namespace
}  // namespace ropewalk
