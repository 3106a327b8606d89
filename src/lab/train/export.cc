#include "lab/train/export.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/error.h"
#include "base/interrupt.h"
#include "formats/ggml_types.h"
#include "formats/gguf_writer.h"
#include "kernels/blocks.h"
#include "lab/train/export_weights.h"
#include "position/scheme.h"

namespace ropewalk::lab::train {
namespace {

using nn::ModelConfig;

// The laws of a model, as the files spell them: one entry, or one a layer.
struct Laws {
  std::vector<std::string> inference;
  std::vector<std::string> trained;  // with every parameter given
  bool plain_rope = false;           // to infer with
  bool learned_logn = false;         // to infer with, on some layer
};

std::vector<std::string> Spellings(const position::Scheme& scheme) {
  if (scheme.layers.empty()) return {ToString(scheme)};
  std::vector<std::string> spellings;
  for (const position::Scheme& layer : scheme.layers) {
    spellings.push_back(ToString(layer));
  }
  return spellings;
}

Laws LawsOf(const ModelConfig& config) {
  position::ModelPositions positions = nn::PositionsOf(config);
  positions.own_spelling.clear();  // `rope` means rope
  const position::Scheme trained = position::ParseScheme(config.position);
  const position::Scheme inference =
      config.inference.empty() ? trained
                               : position::ParseScheme(config.inference);
  Require(inference.name != "auto",
          "export: a file needs a law of its own, got 'auto'");
  const position::Scheme resolved =
      position::Resolve(inference, positions, config.N);
  Laws laws{
      .inference = Spellings(inference),
      .trained = Spellings(position::Resolve(trained, positions, config.N)),
      .plain_rope = ToString(inference) == "rope"};
  for (const position::Plan& plan :
       position::BuildStack(resolved, positions, config.N, config.L)) {
    laws.learned_logn |=
        plan.scale.kind == position::ScoreScale::Kind::kLearned;
  }
  return laws;
}

void RequireExportable(const ModelConfig& config) {
  Require(config.architecture == nn::Architecture::kDecoder,
          "export: the files hold decoders; architecture '" +
              ToString(config.architecture) + "' stays a checkpoint");
  Require(config.mask == nn::Mask::kCausal,
          "export: the runtime attends to what came before; mask '" +
              ToString(config.mask) + "' stays a checkpoint");
  nn::Validate(config);
}

void SetLaw(const std::string& key, const std::vector<std::string>& law,
            formats::Metadata& keys) {
  if (law.size() == 1) {
    keys.SetString(key, law.front());
  } else {
    keys.SetStrings(key, law);
  }
}

void SetShape(const ModelConfig& c, const std::string& arch,
              formats::Metadata& keys) {
  const auto set = [&](const char* key, int64_t value) {
    keys.SetInt(arch + "." + key, value);
  };
  set("vocab_size", c.V);
  set("context_length", c.N);
  set("embedding_length", c.E);
  set("block_count", c.L);
  if (c.block == nn::Block::kLlama) {
    set("feed_forward_length", c.F);
    set("attention.head_count", c.H);
    set("attention.head_count_kv", c.G);
    if (c.D * c.H != c.E) {
      set("attention.key_length", c.D);
      set("attention.value_length", c.D);
    }
  }
  set("rope.dimension_count", c.D);
  keys.SetFloat(arch + ".rope.freq_base", c.rope_base);
  keys.SetFloat(arch + ".attention.layer_norm_rms_epsilon", c.norm_epsilon);
}

// llama.cpp takes the number of pieces for that of the embedding's rows.
void SetTokenizer(const LabModel& model, formats::Metadata& keys,
                  ExportResult& result) {
  for (const auto& entry : model.tokenizer.entries()) {
    if (entry.key.starts_with("tokenizer.")) keys.Set(entry.key, entry.value);
  }
  auto pieces = keys.FindStrings("tokenizer.ggml.tokens");
  if (!pieces) {
    result.notes.emplace_back(
        "no vocabulary: the file reads ids, not texts, and other engines will "
        "not load it");
    return;
  }
  const auto count = static_cast<int64_t>(pieces->size());
  const int64_t missing = model.config.V - count;
  Require(missing >= 0, "export: the tokenizer has " + std::to_string(count) +
                            " tokens, the embedding " +
                            std::to_string(model.config.V) + " rows");
  if (missing == 0) return;
  constexpr int64_t kUnused = 5;
  constexpr float kUnusedScore = -1000;
  auto types = keys.FindInts("tokenizer.ggml.token_type");
  const auto numbers = keys.FindFloats("tokenizer.ggml.scores");
  std::vector<float> scores;
  if (numbers) scores.assign(numbers->begin(), numbers->end());
  for (int64_t n = 0; n < missing; ++n) {
    pieces->push_back("[PAD" + std::to_string(n) + "]");
    if (types) types->push_back(kUnused);
    if (numbers) scores.push_back(kUnusedScore);
  }
  keys.SetStrings("tokenizer.ggml.tokens", *pieces);
  if (types) keys.SetInts("tokenizer.ggml.token_type", *types);
  if (numbers) keys.SetFloats("tokenizer.ggml.scores", scores);
  result.notes.push_back("the vocabulary was filled up with " +
                         std::to_string(missing) +
                         " unused tokens, for as many rows of the embedding");
}

formats::Metadata KeysOf(const LabModel& model, const Laws& laws, DType type,
                         ExportResult& result) {
  const ModelConfig& c = model.config;
  const std::string& arch = result.architecture;
  formats::Metadata keys("export");
  keys.SetString("general.architecture", arch);
  keys.SetString("general.name", model.name);
  if (!model.notes.empty()) {
    keys.SetString("general.description", model.notes);
  }
  keys.SetInt("general.file_type", formats::FileTypeOf(type));
  if (InfoOf(type).block_elements > 1) {
    keys.SetInt("general.quantization_version", 2);
  }
  SetShape(c, arch, keys);
  keys.SetInt("ropewalk.train_length", c.N);
  SetLaw("ropewalk.position_trained", laws.trained, keys);
  if (arch != "llama") {
    keys.SetString("ropewalk.block", ToString(c.block));
    SetLaw("ropewalk.position", laws.inference, keys);
    if (c.block == nn::Block::kGau) {
      keys.SetInt("ropewalk.gau.expansion", c.F);
      keys.SetInt("ropewalk.gau.key_length", c.D);
    }
    if (c.key_norm) keys.SetBool("ropewalk.attention.key_norm", true);
  }
  SetTokenizer(model, keys, result);
  return keys;
}

// Vectors stay exact; rows that a block format cannot divide become f16.
DType TypeOf(const ExportTensor& tensor, DType wanted) {
  if (tensor.shape.size() < 2) return DType::kF32;
  return tensor.shape.back() % InfoOf(wanted).block_elements == 0 ? wanted
                                                                  : DType::kF16;
}

std::vector<std::byte> Pack(const ExportTensor& tensor, DType type) {
  const at::Tensor values = tensor.values();
  const int64_t columns = tensor.shape.back();
  const int64_t rows = values.numel() / columns;
  const int64_t row_bytes = RowBytes(type, columns);
  std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes));
  const float* row = values.data_ptr<float>();
  for (int64_t r = 0; r < rows; ++r, row += columns) {
    kernels::PackRow(type, row, columns, bytes.data() + r * row_bytes);
  }
  return bytes;
}

