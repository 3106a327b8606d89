#include "lab/studies/command.h"

#include <cstdio>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "lab/studies/reproduce.h"
#include "lab/train/config.h"
#include "program/numbers.h"

namespace ropewalk::lab::studies {

void AddReproduce(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "reproduce", "a published table out of code; alone: lists the studies");
  auto options = std::make_shared<ReproduceOptions>();
  auto scale = std::make_shared<std::string>("small");
  auto length = std::make_shared<std::string>();
  command
      ->add_option("STUDY", options->studies,
                   "studies, or all; none: lists them")
      ->type_name("NAME");
  command
      ->add_option("--scale", *scale,
                   "smoke (a minute), small (two cores, hours) or paper (the "
                   "posts' own, for a GPU)")
      ->type_name("SCALE")
      ->capture_default_str();
  command
      ->add_option("--out", options->out,
                   "rows, tables and pages go to DIR/STUDY; rows that are "
                   "there are not measured again")
      ->type_name("DIR")
      ->capture_default_str();
  command
      ->add_option("--corpus", options->corpus,
                   "folder with texts in train/ and heldout/; smoke takes the "
                   "Bible of Debian's bible-kjv; monoflow needs none")
      ->type_name("DIR");
  command
      ->add_option("--only", options->only,
                   "train and measure this model alone, as base or base-s2; "
                   "repeatable")
      ->type_name("MODEL")
      ->allow_extra_args(false);
  command->add_flag("--report", options->report,
                    "tables and pages of the rows that are there");
  command
      ->add_option("-m,--model", options->model,
                   "measure this GGUF instead of training")
      ->type_name("FILE");
  command->add_option("-t,--text", options->text, "text for -m")
      ->type_name("FILE");
  command
      ->add_option("--train-length", *length,
                   "of the model of -m; default: the file's")
      ->type_name("LEN");
  program::AddInteger(*command, "--documents", options->documents,
                      "pieces of text in every evaluation; default 64, smoke 8",
                      {.least = 1, .most = 1 << 20});
  program::AddInteger(*command, "--threads", options->threads,
                      "default: all cores", {.least = 1, .most = 1024});
  command
      ->add_option("--device", options->device,
                   "cpu, cuda or cuda:N, where models are trained and "
                   "scored; default: what the scale's config says")
      ->type_name("")
      ->check(CLI::Validator(
          [](std::string& device) {
            return train::IsDevice(device) ? std::string()
                                           : "expected cpu, cuda or cuda:N";
          },
          "DEVICE"));
  command->footer(
      "Examples:\n"
      "  ropewalk reproduce\n"
      "  ropewalk reproduce rerope --scale smoke\n"
      "  ropewalk reproduce all --scale small --corpus novels --out studies\n"
      "  ropewalk reproduce rerope ntk -m model.gguf -t book.txt\n"
      "  ropewalk reproduce monoflow --threads 2\n"
      "  ropewalk reproduce rerope hwfa --corpus novels --device cuda\n\n"
      "Stopped at any moment, the same command goes on. Trained models stand "
      "in\n${XDG_CACHE_HOME:-~/.cache}/ropewalk/studies.");
  command->callback([options, scale, length] {
    if (options->studies.empty()) {
      Require(options->model.empty() && options->text.empty() &&
                  options->corpus.empty() && options->only.empty(),
              "reproduce: name a study, or all");
      const std::string text = StudyList();
      std::fwrite(text.data(), 1, text.size(), stdout);
      return;
    }
    options->scale = ParseScale(*scale);
    if (!length->empty()) {
      const auto parsed = ParseLength(*length);
      constexpr int64_t kMost = int64_t{1} << 40;
      Require(parsed && *parsed > 0 && *parsed < kMost,
              "--train-length must be above 0 and a length, got '" +
                  Printable(*length, 40) + "'");
      options->train_length = *parsed;
    }
    Reproduce(*options);
  });
}

}  // namespace ropewalk::lab::studies
