// ropewalk positions: every scheme, its parameters and its source.

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/outputs.h"
#include "cli/tile_picture.h"
#include "position/band_text.h"
#include "position/definition.h"
#include "position/scheme.h"
#include "program/numbers.h"
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
  int64_t group = 4;
  std::string svg;
};

// One scheme: its bands, and which way attention's blocks take.
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
  const position::Plan plan =
      position::BuildStack(resolved, model, length, 1).front();
  const std::string spelled = position::ToString(resolved);
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
      "%s, for a model trained to %lld\n\n%s\nA prompt of %lld: blocks of %lld "
      "keys by %lld queries; %lld in one band, %lld partly\nmasked, %lld in "
      "several bands, %lld skipped. Score products: %.4f of one a block.\n",
      spelled.c_str(), static_cast<long long>(N), report::ToText(bands).c_str(),
      static_cast<long long>(length), static_cast<long long>(map.block_keys),
      static_cast<long long>(map.strip_tokens),
      static_cast<long long>(map.Count(Kind::kWhole)),
      static_cast<long long>(map.Count(Kind::kPart)),
      static_cast<long long>(map.Count(Kind::kMixed)),
      static_cast<long long>(map.Count(Kind::kSkipped)), map.WorkRatio());
  if (!job.svg.empty()) svg.Finish(ToSvg(map, spelled));
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
  command->add_option("--svg", job->svg, "draw the blocks")->type_name("FILE");
  command->footer(
      "Examples:\n  ropewalk positions\n"
      "  ropewalk positions rerope:window=128 --svg blocks.svg");
  command->callback([job] {
    if (job->scheme.empty()) {
      PrintSchemes();
    } else {
      ShowScheme(*job);
    }
  });
}

}  // namespace ropewalk::cli
