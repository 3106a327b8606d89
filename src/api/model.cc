#include <ropewalk/model.h>

#include <utility>

#include "api/parts.h"
#include "base/error.h"
#include "base/text.h"
#include "engine/chat_template.h"
#include "formats/gguf_metadata.h"
#include "formats/json_file.h"

namespace ropewalk {
namespace {

// Throws std::invalid_argument if no answer can follow.
engine::Conversation ConversationOf(std::span<const ChatMessage> messages) {
  engine::Conversation conversation;
  for (const ChatMessage& message : messages) {
    const auto broken = FindInvalidUtf8(message.text);
    Require(!broken && !FindInvalidUtf8(message.role),
            "message " + std::to_string(conversation.messages.size() + 1) +
                " is not UTF-8");
    conversation.Add(message.role, message.text);
  }
  const std::string last = messages.empty() ? "" : messages.back().role;
  Require(!messages.empty() && last != "system" && last != "assistant",
          "the messages must end with one of the user, or of a tool");
  return conversation;
}

engine::Conversation ConversationOf(const ChatConversation& given) {
  const auto parse = [](const std::string& text, const char* what) {
    const auto broken = FindInvalidUtf8(text);
    Require(!broken, std::string(what) + " are not UTF-8");
    return formats::ParseJson(text, what);
  };
  engine::Conversation conversation;
  conversation.messages = parse(given.messages, "messages");
  Require(conversation.messages.is_array() && !conversation.messages.empty(),
          "messages must be an array of at least one message");
  for (const formats::Json& message : conversation.messages) {
    Require(message.is_object() && message.contains("role") &&
                message["role"].is_string(),
            "each message must be an object with a role");
  }
  if (!given.tools.empty()) {
    conversation.tools = parse(given.tools, "tools");
    Require(conversation.tools.is_array(), "tools must be an array");
  }
  if (!given.variables.empty()) {
    conversation.variables = parse(given.variables, "variables");
    Require(conversation.variables.is_object(), "variables must be an object");
  }
  conversation.begins_answer = given.begins_answer;
  return conversation;
}

engine::ChatTemplate ChatTemplateOf(const engine::Engine& engine) {
  return engine::ChatTemplate::FromMetadata(engine.model().file().metadata());
}

}  // namespace

Model Model::Load(const std::string& path, const ModelOptions& options) {
  return Model(std::make_shared<Parts>(
      engine::EngineOptions{.path = path,
                            .train_length = options.train_length,
                            .threads = options.threads,
                            .memory_limit = options.memory_limit,
                            .exact = options.exact,
                            .lock_memory = options.lock_memory}));
}

Model::Model(std::shared_ptr<Parts> parts) : parts_(std::move(parts)) {}
Model::Model(const Model&) = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(const Model&) = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

std::string Model::name() const {
  return parts_->engine->model().config().name;
}
std::string Model::architecture() const {
  return parts_->engine->model().config().architecture;
}
int64_t Model::layers() const { return parts_->engine->model().config().L; }
int64_t Model::width() const { return parts_->engine->model().config().E; }
int64_t Model::vocabulary_size() const {
  return parts_->engine->model().config().V;
}
int64_t Model::train_length() const {
  return parts_->engine->positions().train_length;
}
int64_t Model::weight_bytes() const {
  return parts_->engine->model().WeightBytes();
}
int64_t Model::threads() const { return parts_->engine->threads().workers(); }

int64_t Model::kv_bytes() const {
  return parts_->engine->workspace().pool()->bytes();
}
int64_t Model::kv_memory_limit() const {
  return parts_->engine->workspace().pool()->limit();
}

const Tokenizer& Model::tokenizer() const {
  std::call_once(parts_->once, [this] {
    parts_->tokenizer = Tokenizer(std::make_shared<const Tokenizer::Parts>(
        Tokenizer::Parts{std::shared_ptr<const tokenizer::Tokenizer>(
            parts_->engine, &parts_->engine->tokenizer())}));
  });
  return *parts_->tokenizer;
}

Scheme Model::Resolve(const Scheme& scheme, int64_t length) const {
  return Scheme(
      std::make_shared<const Scheme::Parts>(Scheme::Parts{position::Resolve(
          scheme.parts_->scheme, parts_->engine->positions(), length)}));
}

std::optional<std::string> Model::KnownToFail(const Scheme& scheme,
                                              int64_t length) const {
  return position::KnownToFail(Resolve(scheme, length).parts_->scheme,
                               parts_->engine->positions(), length);
}

std::string Model::ChangedLayers(const Scheme& scheme, int64_t length) const {
  return position::ChangedLayers(Resolve(scheme, length).parts_->scheme,
                                 parts_->engine->positions());
}

std::string Model::chat_form() const {
  return ChatTemplateOf(*parts_->engine).name();
}

std::string Model::RenderChat(std::span<const ChatMessage> messages) const {
  const engine::Conversation conversation = ConversationOf(messages);
  return ChatTemplateOf(*parts_->engine).RenderText(conversation);
}

std::vector<Token> Model::EncodeChat(
    std::span<const ChatMessage> messages) const {
  const engine::Conversation conversation = ConversationOf(messages);
  return ChatTemplateOf(*parts_->engine)
      .Encode(*tokenizer().parts_->tokenizer, conversation);
}

std::string Model::RenderChat(const ChatConversation& given) const {
  const engine::Conversation conversation = ConversationOf(given);
  return ChatTemplateOf(*parts_->engine).RenderText(conversation);
}

std::vector<Token> Model::EncodeChat(const ChatConversation& given) const {
  const engine::Conversation conversation = ConversationOf(given);
  return ChatTemplateOf(*parts_->engine)
      .Encode(*tokenizer().parts_->tokenizer, conversation);
}

std::vector<std::string> Model::MetadataKeys() const {
  std::vector<std::string> keys;
  for (const auto& entry :
       parts_->engine->model().file().metadata().entries()) {
    keys.push_back(entry.key);
  }
  return keys;
}

std::optional<std::string> Model::MetadataString(std::string_view key) const {
  return parts_->engine->model().file().metadata().FindString(key);
}

std::optional<int64_t> Model::MetadataInteger(std::string_view key) const {
  return parts_->engine->model().file().metadata().FindInt(key);
}

std::optional<double> Model::MetadataNumber(std::string_view key) const {
  return parts_->engine->model().file().metadata().FindFloat(key);
}

}  // namespace ropewalk
