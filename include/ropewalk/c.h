/* The C interface, in C99. The C++ headers say more of what each thing does.

   Conventions:

   Handles (ropewalk_model, ropewalk_session, ...) are opaque. Each *_destroy
   takes null. Handles keep alive what they need: a session outlives its
   ropewalk_model_destroy.

   Errors. A function that can fail takes `char** error` last. `*error` must be
   null, or a string from malloc, when it is called. On failure `*error` becomes
   a message from malloc, the string before is freed, and the function returns
   null, -1 or 0 as its comment says. On success `*error` is left as it was. So
   one variable serves a row of calls, and what is in it at the end is yours to
   free. `error` itself must not be null.

   Memory. Strings and arrays that a function returns as non-const pointers are
   yours; free them with ropewalk_free, messages too. Const pointers stay ours,
   for as long as their comment says. What you pass in is copied.

   Text is UTF-8 where it is text; functions that take a length take any bytes.
   Token ids are int32_t from 0.

   Callbacks return nonzero to go on and 0 to stop; they get your `context`
   unchanged. They must not throw or longjmp, nor use the session that calls
   them. No C++ exception leaves these functions.

   Threads are as in C++: handles of models from any thread, a session from one
   at a time, options from one at a time.

   Stable: this interface only grows. New options get new setters, new fields of
   ropewalk_generated_token stand behind the old ones. */

#ifndef ROPEWALK_C_H_
#define ROPEWALK_C_H_

#include <ropewalk/export.h>
#include <ropewalk/version.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ropewalk_model ropewalk_model;
typedef struct ropewalk_session ropewalk_session;
typedef struct ropewalk_memory ropewalk_memory;
typedef struct ropewalk_model_options ropewalk_model_options;
typedef struct ropewalk_session_options ropewalk_session_options;
typedef struct ropewalk_generate_options ropewalk_generate_options;

/* Of the library that runs: "0.1.0"; ours for ever. */
ROPEWALK_EXPORT const char* ropewalk_version(void);

/* Frees what this library returned; null is allowed. */
ROPEWALK_EXPORT void ropewalk_free(void* memory);

/* Routes failed internal checks, which otherwise print a line and abort. If
   `handler` returns the process is aborted. Null restores the default. */
typedef void (*ropewalk_check_handler)(const char* file, int line,
                                       const char* condition);
ROPEWALK_EXPORT void ropewalk_set_check_handler(ropewalk_check_handler handler);

/* Schemes ------------------------------------------------------------------ */

/* Number of position schemes, and of scheme `index` the name, a summary of one
   line and the source; null out of range, else ours for ever. */
ROPEWALK_EXPORT int32_t ropewalk_scheme_count(void);
ROPEWALK_EXPORT const char* ropewalk_scheme_name(int32_t index);
ROPEWALK_EXPORT const char* ropewalk_scheme_summary(int32_t index);
ROPEWALK_EXPORT const char* ropewalk_scheme_source(int32_t index);

/* `spelling` as it runs under `model` in a context of `length` tokens, every
   parameter given; "auto" becomes the scheme that is chosen. Null on failure.
 */
ROPEWALK_EXPORT char* ropewalk_scheme_resolve(const ropewalk_model* model,
                                              const char* spelling,
                                              int64_t length, char** error);

/* Models ------------------------------------------------------------------- */

ROPEWALK_EXPORT ropewalk_model_options* ropewalk_model_options_create(void);
ROPEWALK_EXPORT void ropewalk_model_options_destroy(
    ropewalk_model_options* options);
/* Tokens; 0, the default: as the file says. */
ROPEWALK_EXPORT void ropewalk_model_options_set_train_length(
    ropewalk_model_options* options, int64_t tokens);
/* 0, the default: one for each core. */
ROPEWALK_EXPORT void ropewalk_model_options_set_threads(
    ropewalk_model_options* options, int64_t threads);

/* Bytes of keys and values of all sessions; 0, the default: what memory is
   available. */
ROPEWALK_EXPORT void ropewalk_model_options_set_memory_limit(
    ropewalk_model_options* options, int64_t bytes);
/* Nonzero: weights of block types are multiplied in float32, not in integers
   with activations in 8 bits. */
ROPEWALK_EXPORT void ropewalk_model_options_set_exact(
    ropewalk_model_options* options, int exact);
/* Nonzero: the memory of the process is kept from being swapped out; loading
   fails where the system does not allow that. */
ROPEWALK_EXPORT void ropewalk_model_options_set_lock_memory(
    ropewalk_model_options* options, int lock);

