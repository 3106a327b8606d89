#include "cli/chat_file.h"

#include "base/atomic_file.h"
#include "base/error.h"

namespace ropewalk::cli {

void WriteChatFile(const std::string& path, const std::string& model,
                   const formats::Json& messages) {
  const formats::Json json = {{"model", model}, {"messages", messages}};
  // An answer may end within a character.
  WriteFileAtomically(
      path,
      json.dump(1, ' ', false, formats::Json::error_handler_t::replace) + "\n");
}

formats::Json ReadChatFile(const std::string& path) {
  formats::Json json = formats::ReadJsonFile(path);
  if (json.is_array()) return json;
  if (!json.is_object() || !json.contains("messages")) {
    throw FormatError(path, 0, "is no conversation: it has no \"messages\"");
  }
  return json["messages"];
}

}  // namespace ropewalk::cli
