// The chat template of a model file: how an instruct model was trained to see a
// conversation. The template is run (jinja/), and its output is encoded so that
// marks which it writes become tokens, while the same characters in a message
// stay text.

#ifndef ROPEWALK_ENGINE_CHAT_TEMPLATE_H_
#define ROPEWALK_ENGINE_CHAT_TEMPLATE_H_

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "jinja/template.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

// What a template is run on.
struct Conversation {
  // Objects with `role`, `content` and what else the template knows, such as
  // tool_calls and reasoning_content.
  formats::Json messages = formats::Json::array();
  formats::Json tools;  // an array of functions as JSON schemas; null: none
  // More variables, such as {"enable_thinking": false}.
  formats::Json variables = formats::Json::object();
  bool begins_answer = true;   // ends with the beginning of the answer
  std::optional<std::tm> now;  // nothing: the local time

  void Add(std::string_view role, std::string_view text);
};

// Immutable.
class ChatTemplate {
 public:
  // Reads tokenizer.chat_template, and tokenizer.chat_template.tool_use for
  // conversations with tools. Throws FormatError if the file has no template,
  // or one that is not valid.
  static ChatTemplate FromMetadata(const formats::Metadata& metadata);

  // How people call the form, by its marks: "ChatML", "Llama 3"; "its own" for
  // those without a name.
  const std::string& name() const { return name_; }

  // The text of the conversation in pieces. Messages, tools and variables are
  // input, but for roles of the usual names. Throws std::invalid_argument with
  // the line of the template for what it refuses or cannot do, and if it drops
  // the system text.
  std::vector<jinja::Piece> Render(const Conversation& conversation) const;

  std::string RenderText(const Conversation& conversation) const;

  // The ids of what Render returns, with one begin token in front if the file
  // or its template wants one. Control pieces that the template writes become
  // tokens; no part of the input does, nor a mark that opens or ends turns
  // where the vocabulary finds it in plain text.
  std::vector<Token> Encode(const tokenizer::Tokenizer& tokenizer,
                            const Conversation& conversation) const;

 private:
  ChatTemplate(std::string name, jinja::Template main,
               std::optional<jinja::Template> with_tools,
               jinja::Variables tokens);
  std::vector<std::string> TurnMarks(
      const tokenizer::Tokenizer& tokenizer) const;
  bool DropsSystemText() const;
  std::vector<jinja::Piece> Run(const Conversation& conversation) const;

  std::string name_;
  jinja::Template main_;
  std::optional<jinja::Template> with_tools_;
  jinja::Variables tokens_;  // bos_token and so on
};

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_CHAT_TEMPLATE_H_
