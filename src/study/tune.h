// A search for the position scheme that serves one model best past its length.
//
// The family: true distances within a window, and beyond it one distance or a
// slowly growing one (rerope and leaky-rerope with far=), with log n or
// without, and layer by layer either that or a window with its first tokens
// (sink-window), which sees nothing beyond. Each candidate reads the same texts
// once (evaluate/reading.h). It is judged by
//
//   text loss + weight x finding loss
//
// where finding is the mean of the loss of the passage that comes back and of
// the hidden numbers: a window reads novels well and finds nothing.

#ifndef ROPEWALK_STUDY_TUNE_H_
#define ROPEWALK_STUDY_TUNE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "evaluate/documents.h"

namespace ropewalk::study {

inline constexpr int64_t kStretch = 64;

struct Candidate {
  std::string name;                 // "rerope:window=7168,far=2048"
  std::vector<std::string> layers;  // a spelling each

  bool operator==(const Candidate& other) const {
    return layers == other.layers;
  }
};

struct Trial {
  Candidate candidate;
  double loss = 0;  // nats a target of the text
  // The means of stretches of kStretch targets, in the order of the texts, so
  // that two candidates can be compared stretch by stretch.
  std::vector<double> stretches;
  double passage_loss = 0;
  double passage_accuracy = 0;  // in [0, 1]
  // Not set for a model too short to be asked for numbers.
  std::optional<double> needle_loss;
  std::optional<double> needle_accuracy;
  double seconds = 0;

  double Finding() const {
    return needle_loss ? (passage_loss + *needle_loss) / 2 : passage_loss;
  }
  double Cost(double weight) const { return loss + weight * Finding(); }
};

// Reads everything under a candidate. May throw to stop the search.
using Try = std::function<Trial(const Candidate&)>;

struct SearchOptions {
  int64_t N = 0;             // trained length
  int64_t length = 0;        // that is read
  std::vector<bool> acts;    // by layer: whether a scheme changes it
  double weight = 0.1;       // of finding
  double seconds = 20 * 60;  // no trial begins that would end later
};

struct SearchResult {
  std::vector<Trial> trials;  // in the order in which they were made
  size_t best = 0;
};

// By turns: the window, where far distances begin, how they grow, log n, and
// then which layers need to see far, in halves of halves. Each step keeps what
// is best so far. `clock` gives the seconds since the search began.
void Search(const SearchOptions& options, const Try& attempt,
            const std::function<double()>& clock, SearchResult& result);

// As @FILE.toml reads it, with what was measured as a comment.
std::string StackFile(const Trial& trial, const std::string& about);

struct TuneOptions {
  int64_t length = 0;
  DType kv_type = DType::kF16;
  std::function<void(int64_t tokens)> on_tokens = [](int64_t) {};
};

// Reads each text at the length under the candidate and gives the means.
Trial Measure(engine::Engine& engine,
              const std::vector<evaluate::Document>& texts,
              const TuneOptions& options, const Candidate& candidate);

// A spelling for every layer of `acts` that a scheme changes; the others stay
// as the model has them.
Candidate Uniform(const std::string& spelling, const std::vector<bool>& acts);

// By layer: whether a scheme changes it.
std::vector<bool> LayersThatAct(engine::Engine& engine, int64_t length);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_TUNE_H_
