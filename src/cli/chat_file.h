// A conversation as a file: JSON with the messages, and what model it was with.

#ifndef ROPEWALK_CLI_CHAT_FILE_H_
#define ROPEWALK_CLI_CHAT_FILE_H_

#include <string>

#include "formats/json_file.h"

namespace ropewalk::cli {

// Throws IoError; an older file is then unchanged.
void WriteChatFile(const std::string& path, const std::string& model,
                   const formats::Json& messages);

// The messages of such a file, or of one that is an array of messages. Throws
// IoError, and FormatError for other files.
formats::Json ReadChatFile(const std::string& path);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_CHAT_FILE_H_
