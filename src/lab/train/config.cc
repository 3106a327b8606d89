#include "lab/train/config.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "base/error.h"
#include "base/text.h"
#include "lab/train/config_reader.h"
#include "position/scheme.h"

namespace ropewalk::lab::train {
namespace {

constexpr double kHuge = 1e30;
constexpr int64_t kMany = int64_t{1} << 40;

struct TaskEntry {
  Task task;
  std::string_view name;
  std::optional<data::PairTask> pairs = std::nullopt;
};

constexpr TaskEntry OfPairs(Task task, data::PairTask pairs) {
  return {task, data::PairTaskName(pairs), pairs};
}

constexpr TaskEntry kTasks[] = {
    {Task::kText, "text"},
    {Task::kMlm, "mlm"},
    {Task::kEvenPairs, "even-pairs"},
    {Task::kZipf, "zipf"},
    OfPairs(Task::kContinue, data::PairTask::kContinue),
    OfPairs(Task::kFill, data::PairTask::kFill),
    OfPairs(Task::kCipher, data::PairTask::kCipher),
    OfPairs(Task::kCopy, data::PairTask::kCopy),
    OfPairs(Task::kReverse, data::PairTask::kReverse),
    OfPairs(Task::kSort, data::PairTask::kSort),
    OfPairs(Task::kRecall, data::PairTask::kRecall)};

const TaskEntry& EntryOf(Task task) {
  const auto* const entry = std::ranges::find(kTasks, task, &TaskEntry::task);
  ROPEWALK_CHECK(entry != std::end(kTasks));
  return *entry;
}

// One of a list of names, or an error that lists them.
std::string OneOf(ConfigReader& reader, std::string_view key,
                  std::string_view otherwise,
                  const std::vector<std::string>& allowed) {
  const std::string value = reader.String(key, otherwise);
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) {
    return value;
  }
  std::string names;
  for (const std::string& name : allowed) {
    if (!name.empty()) names += (names.empty() ? "" : ", ") + name;
  }
  reader.Fail(key, "'" + Printable(value, 40) + "' is none of " + names);
}

// Exports and the run's folder are called by it.
std::string ReadName(ConfigReader& r) {
  std::string name = r.String("name", "model");
  if (name.empty() || name == "." || name == ".." ||
      name.find('/') != std::string::npos) {
    r.Fail("name", "must be a file name without '/', got '" +
                       Printable(name, 40) + "'");
  }
  return name;
}

std::string ReadDevice(ConfigReader& r) {
  const std::string device = r.String("train.device", "cpu");
  if (!IsDevice(device)) {
    r.Fail("train.device",
           "expected cpu, cuda or cuda:N, got '" + Printable(device, 40) + "'");
  }
  return device;
}

// A spelling of a position scheme, or nothing. Two stacks of the same layers
// are the same, whichever file they stand in.
std::string ReadScheme(ConfigReader& r, std::string_view key,
                       std::string_view otherwise) {
  const std::string spelling = r.String(key, otherwise);
  if (spelling.empty()) return spelling;
  position::Scheme scheme = r.Choice(key, otherwise, position::ParseScheme);
  if (!scheme.layers.empty()) scheme.name.clear();
  r.SetValue(key, position::ToString(scheme));
  return spelling;
}

nn::ModelConfig ReadModel(ConfigReader& r) {
  nn::ModelConfig m;
  m.block = r.Choice("model.block", "llama", nn::ParseBlock);
  const bool gau = m.block == nn::Block::kGau;
  m.architecture =
      r.Choice("model.architecture", "decoder", nn::ParseArchitecture);
  m.mask = r.Choice("model.mask", "causal", nn::ParseMask);
  m.head = r.Choice("model.head", "tied", nn::ParseHead);
  m.precision = r.Choice("train.precision", "f32", nn::ParsePrecision);
  m.init = r.Choice("model.init", gau ? "deepnorm" : "ordinary", nn::ParseInit);
  m.L = r.Int("model.layers", 4, 1, 1024);
  m.E = r.Int("model.width", 256, 2, 65536);
  m.H = r.Int("model.heads", gau ? 1 : 4, 1, 1024);
  m.G = r.Int("model.kv_heads", m.H, 1, 1024);
  m.D = r.Int("model.head_width",
              gau ? 128 : std::max<int64_t>(2, m.E / m.H / 2 * 2), 2, 4096);
  // 8/3 E, rounded up to a multiple of 64, as Llama models have it.
  m.F = r.Int("model.feed_width", gau ? 2 * m.E : (8 * m.E / 3 + 63) / 64 * 64,
              1, 1 << 20);
  m.V = r.Int("model.vocabulary", 4096, 2, 1 << 24);
  m.N = r.Length("model.length", 256, 2);
  m.rope_base = r.Number("model.rope_base", 10000, 1.0000001, kHuge);
  m.norm_epsilon = r.Number("model.norm_epsilon", 1e-5, 1e-12, 0.1);
  m.key_norm = r.Bool("model.key_norm", false);
  m.causal_encoder = r.Bool("model.causal_encoder", false);
  m.rotate_cross = r.Bool("model.rotate_cross", false);
  m.position = ReadScheme(r, "model.position", "rope");
  m.inference = ReadScheme(r, "model.inference", "");
  try {
    nn::Validate(m);
  } catch (const std::invalid_argument& error) {
    r.Fail("model", error.what());
  }
  return m;
}

DataConfig ReadData(ConfigReader& r) {
  DataConfig d;
  d.task = r.Choice("data.task", "text", ParseTask);
  d.train = r.Strings("data.train");
  d.heldout = r.Strings("data.heldout");
  d.heldout_fraction = r.Number("data.heldout_fraction", 0.01, 0, 0.9);
  d.documents =
      OneOf(r, "data.documents", "marked", {"marked", "file", "paragraphs"});
  d.tokenizer = r.String("data.tokenizer", "");
  d.repeat_fraction = r.Number("data.repeat_fraction", 0, 0, 1);
  d.zipf_exponent = r.Number("data.zipf_exponent", 1.2, 0, 10);
  d.join_lines = r.Bool("data.join_lines", false);
  d.max_bytes = r.Int("data.max_bytes", 0, 0, kMany);
  d.cache = r.String("data.cache", "");
  if (NeedsCorpus(d.task) && d.train.empty()) {
    r.Fail("data.train",
           "task " + ToString(d.task) + " needs text: files or folders");
  }
  return d;
}

optim::Schedule ReadSchedule(ConfigReader& r, int64_t steps) {
  const std::string name = OneOf(r, "optimizer.schedule", "cosine",
                                 {"cosine", "constant", "wsd", "piecewise"});
  const int64_t warmup =
      r.Int("optimizer.warmup", std::min<int64_t>(100, steps / 10), 0, kMany);
  const double floor =
      r.Number("optimizer.floor", name == "wsd" ? 0.0 : 0.1, 0, 1);
  const int64_t decay = r.Int("optimizer.decay", steps / 5, 0, kMany);
  const std::vector<std::pair<int64_t, double>> points =
      r.Points("optimizer.points");
  optim::Schedule schedule;
  if (name == "cosine") {
    schedule = optim::CosineSchedule{warmup, steps, floor};
  } else if (name == "wsd") {
    schedule = optim::WsdSchedule{.warmup_steps = warmup,
                                  .decay_steps = decay,
                                  .total_steps = steps,
                                  .floor = floor};
  } else if (name == "piecewise") {
    if (points.empty()) {
      r.Fail("optimizer.points", "schedule piecewise needs [[step, factor]]");
    }
    schedule = optim::PiecewiseLinearSchedule{points};
  }
  try {
    optim::ValidateSchedule(schedule);
  } catch (const std::invalid_argument& error) {
    r.Fail("optimizer.schedule", error.what());
  }
  return schedule;
}

OptimizerConfig ReadOptimizer(ConfigReader& r, int64_t steps) {
  OptimizerConfig o;
  const std::vector<std::string> names = {"adamw", "lion", "tiger", "lamb",
                                          "muon"};
  o.name = OneOf(r, "optimizer.name", "adamw", names);
  o.embedding = OneOf(r, "optimizer.embedding", "",
                      {"", "adamw", "lion", "tiger", "lamb"});
  const double rate = o.name == "lion" ? 1e-4 : o.name == "muon" ? 2e-3 : 1e-3;
  o.learning_rate = r.Number("optimizer.learning_rate", rate, 0, 1000);
  o.embedding_learning_rate =
      r.Number("optimizer.embedding_learning_rate", 1e-3, 0, 1000);
  o.weight_decay = r.Number("optimizer.weight_decay", 0.01, 0, 1000);
  o.beta1 = r.Number("optimizer.beta1", 0, 0, 0.999999);
  o.beta2 = r.Number("optimizer.beta2", 0, 0, 0.999999);
  o.epsilon = r.Number("optimizer.epsilon", 0, 0, 1);
  o.clip = r.Number("optimizer.clip", 0, 0, kHuge);
  o.lazy_rows = r.Bool("optimizer.lazy_rows", false);
  o.flush_denormals = r.Bool("optimizer.flush_denormals", false);
  o.embedding_rms =
      OneOf(r, "optimizer.embedding_rms", "row", {"row", "matrix", "none"});
  o.schedule = ReadSchedule(r, steps);
  return o;
}

// What an evaluation would refuse hours later.
void CheckEvaluation(ConfigReader& r, const EvaluateConfig& e,
                     const nn::ModelConfig& model, Task task) {
  const int64_t least = *std::min_element(e.lengths.begin(), e.lengths.end());
  if (e.score_last > least) {
    r.Fail("evaluate.score_last", "must be at most the least length " +
                                      std::to_string(least) + ", got " +
                                      std::to_string(e.score_last));
  }
  if (task == Task::kEvenPairs && least < 3) {
    r.Fail("evaluate.lengths",
           "task even-pairs needs lengths of at least 3, got " +
               std::to_string(least));
  }
  if (!JudgedByLength(task, model)) return;
  const position::ModelPositions positions = nn::PositionsOf(model);
  for (const std::string& spelling : e.schemes) {
    const position::Scheme scheme = position::ParseScheme(spelling);
    for (const int64_t length : e.lengths) {
      try {
        position::BuildStack(position::Resolve(scheme, positions, length),
                             positions, length, model.L);
      } catch (const std::invalid_argument& error) {
        r.Fail("evaluate.schemes", error.what());
      }
    }
  }
}

// Which tasks a mask and an architecture can learn without seeing the answer.
void CheckTask(ConfigReader& r, const nn::ModelConfig& model, Task task) {
  const bool decoder = model.architecture == nn::Architecture::kDecoder;
  const bool causal = model.mask == nn::Mask::kCausal;
  const bool pairs = PairTaskOf(task).has_value();
  if (!pairs && !decoder) {
    r.Fail("model.architecture", "task " + ToString(task) +
                                     " has one text; expected decoder, got " +
                                     nn::ToString(model.architecture));
  }
  if (!decoder) return;  // the masks of its sides are its own
  const bool prefix = model.mask == nn::Mask::kPrefix;
  const bool fits =
      task == Task::kMlm ? !causal && !prefix : causal || (pairs && prefix);
  if (!fits) {
    r.Fail("model.mask",
           "task " + ToString(task) + " expects " +
               (task == Task::kMlm
                    ? "bidirectional, mixed-heads or mixed-layers"
                    : std::string("causal") + (pairs ? " or prefix" : "")) +
               ", got " + nn::ToString(model.mask));
  }
}

EvaluateConfig ReadEvaluate(ConfigReader& r, const nn::ModelConfig& model,
                            Task task) {
  const int64_t N = model.N;
  EvaluateConfig e;
  e.every = r.Int("evaluate.every", 0, 0, kMany);
  e.schemes = r.Strings("evaluate.schemes");
  if (!r.Has("evaluate.schemes")) e.schemes = {"rope", "window", "rerope"};
  for (const std::string& spelling : e.schemes) {
    try {
      position::ParseScheme(spelling);
    } catch (const std::invalid_argument& error) {
      r.Fail("evaluate.schemes", error.what());
    }
  }
  e.lengths = r.Lengths("evaluate.lengths");
  if (e.lengths.empty()) {
    e.lengths = {N};
    if (task != Task::kMlm) e.lengths.push_back(8 * N);
  }
  e.documents = r.Int("evaluate.documents", 16, 1, 1 << 20);
  e.score_last =
      r.Length("evaluate.score_last",
               *std::min_element(e.lengths.begin(), e.lengths.end()), 1);
  e.repeat = r.Bool("evaluate.repeat", false);
  CheckEvaluation(r, e, model, task);
  return e;
}

}  // namespace

