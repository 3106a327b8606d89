// ropewalk tokenize: the ids of a text, on one line.

#include <cstdio>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/options.h"
#include "formats/gguf.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::cli {

void AddTokenize(CLI::App& app) {
  struct Job {
    std::string model;
    TextOptions text;
    bool no_bos = false;
    bool special = false;
  };
  CLI::App* command =
      app.add_subcommand("tokenize", "the ids of a text, on one line");
  auto job = std::make_shared<Job>();
  command->add_option("-m,--model", job->model, "GGUF file with a vocabulary")
      ->required();
  job->text.Add(*command);
  command->add_flag("--no-bos", job->no_bos,
                    "no begin-of-text token, even where the model wants one");
  command->add_flag("--special", job->special,
                    "read control tokens such as <s> in the text as such");
  command->footer(
      "Example:\n  ropewalk tokenize -m model.gguf -p 'Once upon a time'");
  command->callback([job] {
    const std::string text = job->text.Read();
    const auto tokenizer =
        tokenizer::Tokenizer::FromGguf(formats::GgufFile(job->model));
    tokenizer::EncodeOptions options{.parse_special = job->special};
    if (job->no_bos) options.add_bos = false;
    std::string line;
    for (const Token token : tokenizer.Encode(text, options)) {
      line += (line.empty() ? "" : " ") + std::to_string(token);
    }
    std::printf("%s\n", line.c_str());
  });
}

}  // namespace ropewalk::cli
