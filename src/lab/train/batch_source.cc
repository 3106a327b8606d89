#include "lab/train/batch_source.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/random.h"
#include "lab/data/formal_tasks.h"
#include "lab/data/masked_batch.h"
#include "lab/data/pair_tasks.h"
#include "lab/data/zipf_batches.h"
#include "lab/train/text_source.h"

namespace ropewalk::lab::train {
namespace {

using data::LmBatch;

// Where tests begin, beyond the samples and steps of any training. The seed
// stays that of training where it also says what there is to learn: the code
// of cipher, what follows what in zipf.
constexpr int64_t kTests = int64_t{1} << 60;

// What other tests are drawn with; training has the config's own seed.
uint64_t TestSeed(const TrainConfig& config) {
  return config.seed ^ 0x9e3779b97f4a7c15;
}

at::Tensor Ints(const std::vector<int64_t>& values, at::IntArrayRef shape) {
  return at::tensor(values, at::kLong).view(shape);
}

at::Tensor Floats(const std::vector<float>& values) {
  return at::tensor(values, at::kFloat);
}

Batch Weighted(Batch batch) {
  batch.tokens = batch.weights.to(at::kDouble).sum().item<double>();
  return batch;
}

// The id of a line's end, where lines end in an id of their own.
std::optional<Token> LineEnd(const data::TextTokenizer& tokenizer) {
  data::TextEncoder encoder(tokenizer);
  std::vector<Token> word;
  std::vector<Token> line;
  encoder.Append("a", &word);
  encoder.Append("a\n", &line);
  if (line.size() != word.size() + 1) return std::nullopt;
  return line.back();
}

// Inputs are all columns but the last, targets all but the first.
Batch NextTokens(const LmBatch& rows) {
  const at::Tensor all = Ints(rows.ids, {rows.B, rows.columns});
  const int64_t N = rows.columns - 1;
  Batch batch;
  batch.inputs.ids = all.narrow(1, 0, N).contiguous();
  batch.targets = all.narrow(1, 1, N).reshape({-1});
  batch.tokens = static_cast<double>(rows.B * N);
  return batch;
}

class TextSource : public BatchSource {
 public:
  TextSource(const TrainConfig& config, const std::string& folder)
      : config_(config),
        text_(config, folder),
        train_(
            text_.train(), text_.train_documents(),
            Options(config.model.N, config.seed, config.data.repeat_fraction)),
        seed_(TestSeed(config)) {
    if (config.data.task == Task::kMlm) {
      mask_ = {.first_normal = 3, .vocabulary = config.model.V};
      // No piece is spare for the mask, and <unk> never comes out of text:
      // every byte has a piece.
      mask_.mask = 0;
    }
  }

  Batch Get(int64_t step, int64_t begin, int64_t end) override {
    return Make(train_.Rows(step, {begin, end}), config_.seed, step, begin);
  }

  Batch Test(int64_t length, int64_t begin, int64_t end) override {
    std::unique_ptr<data::LmSampler>& test = tests_[length];
    if (!test) {
      test = std::make_unique<data::LmSampler>(text_.held_out(),
                                               text_.held_out_documents(),
                                               Options(length, seed_, 0));
    }
    // Steps of one row each, so that a test is the same in any batches.
    LmBatch rows{.columns = length + 1};
    for (int64_t row = begin; row < end; ++row) {
      const LmBatch one = test->Rows(row, {0, 1});
      rows.ids.insert(rows.ids.end(), one.ids.begin(), one.ids.end());
      ++rows.B;
    }
    return Make(rows, seed_, 0, begin);
  }

  // Those that the held-out text can fill.
  std::vector<int64_t> TestLengths() const override {
    std::vector<int64_t> lengths;
    if (text_.held_out_documents().empty()) return lengths;
    const int64_t tokens =
        data::TokenStream(text_.held_out(), text_.held_out_documents()).size();
    for (const int64_t length : config_.evaluate.lengths) {
      if (length < tokens) {
        lengths.push_back(length);
      } else if (!warned_) {
        std::fprintf(stderr,
                     "the held-out documents have %lld tokens in all: length "
                     "%lld is not evaluated\n",
                     static_cast<long long>(tokens),
                     static_cast<long long>(length));
      }
    }
    warned_ = true;
    return lengths;
  }

  std::string Fingerprint() const override { return text_.Fingerprint(); }
  std::string Describe() const override { return text_.Describe(); }
  std::vector<evaluate::Document> HeldOut(int64_t length,
                                          int64_t count) const override {
    return text_.HeldOut(length, count);
  }
  const formats::Metadata* TokenizerKeys() const override {
    return &text_.tokenizer().metadata();
  }

