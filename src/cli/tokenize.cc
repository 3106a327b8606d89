// ropewalk tokenize: the ids of a text, on one line.

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "huggingface/folder.h"
#include "tokenizer/tokenizer.h"

namespace ropewalk::cli {
namespace {

struct TokenizeJob {
  std::string model;
  TextOptions text;
  bool no_bos = false;
  bool special = false;
  bool lines = false;
  bool pieces = false;
  bool json = false;
};

// What is printed for one text.
std::string Shown(const TokenizeJob& job, const tokenizer::Tokenizer& tokenizer,
                  const std::vector<Token>& tokens) {
  if (job.json) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const Token token : tokens) {
      list.push_back(
          {{"id", token}, {"piece", std::string(tokenizer.Piece(token))}});
    }
    // Pieces are bytes and need not be UTF-8.
    return list.dump(-1, ' ', false,
                     nlohmann::ordered_json::error_handler_t::replace) +
           "\n";
  }
  std::string out;
  for (const Token token : tokens) {
    if (job.pieces) {
      out += std::to_string(token) + "\t" +
             Printable(tokenizer.Piece(token), 1000) + "\n";
    } else {
      out += (out.empty() ? "" : " ") + std::to_string(token);
    }
  }
  return job.pieces ? out : out + "\n";
}

void Tokenize(const TokenizeJob& job) {
  const std::string text = job.text.Read();
  const auto tokenizer =
      tokenizer::Tokenizer::FromGguf(huggingface::OpenModel(job.model));
  tokenizer::EncodeOptions options{.parse_special = job.special};
  if (job.no_bos) options.add_bos = false;
  std::string_view rest = text;
  do {
    const size_t end = job.lines ? rest.find('\n') : std::string_view::npos;
    const std::string shown =
        Shown(job, tokenizer, tokenizer.Encode(rest.substr(0, end), options));
    std::fwrite(shown.data(), 1, shown.size(), stdout);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  } while (!rest.empty());
}

}  // namespace

void AddTokenize(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("tokenize", "the ids of a text, on one line");
  auto job = std::make_shared<TokenizeJob>();
  command
      ->add_option("-m,--model", job->model,
                   "GGUF file or folder of Hugging Face, for its tokenizer")
      ->type_name("FILE")
      ->required();
  job->text.Add(*command);
  command->add_flag("--no-bos", job->no_bos,
                    "no begin-of-text token, even where the model wants one");
  command->add_flag("--special", job->special,
                    "read control tokens such as <s> in the text as such");
  command->add_flag("--lines", job->lines,
                    "each line of the text is a text of its own");
  CLI::Option* pieces = command->add_flag(
      "--pieces", job->pieces, "a line for each token: id, tab, its piece");
  command
      ->add_flag("--json", job->json,
                 "an array of {\"id\", \"piece\"} for each text")
      ->excludes(pieces);
  command->footer(
      "Example:\n  ropewalk tokenize -m model.gguf -p 'Once upon a time'");
  command->callback([job] { Tokenize(*job); });
}

}  // namespace ropewalk::cli
