// Why schemes do what they do: where the heads of a real model look while it
// reads past its length.
//
// A text is read with a passage from its beginning at its end, and queries are
// taken in both. What they attend to is computed again in float64 from the
// inputs of each layer (evaluate/attention_weights.h).

#ifndef ROPEWALK_STUDY_HEADS_H_
#define ROPEWALK_STUDY_HEADS_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "study/head_rows.h"
#include "study/real.h"

namespace ropewalk::study {

// What a text is read with, and at which lengths in tokens.
struct HeadCondition {
  std::string name;
  std::string spelling;
  std::vector<int64_t> lengths;
};

// N/16 to N under RoPE, N and 2N under what reads past N, and 4N under what
// looks far there.
std::vector<HeadCondition> HeadConditions(int64_t N);

// The row of the tables that Conditions() has no name for.
inline constexpr const char* kReRopeFarLogN = "ReRoPE w=15N/16 far=5N/8 logn";

// The tokens of the passage that comes again; half as many queries are taken in
// the text before it, and as many of its last. It stands half as many tokens
// from the beginning.
int64_t PassageOf(int64_t N);

// A text that ends with a passage from its beginning.
struct RepeatedText {
  std::vector<Token> ids;
  int64_t passage = 0;  // tokens
  int64_t first = 0;    // id of its first token where it stands first

  // Queries are taken from as many tokens before the passage comes again, and
  // of its last ones.
  int64_t Asked() const { return passage / 2; }
  int64_t FirstQuery() const {
    return static_cast<int64_t>(ids.size()) - passage - Asked();
  }
  // For the query at id i in the passage that comes again: the id of the token
  // that followed its own one when the passage stood there first.
  int64_t SourceOf(int64_t i) const {
    return first + (i - (static_cast<int64_t>(ids.size()) - passage)) + 1;
  }
};

// `length` tokens: `begin`, the end of `text`, and the passage again.
RepeatedText RepeatPassage(const std::vector<Token>& begin,
                           const evaluate::Document& text, int64_t passage,
                           int64_t length);

struct HeadJob {
  const Text* text = nullptr;
  std::string scheme;
  std::string spelling;
  int64_t length = 0;
};

struct HeadOptions {
  std::vector<int64_t> lengths;   // empty: all up to 2N
  std::vector<std::string> only;  // names of conditions; empty: all
};

// What is still to be read of the first pieces of `texts`. Lengths that cannot
// hold four passages are left out. Throws std::invalid_argument for a name that
// no condition has.
std::vector<HeadJob> OpenHeadJobs(const std::vector<Text>& texts, int64_t N,
                                  const HeadOptions& options,
                                  const HeadRows& rows);

struct HeadCallbacks {
  evaluate::OnTokens on_tokens = [](int64_t, const Workload&) {};
  std::function<void(const HeadJob&, const std::vector<HeadRow>&)> on_rows =
      [](const HeadJob&, const std::vector<HeadRow>&) {};
};

// The work of reading them, in the unit of on_tokens.
Workload WorkOf(engine::Engine& engine, const std::vector<HeadJob>& jobs);

// Reads what is open and adds it to `rows`, a text and a scheme at a time; of
// the layers that no scheme changes there are none. A callback may throw.
void RunHeads(engine::Engine& engine, const std::vector<HeadJob>& jobs,
              DType kv_type, const Run& run, HeadRows& rows,
              const HeadCallbacks& callbacks);

// The rank of the attention over the last 256 tokens of a text, read alone:
// under RoPE, and under ReRoPE with a half and an eighth of these as window,
// since its N/2 would change nothing. A text whose rows are there is left out.
void RunRanks(engine::Engine& engine, const std::vector<Text>& texts,
              DType kv_type, const Run& run, HeadRows& rows,
              const std::function<void(const std::string& scheme)>& on_rows);

// The embedding by how often tokens occur in `texts`, unless the rows are
// there.
void RunEmbedding(engine::Engine& engine, const std::vector<Text>& texts,
                  const Run& run, HeadRows& rows);

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_HEADS_H_
