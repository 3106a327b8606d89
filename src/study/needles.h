// The second question of the study `memories`: what is found among many
// documents.
//
// Each document is a page of a novel that hides one sentence: "The number of
// the lantern is 48213." A text asks for one of the numbers. The documents were
// read alone and attached, all or some, or they stand before the question as
// one text.

#ifndef ROPEWALK_STUDY_NEEDLES_H_
#define ROPEWALK_STUDY_NEEDLES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/token.h"
#include "engine/engine.h"
#include "engine/session.h"
#include "evaluate/documents.h"
#include "memory/choose.h"
#include "memory/law.h"
#include "memory/memory.h"
#include "study/memory_rows.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::study {

struct NeedleSetting {
  int64_t documents = 50;
  int64_t tokens = 400;  // of each, about
  // Rounds with other documents and numbers; each asks for every number.
  int64_t rounds = 2;

  std::string Name() const {  // "50x400"
    return std::to_string(documents) + "x" + std::to_string(tokens);
  }
};

// One number that is asked for.
struct NeedleQuestion {
  int64_t document = 0;  // that has it
  std::vector<Token> question;
  std::vector<Token> answer;
};

struct NeedleRound {
  // With two line ends behind each, so that they can stand one after another.
  std::vector<evaluate::Document> documents;
  std::vector<NeedleQuestion> questions;  // one a document
};

// Pages of `texts`, by turns; no page is in two rounds. Throws
// std::invalid_argument for texts that are too short, for documents too short
// for a sentence, and for more documents than there are things to ask for.
NeedleRound MakeNeedles(const tokenizer::Tokenizer& tokenizer,
                        std::span<const evaluate::Document> texts,
                        const NeedleSetting& setting, int64_t round);

// What stands before the question.
struct NeedleCondition {
  enum class Kind {
    kNothing,
    kAttached,  // read alone, under `law`
    kPasted,    // one text under `scheme`; some of them anew a question
  };
  std::string name;
  Kind kind = Kind::kNothing;
  memory::Law law = {};
  std::string scheme = "auto";
  int64_t top = 0;  // so many, those that matter most; 0: all
  memory::ChooseBy by = memory::ChooseBy::kWords;
};

inline constexpr const char* kAllAttached = "attached, all";

std::vector<NeedleCondition> NeedleConditions();

// The documents of one round, read for as many conditions as are asked.
class NeedleCase {
 public:
  NeedleCase(std::shared_ptr<engine::Engine> engine, NeedleRound round,
             DType kv_type, std::function<void(int64_t)> on_read);

  // What one question gave.
  struct Answer {
    int64_t right = 0;  // tokens of the number
    int64_t tokens = 0;
    double loss = 0;           // nats, sum over them
    int64_t read = 0;          // tokens
    double first_seconds = 0;  // of a processor, as token_seconds
    double token_seconds = 0;

    bool Found() const { return right == tokens; }
  };
  std::vector<Answer> Measure(const NeedleCondition& condition);

  const NeedleRound& round() const { return round_; }
  // The tokens that every text begins with.
  const std::vector<Token>& begin() const { return begin_; }

  // Those that matter most to a question by words, the best first.
  std::vector<int64_t> ChosenByWords(const NeedleQuestion& question,
                                     int64_t top);

 private:
  void ReadAlone();
  engine::Session Open(int64_t length, const std::string& scheme) const;
  engine::Session Attached(
      std::span<const std::shared_ptr<const memory::Memory>> memories,
      const memory::Law& law, int64_t length) const;
  void Ask(engine::Session& session, std::span<const Token> prompt,
           const NeedleQuestion& question, Answer& answer) const;
  Answer AskOfSome(const NeedleCondition& condition,
                   const NeedleQuestion& question);

  std::shared_ptr<engine::Engine> engine_;
  NeedleRound round_;
  DType kv_type_;
  std::function<void(int64_t)> on_read_;
  std::vector<Token> begin_;
  std::vector<std::shared_ptr<const memory::Memory>> memories_;
};

// The answers of all rounds; the row lacks its run.
NeedleRow RowOf(const NeedleSetting& setting, const NeedleCondition& condition,
                std::span<const NeedleCase::Answer> answers);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_NEEDLES_H_
