#include "lab/train/export_run.h"

namespace ropewalk::lab::train {

void ExportRun(const TrainConfig&, const nn::Model&, const formats::Metadata*,
               const std::string&) {}

}  // namespace ropewalk::lab::train
