#include "study/quick.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "evaluate/statistics.h"
#include "position/scheme.h"
#include "report/number.h"
#include "study/schemes.h"

namespace ropewalk::study {
namespace {

// Rows of the study's tables that are worth a try, after what `auto` picks.
constexpr const char* kOthers[] = {kReRopeHalf,     kSinkWindow,  kDca,
                                   kSelfExtend,     kReRopeFar,   kYarn,
                                   kReRopeHalfLogN, kNtkMixedLogN};

// Finding has no error of its own here, so it counts as it is: a scheme that
// reads as well and finds much less is not as good.
bool FindsLess(const QuickRow& row, const QuickRow& best) {
  constexpr double kMuchLess = 0.25;  // nats
  return row.finding - best.finding >= kMuchLess;
}

class Quick {
 public:
  Quick(const std::vector<std::string>& candidates, const QuickOptions& options,
        const ReadPiece& read, const std::function<double()>& clock,
        const std::function<void(const QuickRow&)>& on_row, QuickResult& result)
      : candidates_(candidates),
        options_(options),
        read_(read),
        clock_(clock),
        on_row_(on_row),
        result_(result),
        trials_(candidates.size()) {}

  void Run() {
    result_.unread = candidates_;
    for (int64_t piece = 0; piece < options_.pieces; ++piece) {
      for (size_t c = 0; c < candidates_.size(); ++c) {
        // A candidate that missed a piece is not compared on later ones.
        if (static_cast<int64_t>(trials_[c].size()) < piece) continue;
        if (!HasTime()) return;
        trials_[c].push_back(read_(candidates_[c], piece));
        ++readings_;
        Judge();
        on_row_(RowOf(c));
      }
    }
  }

 private:
  bool HasTime() const {
    if (readings_ < 2) return true;
    const double now = clock_();
    return now + now / static_cast<double>(readings_) <= options_.seconds;
  }

  const QuickRow& RowOf(size_t candidate) const {
    return *std::find_if(result_.rows.begin(), result_.rows.end(),
                         [&](const QuickRow& row) {
                           return row.spelling == candidates_[candidate];
                         });
  }

  // Means over the first `pieces` pieces.
  QuickRow Mean(size_t candidate, int64_t pieces) const {
    QuickRow row{.spelling = candidates_[candidate], .pieces = pieces};
    for (int64_t p = 0; p < pieces; ++p) {
      const Trial& trial = trials_[candidate][static_cast<size_t>(p)];
      row.loss += trial.loss;
      row.finding += trial.Finding();
      row.passage_accuracy += trial.passage_accuracy;
      row.seconds += trial.seconds;
    }
    for (double* mean :
         {&row.loss, &row.finding, &row.passage_accuracy, &row.seconds}) {
      *mean /= static_cast<double>(pieces);
    }
    return row;
  }

  double Cost(const QuickRow& row) const {
    return row.loss + options_.weight * row.finding;
  }

  int64_t Pieces(size_t candidate) const {
    return static_cast<int64_t>(trials_[candidate].size());
  }

  // Anew after each reading, since the best may change. The best is the one of
  // least cost on the pieces that all have read that have read any.
  void Judge() {
    std::vector<size_t> measured;
    int64_t common = options_.pieces;
    for (size_t c = 0; c < candidates_.size(); ++c) {
      if (trials_[c].empty()) continue;
      measured.push_back(c);
      common = std::min(common, Pieces(c));
    }
    const size_t best = *std::min_element(
        measured.begin(), measured.end(), [&](size_t a, size_t b) {
          return Cost(Mean(a, common)) < Cost(Mean(b, common));
        });
    result_.rows.clear();
    result_.unread.clear();
    for (size_t c = 0; c < candidates_.size(); ++c) {
      if (trials_[c].empty()) {
        result_.unread.push_back(candidates_[c]);
        continue;
      }
      if (c == best) result_.best = result_.rows.size();
      result_.rows.push_back(Compare(c, best));
    }
    result_.chosen = 0;
    while (
        result_.chosen != result_.best &&
        (result_.rows[result_.chosen].is_worse ||
         FindsLess(result_.rows[result_.chosen], result_.rows[result_.best]))) {
      ++result_.chosen;
    }
  }

