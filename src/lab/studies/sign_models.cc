#include "lab/studies/sign_models.h"

#include "base/text.h"
#include "lab/studies/sequence_models.h"

namespace ropewalk::lab::studies {

const std::vector<SignVariant>& ToyVariants() {
  static const std::vector<SignVariant> kToys = {
      {"tiger-1", "Zipf: Tiger, lambda 0.01", 0.01, true, {}},
      {"tiger-2",
       "Zipf: Tiger, lambda 0.02",
       0.02,
       true,
       {"optimizer.weight_decay=0.02"}},
      {"tiger-matrix",
       "Zipf: Tiger by the matrix's RMS",
       0.01,
       true,
       {"optimizer.embedding_rms=matrix"}},
      {"lion",
       "Zipf: Lion, lambda 0.1",
       0.1,
       true,
       {"optimizer.name=lion", "optimizer.learning_rate=0.003",
        "optimizer.weight_decay=0.1"}},
      {"adamw", "Zipf: AdamW", 0.01, true, {"optimizer.name=adamw"}},
      {"lazy",
       "Zipf: Tiger, lazy rows",
       0.01,
       true,
       {"optimizer.lazy_rows=true"}},
      {"half-swap",
       "Zipf: Tiger, tied with halves swapped",
       0.01,
       true,
       {"model.head=tied-half-swap"}},
      {"hybrid",
       "Zipf: Tiger, AdamW for the embedding",
       0.01,
       true,
       {"optimizer.embedding=adamw",
        "optimizer.embedding_learning_rate=0.002"}},
      {"flushed",
       "Zipf: Tiger, denormals flushed",
       0.01,
       true,
       {"optimizer.flush_denormals=true"}},
  };
  return kToys;
}

const std::vector<SignVariant>& TextVariants() {
  static const std::vector<SignVariant> kTexts = {
      {"tiger-1", "text: Tiger, lambda 0.1", 0.1, true, {}},
      {"adamw", "text: AdamW", 0.1, true, {"optimizer.name=adamw"}},
      {"lazy",
       "text: Tiger, lazy rows",
       0.1,
       true,
       {"optimizer.lazy_rows=true"}},
      {"half-swap",
       "text: Tiger, tied with halves swapped",
       0.1,
       true,
       {"model.head=tied-half-swap"}},
      {"hybrid",
       "text: Tiger, AdamW for the embedding",
       0.1,
       true,
       {"optimizer.embedding=adamw",
        "optimizer.embedding_learning_rate=0.002"}},
      {"tiger-2",
       "text: Tiger, lambda 0.2",
       0.2,
       true,
       {"optimizer.weight_decay=0.2"}},
      {"tiger-matrix",
       "text: Tiger by the matrix's RMS",
       0.1,
       true,
       {"optimizer.embedding_rms=matrix"}},
      {"lion",
       "text: Lion, lambda 0.3",
       0.3,
       true,
       {"optimizer.name=lion", "optimizer.learning_rate=0.001",
        "optimizer.weight_decay=0.3"}},
      {"flushed",
       "text: Tiger, denormals flushed",
       0.1,
       true,
       {"optimizer.flush_denormals=true"}},
      {"adamw-tied",
       "text: AdamW, tied with halves swapped",
       0.1,
       false,
       {"optimizer.name=adamw", "model.head=tied-half-swap"}},
  };
  return kTexts;
}

std::string SignModelName(const SignVariant& variant, bool toy) {
  return std::string(toy ? "zipf-" : "sign-") + variant.name;
}

ModelSpec SignModel(const Setting& s, const SignVariant& variant, bool toy,
                    uint64_t seed) {
  ModelSpec spec{.name = SignModelName(variant, toy),
                 .seed = seed,
                 .overrides = CompactOverrides(s)};
  const auto add = [&](const std::vector<std::string>& more) {
    spec.overrides.insert(spec.overrides.end(), more.begin(), more.end());
  };
  add({"model.head=untied", "optimizer.name=tiger",
       "optimizer.learning_rate=0.002", "optimizer.weight_decay=0.1",
       "optimizer.schedule=constant", "optimizer.warmup=0", "optimizer.clip=0",
       "train.accumulation=1", "train.log_every=20"});
  if (toy) {
    add({"data.task=zipf", "data.zipf_exponent=2",
         "data.tokenizer=", "model.vocabulary=1000", "model.layers=1",
         "model.width=32", "model.heads=1", "model.kv_heads=1",
         "model.head_width=32", "model.feed_width=64", "model.length=32",
         "train.batch=16", "optimizer.weight_decay=0.01", "train.precision=f32",
         "evaluate.documents=256"});
  } else {
    add({"model.length=64", "train.batch=8", "evaluate.schemes=[\"rope\"]",
         "evaluate.lengths=[64]", "evaluate.documents=1024"});
  }
  if (s.scale == Scale::kSmoke) {
    add({"train.steps=40", "evaluate.documents=8"});
  } else {
    add({toy ? "train.steps=8000" : "train.steps=6000"});
  }
  add(variant.overrides);
  return spec;
}

const std::vector<OptimizerChoice>& OptimizerChoices() {
  static const std::vector<OptimizerChoice> kChoices = {
      {"tiger", "Tiger", {0.001, 0.002, 0.004, 0.01, 0.03}, 3, {}},
      {"lion",
       "Lion",
       {0.0003, 0.001, 0.003},
       1,
       {"optimizer.weight_decay=0.3"}},
      {"adamw", "AdamW", {0.001, 0.003, 0.01}, 1, {}},
      {"lamb", "LAMB", {0.002, 0.005, 0.01, 0.02, 0.04}, 3, {}},
      {"muon",
       "Muon, AdamW for the embedding",
       {0.001, 0.003, 0.01, 0.03},
       2,
       {"optimizer.embedding_learning_rate=0.003"}},
      // As Muon has it: what of a difference is the embedding's?
      {"tiger-hybrid",
       "Tiger, AdamW for the embedding",
       {0.004, 0.01, 0.03},
       1,
       {"optimizer.name=tiger", "optimizer.embedding=adamw",
        "optimizer.embedding_learning_rate=0.003"}},
      {"lion-hybrid",
       "Lion, AdamW for the embedding",
       {0.00003, 0.0001, 0.0003, 0.001, 0.003},
       1,
       {"optimizer.name=lion", "optimizer.weight_decay=0.3",
        "optimizer.embedding=adamw",
        "optimizer.embedding_learning_rate=0.003"}},
  };
  return kChoices;
}

std::string OptimizerRow(const OptimizerChoice& choice, size_t rate) {
  return std::string("optimizers: ") + choice.title + ", rate " +
         FormatNumber(choice.rates[rate]);
}

ModelSpec OptimizerModel(const Setting& setting, const OptimizerChoice& choice,
                         size_t rate, uint64_t seed) {
  ModelSpec spec{.name = std::string("optimizer-") + choice.name + "-" +
                         std::to_string(rate + 1),
                 .seed = seed,
                 .overrides = CompactOverrides(setting)};
  const auto add = [&](const std::vector<std::string>& more) {
    spec.overrides.insert(spec.overrides.end(), more.begin(), more.end());
  };
  const std::string N = std::to_string(CompactLength(setting));
  add({std::string("optimizer.name=") + choice.name,
       "optimizer.learning_rate=" + FormatNumber(choice.rates[rate]),
       "optimizer.weight_decay=0.1", "optimizer.schedule=cosine",
       "optimizer.clip=1", "evaluate.schemes=[\"rope\"]",
       "evaluate.lengths=[" + N + "]", "train.accumulation=1",
       "train.log_every=20"});
  if (setting.scale == Scale::kSmoke) {
    add({"train.steps=12", "train.batch=8", "evaluate.documents=8"});
  } else if (setting.scale == Scale::kSmall) {
    add({"train.steps=800", "train.batch=32", "evaluate.documents=512"});
  } else {
    add({"evaluate.documents=512"});
  }
  add(choice.overrides);
  return spec;
}

}  // namespace ropewalk::lab::studies
