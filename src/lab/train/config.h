// What a training run is, as its TOML file says.

#ifndef ROPEWALK_LAB_TRAIN_CONFIG_H_
#define ROPEWALK_LAB_TRAIN_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lab/data/pair_tasks.h"
#include "lab/nn/config.h"
#include "lab/optim/schedule.h"
#include "lab/train/config_reader.h"

namespace ropewalk::lab::train {

enum class Task {
  kText,       // next tokens of a corpus
  kMlm,        // masked tokens of a corpus
  kEvenPairs,  // is the last symbol the first (post 9603)
  kZipf,       // tokens of a Zipf distribution (post 9736)
  kContinue,   // the rest: sequence to sequence, loss on the output alone
  kFill,
  kCipher,
  kCopy,
  kReverse,
  kSort,
  kRecall,
};
Task ParseTask(const std::string& name);
std::string ToString(Task task);
bool NeedsCorpus(Task task);
// Of a task with an input and an output sequence, else nothing.
std::optional<data::PairTask> PairTaskOf(Task task);
// By held-out text under a list of schemes; else by samples of the task.
bool JudgedByLength(Task task, const nn::ModelConfig& model);

struct DataConfig {
  Task task = Task::kText;
  std::vector<std::string> train;    // files and folders
  std::vector<std::string> heldout;  // empty: a share of `train`
  double heldout_fraction = 0.01;    // of the documents of `train`
  std::string tokenizer;             // .model or .gguf; empty: trained
  std::string documents = "marked";  // marked file paragraphs
  double repeat_fraction = 0;        // of sequences that repeat a passage
  double zipf_exponent = 1.2;        // of task zipf
  bool join_lines = false;           // of prose that was wrapped by hand
  int64_t max_bytes = 0;             // of the corpus; 0: all
  std::string cache;                 // folder of tokenized texts
};

struct OptimizerConfig {
  std::string name = "adamw";  // adamw lion tiger lamb muon
  std::string embedding;       // another one for embeddings (hybrid)
  double learning_rate = 1e-3;
  double embedding_learning_rate = 1e-3;  // of what Muon and hybrids leave
  double weight_decay = 0.01;
  double beta1 = 0;  // 0: the optimizer's own default, and so below
  double beta2 = 0;
  double epsilon = 0;
  double clip = 0;  // largest global gradient norm; 0: none
  bool lazy_rows = false;
  bool flush_denormals = false;
  std::string embedding_rms = "row";  // tiger: row matrix none
  optim::Schedule schedule;           // counts steps
};

struct EvaluateConfig {
  int64_t every = 0;                 // steps; 0: at the end alone
  std::vector<std::string> schemes;  // spellings
  std::vector<int64_t> lengths;      // default N and 8 N; mlm: N
  int64_t documents = 16;
  int64_t score_last = 0;  // default N
  bool repeat = false;
};

struct TrainConfig {
  std::string name = "model";
  uint64_t seed = 1;
  nn::ModelConfig model;
  DataConfig data;
  OptimizerConfig optimizer;
  EvaluateConfig evaluate;
  int64_t steps = 1000;
  int64_t batch = 16;              // sequences of one step, over all processes
  int64_t accumulation = 1;        // micro-steps a step; batch is divided by it
  int64_t checkpoint_every = 200;  // steps
  int64_t log_every = 10;          // steps
  int64_t threads = 0;             // 0: all cores
  std::string device = "cpu";
  std::string init_from;             // a checkpoint or run folder
  std::vector<std::string> exports;  // gguf types, "safetensors"
  std::string text;                  // the whole, as TOML
  ConfigValues values;               // of every key, for lab/train/identity.h
};

// Throws std::invalid_argument naming file, line, key and what is allowed.
TrainConfig ReadTrainConfig(std::string_view text, const std::string& source,
                            const std::vector<std::string>& overrides);

// Whether `text` names a device as train.device does: cpu, cuda or cuda:N.
bool IsDevice(std::string_view text);

}  // namespace ropewalk::lab::train

#endif  // ROPEWALK_LAB_TRAIN_CONFIG_H_
