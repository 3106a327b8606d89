/* The C interface: read a text, write on, and try another ending.

     generate_c MODEL.gguf 'Once upon a time' [SCHEME]

     cc generate.c $(pkg-config --cflags --libs ropewalk) */

#include <ropewalk/c.h>
#include <stdio.h>
#include <string.h>

/* Returns whether to go on. */
static int Show(void* context, const ropewalk_generated_token* token) {
  fwrite(token->text, 1, token->text_bytes, (FILE*)context);
  return fflush((FILE*)context) == 0;
}

/* Writes on after what `session` has read; 0 where that failed. */
static int WriteOn(ropewalk_session* session, uint64_t seed, char** error) {
  ropewalk_generate_options* options = ropewalk_generate_options_create();
  int64_t tokens;
  ropewalk_generate_options_set_max_tokens(options, 100);
  ropewalk_generate_options_set_seed(options, seed);
  tokens =
      ropewalk_session_generate(session, options, Show, stdout, NULL, error);
  printf("\n");
  ropewalk_generate_options_destroy(options);
  return tokens >= 0;
}

/* 0 where something failed. Each step is tried only if those before it
   succeeded; what was not made is null, which destroy and free take. */
static int Tell(const char* path, const char* text, const char* scheme,
                char** error) {
  size_t count = 0;
  int32_t* prompt = NULL;
  ropewalk_session* session = NULL;
  ropewalk_session* fork = NULL;
  ropewalk_session_options* options = ropewalk_session_options_create();
  ropewalk_model* model = ropewalk_model_load(path, NULL, error);
  int done =
      model != NULL &&
      ropewalk_session_options_set_scheme(options, scheme, error) &&
      (session = ropewalk_session_create(model, options, error)) != NULL &&
      (prompt = ropewalk_encode(model, text, strlen(text),
                                ROPEWALK_ENCODE_AS_FILE, &count, error)) !=
          NULL &&
      ropewalk_session_read(session, prompt, count, NULL, NULL, error) >= 0 &&
      /* Two endings of a text that was read once. */
      (fork = ropewalk_session_fork(session, error)) != NULL &&
      WriteOn(session, 1, error) && WriteOn(fork, 2, error);
  ropewalk_free(prompt);
  ropewalk_session_destroy(fork);
  ropewalk_session_destroy(session);
  ropewalk_session_options_destroy(options);
  ropewalk_model_destroy(model);
  return done;
}

int main(int argc, char** argv) {
  char* error = NULL;
  if (argc < 3) {
    fprintf(stderr, "usage: %s MODEL.gguf TEXT [SCHEME]\n", argv[0]);
    return 2;
  }
  if (!Tell(argv[1], argv[2], argc > 3 ? argv[3] : "auto", &error)) {
    fprintf(stderr, "%s\n", error);
    ropewalk_free(error);
    return 1;
  }
  return 0;
}
