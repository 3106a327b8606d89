// The C interface: sessions and generation.

#include <algorithm>
#include <new>
#include <vector>

#include "api/c_parts.h"

using ropewalk::c::Guard;
using ropewalk::c::SpanOf;

static_assert(static_cast<int>(ropewalk::KvType::kF32) == ROPEWALK_KV_F32);
static_assert(static_cast<int>(ropewalk::KvType::kF16) == ROPEWALK_KV_F16);
static_assert(static_cast<int>(ropewalk::KvType::kBF16) == ROPEWALK_KV_BF16);
static_assert(static_cast<int>(ropewalk::KvType::kQ8_0) == ROPEWALK_KV_Q8_0);
static_assert(static_cast<int>(ropewalk::KvType::kQ4_0) == ROPEWALK_KV_Q4_0);

namespace {

ropewalk_stop_reason ReasonOf(ropewalk::StopReason reason) {
  switch (reason) {
    case ropewalk::StopReason::kEndOfText:
      return ROPEWALK_STOP_END_OF_TEXT;
    case ropewalk::StopReason::kTokenLimit:
      return ROPEWALK_STOP_TOKEN_LIMIT;
    case ropewalk::StopReason::kContextFull:
      return ROPEWALK_STOP_CONTEXT_FULL;
    case ropewalk::StopReason::kStopText:
      return ROPEWALK_STOP_TEXT;
    case ropewalk::StopReason::kCaller:
      return ROPEWALK_STOP_CALLER;
  }
  return ROPEWALK_STOP_CALLER;
}

// 1 once `work` is done, 0 with a message where it throws.
template <typename Work>
int Succeeds(char** error, const Work& work) {
  return Guard<int>(error, 0, [&] {
    work();
    return 1;
  });
}

}  // namespace

