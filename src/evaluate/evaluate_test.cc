#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "evaluate/documents.h"
#include "evaluate/measure.h"
#include "evaluate/needle.h"
#include "evaluate/scorer.h"
#include "evaluate/statistics.h"
#include "formats/gguf_metadata.h"
#include "tests/tiny_model.h"

namespace ropewalk::evaluate {
namespace {

// Gives a target the loss 1 if the same id stands `period` places before it in
// the ids that were read, and 5 otherwise.
class RepeatScorer : public Scorer {
 public:
  explicit RepeatScorer(int64_t train_length) {
    positions_ = {.head_width = 8,
                  .rotary_width = 8,
                  .train_length = train_length,
                  .original_length = train_length};
  }
  const position::ModelPositions& positions() const override {
    return positions_;
  }
  int64_t layers() const override { return 2; }
  int64_t vocabulary() const override { return 100; }
  int64_t kv_bytes() const override { return 0; }
  std::vector<TokenScore> Score(const position::Stack& stack,
                                std::span<const Token> ids,
                                int64_t first_target,
                                const OnTokens& on_tokens) override {
    EXPECT_EQ(stack.size(), 2u);
    seen.emplace_back(ids.begin(), ids.end());
    std::vector<TokenScore> scores;
    const auto period = static_cast<size_t>(positions_.train_length);
    for (auto t = static_cast<size_t>(first_target); t < ids.size(); ++t) {
      const bool known = t >= period && ids[t - period] == ids[t];
      scores.push_back({known ? 1.0 : 5.0, known});
    }
    on_tokens(static_cast<int64_t>(ids.size()) - 1, 1);
    return scores;
  }
  Workload Work(const position::Stack&, int64_t, int64_t) const override {
    return 1;
  }

  std::vector<std::vector<Token>> seen;

 private:
  position::ModelPositions positions_;
};

Document Counting(int64_t size, Token from = 0) {
  Document ids(static_cast<size_t>(size));
  for (int64_t t = 0; t < size; ++t) {
    ids[static_cast<size_t>(t)] = static_cast<Token>((from + t) % 100);
  }
  return ids;
}

MeasureOptions Options(std::vector<int64_t> lengths) {
  MeasureOptions options;
  options.spellings = {"rope", "rerope"};
  for (const std::string& spelling : options.spellings) {
    options.schemes.push_back(position::ParseScheme(spelling));
  }
  options.lengths = std::move(lengths);
  return options;
}

TEST(MedianTest, TakesTheMiddleOrTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3}), 3);
  EXPECT_EQ(Median({5, 1, 2}), 2);
  EXPECT_EQ(Median({9, 1, 4, 2}), 3);
}

TEST(StudentTest, QuantilesAreThoseOfTheTables) {
  EXPECT_EQ(StudentT95(1), 12.706);
  EXPECT_EQ(StudentT95(2), 4.303);
  EXPECT_EQ(StudentT95(4), 2.776);
  EXPECT_EQ(StudentT95(10), 2.228);
  EXPECT_EQ(StudentT95(20), 2.086);
  EXPECT_EQ(StudentT95(30), 2.042);
  // Never narrower than is certain.
  EXPECT_EQ(StudentT95(2.97), 4.303);
  EXPECT_EQ(StudentT95(1000), 2.042);
  EXPECT_EQ(StudentT95(std::nan("")), 12.706);
}

TEST(MeanTest, IsTheSumDividedByTheSize) {
  EXPECT_EQ(Mean(std::vector<double>{3}), 3);
  EXPECT_EQ(Mean(std::vector<double>{1, 2, 6}), 3);
}

TEST(ScoreLogitsTest, IsTheNegativeLogSoftmax) {
  const std::vector<float> logits = {1.0f, 3.0f, -2.0f, 3.0f};
  double sum = 0;
  for (const float l : logits) sum += std::exp(static_cast<double>(l));
  EXPECT_NEAR(ScoreLogits(logits, 2).loss, std::log(sum) + 2, 1e-12);
  EXPECT_FALSE(ScoreLogits(logits, 2).correct);
  EXPECT_TRUE(ScoreLogits(logits, 1).correct);  // the first of equal logits
  EXPECT_FALSE(ScoreLogits(logits, 3).correct);
  const std::vector<float> huge = {1e4f, -1e4f};
  EXPECT_EQ(ScoreLogits(huge, 0).loss, 0);
  EXPECT_EQ(ScoreLogits(huge, 1).loss, 2e4);
}

