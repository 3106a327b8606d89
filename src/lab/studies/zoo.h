// The trained models of the studies, shared by all of them.
//
// They stand below the cache, a run's folder each, and are found again by the
// next study or the next call; an interrupted training goes on. Only the files
// there are lost with the cache, never a measured row.

#ifndef ROPEWALK_LAB_STUDIES_ZOO_H_
#define ROPEWALK_LAB_STUDIES_ZOO_H_

#include <cstdint>
#include <string>
#include <vector>

#include "evaluate/documents.h"
#include "evaluate/measure.h"
#include "lab/studies/corpus.h"
#include "lab/studies/setting.h"
#include "lab/studies/study.h"
#include "lab/train/config.h"
#include "lab/train/run_log.h"

namespace ropewalk::lab::studies {

struct TrainedModel {
  std::string file;  // the exported model; empty for what has no export
  std::vector<evaluate::MeasureRow> task_rows;  // the task's own tests
  std::string checkpoint;                       // what training ended with
  std::vector<train::StepRecord> curve;         // what its log says, in order
};

class Zoo {
 public:
  // `folder` is made where it is missing; `threads` 0 takes all cores, or what
  // the config says.
  Zoo(Setting setting, StudyCorpus corpus, std::string folder, int64_t threads);

  // Trains what is not there yet, with a progress bar. Throws what training
  // throws, Interrupted among them; the next call goes on.
  TrainedModel Obtain(const ModelSpec& spec);

  // The config that a model is trained by, `more` set over it.
  train::TrainConfig ConfigOf(const ModelSpec& spec,
                              const std::vector<std::string>& more = {});

  // One step over `sequences` on the CPU, in a folder that is removed again:
  // that a config too large for this machine is sound. Returns its loss.
  double TryStep(const ModelSpec& spec, int64_t sequences);

  // Held-out pieces of setting.Longest() + 1 ids, setting.documents of them.
  // Throws
  // std::invalid_argument where the texts hold fewer.
  const std::vector<evaluate::Document>& HeldOut();

 private:
  std::string Tokenizer();

  Setting setting_;
  StudyCorpus corpus_;
  std::string folder_;
  int64_t threads_;
  std::vector<evaluate::Document> held_out_;
};

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_ZOO_H_
