// Which context a request gets.

#ifndef ROPEWALK_SERVE_CONTEXT_H_
#define ROPEWALK_SERVE_CONTEXT_H_

#include <cstdint>
#include <optional>

namespace ropewalk::serve {

struct ContextWish {
  std::optional<int64_t> asked;  // by the request
  int64_t prompt = 0;            // tokens
  int64_t answer = 0;            // tokens, at most
  int64_t trained = 0;           // the trained length
  int64_t most = 0;              // that the server allows
};

// What was asked for; else the trained length, or twice, four times and so on
// of it until prompt and answer fit, so that short texts are read as the model
// was trained. Never more than the server allows. Throws ApiError(400) that
// names the field, both counts and what would fit, where the prompt leaves no
// room for a token.
int64_t PickContext(const ContextWish& wish);

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_CONTEXT_H_