 private:
  data::LmOptions Options(int64_t length, uint64_t seed, double repeat) const {
    return {.batch = config_.batch,
            .length = length,
            .seed = seed,
            .repeat_fraction = repeat};
  }

  Batch Make(const LmBatch& rows, uint64_t seed, int64_t step,
             int64_t first_row) {
    if (config_.data.task != Task::kMlm) return NextTokens(rows);
    mask_.seed = seed;
    const data::MaskedBatch masked =
        data::MaskRows(rows, mask_, step, first_row);
    Batch batch;
    batch.inputs.ids = Ints(masked.ids, {masked.B, masked.T});
    batch.targets = Ints(masked.targets, {-1});
    batch.weights = Floats(masked.weights);
    return Weighted(std::move(batch));
  }

  TrainConfig config_;
  TextData text_;
  data::LmSampler train_;
  std::map<int64_t, std::unique_ptr<data::LmSampler>> tests_;  // by length
  data::MaskOptions mask_;
  uint64_t seed_;
  mutable bool warned_ = false;  // of lengths that are not evaluated
};

class PairSource : public BatchSource {
 public:
  PairSource(const TrainConfig& config, const std::string& folder)
      : config_(config) {
    const std::optional<data::PairTask> task = PairTaskOf(config.data.task);
    ROPEWALK_CHECK(task.has_value());
    if (data::NeedsText(*task)) {
      text_ = std::make_unique<TextData>(config, folder);
      train_text_ = std::make_unique<data::TokenStream>(
          text_->train(), text_->train_documents());
      test_text_ = std::make_unique<data::TokenStream>(
          text_->held_out(), text_->held_out_documents());
    }
    train_ = std::make_unique<data::PairMaker>(Options(*task, config.seed),
                                               train_text_.get());
    if (text_ == nullptr || test_text_->size() > config.model.N) {
      test_ = std::make_unique<data::PairMaker>(Options(*task, config.seed),
                                                test_text_.get());
    }
  }

  Batch Get(int64_t step, int64_t begin, int64_t end) override {
    return LayOut(train_->Make(step * config_.batch + begin, end - begin));
  }
  Batch Test(int64_t, int64_t begin, int64_t end) override {
    return LayOut(test_->Make(kTests + begin, end - begin));
  }
  std::vector<int64_t> TestLengths() const override {
    return test_ ? std::vector<int64_t>{config_.model.N}
                 : std::vector<int64_t>{};
  }
  std::string Fingerprint() const override {
    return text_ ? text_->Fingerprint() : ToString(config_.data.task);
  }
  std::string Describe() const override {
    return text_ ? text_->Describe() : "made-up pairs";
  }
  std::vector<evaluate::Document> HeldOut(int64_t, int64_t) const override {
    return {};
  }
  const formats::Metadata* TokenizerKeys() const override {
    return text_ ? &text_->tokenizer().metadata() : nullptr;
  }

 private:
  data::PairTaskOptions Options(data::PairTask task, uint64_t seed) const {
    data::PairTaskOptions o =
        data::PairsWithin(task, config_.model.N, config_.model.V);
    o.seed = seed;
    if (task == data::PairTask::kCipher) {
      o.verse_end = LineEnd(text_->tokenizer());
    }
    return o;
  }

  Batch LayOut(const std::vector<data::SequencePair>& pairs) const {
    Batch batch;
    const bool recall = config_.data.task == Task::kRecall;
    const data::PairLayout layout{.score_end = !recall,
                                  .score_every = recall ? 2 : 1};
    if (config_.model.architecture == nn::Architecture::kDecoder) {
      const data::StreamBatch s = data::LayOutStream(pairs, layout);
      batch.inputs.ids = Ints(s.ids, {s.B, s.T});
      batch.inputs.prefix = Ints(s.prefix, {s.B});
      batch.inputs.lengths = Ints(s.lengths, {s.B});
      batch.targets = Ints(s.targets, {-1});
      batch.weights = Floats(s.weights);
    } else {
      const data::EncoderDecoderBatch s =
          data::LayOutEncoderDecoder(pairs, layout);
      batch.inputs.encoder_ids = Ints(s.source, {s.B, s.S});
      batch.inputs.encoder_lengths = Ints(s.source_lengths, {s.B});
      batch.inputs.ids = Ints(s.ids, {s.B, s.T});
      batch.inputs.lengths = Ints(s.lengths, {s.B});
      batch.targets = Ints(s.targets, {-1});
      batch.weights = Floats(s.weights);
    }
    return Weighted(std::move(batch));
  }

