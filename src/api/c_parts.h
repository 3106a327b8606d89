// What stands behind the handles of c.h, and how exceptions become messages.

#ifndef ROPEWALK_API_C_PARTS_H_
#define ROPEWALK_API_C_PARTS_H_

#include <ropewalk/c.h>
#include <ropewalk/memory.h>
#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <string_view>

// NOLINTBEGIN(readability-identifier-naming): names of the C interface.
struct ropewalk_model {
  ropewalk::Model model;
  std::string name;
  std::string architecture;
};

struct ropewalk_session {
  ropewalk::Session session;
};

struct ropewalk_memory {
  ropewalk::Memory memory;
  std::string name;
};

struct ropewalk_model_options {
  ropewalk::ModelOptions options;
};

struct ropewalk_session_options {
  ropewalk::SessionOptions options;
};

struct ropewalk_generate_options {
  ropewalk::GenerateOptions options;
};
// NOLINTEND(readability-identifier-naming)

namespace ropewalk::c {

// Frees the message that was in `*error` and puts a copy of `message` there.
void SetError(char** error, const char* message);

// `text` with a 0 behind it, from malloc. Throws std::bad_alloc.
char* CopyText(std::string_view text);

// Of at least one byte, from malloc. Throws std::bad_alloc.
int32_t* CopyTokens(std::span<const int32_t> tokens);

// Null with a count of 0 is an empty span.
inline std::span<const int32_t> SpanOf(const int32_t* tokens, size_t count) {
  return {tokens, count};
}

// What `work` returns; where it throws, `failed`, with the message in `*error`.
template <typename Result, typename Work>
Result Guard(char** error, Result failed, const Work& work) {
  try {
    return work();
  } catch (const std::exception& exception) {
    SetError(error, exception.what());
  } catch (...) {
    SetError(error, "an exception of an unknown type");
  }
  return failed;
}

}  // namespace ropewalk::c

#endif  // ROPEWALK_API_C_PARTS_H_
