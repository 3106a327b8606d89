// The models that the length studies share, and how their rows are spelled.

#ifndef ROPEWALK_LAB_STUDIES_LENGTH_MODELS_H_
#define ROPEWALK_LAB_STUDIES_LENGTH_MODELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "lab/studies/setting.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies {

ModelSpec BaseModel(uint64_t seed);      // "base": RoPE, full attention
ModelSpec BaseLognModel(uint64_t seed);  // "base-logn": with log_512 n
// Both, of every seed.
std::vector<ModelSpec> BaseModels(const Setting& setting);
// Window N/4, k = 1/16, log n: post 9728; `wide_base`: RoPE's base times 8.
ModelSpec InvLeakyModel(const Setting& setting, uint64_t seed, bool wide_base);
// Windows by the rule of the receptive field, one full layer: post 9603.
ModelSpec HwfaModel(const Setting& setting, uint64_t seed);
// Wider windows, `full` layers that infer with ReRoPE: post 9731.
ModelSpec Hwfa2Model(const Setting& setting, uint64_t seed, int64_t full);
// Base with a learned log n scale (arXiv 2501.19399).
ModelSpec LearnedScaleModel(uint64_t seed);
// Base, all rotation dropped, trained on for 2 % of the steps (arXiv
// 2512.12167).
ModelSpec DropeModel(const Setting& setting, uint64_t seed);

// The largest window whose stack sees at most 3/4 of N.
int64_t HwfaWindow(const Setting& setting);

// The least power of two from 2 N / L on, at least 4: post 9731 advises 2 to 4
// N / L, and has its best results with 64 at N = 512 and L = 24.
int64_t Hwfa2Window(const Setting& setting);

// "rerope:window=64" from "rerope:window=" and a length.
std::string With(const std::string& spelling, int64_t value);

// A job that reads the model under `spelling` at the lengths `natural`, and
// natural and repeated at `repeated`.
Job ScoreJob(const std::string& row, const std::string& spelling,
             std::vector<int64_t> natural, std::vector<int64_t> repeated,
             bool costs = false);

// Shorthand for the cells of claims.
CellKey At(const std::string& row, int64_t length);
CellKey RepeatedAt(const std::string& row, int64_t length);
CellKey LossAt(const std::string& row, int64_t length);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_LENGTH_MODELS_H_
