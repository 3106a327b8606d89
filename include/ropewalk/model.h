// A model: the weights, the vocabulary and what the file says of itself.

#ifndef ROPEWALK_MODEL_H_
#define ROPEWALK_MODEL_H_

#include <ropewalk/export.h>
#include <ropewalk/scheme.h>
#include <ropewalk/tokenizer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ropewalk {

struct ModelOptions {
  // Tokens of the longest text that the model was trained on; 0: as the file
  // says. Windows of schemes, log n scales and the choice of `auto` follow
  // from it. Set it where you know better than the file.
  int64_t train_length = 0;
  // Threads that compute, the calling one among them; 0: one for each core
  // that the process may use.
  int64_t threads = 0;
  // Bytes that keys and values of all its sessions may take together; 0: the
  // memory that is available when the model is loaded.
  int64_t memory_limit = 0;
  // Multiplies weights of block types (q8_0, q4_K, ...) in float32. Otherwise
  // they are multiplied in integers, with activations in 8 bits, which is
  // faster and moves results a little. Other types are float32 anyway.
  bool exact = false;
  // Keeps the memory of the whole process from being swapped out. Load throws
  // IoError if the system does not allow it.
  bool lock_memory = false;
};

// One message of a conversation.
struct ChatMessage {
  std::string role;  // "system", "user", "assistant", "tool"
  std::string text;
};

// A conversation as programs write it, in JSON. Its texts are plain text,
// whatever they contain, as those of ChatMessage are.
struct ChatConversation {
  // An array of objects with role and content, and what else the template
  // knows: tool_calls, tool_call_id, name, reasoning_content.
  std::string messages;
  // An array of functions as JSON schemas, as OpenAI writes them; empty: none.
  std::string tools = {};
  // An object of more variables of the template, such as
  // {"enable_thinking": false}; empty: none.
  std::string variables = {};
  // Ends with the beginning of an answer.
  bool begins_answer = true;
};

// A handle: copies share one model, and so do its sessions, each of which
// keeps it alive. Immutable: any number of threads may call the members of one
// object at a time. A moved-from object may only be assigned to or destroyed.
//
// Weights of block types are rearranged in memory of the model when it is
// loaded, unless the options ask for exact products. Other weights stay in a
// map of the file, and so do all of an exact model: then loading takes
// milliseconds and processes share the memory. The file must not be changed
// while a model is in use; replacing it by another of the same name is safe.
class ROPEWALK_EXPORT Model {
 public:
  // A GGUF file (the first part of a split one). Throws IoError, FormatError
  // for a file that is not a model of a supported architecture or has tensors
  // or keys that would be ignored, and std::invalid_argument for options out of
  // range.
  static Model Load(const std::string& path, const ModelOptions& options = {});

  Model(const Model&);
  Model(Model&&) noexcept;
  Model& operator=(const Model&);
  Model& operator=(Model&&) noexcept;
  ~Model();

  std::string name() const;          // general.name, else the file's
  std::string architecture() const;  // as in the file: "llama", "gemma3"
  int64_t layers() const;
  int64_t width() const;  // of the hidden state
  int64_t vocabulary_size()
      const;                     // logits a token; may exceed the tokenizer's
  int64_t train_length() const;  // tokens, under the options
  int64_t weight_bytes() const;  // of weights that one token reads
  int64_t threads() const;
  // Bytes of keys and values that all sessions hold now, what they share
  // counted once, and the most that they may hold.
  int64_t kv_bytes() const;
  int64_t kv_memory_limit() const;

  // Read on first use. Throws FormatError where the file has no vocabulary, or
  // one of a kind that is not supported; a model without one still reads ids.
  const Tokenizer& tokenizer() const;

  // `scheme` with every parameter given, as it runs in a context of `length`
  // tokens; `auto` becomes the scheme that is chosen. Throws
  // std::invalid_argument with the reason where the scheme is not defined for
  // this model.
  Scheme Resolve(const Scheme& scheme, int64_t length) const;

  // Why `scheme` is known to give noise at `length` tokens, or nothing. Throws
  // like Resolve.
  std::optional<std::string> KnownToFail(const Scheme& scheme,
                                         int64_t length) const;

  // Which layers `scheme` changes, in words, where that is not all of them:
  // "on 3 of 18 layers, 15 keep their window of 512 keys"; else empty. Throws
  // like Resolve.
  std::string ChangedLayers(const Scheme& scheme, int64_t length) const;

  // "ChatML", "Llama 3", "Gemma" and so on: the form in which the model was
  // trained to see a conversation, "its own" for one without a name. Throws
  // FormatError where the file has no chat template (a base model), or one that
  // cannot be read. So do the next two.
  std::string chat_form() const;

  // The text, or the ids, of `messages` by the chat template of the file, up to
  // where the answer begins. Messages are plain text, whatever they contain:
  // only marks that the template writes become tokens. Throws
  // std::invalid_argument for messages that end with one of the system or the
  // assistant, for those that the template refuses, and for a system message
  // where it has no place for one.
  std::string RenderChat(std::span<const ChatMessage> messages) const;
  std::vector<Token> EncodeChat(std::span<const ChatMessage> messages) const;

  // The same for a conversation in JSON, which may end with any message. Throws
  // FormatError also for what is not JSON.
  std::string RenderChat(const ChatConversation& conversation) const;
  std::vector<Token> EncodeChat(const ChatConversation& conversation) const;

  // Keys and values of the file, by key. Nothing: there is no such key. Throw
  // FormatError where the key is there with a value of another kind.
  std::vector<std::string> MetadataKeys() const;
  std::optional<std::string> MetadataString(std::string_view key) const;
  std::optional<int64_t> MetadataInteger(std::string_view key) const;
  // Integers too.
  std::optional<double> MetadataNumber(std::string_view key) const;

 private:
  friend class Batch;
  friend class Memory;
  friend class Session;
  friend struct EngineAccess;  // of src/api
  struct Parts;

  explicit Model(std::shared_ptr<Parts> parts);

  std::shared_ptr<Parts> parts_;
};

}  // namespace ropewalk

#endif  // ROPEWALK_MODEL_H_
