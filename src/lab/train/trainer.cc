#include "lab/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "evaluate/measure.h"
#include "lab/optim/embedding_monitor.h"
#include "lab/optim/gradients.h"
#include "lab/train/checkpoint.h"
#include "lab/train/export_run.h"
#include "lab/train/scorer.h"
#include "position/scheme.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// Steps without a usable loss in a row before a run is given up. Tiger
// survives a few by shrinking what went wrong (post 9512).
constexpr int64_t kBadSteps = 10;

double Since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string Folder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    throw IoError("cannot make the folder '" + Printable(folder) +
                  "': " + error.message());
  }
  return folder;
}

// Rank 0 builds first, since it may train a tokenizer and fill the cache.
std::unique_ptr<BatchSource> MakeSource(const TrainConfig& config,
                                        const std::string& folder,
                                        Group& group) {
  std::unique_ptr<BatchSource> source;
  if (group.IsFirst()) source = MakeBatchSource(config, folder);
  group.Wait();
  if (!group.IsFirst()) source = MakeBatchSource(config, folder);
  return source;
}

nn::Inputs To(const nn::Inputs& inputs, const at::Device& device) {
  const auto move = [&](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(device) : tensor;
  };
  return {.ids = move(inputs.ids),
          .prefix = move(inputs.prefix),
          .lengths = move(inputs.lengths),
          .encoder_ids = move(inputs.encoder_ids),
          .encoder_lengths = move(inputs.encoder_lengths)};
}

}  // namespace

Trainer::Trainer(TrainConfig config, std::string folder, bool resume,
                 Group& group)
    : config_(std::move(config)),
      folder_(Folder(folder)),
      group_(group),
      device_(config_.device) {
  Require(config_.batch % (config_.accumulation * group.size()) == 0,
          "train.batch must be a multiple of train.accumulation times the " +
              std::to_string(group.size()) + " processes, got " +
              std::to_string(config_.batch));
  const bool exists = fs::exists(File(kCheckpointName));
  Require(resume || !exists,
          "'" + Printable(folder_) +
              "' holds a run already; go on with --resume, or choose another "
              "folder with --out");
  if (config_.threads > 0) {
    at::set_num_threads(static_cast<int>(config_.threads));
  }
  source_ = MakeSource(config_, folder_, group_);
  model_ = std::make_unique<nn::Model>(config_.model, config_.seed);
  if (!exists && !config_.init_from.empty()) InitFrom(config_.init_from);
  model_->To(config_.device);
  optimizer_ = MakeOptimizer(config_, *model_);
  if (exists) Restore();
  if (group_.IsFirst()) {
    WriteFileAtomically(File("config.toml"), config_.text);
    log_ = std::make_unique<RunLog>(folder_, step_);
  }
  record_tokens_ = tokens_;
  record_seconds_ = seconds_;
}

Trainer::~Trainer() = default;

std::string Trainer::File(const std::string& name) const {
  return (fs::path(folder_) / name).string();
}

void Trainer::InitFrom(const std::string& path) {
  const Checkpoint checkpoint = ReadCheckpoint(path);
  const int64_t found = LoadParameters(checkpoint, model_->parameters(), true);
  Require(found > 0, "init_from: no tensor of '" + Printable(path) +
                         "' belongs to the configured model");
  if (group_.IsFirst()) {
    std::fprintf(stderr,
                 "starting from %s after %lld steps: %lld of %zu tensors\n",
                 Printable(checkpoint.path).c_str(),
                 static_cast<long long>(checkpoint.state.step),
                 static_cast<long long>(found), model_->parameters().size());
  }
}

void Trainer::Restore() {
  const Checkpoint checkpoint = ReadCheckpoint(File(kCheckpointName));
  if (checkpoint.state.data != source_->Fingerprint()) {
    throw FormatError(checkpoint.path, 0,
                      "was trained on other data: text or tokenizer have "
                      "changed since");
  }
  LoadParameters(checkpoint, model_->parameters(), false);
  optimizer_->ImportState(checkpoint.optimizer, checkpoint.path);
  step_ = checkpoint.state.step;
  tokens_ = checkpoint.state.tokens;
  seconds_ = checkpoint.state.seconds;
  saved_step_ = step_;
}

