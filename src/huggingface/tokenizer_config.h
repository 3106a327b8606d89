// What stands beside the vocabulary in a model folder: special tokens, whether
// they are added, chat templates.

#ifndef ROPEWALK_HUGGINGFACE_TOKENIZER_CONFIG_H_
#define ROPEWALK_HUGGINGFACE_TOKENIZER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"
#include "huggingface/tokenizer_pieces.h"

namespace ropewalk::huggingface {

// The JSON files of a folder; an empty object for each that is not there.
// Throws IoError, and FormatError for files that are no JSON objects.
struct TokenizerConfig {
  explicit TokenizerConfig(const std::string& folder);

  // The size of the vocabulary that config.json names, or 0.
  int64_t VocabularySize() const;
  // The text of `bos_token`, `eos_token`, ...; nullopt where no file has it.
  std::optional<std::string> SpecialText(const std::string& name) const;
  // The ids of `bos`, `eos`, ..., in generation_config.json or config.json.
  std::vector<int64_t> SpecialIds(const std::string& name) const;
  std::optional<bool> Flag(const std::string& name) const;

  std::string folder;
  formats::Json tokenizer, special, generation, model, added;
};

// Sets the ids of special tokens: bos, eos, unknown, padding and so on, and
// ropewalk.tokenizer.eos_token_ids where several end a text. Throws FormatError
// for ids that are not in the vocabulary.
void SetSpecialTokens(const TokenizerConfig& config,
                      const TokenizerPieces& pieces,
                      formats::Metadata& metadata);

// Sets tokenizer.chat_template, and for templates with other names
// tokenizer.chat_template.NAME and tokenizer.chat_templates.
void SetChatTemplates(const TokenizerConfig& config,
                      formats::Metadata& metadata);

}  // namespace ropewalk::huggingface

#endif  // ROPEWALK_HUGGINGFACE_TOKENIZER_CONFIG_H_
