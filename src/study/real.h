// The study `real`: what position schemes do to a model that somebody else
// trained, at one, two and four times its length.
//
// The folder study/ asks on long texts what the posts claim: rows.h keeps what
// was measured, schemes.h says under which schemes, real.h reads the texts, and
// real_report.h judges, draws and writes the page.

#ifndef ROPEWALK_STUDY_REAL_H_
#define ROPEWALK_STUDY_REAL_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/dtype.h"
#include "engine/engine.h"
#include "evaluate/documents.h"
#include "evaluate/scorer.h"
#include "study/rows.h"
#include "study/schemes.h"

namespace ropewalk::study {

// A scheme as tables call it: a stack's file without its folder.
std::string NameOf(const std::string& spelling);

// A piece of a text that is read to its end at every length.
struct Text {
  std::string set;   // the folder in the corpus: "novels"
  std::string name;  // the file, and which of its pieces
  int64_t piece = 0;
  evaluate::Document ids;
};

struct CorpusOptions {
  int64_t pieces = 2;  // of each file
  int64_t least = 0;   // tokens of a piece
  int64_t most = 0;
};

// The texts of a folder: each folder in it is a set, files beside them are the
// set "texts". First one piece of each file, then a second of each, so that a
// study cut short has read every author. Where a piece ends does not depend on
// `most`, and a piece whose last `least` tokens overlap the one before is left
// out. Files too short for a piece are named to `on_short` and left out.
// Throws IoError, FormatError for text that is not UTF-8, and
// std::invalid_argument where no file is long enough.
std::vector<Text> ReadCorpus(
    const std::string& folder, const tokenizer::Tokenizer& tokenizer,
    const CorpusOptions& options,
    const std::function<void(const std::string& file)>& on_short);

struct RealOptions {
  std::vector<int64_t> times = {1, 2, 4};  // N, 2N, 4N
  DType kv_type = DType::kF16;
  // Conditions that only some documents are read under, beside those that all
  // are: how many of each set.
  int64_t some = 3;
  int64_t fourfold = 4;  // documents that are read at 4N and beyond
  std::vector<Condition> conditions;
};

struct RealCallbacks {
  evaluate::OnTokens on_tokens = [](int64_t, const Workload&) {};
  std::function<void(const Row&)> on_row = [](const Row&) {};
};

// What is still to be read; texts shorter than a length are not read at it.
struct RealJob {
  const Text* text = nullptr;
  Condition condition;
  int64_t length = 0;
  int64_t turn = 0;  // those of one turn are read before those of the next
};

// Throws std::invalid_argument if a stack file has other layers than when rows
// of its name were read. The rows of all first pieces come first, then what is
// read under some alone, so that a study cut short compares many texts under
// the chief schemes.
std::vector<RealJob> OpenJobs(const std::vector<Text>& texts, int64_t N,
                              const RealOptions& options, const Rows& rows);

// About the work of reading them, in the unit of on_tokens.
Workload WorkOf(engine::Engine& engine, const std::vector<RealJob>& jobs);

// Reads what is open and adds it to `rows`, row by row. A callback may throw.
void RunReal(engine::Engine& engine, const std::vector<RealJob>& jobs,
             const RealOptions& options, const Run& run, Rows& rows,
             const RealCallbacks& callbacks);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_REAL_H_
