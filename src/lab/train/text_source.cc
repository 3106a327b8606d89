#include "lab/train/text_source.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "formats/text_file.h"
#include "lab/data/corpus.h"
#include "lab/data/tokenize_corpus.h"
#include "lab/data/train_tokenizer.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<data::TextTokenizer> MakeTokenizer(const TrainConfig& config,
                                                   const data::Corpus& corpus,
                                                   const std::string& folder) {
  std::string path = config.data.tokenizer;
  if (path.empty()) {
    path = (fs::path(folder) / "tokenizer.model").string();
    if (!fs::exists(path)) {
      std::fprintf(stderr, "training a tokenizer of %lld pieces\n",
                   static_cast<long long>(config.model.V));
      WriteFileAtomically(
          path, data::TrainTokenizer(corpus, {.vocabulary = config.model.V,
                                              .seed = config.seed}));
    }
  }
  return std::make_unique<data::TextTokenizer>(
      data::TextTokenizer::Load(path, config.model.V));
}

}  // namespace

std::string CacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && *cache != '\0') {
    return (fs::path(cache) / "ropewalk").string();
  }
  const char* home = std::getenv("HOME");
  return (fs::path(home == nullptr ? "." : home) / ".cache" / "ropewalk")
      .string();
}

TextData::TextData(const TrainConfig& config, const std::string& folder) {
  const data::CorpusOptions options{.join_lines = config.data.join_lines,
                                    .max_bytes = config.data.max_bytes};
  const data::Corpus corpus(config.data.train, options);
  tokenizer_ = MakeTokenizer(config, corpus, folder);
  const std::string cache = config.data.cache.empty()
                                ? (fs::path(CacheFolder()) / "tokens").string()
                                : config.data.cache;
  const auto threads = MakeThreadPool(config.threads);
  train_ = std::make_unique<data::TokenFile>(
      data::CachedTokens(corpus, *tokenizer_, *threads, cache));
  if (!config.data.heldout.empty()) {
    const data::Corpus other(config.data.heldout,
                             {.join_lines = config.data.join_lines});
    held_out_ = std::make_unique<data::TokenFile>(
        data::CachedTokens(other, *tokenizer_, *threads, cache));
  }
  // Texts held out by the config need no share of the training texts.
  split_ = data::SplitDocuments(
      *train_, {.fraction = held_out_ ? 0 : config.data.heldout_fraction,
                .seed = config.seed});
}

std::string TextData::Fingerprint() const {
  return std::to_string(tokenizer_->fingerprint()) + "/" +
         std::to_string(train_->key().corpus);
}

std::string TextData::Describe() const {
  const auto held = held_out_ ? held_out_->documents()
                              : static_cast<int64_t>(split_.held_out.size());
  return FormatCount(static_cast<double>(train_->tokens())) + " tokens of " +
         std::to_string(split_.train.size()) + " documents, " +
         std::to_string(held) + " held out";
}

std::vector<evaluate::Document> TextData::HeldOut(int64_t length,
                                                  int64_t count) const {
  const data::TokenFile& file = held_out_ ? *held_out_ : *train_;
  std::vector<int64_t> numbers = split_.held_out;
  if (held_out_) {
    numbers.clear();
    for (int64_t i = 0; i < file.documents(); ++i) numbers.push_back(i);
  }
  std::erase_if(numbers, [&](int64_t i) { return file.size(i) <= length; });
  std::vector<evaluate::Document> pieces;
  const auto left = [&] { return count - static_cast<int64_t>(pieces.size()); };
  for (size_t i = 0; i < numbers.size() && left() > 0; ++i) {
    const auto documents = static_cast<int64_t>(numbers.size() - i);
    const int64_t share = (left() + documents - 1) / documents;
    for (evaluate::Document& piece :
         evaluate::CutPieces(file.Read(numbers[i]), length + 1, share)) {
      pieces.push_back(std::move(piece));
    }
  }
  return pieces;
}

namespace {

// Next tokens of text.
class TextSource : public BatchSource {
 public:
  TextSource(const TrainConfig& config, const std::string& folder)
      : data_(config, folder),
        sampler_(data_.train(), data_.split().train,
                 {.batch = config.batch,
                  .length = config.model.N,
                  .seed = config.seed,
                  .repeat_fraction = config.data.repeat_fraction}) {}

  Batch Get(int64_t step, int64_t begin, int64_t end) override {
    const data::LmBatch rows = sampler_.Rows(step, {begin, end});
    const at::Tensor all =
        at::tensor(rows.ids, at::kLong).view({rows.B, rows.columns});
    const int64_t N = rows.columns - 1;
    Batch batch;
    batch.inputs.ids = all.narrow(1, 0, N).contiguous();
    batch.targets = all.narrow(1, 1, N).reshape({-1});
    batch.tokens = static_cast<double>(rows.B * N);
    return batch;
  }

  std::string Fingerprint() const override { return data_.Fingerprint(); }
  std::string Describe() const override { return data_.Describe(); }
  std::vector<evaluate::Document> HeldOut(int64_t length,
                                          int64_t count) const override {
    return data_.HeldOut(length, count);
  }
  const formats::Metadata* TokenizerKeys() const override {
    return &data_.tokenizer().metadata();
  }

 private:
  TextData data_;
  data::LmSampler sampler_;
};

}  // namespace

std::unique_ptr<BatchSource> MakeBatchSource(const TrainConfig& config,
                                             const std::string& folder) {
  Require(config.data.task == Task::kText,
          "task " + ToString(config.data.task) + " has no batches yet");
  return std::make_unique<TextSource>(config, folder);
}

}  // namespace ropewalk::lab::train
