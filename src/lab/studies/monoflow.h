// The parts of the study monoflow: what each file of it measures, and where
// jobs leave the particles that its pictures show.

#ifndef ROPEWALK_LAB_STUDIES_MONOFLOW_H_
#define ROPEWALK_LAB_STUDIES_MONOFLOW_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/progress.h"
#include "lab/flow/tensor_file.h"
#include "lab/studies/study.h"

namespace ropewalk::lab::studies::monoflow {

// Steps and sizes of a scale.
struct Sizes {
  int64_t through_q_steps = 2000;
  int64_t learned_steps = 5000;
  int64_t gaussian_batch = 1000;
  int64_t toy_steps = 5000;
  int64_t equal_steps = 1500;
  double kernel_end = 12;
  int64_t vanilla_steps = 1000;
  int64_t image_steps = 2000;
  int64_t image_batch = 64;
  int64_t image_channels = 32;
  int64_t classifier_steps = 1500;
  int64_t scored_images = 2000;
  std::vector<std::string> sets;
  std::vector<std::string> image_losses;
};
Sizes SizesOf(const Setting& setting);

// monoflow_gaussian.cc: the table of the notebooks.
std::vector<Job> GaussianJobs(const Setting& setting);
std::vector<Claim> GaussianClaims(const Setting& setting);
std::vector<NamedTable> GaussianTables(const Setting& setting,
                                       const Measurements& measured);

// monoflow_toys.cc: targets of two dimensions, and the vanilla loss against C.
std::vector<Job> ToyJobs(const Setting& setting);
std::vector<Claim> ToyClaims(const Setting& setting);
std::vector<NamedTable> ToyTables(const Setting& setting,
                                  const Measurements& measured);
std::vector<Figure> ToyFigures(const Setting& setting,
                               const Measurements& measured);

// monoflow_images.cc: Fashion-MNIST.
std::vector<Job> ImageJobs(const Setting& setting);
std::vector<Claim> ImageClaims(const Setting& setting);
std::vector<NamedTable> ImageTables(const Setting& setting,
                                    const Measurements& measured);

// monoflow_pictures.cc: what is drawn of the particles that jobs left.
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

// "1.41 ± 0.02" over seeds, "-" where nothing was measured.
std::string Spread(const Measurements& measured, const CellKey& key,
                   int digits);

// The frames of a film: 0 and `kFrames` - 1 others at equal distances.
inline constexpr int64_t kFrames = 21;
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

#endif  // ROPEWALK_LAB_STUDIES_MONOFLOW_H_
