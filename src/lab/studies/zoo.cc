#include "lab/studies/zoo.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
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
  if (const auto difference = train::FirstDifference(
          train::IdentityOf(was, train::KeyEffect::kReport),
          train::IdentityOf(config, train::KeyEffect::kReport))) {
    throw IoError("'" + Printable(folder, 200) +
                  "' holds a model of another config: " + *difference +
                  "; remove the folder to train it anew");
  }
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
  const StudyCorpus corpus =
      spec.reads_bible ? BibleCorpus(fs::path(folder_).parent_path().string())
                       : corpus_;
  std::vector<std::string> overrides = {
      "seed=" + std::to_string(spec.seed),
      "data.train=" + TomlStrings(corpus.train),
      "data.heldout=" + TomlStrings(corpus.held_out),
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
  const train::TrainConfig config = ConfigOf(spec);
  const fs::path folder = fs::path(folder_) / spec.Label();
  const fs::path file = folder / (config.name + "-f32.gguf");
  const bool exports = !config.exports.empty();
  fs::create_directories(folder);
  const FolderLock lock(folder.string(), "it trains " + spec.Label());
  const auto finished = [&] {
    const fs::path path = folder / train::kCheckpointName;
    if (!fs::exists(path)) return false;
    const train::Checkpoint checkpoint = train::ReadCheckpoint(path.string());
    RequireSame(checkpoint, config, folder.string());
    if (checkpoint.state.step != config.steps) return false;
    if (exports) return fs::exists(file);
    const train::RunLog log(folder.string(), config.steps);
    return !log.evaluations().empty() &&
           log.evaluations().back().step == config.steps;
  };
  if (!finished()) {
    const std::unique_ptr<train::Group> alone = train::MakeSingleGroup();
    train::Trainer trainer(config, folder.string(), /*resume=*/true, *alone);
    trainer.Run();
    if (!finished()) {
      throw IoError("'" + spec.Label() + "' was trained but not " +
                    (exports ? "exported" : "tested"));
    }
  }
  const train::RunLog log(folder.string(), config.steps);
  TrainedModel model{.checkpoint = (folder / train::kCheckpointName).string(),
                     .curve = log.steps()};
  if (exports) {
    model.file = file.string();
  } else {
    model.task_rows = log.evaluations().back().rows;
  }
  return model;
}

const std::vector<evaluate::Document>& Zoo::HeldOut() {
  if (!held_out_.empty()) return held_out_;
  const train::TrainConfig config = ConfigOf({.name = "held-out"});
  const data::TextTokenizer tokenizer =
      data::TextTokenizer::Load(config.data.tokenizer, config.model.V);
  const auto threads = MakeThreadPool(threads_);
  const data::Corpus texts(corpus_.held_out, OptionsOf(config));
  const data::TokenFile tokens = data::CachedTokens(
      texts, tokenizer, *threads,
      train::UsableCache((fs::path(train::CacheFolder()) / "tokens").string(),
                         (fs::path(folder_) / "tokens").string()));
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
