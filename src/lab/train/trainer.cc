#include "lab/train/trainer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "base/text.h"
#include "formats/text_file.h"
#include "lab/ops/product.h"
#include "lab/optim/embedding_monitor.h"
#include "lab/optim/gradients.h"
#include "lab/train/checkpoint.h"
#include "lab/train/export_run.h"
#include "lab/train/identity.h"

namespace ropewalk::lab::train {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

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
  std::exception_ptr error;
  if (group.IsFirst()) {
    try {
      source = MakeBatchSource(config, folder);
    } catch (...) {
      error = std::current_exception();
    }
  }
  const bool failed = group.Any(error != nullptr);
  if (error) std::rethrow_exception(error);
  if (failed) throw PeerFailed();
  if (!group.IsFirst()) source = MakeBatchSource(config, folder);
  return source;
}

// What a checkpoint was trained by.
TrainConfig ConfigOf(const Checkpoint& checkpoint) {
  try {
    return ReadTrainConfig(checkpoint.state.config, checkpoint.path, {});
  } catch (const std::invalid_argument& error) {
    throw FormatError(checkpoint.path, 0,
                      std::string("its config is not valid: ") + error.what());
  }
}

// "cuda" is each process's own.
std::string DeviceOf(const std::string& device) {
  const char* rank = std::getenv("LOCAL_RANK");
  return device == "cuda" && rank != nullptr ? "cuda:" + std::string(rank)
                                             : device;
}

}  // namespace

Trainer::Trainer(TrainConfig config, std::string folder, bool resume,
                 Group& group)
    : config_(std::move(config)),
      folder_(Folder(folder)),
      group_(group),
      device_(DeviceOf(config_.device)) {
  CheckRun(config_, folder_, resume, group.size());
  const bool exists = fs::exists(File(kCheckpointName));
  // All have looked before the first may write.
  group_.Wait();
  if (group_.IsFirst()) PrepareFolder(exists || resume);
  if (config_.threads > 0) {
    at::set_num_threads(static_cast<int>(config_.threads));
  }
  source_ = MakeSource(config_, folder_, group_);
  model_ = std::make_unique<nn::Model>(config_.model, config_.seed);
  if (!exists && !config_.init_from.empty()) InitFrom(config_.init_from);
  model_->To(device_.str());

  optimizer_ = MakeOptimizer(config_, *model_);
  for (const optim::Parameter& parameter : model_->parameters()) {
    (optimizer_->ConsumesMicroSteps(parameter) ? used_at_once_ : piled_up_)
        .push_back(parameter);
  }
  if (exists) Restore();
  RequireSameRun();
  if (group_.IsFirst()) {
    WriteFileAtomically(File("config.toml"), config_.text);
    log_ = std::make_unique<RunLog>(folder_, step_);
  }
  record_tokens_ = tokens_;
  record_seconds_ = seconds_;
}

Trainer::~Trainer() = default;

void CheckRun(const TrainConfig& config, const std::string& folder, bool resume,
              int64_t processes) {
  Require(config.batch % (config.accumulation * processes) == 0,
          "train.batch must be a multiple of train.accumulation times the " +
              std::to_string(processes) + " processes, got " +
              std::to_string(config.batch));
  Require(resume || !fs::exists(fs::path(folder) / kCheckpointName),
          "'" + Printable(folder) +
              "' holds a run already; go on with --resume, or choose another "
              "folder with --out");
}

// A run that is killed before its first checkpoint can be resumed as well,
// which then begins anew; so its config comes first.
void Trainer::PrepareFolder(bool exists) {
  for (const auto& entry : fs::directory_iterator(folder_)) {
    // What a kill left of a file that was being written.
    const std::string name = entry.path().filename().string();
    for (const std::string_view ours :
         {kCheckpointName, "config.toml", "tokenizer.model", "log.jsonl",
          "index.html"}) {
      if (name.starts_with(ours) && name.ends_with(".tmp")) {
        fs::remove(entry.path());
      }
    }
  }
  if (exists) return;
  // Of an earlier attempt, perhaps over another corpus.
  if (config_.data.tokenizer.empty()) {
    fs::remove(File("tokenizer.model"));
    // Weights that go on want the tokens that they know.
    const fs::path known = fs::path(config_.init_from) / "tokenizer.model";
    if (!config_.init_from.empty() && fs::exists(known)) {
      WriteFileAtomically(File("tokenizer.model"),
                          formats::ReadTextFile(known.string()));
    }
  }
  WriteFileAtomically(File("config.toml"), config_.text);
}