// Half floats end at 65504; beyond it a weight would become infinite.
void RequireFits(const ExportTensor& tensor, DType type) {
  if (type != DType::kF16) return;
  constexpr double kLargest = 65504;
  const auto largest = tensor.values().abs().max().item<double>();
  Require(!(largest > kLargest),
          "export: tensor '" + tensor.name + "' has a component of size " +
              std::to_string(largest) +
              ", beyond f16's 65504; choose another type");
}

}  // namespace

std::string WhyNotLlama(const ModelConfig& config) {
  RequireExportable(config);
  if (config.block != nn::Block::kLlama) {
    return "its blocks are gated attention units";
  }
  if (config.key_norm) return "its keys are normed";
  const Laws laws = LawsOf(config);
  if (!laws.plain_rope) {
    return "its position law is " + (laws.inference.size() == 1
                                         ? laws.inference.front()
                                         : "one of its own for each layer");
  }
  return "";
}

ExportResult ExportGguf(const LabModel& model, const std::string& path,
                        DType type) {
  ExportResult result{.why = WhyNotLlama(model.config)};
  result.architecture = result.why.empty() ? "llama" : "ropewalk";
  const Laws laws = LawsOf(model.config);
  if (!laws.learned_logn && model.tensor("layers.0.logn_scale").defined()) {
    result.notes.emplace_back(
        "the learned log n scales were left out: the law to infer with does "
        "not use them");
  }
  const formats::Metadata keys = KeysOf(model, laws, type, result);
  const auto tensors = GgufTensors(model, laws.learned_logn);
  for (const ExportTensor& tensor : tensors) {
    RequireFits(tensor, TypeOf(tensor, type));
  }
  formats::GgufWriter writer(path, keys);
  for (const ExportTensor& tensor : tensors) {
    const DType stored = TypeOf(tensor, type);
    writer.AddTensor(tensor.name, stored, tensor.shape);
    if (stored != type && tensor.shape.size() > 1) {
      result.notes.push_back(tensor.name + ": rows of " +
                             std::to_string(tensor.shape.back()) +
                             " are not whole blocks of " +
                             std::string(InfoOf(type).name) + "; kept f16");
    }
  }
  for (const ExportTensor& tensor : tensors) {
    writer.WriteTensor(Pack(tensor, TypeOf(tensor, type)));
    ThrowIfInterrupted();
  }
  writer.Finish();
  return result;
}

}  // namespace ropewalk::lab::train
