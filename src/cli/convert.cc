// ropewalk convert: the same model in another element type.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/commands.h"
#include "cli/convert_types.h"
#include "formats/ggml_types.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "huggingface/folder.h"
#include "huggingface/write_folder.h"
#include "kernels/blocks.h"
#include "kernels/pack_range.h"

namespace ropewalk::cli {
namespace {

using formats::GgufTensor;

constexpr int64_t kChunkElements = 1 << 22;  // between two looks at Ctrl-C

// Calls `use` with (row, its floats, worker) for all rows, on all threads.
template <typename Use>
void ForEachRow(const GgufTensor& tensor, ParallelFor& threads,
                const Use& use) {
  const int64_t columns = tensor.Columns();
  const int64_t chunk = std::max<int64_t>(1, kChunkElements / columns);
  std::vector<std::vector<float>> rows(
      static_cast<size_t>(threads.workers()),
      std::vector<float>(static_cast<size_t>(columns)));
  for (int64_t begin = 0; begin < tensor.Rows(); begin += chunk) {
    ThrowIfInterrupted();
    const int64_t count = std::min(chunk, tensor.Rows() - begin);
    threads.Run(count, [&](int64_t task, int64_t worker) {
      float* row = rows[static_cast<size_t>(worker)].data();
      kernels::UnpackRow(*tensor.type, tensor.Row(begin + task), columns, row);
      use(begin + task, row, worker);
    });
  }
}

// Whether the numbers of the tensor are within the range of `type`.
bool Holds(const GgufTensor& tensor, DType type, ParallelFor& threads) {
  std::vector<kernels::RangeLoss> losses(
      static_cast<size_t>(threads.workers()));
  ForEachRow(tensor, threads, [&](int64_t, const float* row, int64_t worker) {
    losses[static_cast<size_t>(worker)] +=
        kernels::RangeLossOf(type, row, tensor.Columns());
  });
  kernels::RangeLoss sum;
  for (const kernels::RangeLoss& loss : losses) sum += loss;
  return sum.Holds();
}

// The first of `types` that holds the tensor; says so where it is not the one
// that was asked for.
DType ChooseType(const GgufTensor& tensor, const std::vector<DType>& types,
                 DType wanted, ParallelFor& threads, Progress& progress) {
  const auto say = [&](const std::string& why, DType type) {
    progress.Clear();
    std::fprintf(stderr, "%s: %s; kept %s\n", Printable(tensor.name).c_str(),
                 why.c_str(), std::string(InfoOf(type).name).c_str());
  };
  const std::string columns = std::to_string(tensor.Columns());
  for (const DType type : types) {
    // The last is f32, which holds everything.
    if (type == *tensor.type || type == types.back() ||
        Holds(tensor, type, threads)) {
      if (type != types.front()) {
        say("the range of " + std::string(InfoOf(types.front()).name) +
                " does not hold its numbers",
            type);
      } else if (types.size() > 1 &&
                 tensor.Columns() % InfoOf(wanted).block_elements != 0) {
        say("rows of " + columns + " are not whole blocks of " +
                std::string(InfoOf(wanted).name),
            type);
      }
      return type;
    }
  }
  return DType::kF32;
}

std::vector<std::byte> ConvertTensor(const GgufTensor& tensor, DType to,
                                     ParallelFor& threads) {
  // Packing anew what already has the type could only lose.
  if (to == *tensor.type) {
    std::vector<std::byte> same;
    same.reserve(static_cast<size_t>(tensor.ByteSize()));
    tensor.ForPieces([&](std::span<const std::byte> piece) {
      same.insert(same.end(), piece.begin(), piece.end());
    });
    return same;
  }
  const int64_t out_bytes = RowBytes(to, tensor.Columns());
  std::vector<std::byte> out(static_cast<size_t>(tensor.Rows() * out_bytes));
  ForEachRow(tensor, threads, [&](int64_t r, const float* row, int64_t) {
    kernels::PackRow(to, row, tensor.Columns(), out.data() + r * out_bytes);
  });
  return out;
}

void Convert(const std::string& in, const std::string& out,
             const ConvertTarget& target) {
  std::error_code ignored;
  Require(!std::filesystem::equivalent(in, out, ignored),
          "convert: OUT is the same file as IN, and converting loses bits; "
          "name another");
  const formats::GgufFile file = huggingface::OpenModel(in);
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.type) {
      throw FormatError(tensor.path, tensor.file_offset,
                        "tensor '" + Printable(tensor.name) + "' " +
                            formats::UnreadType(tensor.type_name));
    }
    Require(!std::filesystem::equivalent(tensor.path, out, ignored),
            "convert: OUT is a part of IN; name another");
  }
  formats::Metadata metadata = file.metadata();
  metadata.SetInt("general.file_type", target.file_type);
  if (InfoOf(target.type).block_elements > 1) {
    metadata.SetInt("general.quantization_version", 2);
  }
  for (const char* key : {"split.no", "split.count", "split.tensors.count"}) {
    metadata.Remove(key);
  }
  const auto threads = MakeThreadPool(0);
  CatchInterrupts();  // before there is a temporary file to leave behind
  formats::GgufWriter writer(out, metadata);
  const auto candidates = ConvertTypes(file, target);
  std::vector<DType> types;
  std::map<std::string_view, int64_t> counts;
  // Every tensor is read twice: the header needs the types first.
  Progress progress("convert", 2.0 * static_cast<double>(file.file_bytes()),
                    "bytes");
  for (size_t i = 0; i < candidates.size(); ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    types.push_back(
        ChooseType(tensor, candidates[i], target.type, *threads, progress));
    writer.AddTensor(tensor.name, types.back(), tensor.shape);
    ++counts[InfoOf(types.back()).name];
    progress.Add(tensor.ByteSize());
  }
  int64_t bytes = 0;
  for (size_t i = 0; i < types.size(); ++i) {
    const GgufTensor& tensor = file.tensors()[i];
    const auto converted = ConvertTensor(tensor, types[i], *threads);
    writer.WriteTensor(converted);
    bytes += static_cast<int64_t>(converted.size());
    progress.Add(tensor.ByteSize());
  }
  writer.Finish();
  progress.Clear();
  std::string list;
  for (const auto& [name, count] : counts) {
    list += (list.empty() ? "" : ", ") + std::to_string(count) + " " +
            std::string(name);
  }
  std::printf("%s: %zu tensors (%s), %s of weights, from %s\n", out.c_str(),
              file.tensors().size(), list.c_str(), FormatBytes(bytes).c_str(),
              FormatBytes(file.file_bytes()).c_str());
}

}  // namespace