TEST(StatisticsTest, StandardErrorIsThatOfDocumentMeans) {
  ScoreSummary summary;
  EXPECT_TRUE(std::isnan(summary.loss()));
  const std::vector<TokenScore> first = {{1, true}, {3, false}};
  const std::vector<TokenScore> second = {{4, true}, {4, true}};
  summary.AddDocument(first);
  // One document: its tokens, 1 and 3: standard error sqrt(2 / 2) = 1.
  EXPECT_DOUBLE_EQ(summary.loss_stderr(), 1);
  summary.AddDocument(second);
  EXPECT_DOUBLE_EQ(summary.loss(), 3);
  EXPECT_DOUBLE_EQ(summary.accuracy(), 0.75);
  EXPECT_EQ(summary.tokens(), 4);
  // Means 2 and 4: sd sqrt(2), over sqrt(2).
  EXPECT_DOUBLE_EQ(summary.loss_stderr(), 1);
}

TEST(DocumentsTest, PiecesAreWholeAndEvenlySpread) {
  const Document ids = Counting(95);
  const auto pieces = CutPieces(ids, 10, 4);
  ASSERT_EQ(pieces.size(), 4u);
  EXPECT_EQ(pieces.front(), Counting(10));
  EXPECT_EQ(pieces.back(), Counting(10, 85));
  for (const Document& piece : pieces) EXPECT_EQ(piece.size(), 10u);
  EXPECT_EQ(CutPieces(ids, 10, 100).size(), 9u);
  EXPECT_EQ(CutPieces(ids, 95, 3).size(), 1u);
  EXPECT_TRUE(CutPieces(ids, 96, 3).empty());
}

TEST(DocumentsTest, RepeatedSetEndsAsTheDocumentDoes) {
  const Document ids = Counting(50);
  const Document repeated = Repeated(ids, 8, 30);
  ASSERT_EQ(repeated.size(), 30u);
  EXPECT_EQ(repeated.back(), 49);
  for (size_t t = 0; t < 30; ++t) {
    EXPECT_EQ(repeated[t], 49 - static_cast<Token>((29 - t) % 8));
  }
}

TEST(DocumentsTest, EndOfTextMarksBecomeBos) {
  formats::Metadata keys;
  SetTinyVocabulary(keys, 300);
  const auto tokenizer = tokenizer::Tokenizer::FromMetadata(keys);
  const Document a =
      tokenizer.Encode("abc", {.add_bos = false, .add_eos = false});
  const Document b =
      tokenizer.Encode("b a", {.add_bos = false, .add_eos = false});
  Document want = a;
  want.push_back(1);
  want.insert(want.end(), b.begin(), b.end());
  EXPECT_EQ(EncodeText(tokenizer, "abc\n<|endoftext|>\nb a"), want);
  EXPECT_EQ(EncodeText(tokenizer, "abc<|endoftext|>b a"), want);
  want.push_back(1);
  EXPECT_EQ(EncodeText(tokenizer, "abc<|endoftext|>b a\n<|endoftext|>\n"),
            want);
  EXPECT_TRUE(EncodeText(tokenizer, "").empty());
}

TEST(MeasureTest, ScoresTheSameLastTargetsAtEveryLength) {
  RepeatScorer scorer(8);
  auto options = Options({8, 16, 32});
  options.score_last = 4;
  Measurement measurement(scorer, {Counting(40), Counting(50, 3)}, options);
  MeasureResult result;
  measurement.Run({}, result);
  ASSERT_EQ(result.rows.size(), 6u);
  EXPECT_EQ(result.documents, 2);
  EXPECT_EQ(result.train_length, 8);
  EXPECT_EQ(result.rows[4].position, "rerope");
  EXPECT_EQ(result.rows[4].resolved, "rerope:window=4");
  EXPECT_EQ(result.rows[4].length, 16);
  EXPECT_EQ(result.rows[4].tokens, 8);
  for (const auto& row : result.rows) EXPECT_EQ(row.loss, 5);  // no repeats
  ASSERT_EQ(scorer.seen.size(), 12u);
  for (size_t s = 0; s < scorer.seen.size(); ++s) {
    const Document whole = s % 2 == 0 ? Counting(40) : Counting(50, 3);
    const std::vector<size_t> lengths = {9, 17, 33};
    ASSERT_EQ(scorer.seen[s].size(), lengths[s / 2 % 3]);
    EXPECT_TRUE(std::equal(scorer.seen[s].rbegin(), scorer.seen[s].rend(),
                           whole.rbegin()));
  }
  EXPECT_TRUE(result.rows[1].known_to_fail.has_value());   // rope at 16
  EXPECT_FALSE(result.rows[4].known_to_fail.has_value());  // rerope at 16
}

