// What stands behind a Session, and the options of generation in the types of
// the engine.

#ifndef ROPEWALK_API_SESSION_PARTS_H_
#define ROPEWALK_API_SESSION_PARTS_H_

#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/generate.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "grammar/token_masks.h"

namespace ropewalk {

engine::SampleOptions EngineOptionsOf(const SampleOptions& options);

// Tells the caller of a token in the caller's types.
bool Tell(const engine::GeneratedToken& token, const TokenCallback& on_token);

struct Session::Parts {
  // Throws unless all of `tokens`, behind the drawn one, can be read.
  void RequireReadable(std::span<const Token> tokens) const;
  // `tokens` behind the drawn one, which is forgotten once they are read.
  std::vector<Token> Unread(std::span<const Token> tokens) const;
  void Forget() {
    drawn.reset();
    logits.reset();
  }
  void Keep(std::vector<float> fresh) {
    logits = fresh.empty()
                 ? nullptr
                 : std::make_shared<const std::vector<float>>(std::move(fresh));
  }

  // The grammar of the options, made anew only if it is another one than in the
  // call before; null for none.
  std::shared_ptr<grammar::TokenMasks> GrammarOf(
      const GenerateOptions& options);
  // What Generate does behind `prompt`, without callbacks.
  engine::GenerateJob JobOf(std::span<const Token> prompt,
                            const GenerateOptions& options);
  // Notes how that has ended; `last` is the last token that was drawn. Fills in
  // all of `result` but the text.
  void Ended(const engine::GenerateResult& done, std::optional<Token> last,
             GenerateResult& result);

  Model model;
  engine::Session session;
  // The last token that Generate drew, which is to be read before all others.
  std::optional<Token> drawn;
  std::shared_ptr<const std::vector<float>> logits;  // [V], or null
  std::string grammar_text;
  std::shared_ptr<grammar::TokenMasks> grammar;
};

}  // namespace ropewalk

#endif  // ROPEWALK_API_SESSION_PARTS_H_
