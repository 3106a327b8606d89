// The models of the studies decoder-only and rank: one transformer, of which
// only who sees whom and which weights are shared changes.

#ifndef ROPEWALK_LAB_STUDIES_SEQUENCE_MODELS_H_
#define ROPEWALK_LAB_STUDIES_SEQUENCE_MODELS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lab/studies/setting.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies {

// A Llama of about a million parameters at `small`: what the studies of
// architectures, heads and optimizers train.
std::vector<std::string> CompactOverrides(const Setting& setting);

// An architecture of post 9529 and table 2 of the T5 paper. P and M are the
// decoder's parameters and operations.
struct PairArchitecture {
  const char* name;  // "gpt"
  const char* row;   // "GPT"
  const char* architecture;
  const char* mask;
  bool causal_encoder = false;
  bool half = false;              // half the layers on each side
  bool equal_parameters = false;  // P
  bool equal_compute = false;     // M
};
std::span<const PairArchitecture> PairArchitectures();

// Sequence-to-sequence tasks: of text, then made up.
struct PairTaskName {
  const char* name;
  bool text = false;
  const char* about;
};
std::span<const PairTaskName> PairTasks();

// "pairs-copy-gpt".
std::string PairName(const PairArchitecture& of, const PairTaskName& task);

// Trained on a task. Blocks of encoder-decoders are narrower by what cross
// attention adds, so that a layer of each side has twice a decoder layer's
// weights, but for rounding and a gain.
ModelSpec PairModel(const Setting& setting, const PairArchitecture& of,
                    const PairTaskName& task, uint64_t seed);

// The same at numerator / denominator of the steps, rounded down.
ModelSpec TimesTheSteps(const Setting& setting, ModelSpec spec,
                        int64_t numerator, int64_t denominator);

// Masked language models by where their heads look; full bidirectional first.
struct MaskedKind {
  const char* name;  // of its models: "mlm-mixed-heads"
  const char* row;   // "MLM, directions mixed by head"
  const char* mask;
};
std::span<const MaskedKind> MaskedKinds();

ModelSpec MaskedModel(const Setting& setting, const MaskedKind& of,
                      uint64_t seed);

// The same at four times the steps.
ModelSpec LongerMaskedModel(const Setting& setting, const MaskedKind& of,
                            uint64_t seed);

// The same without positions: order is told by masks alone, or not at all.
ModelSpec MaskedModelWithoutPositions(const Setting& setting,
                                      const MaskedKind& of, uint64_t seed);

// Tokens of the compact models' sequences.
int64_t CompactLength(const Setting& setting);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_SEQUENCE_MODELS_H_
