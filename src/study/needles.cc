#include "study/needles.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "evaluate/scorer.h"
#include "evaluate/statistics.h"
#include "study/processor_time.h"

namespace ropewalk::study {
namespace {

constexpr std::array<std::string_view, 60> kThings = {
    "anchor",   "apron",   "barrel", "basket",  "bell",    "blanket", "boat",
    "bottle",   "bridge",  "brush",  "bucket",  "button",  "candle",  "carpet",
    "chair",    "chest",   "clock",  "coin",    "compass", "cradle",  "cup",
    "curtain",  "door",    "drum",   "feather", "fence",   "flute",   "garden",
    "gate",     "hammer",  "harp",   "helmet",  "kettle",  "key",     "ladder",
    "lamp",     "lantern", "lock",   "mirror",  "needle",  "oar",     "oven",
    "painting", "pillow",  "pipe",   "plough",  "pump",    "ring",    "rope",
    "saddle",   "sail",    "shield", "spoon",   "statue",  "stove",   "sword",
    "tower",    "trumpet", "wagon",  "wheel"};

constexpr int64_t kLeastTokens = 100;

std::string SentenceOf(std::string_view thing) {
  return "The number of the " + std::string(thing) + " is";
}

// A page without the halves of words at its ends.
std::string WholeWords(const std::string& page) {
  const size_t first = page.find(' ');
  const size_t last = page.rfind(' ');
  if (first == std::string::npos || last <= first) return page;
  return page.substr(first + 1, last - first - 1);
}

// Puts a sentence behind the first that ends at `at` or later.
std::string Hidden(std::string page, size_t at, const std::string& sentence) {
  const size_t end = page.find(". ", at);
  if (end == std::string::npos) return page + " " + sentence;
  return page.insert(end + 1, " " + sentence);
}

}  // namespace

NeedleRound MakeNeedles(const tokenizer::Tokenizer& tokenizer,
                        std::span<const evaluate::Document> texts,
                        const NeedleSetting& setting, int64_t round) {
  Require(!texts.empty() && setting.documents > 0 &&
              setting.documents <= static_cast<int64_t>(kThings.size()),
          "needles are hidden in 1 to " + std::to_string(kThings.size()) +
              " documents, got " + std::to_string(setting.documents));
  Require(setting.tokens >= kLeastTokens,
          "a document with a needle has at least " +
              std::to_string(kLeastTokens) + " tokens, got " +
              std::to_string(setting.tokens));
  const auto files = static_cast<int64_t>(texts.size());
  const int64_t pages = (setting.documents + files - 1) / files;
  // The sentence takes about so many of a document's tokens.
  constexpr int64_t kSentence = 24;
  const int64_t size = setting.tokens - kSentence;
  Rng rng(static_cast<uint64_t>(round) + 1);
  std::vector<std::string_view> things(kThings.begin(), kThings.end());
  for (size_t i = things.size() - 1; i > 0; --i) {
    std::swap(
        things[i],
        things[static_cast<size_t>(rng.Below(static_cast<int64_t>(i) + 1))]);
  }
  NeedleRound made;
  for (int64_t d = 0; d < setting.documents; ++d) {
    const evaluate::Document& text = texts[static_cast<size_t>(d % files)];
    const int64_t step =
        static_cast<int64_t>(text.size()) / (pages * setting.rounds);
    Require(step >= size, "text " + std::to_string(d % files + 1) +
                              " has too few tokens for " +
                              std::to_string(pages * setting.rounds) +
                              " documents of " +
                              std::to_string(setting.tokens));
    const auto at =
        text.begin() + (round * pages + d / files) * step + (step - size) / 2;
    const std::string page =
        WholeWords(tokenizer.Decode(std::span(at, at + size)));
    const int64_t number = 10000 + rng.Below(90000);
    const auto place =
        static_cast<size_t>(rng.Uniform() * static_cast<double>(page.size()));
    const std::string answer = " " + std::to_string(number);
    const std::string sentence =
        SentenceOf(things[static_cast<size_t>(d)]) + answer + ".";
    made.documents.push_back(
        tokenizer.Encode(Hidden(page, place, sentence) + "\n\n",
                         {.add_bos = false, .add_eos = false}));
    const evaluate::AnsweredPrompt prompt = evaluate::EncodeAnswered(
        tokenizer,
        "What is the number of the " +
            std::string(things[static_cast<size_t>(d)]) + "? " +
            SentenceOf(things[static_cast<size_t>(d)]),
        answer, /*begins=*/false);
    made.questions.push_back(
        {.document = d,
         .question = {prompt.ids.begin(),
                      prompt.ids.begin() + prompt.answer_first},
         .answer = {prompt.ids.begin() + prompt.answer_first,
                    prompt.ids.end()}});
  }
  return made;
}

std::vector<NeedleCondition> NeedleConditions() {
  using Kind = NeedleCondition::Kind;
  using Law = memory::Law;
  const auto some = [](std::string name, Kind kind, int64_t top,
                       Law::Kind law = Law::Kind::kFar,
                       memory::ChooseBy by = memory::ChooseBy::kWords) {
    return NeedleCondition{.name = std::move(name),
                           .kind = kind,
                           .law = {.kind = law},
                           .top = top,
                           .by = by};
  };
  return {
      {.name = "nothing", .kind = Kind::kNothing},
      {.name = kAllAttached, .kind = Kind::kAttached},
      some("attached, the best by words", Kind::kAttached, 1),
      some("attached, the best 5 by words", Kind::kAttached, 5),
      some("attached, the best by words, in order", Kind::kAttached, 1,
           Law::Kind::kOrder),
      some("attached, the best 5 by words, in order", Kind::kAttached, 5,
           Law::Kind::kOrder),
      some("attached, the best 5 by words, in one place", Kind::kAttached, 5,
           Law::Kind::kPlace),
      some("pasted, the best by words", Kind::kPasted, 1),
      {.name = "pasted, all", .kind = Kind::kPasted},
      some("attached, the best 5 by attention", Kind::kAttached, 5,
           Law::Kind::kFar, memory::ChooseBy::kAttention),
      some("pasted, the best 5 by words", Kind::kPasted, 5),
  };
}

NeedleCase::NeedleCase(std::shared_ptr<engine::Engine> engine,
                       NeedleRound round, DType kv_type,
                       std::function<void(int64_t)> on_read)
    : engine_(std::move(engine)),
      round_(std::move(round)),
      kv_type_(kv_type),
      on_read_(std::move(on_read)),
      begin_(engine_->tokenizer().Encode("", {.add_eos = false})) {}

void NeedleCase::ReadAlone() {
  if (!memories_.empty()) return;
  memory::ReadOptions whole{.overlap = 0, .type = kv_type_};
  for (const evaluate::Document& document : round_.documents) {
    whole.part = std::min(static_cast<int64_t>(document.size()),
                          engine_->positions().train_length);
    memories_.push_back(
        std::make_shared<const memory::Memory>(memory::ReadMemory(
            *engine_, "document " + std::to_string(memories_.size()), "",
            document, whole, on_read_)));
  }
}

std::vector<int64_t> NeedleCase::ChosenByWords(const NeedleQuestion& question,
                                               int64_t top) {
  ReadAlone();
  std::vector<int64_t> chosen;
  for (const memory::Choice& choice :
       memory::Choose(*engine_, memories_, question.question, {}, top,
                      memory::ChooseBy::kWords)
           .best) {
    chosen.push_back(choice.index);
  }
  return chosen;
}

engine::Session NeedleCase::Open(int64_t length,
                                 const std::string& scheme) const {
  return {engine_, {.length = length, .position = scheme, .kv_type = kv_type_}};
}

engine::Session NeedleCase::Attached(
    std::span<const std::shared_ptr<const memory::Memory>> memories,
    const memory::Law& law, int64_t length) const {
  engine::Session session = Open(length, "rope");
  session.Attach(
      memory::Arrange(memories, law, *engine_, session.sequence().stack()));
  return session;
}

// Reads `prompt`, whose last tokens are the question, and the answer behind it.
// `answer.first_seconds` holds what was spent before.
void NeedleCase::Ask(engine::Session& session, std::span<const Token> prompt,
                     const NeedleQuestion& question, Answer& answer) const {
  const ProcessorTimer to_first;
  std::vector<float> logits = session.Read(prompt);
  answer.first_seconds += to_first.Seconds();
  answer.read = static_cast<int64_t>(prompt.size());
  on_read_(answer.read);
  const ProcessorTimer answering;
  for (const Token token : question.answer) {
    const evaluate::TokenScore score = evaluate::ScoreLogits(logits, token);
    answer.loss += score.loss;
    answer.right += score.correct ? 1 : 0;
    if (++answer.tokens == static_cast<int64_t>(question.answer.size())) break;
    logits = session.Read(std::span(&token, 1));
  }
  answer.token_seconds = answering.Seconds() /
                         std::max(1.0, static_cast<double>(answer.tokens - 1));
}

NeedleCase::Answer NeedleCase::AskOfSome(const NeedleCondition& condition,
                                         const NeedleQuestion& question) {
  ReadAlone();
  const ProcessorTimer choosing;
  const memory::Choices choices =
      memory::Choose(*engine_, memories_, question.question, condition.law,
                     condition.top, condition.by);
  std::vector<Token> prompt = begin_;
  std::vector<std::shared_ptr<const memory::Memory>> chosen;
  // The best stands nearest to the question.
  for (size_t c = choices.best.size(); c-- > 0;) {
    const auto index = static_cast<size_t>(choices.best[c].index);
    chosen.push_back(memories_[index]);
    if (condition.kind == NeedleCondition::Kind::kAttached) continue;
    const evaluate::Document& document = round_.documents[index];
    prompt.insert(prompt.end(), document.begin(), document.end());
  }
  prompt.insert(prompt.end(), question.question.begin(),
                question.question.end());
  const auto length =
      static_cast<int64_t>(prompt.size() + question.answer.size());
  engine::Session session = condition.kind == NeedleCondition::Kind::kAttached
                                ? Attached(chosen, condition.law, length)
                                : Open(length, condition.scheme);
  Answer answer{.first_seconds = choosing.Seconds()};
  Ask(session, prompt, question, answer);
  return answer;
}

std::vector<NeedleCase::Answer> NeedleCase::Measure(
    const NeedleCondition& condition) {
  using Kind = NeedleCondition::Kind;
  std::vector<Answer> answers;
  if (condition.top > 0) {
    for (const NeedleQuestion& question : round_.questions) {
      answers.push_back(AskOfSome(condition, question));
    }
    return answers;
  }
  std::vector<Token> before;
  if (condition.kind == Kind::kPasted) {
    before = begin_;
    for (const evaluate::Document& document : round_.documents) {
      before.insert(before.end(), document.begin(), document.end());
    }
  }
  size_t longest = 0;
  for (const NeedleQuestion& question : round_.questions) {
    longest =
        std::max(longest, question.question.size() + question.answer.size());
  }
  const auto length =
      static_cast<int64_t>(before.size() + begin_.size() + longest);
  if (condition.kind == Kind::kAttached) ReadAlone();
  engine::Session base =
      condition.kind == Kind::kAttached
          ? Attached(memories_, condition.law, length)
          : Open(length,
                 condition.kind == Kind::kPasted ? condition.scheme : "rope");
  if (!before.empty()) {
    base.Read(before, [&](int64_t tokens) {
      on_read_(tokens);
      return true;
    });
  }
  for (const NeedleQuestion& question : round_.questions) {
    std::vector<Token> prompt;
    if (before.empty()) prompt = begin_;
    prompt.insert(prompt.end(), question.question.begin(),
                  question.question.end());
    engine::Session session = base.Fork();
    Answer answer;
    Ask(session, prompt, question, answer);
    answers.push_back(answer);
  }
  return answers;
}

NeedleRow RowOf(const NeedleSetting& setting, const NeedleCondition& condition,
                std::span<const NeedleCase::Answer> answers) {
  NeedleRow row{.setting = setting.Name(), .condition = condition.name};
  if (condition.kind == NeedleCondition::Kind::kAttached) {
    row.law = memory::ToString(condition.law);
  } else if (condition.kind == NeedleCondition::Kind::kPasted) {
    row.law = condition.scheme;
  }
  std::vector<double> first;
  std::vector<double> token;
  double tokens = 0;
  for (const NeedleCase::Answer& answer : answers) {
    row.found += answer.Found() ? '1' : '0';
    row.digits += static_cast<double>(answer.right);
    row.loss += answer.loss;
    row.read += static_cast<double>(answer.read);
    tokens += static_cast<double>(answer.tokens);
    first.push_back(answer.first_seconds);
    token.push_back(answer.token_seconds);
  }
  if (answers.empty()) return row;
  row.digits /= tokens;
  row.loss /= tokens;
  row.read /= static_cast<double>(answers.size());
  row.first_seconds = evaluate::Median(first);
  row.token_seconds = evaluate::Median(token);
  return row;
}

}  // namespace ropewalk::study