void Trainer::Save() {
  if (saved_step_ == step_) return;
  if (group_.IsFirst()) {
    WriteCheckpoint(File(kCheckpointName),
                    {.step = step_,
                     .tokens = tokens_,
                     .seconds = seconds_,
                     .config = config_.text,
                     .data = source_->Fingerprint()},
                    model_->parameters(), *optimizer_);
  }
  saved_step_ = step_;
}

double Trainer::Step() { return Advance().loss; }

Trainer::StepResult Trainer::Advance() {
  const Clock::time_point start = Clock::now();
  const int64_t micro = config_.batch / config_.accumulation;
  const int64_t share = micro / group_.size();
  const double factor =
      optim::ScheduleFactor(config_.optimizer.schedule, step_);
  const bool clips = config_.optimizer.clip > 0;
  StepResult result;
  for (int64_t m = 0; m < config_.accumulation; ++m) {
    const int64_t begin = m * micro + group_.rank() * share;
    const Batch batch = source_->Get(step_, begin, begin + share);
    double tokens = batch.tokens;
    if (group_.size() > 1) {
      std::vector<at::Tensor> sum = {at::full({1}, tokens, at::kDouble)};
      group_.Sum(sum);
      tokens = sum.front().item<double>();
    }
    Require(tokens > 0,
            "a batch without targets at step " + std::to_string(step_));
    const at::Tensor weights =
        batch.weights.defined() ? batch.weights.to(device_) : at::Tensor();
    const at::Tensor hidden = model_->Hidden(To(batch.inputs, device_));
    const at::Tensor loss =
        model_->Loss(hidden, batch.targets.to(device_), weights, tokens);
    loss.backward();
    optim::StepInput input{.lr_factor = factor};
    if (config_.optimizer.lazy_rows) input.occurrence = Occurred(batch);
    const at::Tensor total = Exchange(loss);
    result.loss +=
        total.item<double>() / static_cast<double>(config_.accumulation);
    tokens_ += static_cast<int64_t>(tokens);
    // Tiger takes its gradients a micro-step at a time, the others pile up.
    const bool last = m + 1 == config_.accumulation;
    const double piled = config_.optimizer.name == "tiger" || !last
                             ? 1
                             : 1 / static_cast<double>(config_.accumulation);
    const optim::GradientReport report =
        optim::ReportGradients(model_->parameters(), piled);
    result.norm = report.norm;
    input.gradients_are_finite = report.finite;
    if (clips && last) {
      input.gradient_scale =
          optim::ClipScale(report.norm, config_.optimizer.clip);
    }
    optimizer_->Step(input);
  }
  ++step_;
  seconds_ += Since(start);
  return result;
}

at::Tensor Trainer::Occurred(const Batch& batch) const {
  at::Tensor counts = at::zeros({config_.model.V}, at::kLong);
  const auto mark = [&](const at::Tensor& ids) {
    if (ids.defined()) counts.index_fill_(0, ids.reshape({-1}), 1);
  };
  mark(batch.inputs.ids);
  mark(batch.inputs.encoder_ids);
  std::vector<at::Tensor> sum = {counts};
  group_.Sum(sum);
  return (sum.front() > 0).to(device_);
}

at::Tensor Trainer::Exchange(const at::Tensor& loss) {
  const double stop = PendingInterrupt() != 0 ? 1 : 0;
  if (group_.size() == 1) {
    stopping_ = stop > 0;
    return loss.detach();
  }
  // One process that was told to stop stops all, after the same step.
  std::vector<at::Tensor> tensors = {
      at::tensor({loss.item<double>(), stop}, at::kDouble)};
  group_.Sum(tensors);
  stopping_ = tensors.front()[1].item<double>() > 0;
  std::vector<at::Tensor> gradients;
  for (const optim::Parameter& parameter : model_->parameters()) {
    at::Tensor& gradient = parameter.value.mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(parameter.value);
    gradients.push_back(gradient);
  }
  group_.Sum(gradients);
  return tensors.front()[0];
}