  TrainConfig config_;
  std::unique_ptr<TextData> text_;
  std::unique_ptr<data::TokenStream> train_text_;
  std::unique_ptr<data::TokenStream> test_text_;
  std::unique_ptr<data::PairMaker> train_;
  std::unique_ptr<data::PairMaker> test_;
};

// Even pairs: the answer follows the query at the end, and is all the loss.
class FormalSource : public BatchSource {
 public:
  explicit FormalSource(const TrainConfig& config) : config_(config) {
    Require(config.model.V >= data::kFormalVocabulary && config.model.N >= 3,
            "task even-pairs needs model.vocabulary of at least " +
                std::to_string(data::kFormalVocabulary) +
                " and model.length of at least 3");
  }

  // All lengths up to N, one a step, so that no row needs padding; as many of
  // each octave, as short ones are learned first and long ones from them.
  Batch Get(int64_t step, int64_t begin, int64_t end) override {
    Rng rng(config_.seed * 0x9e3779b97f4a7c15 + static_cast<uint64_t>(step));
    const auto most = static_cast<double>(config_.model.N - 1);
    const auto symbols =
        static_cast<int64_t>(std::exp(rng.Uniform() * std::log(most)));
    return Make(config_.seed, symbols, step * config_.batch + begin,
                end - begin);
  }
  Batch Test(int64_t length, int64_t begin, int64_t end) override {
    return Make(TestSeed(config_), length - 2, begin, end - begin);
  }
  std::vector<int64_t> TestLengths() const override {
    return config_.evaluate.lengths;
  }
  std::string Fingerprint() const override { return "even-pairs"; }
  std::string Describe() const override { return "even pairs"; }
  std::vector<evaluate::Document> HeldOut(int64_t, int64_t) const override {
    return {};
  }

 private:
  static Batch Make(uint64_t seed, int64_t symbols, int64_t first,
                    int64_t count) {
    const data::FormalBatch rows =
        data::MakeEvenPairs(seed, symbols, first, count);
    Batch batch;
    batch.inputs.ids = Ints(rows.ids, {rows.B, rows.columns});
    at::Tensor targets = at::zeros({rows.B, rows.columns}, at::kLong);
    at::Tensor weights = at::zeros({rows.B, rows.columns}, at::kFloat);
    targets.select(1, rows.columns - 1).copy_(Ints(rows.answers, {rows.B}));
    weights.select(1, rows.columns - 1).fill_(1);
    batch.targets = targets.view({-1});
    batch.weights = weights.view({-1});
    return Weighted(std::move(batch));
  }

  TrainConfig config_;
};

class ZipfSource : public BatchSource {
 public:
  explicit ZipfSource(const TrainConfig& config)
      : config_(config), sampler_(Options(config)) {}

  Batch Get(int64_t step, int64_t begin, int64_t end) override {
    return NextTokens(sampler_.Rows(step, {begin, end}));
  }
  Batch Test(int64_t, int64_t begin, int64_t end) override {
    LmBatch rows{.columns = config_.model.N + 1};
    for (int64_t row = begin; row < end; ++row) {
      const LmBatch one = sampler_.Rows(kTests + row, {0, 1});
      rows.ids.insert(rows.ids.end(), one.ids.begin(), one.ids.end());
      ++rows.B;
    }
    return NextTokens(rows);
  }
  std::vector<int64_t> TestLengths() const override {
    return {config_.model.N};
  }
  std::string Fingerprint() const override { return "zipf"; }
  std::string Describe() const override { return "Zipf tokens"; }
  std::vector<evaluate::Document> HeldOut(int64_t, int64_t) const override {
    return {};
  }

 private:
  static data::ZipfOptions Options(const TrainConfig& config) {
    return {.vocabulary = config.model.V,
            .exponent = config.data.zipf_exponent,
            .batch = config.batch,
            .length = config.model.N,
            .seed = config.seed};
  }

  TrainConfig config_;
  data::ZipfSampler sampler_;
};

}  // namespace

std::unique_ptr<BatchSource> MakeBatchSource(const TrainConfig& config,
                                             const std::string& folder) {
  switch (config.data.task) {
    case Task::kText:
    case Task::kMlm:
      return std::make_unique<TextSource>(config, folder);
    case Task::kEvenPairs:
      return std::make_unique<FormalSource>(config);
    case Task::kZipf:
      return std::make_unique<ZipfSource>(config);
    case Task::kContinue:
    case Task::kFill:
    case Task::kCipher:
    case Task::kCopy:
    case Task::kReverse:
    case Task::kSort:
    case Task::kRecall:
      return std::make_unique<PairSource>(config, folder);
  }
  ROPEWALK_CHECK(false);
  return nullptr;
}

}  // namespace ropewalk::lab::train
