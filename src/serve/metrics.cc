#include "serve/metrics.h"

namespace ropewalk::serve {

std::string Metrics::ToText() const {
  std::string text;
  const auto add = [&](const char* name, const char* type, const char* help,
                       const std::atomic<int64_t>& value) {
    text += std::string("# HELP ropewalk_") + name + " " + help + "\n";
    text += std::string("# TYPE ropewalk_") + name + " " + type + "\n";
    text += std::string("ropewalk_") + name + " " +
            std::to_string(value.load()) + "\n";
  };
  add("requests_total", "counter", "Requests to generate.", requests);
  add("requests_refused_total", "counter", "Answered with 4xx.", refused);
  add("requests_failed_total", "counter", "Answered with 5xx.", failed);
  add("requests_cancelled_total", "counter", "Left by their client.",
      cancelled);
  add("prompt_tokens_total", "counter", "Tokens of prompts, reused ones too.",
      prompt_tokens);
  add("reused_tokens_total", "counter",
      "Tokens of prompts that were not read again.", reused_tokens);
  add("generated_tokens_total", "counter", "Tokens written.", generated_tokens);
  add("passes_total", "counter", "Passes through the model.", passes);
  add("active_answers", "gauge", "Answers being read for or written.", active);
  add("waiting_answers", "gauge", "Answers in the queue.", waiting);
  add("stored_texts", "gauge", "Texts kept for reuse.", stored_texts);
  add("kv_bytes", "gauge", "Bytes of keys and values.", kv_bytes);
  add("kv_limit_bytes", "gauge", "The most bytes of keys and values.",
      kv_limit);
  return text;
}

}  // namespace ropewalk::serve
