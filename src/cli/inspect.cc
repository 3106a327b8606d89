// ropewalk inspect: what is in a model file, and how far it may read.

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/embedding_report.h"
#include "cli/options.h"
#include "formats/gguf.h"
#include "huggingface/folder.h"
#include "model/describe.h"
#include "model/model.h"
#include "position/recommendation.h"
#include "position/scheme.h"
#include "program/numbers.h"
#include "report/json.h"
#include "report/table.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::cli {
namespace {

using Json = nlohmann::ordered_json;

// The scheme we would run with at each multiple of the trained length, and
// others that keep positions in range there.
report::Table SchemesTable(const position::ModelPositions& positions) {
  report::Table table(
      {{.name = "length"}, {.name = "advised"}, {.name = "also in range"}});
  for (const int64_t times : {1, 2, 4, 8, 16}) {
    const int64_t length = times * positions.train_length;
    const std::string advised = position::ToString(
        position::Resolve(position::ParseScheme("auto"), positions, length));
    std::string others;
    for (const char* spelling :
         {"rope", "leaky-rerope", "self-extend", "dca", "window"}) {
      try {
        const position::Scheme resolved = position::Resolve(
            position::ParseScheme(spelling), positions, length);
        if (position::KnownToFail(resolved, positions, length)) continue;
        const std::string text = position::ToString(resolved);
        if (text == advised) continue;
        others += (others.empty() ? "" : "  ") + text;
      } catch (const std::invalid_argument&) {
        // Not defined for this model: not in range either.
      }
    }
    table.AddRow({length, advised, others});
  }
  return table;
}

// Bytes of keys and values of a text of `length` tokens, in 16 bits.
double KvBytes(const model::Config& config, int64_t length) {
  const double per_token =
      2.0 * static_cast<double>(config.heads.G) *
      static_cast<double>(config.heads.D + config.heads.ValueWidth());
  double tokens = 0;
  for (int64_t layer = 0; layer < config.L; ++layer) {
    const auto& layers = config.positions.layers;
    const int64_t window =
        layers.empty() ? 0 : layers[static_cast<size_t>(layer)].window;
    tokens +=
        static_cast<double>(window > 0 ? std::min(window, length) : length);
  }
  return per_token * tokens;
}

std::string Describe(const model::Config& config, const std::string& path,
                     const position::Recommendation& advice) {
  std::string text = "for " + std::to_string(advice.length) + " tokens: ";
  if (!advice.spelling) {
    text += "no scheme that holds\n";
  } else {
    text += *advice.spelling +
            (advice.is_own ? ", the model's own positions" : "") + "\n";
  }
  for (const std::string& reason : advice.reasons) {
    text += "  - " + reason + "\n";
  }
  text += "  - keys and values take " +
          FormatBytes(static_cast<int64_t>(KvBytes(config, advice.length))) +
          ": " + std::to_string(config.heads.G) + " key heads for " +
          std::to_string(config.heads.H) + " query heads\n";
  if (advice.spelling) {
    text += "  ropewalk run -m " + Printable(path, 200) + " -c " +
            std::to_string(advice.length) + " --position " + *advice.spelling +
            " (which `auto` takes too)\n";
  }
  return text;
}

// What to read beyond training with: at the length asked for, or at twice and
// four times the trained one.
std::vector<position::Recommendation> Advise(const model::Config& config,
                                             int64_t length) {
  const int64_t N = config.positions.train_length;
  std::vector<int64_t> lengths = {2 * N, 4 * N};
  if (length > 0) lengths = {length};
  std::vector<position::Recommendation> advice;
  for (const int64_t each : lengths) {
    advice.push_back(position::Recommend(config.positions, each, config.L));
  }
  return advice;
}

report::Table MetadataTable(const formats::GgufFile& file) {
  report::Table table({{.name = "key"}, {.name = "type"}, {.name = "value"}});
  for (const auto& entry : file.metadata().entries()) {
    table.AddRow({Printable(entry.key), entry.value.TypeName(),
                  entry.value.ShortValue()});
  }
  return table;
}

report::Table TensorTable(const formats::GgufFile& file) {
  report::Table table({{.name = "tensor"},
                       {.name = "type"},
                       {.name = "shape"},
                       {.name = "bytes"}});
  for (const formats::GgufTensor& tensor : file.tensors()) {
    std::string shape;
    for (const int64_t size : tensor.shape) {
      shape += (shape.empty() ? "" : " x ") + std::to_string(size);
    }
    table.AddRow(
        {Printable(tensor.name), tensor.type_name, shape, tensor.ByteSize()});
  }
  return table;
}

report::Table LayersTable(const std::vector<model::LayerGroup>& groups) {
  report::Table table({{.name = "layers"},
                       {.name = "reads"},
                       {.name = "attention"},
                       {.name = "feed-forward"},
                       {.name = "norms"}});
  for (const model::LayerGroup& group : groups) {
    table.AddRow({group.Layers(), group.positions, group.attention,
                  group.feed_forward, group.norms});
  }
  return table;
}

struct Inspection {
  explicit Inspection(const std::string& path)
      : file(huggingface::OpenModel(path)) {}

