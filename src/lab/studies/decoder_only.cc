// Posts 9529 and 9547: is bidirectional attention over the input worth
// anything, or are twice the weights?

#include <algorithm>
#include <iterator>
#include <string>

#include "lab/data/pair_tasks.h"
#include "lab/nn/model.h"
#include "lab/studies/another_input.h"
#include "lab/studies/bench.h"
#include "lab/studies/comparison.h"
#include "lab/studies/figures.h"
#include "lab/studies/pair_variants.h"
#include "lab/studies/sequence_models.h"
#include "lab/studies/studies.h"
#include "lab/train/config.h"

namespace ropewalk::lab::studies {
namespace {

std::string LedgerRow(const PairArchitecture& of) {
  return std::string("ledger: ") + of.row;
}

// Claims rest on text; there all but one table's last row have every seed.
bool WantsSeeds(const PairArchitecture& of, const PairTaskName& task) {
  return task.text && of.name != std::string("causal-half");
}

// A difference of losses that is none to a user, in nats.
constexpr double kNegligible = 0.02;

std::string Longer(const MaskedKind& of) {
  return std::string(of.row) + kLonger;
}

// Of "continue", whose inputs all have one length.
std::string WithAnothers(const PairArchitecture& of) {
  return std::string(of.row) + ", " + kAnothersInput;
}

std::string WithoutPositions(const MaskedKind& of) {
  return std::string(of.row) + ", no positions";
}

bool Trains(const Setting& s, const PairTaskName& task) {
  const std::string name = task.name;
  return s.Sweeps() || name == "continue" || name == "cipher" ||
         name == "recall";
}

class DecoderOnlyStudy : public Study {
 public:
  std::string name() const override { return "decoder-only"; }
  std::string title() const override {
    return "Why decoder-only: GPT, UniLM and encoder-decoders (posts 9529, "
           "9547)";
  }
  std::string about() const override {
    return "The same transformer on the same pairs of input and output, loss "
           "on the output alone. Only the mask over the input changes from GPT "
           "to UniLM; an encoder-decoder changes the mask and how many weights "
           "there are, which is why both tables stand here: equal weights, and "
           "equal work for a pair. Then masked language models whose heads or "
           "layers look one way each, which leaves every attention matrix "
           "triangular and so of full rank.";
  }
  bool ByLength() const override { return false; }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : s.seeds) {
      for (const PairTaskName& task : PairTasks()) {
        if (!Trains(s, task)) continue;
        for (const PairArchitecture& of : PairArchitectures()) {
          if (seed != s.seeds.front() && !WantsSeeds(of, task)) {
            continue;
          }
          models.push_back(PairModel(s, of, task, seed));
        }
      }
      for (const MaskedKind& of : MaskedKinds()) {
        models.push_back(MaskedModel(s, of, seed));
      }
    }
    if (!s.Sweeps()) return models;
    for (const MaskedKind& of : MaskedKinds()) {
      models.push_back(MaskedModelWithoutPositions(s, of, s.seeds.front()));
      models.push_back(LongerMaskedModel(s, of, s.seeds.front()));
    }
    for (const PairVariant& variant : PairVariants()) {
      for (const PairArchitecture& of : PairArchitectures()) {
        if (!Has(variant, of)) continue;
        for (const uint64_t seed : s.seeds) {
          if (seed != s.seeds.front() && !variant.all_seeds) continue;
          models.push_back(VariantModel(s, variant, of, seed));
        }
      }
    }
    return models;
  }

  std::vector<Job> Jobs(const Setting& s,
                        const ModelSpec& model) const override {
    const auto job = [](const std::string& row) -> Job {
      return {.row = row, .run = [](Bench& bench) {
                std::vector<Measurement> lines = bench.TaskLines();
                for (Measurement& line : bench.CurveLines()) {
                  if (line.metric == "training loss") {
                    line.set = lines.front().set + " curve";
                    lines.push_back(std::move(line));
                  }
                }
                return lines;
              }};
    };
    for (const MaskedKind& of : MaskedKinds()) {
      if (model.name == of.name) return {job(of.row)};
      if (model.name == MaskedModelWithoutPositions(s, of, 1).name) {
        return {job(WithoutPositions(of))};
      }
      if (model.name == LongerMaskedModel(s, of, 1).name) {
        return {job(Longer(of))};
      }
    }
    for (const PairTaskName& task : PairTasks()) {
      for (const PairArchitecture& of : PairArchitectures()) {
        if (model.name != PairName(of, task)) continue;
        std::vector<Job> jobs = {job(of.row)};
        if (&task == &PairTasks().front()) {
          jobs.push_back({.row = WithAnothers(of), .run = WithAnothersInput});
        }
        return jobs;
      }
    }
    for (const PairVariant& variant : PairVariants()) {
      for (const PairArchitecture& of : PairArchitectures()) {
        if (Has(variant, of) &&
            model.name == VariantModel(s, variant, of, 1).name) {
          return {job(RowOf(variant, of.row))};
        }
      }
    }
    return {};
  }

