// The C interface: versions, schemes, models, text and tokens.

#include <ropewalk/error.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <vector>

#include "api/c_parts.h"

namespace ropewalk::c {

void SetError(char** error, const char* message) {
  std::free(*error);
  *error = strdup(message);
}

char* CopyText(std::string_view text) {
  auto* copy = static_cast<char*>(std::malloc(text.size() + 1));
  if (copy == nullptr) throw std::bad_alloc();
  std::copy(text.begin(), text.end(), copy);
  copy[text.size()] = '\0';
  return copy;
}

int32_t* CopyTokens(std::span<const int32_t> tokens) {
  auto* copy = static_cast<int32_t*>(
      std::malloc(std::max<size_t>(1, tokens.size_bytes())));
  if (copy == nullptr) throw std::bad_alloc();
  std::copy(tokens.begin(), tokens.end(), copy);
  return copy;
}

namespace {

// Strings that live as long as the process.
const SchemeInfo* SchemeAt(int32_t index) {
  static const std::vector<SchemeInfo>* const kSchemes =
      new std::vector<SchemeInfo>(ListSchemes());
  if (index < 0 || static_cast<size_t>(index) >= kSchemes->size()) {
    return nullptr;
  }
  return &(*kSchemes)[static_cast<size_t>(index)];
}

int32_t* Answer(const std::vector<Token>& tokens, size_t* count) {
  int32_t* copy = CopyTokens(tokens);
  *count = tokens.size();
  return copy;
}

}  // namespace
}  // namespace ropewalk::c

using ropewalk::c::Guard;

const char* ropewalk_version(void) { return ropewalk::Version(); }

void ropewalk_free(void* memory) { std::free(memory); }

void ropewalk_set_check_handler(ropewalk_check_handler handler) {
  ropewalk::SetCheckFailureHandler(handler);
}

int32_t ropewalk_scheme_count(void) {
  int32_t count = 0;
  while (ropewalk::c::SchemeAt(count) != nullptr) ++count;
  return count;
}

const char* ropewalk_scheme_name(int32_t index) {
  const ropewalk::SchemeInfo* scheme = ropewalk::c::SchemeAt(index);
  return scheme == nullptr ? nullptr : scheme->name.c_str();
}

const char* ropewalk_scheme_summary(int32_t index) {
  const ropewalk::SchemeInfo* scheme = ropewalk::c::SchemeAt(index);
  return scheme == nullptr ? nullptr : scheme->summary.c_str();
}

const char* ropewalk_scheme_source(int32_t index) {
  const ropewalk::SchemeInfo* scheme = ropewalk::c::SchemeAt(index);
  return scheme == nullptr ? nullptr : scheme->source.c_str();
}

char* ropewalk_scheme_resolve(const ropewalk_model* model, const char* spelling,
                              int64_t length, char** error) {
  return Guard<char*>(error, nullptr, [&] {
    return ropewalk::c::CopyText(
        model->model.Resolve(ropewalk::Scheme::Parse(spelling), length)
            .ToString());
  });
}

ropewalk_model_options* ropewalk_model_options_create(void) {
  return new (std::nothrow) ropewalk_model_options;
}

void ropewalk_model_options_destroy(ropewalk_model_options* options) {
  delete options;
}

void ropewalk_model_options_set_train_length(ropewalk_model_options* options,
                                             int64_t tokens) {
  options->options.train_length = tokens;
}

void ropewalk_model_options_set_threads(ropewalk_model_options* options,
                                        int64_t threads) {
  options->options.threads = threads;
}

void ropewalk_model_options_set_memory_limit(ropewalk_model_options* options,
                                             int64_t bytes) {
  options->options.memory_limit = bytes;
}

void ropewalk_model_options_set_exact(ropewalk_model_options* options,
                                      int exact) {
  options->options.exact = exact != 0;
}

void ropewalk_model_options_set_lock_memory(ropewalk_model_options* options,
                                            int lock) {
  options->options.lock_memory = lock != 0;
}

ropewalk_model* ropewalk_model_load(const char* path,
                                    const ropewalk_model_options* options,
                                    char** error) {
  return Guard<ropewalk_model*>(error, nullptr, [&] {
    ropewalk::Model model = ropewalk::Model::Load(
        path, options == nullptr ? ropewalk::ModelOptions{} : options->options);
    std::string name = model.name();
    std::string architecture = model.architecture();
    return new ropewalk_model{std::move(model), std::move(name),
                              std::move(architecture)};
  });
}

void ropewalk_model_destroy(ropewalk_model* model) { delete model; }

const char* ropewalk_model_name(const ropewalk_model* model) {
  return model->name.c_str();
}

const char* ropewalk_model_architecture(const ropewalk_model* model) {
  return model->architecture.c_str();
}

int64_t ropewalk_model_layers(const ropewalk_model* model) {
  return model->model.layers();
}

int64_t ropewalk_model_vocabulary_size(const ropewalk_model* model) {
  return model->model.vocabulary_size();
}

int64_t ropewalk_model_train_length(const ropewalk_model* model) {
  return model->model.train_length();
}

int64_t ropewalk_model_weight_bytes(const ropewalk_model* model) {
  return model->model.weight_bytes();
}

int32_t* ropewalk_encode(const ropewalk_model* model, const char* text,
                         size_t bytes, int flags, size_t* count, char** error) {
  return Guard<int32_t*>(error, nullptr, [&] {
    ropewalk::EncodeOptions options;
    if ((flags & ROPEWALK_ENCODE_PLAIN) != 0) {
      options.add_bos = false;
      options.add_eos = false;
    }
    options.special = (flags & ROPEWALK_ENCODE_SPECIAL) != 0;
    return ropewalk::c::Answer(
        model->model.tokenizer().Encode({text, bytes}, options), count);
  });
}

int32_t* ropewalk_encode_chat(const ropewalk_model* model, const char* system,
                              const char* user, size_t* count, char** error) {
  return Guard<int32_t*>(error, nullptr, [&] {
    std::vector<ropewalk::ChatMessage> messages;
    if (system != nullptr) messages.push_back({"system", system});
    messages.push_back({"user", user});
    return ropewalk::c::Answer(model->model.EncodeChat(messages), count);
  });
}

char* ropewalk_decode(const ropewalk_model* model, const int32_t* tokens,
                      size_t count, size_t* bytes, char** error) {
  return Guard<char*>(error, nullptr, [&] {
    const std::string text =
        model->model.tokenizer().Decode(ropewalk::c::SpanOf(tokens, count));
    char* copy = ropewalk::c::CopyText(text);
    if (bytes != nullptr) *bytes = text.size();
    return copy;
  });
}

int ropewalk_is_end_of_text(const ropewalk_model* model, int32_t token,
                            char** error) {
  return Guard<int>(error, -1, [&] {
    return model->model.tokenizer().IsEndOfText(token) ? 1 : 0;
  });
}