  formats::GgufFile file;
  std::optional<model::Config> config;
  std::vector<model::LayerGroup> layers;
  std::string why_not;  // this file cannot be run
  std::optional<EmbeddingReport> embedding;
  double weight_decay = 0;  // of the training, where it is known
  std::optional<tokenizer::Tokenizer> tokenizer;

  // ggml's name of an embedding's type that is not read; else empty.
  std::string UnreadEmbedding() const {
    const formats::GgufTensor* tensor = file.Find("token_embd.weight");
    return tensor != nullptr && !tensor->type ? tensor->type_name : "";
  }

  std::string PieceOf(int64_t row) const {
    if (!tokenizer || row >= tokenizer->VocabularySize()) return "";
    return Printable(tokenizer->Piece(static_cast<Token>(row)), 30);
  }
};

Inspection Examine(const std::string& path, double weight_decay) {
  Inspection inspection(path);
  try {
    const model::Model model = model::Model::Load(path);
    inspection.config = model.config();
    inspection.layers = model::DescribeLayers(model);
  } catch (const FormatError& error) {
    inspection.why_not = error.what();
  }
  try {
    inspection.tokenizer = tokenizer::Tokenizer::FromGguf(inspection.file);
  } catch (const FormatError&) {
    // Pieces then go unnamed.
  }
  inspection.embedding = ExamineEmbedding(inspection.file, weight_decay);
  inspection.weight_decay = weight_decay;
  return inspection;
}

std::string Parameters(const formats::GgufFile& file) {
  double count = 0;
  for (const auto& tensor : file.tensors()) {
    count += static_cast<double>(tensor.Elements());
  }
  return FormatCount(count);
}

void PrintModel(const Inspection& inspection, int64_t length) {
  const formats::GgufFile& file = inspection.file;
  const std::string form =
      file.version() == 0 ? "a folder of Hugging Face"
                          : "GGUF version " + std::to_string(file.version());
  std::printf("%s: %s, %s, %s parameters\n", file.path().c_str(), form.c_str(),
              FormatBytes(file.file_bytes()).c_str(), Parameters(file).c_str());
  if (!inspection.config) {
    std::printf("not a model that ropewalk runs: %s\n",
                inspection.why_not.c_str());
    return;
  }
  const model::Config& config = *inspection.config;
  const position::ModelPositions& positions = config.positions;
  std::printf("%s (%s): %lld layers, width %lld, vocabulary %lld, output %s\n",
              Printable(config.name).c_str(), config.architecture.c_str(),
              static_cast<long long>(config.L),
              static_cast<long long>(config.E),
              static_cast<long long>(config.V),
              config.tied ? "tied to the embedding" : "of its own");
  std::printf(
      "trained to %lld tokens%s\n\n",
      static_cast<long long>(positions.train_length),
      positions.own_spelling.empty()
          ? ""
          : ("; the file's scheme: " + position::ToString(position::Resolve(
                                           position::ParseScheme("rope"),
                                           positions, positions.train_length)))
                .c_str());
  std::printf("layers\n%s\n",
              report::ToText(LayersTable(inspection.layers)).c_str());
  std::printf("position schemes by length\n%s\n",
              report::ToText(SchemesTable(positions)).c_str());
  for (const position::Recommendation& advice : Advise(config, length)) {
    std::printf("%s\n", Describe(config, file.path(), advice).c_str());
  }
}

void PrintEmbedding(const Inspection& inspection) {
  if (!inspection.embedding) {
    const std::string unread = inspection.UnreadEmbedding();
    if (!unread.empty()) {
      std::printf("embedding: not looked at, as %s is not read\n\n",
                  unread.c_str());
    }
    return;
  }
  const EmbeddingReport& e = *inspection.embedding;
  std::printf(
      "embedding: rms %.4g, largest |component| %.4g (median row "
      "%.4g)%s\n",
      e.rms, e.largest, e.median_row_largest,
      e.not_finite > 0
          ? (", " + std::to_string(e.not_finite) + " NOT FINITE").c_str()
          : "");
  report::Table table({{.name = "row"},
                       {.name = "piece"},
                       {.name = "largest |component|", .digits = 4},
                       {.name = "rms", .digits = 4}});
  for (const RowExtreme& row : e.top) {
    table.AddRow({row.row, inspection.PieceOf(row.row), row.largest, row.rms});
  }
  std::printf("%s\n", report::ToText(table).c_str());
  const std::string diagnosis = Diagnosis(e, inspection.weight_decay);
  if (!diagnosis.empty()) std::printf("%s\n\n", diagnosis.c_str());
}

std::string ToJson(const Inspection& inspection, int64_t length) {
  const formats::GgufFile& file = inspection.file;
  Json json;
  json["path"] = file.path();
  json["form"] = file.version() == 0 ? "huggingface" : "gguf";
  if (file.version() > 0) json["gguf_version"] = file.version();
  json["bytes"] = file.file_bytes();
  json["runs"] = inspection.config.has_value();
  if (inspection.config) {
    const model::Config& c = *inspection.config;
    json["name"] = c.name;
    json["architecture"] = c.architecture;
    json["block"] = c.gau ? "gau" : "llama";
    json["layers"] = c.L;
    json["width"] = c.E;
    json["feed_forward"] = c.F;
    json["vocabulary"] = c.V;
    json["query_heads"] = c.heads.H;
    json["key_heads"] = c.heads.G;
    json["head_width"] = c.heads.D;
    json["value_width"] = c.heads.ValueWidth();
    json["tied"] = c.tied;
    json["train_length"] = c.positions.train_length;
    json["rope_base"] = c.positions.base;
    json["layer_groups"] = report::ToJson(LayersTable(inspection.layers));
    json["schemes"] = report::ToJson(SchemesTable(c.positions));
    json["advice"] = Json::array();
    for (const position::Recommendation& advice : Advise(c, length)) {
      json["advice"].push_back(
          {{"length", advice.length},
           {"position", advice.spelling ? Json(*advice.spelling) : Json()},
           {"own", advice.is_own},
           {"reasons", advice.reasons},
           {"kv_bytes", KvBytes(c, advice.length)}});
    }
  } else {
    json["why_not"] = inspection.why_not;
  }
  if (inspection.embedding) {
    const EmbeddingReport& e = *inspection.embedding;
    json["embedding"] = {{"rows", e.rows},
                         {"rms", e.rms},
                         {"largest", e.largest},
                         {"median_row_largest", e.median_row_largest},
                         {"not_finite", e.not_finite},
                         {"limit", e.limit},
                         {"rows_at_limit", e.rows_at_limit},
                         {"rows_heading", e.rows_heading},
                         {"components_at_limit", e.components_at_limit},
                         {"rows_of_one_size", e.rows_of_one_size},
                         {"largest_of_one_size", e.largest_of_one_size},
                         {"rows_outlying", e.rows_outlying},
                         {"diagnosis", Diagnosis(e, inspection.weight_decay)},
                         {"top", Json::array()}};
    for (const RowExtreme& row : e.top) {
      json["embedding"]["top"].push_back(
          {{"row", row.row},
           {"piece", inspection.PieceOf(row.row)},
           {"largest", row.largest},
           {"rms", row.rms}});
    }
  }
  const std::string unread = inspection.UnreadEmbedding();
  if (!unread.empty()) json["embedding_not_read"] = unread;
  json["metadata"] = report::ToJson(MetadataTable(file));
  json["tensors"] = report::ToJson(TensorTable(file));
  return report::DumpJson(json);
}

}  // namespace