  std::vector<Job> OwnJobs(const Setting& s) const override {
    std::vector<Job> jobs;
    for (const PairArchitecture& of : PairArchitectures()) {
      jobs.push_back({.row = LedgerRow(of),
                      .run = [&of, s](Bench&) { return LedgerOf(s, of); }});
    }
    return jobs;
  }

  std::vector<Claim> Claims(const Setting& s) const override {
    using enum Claim::Relation;
    std::vector<Claim> claims;
    for (const PairTaskName& task : PairTasks()) {
      if (!Trains(s, task) || !task.text) continue;
      const std::string on = std::string(" (") + task.name + ")";
      const auto add = [&](const char* text, const char* left,
                           Claim::Relation relation, const char* right) {
        claims.push_back({.text = text + on,
                          .left = CellOf(s, task, left, "loss"),
                          .relation = relation,
                          .right = CellOf(s, task, right, "loss"),
                          .amount = relation == kAtMost ? kNegligible : 0});
      };
      add("bidirectional input brings nothing: GPT's loss is less than "
          "0.02 above UniLM's",
          "GPT", kAtMost, "UniLM");
      add("nor does it in an encoder: the causal one is less than 0.02 above "
          "the other",
          "causal encoder", kAtMost, "encoder-decoder");
      add("at equal weights decoder-only is best: GPT less than 0.02 above the "
          "shared encoder-decoder",
          "GPT", kAtMost, "encoder-decoder, shared");
      add("and less than 0.02 above one of half the layers a side", "GPT",
          kAtMost, "encoder-decoder, half the layers");
      add("doubled weights are what helps an encoder-decoder: it is below the "
          "shared one",
          "encoder-decoder", kBelow, "encoder-decoder, shared");
      add("post 9547, question 4: an encoder-decoder, of twice the weights, "
          "below GPT",
          "encoder-decoder", kBelow, "GPT");
      add("T5's table 2, against the post: UniLM below GPT", "UniLM", kBelow,
          "GPT");
      // Its rows for a denoising objective; for language modelling they mix.
      if (task.name == std::string("fill")) {
        add("T5's table 2: the shared encoder-decoder below UniLM",
            "encoder-decoder, shared", kBelow, "UniLM");
      }
    }
    for (const PairArchitecture& of : PairArchitectures()) {
      claims.push_back({.text = std::string("not of the posts: the right "
                                            "input helps: ") +
                                of.row + " (continue)",
                        .left = BroughtTo(s, of, kBrought),
                        .relation = kAbove,
                        .bound = 0});
    }
    if (s.Sweeps()) AddVariantClaims(s, claims);
    for (const MaskedKind& kind : MaskedKinds().subspan(1)) {
      const auto of = [&](const std::string& row) {
        return CellKey{.row = row,
                       .set = "mlm",
                       .length = CompactLength(s),
                       .metric = "loss"};
      };
      claims.push_back(
          {.text = std::string(kind.row) + ": below full bidirectional",
           .left = of(kind.row),
           .right = of(MaskedKinds().front().row)});
      if (!s.Sweeps()) continue;
      claims.push_back(
          {.text = std::string("post 9547, question 6, it lasts: ") +
                   Longer(kind) + ": below full bidirectional",
           .left = of(Longer(kind)),
           .right = of(Longer(MaskedKinds().front()))});
      claims.push_back(
          {.text = std::string("post 9547, question 8, a mask tells order: ") +
                   WithoutPositions(kind) + ": below full bidirectional",
           .left = of(WithoutPositions(kind)),
           .right = of(WithoutPositions(MaskedKinds().front()))});
    }
    const auto ledger = [&](const char* name, const char* metric) {
      for (const PairArchitecture& of : PairArchitectures()) {
        if (of.name != std::string(name)) continue;
        return CellKey{.row = LedgerRow(of),
                       .set = LedgerSet(PairTasks().front()),
                       .metric = metric};
      }
      return CellKey{};
    };
    claims.push_back({.text = "an encoder-decoder has twice the block "
                              "weights of GPT, within 2 percent (in GPTs)",
                      .left = ledger("separate", "block weights in GPTs"),
                      .relation = kWithin,
                      .amount = 0.02,
                      .bound = 2,
                      .required = true});
    if (s.Sweeps()) {
      claims.push_back(
          {.text = "the shared encoder-decoder does 15/13 of GPT's work, "
                   "within 1 percent (in GPTs)",
           .left = ledger("shared", "work in GPTs"),
           .relation = kWithin,
           .amount = 0.01,
           .bound = static_cast<double>(kSharedWork[0]) /
                    static_cast<double>(kSharedWork[1])});
    }
    claims.push_back(
        {.text = "an encoder-decoder does GPT's work for a pair, within 5 "
                 "percent (in GPTs)",
         .left = ledger("separate", "work in GPTs"),
         .relation = kWithin,
         .amount = 0.05,
         .bound = 1,
         .required = true});
    return claims;
  }

