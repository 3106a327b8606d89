// The constructs of a tokenizer.json, such as {"type": "Split", ...}: fields
// with their types, and errors that name the construct.

#ifndef ROPEWALK_TOKENIZER_STEP_JSON_H_
#define ROPEWALK_TOKENIZER_STEP_JSON_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf_metadata.h"
#include "formats/json_file.h"

namespace ropewalk::tokenizer {

// The key with a tokenizer.json as one text, without its vocabulary, merges and
// character map, which the keys of GGUF have.
inline constexpr std::string_view kPipelineKey = "ropewalk.tokenizer.pipeline";

// Files have up to six steps; more than this many in one part are refused.
inline constexpr size_t kMostSteps = 64;

// An object with a `type`. Borrows what it is made of. All functions throw
// FormatError at kPipelineKey, with the part and the type in the message.
class StepJson {
 public:
  // `part` names what the object belongs to: "pre_tokenizer".
  StepJson(const formats::Metadata& metadata, const formats::Json& json,
           std::string part);

  const std::string& type() const { return type_; }

  // Null where the field is absent or null.
  const formats::Json* Find(std::string_view name) const;
  // A field without a default is required.
  bool Bool(std::string_view name, std::optional<bool> usual = {}) const;
  std::string String(std::string_view name,
                     const std::optional<std::string>& usual = {}) const;
  int64_t Int(std::string_view name, int64_t least, int64_t most,
              std::optional<int64_t> usual = {}) const;
  // Objects without a `type` are allowed too.
  std::vector<StepJson> List(std::string_view name) const;

  FormatError Error(const std::string& rule) const;
  // For a type that nobody knows.
  FormatError Unknown() const;

 private:
  FormatError WrongField(std::string_view name, const char* expected) const;

  const formats::Metadata& metadata_;
  const formats::Json& json_;
  std::string part_, type_;
};

// The steps of a part, with each Sequence replaced by the steps in it (`list`
// is the name of its field). Null has no steps. Throws FormatError for more
// than kMostSteps.
std::vector<StepJson> FlatSteps(const formats::Metadata& metadata,
                                const formats::Json& json,
                                const std::string& part,
                                const std::string& list);

}  // namespace ropewalk::tokenizer

#endif  // ROPEWALK_TOKENIZER_STEP_JSON_H_