TEST(MeasureTest, RepeatedRowsHaveTheLossOfRepetition) {
  RepeatScorer scorer(8);
  auto options = Options({16});
  options.repeat = true;
  Measurement measurement(scorer, {Counting(40)}, options);
  MeasureResult result;
  measurement.Run({}, result);
  ASSERT_EQ(result.rows.size(), 4u);
  EXPECT_EQ(result.rows[0].set, "natural");
  EXPECT_EQ(result.rows[0].loss, 5);
  EXPECT_EQ(result.rows[1].set, "repeated");
  EXPECT_EQ(result.rows[1].loss, 1);
  EXPECT_EQ(result.rows[1].accuracy, 1);
}

TEST(MeasureTest, StretchesCoverTheLongestLength) {
  RepeatScorer scorer(8);
  auto options = Options({8, 20});
  options.by_position = 6;
  options.score_last = 2;
  // The last 9 ids repeat those 8 places before: targets 12 to 20 have loss 1.
  Document ids = Counting(30);
  for (size_t t = 21; t < 30; ++t) ids[t] = ids[t - 8];
  Measurement measurement(scorer, {ids}, options);
  MeasureResult result;
  measurement.Run({}, result);
  ASSERT_EQ(result.stretches.size(), 8u);  // 4 of each scheme
  EXPECT_EQ(result.stretches[3].from, 18);
  EXPECT_EQ(result.stretches[3].to, 20);
  EXPECT_EQ(result.stretches[3].tokens, 2);
  EXPECT_EQ(result.stretches[0].loss, 5);
  EXPECT_EQ(result.stretches[1].loss, 5 - 4.0 / 6);  // target 12
  EXPECT_EQ(result.stretches[2].loss, 1);
  EXPECT_EQ(result.rows[1].tokens, 2);  // the row itself scores S targets
}

TEST(MeasureTest, FinishedRowsStayIfACallbackThrows) {
  RepeatScorer scorer(8);
  Measurement measurement(scorer, {Counting(40)}, Options({8, 16}));
  MeasureResult result;
  int64_t calls = 0;
  EXPECT_THROW(measurement.Run({.on_tokens =
                                    [&](int64_t, const Workload&) {
                                      if (++calls == 3) {
                                        throw std::runtime_error("stop");
                                      }
                                    }},
                               result),
               std::runtime_error);
  EXPECT_EQ(result.rows.size(), 2u);
  EXPECT_EQ(result.score_last, 8);
}

// Every reading takes a second.
TEST(MeasureTest, TimeReadsShortLengthsFirstThenWholeRoundsOfDocuments) {
  const auto within = [](double seconds) {
    RepeatScorer scorer(8);
    Measurement measurement(
        scorer, {Counting(40), Counting(40), Counting(40), Counting(40)},
        Options({16, 8}));
    MeasureResult result;
    double now = 0;
    measurement.RunWithin(
        seconds, [&] { return now; },
        {.on_tokens = [&](int64_t, const Workload&) { ++now; }}, result);
    return result;
  };
  const MeasureResult all = within(1e6);
  EXPECT_EQ(all.documents, 4);
  EXPECT_TRUE(all.unread.empty());
  const auto jobs = static_cast<double>(all.rows.size());
  ASSERT_GE(jobs, 2);
  // Two rounds fit and a third does not.
  const MeasureResult two = within(2.5 * jobs);
  EXPECT_EQ(two.documents, 2);
  EXPECT_EQ(two.rows.size(), all.rows.size());
  EXPECT_EQ(two.rows.front().length, 8);
  EXPECT_EQ(two.rows.front().document_losses.size(), 2u);
  // No time at all still compares two readings.
  const MeasureResult least = within(0);
  EXPECT_EQ(least.documents, 1);
  EXPECT_EQ(least.rows.size(), 2u);
  EXPECT_EQ(least.unread.size(), all.rows.size() - 2);
}

