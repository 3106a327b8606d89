// How large a study is run: what `--scale` chooses.

#ifndef ROPEWALK_LAB_STUDIES_SETTING_H_
#define ROPEWALK_LAB_STUDIES_SETTING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lab/train/config.h"

namespace ropewalk::lab::studies {

enum class Scale {
  kSmoke,  // a minute on two cores: that everything runs
  kSmall,  // two cores and some hours: orderings
  kPaper,  // the bench of the posts, for a GPU
  kGiven,  // a model of the user's, nothing is trained
};

// Throws std::invalid_argument listing what is allowed; kGiven is no choice.
Scale ParseScale(const std::string& name);
std::string ToString(Scale scale);

// What the rows of a study are spelled by.
struct Setting {
  Scale scale = Scale::kSmoke;
  std::string config;           // TOML of the base model
  int64_t N = 0;                // tokens trained on
  int64_t L = 0;                // layers
  int64_t documents = 0;        // of the longest length, in every evaluation
  double repeat_fraction = 0;   // of the training sequences
  std::string scale_suffix;     // of a given model's own law: "+logn"
  std::vector<uint64_t> seeds;  // of models that claims rest on

  // What is swept, rather than a few points of it.
  bool Sweeps() const { return scale != Scale::kSmoke; }
  int64_t Longest() const { return 16 * N; }
};

// By studies/SCALE.toml beside the program. Throws IoError where it is not
// there, std::invalid_argument where it is no training config.
Setting MakeSetting(Scale scale);

// The config with something set over it, over no text in particular.
train::TrainConfig ConfigOf(const Setting& setting,
                            const std::vector<std::string>& overrides = {});

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_SETTING_H_
