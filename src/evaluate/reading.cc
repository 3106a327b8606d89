#include "evaluate/reading.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <cmath>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "evaluate/model_scorer.h"
#include "model/forward.h"
#include "model/sequence.h"
#include "model/workspace.h"

namespace ropewalk::evaluate {
namespace {

constexpr std::array<const char*, kMostNeedles> kAnimals = {
    "lion",   "tiger",  "zebra",  "camel", "otter",  "raven",  "eagle",
    "goose",  "horse",  "mouse",  "snake", "whale",  "shark",  "bear",
    "wolf",   "rabbit", "donkey", "sheep", "monkey", "panda",  "beaver",
    "cobra",  "falcon", "gecko",  "hyena", "koala",  "lizard", "moose",
    "parrot", "seal",   "spider", "turtle"};

constexpr int64_t kLinks = 3;
constexpr std::array<std::array<const char*, kLinks>, kMostChains> kNames = {
    {{"amber", "birch", "cedar"},
     {"delta", "ember", "flint"},
     {"ginger", "hazel", "ivory"},
     {"jasper", "linen", "maple"}}};

// A sentence that is put into the text.
struct Insert {
  double at = 0;  // in [0, 1], of the part that is not scored
  std::string sentence;
  int64_t index = 0;  // of its first token in the whole text
};

struct Asked {
  size_t about = 0;  // index of an Insert
  Question::Kind kind = Question::Kind::kNeedle;
  int64_t steps = 0;
  std::string prompt;
  int64_t number = 0;
};

std::vector<Token> Plain(const tokenizer::Tokenizer& tokenizer,
                         const std::string& text) {
  return tokenizer.Encode(text, {.add_bos = false, .add_eos = false});
}

// A sentence as the part behind a colon.
std::string LowerCase(std::string sentence) {
  sentence[0] = static_cast<char>(std::tolower(sentence[0]));
  return sentence;
}

// What is put into the text, and what is asked about it.
void Hide(const ReadingOptions& options, std::vector<Insert>& inserts,
          std::vector<Asked>& asked) {
  Rng rng(options.seed);
  const auto number = [&] { return 10000 + rng.Below(90000); };
  for (int64_t n = 0; n < options.needles; ++n) {
    const std::string fact = "The secret code of the " +
                             std::string(kAnimals[static_cast<size_t>(n)]) +
                             " is";
    const int64_t code = number();
    asked.push_back({inserts.size(), Question::Kind::kNeedle, 0, fact, code});
    inserts.push_back(
        {(static_cast<double>(n) + 0.5) / static_cast<double>(options.needles),
         " " + fact + " " + std::to_string(code) + ". Remember it: " +
             LowerCase(fact) + " " + std::to_string(code) + "."});
  }
  for (int64_t c = 0; c < options.chains; ++c) {
    const int64_t value = number();
    std::string before;
    for (int64_t link = 0; link < kLinks; ++link) {
      const std::string fact =
          "The value of " +
          std::string(
              kNames[static_cast<size_t>(c)][static_cast<size_t>(link)]) +
          " is";
      asked.push_back(
          {inserts.size(), Question::Kind::kTrace, link, fact, value});
      const std::string what =
          link == 0 ? std::to_string(value) : "the value of " + before;
      inserts.push_back({(static_cast<double>(link * options.chains + c) + 1) /
                             static_cast<double>(kLinks * options.chains + 1),
                         " " + fact + " " + what + "."});
      before = kNames[static_cast<size_t>(c)][static_cast<size_t>(link)];
    }
  }
  // Stable, so that two at one place keep their order.
  std::vector<size_t> order(inserts.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::ranges::stable_sort(order, {}, [&](size_t i) { return inserts[i].at; });
  std::vector<Insert> sorted;
  std::vector<size_t> now(inserts.size());
  for (const size_t i : order) {
    now[i] = sorted.size();
    sorted.push_back(inserts[i]);
  }
  inserts = std::move(sorted);
  for (Asked& a : asked) a.about = now[a.about];
}

bool EndsASentence(const std::string& bytes) {
  return !bytes.empty() &&
         std::string_view(".!?\n").find(bytes.back()) != std::string_view::npos;
}

// The first place from `index` on where a sentence ends, at most `most` tokens
// later; `index` if none does.
size_t SentenceEnd(const tokenizer::Tokenizer& tokenizer, const Document& body,
                   size_t index, size_t most) {
  const size_t last = std::min(index + most, body.size());
  for (size_t i = std::max<size_t>(index, 1); i < last; ++i) {
    if (EndsASentence(tokenizer.DecodeNext(body[i - 1], {}))) return i;
  }
  return index;
}

AnswerScore ScoreOf(std::span<const TokenScore> tokens) {
  AnswerScore score{.correct = true};
  for (const TokenScore& token : tokens) {
    score.loss += token.loss;
    score.accuracy += token.correct ? 1 : 0;
    score.correct = score.correct && token.correct;
  }
  score.loss /= static_cast<double>(tokens.size());
  score.accuracy /= static_cast<double>(tokens.size());
  return score;
}

// Scores the targets of the rows of the last pass from `first_row` on.
std::vector<TokenScore> ScoreLastPass(engine::Engine& engine, int64_t first_row,
                                      std::span<const Token> targets) {
  return ScoreRows(engine.threads(), targets, engine.model().config().V,
                   [&](int64_t first, int64_t rows) {
                     return engine.workspace().Logits(first_row + first, rows);
                   });
}

// Reads ids after what `sequence` has and scores the last `targets` of
// ids[1 ..] and `next`, the id that follows.
std::vector<TokenScore> ReadAndScore(engine::Engine& engine,
                                     model::Sequence& sequence,
                                     std::span<const Token> ids,
                                     int64_t targets, Token next,
                                     const std::function<void(int64_t)>& read) {
  const auto n = static_cast<int64_t>(ids.size());
  std::vector<Token> following(ids.begin() + 1, ids.end());
  following.push_back(next);
  std::vector<TokenScore> scores;
  for (int64_t first = 0; first < n;) {
    const int64_t T = std::min(engine::kPromptChunk, n - first);
    const int64_t wanted = std::clamp<int64_t>(first + T - (n - targets), 0, T);
    const model::Slice slice{
        &sequence,
        ids.subspan(static_cast<size_t>(first), static_cast<size_t>(T)),
        wanted};
    model::Forward(engine.model(), {&slice, 1}, engine.workspace());
    first += T;
    const std::vector<TokenScore> scored = ScoreLastPass(
        engine, 0,
        std::span(following).subspan(static_cast<size_t>(first - wanted),
                                     static_cast<size_t>(wanted)));
    scores.insert(scores.end(), scored.begin(), scored.end());
    read(T);
  }
  return scores;
}

std::vector<Token> Ids(const Question& question) {
  std::vector<Token> ids = question.prompt;
  ids.insert(ids.end(), question.answer.begin(), question.answer.end() - 1);
  return ids;
}

}  // namespace

ReadingOptions ReadingFor(int64_t N, int64_t length, uint64_t seed) {
  ReadingOptions options{.length = length, .seed = seed};
  options.scored = std::clamp<int64_t>(N / 4, 1, options.scored);
  options.passage = std::clamp<int64_t>(N / 8, 2, options.passage);
  options.passage_scored = std::max<int64_t>(1, options.passage * 3 / 4);
  // A number takes some 30 tokens of the text.
  options.needles = std::min(options.needles, N / 400);
  options.chains = std::min(options.chains, N / 1024);
  return options;
}

Reading MakeReading(const tokenizer::Tokenizer& tokenizer,
                    const Document& document, const ReadingOptions& options) {
  Require(options.needles >= 0 && options.needles <= kMostNeedles &&
              options.chains >= 0 && options.chains <= kMostChains,
          "reading: at most " + std::to_string(kMostNeedles) + " needles and " +
              std::to_string(kMostChains) + " chains");
  Require(options.passage_scored >= 0 &&
              options.passage_scored < std::max<int64_t>(1, options.passage),
          "reading: a part of the passage must show what it is");
  std::vector<Insert> inserts;
  std::vector<Asked> asked;
  Hide(options, inserts, asked);

  Reading reading;
  reading.scored = options.scored;
  std::vector<Document> sentences;
  int64_t inserted = 0;
  for (const Insert& insert : inserts) {
    sentences.push_back(Plain(tokenizer, insert.sentence));
    inserted += static_cast<int64_t>(sentences.back().size());
  }
  int64_t longest = options.passage_scored > 0 ? options.passage : 0;
  for (const Asked& a : asked) {
    // A blank line: a question is no part of the story.
    Question question{.kind = a.kind, .steps = a.steps};
    const AnsweredPrompt prompt =
        EncodeAnswered(tokenizer, "\n\n" + a.prompt,
                       " " + std::to_string(a.number), /*begins=*/false);
    const auto answer = prompt.ids.begin() + prompt.answer_first;
    question.prompt.assign(prompt.ids.begin(), answer);
    question.answer.assign(answer, prompt.ids.end());
    Require(!question.prompt.empty() && !question.answer.empty(),
            "reading: the vocabulary cannot spell the number of a question");
    longest = std::max(longest, static_cast<int64_t>(prompt.ids.size()));
    reading.questions.push_back(std::move(question));
  }

  reading.ids = tokenizer.Encode("", {.add_eos = false});
  const auto begin = static_cast<int64_t>(reading.ids.size());
  const int64_t size = options.length - longest - begin - inserted;
  const int64_t least = options.scored + options.passage + 1;
  Require(size > least,
          "reading: a length of " + std::to_string(options.length) +
              " leaves " + std::to_string(size) +
              " tokens of text, it needs more than " + std::to_string(least));
  Require(static_cast<int64_t>(document.size()) >= size,
          "reading: a text of " + std::to_string(document.size()) +
              " tokens is too short for a length of " +
              std::to_string(options.length));
  const Document body(document.end() - size, document.end());
  const auto open = static_cast<double>(size - options.scored);
  size_t done = 0;
  for (size_t i = 0; i < inserts.size(); ++i) {
    const size_t index = std::max(
        done, SentenceEnd(tokenizer, body,
                          static_cast<size_t>(inserts[i].at * open), 64));
    reading.ids.insert(reading.ids.end(),
                       body.begin() + static_cast<int64_t>(done),
                       body.begin() + static_cast<int64_t>(index));
    inserts[i].index = static_cast<int64_t>(reading.ids.size());
    reading.ids.insert(reading.ids.end(), sentences[i].begin(),
                       sentences[i].end());
    done = index;
  }
  reading.ids.insert(reading.ids.end(),
                     body.begin() + static_cast<int64_t>(done), body.end());
  const auto total = static_cast<int64_t>(reading.ids.size());
  for (size_t q = 0; q < asked.size(); ++q) {
    reading.questions[q].distance = total - inserts[asked[q].about].index;
  }
  if (options.passage_scored > 0) {
    // Behind the first tokens, which every scheme treats in its own way.
    constexpr int64_t kFirst = 64;
    const int64_t from = std::min(kFirst, total - options.passage);
    const auto at = reading.ids.begin() + from;
    const auto split = at + (options.passage - options.passage_scored);
    reading.questions.push_back({.kind = Question::Kind::kPassage,
                                 .distance = total - from,
                                 .prompt = {at, split},
                                 .answer = {split, at + options.passage}});
  }
  return reading;
}

std::vector<int64_t> SeenOnlyLongAgo(const Document& document, int64_t scored,
                                     int64_t recent, int64_t length) {
  const auto n = static_cast<int64_t>(document.size());
  std::unordered_map<Token, int64_t> last;
  std::vector<int64_t> found;
  for (int64_t i = std::max<int64_t>(0, n - length); i < n; ++i) {
    const Token id = document[static_cast<size_t>(i)];
    const auto before = last.find(id);
    if (i >= n - scored && before != last.end() &&
        i - before->second > recent) {
      found.push_back(i - (n - scored));
    }
    last[id] = i;
  }
  return found;
}

ReadingScores Read(engine::Engine& engine, const position::Stack& stack,
                   const Reading& reading, DType kv_type,
                   const OnTokens& on_tokens) {
  const std::lock_guard<std::mutex> pass(engine.pass_mutex());
  const auto n = static_cast<int64_t>(reading.ids.size());
  ROPEWALK_CHECK(reading.scored >= 0 && reading.scored < n);
  int64_t longest = 1;
  for (const Question& question : reading.questions) {
    longest = std::max(longest, static_cast<int64_t>(question.prompt.size() +
                                                     question.answer.size()));
  }
  model::Sequence sequence(engine.model(), stack,
                           {.length = n + longest, .kv_type = kv_type},
                           engine.workspace().pool());
  const ModelScorer scorer(engine);
  int64_t at = 0;  // in the text; questions stand at its end
  const auto read = [&](int64_t T) {
    on_tokens(T, scorer.Work(stack, at, T));
    at = std::min(n, at + T);
  };
  ReadingScores result;
  using Clock = std::chrono::steady_clock;
  const Clock::time_point begin = Clock::now();
  // The last token of the text is read too, for the questions; its own target
  // is the first token of a question and is not scored.
  result.text = ReadAndScore(engine, sequence, reading.ids, reading.scored + 1,
                             reading.ids.front(), read);
  result.text.pop_back();
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  result.kv_bytes = sequence.KvBytes();

  result.answers.resize(reading.questions.size());
  for (size_t q = 0; q < reading.questions.size();) {
    // As many short questions as fit into one pass.
    std::vector<std::vector<Token>> ids;
    int64_t tokens = 0;
    for (size_t next = q; next < reading.questions.size(); ++next) {
      std::vector<Token> asked = Ids(reading.questions[next]);
      const auto size = static_cast<int64_t>(asked.size());
      if (!ids.empty() && tokens + size > engine::kPromptChunk) break;
      tokens += size;
      ids.push_back(std::move(asked));
    }
    if (ids.size() == 1) {
      const Question& question = reading.questions[q];
      model::Sequence fork = sequence.Fork();
      result.answers[q] = ScoreOf(ReadAndScore(
          engine, fork, ids[0], static_cast<int64_t>(question.answer.size()),
          question.answer.back(), read));
      ++q;
      continue;
    }
    std::vector<model::Sequence> forks;
    forks.reserve(ids.size());
    std::vector<model::Slice> slices;
    for (size_t i = 0; i < ids.size(); ++i) {
      forks.push_back(sequence.Fork());
      slices.push_back(
          {&forks.back(), ids[i],
           static_cast<int64_t>(reading.questions[q + i].answer.size())});
    }
    model::Forward(engine.model(), slices, engine.workspace());
    int64_t row = 0;
    for (size_t i = 0; i < ids.size(); ++i, ++q) {
      const Question& question = reading.questions[q];
      result.answers[q] = ScoreOf(ScoreLastPass(engine, row, question.answer));
      row += static_cast<int64_t>(question.answer.size());
    }
    read(tokens);
  }
  return result;
}

int64_t TokensOf(const Reading& reading) {
  auto tokens = static_cast<int64_t>(reading.ids.size());
  for (const Question& question : reading.questions) {
    tokens += static_cast<int64_t>(Ids(question).size());
  }
  return tokens;
}

}  // namespace ropewalk::evaluate