Task ParseTask(const std::string& name) {
  std::string names;
  for (const TaskEntry& entry : kTasks) {
    if (entry.name == name) return entry.task;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw std::invalid_argument("'" + Printable(name, 40) + "' is none of " +
                              names);
}

std::string ToString(Task task) { return std::string(EntryOf(task).name); }

bool NeedsCorpus(Task task) {
  const std::optional<data::PairTask> pairs = PairTaskOf(task);
  return pairs ? data::NeedsText(*pairs)
               : task == Task::kText || task == Task::kMlm;
}

bool JudgedByLength(Task task, const nn::ModelConfig& model) {
  return task == Task::kText &&
         model.architecture == nn::Architecture::kDecoder &&
         model.mask == nn::Mask::kCausal;
}

std::optional<data::PairTask> PairTaskOf(Task task) {
  return EntryOf(task).pairs;
}

TrainConfig ReadTrainConfig(std::string_view text, const std::string& source,
                            const std::vector<std::string>& overrides) {
  ConfigReader r(text, source, overrides);
  TrainConfig c;
  c.name = ReadName(r);
  c.seed = static_cast<uint64_t>(
      r.Int("seed", 1, 0, std::numeric_limits<int64_t>::max()));
  c.model = ReadModel(r);
  c.data = ReadData(r);
  CheckTask(r, c.model, c.data.task);
  c.steps = r.Int("train.steps", 1000, 1, kMany);
  c.batch = r.Int("train.batch", 16, 1, 1 << 20);
  c.accumulation = r.Int("train.accumulation", 1, 1, 1 << 20);
  if (c.batch % c.accumulation != 0) {
    r.Fail("train.accumulation", "must divide train.batch (" +
                                     std::to_string(c.batch) + "), got " +
                                     std::to_string(c.accumulation));
  }
  c.checkpoint_every = r.Int("train.checkpoint_every", 200, 1, kMany);
  c.log_every = r.Int("train.log_every", 10, 1, kMany);
  c.threads = r.Int("train.threads", 0, 0, 1024);
  c.device = ReadDevice(r);
  c.init_from = r.String("train.init_from", "");
  c.optimizer = ReadOptimizer(r, c.steps);
  c.evaluate = ReadEvaluate(r, c.model, c.data.task);
  c.exports = r.Strings("export.types");
  for (const std::string& type : c.exports) {
    const std::vector<std::string> known = {"f32", "f16", "q8_0",
                                            "safetensors"};
    if (std::find(known.begin(), known.end(), type) == known.end()) {
      r.Fail("export.types", "'" + Printable(type, 40) +
                                 "' is none of f32, f16, q8_0, safetensors");
    }
  }
  r.RequireAllRead();
  c.text = r.Text();
  c.values = r.Values();
  return c;
}

bool IsDevice(std::string_view text) {
  if (text == "cpu" || text == "cuda") return true;
  if (!text.starts_with("cuda:")) return false;
  const std::string_view number = text.substr(std::string_view("cuda:").size());
  return !number.empty() && number.size() < 4 &&
         number.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace ropewalk::lab::train
