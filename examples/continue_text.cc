// Embedding the runtime: read a text of any length and write on.
//
//   continue_text MODEL.gguf 'Once upon a time' [rerope:window=128+logn-clip]

#include <cstdio>
#include <exception>
#include <string>

#include "base/parallel.h"
#include "engine/generator.h"
#include "model/context.h"
#include "model/model.h"
#include "position/scheme.h"
#include "tokenizer/tokenizer.h"

namespace {

using namespace ropewalk;  // NOLINT: an example

void ContinueText(const std::string& path, const std::string& text,
                  const std::string& spelling) {
  const auto model = model::Model::Load(path);
  const auto tokenizer = tokenizer::Tokenizer::FromGguf(model.file());
  const auto threads = MakeThreadPool(0);  // one a core

  // The scheme is data: spelled, filled in from the model, made into plans.
  const std::vector<Token> prompt = tokenizer.Encode(text);
  const int64_t length = static_cast<int64_t>(prompt.size()) + 200;
  const auto& positions = model.config().positions;
  const position::Scheme scheme =
      position::Resolve(position::ParseScheme(spelling), positions, length);
  std::fprintf(stderr, "position %s\n", position::ToString(scheme).c_str());

  model::Context context(
      model, position::BuildStack(scheme, positions, length, model.config().L),
      {.length = length}, *threads);
  engine::Sampler sampler({.temperature = 0.7}, /*seed=*/1);
  engine::Generate(context, tokenizer, prompt, sampler, {.max_tokens = 200},
                   {.on_text = [](const std::string& piece) {
                     std::fputs(piece.c_str(), stdout);
                     std::fflush(stdout);
                   }});
  std::puts("");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL.gguf TEXT [SCHEME]\n", argv[0]);
    return 2;
  }
  try {
    ContinueText(argv[1], argv[2], argc > 3 ? argv[3] : "auto");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