ropewalk_session_options* ropewalk_session_options_create(void) {
  try {
    return new ropewalk_session_options;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void ropewalk_session_options_destroy(ropewalk_session_options* options) {
  delete options;
}

void ropewalk_session_options_set_context_length(
    ropewalk_session_options* options, int64_t tokens) {
  options->options.context_length = tokens;
}

int ropewalk_session_options_set_scheme(ropewalk_session_options* options,
                                        const char* spelling, char** error) {
  return Succeeds(error, [&] {
    options->options.scheme = ropewalk::Scheme::Parse(spelling);
  });
}

void ropewalk_session_options_set_kv_type(ropewalk_session_options* options,
                                          ropewalk_kv_type type) {
  options->options.kv_type = static_cast<ropewalk::KvType>(type);
}

void ropewalk_session_options_set_allow_known_failure(
    ropewalk_session_options* options, int allow) {
  options->options.allow_known_failure = allow != 0;
}

ropewalk_session* ropewalk_session_create(
    const ropewalk_model* model, const ropewalk_session_options* options,
    char** error) {
  return Guard<ropewalk_session*>(error, nullptr, [&] {
    return new ropewalk_session{ropewalk::Session(
        model->model,
        options == nullptr ? ropewalk::SessionOptions{} : options->options)};
  });
}

void ropewalk_session_destroy(ropewalk_session* session) { delete session; }

ropewalk_session* ropewalk_session_fork(const ropewalk_session* session,
                                        char** error) {
  return Guard<ropewalk_session*>(error, nullptr, [&] {
    return new ropewalk_session{session->session.Fork()};
  });
}

int64_t ropewalk_session_size(const ropewalk_session* session) {
  return session->session.size();
}

int64_t ropewalk_session_context_length(const ropewalk_session* session) {
  return session->session.context_length();
}

int64_t ropewalk_session_kv_bytes(const ropewalk_session* session) {
  return session->session.kv_bytes();
}

const int32_t* ropewalk_session_tokens(const ropewalk_session* session) {
  return session->session.tokens().data();
}

char* ropewalk_session_scheme(const ropewalk_session* session, char** error) {
  return Guard<char*>(error, nullptr, [&] {
    return ropewalk::c::CopyText(session->session.scheme().ToString());
  });
}

int64_t ropewalk_session_read(ropewalk_session* session, const int32_t* tokens,
                              size_t count, ropewalk_read_callback go_on,
                              void* context, char** error) {
  return Guard<int64_t>(error, -1, [&] {
    ropewalk::ReadCallback callback;
    if (go_on != nullptr) {
      callback = [&](int64_t read, int64_t all) {
        return go_on(context, read, all) != 0;
      };
    }
    return session->session.Read(SpanOf(tokens, count), callback);
  });
}

int ropewalk_read_many(ropewalk_session* const* sessions,
                       const int32_t* const* tokens, const size_t* counts,
                       size_t many, char** error) {
  return Succeeds(error, [&] {
    std::vector<ropewalk::Slice> slices(many);
    for (size_t i = 0; i < many; ++i) {
      slices[i] = {&sessions[i]->session, SpanOf(tokens[i], counts[i])};
    }
    ropewalk::Read(slices);
  });
}

const float* ropewalk_session_logits(ropewalk_session* session, char** error) {
  return Guard<const float*>(error, nullptr,
                             [&] { return session->session.Logits().data(); });
}

int ropewalk_session_trim(ropewalk_session* session, int64_t size,
                          char** error) {
  return Succeeds(error, [&] { session->session.Trim(size); });
}

int ropewalk_session_shift(ropewalk_session* session, int64_t keep,
                           int64_t count, char** error) {
  return Succeeds(error, [&] { session->session.Shift(keep, count); });
}

int ropewalk_session_change_scheme(ropewalk_session* session,
                                   const char* spelling, char** error) {
  return Succeeds(error, [&] {
    session->session.ChangeScheme(ropewalk::Scheme::Parse(spelling));
  });
}

int ropewalk_session_save(const ropewalk_session* session, const char* path,
                          char** error) {
  return Succeeds(error, [&] { session->session.SaveCache(path); });
}

int64_t ropewalk_session_load(ropewalk_session* session, const char* path,
                              const int32_t* tokens, size_t count,
                              char** error) {
  return Guard<int64_t>(error, -1, [&] {
    return session->session.LoadCache(path, SpanOf(tokens, count));
  });
}

ropewalk_generate_options* ropewalk_generate_options_create(void) {
  return new (std::nothrow) ropewalk_generate_options;
}

void ropewalk_generate_options_destroy(ropewalk_generate_options* options) {
  delete options;
}

void ropewalk_generate_options_set_max_tokens(
    ropewalk_generate_options* options, int64_t tokens) {
  options->options.max_tokens = tokens;
}

void ropewalk_generate_options_set_temperature(
    ropewalk_generate_options* options, double temperature) {
  options->options.sampling.temperature = temperature;
}

void ropewalk_generate_options_set_top_k(ropewalk_generate_options* options,
                                         int64_t tokens) {
  options->options.sampling.top_k = tokens;
}

void ropewalk_generate_options_set_top_p(ropewalk_generate_options* options,
                                         double probability) {
  options->options.sampling.top_p = probability;
}

void ropewalk_generate_options_set_min_p(ropewalk_generate_options* options,
                                         double share) {
  options->options.sampling.min_p = share;
}

void ropewalk_generate_options_set_seed(ropewalk_generate_options* options,
                                        uint64_t seed) {
  options->options.sampling.seed = seed;
}

void ropewalk_generate_options_set_typical_p(ropewalk_generate_options* options,
                                             double probability) {
  options->options.sampling.typical_p = probability;
}

void ropewalk_generate_options_set_logit_bias(
    ropewalk_generate_options* options, int32_t token, double bias) {
  options->options.sampling.logit_bias[token] = bias;
}

void ropewalk_generate_options_set_penalties(ropewalk_generate_options* options,
                                             double repetition,
                                             double frequency, double presence,
                                             int64_t last) {
  ropewalk::SampleOptions& sampling = options->options.sampling;
  sampling.repetition_penalty = repetition;
  sampling.frequency_penalty = frequency;
  sampling.presence_penalty = presence;
  sampling.penalty_last = last;
}

void ropewalk_generate_options_set_dry(ropewalk_generate_options* options,
                                       double multiplier, double base,
                                       int64_t allowed_length, int64_t last) {
  ropewalk::SampleOptions& sampling = options->options.sampling;
  sampling.dry_multiplier = multiplier;
  sampling.dry_base = base;
  sampling.dry_allowed_length = allowed_length;
  sampling.dry_last = last;
}

void ropewalk_generate_options_add_stop(ropewalk_generate_options* options,
                                        const char* text) {
  options->options.stops.emplace_back(text);
}

void ropewalk_generate_options_set_grammar(ropewalk_generate_options* options,
                                           const char* gbnf) {
  options->options.grammar = gbnf == nullptr ? "" : gbnf;
}

void ropewalk_generate_options_set_json_schema(
    ropewalk_generate_options* options, const char* schema) {
  options->options.json_schema = schema == nullptr ? "" : schema;
}

void ropewalk_generate_options_set_log_probabilities(
    ropewalk_generate_options* options, int64_t count) {
  if (count < 0) {
    options->options.log_probabilities.reset();
  } else {
    options->options.log_probabilities = count;
  }
}

void ropewalk_generate_options_set_ignore_end_of_text(
    ropewalk_generate_options* options, int ignore) {
  options->options.ignore_end_of_text = ignore != 0;
}

void ropewalk_generate_options_set_shift(ropewalk_generate_options* options,
                                         int shift, int64_t keep) {
  options->options.shift = shift != 0;
  options->options.keep = keep;
}

int64_t ropewalk_session_generate(ropewalk_session* session,
                                  const ropewalk_generate_options* options,
                                  ropewalk_token_callback on_token,
                                  void* context, ropewalk_stop_reason* reason,
                                  char** error) {
  return Guard<int64_t>(error, -1, [&] {
    ropewalk::TokenCallback callback;
    if (on_token != nullptr) {
      callback = [&](const ropewalk::GeneratedToken& token) {
        const std::string text(token.text);
        std::vector<int32_t> ids;
        std::vector<double> log_probabilities;
        for (const ropewalk::TokenLogProbability& likely : token.most_likely) {
          ids.push_back(likely.id);
          log_probabilities.push_back(likely.log_probability);
        }
        const ropewalk_generated_token given = {
            token.id,    text.c_str(),
            text.size(), token.log_probability,
            ids.data(),  log_probabilities.data(),
            ids.size()};
        return on_token(context, &given) != 0;
      };
    }
    const ropewalk::GenerateResult result = session->session.Generate(
        options == nullptr ? ropewalk::GenerateOptions{} : options->options,
        callback);
    if (reason != nullptr) *reason = ReasonOf(result.reason);
    return result.tokens;
  });
}