/* Of a GGUF file. `options` may be null. Null on failure. */
ROPEWALK_EXPORT ropewalk_model* ropewalk_model_load(
    const char* path, const ropewalk_model_options* options, char** error);
ROPEWALK_EXPORT void ropewalk_model_destroy(ropewalk_model* model);

/* Live as long as the model. */
ROPEWALK_EXPORT const char* ropewalk_model_name(const ropewalk_model* model);
ROPEWALK_EXPORT const char* ropewalk_model_architecture(
    const ropewalk_model* model);
ROPEWALK_EXPORT int64_t ropewalk_model_layers(const ropewalk_model* model);
ROPEWALK_EXPORT int64_t
ropewalk_model_vocabulary_size(const ropewalk_model* model);
ROPEWALK_EXPORT int64_t
ropewalk_model_train_length(const ropewalk_model* model);
ROPEWALK_EXPORT int64_t
ropewalk_model_weight_bytes(const ropewalk_model* model);

/* Text and tokens ---------------------------------------------------------- */

enum {
  ROPEWALK_ENCODE_AS_FILE = 0, /* begin and end tokens as the file wants */
  ROPEWALK_ENCODE_PLAIN = 1,   /* no begin token in front, no end token */
  ROPEWALK_ENCODE_SPECIAL = 2  /* may be added: read control pieces too */
};

/* The ids of `bytes` bytes of `text`; their number in `*count`. Null on
   failure, and never for a text of no tokens. */
ROPEWALK_EXPORT int32_t* ropewalk_encode(const ropewalk_model* model,
                                         const char* text, size_t bytes,
                                         int flags, size_t* count,
                                         char** error);

/* The ids of one question in the chat form of the model; `system` may be null.
   As ropewalk_encode. */
ROPEWALK_EXPORT int32_t* ropewalk_encode_chat(const ropewalk_model* model,
                                              const char* system,
                                              const char* user, size_t* count,
                                              char** error);

/* The text of a whole sequence, with a 0 behind it; its bytes without that in
   `*bytes` (which may be null). Null on failure. */
ROPEWALK_EXPORT char* ropewalk_decode(const ropewalk_model* model,
                                      const int32_t* tokens, size_t count,
                                      size_t* bytes, char** error);

/* 1 where `token` ends a text, 0 where not, -1 on failure. */
ROPEWALK_EXPORT int ropewalk_is_end_of_text(const ropewalk_model* model,
                                            int32_t token, char** error);

/* Sessions ----------------------------------------------------------------- */

typedef enum ropewalk_kv_type {
  ROPEWALK_KV_F32 = 0,
  ROPEWALK_KV_F16 = 1,
  ROPEWALK_KV_BF16 = 2,
  ROPEWALK_KV_Q8_0 = 3,
  ROPEWALK_KV_Q4_0 = 4
} ropewalk_kv_type;

ROPEWALK_EXPORT ropewalk_session_options* ropewalk_session_options_create(void);
ROPEWALK_EXPORT void ropewalk_session_options_destroy(
    ropewalk_session_options* options);
/* Tokens; 0, the default: the trained length. */
ROPEWALK_EXPORT void ropewalk_session_options_set_context_length(
    ropewalk_session_options* options, int64_t tokens);
/* "auto" by default. Returns 1, or 0 on failure. */
ROPEWALK_EXPORT int ropewalk_session_options_set_scheme(
    ropewalk_session_options* options, const char* spelling, char** error);
ROPEWALK_EXPORT void ropewalk_session_options_set_kv_type(
    ropewalk_session_options* options, ropewalk_kv_type type);
/* Nonzero: run schemes that are known to give noise. 0 by default. */
ROPEWALK_EXPORT void ropewalk_session_options_set_allow_known_failure(
    ropewalk_session_options* options, int allow);

/* `options` may be null. Null on failure. */
ROPEWALK_EXPORT ropewalk_session* ropewalk_session_create(
    const ropewalk_model* model, const ropewalk_session_options* options,
    char** error);
ROPEWALK_EXPORT void ropewalk_session_destroy(ropewalk_session* session);

/* A session with the same text that shares keys and values until either changes
   them. Null on failure. */
ROPEWALK_EXPORT ropewalk_session* ropewalk_session_fork(
    const ropewalk_session* session, char** error);

ROPEWALK_EXPORT int64_t ropewalk_session_size(const ropewalk_session* session);
ROPEWALK_EXPORT int64_t
ropewalk_session_context_length(const ropewalk_session* session);
ROPEWALK_EXPORT int64_t
ropewalk_session_kv_bytes(const ropewalk_session* session);
/* What was read [ropewalk_session_size], until the next call that changes the
   session. */
