// The schemes that the study `real` compares, spelled for a trained length.

#ifndef ROPEWALK_STUDY_SCHEMES_H_
#define ROPEWALK_STUDY_SCHEMES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace ropewalk::study {

// One row of the study's tables.
struct Condition {
  std::string name;           // "ReRoPE w=N/2"
  std::string spelling;       // for the N at hand
  std::vector<int64_t> all;   // lengths, in N, at which every text is read
  std::vector<int64_t> some;  // at which only the first texts are
};

// The names of the rows that claims and pictures are about.
inline constexpr const char* kRope = "RoPE";
inline constexpr const char* kReRopeHalf = "ReRoPE w=N/2";
inline constexpr const char* kReRopeHalfLogN = "ReRoPE w=N/2 logn";
inline constexpr const char* kReRopeFar = "ReRoPE w=15N/16 far=5N/8";
inline constexpr const char* kSinkWindow = "sink-window";
inline constexpr const char* kNtkMixedLogN = "NTK-mixed logn";
inline constexpr const char* kSelfExtend = "Self-Extend";
inline constexpr const char* kDca = "dual chunk";
inline constexpr const char* kYarn = "YaRN";
inline constexpr const char* kString = "STRING";

// What `tune` found for the model at hand, where its folder has a tuned.toml.
inline constexpr const char* kTuned = "tuned";

// In the order of the tables. `tuned` is the path of a stack file; without one
// the row `tuned` has no spelling and is not read.
std::vector<Condition> Conditions(int64_t N, const std::string& tuned = {});

}  // namespace ropewalk::study

#endif  // ROPEWALK_STUDY_SCHEMES_H_
