// Whether two configs describe the same run or the same model: what `train
// --resume` and the cache of the studies both go by.

#ifndef ROPEWALK_LAB_TRAIN_IDENTITY_H_
#define ROPEWALK_LAB_TRAIN_IDENTITY_H_

#include <optional>
#include <string>
#include <string_view>

#include "lab/train/config.h"

namespace ropewalk::lab::train {

// What a key of the config decides, from the most to the least.
enum class KeyEffect {
  // What a run is. A key that identity.cc says nothing of has this effect, so
  // that a new one counts until somebody declares that it need not.
  kRun,
  // How far a run goes and how fast: other weights come of it, but a run may
  // change it on its way.
  kCourse,
  // What is told of the weights: evaluations, what the exported file says.
  kReport,
  // Neither weights nor reports: where files stand, how often something is
  // written, what it is computed on. (What the files of a corpus hold is
  // compared by BatchSource::Fingerprint.)
  kNothing,
};
KeyEffect EffectOf(std::string_view key);

// The values of the keys whose effect is `least` or more, defaults too.
//
//   kRun      of a run: they may not change when it is resumed
//   kCourse   of the processes of one run, which must agree in them
//   kReport   of a finished run: equal ones have equal weights and reports
ConfigValues IdentityOf(const TrainConfig& config, KeyEffect least);

// What the weights of a checkpoint mean, whatever law they are read under.
ConfigValues ShapeOf(const TrainConfig& config);

// "model.heads was 2 and is 4", or nothing. Both have the same keys.
std::optional<std::string> FirstDifference(const ConfigValues& was,
                                           const ConfigValues& is);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_IDENTITY_H_
