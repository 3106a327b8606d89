// Counters that monitoring reads.

#ifndef ROPEWALK_SERVE_METRICS_H_
#define ROPEWALK_SERVE_METRICS_H_

#include <atomic>
#include <cstdint>
#include <string>

namespace ropewalk::serve {

// Any thread.
struct Metrics {
  std::atomic<int64_t> requests = 0;
  std::atomic<int64_t> refused = 0;    // answered with 4xx
  std::atomic<int64_t> failed = 0;     // answered with 5xx
  std::atomic<int64_t> cancelled = 0;  // the client went away
  std::atomic<int64_t> prompt_tokens = 0;
  std::atomic<int64_t> reused_tokens = 0;
  std::atomic<int64_t> generated_tokens = 0;
  std::atomic<int64_t> passes = 0;
  std::atomic<int64_t> active = 0;
  std::atomic<int64_t> waiting = 0;
  std::atomic<int64_t> stored_texts = 0;
  std::atomic<int64_t> kv_bytes = 0;
  std::atomic<int64_t> kv_limit = 0;

  // In the text format of Prometheus.
  std::string ToText() const;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_METRICS_H_
