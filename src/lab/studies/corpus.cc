#include "lab/studies/corpus.h"

#include <algorithm>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "evaluate/bible_text.h"
#include "formats/text_file.h"
#include "lab/data/corpus.h"

namespace ropewalk::lab::studies {
namespace {

namespace fs = std::filesystem;

// A title without what says how it is stored.
std::string TitleOf(const std::string& name) {
  std::string title = name;
  for (const std::string_view end : {".gz", ".txt", ".text", ".md"}) {
    if (title.ends_with(end)) title.resize(title.size() - end.size());
  }
  return title;
}

void List(const std::string& split, const std::string& folder,
          std::string& listing) {
  Require(fs::is_directory(folder),
          "--corpus: no folder '" + Printable(folder) +
              "'; a study's corpus has the texts to train on in train/ and "
              "others in heldout/");
  // Whole files, so that a text has the same name however it is stored.
  const data::Corpus corpus({folder}, {.rule = data::DocumentRule::kFile});
  corpus.ForEach([&](const data::CorpusDocument& document) {
    listing += split + "\t" + Printable(TitleOf(document.name), 200) + "\t" +
               std::to_string(document.text.size()) + "\t" +
               Sha256(document.text) + "\n";
  });
}

}  // namespace

StudyCorpus ReadStudyCorpus(const std::string& folder) {
  const std::string train = (fs::path(folder) / "train").string();
  const std::string held_out = (fs::path(folder) / "heldout").string();
  StudyCorpus corpus{.train = {train}, .held_out = {held_out}};
  corpus.listing = "split\ttitle\tbytes\tsha256\n";
  List("train", train, corpus.listing);
  List("heldout", held_out, corpus.listing);
  corpus.hash = Sha256(corpus.listing).substr(0, 12);
  return corpus;
}

StudyCorpus BibleCorpus(const std::string& folder) {
  const fs::path root = fs::path(folder) / "bible-kjv";
  const fs::path train = root / "train" / "kjv.txt";
  const fs::path held_out = root / "heldout" / "kjv.txt";
  if (!fs::exists(train) || !fs::exists(held_out)) {
    const std::string text = evaluate::BibleText();
    const size_t cut = text.find('\n', text.size() / 10 * 9) + 1;
    fs::create_directories(train.parent_path());
    fs::create_directories(held_out.parent_path());
    WriteFileAtomically(train.string(), text.substr(0, cut));
    WriteFileAtomically(held_out.string(), text.substr(cut));
  }
  return ReadStudyCorpus(root.string());
}

}  // namespace ropewalk::lab::studies
