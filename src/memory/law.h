// How a text meets its memories: at which distance, which of their tokens, and
// how their scores are calibrated (docs/memories.md).
//
//   far[:key=value,...]     every token of every memory stands at one distance;
//                           order and number of memories change no position
//   place[:key=value,...]   all memories begin at one place; each keeps its
//                           inner order, and the text begins behind the longest
//   order[:key=value,...]   one memory after another, as if they were one text
//
//   distance=LEN    far: the distance; place, order: tokens left free between
//                   memories and text
//   skip=N          so many first tokens of each part are left out
//   alone=N         so many first tokens of the text do not see memories
//   sharpness=X     multiplies scores of memories
//   bias=X          is added to them, in nats

#ifndef ROPEWALK_MEMORY_LAW_H_
#define ROPEWALK_MEMORY_LAW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "position/model_positions.h"

namespace ropewalk::memory {

struct Law {
  enum class Kind { kFar, kPlace, kOrder };
  Kind kind = Kind::kFar;
  int64_t distance = -1;  // tokens; -1: what LawFor takes
  int64_t skip = 4;
  int64_t alone = 4;
  std::optional<double> sharpness;  // unset: what LawFor takes
  std::optional<double> bias;       // the same
};

// Throws std::invalid_argument with the reason.
Law ParseLaw(std::string_view spelling);
std::string ToString(const Law& law);

// The law with everything set, as measured (studies/memories). The distance is
// a quarter of the trained length for `far`, 0 for the others. Where all layers
// read the whole text, sharpness is 1.1 and the bias -1: keys that do not
// matter get less attention, those that do hardly lose. Where some have a
// window of their own, sharpness is 1 and the bias 0: what is near has its own
// layers there, and memories take nothing from it.
Law LawFor(const Law& law, const position::ModelPositions& positions);

// The law for a few memories that were chosen for a prompt, where none is asked
// for: `place` while the longest of them and the prompt take at most three
// quarters of the trained length, where it finds what `far` hardly finds
// (studies/memories); `far` beyond.
Law LawForChosen(int64_t longest, int64_t prompt,
                 const position::ModelPositions& positions);

}  // namespace ropewalk::memory

#endif  // ROPEWALK_MEMORY_LAW_H_
