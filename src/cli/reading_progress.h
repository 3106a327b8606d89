// The progress of reading a text. Later tokens cost more, as they look back at
// more, so the time left is estimated by work and not by tokens.

#ifndef ROPEWALK_CLI_READING_PROGRESS_H_
#define ROPEWALK_CLI_READING_PROGRESS_H_

#include <cstdint>
#include <string>

#include "base/progress.h"
#include "engine/engine.h"
#include "evaluate/model_scorer.h"
#include "position/plan.h"

namespace ropewalk::cli {

class ReadingProgress {
 public:
  // `total` tokens will be read under `scheme`, the first of them at `first`;
  // of several texts, one after another, as if all began there.
  ReadingProgress(const std::string& label, engine::Engine& engine,
                  const engine::ResolvedScheme& scheme, int64_t first,
                  int64_t total)
      : scorer_(engine),
        stack_(position::BuildStack(scheme.scheme, engine.positions(),
                                    scheme.length, scorer_.layers())),
        at_(first),
        progress_(label, scorer_.Work(stack_, first, total), "tokens") {}

  void Add(int64_t read) {
    progress_.Add(read, scorer_.Work(stack_, at_, read));
    at_ += read;
  }
  void Clear() { progress_.Clear(); }

 private:
  evaluate::ModelScorer scorer_;
  position::Stack stack_;
  int64_t at_;
  Progress progress_;
};

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_READING_PROGRESS_H_
