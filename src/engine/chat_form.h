// The chat form: how an instruct model was trained to see a conversation, here
// with one question of the user.
//
// The template of the file is read, not run. Its marks say which family it is,
// and its fixed texts say what stands between the marks and what the default
// system text is. Other families are refused, not guessed.

#ifndef ROPEWALK_ENGINE_CHAT_FORM_H_
#define ROPEWALK_ENGINE_CHAT_FORM_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "formats/gguf_metadata.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::engine {

struct ChatPiece {
  std::string text;
  bool is_mark = false;  // one token, such as <|im_start|>; else plain text

  bool operator==(const ChatPiece&) const = default;
};

class ChatForm {
 public:
  // Reads tokenizer.chat_template. Throws FormatError if the file has no
  // template, and if the template is of another family than ChatML, Llama 3,
  // Gemma and Phi, computes its texts, or has more than 1 MiB.
  static ChatForm FromMetadata(const formats::Metadata& metadata);

  // The family: "ChatML", "Llama 3", "Gemma" or "Phi".
  const std::string& name() const { return name_; }

  // The system text that the template uses if no other is given.
  const std::optional<std::string>& default_system() const {
    return default_system_;
  }

  // Returns a turn of the system if there is one, a turn of the user, and the
  // beginning of the answer, without the begin token. Neighbouring pieces are
  // never both text. `user` and `system` are text, even if they contain marks.
  // Throws std::invalid_argument if `system` is given and the template has no
  // place for it.
  std::vector<ChatPiece> Render(
      std::string_view user,
      const std::optional<std::string>& system = std::nullopt) const;

  // Returns the ids of what Render returns, with one begin token in front if
  // the file or its template wants one. Throws std::runtime_error if a mark is
  // not a token of this vocabulary, and std::invalid_argument if the vocabulary
  // would find a mark (a user-defined piece) in `user` or `system`.
  std::vector<Token> Encode(
      const tokenizer::Tokenizer& tokenizer, std::string_view user,
      const std::optional<std::string>& system = std::nullopt) const;

 private:
  std::string OpenTurn(std::string_view role) const;

  std::string name_;
  std::string role_open_;    // in front of a role
  std::string role_close_;   // behind a role
  std::string family_end_;   // the mark that ends a turn
  std::string end_of_turn_;  // family_end_ and the newline behind it
  std::string answer_;       // the whole beginning of the answer
  std::optional<std::string> default_system_;
  std::string system_prefix_;  // begins every system turn
  bool always_system_ = false;
  bool takes_system_ = true;
  // Gemma has no system turn: the system text opens the user's turn, and this
  // text follows it.
  std::optional<std::string> system_in_user_;
  bool trims_user_ = false;
  bool trims_system_ = false;
  bool begins_with_bos_ = false;
};

// Returns the texts of `pieces`, joined.
std::string JoinPieces(const std::vector<ChatPiece>& pieces);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_CHAT_FORM_H_