void Trainer::Log(const StepResult& last) {
  if (!group_.IsFirst() || loss_count_ == 0) return;
  StepRecord record{.step = step_,
                    .tokens = tokens_,
                    .loss = loss_sum_ / static_cast<double>(loss_count_)};
  record.learning_rate_factor =
      optim::ScheduleFactor(config_.optimizer.schedule, step_ - 1);
  record.gradient_norm = last.norm;
  record.seconds = seconds_;
  record.tokens_per_second = static_cast<double>(tokens_ - record_tokens_) /
                             std::max(1e-9, seconds_ - record_seconds_);
  record.largest_embedding =
      model_->parameters().front().value.detach().abs().max().item<double>();
  log_->Add(record);
  loss_sum_ = 0;
  loss_count_ = 0;
  record_tokens_ = tokens_;
  record_seconds_ = seconds_;
}

void Trainer::Evaluate() {
  if (!group_.IsFirst()) return;
  const bool by_length =
      config_.data.task == Task::kText &&
      config_.model.architecture == nn::Architecture::kDecoder &&
      config_.model.mask == nn::Mask::kCausal;
  if (!by_length) {
    EvaluateTask();
  } else if (!config_.evaluate.schemes.empty()) {
    EvaluateByLength();
  }
}

void Trainer::EvaluateTask() {
  const at::NoGradGuard no_grad;
  EvaluationRecord record{.step = step_};
  for (const int64_t length : source_->TestLengths()) {
    evaluate::MeasureRow row{.position = config_.model.position,
                             .resolved = config_.model.position,
                             .set = ToString(config_.data.task),
                             .length = length};
    const Clock::time_point start = Clock::now();
    double losses = 0;
    double squares = 0;
    double correct = 0;
    const int64_t samples = config_.evaluate.documents;
    const int64_t at_once = std::max<int64_t>(
        1, config_.batch * config_.model.N / std::max<int64_t>(1, length));
    for (int64_t begin = 0; begin < samples; begin += at_once) {
      const Batch batch =
          source_->Test(length, begin, std::min(samples, begin + at_once));
      const ops::RowScores rows = model_->Score(
          model_->Hidden(To(batch.inputs, device_)), batch.targets.to(device_));
      const at::Tensor weights = batch.weights.defined()
                                     ? batch.weights.to(device_).to(at::kDouble)
                                     : at::ones_like(rows.losses);
      losses += (rows.losses * weights).sum().item<double>();
      squares += (rows.losses.square() * weights).sum().item<double>();
      correct += (rows.correct.to(at::kDouble) * weights).sum().item<double>();
      row.tokens += static_cast<int64_t>(batch.tokens);
      ThrowIfInterrupted();
    }
    const auto n = static_cast<double>(std::max<int64_t>(1, row.tokens));
    row.loss = losses / n;
    row.accuracy = correct / n;
    row.loss_stderr =
        std::sqrt(std::max(0.0, squares / n - row.loss * row.loss) / n);
    row.seconds = Since(start);
    record.rows.push_back(row);
  }
  if (!record.rows.empty()) log_->Add(record);
}

