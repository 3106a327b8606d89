// Options as people who come from llama.cpp type them.

#ifndef ROPEWALK_CLI_LLAMA_CPP_OPTIONS_H_
#define ROPEWALK_CLI_LLAMA_CPP_OPTIONS_H_

#include <functional>
#include <string>
#include <vector>

namespace ropewalk::cli {

// Returns the arguments of `ropewalk run` or `chat` with llama.cpp's options
// put into ours. Other commands keep theirs, whose -t and -s mean other things.
// What has no effect here is left out, and `note` is called with a line that
// says why. Throws std::invalid_argument that says what to type for what is
// done in another way or not at all.
std::vector<std::string> FromLlamaCpp(
    std::vector<std::string> arguments,
    const std::function<void(const std::string&)>& note);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_LLAMA_CPP_OPTIONS_H_
