// Which scheme to use on a text of one's own, in about a minute: the schemes
// that are worth a try read pieces of it, and are compared piece by piece.
//
// No scheme is searched for (tune.h does that): the candidates are those that
// the study of real models compares, the likeliest first. All candidates read a
// piece before any reads the next one. A reading begins only if it would end in
// time, going by those before, but two candidates always read one piece.

#ifndef ROPEWALK_STUDY_QUICK_H_
#define ROPEWALK_STUDY_QUICK_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "position/model_positions.h"
#include "study/tune.h"

namespace ropewalk::study {

// Spellings with every parameter, for reading `length` tokens: what `auto`
// picks, then others. Those that are known to fail or not defined for the model
// are left out, and of those that come to the same the first stays.
std::vector<std::string> QuickCandidates(const position::ModelPositions& model,
                                         int64_t length);

struct QuickRow {
  std::string spelling;
  int64_t pieces = 0;  // that it has read
  double loss = 0;     // nats a target, of its pieces
  double finding = 0;  // nats, of a passage that comes again and of numbers
  double passage_accuracy = 0;  // in [0, 1]
  double seconds = 0;           // a piece
  // The cost is loss + weight x finding. Its difference to the best row's over
  // the pieces that both have read, and the standard error of the difference of
  // their losses, by stretches of targets. Both 0 for the best.
  double above_best = 0;
  double standard_error = 0;
  // The loss is above the best row's by more than the error explains: by the
  // 95 % margin of Student's t.
  bool is_worse = false;
};

struct QuickOptions {
  double seconds = 60;
  double weight = 0.1;  // of a nat of finding beside a nat of text
  int64_t pieces = 1;   // that there are
};

// A reading of one piece, numbered from 0, under a spelling. May throw to stop.
using ReadPiece =
    std::function<Trial(const std::string& spelling, int64_t piece)>;

struct QuickResult {
  std::vector<QuickRow> rows;  // of candidates that have read, in their order
  std::vector<std::string> unread;  // no time was left for these
  size_t best = 0;                  // of rows, by the least cost
  // What to use: the first of the rows that cannot be told from the best, as
  // `auto` is by default.
  size_t chosen = 0;
};

// `clock` gives the seconds since the measurement began, `on_row` gets each row
// as it is made or grows. If a callback throws, `result` has what is measured.
void MeasureQuickly(const std::vector<std::string>& candidates,
                    const QuickOptions& options, const ReadPiece& read,
                    const std::function<double()>& clock,
                    const std::function<void(const QuickRow&)>& on_row,
                    QuickResult& result);

// What the result says, in words.
std::string VerdictOf(const QuickResult& result);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_QUICK_H_
