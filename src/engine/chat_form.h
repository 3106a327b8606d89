// The form in which an instruct model was trained to see a conversation, for
// one question of the user.
//
// The template of the file is read, not run: its marks tell the family, its
// fixed texts tell the rest (what stands between them, a default system text).
// Other families are refused rather than guessed.

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
  // By tokenizer.chat_template. Throws FormatError when the file has none, and
  // for one of another family than ChatML, Llama 3, Gemma and Phi, that
  // computes its texts, or of more than 1 MiB.
  static ChatForm FromMetadata(const formats::Metadata& metadata);

  // "ChatML", "Llama 3", "Gemma", "Phi".
  const std::string& name() const { return name_; }

  // What the template says where no system text is given.
  const std::optional<std::string>& default_system() const {
    return default_system_;
  }

  // One turn of the system where there is one, one turn of the user, and the
  // beginning of the answer; without the begin token. Neighbouring pieces are
  // never both text. `user` and `system` are text, whatever they contain.
  // Throws std::invalid_argument when `system` is given and the template has no
  // place for it.
  std::vector<ChatPiece> Render(
      std::string_view user,
      const std::optional<std::string>& system = std::nullopt) const;

  // The ids of what Render gives, with one begin token in front where the file
  // or its template wants one. Throws std::runtime_error when a mark is no
  // token of this vocabulary, and std::invalid_argument when the vocabulary
  // would read a mark out of `user` or `system` (a user-defined piece).
  std::vector<Token> Encode(
      const tokenizer::Tokenizer& tokenizer, std::string_view user,
      const std::optional<std::string>& system = std::nullopt) const;

 private:
  std::string OpenTurn(std::string_view role) const;

  std::string name_;
  std::string role_open_;    // in front of a role
  std::string role_close_;   // behind it
  std::string family_end_;   // the mark that ends a turn
  std::string end_of_turn_;  // that and the newline behind it
  std::string answer_;       // the whole beginning of the answer
  std::optional<std::string> default_system_;
  std::string system_prefix_;  // stands in every system turn
  bool always_system_ = false;
  bool takes_system_ = true;
  // Gemma has no system turn: such a text opens the user's turn, with this
  // behind it.
  std::optional<std::string> system_in_user_;
  bool trims_user_ = false;
  bool trims_system_ = false;
  bool begins_with_bos_ = false;
};

// The texts of `pieces`, joined.
std::string JoinPieces(const std::vector<ChatPiece>& pieces);

}  // namespace ropewalk::engine

#endif  // ROPEWALK_ENGINE_CHAT_FORM_H_
