// Everything side by side: the page that a practitioner reads to choose.

#include <algorithm>
#include <utility>

#include "lab/studies/bench.h"
#include "lab/studies/figures.h"
#include "lab/studies/length_models.h"
#include "lab/studies/studies.h"
#include "report/number.h"

namespace ropewalk::lab::studies {
namespace {

class LongStudy : public Study {
 public:
  std::string name() const override { return "long"; }
  std::string title() const override {
    return "Everything side by side: which way to read 2 to 16 times further";
  }
  std::string about() const override {
    return "Post-hoc ways on a model that was trained plainly (or with log n), "
           "and models that were trained to be read long, on the same held-out "
           "text at N to 16 N, with the seconds a document takes and the bytes "
           "of its keys and values. CoPE (arXiv 2602.05258), DroPE (arXiv "
           "2512.12167, here recalibrated on 2 % of the steps) and the learned "
           "log n scale (arXiv 2501.19399) stand beside the methods of the "
           "posts.";
  }

  std::vector<ModelSpec> Models(const Setting& s) const override {
    std::vector<ModelSpec> models;
    for (const uint64_t seed : s.seeds) {
      models.push_back(BaseModel(seed));
      models.push_back(BaseLognModel(seed));
      models.push_back(HwfaModel(s, seed));
      models.push_back(InvLeakyModel(s, seed, false));
      models.push_back(Hwfa2Model(s, seed, 2));
    }
    models.push_back(DropeModel(s, 1));
    models.push_back(LearnedScaleModel(1));
    if (s.Sweeps()) {
      models.push_back(InvLeakyModel(s, 1, true));
      models.push_back(Hwfa2Model(s, 1, 1));
    }
    return models;
  }

  std::vector<Job> Jobs(const Setting& s,
                        const ModelSpec& model) const override {
    const int64_t N = s.N;
    std::vector<Job> jobs;
    const auto add = [&](const std::string& row, const std::string& law) {
      jobs.push_back(ScoreJob(row, law, {N, 2 * N, 4 * N, 8 * N, 16 * N},
                              {8 * N}, /*costs=*/true));
    };
    if (model.name == "base") {
      add("Baseline", "rope");
      add("window N", With("window:size=", N));
      add("ReRoPE w=N/2", With("rerope:window=", N / 2));
      add("ReRoPE w=N/2 logn†", With("rerope:window=", N / 2) + "+logn-clip");
      if (model.seed != 1) return jobs;
      add("sink-window", "sink-window");
      add("NTK-mixed", "ntk-mixed");
      add("YaRN", "yarn");
      add("CoPE", "cope");
      add("Leaky ReRoPE logn†", "leaky-rerope+logn-clip");
      add("Self-Extend", "self-extend");
      add("dual chunk", "dca");
    } else if (model.name == "base-logn") {
      add("Baseline logn", "rope+logn");
      add("ReRoPE w=N/2 logn", With("rerope:window=", N / 2) + "+logn");
      if (model.seed != 1) return jobs;
      add("NTK-mixed logn", "ntk-mixed+logn");
      add("Leaky ReRoPE logn", "leaky-rerope+logn");
    } else if (model.name == "hwfa") {
      add("HWFA", "rope");
    } else if (model.name == "hwfa2") {
      add("HWFA2 f2", "rope");
    } else if (model.name == "hwfa2-f1") {
      add("HWFA2 f1", "rope");
    } else if (model.name == "invleaky") {
      add("InvLeaky w=N/4 logn", "rope+logn");
    } else if (model.name == "invleaky-b8") {
      add("InvLeaky w=N/4 b8 logn", "rope+logn");
    } else if (model.name == "drope") {
      add("DroPE", "nope");
      add("DroPE logn†", "nope+logn-clip");
    } else if (model.name == "learned-logn") {
      add("learned log n", "rope+logn-learned");
      add("learned log n, ReRoPE w=N/2",
          With("rerope:window=", N / 2) + "+logn-learned");
    }
    return jobs;
  }

  std::vector<Claim> Claims(const Setting& s) const override {
    const int64_t N = s.N;
    const int64_t far = 8 * N;
    using enum Claim::Relation;
    std::vector<Claim> claims;
    for (const char* row :
         {"ReRoPE w=N/2 logn†", "ReRoPE w=N/2 logn", "HWFA", "HWFA2 f2",
          "InvLeaky w=N/4 logn", "DroPE logn†", "CoPE"}) {
      for (const bool repeated : {false, true}) {
        claims.push_back(
            {.text = std::string("a window of N below ") + row +
                     (repeated ? ", repeated text" : ", natural text"),
             .left =
                 repeated ? RepeatedAt("window N", far) : At("window N", far),
             .right = repeated ? RepeatedAt(row, far) : At(row, far)});
      }
    }
    for (const bool repeated : {false, true}) {
      const auto below = [&](const std::string& left,
                             const std::string& right) {
        claims.push_back(
            {.text = left + " below " + right +
                     (repeated ? ", repeated text" : ", natural text"),
             .left = repeated ? RepeatedAt(left, far) : At(left, far),
             .right = repeated ? RepeatedAt(right, far) : At(right, far)});
      };
      below("ReRoPE w=N/2", "ReRoPE w=N/2 logn†");
      below("ReRoPE w=N/2 logn†", "ReRoPE w=N/2 logn");
      below("Baseline logn", "NTK-mixed logn");
      below("NTK-mixed logn", "ReRoPE w=N/2 logn");
      below("Baseline logn", "Leaky ReRoPE logn");
    }
    claims.push_back({.text = "plain RoPE's loss rises at 2N",
                      .left = LossAt("Baseline", N),
                      .right = LossAt("Baseline", 2 * N)});
    claims.push_back({.text = "identity: a window of N is plain RoPE at N",
                      .left = LossAt("window N", N),
                      .relation = kEqual,
                      .right = LossAt("Baseline", N),
                      .amount = 1e-6,
                      .required = true});
    const auto bytes = [&](const char* row) {
      return CellKey{.row = row, .length = 16 * N, .metric = "kv_bytes"};
    };
    claims.push_back({.text = "HWFA holds fewer bytes of keys and values at "
                              "16N than full attention",
                      .left = bytes("HWFA"),
                      .right = bytes("Baseline"),
                      .required = true});
    return claims;
  }

