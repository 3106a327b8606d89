// What a study is: the models it wants, what it measures on each, what the
// posts claim, and what it draws.

#ifndef ROPEWALK_LAB_STUDIES_STUDY_H_
#define ROPEWALK_LAB_STUDIES_STUDY_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lab/studies/claims.h"
#include "lab/studies/measurements.h"
#include "lab/studies/setting.h"
#include "report/picture.h"
#include "report/table.h"

namespace ropewalk::lab::studies {

class Bench;

// A model to train: the scale's config with something set over it.
struct ModelSpec {
  std::string name;  // "base-logn"
  uint64_t seed = 1;
  std::vector<std::string> overrides;  // "model.position=rope+logn"
  std::vector<std::string> stack;      // a law a layer, instead of a position
  // A model of the same seed with nothing set over it, whose weights training
  // begins with (DroPE), or nothing.
  std::string starts_from;
  bool reads_bible = false;  // in place of the corpus, a verse a line

  std::string Label() const { return name + "-s" + std::to_string(seed); }
};

// One row of measured.csv, for one model: what is measured in one go.
struct Job {
  std::string row;
  int64_t lines = 0;  // that `run` gives; 0: not known before
  uint64_t seed = 0;  // of a row that needs no model; 0: has none
  // Leaves row, model and seed to the caller. May throw Interrupted.
  std::function<std::vector<Measurement>(Bench&)> run;
};

// A figure: its file name without ".svg", the picture (empty where nothing was
// measured yet), what it shows.
struct Figure {
  std::string name;
  report::Picture picture;
  std::string caption;
};

// A piece of HTML that moves, for the page alone.
struct Film {
  std::string html;
  std::string caption;
};

struct NamedTable {
  std::string title;
  report::Table table;
  std::string caption;
};

class Study {
 public:
  virtual ~Study() = default;

  virtual std::string name() const = 0;   // "rerope"
  virtual std::string title() const = 0;  // one line
  virtual std::string about() const = 0;  // what is asked, a few sentences
  // What the published numbers were measured on.
  virtual std::string published_on() const {
    return "accuracy in percent of a GAU of about 100M parameters trained to "
           "N = 512";
  }

  // Whether it reads models at multiples of the length N they were trained to.
  virtual bool ByLength() const { return true; }

  // Models in the order in which they are worth most.
  virtual std::vector<ModelSpec> Models(const Setting& setting) const = 0;

  // What is measured on `model`, one of Models.
  virtual std::vector<Job> Jobs(const Setting& setting,
                                const ModelSpec& model) const = 0;

  // What needs no model: simulations, timings of training steps.
  virtual std::vector<Job> OwnJobs(const Setting&) const { return {}; }

  // Tokens of each piece of text that GivenJobs reads, one more than the
  // longest length.
  virtual int64_t GivenTokens(const Setting& setting) const {
    return 8 * setting.N + 1;
  }

  // What the rows of a study are measured on that reads no texts: it needs no
  // --corpus. Empty where the texts are the data.
  virtual std::string OwnData() const { return {}; }

  // What is measured on a model that somebody names with -m, in rows of the
  // same names where that makes sense; none where the study must train.
  virtual std::vector<Job> GivenJobs(const Setting&) const { return {}; }

  virtual std::vector<Claim> Claims(const Setting& setting) const = 0;

  virtual std::vector<Figure> Figures(const Setting& setting,
                                      const Measurements& measured) const = 0;

  virtual std::vector<Film> Films(const Setting&, const Measurements&) const {
    return {};
  }

  // What stands at the head of the study's page, before the comparison.
  virtual std::vector<NamedTable> Tables(const Setting&,
                                         const Measurements&) const {
    return {};
  }
};

// All of them, in the order in which they are listed.
const std::vector<const Study*>& AllStudies();

// By name, each once; "all" is all. Throws std::invalid_argument that lists the
// names.
std::vector<const Study*> FindStudies(const std::vector<std::string>& names);

}  // namespace ropewalk::lab::studies

#endif  // ROPEWALK_LAB_STUDIES_STUDY_H_