std::string Trainer::File(const std::string& name) const {
  return (fs::path(folder_) / name).string();
}

void Trainer::InitFrom(const std::string& path) {
  const Checkpoint checkpoint = ReadCheckpoint(path);
  if (const auto difference =
          FirstDifference(ShapeOf(ConfigOf(checkpoint)), ShapeOf(config_))) {
    throw std::invalid_argument("train.init_from: '" + Printable(path) +
                                "' holds another model: " + *difference);
  }
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
  if (const auto difference =
          FirstDifference(IdentityOf(ConfigOf(checkpoint), KeyEffect::kRun),
                          IdentityOf(config_, KeyEffect::kRun))) {
    throw std::invalid_argument(
        "--resume would make this another run: " + *difference +
        "; train.init_from starts a new one from its "
        "weights");
  }
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

// A process that reads another folder, or was started with other settings,
// would add its gradients to those of another model.
void Trainer::RequireSameRun() {
  if (group_.size() == 1) return;
  std::string settings = source_->Fingerprint();
  for (const auto& [key, value] : IdentityOf(config_, KeyEffect::kCourse)) {
    settings += value + "|";
  }
  double weights = 0;
  for (const optim::Parameter& parameter : model_->parameters()) {
    weights += parameter.value.detach().to(at::kDouble).sum().item<double>();
  }
  const at::Tensor here = at::tensor(
      {static_cast<double>(step_),
       static_cast<double>(std::hash<std::string>()(settings) >> 12), weights},
      at::kDouble);
  std::vector<at::Tensor> first = {here.clone()};
  group_.Broadcast(first);
  const bool differs = !at::equal(here, first.front());
  if (!group_.Any(differs)) return;
  if (!differs) throw PeerFailed();
  throw std::invalid_argument(
      "process " + std::to_string(group_.rank()) +
      " has another checkpoint, config or data than process 0; all processes "
      "need the same folder and arguments");
}

void Trainer::Save() {
  if (saved_step_ == step_) return;
  // The loss that a step reports is that of the weights before it.
  for (const optim::Parameter& parameter : model_->parameters()) {
    if (std::isfinite(optim::SumOfSquares(parameter.value.detach()))) continue;
    GiveUp("'" + parameter.name + "' is not finite any more after step " +
           std::to_string(step_));
  }
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

void Trainer::GiveUp(const std::string& what) const {
  if (!group_.IsFirst()) throw PeerFailed();
  throw std::runtime_error(what +
                           (saved_step_ >= 0
                                ? "; the checkpoint of step " +
                                      std::to_string(saved_step_) + " is kept"
                                : "") +
                           "; a smaller learning_rate or a clip may help");
}

double Trainer::Step() { return Advance().loss; }

nn::Inputs Trainer::OnDevice(const nn::Inputs& inputs) const {
  const auto move = [this](const at::Tensor& tensor) {
    return tensor.defined() ? tensor.to(device_) : tensor;
  };
  return {.ids = move(inputs.ids),
          .prefix = move(inputs.prefix),
          .lengths = move(inputs.lengths),
          .encoder_ids = move(inputs.encoder_ids),
          .encoder_lengths = move(inputs.encoder_lengths)};
}

Trainer::StepResult Trainer::Advance() {
  const Clock::time_point start = Clock::now();
  const int64_t micro = config_.batch / config_.accumulation;
  const int64_t share = micro / group_.size();
  const auto micro_steps = static_cast<double>(config_.accumulation);
  std::vector<Batch> batches;
  double targets = 0;
  for (int64_t m = 0; m < config_.accumulation; ++m) {
    const int64_t begin = m * micro + group_.rank() * share;
    batches.push_back(source_->Get(step_, begin, begin + share));
    targets += batches.back().tokens;
  }
  targets = OverProcesses({targets}).front();
  Require(targets > 0,
          "a batch without targets at step " + std::to_string(step_));
  // The optimizer takes the mean of the micro-steps. Divided by the targets of
  // a mean micro-step, each counts by its own targets, and the mean is that of
  // one large batch.
  const double normaliser = targets / micro_steps;
  // The products of attention, which has float32 queries and keys.
  const ops::TensorFloatScope floats(
      device_.is_cuda() && config_.model.precision == ops::Precision::kBf16);
  StepResult result;
  double loss = 0;
  for (int64_t m = 0; m < config_.accumulation; ++m) {
    const Batch& batch = batches[static_cast<size_t>(m)];
    const bool last = m + 1 == config_.accumulation;
    const at::Tensor weights =
        batch.weights.defined() ? batch.weights.to(device_) : at::Tensor();
    const at::Tensor hidden = model_->Hidden(OnDevice(batch.inputs));
    const at::Tensor micro_loss =
        model_->Loss(hidden, batch.targets.to(device_), weights, normaliser);
    micro_loss.backward();
    loss += micro_loss.item<double>() / micro_steps;
    optim::StepInput input{
        .lr_factor = optim::ScheduleFactor(config_.optimizer.schedule, step_)};
    if (config_.optimizer.lazy_rows) input.occurrence = Occurred(batch);
    const optim::GradientReport report = ExchangeGradients(last);
    result.norm = report.norm;
    if (result.bad.empty()) result.bad = report.first_bad;
    input.gradients_are_finite = report.finite;
    if (config_.optimizer.clip > 0) {
      input.gradient_scale =
          optim::ClipScale(report.norm, config_.optimizer.clip);
    }
    optimizer_->Step(input);
  }
  // One process that was told to stop stops all, after the same step.
  const std::vector<double> sums =
      OverProcesses({loss, PendingInterrupt() != 0 ? 1.0 : 0.0});
  result.loss = sums[0];
  stopping_ = sums[1] > 0;
  tokens_ += static_cast<int64_t>(targets);
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

std::vector<double> Trainer::OverProcesses(std::vector<double> values) const {
  if (group_.size() == 1) return values;
  std::vector<at::Tensor> sums = {at::tensor(values, at::kDouble)};
  group_.Sum(sums);
  const double* data = sums.front().data_ptr<double>();
  return {data, data + values.size()};
}

optim::GradientReport Trainer::ExchangeGradients(bool last) {
  if (group_.size() > 1) {
    std::vector<at::Tensor> gradients;
    const auto add = [&](const std::vector<optim::Parameter>& parameters) {
      for (const optim::Parameter& parameter : parameters) {
        at::Tensor& gradient = parameter.value.mutable_grad();
        if (!gradient.defined()) gradient = at::zeros_like(parameter.value);
        gradients.push_back(gradient);
      }
    };
    add(used_at_once_);
    if (last) add(piled_up_);
    if (!gradients.empty()) group_.Sum(gradients);
  }
  optim::GradientReport report = optim::ReportGradients(used_at_once_);
  if (!last) return report;
  const optim::GradientReport piled = optim::ReportGradients(
      piled_up_, 1 / static_cast<double>(config_.accumulation));
  report.norm = std::hypot(report.norm, piled.norm);
  report.finite = report.finite && piled.finite;
  if (report.first_bad.empty()) report.first_bad = piled.first_bad;
  return report;
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
  const optim::EmbeddingExtremes extremes =
      optim::InspectEmbedding(model_->parameters().front().value.detach(),
                              config_.optimizer.weight_decay);
  record.largest_embedding = extremes.max_abs;
  record.rows_at_limit = extremes.rows_at_limit;
  log_->Add(record);
  loss_sum_ = 0;
  loss_count_ = 0;
  record_tokens_ = tokens_;
  record_seconds_ = seconds_;
}

void Trainer::Stop() {
  if (bad_steps_ == 0) Save();
  // Where another process was told, this one ends as that one does.
  (void)RequestInterrupt(SIGINT);  // nothing where one is pending already
  throw Interrupted();
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
  if (step_ > 0 && EvaluatesNow()) Evaluate();
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
      if (std::isfinite(result.loss) && result.bad.empty()) {
        bad_steps_ = 0;
        loss_sum_ += result.loss;
        ++loss_count_;
        progress.SetLabel(config_.name + " loss " +
                          FormatNumber(std::round(result.loss * 1000) / 1000));
      } else if (++bad_steps_ > optimizer_->bad_steps_tolerated()) {
        GiveUp((std::isfinite(result.loss)
                    ? "the gradient of '" + result.bad + "'"
                    : std::string("the loss")) +
               " is not a number at step " + std::to_string(step_));
      }
      if (stopping_ && bad_steps_ == 0) {
        Log(result);
        Stop();
      }
      const bool last = step_ == config_.steps;
      const bool saves = last || step_ % config_.checkpoint_every == 0;
      // A record at every checkpoint: what is summed up is in no checkpoint.
      if (saves || step_ % config_.log_every == 0) Log(result);
      if (EvaluatesNow()) {
        progress.Clear();
        Evaluate();
      }
      if (saves && bad_steps_ == 0) {
        Save();
        WritePage();
      }
    }
  }
  WritePage();
  Export();
}

}  // namespace ropewalk::lab::train