void Trainer::EvaluateByLength() {
  const int64_t longest = *std::max_element(config_.evaluate.lengths.begin(),
                                            config_.evaluate.lengths.end());
  std::vector<evaluate::Document> documents =
      source_->HeldOut(longest, config_.evaluate.documents);
  if (documents.empty()) {
    if (config_.evaluate.every > 0 && !warned_) {
      std::fprintf(stderr,
                   "no held-out document of %lld tokens: nothing to evaluate\n",
                   static_cast<long long>(longest + 1));
    }
    warned_ = true;
    return;
  }
  evaluate::MeasureOptions options{.spellings = config_.evaluate.schemes,
                                   .lengths = config_.evaluate.lengths,
                                   .score_last = config_.evaluate.score_last,
                                   .repeat = config_.evaluate.repeat};
  for (const std::string& spelling : options.spellings) {
    options.schemes.push_back(position::ParseScheme(spelling));
  }
  LabScorer scorer(*model_);
  evaluate::Measurement measurement(scorer, std::move(documents), options);
  Progress progress("evaluating", measurement.TotalWork(), "tokens");
  evaluate::MeasureResult result;
  evaluate::MeasureCallbacks callbacks;
  callbacks.on_tokens = [&](int64_t count, double work) {
    progress.Add(count, work);
    ThrowIfInterrupted();
  };
  measurement.Run(callbacks, result);
  log_->Add(EvaluationRecord{.step = step_, .rows = result.rows});
}

void Trainer::WritePage() {
  if (!group_.IsFirst()) return;
  PageFacts facts{.name = config_.name,
                  .config = config_.text,
                  .train_length = config_.model.N};
  facts.facts = {
      {"parameters",
       FormatCount(static_cast<double>(model_->ParameterCount()))},
      {"data", source_->Describe()},
      {"step", std::to_string(step_) + " of " + std::to_string(config_.steps)},
      {"tokens", FormatCount(static_cast<double>(tokens_))},
      {"time", FormatDuration(seconds_)},
      {"position", config_.model.position},
      {"optimizer", config_.optimizer.name + ", state " +
                        FormatBytes(optimizer_->StateBytes())}};
  WriteFileAtomically(File("index.html"), RunPage(*log_, facts));
}

void Trainer::Export() {
  if (!group_.IsFirst() || config_.exports.empty()) return;
  ExportRun(config_, *model_, source_->TokenizerKeys(), folder_);
}

void Trainer::Run() {
  if (group_.IsFirst()) {
    std::fprintf(
        stderr, "%s: %s parameters, %s; %lld threads\n",
        Printable(config_.name).c_str(),
        FormatCount(static_cast<double>(model_->ParameterCount())).c_str(),
        source_->Describe().c_str(),
        static_cast<long long>(at::get_num_threads()));
  }
  const auto tokens_of_step =
      static_cast<double>(config_.batch * config_.model.N);
  {
    Progress progress(
        config_.name,
        tokens_of_step * static_cast<double>(config_.steps - step_), "tokens");
    while (step_ < config_.steps) {
      const int64_t before = tokens_;
      const StepResult result = Advance();
      progress.Add(tokens_ - before, tokens_of_step);
      if (std::isfinite(result.loss)) {
        bad_steps_ = 0;
        loss_sum_ += result.loss;
        ++loss_count_;
        progress.SetLabel(config_.name + " loss " +
                          FormatNumber(std::round(result.loss * 1000) / 1000));
      } else if (++bad_steps_ >= BadStepsAllowed()) {
        throw std::runtime_error(
            "the loss is not a number at step " + std::to_string(step_) +
            (saved_step_ >= 0 ? "; the checkpoint of step " +
                                    std::to_string(saved_step_) + " is kept"
                              : "") +
            "; a smaller learning_rate or a clip may help");
      }
      if (stopping_ && bad_steps_ == 0) {
        Log(result);
        Save();
        throw Interrupted();
      }
      const bool last = step_ == config_.steps;
      const bool saves = last || step_ % config_.checkpoint_every == 0;
      // A record at every checkpoint: what is summed up is in no checkpoint.
      if (saves || step_ % config_.log_every == 0) Log(result);
      const bool evaluates = last || (config_.evaluate.every > 0 &&
                                      step_ % config_.evaluate.every == 0);
      if (evaluates) {
        progress.Clear();
        Evaluate();
      }
      if (bad_steps_ == 0 && (last || step_ % config_.checkpoint_every == 0)) {
        Save();
        WritePage();
      }
    }
  }
  WritePage();
  Export();
}

int64_t Trainer::BadStepsAllowed() const {
  return config_.optimizer.name == "tiger" ? kBadSteps : 1;
}

}  // namespace ropewalk::lab::train