  std::vector<NamedTable> Tables(const Setting& s,
                                 const Measurements& measured) const override {
    std::vector<NamedTable> tables = {
        {"At equal weights",
         Matched(s, measured, &PairArchitecture::equal_parameters),
         "Text: loss of the output, nats a token. Made up: accuracy, "
         "percent. Weights of the blocks and work for a pair of "
         "\"continue\" as parts of GPT's."},
        {"At equal work",
         Matched(s, measured, &PairArchitecture::equal_compute),
         "The encoder-decoder has twice the weights; each token meets half "
         "of them. Shared weights do more work, as cross attention runs "
         "those of attention once more; at GPT's they are below."},
        {"What the input brings", Brought(s, measured),
         "Loss of \"continue\" after the right passage and after another "
         "pair's, nats a token."},
        {"Masked language models", Masked(s, measured),
         "Loss and accuracy of masked tokens of held-out text. Without "
         "positions order is told by the mask, or not at all."}};
    if (!s.Sweeps()) return tables;
    for (const PairVariant& variant : PairVariants()) {
      if (tables.back().title == variant.title) continue;
      tables.push_back({variant.title, Changed(s, measured, variant.title),
                        std::string("Loss of \"") + variant.task +
                            "\", nats a token" +
                            (variant.all_seeds ? "." : ", first seed.")});
    }
    return tables;
  }

  std::vector<Figure> Figures(const Setting&,
                              const Measurements& measured) const override {
    std::vector<Figure> figures;
    for (const PairTaskName& task : PairTasks()) {
      std::vector<std::string> rows;
      for (const PairArchitecture& of : PairArchitectures()) {
        rows.emplace_back(of.row);
      }
      figures.push_back({std::string("curve-") + task.name,
                         Curves(measured, rows, task.name),
                         std::string("Training loss of \"") + task.name +
                             "\": " + task.about + "."});
    }
    std::vector<std::string> longer;
    const PairVariant& variant = FindPairVariant(kLonger, "cipher");
    for (const PairArchitecture& of : PairArchitectures()) {
      if (Has(variant, of)) longer.push_back(RowOf(variant, of.row));
    }
    figures.push_back({"curve-cipher-longer",
                       Curves(measured, longer, "cipher"),
                       "Training loss of \"cipher\" at four times the steps, "
                       "first seed."});
    std::vector<std::string> rows;
    for (const MaskedKind& of : MaskedKinds()) rows.emplace_back(of.row);
    for (const MaskedKind& of : MaskedKinds()) rows.push_back(Longer(of));
    figures.push_back({"curve-mlm", Curves(measured, rows, "mlm"),
                       "Training loss of masked tokens. The post shows such "
                       "curves and no numbers."});
    return figures;
  }

 private:
  static int64_t LengthOf(const Setting& s, const PairTaskName& task) {
    return ConfigOf(
               s, PairModel(s, PairArchitectures().front(), task, 1).overrides)
        .model.N;
  }

  static CellKey CellOf(const Setting& s, const PairTaskName& task,
                        const std::string& row, const char* metric) {
    return {.row = row,
            .set = task.name,
            .length = LengthOf(s, task),
            .metric = metric};
  }

