#include "engine/batch.h"

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"
#include "model/forward.h"
#include "model/workspace.h"

namespace ropewalk::engine {

Batch::Batch(Engine& engine, const BatchOptions& options)
    : engine_(engine), options_(options) {
  Require(options.cut.chunk >= 1 && options.cut.chunk <= kPromptChunk,
          "prompts are read in chunks of 1 to " + std::to_string(kPromptChunk) +
              " tokens, got " + std::to_string(options.cut.chunk));
}

int64_t Batch::Add(GenerateJob job) {
  Require(&job.session->engine() == &engine_,
          "texts that are generated together belong to one model");
  for (const Text& text : texts_) {
    Require(text.job.session != job.session,
            "a session stands in two texts that are generated together");
  }
  Texts added;
  Text& text = added.emplace_back();
  text.number = next_number_;
  text.job = std::move(job);
  text.writer.emplace(text.job, options_.cut);
  if (text.job.prompt.empty()) {
    text.writer->Took(text.job.logits);
  }
  texts_.splice(texts_.end(), added);
  return next_number_++;
}

void Batch::Stop(int64_t number) {
  for (Text& text : texts_) {
    if (text.number == number && !text.ended()) text.writer->Stop();
  }
}

std::vector<Batch::Ended> Batch::Step() {
  const std::vector<Texts::iterator> chosen = Choose();
  if (!chosen.empty()) Run(chosen);
  std::vector<Ended> ended;
  for (auto text = texts_.begin(); text != texts_.end();) {
    if (!text->ended()) {
      ++text;
      continue;
    }
    ended.push_back({text->number, text->writer->result(), text->error});
    text = texts_.erase(text);
  }
  return ended;
}

// Texts that write come first, since each needs one token only.
std::vector<Batch::Texts::iterator> Batch::Choose() {
  std::vector<Texts::iterator> chosen;
  int64_t tokens = 0;
  int64_t most = kPromptChunk;
  for (const bool prompts : {false, true}) {
    if (prompts) {
      most = kPassTokens;
      if (tokens > 0) {
        most = std::min(most, tokens + std::max(options_.prompt_tokens_beside,
                                                options_.cut.chunk));
      }
    }
    for (auto text = texts_.begin(); text != texts_.end(); ++text) {
      if (text->ended() || text->writer->reads_prompt() != prompts) continue;
      const int64_t wanted = text->writer->Wanted();
      if (tokens + wanted > most) break;
      tokens += wanted;
      chosen.push_back(text);
    }
  }
  return chosen;
}

void Batch::Run(const std::vector<Texts::iterator>& chosen) {
  std::vector<model::Slice> slices;
  std::vector<Text*> read;
  for (const auto& text : chosen) {
    try {
      slices.push_back(text->writer->Next());
      read.push_back(&*text);
    } catch (const MemoryLimitError&) {
      throw;
    } catch (...) {
      text->error = std::current_exception();
    }
  }
  // Callbacks may take long or use the engine, so they run outside the lock.
  std::vector<std::vector<float>> logits(slices.size());
  {
    const std::lock_guard lock(engine_.pass_mutex());
    model::Workspace& workspace = engine_.workspace();
    model::Forward(engine_.model(), slices, workspace);
    const int64_t rows = workspace.logit_rows();
    const std::span<const float> all = workspace.Logits(0, rows);
    const size_t V = rows > 0 ? all.size() / static_cast<size_t>(rows) : 0;
    std::vector<size_t> drawing;
    for (size_t i = 0; i < slices.size(); ++i) {
      if (slices[i].logits > 0) drawing.push_back(i);
    }
    // To choose one of a large vocabulary takes a good part of a pass.
    engine_.threads().Run(rows, [&](int64_t row, int64_t) {
      const size_t i = drawing[static_cast<size_t>(row)];
      const auto own = all.subspan(static_cast<size_t>(row) * V, V);
      logits[i].assign(own.begin(), own.end());
      try {
        read[i]->writer->Choose(logits[i]);
      } catch (...) {
        read[i]->error = std::current_exception();
      }
    });
  }
  for (size_t i = 0; i < read.size(); ++i) {
    if (read[i]->error != nullptr) continue;
    try {
      read[i]->writer->Took(logits[i]);
    } catch (...) {
      read[i]->error = std::current_exception();
    }
  }
  // Who was served waits behind those who were not.
  for (const auto& text : chosen) {
    texts_.splice(texts_.end(), texts_, text);
  }
}

}  // namespace ropewalk::engine
