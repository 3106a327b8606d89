// What the worker tells about an answer while it comes about.

#ifndef ROPEWALK_SERVE_EVENT_H_
#define ROPEWALK_SERVE_EVENT_H_

#include <ropewalk/session.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace ropewalk::serve {

struct Band {
  std::string label;
  int64_t tokens = 0;  // keys that the last token sees there
};

// The prompt is being read, or the text has grown.
struct Progress {
  int64_t prompt = 0;            // tokens
  int64_t read = 0;              // of them, reused ones included
  int64_t reused = 0;            // of an earlier text
  std::vector<Band> bands = {};  // empty: as told before
};

struct Piece {
  Token id = 0;
  std::string text;  // whole characters; may be empty
  double log_probability = 0;
  std::vector<TokenLogProbability> most_likely;
};

// The end of an answer.
struct End {
  StopReason reason = StopReason::kEndOfText;
  std::string stop;  // for kStopText: which
  std::string rest;  // text that was held back until now
  int64_t prompt_tokens = 0;
  int64_t reused_tokens = 0;
  int64_t shifted_tokens = 0;
  int64_t generated_tokens = 0;
  double prompt_ms = 0;
  double generate_ms = 0;
  std::string position;  // as asked
  std::string scheme;    // as it ran
  int64_t context = 0;
  int64_t trained_length = 0;
  int64_t extended_from = 0;  // the context it had before; 0: none
  std::vector<std::string> memories;
  std::vector<Band> bands;
};

struct Failure {
  int status = 500;
  std::string message;
  std::string param;
  std::string code;
};

struct Event {
  int64_t choice = 0;  // which of the answers of a request
  std::variant<Progress, Piece, End, Failure> what;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_EVENT_H_
