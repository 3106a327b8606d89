#include "lab/studies/zoo.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/folder_lock.h"
#include "base/parallel.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/data/corpus.h"
#include "lab/data/held_out.h"
#include "lab/data/text_tokenizer.h"
#include "lab/data/tokenize_corpus.h"
#include "lab/data/train_tokenizer.h"
#include "lab/train/checkpoint.h"
#include "lab/train/group.h"
#include "lab/train/identity.h"
#include "lab/train/run_log.h"
#include "lab/train/text_source.h"
#include "lab/train/trainer.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

std::string TomlStrings(const std::vector<std::string>& strings) {
  std::string text = "[";
  for (const std::string& one : strings) {
    text += (text.size() > 1 ? ", " : "") + std::string("\"");
    for (const char c : one) {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text + "]";
}

data::CorpusOptions OptionsOf(const train::TrainConfig& config) {
  return {.join_lines = config.data.join_lines};
}

// A model that stands in the cache from before its config was changed.
void RequireSame(const train::Checkpoint& checkpoint,
                 const train::TrainConfig& config, const std::string& folder) {
  const train::TrainConfig was =
      train::ReadTrainConfig(checkpoint.state.config, checkpoint.path, {});
  std::optional<std::string> difference =
      train::FirstDifference(train::IdentityOf(was), train::IdentityOf(config));
  if (!difference &&
      was.optimizer.learning_rate != config.optimizer.learning_rate) {
    difference = "optimizer.learning_rate was " +
                 FormatNumber(was.optimizer.learning_rate) + " and is " +
                 FormatNumber(config.optimizer.learning_rate);
  }
  if (!difference) return;
  throw IoError("'" + Printable(folder, 200) +
                "' holds a model of another config: " + *difference +
                "; remove the folder to train it anew");
}

}  // namespace

Zoo::Zoo(Setting setting, StudyCorpus corpus, std::string folder,
         int64_t threads)
    : setting_(std::move(setting)),
      corpus_(std::move(corpus)),
      folder_(std::move(folder)),
      threads_(threads) {
  fs::create_directories(folder_);
}

// One for all models, whatever their seed.
std::string Zoo::Tokenizer() {
  const std::string path = (fs::path(folder_) / "tokenizer.model").string();
  if (fs::exists(path)) return path;
  const train::TrainConfig config = train::ReadTrainConfig(
      setting_.config, "config", {"data.train=" + TomlStrings(corpus_.train)});
  std::fprintf(stderr, "training a tokenizer of %lld pieces\n",
               static_cast<long long>(config.model.V));
  const data::Corpus texts(corpus_.train, OptionsOf(config));
  WriteFileAtomically(
      path,
      data::TrainTokenizer(texts, {.vocabulary = config.model.V, .seed = 1}));
  return path;
}

train::TrainConfig Zoo::ConfigOf(const ModelSpec& spec,
                                 const std::vector<std::string>& more) {
  std::vector<std::string> overrides = {
      "seed=" + std::to_string(spec.seed),
      "data.train=" + TomlStrings(corpus_.train),
      "data.heldout=" + TomlStrings(corpus_.held_out),
      "data.tokenizer=" + Tokenizer()};
  if (!spec.stack.empty()) {
    const fs::path path = fs::path(folder_) / "stacks" / (spec.name + ".toml");
    fs::create_directories(path.parent_path());
    WriteFileAtomically(path.string(),
                        "layers = " + TomlStrings(spec.stack) + "\n");
    overrides.push_back("model.position=@" + path.string());
  }
  if (!spec.starts_from.empty()) {
    const ModelSpec from{.name = spec.starts_from, .seed = spec.seed};
    overrides.push_back("train.init_from=" +
                        (fs::path(folder_) / from.Label()).string());
  }
  overrides.insert(overrides.end(), spec.overrides.begin(),
                   spec.overrides.end());
  if (threads_ > 0) {
    overrides.push_back("train.threads=" + std::to_string(threads_));
  }
  overrides.insert(overrides.end(), more.begin(), more.end());
  return train::ReadTrainConfig(setting_.config,
                                "studies/" + ToString(setting_.scale) + ".toml",
                                overrides);
}

double Zoo::TryStep(const ModelSpec& spec, int64_t sequences) {
  const fs::path folder = fs::path(folder_) / (spec.Label() + "-step");
  fs::remove_all(folder);
  const std::unique_ptr<train::Group> alone = train::MakeSingleGroup();
  double loss = 0;
  {
    train::Trainer trainer(
        ConfigOf(spec, {"train.device=cpu", "train.steps=1",
                        "train.batch=" + std::to_string(sequences),
                        "train.accumulation=1"}),
        folder.string(), /*resume=*/false, *alone);
    loss = trainer.Step();
  }
  fs::remove_all(folder);
  return loss;
}

TrainedModel Zoo::Obtain(const ModelSpec& spec) {
  if (!spec.starts_from.empty()) {
    (void)Obtain({.name = spec.starts_from, .seed = spec.seed});
  }
  TrainedModel model{.spec = spec,
                     .folder = (fs::path(folder_) / spec.Label()).string(),
                     .config = ConfigOf(spec)};
  const train::TrainConfig& config = model.config;
  const std::string file =
      (fs::path(model.folder) / (config.name + "-f32.gguf")).string();
  const bool exports = !config.exports.empty();
  const auto finished = [&] {
    const fs::path checkpoint = fs::path(model.folder) / train::kCheckpointName;
    return fs::exists(checkpoint) && (!exports || fs::exists(file)) &&
           train::ReadCheckpoint(checkpoint.string()).state.step ==
               config.steps;
  };
  fs::create_directories(model.folder);
  const FolderLock lock(model.folder, "it trains " + spec.Label());
  if (!finished()) {
    const std::unique_ptr<train::Group> alone = train::MakeSingleGroup();
    train::Trainer trainer(config, model.folder, /*resume=*/true, *alone);
    trainer.Run();
  }
  if (exports) {
    if (!fs::exists(file)) {
      throw IoError("'" + spec.Label() + "' was trained but not exported");
    }
    model.file = file;
  } else {
    const train::RunLog log(model.folder, config.steps);
    if (!log.evaluations().empty()) {
      model.task_rows = log.evaluations().back().rows;
    }
  }
  return model;
}

const std::vector<evaluate::Document>& Zoo::HeldOut() {
  if (!held_out_.empty()) return held_out_;
  const train::TrainConfig config = ConfigOf({.name = "held-out"});
  const data::TextTokenizer tokenizer =
      data::TextTokenizer::Load(config.data.tokenizer, config.model.V);
  const auto threads = MakeThreadPool(0);
  const data::Corpus texts(corpus_.held_out, OptionsOf(config));
  const data::TokenFile tokens =
      data::CachedTokens(texts, tokenizer, *threads,
                         (fs::path(train::CacheFolder()) / "tokens").string());
  std::vector<int64_t> all;
  for (int64_t d = 0; d < tokens.documents(); ++d) all.push_back(d);
  held_out_ = data::HeldOutPieces(tokens, all, setting_.Longest() + 1,
                                  setting_.documents);
  Require(static_cast<int64_t>(held_out_.size()) >= setting_.documents,
          "the held-out texts hold " + std::to_string(held_out_.size()) +
              " pieces of " + std::to_string(setting_.Longest() + 1) +
              " tokens; the study wants " + std::to_string(setting_.documents));
  return held_out_;
}

}  // namespace ropewalk::lab::studies
