#include "study/tune.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "evaluate/reading.h"
#include "evaluate/statistics.h"
#include "position/scheme.h"

namespace ropewalk::study {
namespace {

constexpr const char* kNear = "sink-window";

// One member of the family, for all layers that see far.
struct Law {
  int64_t window = 0;
  int64_t far = 0;
  int64_t k = 0;  // 0: one distance for all far keys
  bool logn = false;

  std::string Spelling() const {
    std::string text = k == 0 ? "rerope" : "leaky-rerope";
    text += ":window=" + std::to_string(window);
    if (k != 0) text += ",k=" + std::to_string(k);
    if (far != window) text += ",far=" + std::to_string(far);
    return text + (logn ? "+logn-clip" : "");
  }
};

class Searcher {
 public:
  Searcher(const SearchOptions& options, const Try& attempt,
           const std::function<double()>& clock, SearchResult& result)
      : options_(options), attempt_(attempt), clock_(clock), result_(result) {}

  void Run() {
    const int64_t N = options_.N;
    Consider(Uniform(kNear));
    Law best{.window = std::max<int64_t>(1, N / 2),
             .far = std::max<int64_t>(1, N / 2)};
    Consider(Uniform(best.Spelling()));
    // The best law of those tried, whether or not a window alone is better.
    double least = CostOf(best);
    const auto sweep = [&](const std::vector<Law>& laws) {
      for (const Law& law : laws) {
        Consider(Uniform(law.Spelling()));
        const double cost = CostOf(law);
        if (cost < least) {
          least = cost;
          best = law;
        }
      }
    };
    // The window, as far as far distances then begin within it.
    std::vector<Law> laws;
    for (const int64_t sixteenths : {4, 12, 14, 15}) {
      Law law = best;
      law.window = std::max<int64_t>(1, N * sixteenths / 16);
      law.far = std::min(law.window, best.far);
      laws.push_back(law);
    }
    sweep(laws);
    laws.clear();
    for (const int64_t sixteenths : {1, 2, 4, 6, 10, 12}) {
      Law law = best;
      law.far = std::max<int64_t>(1, N * sixteenths / 16);
      if (law.far <= law.window) laws.push_back(law);
    }
    sweep(laws);
    laws.clear();
    for (const int64_t k : {32, 8}) {
      Law law = best;
      law.k = k;
      // Distances stay within those of training.
      const double largest = static_cast<double>(law.far) +
                             static_cast<double>(options_.length - law.window) /
                                 static_cast<double>(k);
      if (largest < static_cast<double>(N)) laws.push_back(law);
    }
    sweep(laws);
    Law scaled = best;
    scaled.logn = true;
    sweep({scaled});
    Layers(best);
  }

 private:
  // Infinite for what was not tried, as time was up.
  double CostOf(const Law& law) const {
    for (const Trial& trial : result_.trials) {
      if (trial.candidate == Uniform(law.Spelling())) {
        return trial.Cost(options_.weight);
      }
    }
    return HUGE_VAL;
  }

  Candidate Uniform(const std::string& spelling) const {
    return study::Uniform(spelling, options_.acts);
  }

  // True if the candidate was tried and is the best so far.
  bool Consider(const Candidate& candidate) {
    for (const Trial& trial : result_.trials) {
      if (trial.candidate == candidate) return false;
    }
    const double now = clock_();
    const auto made = static_cast<double>(result_.trials.size());
    if (made > 0 && now + now / made > options_.seconds) return false;
    result_.trials.push_back(attempt_(candidate));
    const auto cost = [&](size_t i) {
      return result_.trials[i].Cost(options_.weight);
    };
    const size_t last = result_.trials.size() - 1;
    if (last > 0 && !(cost(last) < cost(result_.best))) return false;
    result_.best = last;
    return true;
  }

  // Which layers need to see far: whole blocks lose the far band first, then
  // halves of them.
  void Layers(const Law& law) {
    std::vector<size_t> acting;
    for (size_t i = 0; i < options_.acts.size(); ++i) {
      if (options_.acts[i]) acting.push_back(i);
    }
    std::vector<std::string> layers = Uniform(law.Spelling()).layers;
    for (size_t parts = 3; parts <= acting.size(); parts *= 2) {
      for (size_t p = 0; p < parts; ++p) {
        const size_t first = acting.size() * p / parts;
        const size_t last = acting.size() * (p + 1) / parts;
        std::vector<std::string> changed = layers;
        std::string numbers;
        for (size_t i = first; i < last; ++i) {
          // What is blind already is given sight again, and the reverse.
          std::string& spelling = changed[acting[i]];
          spelling = spelling == kNear ? law.Spelling() : kNear;
        }
        for (size_t i = 0; i < acting.size(); ++i) {
          if (changed[acting[i]] == kNear) {
            numbers += (numbers.empty() ? "" : ",") + std::to_string(acting[i]);
          }
        }
        if (Consider({law.Spelling() + ", layers " + numbers + " " + kNear,
                      changed})) {
          layers = changed;
        }
      }
    }
  }

