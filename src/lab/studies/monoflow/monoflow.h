// The parts of the study monoflow: what each file of it measures, and where
// jobs leave the particles that its pictures show.

#ifndef ROPEWALK_LAB_STUDIES_MONOFLOW_MONOFLOW_H_
#define ROPEWALK_LAB_STUDIES_MONOFLOW_MONOFLOW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/progress.h"
#include "lab/flow/gan.h"
#include "lab/flow/tensor_file.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies::monoflow {

// How a pair of networks learns images: rates of Adam, and what may make a
// short training less coarse.
struct ImageRecipe {
  double generator_rate = 1e-4;  // these two are the paper's
  double discriminator_rate = 2e-4;
  double decay = 0;        // last share of the steps, in which both fall to 0
  double average = 0;      // of the generator's parameters (GanOptions)
  bool from_mean = false;  // the last bias begins at the data's mean pixel
};

// Steps and sizes of a scale.
struct Sizes {
  int64_t through_q_steps = 2000;
  int64_t control_steps = 5000;  // of losses that lead away
  int64_t learned_steps = 5000;
  int64_t gaussian_batch = 1000;
  int64_t toy_steps = 5000;
  int64_t equal_steps = 1500;
  double kernel_end = 12;
  int64_t vanilla_steps = 1000;
  int64_t image_steps = 2000;
  int64_t image_batch = 64;
  int64_t image_channels = 32;
  ImageRecipe images;
  int64_t pilot_steps = 400;  // 0: rates are the paper's
  int64_t classifier_steps = 1500;
  int64_t scored_images = 2000;
  std::vector<std::string> sets;
  std::vector<std::string> image_losses;
};
Sizes SizesOf(const Setting& setting);

// gaussian.cc: the table of the notebooks.
std::vector<Job> GaussianJobs(const Setting& setting);
std::vector<Claim> GaussianClaims(const Setting& setting);
std::vector<NamedTable> GaussianTables(const Setting& setting,
                                       const Measurements& measured);

// toys.cc: targets of two dimensions, and the vanilla loss against C.
std::vector<Job> ToyJobs(const Setting& setting);
std::vector<Claim> ToyClaims(const Setting& setting);
std::vector<NamedTable> ToyTables(const Setting& setting,
                                  const Measurements& measured);
std::vector<Figure> ToyFigures(const Setting& setting,
                               const Measurements& measured);

// images.cc: Fashion-MNIST.
std::vector<Job> ImageJobs(const Setting& setting);
std::vector<Claim> ImageClaims(const Setting& setting);
std::vector<NamedTable> ImageTables(const Setting& setting,
                                    const Measurements& measured);

// All that the state of a run over images follows from but the data: two runs
// of one identity are one run. `steps` is where it ends, `noise` the numbers of
// a z, `from_mean` as in ImageRecipe.
std::string StateIdentity(const flow::GanOptions& options, int64_t steps,
                          int64_t noise, int64_t channels, bool from_mean);

// The file that a state is kept in: the name with a hash of identity and data,
// so that one of other rates, networks or images is never found in its place.
std::string StateFile(const std::string& name, const std::string& identity,
                      const std::string& data);

// pictures.cc: what is drawn of the particles that jobs left.
std::vector<Figure> Pictures(const Setting& setting,
                             const Measurements& measured);
std::vector<Film> Films(const Setting& setting, const Measurements& measured);

// Leaves the particles (or images) of a row in the study's folder, for the
// pictures. Throws IoError.
void LeaveParticles(const Bench& bench, const Setting& setting,
                    const std::string& row,
                    std::vector<std::pair<std::string, at::Tensor>> tensors);

// What was left; nothing where the row was not measured or its file is gone.
std::optional<flow::TensorFile> Particles(const Setting& setting,
                                          const Measurements& measured,
                                          const std::string& row);

// The metric of a training's row: steps that its numbers are of, fewer than its
// length where it diverged and went back.
inline constexpr const char* kStepsKept = "steps kept";

// " (diverged: 1 of 3)" where runs of a row went back to an earlier state,
// which its numbers are of then; nothing where none did.
std::string Diverged(const Measurements& measured, const std::string& row);

// "1.41 ± 0.02" over seeds, "-" where nothing was measured.
std::string Spread(const std::vector<Measurement>& lines, const CellKey& key,
                   int digits);

// The frames of a film: 0 and `kFrames` - 1 others at equal distances.
inline constexpr int64_t kFrames = 21;
inline constexpr int64_t kFlowFrames = 2 * kFrames - 1;  // of a kernel flow
bool IsFrame(int64_t step, int64_t steps);

// Progress of a job that counts steps, and its way to be interrupted.
class Steps {
 public:
  Steps(const std::string& row, uint64_t seed, int64_t steps);
  void Add();  // throws Interrupted

 private:
  Progress progress_;
};

}  // namespace ropewalk::lab::studies::monoflow

#endif  // ROPEWALK_LAB_STUDIES_MONOFLOW_MONOFLOW_H_