// A folder is named by its being one, a slash at its end, or a new name without
// an extension.
bool NamesFolder(const std::string& out) {
  std::error_code ignored;
  return std::filesystem::is_directory(out, ignored) || out.ends_with('/') ||
         (!std::filesystem::path(out).has_extension() &&
          !std::filesystem::exists(out, ignored));
}

void ConvertToFolder(const std::string& in, const std::string& out,
                     const std::string& type_name) {
  const auto type = ParseDType(type_name);
  Require(type == DType::kF32 || type == DType::kF16 || type == DType::kBf16,
          "--type must be f32, f16 or bf16 where OUT is a folder, got '" +
              Printable(type_name, 40) + "'");
  std::error_code ignored;
  Require(!std::filesystem::equivalent(in, out, ignored),
          "convert: OUT is the same folder as IN; name another");
  const formats::GgufFile file = huggingface::OpenModel(in);
  CatchInterrupts();
  Progress progress("convert", static_cast<double>(file.file_bytes()), "bytes");
  huggingface::WriteFolder(file, out, *type, [&](int64_t bytes) {
    ThrowIfInterrupted();
    progress.Add(bytes);
  });
  progress.Clear();
  std::printf("%s: a folder of Hugging Face with %zu tensors in %s, from %s\n",
              out.c_str(), file.tensors().size(),
              std::string(InfoOf(*type).name).c_str(),
              FormatBytes(file.file_bytes()).c_str());
}

void AddConvert(CLI::App& app) {
  struct Job {
    std::string in;
    std::string out;
    std::string type;
  };
  CLI::App* command =
      app.add_subcommand("convert", "write a model in another type or form");
  auto job = std::make_shared<Job>();
  command->add_option("IN", job->in, "GGUF model, or a folder of Hugging Face")
      ->type_name("MODEL")
      ->required();
  command
      ->add_option("OUT", job->out,
                   "file to write, or a folder: one that exists, or a name "
                   "without an extension")
      ->type_name("MODEL")
      ->required();
  command
      ->add_option("--type", job->type,
                   ConvertTargetNames() +
                       "; default: q8_0, and of a folder, which has f32, f16 "
                       "or bf16, bf16")
      ->type_name("TYPE");
  command->footer(
      "Matrices are converted, vectors and norms stay f32. Where rows are not "
      "whole blocks\nof a type the next sensible one is taken, and where its "
      "range does not hold the\nnumbers bf16 or f32; either is said. "
      "q4_K_M, q4_K_S, q5_K_M and q5_K_S are\nllama.cpp's mixes: the value "
      "and down projections of some layers and the output get\nmore bits. A "
      "split model is named by its first part and becomes one file.\n\n"
      "Examples:\n"
      "  ropewalk convert model.gguf model-q4.gguf --type q4_K_M\n"
      "  ropewalk convert SmolLM2-135M-Instruct/ smollm2.gguf --type bf16\n"
      "  ropewalk convert smollm2.gguf smollm2-folder/   for transformers");
  command->callback([job] {
    const bool folder = NamesFolder(job->out);
    if (job->type.empty()) job->type = folder ? "bf16" : "q8_0";
    if (folder) return ConvertToFolder(job->in, job->out, job->type);
    const auto target = ParseConvertTarget(job->type);
    Require(target.has_value(), "--type must be one of " +
                                    ConvertTargetNames() + ", got '" +
                                    Printable(job->type, 40) + "'");
    Convert(job->in, job->out, *target);
  });
}

}  // namespace ropewalk::cli
