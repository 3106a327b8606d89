// The texts of a study: what is trained on, what is held out, and their names.

#ifndef ROPEWALK_LAB_STUDIES_CORPUS_H_
#define ROPEWALK_LAB_STUDIES_CORPUS_H_

#include <string>
#include <vector>

namespace ropewalk::lab::studies {

struct StudyCorpus {
  std::vector<std::string> train;     // files or folders
  std::vector<std::string> held_out;  // never empty
  std::string listing;  // corpus.tsv: split, title, bytes, SHA-256
  std::string hash;     // first 12 digits of the listing's SHA-256
};

// DIR/train and DIR/heldout, texts as the lab's corpora take them (.txt .text
// .md, also .gz). Reads everything once. Throws std::invalid_argument where
// one is missing, IoError, FormatError.
StudyCorpus ReadStudyCorpus(const std::string& folder);

// The King James Bible of Debian's bible-kjv, written below `folder`: all but
// the last tenth to train on. Throws IoError where the package is missing.
StudyCorpus BibleCorpus(const std::string& folder);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_CORPUS_H_