  std::vector<NamedTable> Tables(const Setting& s,
                                 const Measurements& measured) const override;

  std::vector<Figure> Figures(const Setting& s,
                              const Measurements& measured) const override {
    const auto& lines = measured.lines();
    return {{"by-length",
             LengthPlot(lines, s, "loss",
                        {"Baseline", "window N", "ReRoPE w=N/2 logn†",
                         "ReRoPE w=N/2 logn", "HWFA", "HWFA2 f2",
                         "InvLeaky w=N/4 logn", "DroPE logn†", "CoPE",
                         "NTK-mixed logn"},
                        "Loss of the same last N targets"),
             "Natural text that no model was trained on."},
            {"post-hoc",
             LengthPlot(lines, s, "loss",
                        {"Baseline", "window N", "sink-window", "NTK-mixed",
                         "YaRN", "CoPE", "ReRoPE w=N/2 logn†",
                         "Leaky ReRoPE logn†", "Self-Extend", "dual chunk"},
                        "One plain model, read in other ways"),
             "Natural text; nothing was trained for it."},
            {"accuracy",
             LengthPlot(lines, s, "accuracy",
                        {"Baseline", "window N", "ReRoPE w=N/2 logn†",
                         "ReRoPE w=N/2 logn", "HWFA", "HWFA2 f2",
                         "InvLeaky w=N/4 logn", "DroPE logn†"},
                        "Accuracy of the same last N targets"),
             "Natural text."}};
  }
};

// One line a way, as it was measured; accuracies of several seeds are means.
std::vector<NamedTable> LongStudy::Tables(const Setting& s,
                                          const Measurements& measured) const {
  struct Place {
    const char* name;
    int64_t times;
    const char* set;
    const char* metric;
    int digits;
    double unit;
  };
  constexpr Place kPlaces[] = {
      {"N", 1, "natural", "accuracy", 2, 1},
      {"2N", 2, "natural", "accuracy", 2, 1},
      {"4N", 4, "natural", "accuracy", 2, 1},
      {"8N", 8, "natural", "accuracy", 2, 1},
      {"16N", 16, "natural", "accuracy", 2, 1},
      {"8N repeated", 8, "repeated", "accuracy", 2, 1},
      {"loss at 16N", 16, "natural", "loss", 3, 1},
      {"ms at 16N", 16, "natural", "seconds", 0, 1000},
      {"MiB at 16N", 16, "natural", "kv_bytes", 2, 1.0 / (1 << 20)}};
  std::vector<report::Column> columns = {{.name = "read with"},
                                         {.name = "seeds"}};
  for (const Place& place : kPlaces) {
    columns.push_back({.name = place.name, .digits = place.digits});
  }
  report::Table table(columns);
  std::vector<std::string> rows;
  for (const Measurement& line : measured.lines()) {
    if (std::ranges::find(rows, line.row) != rows.end()) continue;
    rows.push_back(line.row);
    std::vector<report::Cell> cells = {line.row};
    const auto seeds = Summarise(measured.lines(), At(line.row, s.N));
    cells.emplace_back(seeds ? seeds->seeds : 0);
    for (const Place& place : kPlaces) {
      const auto cell =
          Summarise(measured.lines(), {.row = line.row,
                                       .set = place.set,
                                       .length = place.times * s.N,
                                       .metric = place.metric});
      cells.push_back(cell ? report::Cell(cell->mean * place.unit)
                           : report::Cell());
    }
    table.AddRow(std::move(cells));
  }
  double error = 0;
  for (const Measurement& line : measured.lines()) {
    if (line.metric == "accuracy") error = std::max(error, line.error);
  }
  return {
      {.title = "Side by side",
       .table = std::move(table),
       .caption = "Accuracy in percent (standard error of one seed over the "
                  "documents: up to " +
                  report::FormatValue(error, report::NumberStyle::kPlain, 2) +
                  "), then what one text of 16N tokens takes: milliseconds to "
                  "read it, in one pass over all documents, "
                  "and MiB of keys and values."}};
}

}  // namespace

const Study& Long() {
  static const LongStudy kStudy;
  return kStudy;
}

}  // namespace ropewalk::lab::studies