  const SearchOptions& options_;
  const Try& attempt_;
  const std::function<double()>& clock_;
  SearchResult& result_;
};

void AppendStretches(std::span<const evaluate::TokenScore> scores,
                     std::vector<double>& stretches) {
  for (size_t first = 0; first < scores.size(); first += kStretch) {
    const size_t count = std::min<size_t>(kStretch, scores.size() - first);
    double sum = 0;
    for (const auto& score : scores.subspan(first, count)) sum += score.loss;
    stretches.push_back(sum / static_cast<double>(count));
  }
}

position::Scheme SchemeOf(const Candidate& candidate) {
  position::Scheme scheme;
  scheme.name = "@" + candidate.name;
  for (const std::string& spelling : candidate.layers) {
    scheme.layers.push_back(position::ParseScheme(spelling));
  }
  return scheme;
}

}  // namespace

void Search(const SearchOptions& options, const Try& attempt,
            const std::function<double()>& clock, SearchResult& result) {
  Searcher(options, attempt, clock, result).Run();
}

Candidate Uniform(const std::string& spelling, const std::vector<bool>& acts) {
  Candidate candidate{spelling, {}};
  // A stack spells `rope` what the model does by itself.
  for (const bool act : acts) {
    candidate.layers.push_back(act ? spelling : "rope");
  }
  return candidate;
}

std::string StackFile(const Trial& trial, const std::string& about) {
  std::string text = about + "layers = [\n";
  for (const std::string& spelling : trial.candidate.layers) {
    text += "  \"" + spelling + "\",\n";
  }
  return text + "]\n";
}

Trial Measure(engine::Engine& engine,
              const std::vector<evaluate::Document>& texts,
              const TuneOptions& options, const Candidate& candidate) {
  const position::ModelPositions& positions = engine.positions();
  const position::Scheme resolved =
      position::Resolve(SchemeOf(candidate), positions, options.length);
  const position::Stack stack = position::BuildStack(
      resolved, positions, options.length, engine.model().config().L);
  evaluate::ScoreSummary all;
  std::vector<double> passage_loss, passage_accuracy, needle_loss, needle;
  Trial trial{.candidate = candidate};
  for (size_t t = 0; t < texts.size(); ++t) {
    const evaluate::Reading reading = evaluate::MakeReading(
        engine.tokenizer(), texts[t],
        evaluate::ReadingFor(positions.train_length, options.length, t + 1));
    const evaluate::ReadingScores scores = evaluate::Read(
        engine, stack, reading, options.kv_type,
        [&](int64_t tokens, const Workload&) { options.on_tokens(tokens); });
    all.AddDocument(scores.text);
    AppendStretches(scores.text, trial.stretches);
    trial.seconds += scores.seconds;
    for (size_t q = 0; q < reading.questions.size(); ++q) {
      const evaluate::AnswerScore& answer = scores.answers[q];
      using Kind = evaluate::Question::Kind;
      if (reading.questions[q].kind == Kind::kPassage) {
        passage_loss.push_back(answer.loss);
        passage_accuracy.push_back(answer.accuracy);
      } else if (reading.questions[q].kind == Kind::kNeedle) {
        needle_loss.push_back(answer.loss);
        needle.push_back(answer.correct ? 1 : 0);
      }
    }
  }
  trial.loss = all.loss();
  trial.passage_loss = evaluate::Mean(passage_loss);
  trial.passage_accuracy = evaluate::Mean(passage_accuracy);
  if (!needle.empty()) {
    trial.needle_loss = evaluate::Mean(needle_loss);
    trial.needle_accuracy = evaluate::Mean(needle);
  }
  return trial;
}

std::vector<bool> LayersThatAct(engine::Engine& engine, int64_t length) {
  const position::ModelPositions& positions = engine.positions();
  const int64_t L = engine.model().config().L;
  const auto build = [&](const char* spelling) {
    return position::BuildStack(
        position::Resolve(position::ParseScheme(spelling), positions, length),
        positions, length, L);
  };
  const position::Stack near = build(kNear);
  const position::Stack far = build("rerope");
  std::vector<bool> acts;
  for (size_t i = 0; i < near.size(); ++i) acts.push_back(near[i] != far[i]);
  return acts;
}

}  // namespace ropewalk::study
