#include "lab/data/tokenize_corpus.h"

#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "lab/data/fingerprint.h"

namespace ropewalk::lab::data {
namespace {

// Texts encoded side by side; enough that the longest does not end alone.
constexpr size_t kBatchBytes = 32 << 20;

struct Pending {
  std::string name;
  std::string text;
  std::vector<Token> ids;
};

TokenFileKey KeyOf(const Corpus& corpus, const TextTokenizer& tokenizer) {
  return {tokenizer.vocabulary(), tokenizer.fingerprint(),
          corpus.fingerprint()};
}

}  // namespace

void TokenizeCorpus(const Corpus& corpus, const TextTokenizer& tokenizer,
                    ParallelFor& threads, const std::string& path) {
  TokenFileWriter writer(path, KeyOf(corpus, tokenizer));
  Progress progress("tokens", static_cast<double>(corpus.bytes()), "bytes");
  std::vector<std::unique_ptr<TextEncoder>> encoders;
  for (int64_t worker = 0; worker < threads.workers(); ++worker) {
    encoders.push_back(std::make_unique<TextEncoder>(tokenizer));
  }
  std::vector<Pending> batch;
  size_t batch_bytes = 0;
  const auto flush = [&] {
    threads.Run(static_cast<int64_t>(batch.size()), [&](int64_t task,
                                                        int64_t worker) {
      Pending& pending = batch[static_cast<size_t>(task)];
      const auto bos = tokenizer.tokenizer().bos();
      if (bos) pending.ids.push_back(*bos);
      encoders[static_cast<size_t>(worker)]->Append(pending.text, &pending.ids);
    });
    for (const Pending& pending : batch) {
      writer.Add(pending.name, FingerprintOf(pending.text), pending.ids);
    }
    progress.Add(static_cast<int64_t>(batch_bytes));
    batch.clear();
    batch_bytes = 0;
    ThrowIfInterrupted();
  };
  corpus.ForEach([&](const CorpusDocument& document) {
    batch.push_back({document.name, std::string(document.text), {}});
    batch_bytes += document.text.size();
    if (batch_bytes >= kBatchBytes) flush();
  });
  flush();
  writer.Finish();
}

TokenFile CachedTokens(const Corpus& corpus, const TextTokenizer& tokenizer,
                       ParallelFor& threads, const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) {
    throw IoError("cannot make the folder '" + folder +
                  "': " + error.message());
  }
  const std::string path = (std::filesystem::path(folder) /
                            (Hex(corpus.fingerprint()) + "-" +
                             Hex(tokenizer.fingerprint()) + ".tokens"))
                               .string();
  if (std::filesystem::exists(path, error)) {
    try {
      TokenFile cached(path);
      if (cached.key() == KeyOf(corpus, tokenizer)) {
        cached.VerifyIds();
        return cached;
      }
    } catch (const FormatError&) {
      // Damaged since: made again below.
    }
  }
  TokenizeCorpus(corpus, tokenizer, threads, path);
  return TokenFile(path);
}

}  // namespace ropewalk::lab::data
