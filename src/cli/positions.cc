// ropewalk positions: every scheme, its parameters and its source.

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/distance_picture.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/tile_picture.h"
#include "position/band_text.h"
#include "position/definition.h"
#include "position/scheme.h"
#include "program/numbers.h"
#include "report/number.h"
#include "report/table.h"

namespace ropewalk::cli {
namespace {

void PrintSchemes() {
  report::Table schemes(
      {{.name = "scheme"}, {.name = "what it does"}, {.name = "source"}});
  report::Table parameters(
      {{.name = "scheme"}, {.name = "parameter"}, {.name = "meaning"}});
  for (const position::Definition* definition : position::AllDefinitions()) {
    const std::string name(definition->name);
    schemes.AddRow({name, definition->summary, definition->source});
    for (const position::Parameter& parameter : definition->parameters) {
      parameters.AddRow({name, parameter.key, parameter.meaning});
    }
  }
  std::printf(
      "spelled name[:key=value[,key=value]...], then +logn[:base=LEN], "
      "+logn-clip or\n+logn-learned; @FILE.toml gives one a layer, auto picks "
      "for the length\n\n%s\n%s\nN is the trained length, L the length at "
      "hand; docs/positions.md has the formulas.\n",
      report::ToText(schemes).c_str(), report::ToText(parameters).c_str());
}

struct PositionsJob {
  std::string scheme;
  std::string length = "384";
  std::string train_length = "256";
  int64_t layers = 12;
  int64_t group = 4;
  std::string svg;
  std::string map;
};

// How many tokens a turn of some pairs takes, before and after, where the
// scheme has another table than the model; else an empty text.
std::string ChangedTurns(const position::Plan& plan,
                         const position::FrequencyTable& own) {
  const position::FrequencyTable& table = plan.tables.front();
  if (table == own || table.frequencies.empty()) return "";
  report::Table turns({{.name = "pair"},
                       {.name = "tokens a turn", .digits = 1},
                       {.name = "under the scheme", .digits = 1},
                       {.name = "times", .digits = 2}});
  const auto pairs = static_cast<int64_t>(table.frequencies.size());
  const int64_t step = std::max<int64_t>(1, pairs / 8);
  for (int64_t m = step - 1; m < pairs; m += step) {
    constexpr double kTurn = 2 * std::numbers::pi;
    const double before = own.frequencies[static_cast<size_t>(m)];
    const double after = table.frequencies[static_cast<size_t>(m)];
    std::vector<report::Cell> cells = {m + 1, kTurn / before};
    if (after > 0) {
      cells.emplace_back(kTurn / after);
      cells.emplace_back(before / after);
    } else {
      cells.emplace_back("never");
      cells.emplace_back();
    }
    turns.AddRow(std::move(cells));
  }
  std::string text = report::ToText(turns);
  if (table.magnitude != own.magnitude) {
    text += "scores are multiplied by " +
            report::FormatValue(table.magnitude * table.magnitude /
                                    (own.magnitude * own.magnitude),
                                report::NumberStyle::kPlain, 4) +
            "\n";
  }
  return text + "\n";
}

void ShowKind(const PositionsJob& job, const LayerKind& kind,
              const position::FrequencyTable& own, int64_t length) {
  const position::Plan& plan = kind.plan;
  report::Table bands({{.name = "band"},
                       {.name = "pairs"},
                       {.name = "query turned by"},
                       {.name = "key turned by"}});
  for (size_t b = 0; b < plan.bands.size(); ++b) {
    position::BandText text = position::Describe(plan, plan.bands[b]);
    bands.AddRow({static_cast<int64_t>(b + 1), std::move(text.pairs),
                  std::move(text.query), std::move(text.key)});
  }
  const evaluate::TileMap map = evaluate::MapTiles(plan, length, job.group);
  using Kind = evaluate::TileMap::Kind;
  std::printf(
      "%s\n%sA prompt of %lld: blocks of %lld keys by %lld queries; %lld in "
      "one "
      "band, %lld partly\nmasked, %lld in several bands, %lld skipped. Score "
      "products: %.4f of one a block.\n",
      report::ToText(bands).c_str(), ChangedTurns(plan, own).c_str(),
      static_cast<long long>(length), static_cast<long long>(map.block_keys),
      static_cast<long long>(map.strip_tokens),
      static_cast<long long>(map.Count(Kind::kWhole)),
      static_cast<long long>(map.Count(Kind::kPart)),
      static_cast<long long>(map.Count(Kind::kMixed)),
      static_cast<long long>(map.Count(Kind::kSkipped)), map.WorkRatio());
}

// One scheme: its bands, and which way attention's blocks take; of each kind of
// layers where they differ.
void ShowScheme(const PositionsJob& job) {
  const int64_t length = ParseLengthOption(job.length, "--length", 0);
  constexpr int64_t kMostDrawn = 4096;
  Require(length <= kMostDrawn, "positions: --length must be at most " +
                                    std::to_string(kMostDrawn) + ", got " +
                                    std::to_string(length));
  const int64_t N = ParseLengthOption(job.train_length, "--train-length", 0);
  const position::ModelPositions model{.head_width = 64,
                                       .rotary_width = 64,
                                       .train_length = N,
                                       .original_length = N,
                                       .has_learned_logn = true};
  const position::Scheme resolved =
      position::Resolve(position::ParseScheme(job.scheme), model, length);
  OutputFile svg(job.svg);
  OutputFile map(job.map);
  const int64_t layers = resolved.layers.empty()
                             ? job.layers
                             : static_cast<int64_t>(resolved.layers.size());
  const std::vector<LayerKind> kinds =
      KindsOf(position::BuildStack(resolved, model, length, layers));
  const std::string spelled = position::ToString(resolved);
  std::printf("%s, for a model trained to %lld\n", spelled.c_str(),
              static_cast<long long>(N));
  for (const LayerKind& kind : kinds) {
    std::printf("\n%s", kinds.size() == 1 ? "" : (kind.layers + "\n").c_str());
    ShowKind(job, kind, position::OwnTable(model, length), length);
  }
  if (!job.svg.empty()) {
    const evaluate::TileMap tiles =
        evaluate::MapTiles(kinds.back().plan, length, job.group);
    svg.Finish(ToSvg(tiles, kinds.size() == 1
                                ? spelled
                                : spelled + ", " + kinds.back().layers));
  }
  if (!job.map.empty()) map.Finish(DistanceSvg(kinds, model, length, spelled));
}

}  // namespace

void AddPositions(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "positions", "every position scheme, in short, or one of them");
  auto job = std::make_shared<PositionsJob>();
  command
      ->add_option("scheme", job->scheme,
                   "show this one: its bands, and the way that each block "
                   "of attention takes")
      ->type_name("SCHEME");
  command->add_option("--length", job->length, "tokens of the prompt")
      ->type_name("LEN")
      ->capture_default_str();
  command->add_option("--train-length", job->train_length, "of the model")
      ->type_name("LEN")
      ->capture_default_str();
  program::AddInteger(*command, "--group", job->group,
                      "query heads that share a key head",
                      {.least = 1, .most = 1024})
      ->capture_default_str();
  program::AddInteger(*command, "--layers", job->layers,
                      "of the model, for schemes that treat them differently",
                      {.least = 1, .most = 1024})
      ->capture_default_str();
  command
      ->add_option("--map", job->map,
                   "draw the effective distance of every pair of tokens")
      ->type_name("FILE");
  command
      ->add_option("--svg", job->svg,
                   "draw the blocks; where layers differ, of the last kind")
      ->type_name("FILE");
  command->footer(
      "Examples:\n  ropewalk positions\n"
      "  ropewalk positions rerope:window=128 --svg blocks.svg\n"
      "  ropewalk positions yarn --length 768 --map yarn.svg");
  command->callback([job] {
    if (job->scheme.empty()) {
      PrintSchemes();
    } else {
      ShowScheme(*job);
    }
  });
}

}  // namespace ropewalk::cli