ROPEWALK_EXPORT const int32_t* ropewalk_session_tokens(
    const ropewalk_session* session);
/* The scheme as it runs. Null on failure. */
ROPEWALK_EXPORT char* ropewalk_session_scheme(const ropewalk_session* session,
                                              char** error);

/* Tokens read so far in this call, and asked for. */
typedef int (*ropewalk_read_callback)(void* context, int64_t read, int64_t all);

/* Reads tokens behind what is there. `go_on` may be null. Returns how many were
   read: all, unless `go_on` said no; -1 on failure. */
ROPEWALK_EXPORT int64_t ropewalk_session_read(ropewalk_session* session,
                                              const int32_t* tokens,
                                              size_t count,
                                              ropewalk_read_callback go_on,
                                              void* context, char** error);

/* One pass for many sessions of one model: session i reads counts[i] tokens
   from tokens[i]. Returns 1, or 0 on failure, when none has read anything. */
ROPEWALK_EXPORT int ropewalk_read_many(ropewalk_session* const* sessions,
                                       const int32_t* const* tokens,
                                       const size_t* counts, size_t many,
                                       char** error);

/* Of what comes next [ropewalk_model_vocabulary_size], until the next call that
   changes the session. Null on failure: there is nothing to go on from. */
ROPEWALK_EXPORT const float* ropewalk_session_logits(ropewalk_session* session,
                                                     char** error);

/* Keeps the first `size` tokens; takes `count` out behind the first `keep`;
   goes on under another scheme. Return 1, or 0 on failure. */
ROPEWALK_EXPORT int ropewalk_session_trim(ropewalk_session* session,
                                          int64_t size, char** error);
ROPEWALK_EXPORT int ropewalk_session_shift(ropewalk_session* session,
                                           int64_t keep, int64_t count,
                                           char** error);
ROPEWALK_EXPORT int ropewalk_session_change_scheme(ropewalk_session* session,
                                                   const char* spelling,
                                                   char** error);

/* A file of tokens, keys and values. Returns 1, or 0 on failure. */
ROPEWALK_EXPORT int ropewalk_session_save(const ropewalk_session* session,
                                          const char* path, char** error);
/* Takes what the saved text has in common with the beginning of `tokens`, in
   place of what the session holds. Returns how many tokens that is, less than
   `count`; -1 on failure. */
ROPEWALK_EXPORT int64_t ropewalk_session_load(ropewalk_session* session,
                                              const char* path,
                                              const int32_t* tokens,
                                              size_t count, char** error);

/* Memories ----------------------------------------------------------------- */

/* Reads a document, ids without a begin token, and writes its memory to `path`:
   a file of keys and values that any text of the model may attend to. `name`
   and `source` are UTF-8. `part` is the number of tokens read together (0:
   2048, or the trained length if that is less), `overlap` how many of them
   repeat the part before. `go_on` may be null; if it says no, there is no file,
   and the call fails without a message. Returns 1, or 0 on failure. */
ROPEWALK_EXPORT int ropewalk_remember(const ropewalk_model* model,
                                      const int32_t* tokens, size_t count,
                                      const char* path, const char* name,
                                      const char* source, int64_t part,
                                      int64_t overlap, ropewalk_kv_type type,
                                      ropewalk_read_callback go_on,
                                      void* context, char** error);

/* Null on failure: the file is damaged, no memory, or of another model. */
ROPEWALK_EXPORT ropewalk_memory* ropewalk_memory_open(
    const ropewalk_model* model, const char* path, char** error);
ROPEWALK_EXPORT void ropewalk_memory_destroy(ropewalk_memory* memory);

/* Lives as long as the memory. */
ROPEWALK_EXPORT const char* ropewalk_memory_name(const ropewalk_memory* memory);
/* Tokens of the document; bytes of keys and values. */
ROPEWALK_EXPORT int64_t ropewalk_memory_size(const ropewalk_memory* memory);
ROPEWALK_EXPORT int64_t ropewalk_memory_bytes(const ropewalk_memory* memory);

/* Lets a session that has read nothing attend to memories under a law: "far",
   "place" or "order", with keys as in "far:distance=1280"; null is "far". They
   may be destroyed afterwards. Returns 1, or 0 on failure. */
ROPEWALK_EXPORT int ropewalk_session_attach(
    ropewalk_session* session, const ropewalk_memory* const* memories,
    size_t count, const char* law, char** error);

/* Generation --------------------------------------------------------------- */

