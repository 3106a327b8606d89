#include "lab/studies/study.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "lab/studies/studies.h"

namespace ropewalk::lab::studies {

const std::vector<const Study*>& AllStudies() {
  static const std::vector<const Study*> kStudies = {
      &ReRope(),        &Ntk(),           &InvLeaky(),    &Hwfa(),
      &Entropy(),       &Long(),          &DecoderOnly(), &Rank(),
      &TiedEmbedding(), &SignEmbedding(),
#ifdef ROPEWALK_GAN
      &MonoFlow(),
#endif
  };
  return kStudies;
}

std::vector<const Study*> FindStudies(const std::vector<std::string>& names) {
  std::vector<const Study*> found;
  for (const std::string& name : names) {
    if (name == "all") return AllStudies();
    const auto study = std::ranges::find_if(
        AllStudies(), [&](const Study* s) { return s->name() == name; });
    if (study == AllStudies().end()) {
      Require(name != "monoflow",
              "reproduce: this program was built without monoflow; configure "
              "it with -DROPEWALK_GAN=ON");
      std::string known;
      for (const Study* s : AllStudies()) known += s->name() + ", ";
      throw std::invalid_argument("reproduce: '" + Printable(name, 40) +
                                  "' is none of " + known + "all");
    }
    if (std::ranges::find(found, *study) == found.end()) {
      found.push_back(*study);
    }
  }
  return found;
}

}  // namespace ropewalk::lab::studies