TEST(MeasureTest, RefusesBeforeAnyTokenIsRead) {
  RepeatScorer scorer(8);
  const auto refusal = [&](std::vector<Document> documents,
                           MeasureOptions options) -> std::string {
    try {
      Measurement(scorer, std::move(documents), std::move(options));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const auto expect = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  expect(refusal({Counting(8)}, Options({8})), "the longest of 1 has 8");
  expect(refusal({}, Options({8})), "no document");
  expect(refusal({{0, 1, 2, 100, 4, 5, 6, 7, 8}}, Options({8})),
         "id 100 is outside");
  expect(refusal({Counting(40)}, Options({})), "one length at least");
  expect(refusal({Counting(40)}, Options({0})), "above 0");
  auto options = Options({8});
  options.score_last = 9;
  expect(refusal({Counting(40)}, options), "does not fit");
  options = Options({8});
  options.by_position = 9;
  expect(refusal({Counting(40)}, options), "do not fit");
  options = Options({8});
  options.schemes.push_back(position::ParseScheme("longrope"));
  options.spellings.emplace_back("longrope");
  expect(refusal({Counting(40)}, options), "longrope");
  EXPECT_TRUE(scorer.seen.empty());
  // A document too short for the longest length is skipped at every length and
  // counted.
  Measurement some(scorer, {Counting(10), Counting(40)}, Options({8, 16}));
  MeasureResult result;
  some.Run({}, result);
  EXPECT_EQ(result.skipped, 1);
  EXPECT_EQ(result.documents, 1);
}

tokenizer::Tokenizer TinyTokenizer() {
  formats::Metadata keys;
  SetTinyVocabulary(keys, 300);
  return tokenizer::Tokenizer::FromMetadata(keys);
}

TEST(NeedleTest, PromptsFillTheLengthAndHideTheNumberAtThePlace) {
  const auto tokenizer = TinyTokenizer();
  for (const int64_t length : {400, 1000, 3000}) {
    double before = -1;
    for (const double at : {0.0, 50.0, 100.0}) {
      const AnsweredPrompt prompt = MakeNeedle(tokenizer, length, at, 48213);
      const auto size = static_cast<int64_t>(prompt.ids.size());
      EXPECT_LE(size, length + 1);
      EXPECT_GT(size, length + 1 - 60);  // at most one sentence short
      const std::string text = tokenizer.Decode(prompt.ids);
      const auto place = static_cast<double>(text.find("48213"));
      EXPECT_GT(place, before);
      before = place;
      EXPECT_TRUE(text.ends_with("The pass key is 48213"));
      // The answer is what follows the question.
      const Document answer(prompt.ids.begin() + prompt.answer_first,
                            prompt.ids.end());
      EXPECT_EQ(tokenizer.Decode(answer), "48213");
    }
  }
  EXPECT_THROW(MakeNeedle(tokenizer, 50, 0, 48213), std::invalid_argument);
}

// Predicts all tokens of a number at places up to 50 %, and all but the last
// beyond.
class HalfBlindScorer : public RepeatScorer {
 public:
  HalfBlindScorer() : RepeatScorer(512) {}
  int64_t vocabulary() const override { return 300; }
  std::vector<TokenScore> Score(const position::Stack&,
                                std::span<const Token> ids,
                                int64_t first_target,
                                const OnTokens& on_tokens) override {
    on_tokens(static_cast<int64_t>(ids.size()), 1);
    const auto tokenizer = TinyTokenizer();
    const std::string text = tokenizer.Decode(Document(ids.begin(), ids.end()));
    numbers.insert(text.substr(text.size() - 5));
    const bool blind =
        text.find(text.substr(text.size() - 5)) > text.size() * 6 / 10;
    std::vector<TokenScore> scores(
        ids.size() - static_cast<size_t>(first_target), {1, true});
    if (blind) scores.back() = {3, false};
    return scores;
  }
  std::set<std::string> numbers;
};

TEST(NeedleTest, AccuracyCountsWholeNumbers) {
  HalfBlindScorer scorer;
  const auto tokenizer = TinyTokenizer();
  NeedleOptions options{.schemes = {position::ParseScheme("rope")},
                        .spellings = {"rope"},
                        .lengths = {900},
                        .at = {0, 50, 100},
                        .trials = 4};
  std::vector<NeedleRow> rows;
  RunNeedle(
      scorer, tokenizer, options, [](int64_t, const Workload&) {},
      [&](const NeedleRow& row) { rows.push_back(row); });
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].accuracy, 1);
  EXPECT_EQ(rows[1].accuracy, 1);
  EXPECT_EQ(rows[2].accuracy, 0);
  EXPECT_GT(rows[2].digit_accuracy, 0.5);
  EXPECT_GT(rows[2].loss, rows[0].loss);
  EXPECT_EQ(scorer.numbers.size(), 4u);  // the same numbers in every cell
  options.trials = 0;
  EXPECT_THROW(RunNeedle(
                   scorer, tokenizer, options, [](int64_t, const Workload&) {},
                   [](const NeedleRow&) {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace ropewalk::evaluate