  QuickRow Compare(size_t candidate, size_t best) const {
    QuickRow row = Mean(candidate, Pieces(candidate));
    if (candidate == best) return row;
    const int64_t both = std::min(Pieces(candidate), Pieces(best));
    row.above_best = Cost(Mean(candidate, both)) - Cost(Mean(best, both));
    std::vector<double> differences;
    for (int64_t p = 0; p < both; ++p) {
      const auto i = static_cast<size_t>(p);
      const std::vector<double>& own = trials_[candidate][i].stretches;
      const std::vector<double>& other = trials_[best][i].stretches;
      for (size_t s = 0; s < std::min(own.size(), other.size()); ++s) {
        differences.push_back(own[s] - other[s]);
      }
    }
    row.standard_error = evaluate::StandardError(differences);
    if (differences.size() > 1) {
      row.is_worse =
          evaluate::Mean(differences) >
          row.standard_error *
              evaluate::StudentT95(static_cast<double>(differences.size() - 1));
    }
    return row;
  }

  const std::vector<std::string>& candidates_;
  const QuickOptions& options_;
  const ReadPiece& read_;
  const std::function<double()>& clock_;
  const std::function<void(const QuickRow&)>& on_row_;
  QuickResult& result_;
  std::vector<std::vector<Trial>> trials_;  // by candidate, by piece
  int64_t readings_ = 0;
};

std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const std::string& text : texts) {
    joined += (joined.empty() ? "" : ", ") + text;
  }
  return joined;
}

}  // namespace

std::vector<std::string> QuickCandidates(const position::ModelPositions& model,
                                         int64_t length) {
  std::vector<std::string> spellings = {"auto", "rope"};
  const std::vector<Condition> conditions = Conditions(model.train_length);
  for (const char* name : kOthers) {
    for (const Condition& condition : conditions) {
      if (condition.name == name) spellings.push_back(condition.spelling);
    }
  }
  std::vector<std::string> candidates;
  for (const std::string& spelling : spellings) {
    try {
      const position::Scheme resolved =
          position::Resolve(position::ParseScheme(spelling), model, length);
      const std::string text = position::ToString(resolved);
      if (!position::KnownToFail(resolved, model, length) &&
          std::find(candidates.begin(), candidates.end(), text) ==
              candidates.end()) {
        candidates.push_back(text);
      }
    } catch (const std::invalid_argument&) {
      // Not defined for this model.
    }
  }
  return candidates;
}

void MeasureQuickly(const std::vector<std::string>& candidates,
                    const QuickOptions& options, const ReadPiece& read,
                    const std::function<double()>& clock,
                    const std::function<void(const QuickRow&)>& on_row,
                    QuickResult& result) {
  Require(!candidates.empty(), "no scheme is left to be measured");
  Quick(candidates, options, read, clock, on_row, result).Run();
}

std::string VerdictOf(const QuickResult& result) {
  if (result.rows.empty()) return "nothing was measured";
  const QuickRow& best = result.rows[result.best];
  const QuickRow& chosen = result.rows[result.chosen];
  std::vector<std::string> alike;
  std::vector<std::string> finds_less;
  for (const QuickRow& row : result.rows) {
    if (row.is_worse || row.spelling == chosen.spelling) continue;
    (FindsLess(row, best) ? finds_less : alike).push_back(row.spelling);
  }
  std::string text = "use --position " + chosen.spelling;
  if (result.rows.size() == 1) return text + "; nothing else was measured";
  if (alike.empty() && finds_less.empty()) {
    text +=
        "; every other scheme that was measured reads worse, by more than "
        "chance explains (95 %)";
  }
  if (!alike.empty()) {
    text += "; not distinguishable from " + Joined(alike) +
            " on this much text (95 %)";
  }
  if (!finds_less.empty()) {
    text += "; " + Joined(finds_less) +
            (finds_less.size() == 1 ? " reads" : " read") + " as well, but " +
            (finds_less.size() == 1 ? "finds" : "find") +
            " less of what stands far back";
  }
  if (!result.unread.empty()) {
    text += "; no time was left for " + Joined(result.unread);
  }
  return text;
}

}  // namespace ropewalk::study
