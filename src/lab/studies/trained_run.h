// A study's trained model as training left it: for what the runtime cannot
// measure.

#ifndef ROPEWALK_LAB_STUDIES_TRAINED_RUN_H_
#define ROPEWALK_LAB_STUDIES_TRAINED_RUN_H_

#include <memory>
#include <string>

#include "lab/train/batch_source.h"
#include "lab/train/checkpoint.h"
#include "lab/train/config.h"

namespace ropewalk::lab::studies {

struct TrainedRun {
  train::Checkpoint checkpoint;
  train::TrainConfig config;  // that it was trained under

  // Its texts and tests. Throws what MakeBatchSource throws.
  std::unique_ptr<train::BatchSource> Source() const;
};

// Of a checkpoint's path. Throws IoError and FormatError.
TrainedRun ReadTrainedRun(const std::string& checkpoint);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_TRAINED_RUN_H_
