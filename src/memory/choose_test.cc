#include "memory/choose.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "memory/memory_for_test.h"
#include "model/attention_probe.h"

namespace ropewalk::memory {
namespace {

const ReadOptions kOptions{.part = 48, .overlap = 8, .type = DType::kF32};

Memories Several(engine::Engine& engine, int64_t count,
                 const ReadOptions& options = kOptions) {
  Memories memories;
  for (int64_t m = 0; m < count; ++m) {
    memories.push_back(
        Read(engine, 30 + 20 * m, static_cast<uint64_t>(m + 1), options));
  }
  return memories;
}

double Sum(const Choices& choices) {
  double sum = choices.left_out;
  for (const Choice& choice : choices.best) sum += choice.share;
  return sum;
}

TEST(ChooseTest, WordsFindTheMemoryThatHasThoseOfTheQuestion) {
  const auto engine = NewEngine("words");
  const Memories memories = Several(*engine, 6);
  for (size_t m = 0; m < memories.size(); ++m) {
    const auto& tokens = memories[m]->tokens;
    const auto question = Cut(tokens, tokens.size() - 12, 10);
    const Choices choices =
        Choose(*engine, memories, question, {}, 2, ChooseBy::kWords);
    ASSERT_EQ(choices.best.size(), 2u);
    EXPECT_EQ(choices.best[0].index, static_cast<int64_t>(m));
    EXPECT_GT(choices.best[0].share, choices.best[1].share);
    EXPECT_NEAR(Sum(choices), 1, 1e-12);
  }
}

// Three documents of one part, of 4, 4 and 2 tokens; word 5 and the pair 5 6
// are in one of them, word 6 is in two.
TEST(ChooseTest, WordScoresAreThoseOfBm25) {
  const auto engine = NewEngine("bm25");
  Memories memories;
  for (const std::vector<Token>& tokens :
       {std::vector<Token>{5, 5, 6, 9}, {6, 8, 8, 8}, {7, 7}}) {
    memories.push_back(std::make_shared<const Memory>(
        ReadMemory(*engine, "a", "", tokens, kOptions, [](int64_t) {})));
  }
  const std::vector<Token> question = {1, 5, 6, 6, 5};
  const double mean = 10.0 / 3;
  const auto term = [&](double with, double count, double length) {
    return std::log(1 + (3 - with + 0.5) / (with + 0.5)) * count * 2.2 /
           (count + 1.2 * (0.25 + 0.75 * length / mean));
  };
  const double first = term(1, 2, 4) + term(1, 1, 4) + term(2, 1, 4);
  const double second = term(2, 1, 4);
  const Choices choices =
      Choose(*engine, memories, question, {}, 1, ChooseBy::kWords);
  ASSERT_EQ(choices.best.size(), 1u);
  EXPECT_EQ(choices.best[0].index, 0);
  EXPECT_NEAR(choices.best[0].share, first / (first + second), 1e-12);
  EXPECT_NEAR(choices.left_out, second / (first + second), 1e-12);
  // Words that no memory has leave the order as it is.
  const Choices none = Choose(*engine, memories, std::vector<Token>{100}, {}, 2,
                              ChooseBy::kWords);
  EXPECT_EQ(none.best[0].index, 0);
  EXPECT_EQ(none.best[1].index, 1);
  EXPECT_EQ(Sum(none), 0);
}

// Queries of one text, layer by layer.
class Queries : public model::AttentionProbe {
 public:
  void See(const model::AttentionInputs& inputs) override {
    layers.emplace_back(inputs.queries, inputs.queries + inputs.T * 64);
  }
  std::vector<std::vector<double>> layers;
};

// Shares of the memories in float64, straight from the scores.
std::vector<double> SharesOf(engine::Engine& engine, const Memories& memories,
                             const std::vector<Token>& question, int64_t first,
                             int64_t skip, double distance, double sharpness) {
  const attention::HeadShape& heads = engine.model().config().heads;
  const auto frequencies =
      position::OwnTable(engine.positions(), 64).frequencies;
  Queries queries;
  {
    engine::Session session(
        std::shared_ptr<engine::Engine>(&engine, [](engine::Engine*) {}),
        {.length = 64, .kv_type = DType::kF32});
    engine.workspace().SetProbe(&queries);
    session.Read(question);
    engine.workspace().SetProbe(nullptr);
  }
  std::vector<double> shares(memories.size(), 0.0);
  double rows = 0;
  for (size_t l = 0; l < queries.layers.size(); ++l) {
    for (size_t t = static_cast<size_t>(first); t < question.size(); ++t) {
      for (int64_t h = 0; h < heads.H; ++h) {
        const double* q =
            queries.layers[l].data() + (static_cast<int64_t>(t) * 4 + h) * 16;
        std::vector<double> weights(memories.size(), 0.0);
        double sum = 0;
        for (size_t m = 0; m < memories.size(); ++m) {
          for (const memory::Part& part : memories[m]->parts) {
            const attention::MemoryPart& layer = part.layers[l];
            for (int64_t slot = std::max(skip, layer.first); slot < layer.last;
                 ++slot) {
              // A tile in f32: [G, 8 panels, D, 16].
              const auto* tile = reinterpret_cast<const float*>(
                  layer.keys[static_cast<size_t>(slot / 128)].get());
              const int64_t at = slot % 128;
              const float* key =
                  tile + ((h / 2) * 8 + at / 16) * 16 * 16 + at % 16;
              double product = 0;
              for (size_t p = 0; p < 8; ++p) {
                const double angle = distance * frequencies[p];
                const double x = q[p];
                const double y = q[p + 8];
                product +=
                    (x * std::cos(angle) - y * std::sin(angle)) * key[p * 16] +
                    (x * std::sin(angle) + y * std::cos(angle)) *
                        key[(p + 8) * 16];
              }
              const double weight = std::exp(product / 4 * sharpness);
              weights[m] += weight;
              sum += weight;
            }
          }
        }
        for (size_t m = 0; m < shares.size(); ++m) {
          shares[m] += weights[m] / sum;
        }
        ++rows;
      }
    }
  }
  for (double& share : shares) share /= rows;
  return shares;
}

// A score is a float32 sum of D products, off by at most D half-ulps of its
// terms, below 100 in all: 16 * 2^-24 * 100 = 1e-4. A share moves by no more
// than twice that, relative to itself.
constexpr double kSameShare = 2e-4;

TEST(ChooseTest, SharesOfAttentionMatchFloat64) {
  const auto engine = NewEngine("shares");
  const Memories memories = Several(*engine, 3);  // of 6 parts
  struct Case {
    Law law;
    int64_t question;
    int64_t first;  // the first token that is asked
    int64_t skip;
    double distance;
  };
  for (const Case& c :
       {Case{{}, 40, 24, 4, 16}, Case{{}, 12, 4, 4, 16}, Case{{}, 3, 0, 4, 16},
        Case{{.distance = 9, .skip = 12, .sharpness = 1.5}, 10, 4, 12, 9},
        Case{{.kind = Law::Kind::kOrder, .alone = 0}, 10, 0, 4, 16}}) {
    const auto question = RandomIds(c.question, 50);
    const auto want = SharesOf(*engine, memories, question, c.first, c.skip,
                               c.distance, c.law.sharpness.value_or(1.1));
    const Choices choices =
        Choose(*engine, memories, question, c.law, 3, ChooseBy::kAttention);
    ASSERT_EQ(choices.best.size(), 3u);
    EXPECT_EQ(choices.left_out, 0);
    for (const Choice& choice : choices.best) {
      EXPECT_NEAR(choice.share, want[static_cast<size_t>(choice.index)],
                  kSameShare);
    }
    EXPECT_GE(choices.best[0].share, choices.best[1].share);
    EXPECT_GE(choices.best[1].share, choices.best[2].share);
  }
}

// Only some parts are asked key by key.
TEST(ChooseTest, SharesOfManyMemoriesAddUpToOne) {
  const auto engine = NewEngine("many");
  Memories memories = Several(*engine, 12);
  const auto question = RandomIds(20, 50);
  const Choices choices =
      Choose(*engine, memories, question, {}, 1, ChooseBy::kAttention);
  ASSERT_EQ(choices.best.size(), 1u);
  EXPECT_NEAR(Sum(choices), 1, 1e-9);
  EXPECT_GT(choices.left_out, 0.1);
  // The workspace is as it was: another question has no probe to tell.
  const Choices again =
      Choose(*engine, memories, question, {}, 1, ChooseBy::kAttention);
  EXPECT_EQ(again.best[0].share, choices.best[0].share);
}

TEST(ChooseTest, EveryTypeGivesNearlyTheSameShares) {
  const auto engine = NewEngine("types");
  const auto question = RandomIds(20, 50);
  std::vector<double> want(3);
  for (const DType type : {DType::kF32, DType::kF16, DType::kQ8_0}) {
    const Memories memories =
        Several(*engine, 3, {.part = 48, .overlap = 8, .type = type});
    for (const Choice& choice :
         Choose(*engine, memories, question, {}, 3, ChooseBy::kAttention)
             .best) {
      double& share = want[static_cast<size_t>(choice.index)];
      if (type == DType::kF32) {
        share = choice.share;
      } else {
        // q8_0 moves a score by at most 0.004 of |q| |k| / 4, about 0.03, which
        // moves a share of 1/3 by less than 0.02.
        EXPECT_NEAR(choice.share, share, 0.02) << InfoOf(type).name;
      }
    }
  }
}

TEST(ChooseTest, WrongQuestionsAreRefusedInOneLine) {
  const auto engine = NewEngine("wrong");
  const Memories memories = Several(*engine, 2);
  const auto refusal = [&](const Memories& given,
                           const std::vector<Token>& question, int64_t k,
                           const Law& law = {}) {
    const std::string message = Refusal<std::invalid_argument>([&] {
      Choose(*engine, given, question, law, k, ChooseBy::kAttention);
    });
    ExpectOneLine(message);
    return message;
  };
  EXPECT_NE(refusal({}, {5}, 1).find("no memories to choose from"),
            std::string::npos);
  EXPECT_NE(refusal(memories, {}, 1).find("at least 1 token"),
            std::string::npos);
  EXPECT_NE(refusal(memories, {5}, 0).find("at least 1 memory"),
            std::string::npos);
  EXPECT_NE(refusal(memories, {300}, 1).find("outside the vocabulary"),
            std::string::npos);
  EXPECT_NE(refusal(memories, {5}, 1, {.skip = 500}).find("leaves out all"),
            std::string::npos);
  EXPECT_EQ(Choose(*engine, memories, std::vector<Token>{5}, {}, 9,
                   ChooseBy::kAttention)
                .best.size(),
            2u);
}

}  // namespace
}  // namespace ropewalk::memory