  static std::string LedgerSet(const PairTaskName& task) {
    return std::string("ledger, ") + task.name;
  }

  struct Costs {
    double weights = 0, blocks = 0, flops = 0;
  };

  // Of a pair of the task.
  static Costs CostsOf(const Setting& s, const PairArchitecture& of,
                       const PairTaskName& task) {
    const nn::ModelConfig config =
        ConfigOf(s, PairModel(s, of, task, 1).overrides).model;
    const nn::Model model(config, 1);
    const auto [input, output] = data::MeanLengths(data::PairsWithin(
        train::PairTaskOf(train::ParseTask(task.name)).value(), config.N,
        config.V));
    return {.weights = static_cast<double>(model.ParameterCount()),
            .blocks = static_cast<double>(model.BlockParameterCount()),
            .flops = model.ForwardFlops(input, output)};
  }

  static std::vector<Measurement> LedgerOf(const Setting& s,
                                           const PairArchitecture& of) {
    std::vector<Measurement> lines;
    for (const PairTaskName& task : PairTasks()) {
      const Costs costs = CostsOf(s, of, task);
      const Costs gpt = CostsOf(s, PairArchitectures().front(), task);
      const auto add = [&](const char* metric, double value) {
        lines.push_back(
            {.set = LedgerSet(task), .metric = metric, .value = value});
      };
      add("weights", costs.weights);
      add("block weights", costs.blocks);
      add("block weights in GPTs", costs.blocks / gpt.blocks);
      add("forward MFLOP of a pair", costs.flops / 1e6);
      add("work in GPTs", costs.flops / gpt.flops);
    }
    return lines;
  }

  static report::Table Matched(const Setting& s, const Measurements& measured,
                               bool PairArchitecture::*in) {
    std::vector<report::Column> columns = {
        {.name = "architecture"},
        {.name = "block weights", .digits = 3},
        {.name = "work", .digits = 3}};
    for (const PairTaskName& task : PairTasks()) {
      columns.push_back({.name = task.name, .align = report::Align::kRight});
    }
    report::Table table(columns);
    for (const PairArchitecture& of : PairArchitectures()) {
      if (!(of.*in)) continue;
      std::vector<report::Cell> cells = {of.row};
      for (const char* metric : {"block weights in GPTs", "work in GPTs"}) {
        const auto summary =
            Summarise(measured.lines(), {.row = LedgerRow(of),
                                         .set = LedgerSet(PairTasks().front()),
                                         .metric = metric});
        cells.emplace_back();
        if (summary) cells.back() = summary->mean;
      }
      for (const PairTaskName& task : PairTasks()) {
        cells.push_back(
            ShowCell(measured.lines(),
                     CellOf(s, task, of.row, task.text ? "loss" : "accuracy")));
      }
      table.AddRow(std::move(cells));
    }
    return table;
  }

  static CellKey BroughtTo(const Setting& s, const PairArchitecture& of,
                           const char* set) {
    return {.row = WithAnothers(of),
            .set = set,
            .length = LengthOf(s, PairTasks().front()),
            .metric = "loss"};
  }

  static report::Table Brought(const Setting& s, const Measurements& measured) {
    report::Table table(
        {{.name = "architecture"},
         {.name = "right input", .align = report::Align::kRight},
         {.name = kAnothersInput, .align = report::Align::kRight},
         {.name = kBrought, .align = report::Align::kRight}});
    for (const PairArchitecture& of : PairArchitectures()) {
      table.AddRow(
          {of.row,
           ShowCell(measured.lines(),
                    CellOf(s, PairTasks().front(), of.row, "loss")),
           ShowCell(measured.lines(), BroughtTo(s, of, kAnothersInput)),
           ShowCell(measured.lines(), BroughtTo(s, of, kBrought))});
    }
    return table;
  }

  static report::Table Masked(const Setting& s, const Measurements& measured) {
    report::Table table({{.name = "mask"},
                         {.name = "loss", .align = report::Align::kRight},
                         {.name = "accuracy", .align = report::Align::kRight}});
    const auto add = [&](const std::string& row) {
      CellKey key{.row = row,
                  .set = "mlm",
                  .length = CompactLength(s),
                  .metric = "loss"};
      const report::Cell loss = ShowCell(measured.lines(), key);
      key.metric = "accuracy";
      table.AddRow({row, loss, ShowCell(measured.lines(), key)});
    };
    for (const MaskedKind& of : MaskedKinds()) add(of.row);
    if (!s.Sweeps()) return table;
    for (const MaskedKind& of : MaskedKinds()) add(Longer(of));
    for (const MaskedKind& of : MaskedKinds()) add(WithoutPositions(of));
    return table;
  }

