#include "serve/session_store.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace ropewalk::serve {
namespace {

// Stored texts that are tried for a prompt: the first may be one whose window
// has dropped what is needed.
constexpr size_t kTried = 8;

}  // namespace

const char* NameOf(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kBF16:
      return "bf16";
    case KvType::kQ8_0:
      return "q8_0";
    case KvType::kQ4_0:
      return "q4_0";
    case KvType::kF16:
      break;
  }
  return "f16";
}

void SessionStore::Add(StoredText text) {
  if (text.session.size() == 0) return;
  PrefixTree& tree = trees_[text.kind];
  // An equal text is one too many.
  const auto matches = tree.Find(text.session.tokens(), text.session.size(), 1);
  if (!matches.empty()) {
    const auto known = by_number_.at(matches.front().value);
    if (known->text.session.size() == text.session.size()) Drop(known);
  }
  const int64_t number = next_number_++;
  trees_[text.kind].Insert(text.session.tokens(), number);
  texts_.push_front({number, std::move(text)});
  by_number_[number] = texts_.begin();
}

int64_t SessionStore::Usable(int64_t common, int64_t aligned) const {
  return common > aligned ? common : common / chunk_ * chunk_;
}

std::optional<SessionStore::Found> SessionStore::Take(
    const std::string& kind, std::span<const Token> tokens) {
  const auto tree = trees_.find(kind);
  if (tree == trees_.end() || tokens.empty()) return std::nullopt;
  const auto most = static_cast<int64_t>(tokens.size()) - 1;
  for (const auto& match : tree->second.Find(tokens, chunk_, kTried)) {
    const auto entry = by_number_.at(match.value);
    const StoredText& text = entry->text;
    const int64_t reused = Usable(std::min(match.common, most), text.aligned);
    if (reused < chunk_) continue;
    Found found{text.session.Fork(), reused, std::min(reused, text.aligned)};
    try {
      // Also where nothing is cut: a token that was drawn and not read is no
      // part of the prompt.
      found.session.Trim(reused);
    } catch (const std::invalid_argument&) {
      continue;  // a window has dropped what would be needed
    }
    texts_.splice(texts_.begin(), texts_, entry);
    return found;
  }
  return std::nullopt;
}

int64_t SessionStore::Look(const std::string& kind,
                           std::span<const Token> tokens) const {
  const auto tree = trees_.find(kind);
  if (tree == trees_.end() || tokens.empty()) return 0;
  const auto most = static_cast<int64_t>(tokens.size()) - 1;
  int64_t best = 0;
  for (const auto& match : tree->second.Find(tokens, chunk_, kTried)) {
    best = std::max(best, Usable(std::min(match.common, most),
                                 by_number_.at(match.value)->text.aligned));
  }
  return best;
}

bool SessionStore::DropOldest() {
  if (texts_.empty()) return false;
  Drop(std::prev(texts_.end()));
  return true;
}

void SessionStore::Drop(Entries::iterator entry) {
  const auto tree = trees_.find(entry->text.kind);
  tree->second.Erase(entry->text.session.tokens(), entry->number);
  if (tree->second.empty()) trees_.erase(tree);
  by_number_.erase(entry->number);
  texts_.erase(entry);
}

}  // namespace ropewalk::serve