ROPEWALK_EXPORT ropewalk_generate_options* ropewalk_generate_options_create(
    void);
ROPEWALK_EXPORT void ropewalk_generate_options_destroy(
    ropewalk_generate_options* options);
ROPEWALK_EXPORT void ropewalk_generate_options_set_max_tokens(
    ropewalk_generate_options* options, int64_t tokens);
ROPEWALK_EXPORT void ropewalk_generate_options_set_temperature(
    ropewalk_generate_options* options, double temperature);
ROPEWALK_EXPORT void ropewalk_generate_options_set_top_k(
    ropewalk_generate_options* options, int64_t tokens);
ROPEWALK_EXPORT void ropewalk_generate_options_set_top_p(
    ropewalk_generate_options* options, double probability);
ROPEWALK_EXPORT void ropewalk_generate_options_set_min_p(
    ropewalk_generate_options* options, double share);
ROPEWALK_EXPORT void ropewalk_generate_options_set_seed(
    ropewalk_generate_options* options, uint64_t seed);
ROPEWALK_EXPORT void ropewalk_generate_options_set_typical_p(
    ropewalk_generate_options* options, double probability);
/* Added to the logit of `token`; -INFINITY bans it. */
ROPEWALK_EXPORT void ropewalk_generate_options_set_logit_bias(
    ropewalk_generate_options* options, int32_t token, double bias);
/* Penalties on the tokens among the last `last` (-1: all): 1, 0, 0 and 64 by
   default. */
ROPEWALK_EXPORT void ropewalk_generate_options_set_penalties(
    ropewalk_generate_options* options, double repetition, double frequency,
    double presence, int64_t last);
/* 0 (off), 1.75, 2 and -1 (all) by default. */
ROPEWALK_EXPORT void ropewalk_generate_options_set_dry(
    ropewalk_generate_options* options, double multiplier, double base,
    int64_t allowed_length, int64_t last);
/* One more text that ends generation. */
ROPEWALK_EXPORT void ropewalk_generate_options_add_stop(
    ropewalk_generate_options* options, const char* text);
/* Write only texts of a grammar in GBNF, or JSON that a schema allows; null or
   empty: none. At most one of them; what is wrong with it is told by
   ropewalk_session_generate. */
ROPEWALK_EXPORT void ropewalk_generate_options_set_grammar(
    ropewalk_generate_options* options, const char* gbnf);
ROPEWALK_EXPORT void ropewalk_generate_options_set_json_schema(
    ropewalk_generate_options* options, const char* schema);
/* Report log probabilities: of the token, and of so many of the likeliest; -1,
   the default: none. */
ROPEWALK_EXPORT void ropewalk_generate_options_set_log_probabilities(
    ropewalk_generate_options* options, int64_t count);
ROPEWALK_EXPORT void ropewalk_generate_options_set_ignore_end_of_text(
    ropewalk_generate_options* options, int ignore);
/* Make room in a full context: nonzero `shift` takes tokens out behind the
   first `keep`. */
ROPEWALK_EXPORT void ropewalk_generate_options_set_shift(
    ropewalk_generate_options* options, int shift, int64_t keep);

typedef struct ropewalk_generated_token {
  int32_t id;
  /* What can be shown now, often empty, with a 0 behind it. */
  const char* text;
  size_t text_bytes;
  /* Where they were asked for: of `id`, and of the likeliest tokens
     [likely_count], the likeliest first. */
  double log_probability;
  const int32_t* likely_ids;
  const double* likely_log_probabilities;
  size_t likely_count;
} ropewalk_generated_token;

/* What `token` points to lives as long as the call. */
typedef int (*ropewalk_token_callback)(void* context,
                                       const ropewalk_generated_token* token);

typedef enum ropewalk_stop_reason {
  ROPEWALK_STOP_END_OF_TEXT = 0,
  ROPEWALK_STOP_TOKEN_LIMIT = 1,
  ROPEWALK_STOP_CONTEXT_FULL = 2,
  ROPEWALK_STOP_CALLER = 3,
  ROPEWALK_STOP_TEXT = 4
} ropewalk_stop_reason;

/* Draws tokens after what was read. `options` and `on_token` may be null, and
   so may `reason`, which gets a ropewalk_stop_reason. Returns the tokens drawn,
   -1 on failure. */
ROPEWALK_EXPORT int64_t ropewalk_session_generate(
    ropewalk_session* session, const ropewalk_generate_options* options,
    ropewalk_token_callback on_token, void* context,
    ropewalk_stop_reason* reason, char** error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ROPEWALK_C_H_ */