  // Models as they are beside the variants of one title.
  static report::Table Changed(const Setting& s, const Measurements& measured,
                               const std::string& title) {
    std::vector<report::Column> columns = {
        {.name = "architecture"},
        {.name = "as above", .align = report::Align::kRight}};
    std::vector<const PairVariant*> variants;
    for (const PairVariant& variant : PairVariants()) {
      if (variant.title != title) continue;
      variants.push_back(&variant);
      columns.push_back(
          {.name = variant.column, .align = report::Align::kRight});
    }
    report::Table table(columns);
    std::vector<Measurement> lines = measured.lines();
    if (!variants.front()->all_seeds) {
      std::erase_if(lines, [&](const Measurement& line) {
        return line.seed > s.seeds.front();
      });
    }
    for (const PairArchitecture& of : PairArchitectures()) {
      if (!Has(*variants.front(), of)) continue;
      const auto loss = [&](const std::string& row) {
        return ShowCell(lines,
                        CellOf(s, TaskOf(*variants.front()), row, "loss"));
      };
      std::vector<report::Cell> cells = {of.row};
      cells.push_back(loss(of.row));
      for (const PairVariant* variant : variants) {
        cells.push_back(loss(RowOf(*variant, of.row)));
      }
      table.AddRow(std::move(cells));
    }
    return table;
  }

  // What may be read into the claims above, tried.
  static void AddVariantClaims(const Setting& s, std::vector<Claim>& claims) {
    using enum Claim::Relation;
    const auto add = [&](const std::string& text, const PairTaskName& task,
                         const std::string& left, Claim::Relation relation,
                         const std::string& right) {
      claims.push_back({.text = text + " (" + task.name + ")",
                        .left = CellOf(s, task, left, "loss"),
                        .relation = relation,
                        .right = CellOf(s, task, right, "loss"),
                        .amount = relation == kAtMost ? kNegligible : 0});
    };
    for (const char* suffix : {kLonger, kRotates}) {
      const PairVariant& cipher = FindPairVariant(suffix, "cipher");
      add("a causal encoder is less than 0.02 above the other" +
              std::string(suffix),
          TaskOf(cipher), RowOf(cipher, "causal encoder"), kAtMost,
          RowOf(cipher, "encoder-decoder"));
    }
    const PairVariant& longer = FindPairVariant(kLonger, "cipher");
    add("GPT's loss is less than 0.02 above UniLM's" + std::string(kLonger),
        TaskOf(longer), RowOf(longer, "GPT"), kAtMost, RowOf(longer, "UniLM"));
    const PairTaskName& first = PairTasks().front();
    const std::string shared = "encoder-decoder, shared";
    add("at equal weights and equal work decoder-only is best: GPT less than "
        "0.02 above the shared encoder-decoder",
        first, "GPT", kAtMost, shared + kAtGptsWork);
    add("doubled weights are what helps, at equal work: an encoder-decoder is "
        "below the shared one",
        first, "encoder-decoder", kBelow, shared + kAtGptsWork);
    for (const char* suffix : {kFasterRate, kSlowerRate}) {
      add("at equal weights, both at another rate: GPT less than 0.02 above "
          "the shared encoder-decoder" +
              std::string(suffix),
          first, std::string("GPT") + suffix, kAtMost, shared + suffix);
    }
    for (const PairVariant& variant : PairVariants()) {
      if (variant.suffix != std::string(kRotates)) continue;
      for (const PairArchitecture& of : PairArchitectures()) {
        if (!Has(variant, of)) continue;
        add("not of the posts: " + RowOf(variant, of.row) +
                ": below the same without",
            TaskOf(variant), RowOf(variant, of.row), kBelow, of.row);
      }
    }
  }

  static report::Picture Curves(const Measurements& measured,
                                const std::vector<std::string>& rows,
                                const std::string& task) {
    return CurvePlot(measured.lines(), rows, task + " curve", "training loss",
                     "Training loss, " + task, "loss, nats a token");
  }
};

}  // namespace

const Study& DecoderOnly() {
  static const DecoderOnlyStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