void AddInspect(CLI::App& app) {
  struct Job {
    std::string path;
    std::string length;
    double weight_decay = 0;
    bool json = false;
  };
  CLI::App* command = app.add_subcommand(
      "inspect", "what is in a model file, and how far it may read");
  auto job = std::make_shared<Job>();
  command->add_option("-m,--model,MODEL", job->path, "GGUF file")
      ->type_name("FILE");
  command
      ->add_option("--length", job->length,
                   "tokens to advise a scheme for, as in 32k; default twice "
                   "and four times the trained length")
      ->type_name("LEN");
  command->add_flag("--json", job->json, "print everything as JSON");
  program::AddFloat(*command, "--weight-decay", job->weight_decay,
                    "lambda of the training: which rows of the embedding run "
                    "to 1/lambda, as sign optimizers make them",
                    {.least = 1e-9, .most = 1e9});
  command->footer(
      "Examples:\n"
      "  ropewalk inspect -m model.gguf\n"
      "  ropewalk inspect -m model.gguf --length 32k\n"
      "  ropewalk inspect model.gguf --weight-decay 0.01");
  command->callback([job] {
    Require(!job->path.empty(),
            "--model is required (see ropewalk inspect --help)");
    const int64_t length = ParseLengthOption(job->length, "--length", 0);
    const Inspection inspection = Examine(job->path, job->weight_decay);
    if (job->json) {
      std::printf("%s", ToJson(inspection, length).c_str());
      return;
    }
    PrintModel(inspection, length);
    PrintEmbedding(inspection);
    std::printf("%s\n", report::ToText(MetadataTable(inspection.file)).c_str());
    std::printf("%s", report::ToText(TensorTable(inspection.file)).c_str());
  });
}

}  // namespace ropewalk::cli
