#include "evaluate/documents.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "base/error.h"

namespace ropewalk::evaluate {

Document EncodeText(const tokenizer::Tokenizer& tokenizer,
                    std::string_view text) {
  constexpr std::string_view kEnd = "<|endoftext|>";
  constexpr std::string_view kLineEnds = "\r\n";
  Document ids;
  while (true) {
    const size_t end = text.find(kEnd);
    std::string_view part = text.substr(0, end);
    if (end != std::string_view::npos) {
      const size_t last = part.find_last_not_of(kLineEnds);
      part = part.substr(0, last == std::string_view::npos ? 0 : last + 1);
    }
    if (!part.empty()) {
      const Document encoded =
          tokenizer.Encode(part, {.add_bos = false, .add_eos = false});
      ids.insert(ids.end(), encoded.begin(), encoded.end());
    }
    if (end == std::string_view::npos) return ids;
    if (tokenizer.bos()) ids.push_back(*tokenizer.bos());
    text = text.substr(end + kEnd.size());
    const size_t first = text.find_first_not_of(kLineEnds);
    text = first == std::string_view::npos ? "" : text.substr(first);
  }
}

std::vector<Document> CutPieces(const Document& ids, int64_t size,
                                int64_t documents) {
  const auto n = static_cast<int64_t>(ids.size());
  const int64_t pieces = std::min(documents, n / size);
  std::vector<Document> out;
  for (int64_t p = 0; p < pieces; ++p) {
    // Pieces start at equal steps, from the first to the last possible start.
    const int64_t start = pieces == 1 ? 0 : (n - size) * p / (pieces - 1);
    out.emplace_back(ids.begin() + start, ids.begin() + start + size);
  }
  return out;
}

std::vector<Document> CutTexts(std::vector<Document> texts, int64_t size,
                               int64_t documents) {
  const auto count = static_cast<int64_t>(texts.size());
  std::vector<Document> out;
  for (int64_t t = 0; t < count; ++t) {
    Document& ids = texts[static_cast<size_t>(t)];
    const int64_t share = documents / count + (t < documents % count ? 1 : 0);
    auto pieces = CutPieces(ids, size, share);
    if (pieces.empty()) pieces.push_back(std::move(ids));
    std::ranges::move(pieces, std::back_inserter(out));
  }
  return out;
}

Document Repeated(const Document& document, int64_t period, int64_t size) {
  const auto n = static_cast<int64_t>(document.size());
  ROPEWALK_CHECK(period > 0 && period <= n);
  Document out(static_cast<size_t>(size));
  for (int64_t back = 0; back < size; ++back) {
    out[static_cast<size_t>(size - 1 - back)] =
        document[static_cast<size_t>(n - 1 - back % period)];
  }
  return out;
}

AnsweredPrompt EncodeAnswered(const tokenizer::Tokenizer& tokenizer,
                              const std::string& prompt,
                              const std::string& answer, bool begins) {
  const tokenizer::EncodeOptions options{
      .add_bos = begins ? std::optional<bool>() : std::optional(false),
      .add_eos = false};
  const std::vector<Token> alone = tokenizer.Encode(prompt, options);
  AnsweredPrompt both{.ids = tokenizer.Encode(prompt + answer, options)};
  both.answer_first =
      std::ranges::mismatch(alone, both.ids).in2 - both.ids.begin();
  return both;
}

}  // namespace ropewalk::evaluate
