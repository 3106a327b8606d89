#include "serve/context.h"

#include <algorithm>
#include <string>

#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

[[noreturn]] void Refuse(const ContextWish& wish, int64_t context) {
  std::string message = "the prompt has " + std::to_string(wish.prompt) +
                        " tokens, a context of " + std::to_string(context) +
                        " takes at most " + std::to_string(context - 1);
  if (wish.prompt < wish.most) {
    message += "; ask for a longer one, \"context\": " +
               std::to_string(std::min(wish.most, wish.prompt + wish.answer));
  } else {
    message +=
        ", the most that this server allows; shorten the prompt, or "
        "start the server with a larger --context";
  }
  throw ApiError(400, message, "messages", "context_length_exceeded");
}

}  // namespace

int64_t PickContext(const ContextWish& wish) {
  int64_t context = std::min(wish.trained, wish.most);
  if (wish.asked) {
    if (*wish.asked > wish.most) {
      throw ApiError(400,
                     "context must be from 1 to " + std::to_string(wish.most) +
                         " on this server, got " + std::to_string(*wish.asked),
                     "context");
    }
    context = *wish.asked;
  } else {
    // An answer need not fit to its last token.
    const int64_t wanted = wish.prompt + std::min<int64_t>(wish.answer, 1024);
    while (context < wanted && context < wish.most) {
      context = std::min(2 * context, wish.most);
    }
  }
  if (wish.prompt >= context) Refuse(wish, context);
  return context;
}

}  // namespace ropewalk::serve
