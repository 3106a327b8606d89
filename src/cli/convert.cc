// ropewalk convert: the same model in another element type.

#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "formats/ggml_types.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"
#include "kernels/blocks.h"

namespace ropewalk::cli {
namespace {

using formats::GgufTensor;

// Matrices are converted; vectors (norms, factors) stay exact. Rows that a
// block format cannot divide become f16.
DType TargetType(const GgufTensor& tensor, DType wanted) {
  if (tensor.shape.size() < 2) return DType::kF32;
  if (tensor.Columns() % InfoOf(wanted).block_elements != 0) {
    return DType::kF16;
  }
  return wanted;
}

std::vector<std::byte> ConvertTensor(const GgufTensor& tensor, DType to) {
  const int64_t columns = tensor.Columns();
  const int64_t in_bytes = RowBytes(*tensor.type, columns);
  const int64_t out_bytes = RowBytes(to, columns);
  std::vector<float> row(static_cast<size_t>(columns));
  std::vector<std::byte> out(static_cast<size_t>(tensor.Rows() * out_bytes));
  for (int64_t r = 0; r < tensor.Rows(); ++r) {
    kernels::UnpackRow(*tensor.type, tensor.bytes.data() + r * in_bytes,
                       columns, row.data());
    kernels::PackRow(to, row.data(), columns, out.data() + r * out_bytes);
  }
  return out;
}

void Convert(const std::string& in, const std::string& out, DType wanted) {
  std::error_code ignored;
  Require(!std::filesystem::equivalent(in, out, ignored),
          "convert: OUT is the same file as IN, and converting loses bits; "
          "name another");
  const formats::GgufFile file(in);
  for (const GgufTensor& tensor : file.tensors()) {
    if (!tensor.type) {
      throw FormatError(in, tensor.file_offset,
                        "tensor '" + tensor.name + "' " +
                            formats::UnreadType(tensor.type_name));
    }
  }
  formats::Metadata metadata = file.metadata();
  metadata.SetInt("general.file_type", formats::FileTypeOf(wanted));
  if (InfoOf(wanted).block_elements > 1) {
    metadata.SetInt("general.quantization_version", 2);
  }
  CatchInterrupts();  // before there is a temporary file to leave behind
  formats::GgufWriter writer(out, metadata);
  std::map<std::string_view, int64_t> counts;
  for (const GgufTensor& tensor : file.tensors()) {
    const DType type = TargetType(tensor, wanted);
    writer.AddTensor(tensor.name, type, tensor.shape);
    ++counts[InfoOf(type).name];
    if (type != wanted && tensor.shape.size() >= 2) {
      std::fprintf(
          stderr, "%s: rows of %lld are not whole blocks of %s; kept f16\n",
          tensor.name.c_str(), static_cast<long long>(tensor.Columns()),
          std::string(InfoOf(wanted).name).c_str());
    }
  }
  Progress progress("convert", file.file_bytes(), "bytes");
  int64_t bytes = 0;
  for (const GgufTensor& tensor : file.tensors()) {
    const auto converted = ConvertTensor(tensor, TargetType(tensor, wanted));
    writer.WriteTensor(converted);
    bytes += static_cast<int64_t>(converted.size());
    progress.Add(static_cast<int64_t>(tensor.bytes.size()));
    ThrowIfInterrupted();
  }
  writer.Finish();
  progress.Clear();
  std::string types;
  for (const auto& [name, count] : counts) {
    types += (types.empty() ? "" : ", ") + std::to_string(count) + " " +
             std::string(name);
  }
  std::printf("%s: %zu tensors (%s), %s of weights, from %s\n", out.c_str(),
              file.tensors().size(), types.c_str(), FormatBytes(bytes).c_str(),
              FormatBytes(file.file_bytes()).c_str());
}

}  // namespace

void AddConvert(CLI::App& app) {
  struct Job {
    std::string in;
    std::string out;
    std::string type = "q8_0";
  };
  CLI::App* command =
      app.add_subcommand("convert", "write a model in another element type");
  auto job = std::make_shared<Job>();
  command->add_option("IN", job->in, "GGUF model")->required();
  command->add_option("OUT", job->out, "GGUF model to write")->required();
  command->add_option("--type", job->type, PackedDTypeNames())
      ->capture_default_str();
  command->footer(
      "Matrices are converted, vectors stay f32. Rows that a block format "
      "cannot divide\nare kept f16, and that is said.\n\n"
      "Example:\n  ropewalk convert model.gguf model-q8.gguf --type q8_0");
  command->callback([job] {
    const auto type = ParseDType(job->type);
    Require(type && InfoOf(*type).packed, "--type must be one of " +
                                              PackedDTypeNames() + ", got '" +
                                              job->type + "'");
    Convert(job->in, job->out, *type);
  });
}

}  // namespace ropewalk::cli
